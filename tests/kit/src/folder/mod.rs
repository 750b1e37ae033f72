//! A folder of the host as the simulated board's disk, for modules that work on a real file system.
//!
//! The module under test makes its changes with the standard library, each through [`Folder::change`]: it counts as one
//! operation of the board's power supply, so that power can be cut before, within and after it. What a change is, is said
//! by [`Change`]; the folder keeps a model of what the disk holds and of what only the kernel knows so far, and after
//! a power cut makes the folder what the disk had.
//!
//! | the power is cut | of all that was not synced |
//! |---|---|
//! | before an operation, of this folder or of the flash | nothing is on the disk |
//! | after it | everything is: as if the program was killed and the machine went on |
//! | within it | some of it, as the seed says |
//!
//! "Some of it" is for each folder, independently: of the names that were given or taken since it was synced the first few. For
//! each file: its old content, all of the new one, a part of any length from the beginning, or as many zeros; its old permissions
//! and owner, or the new ones. Where only the end of a file was written, what was synced in front of it stays, and this is so of what
//! follows. Syncing a file brings its content, permissions and owner to the disk, but not its name; syncing
//! a folder brings the names in it, but not what is in the files. This allows everything that POSIX leaves open to a file system with
//! ordered names per folder, and more than a journalling one does, which keeps the order of changes of all folders.
//! A sync that is cut within has brought nothing for certain to the disk: some of all that was not synced before it is
//! there, what was to be synced included.
//!
//! Not modelled: a file system that loses what was synced, names that change places within one folder, blocks in the middle of
//! a file that are missing, renames from one folder into another, full disks. A reset without a power cut loses nothing.
//!
//! Works on Unix only. Depends on [`flash`](crate::flash) for the power supply and on the standard library.

mod model;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::flash::{PowerSupply, SimFlash};
pub(crate) use model::Model;

/// What a program asks of the file system. All paths are in the folder, without links on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'p> {
    /// A new file, folder or symbolic link.
    Make(&'p Path),
    /// A second name for a file.
    Link {
        /// The name that is there.
        from: &'p Path,
        /// The new one.
        to: &'p Path,
    },
    /// Content of a file, of any part of it.
    Write(&'p Path),
    /// Content at the end of a file: more was written behind what is there, or the end was taken away. What is in front of that has not
    /// been touched.
    WriteEnd(&'p Path),
    /// Permissions or owner.
    Set(&'p Path),
    /// Another name, in place of what has it. In the same folder.
    Rename {
        /// The old name.
        from: &'p Path,
        /// The new one.
        to: &'p Path,
    },
    /// Takes a name away: of a file, a link, or a folder with all that is in it.
    Remove(&'p Path),
    /// Brings a file or folder to the disk.
    Sync(&'p Path),
}

/// The folder of a board: see the [module](self). Cloning gives another handle onto the same one.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Has what the disk holds.
    power: PowerSupply,
    host: Arc<Mutex<Host>>,
}

/// The place on the host, where the disk of one board at a time can be seen. All copies of a board share it, so that paths
/// stay the same.
#[derive(Debug, Default)]
struct Host {
    at: Option<PathBuf>,
    /// What can be seen there. `None` while it is being changed, and after a change that a power cut has undone.
    shows: Option<Arc<Model>>,
}

impl Host {
    fn shows(&self, disk: &Arc<Model>) -> bool {
        self.shows.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, disk))
    }
}

fn lost() -> io::Error {
    io::Error::other("the power is off")
}

impl Folder {
    /// What is on this power supply, to be shown somewhere.
    pub(crate) fn new(power: PowerSupply) -> Folder {
        let host = Arc::default();
        Folder { power, host }
    }

    /// An empty one at this empty folder of the host, on the power supply of a chip. On a simulated board:
    /// [`Board::folder`](crate::module_test::Board::folder).
    pub fn on_chip<const WRITE: usize, const SECTOR: usize>(chip: &SimFlash<WRITE, SECTOR>, at: &Path) -> Folder {
        Folder::new(chip.power_supply()).shown_at(at)
    }

    /// After the power came back: makes the place on the host show what the disk holds. [`Board`](crate::module_test::Board)
    /// does so by itself.
    pub fn show(&self) {
        let at = self.host().at.clone();
        let _same = self.shown_at(&at.expect("it was shown before"));
    }

    fn host(&self) -> MutexGuard<'_, Host> {
        // A test that panicked meanwhile has failed already.
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder on another power supply, to be shown at the same place.
    pub(crate) fn on(&self, power: PowerSupply) -> Folder {
        let host = Arc::clone(&self.host);
        Folder { power, host }
    }

    /// The folder after whatever happened to the power, to be seen at this place of the host.
    #[must_use]
    pub(crate) fn shown_at(&self, at: &Path) -> Folder {
        let mut host = self.host();
        let known = host.at.get_or_insert_with(|| at.into());
        assert_eq!(known, at, "a board has one folder");
        let disk = self.power.disk();
        if !host.shows(&disk) {
            host.shows = None;
            clear(at).unwrap_or_else(|error| panic!("cannot clear {}: {error}", at.display()));
            let written = disk.write_to(at);
            written.unwrap_or_else(|error| panic!("cannot fill {}: {error}", at.display()));
            host.shows = Some(disk);
        }
        drop(host);
        self.clone()
    }

    /// The place on the host, which does not show this disk any more, and what is on the disk.
    fn opened(&self) -> (PathBuf, Arc<Model>) {
        let mut host = self.host();
        let disk = self.power.disk();
        assert!(host.shows(&disk), "the folder of another board is at its place");
        host.shows = None;
        (host.at.clone().expect("it is shown somewhere"), disk)
    }

    /// Fills the folder as a factory does: neither counted nor cut, and all of it is on the disk.
    pub fn fill(&self, fill: impl FnOnce(&Path)) {
        let (at, _) = self.opened();
        fill(&at);
        let disk = Model::scan(&at).unwrap_or_else(|error| panic!("cannot read {}: {error}", at.display()));
        self.power.set_disk(disk);
        self.host().shows = Some(self.power.disk());
    }

    /// Makes a change by calling `make`, as one operation of the board's power supply. A change that fails is none.
    ///
    /// # Errors
    ///
    /// That of `make`; or the power is off, or lost in this operation.
    ///
    /// # Panics
    ///
    /// If a path is not in the folder; if what was said about the change is not what was done.
    pub fn change<T>(&self, change: Change<'_>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if !self.power.is_on() {
            return Err(lost());
        }
        let (at, before) = self.opened();
        // Also if the power is to be lost before: what is seen on the host is then made anew from what was before.
        let made = match make() {
            Ok(made) => made,
            Err(error) => {
                self.host().shows = Some(before);
                return Err(error);
            }
        };
        let after = Arc::new(before.after(change, &at));
        // In a sync that is cut short nothing is certain yet: as much is on the disk as if it had not been asked for.
        let torn = match change {
            Change::Sync(_) => &before,
            Change::Make(_)
            | Change::Link { .. }
            | Change::Write(_)
            | Change::WriteEnd(_)
            | Change::Set(_)
            | Change::Rename { .. }
            | Change::Remove(_) => &after,
        };
        if !self.power.change_disk(&after, torn) {
            return Err(lost());
        }
        self.host().shows = Some(after);
        Ok(made)
    }
}

/// Removes all that is in a folder, also in folders that are closed to writing.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if fs::symlink_metadata(&path)?.is_dir() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
            clear(&path)?;
            fs::remove_dir(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
