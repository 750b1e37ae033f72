//! The board as the client sees it: who it is, how it restarts, what time it is, and whom to tell what happens.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mender::client::{Clock, Device, Event, Inventory};
use mender::deployment::{State, Verdict};
use mender_testkit::device::ResetLine;
use tokio::time::Instant;

use crate::terminal::{Terminal, Who};

/// The board's network address; its identity.
pub const MAC: &str = "02:00:5e:10:00:01";

/// What of the client's events the story has to know.
#[derive(Debug, Default)]
pub struct Notes {
    /// The client has no deployment under way, and the server has none for it.
    pub idle: Cell<bool>,
    /// It was told that the server has not accepted it.
    pub waits: Cell<bool>,
}

/// The board.
#[derive(Debug)]
pub struct BoardDevice {
    pub firmware_version: String,
    pub reset: ResetLine,
    pub terminal: Rc<Terminal>,
    pub notes: Rc<Notes>,
}

impl BoardDevice {
    fn say(&self, what: impl std::fmt::Display) {
        self.terminal.say(Who::Board, what);
    }

    fn entered(&self, state: State) {
        match state {
            State::Install => self.say("install: asks the bootloader to try the image in slot 1"),
            State::Commit => self.say("commit: first it has to reach the server again"),
            State::Rollback => self.say("rollback: the old firmware has to come back"),
            // What they do is told where it happens.
            State::Download
            | State::Reboot
            | State::VerifyReboot
            | State::Cleanup
            | State::RollbackReboot
            | State::RollbackVerifyReboot
            | State::Failure
            | State::End => {}
        }
    }
}

impl Device for BoardDevice {
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        [("mac", MAC)]
    }

    async fn restart(&self) {
        self.reset.pull();
    }

    fn static_inventory(&self, report: &mut Inventory<'_, '_>) {
        report.text("firmware_version", &self.firmware_version);
    }

    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Authorized => self.say("logs in and gets a token"),
            Event::Unauthorized(reason) => {
                // Repeated until it is accepted.
                let known = self.notes.waits.replace(true);
                if !known {
                    self.say(format_args!("wants to log in: {reason}"));
                }
            }
            Event::NoUpdate => {
                let known = self.notes.idle.replace(true);
                if !known {
                    self.say("asks for an update: there is none");
                }
            }
            Event::Offered { artifact_name, .. } => {
                self.notes.idle.set(false);
                self.say(format_args!("asks for an update: {artifact_name} is offered"));
            }
            Event::Resumed { state, .. } => {
                self.notes.idle.set(false);
                let name = state.name();
                self.say(format_args!(
                    "finds an unfinished deployment in its flash, goes on with {name}"
                ));
            }
            Event::Entered(state) => self.entered(state),
            Event::Progress {
                received,
                total: Some(total),
            } => {
                self.terminal.progress(received, total);
                if received >= total {
                    self.say(format_args!("has downloaded {} KiB", total.div_ceil(1024)));
                }
            }
            Event::Status { status, stored } => {
                let lost = if stored { "" } else { ", but the server did not take it" };
                self.say(format_args!("reports \"{}\"{lost}", status.as_str()));
            }
            Event::AwaitingRestart => self.say("restarts"),
            Event::Finished(verdict) => {
                self.terminal.clear_progress();
                self.say(match verdict {
                    Verdict::Success => "the deployment is over: the new firmware stays",
                    Verdict::Failure => "the deployment is over: the old firmware runs",
                });
            }
            Event::InventorySent { attributes } => {
                self.say(format_args!("sends its inventory, {attributes} attributes"));
            }
            // A download of unknown length; and the client may learn to tell more.
            _ => {}
        }
    }
}

/// The board's clock. Its uptime starts with each boot.
#[derive(Debug)]
pub struct BoardClock {
    boot: Instant,
}

impl BoardClock {
    /// At a boot.
    pub fn start() -> BoardClock {
        BoardClock { boot: Instant::now() }
    }
}

impl Clock for BoardClock {
    fn uptime(&self) -> Duration {
        self.boot.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn unix_time(&self) -> Option<Duration> {
        SystemTime::now().duration_since(UNIX_EPOCH).ok()
    }
}
