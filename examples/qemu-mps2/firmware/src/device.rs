//! The board as the client sees it: who it is, how it restarts, and what is printed of what happens. Depends on `phase`.

use core::cell::Cell;

use board::say;
use embassy_net::Stack;
use embassy_time::{Duration, Timer};
use mender::adapters::embassy_time::EmbassyClock;
use mender::client::{Clock, Device, Event, Inventory, MacText, NetworkDown};
use mender::deployment::{State, Verdict};

use crate::phase::Phases;

/// Between two lines about a download.
const PROGRESS_BYTES: u64 = 8 * 1024;
/// Between two looks at the clock.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The board.
pub struct Mps2<'s> {
    stack: Stack<'s>,
    clock: &'s EmbassyClock,
    mac: MacText,
    version: &'static str,
    phases: Phases,
    shown: Cell<u64>,
}

impl<'s> Mps2<'s> {
    /// On this network, with this clock, running this version.
    pub fn new(stack: Stack<'s>, clock: &'s EmbassyClock, mac: [u8; 6], version: &'static str) -> Mps2<'s> {
        Mps2 {
            stack,
            clock,
            mac: MacText::new(mac),
            version,
            phases: Phases::start("start"),
            shown: Cell::new(0),
        }
    }
}

impl Device for Mps2<'_> {
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        [("mac", self.mac.as_str())]
    }

    async fn restart(&self) {
        board::restart();
    }

    async fn network_up(&self) -> Result<(), NetworkDown> {
        self.stack.wait_config_up().await;
        // Certificates are checked by the time of day, and log lines have it.
        while self.clock.unix_time().is_none() {
            Timer::after(LOOK_AGAIN).await;
        }
        Ok(())
    }

    fn static_inventory(&self, report: &mut Inventory<'_, '_>) {
        report.text("firmware_version", self.version);
        report.text("board", "QEMU mps2-an386");
    }

    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Authorized => {
                say!("@authorized");
                self.phases.enter("idle");
            }
            Event::Unauthorized(_) => say!("@unauthorized"),
            Event::NoUpdate => {
                say!("@idle");
                self.phases.enter("idle");
            }
            Event::Offered { artifact_name, .. } => say!("@offered {artifact_name}"),
            Event::Resumed { state, .. } => say!("@resumed {}", state.name()),
            Event::Entered(state) => {
                say!("@state {}", state.name());
                self.phases.enter(state.name());
                if state == State::Download {
                    self.shown.set(0);
                }
            }
            Event::Progress { received, total } => {
                let total = total.unwrap_or(0);
                // Before, the artifact's host was connected to.
                self.phases.enter("receive");
                if received >= self.shown.get() + PROGRESS_BYTES || received == total {
                    self.shown.set(received);
                    say!("@progress {received} {total}");
                }
            }
            Event::Status { status, stored } => say!("@status {} stored={stored}", status.as_str()),
            Event::AwaitingRestart => self.phases.enter("restart"),
            Event::Finished(verdict) => say!(
                "@finished {}",
                match verdict {
                    Verdict::Success => "success",
                    Verdict::Failure => "failure",
                }
            ),
            Event::StorageFails => say!("@violation a record cannot be read"),
            Event::InventorySent { attributes } => say!("@inventory {attributes}"),
            // The client may learn to tell more.
            _ => {}
        }
    }
}
