//! A program that outlived the client that had started it.
//!
//! A client that is killed leaves the program running, and the next client would call the same module at the same time. So it is
//! noted which process runs, and the next client ends that one first. A process is known again by its number, its start and the
//! boot of the system.
//!
//! The note comes after the start: there is a moment between them in which a killed client leaves no trace of its program. A
//! service manager that ends the whole group of a service, as systemd does, leaves none.

use core::time::Duration;
use std::format;
use std::fs;
use std::path::PathBuf;
use std::string::{String, ToString};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep};

const LOOK: Duration = Duration::from_millis(20);

/// The file that says what runs.
#[derive(Debug)]
pub(super) struct Running {
    path: PathBuf,
}

impl Running {
    pub(super) fn new(path: PathBuf) -> Running {
        Running { path }
    }

    /// This process runs. A note that cannot be written is not worth a failed update.
    pub(super) fn note(&self, id: u32) {
        if let Some(identity) = identity(&id.to_string()) {
            let _ = fs::write(&self.path, identity);
        }
    }

    /// Nothing runs any more.
    pub(super) fn forget(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Ends what an earlier client left running, with its process group. Says whether there was something.
    pub(super) async fn end(&self, grace: Duration) -> bool {
        let Ok(noted) = fs::read_to_string(&self.path) else {
            return false;
        };
        let id = noted.split(' ').next().unwrap_or("");
        let group = id.parse().ok().and_then(Pid::from_raw);
        let still_runs = || identity(id).as_deref() == Some(noted.as_str());
        let Some(group) = group.filter(|_| still_runs()) else {
            self.forget();
            return false;
        };
        let _ = kill_process_group(group, Signal::TERM);
        wait_until_gone(still_runs, grace).await;
        // Without its leader the number of a group may be somebody else's by now.
        if still_runs() {
            let _ = kill_process_group(group, Signal::KILL);
            wait_until_gone(still_runs, grace).await;
        }
        self.forget();
        true
    }
}

async fn wait_until_gone(still_runs: impl Fn() -> bool, time: Duration) {
    let end = Instant::now().checked_add(time);
    while still_runs() && end.is_none_or(|end| Instant::now() < end) {
        sleep(LOOK).await;
    }
}

/// What tells a process from all others; `None` if there is none, or it is dead and only not waited for.
fn identity(id: &str) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name, in parentheses, may have any characters in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (state != "Z").then(|| format!("{id} {start} {}", boot.trim()))
}
