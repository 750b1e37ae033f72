//! Programs that outlived the client that had started them.
//!
//! A client that is killed leaves its program running, and the next client would call the same module at the same time. So each
//! program gets an empty file of its own as standard input, from its first moment on. When it has ended, the file is removed; if the next
//! client finds the file, whoever still has it open is ended, with the process group.

use core::time::Duration;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::process::{Pid, Signal, getpgid, kill_process_group};
use tokio::time::{Instant, sleep};

const LOOK: Duration = Duration::from_millis(20);

/// The file that says that a program runs.
#[derive(Debug)]
pub(super) struct Running {
    path: PathBuf,
}

impl Running {
    pub(super) fn new(path: PathBuf) -> Running {
        Running { path }
    }

    /// The standard input of a program that is to start.
    pub(super) fn begin(&self) -> io::Result<File> {
        self.forget();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(&self.path)?;
        File::open(&self.path)
    }

    /// Nothing runs any more.
    pub(super) fn forget(&self) {
        // One that stays is open nowhere.
        let _ = fs::remove_file(&self.path);
    }

    /// Ends what an earlier client left running: by SIGTERM, and after some time by SIGKILL. Says whether there was something.
    pub(super) async fn end(&self, grace: Duration) -> bool {
        let Ok(file) = fs::metadata(&self.path) else {
            return false;
        };
        let file = (file.dev(), file.ino());
        let mut found = false;
        for signal in [Signal::TERM, Signal::KILL] {
            let end = Instant::now().checked_add(grace);
            let mut groups = groups_with(file);
            for group in &groups {
                found = true;
                // One that is gone needs no signal; one that may not be ended is told by what goes wrong then.
                let _ = kill_process_group(*group, signal);
            }
            while !groups.is_empty() && end.is_none_or(|end| Instant::now() < end) {
                sleep(LOOK).await;
                groups = groups_with(file);
            }
        }
        self.forget();
        found
    }
}

/// The process groups of those that have the file as standard input. None of them is this process's.
fn groups_with(file: (u64, u64)) -> HashSet<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return HashSet::new();
    };
    let own = getpgid(None).ok();
    processes
        .flatten()
        .filter(|process| {
            let input = fs::metadata(process.path().join("fd/0"));
            input.is_ok_and(|input| (input.dev(), input.ino()) == file)
        })
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|id: &i32| *id > 0)
        .filter_map(|id| getpgid(Pid::from_raw(id)).ok())
        .filter(|group| Some(*group) != own)
        .collect()
}
