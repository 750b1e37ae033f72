//! For tests: what sees every step of a [`Disk`](super::Disk), and can end the program or cut the power there.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use mender_testkit::folder::{Change, Folder};

use super::Step;

/// Cloning gives the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    stop: Arc<Mutex<Stop>>,
    /// The simulated board's, whose power supply counts the steps.
    folder: Option<Folder>,
}

/// Ends the program at a chosen step: that step and all later ones fail.
#[derive(Debug, Default)]
struct Stop {
    log: Vec<Step>,
    /// Steps that still succeed.
    left: Option<usize>,
    down: bool,
    no_links: bool,
}

impl Witness {
    /// One on a simulated board.
    pub(crate) fn of_board(folder: Folder, links: bool) -> Witness {
        let witness = Witness {
            folder: Some(folder),
            ..Witness::default()
        };
        witness.state().no_links = !links;
        witness
    }

    fn state(&self) -> MutexGuard<'_, Stop> {
        self.stop.lock().unwrap()
    }

    pub(crate) fn stop_at(&self, step: usize) {
        self.state().left = Some(step);
    }

    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.down = false;
        state.left = None;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state().down
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.state().log.clone()
    }

    pub(crate) fn without_links(&self) {
        self.state().no_links = true;
    }

    pub(super) fn step<T>(&self, step: Step, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if let (true, Step::Link(..)) = (self.state().no_links, &step) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        match &self.folder {
            Some(folder) => folder.change(change_of(&step), change),
            None => {
                self.state().passes(step)?;
                change()
            }
        }
    }
}

fn change_of(step: &Step) -> Change<'_> {
    match step {
        Step::MakeFolder(path) | Step::Create(path) | Step::Symlink(path) => Change::Make(path),
        Step::Write(path, _) | Step::Shorten(path) => Change::WriteEnd(path),
        Step::Sync(path) => Change::Sync(path),
        Step::Rename(from, to) => Change::Rename { from, to },
        Step::Link(from, to) => Change::Link { from, to },
        Step::Set(path) => Change::Set(path),
        Step::Remove(path) | Step::RemoveTree(path) => Change::Remove(path),
    }
}

impl Stop {
    fn passes(&mut self, step: Step) -> io::Result<()> {
        let already = self.down;
        match &mut self.left {
            Some(0) => self.down = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if self.down {
            if !already {
                half(&step);
            }
            return Err(io::Error::other("the program has ended"));
        }
        self.log.push(step);
        Ok(())
    }
}

/// How far a step came that has no end: half of the data, or every second file.
fn half(step: &Step) {
    match step {
        Step::Write(path, data) => {
            let _ = fs::OpenOptions::new()
                .append(true)
                .open(path)
                .and_then(|mut file| io::Write::write_all(&mut file, &data[..data.len() / 2]));
        }
        Step::RemoveTree(path) => remove_some(path),
        Step::MakeFolder(_)
        | Step::Create(_)
        | Step::Shorten(_)
        | Step::Sync(_)
        | Step::Rename(..)
        | Step::Link(..)
        | Step::Symlink(_)
        | Step::Set(_)
        | Step::Remove(_) => {}
    }
}

fn remove_some(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for (index, entry) in entries.flatten().enumerate() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_some(&entry.path());
        } else if index % 2 == 0 {
            let _ = fs::remove_file(entry.path());
        }
    }
}
