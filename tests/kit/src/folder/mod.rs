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
//! and owner, or the new ones. Syncing a file brings its content, permissions and owner to the disk, but not its name; syncing
//! a folder brings the names in it, but not what is in the files. This allows everything that POSIX leaves open to a file system with
//! ordered names per folder, and more than a journalling one does, which keeps the order of changes of all folders.
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

use crate::flash::{Outcome, PowerSupply, SimFlash};
use model::Model;

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
    /// Content of a file.
    Write(&'p Path),
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
    power: PowerSupply,
    disk: Arc<Mutex<Disk>>,
    host: Arc<Mutex<Host>>,
}

/// What a board has of it.
#[derive(Debug)]
struct Disk {
    id: u64,
    model: Model,
    /// Losses of power that the model has been through.
    losses: u64,
}

/// The place on the host, where the disk of one board at a time can be seen. All copies of a board share it, so that paths
/// stay the same.
#[derive(Debug, Default)]
struct Host {
    at: Option<PathBuf>,
    /// The disk that is there.
    shows: Option<u64>,
    disks: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked meanwhile has failed already.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost() -> io::Error {
    io::Error::other("the power is off")
}

impl Folder {
    /// An empty one.
    pub(crate) fn new(power: PowerSupply) -> Folder {
        let host = Host::default();
        Folder::on(power, Model::default(), Arc::new(Mutex::new(host)))
    }

    /// An empty one at this empty folder of the host, on the power supply of a chip. On a simulated board:
    /// [`Board::folder`](crate::module_test::Board::folder).
    pub fn on_chip<const WRITE: usize, const SECTOR: usize>(chip: &SimFlash<WRITE, SECTOR>, at: &Path) -> Folder {
        Folder::new(chip.power_supply()).shown_at(at)
    }

    /// After the power came back: makes the place on the host show what the disk holds. [`Board`](crate::module_test::Board)
    /// does so by itself.
    pub fn show(&self) {
        let at = lock(&self.host).at.clone();
        let _same = self.shown_at(&at.expect("it was shown before"));
    }

    fn on(power: PowerSupply, model: Model, host: Arc<Mutex<Host>>) -> Folder {
        let id = {
            let mut host = lock(&host);
            host.disks += 1;
            host.disks
        };
        Folder {
            power,
            disk: Arc::new(Mutex::new(Disk { id, model, losses: 0 })),
            host,
        }
    }

    /// A copy on another power supply; all that programs see of this one is on the disk of the copy.
    pub(crate) fn fork(&self, power: PowerSupply) -> Folder {
        let disk = lock(&self.disk);
        let mut model = disk.model.clone();
        match self.power.losses() {
            (losses, cut) if losses != disk.losses => model.lose(cut),
            _ => model.settle(),
        }
        Folder::on(power, model, Arc::clone(&self.host))
    }

    /// The folder after whatever happened to the power, to be seen at this place of the host.
    #[must_use]
    pub(crate) fn shown_at(&self, at: &Path) -> Folder {
        let mut disk = lock(&self.disk);
        let mut host = lock(&self.host);
        let known = host.at.get_or_insert_with(|| at.into());
        assert_eq!(known, at, "a board has one folder");
        let (losses, cut) = self.power.losses();
        if losses != disk.losses {
            disk.losses = losses;
            disk.model.lose(cut);
            host.shows = None;
        }
        if host.shows != Some(disk.id) {
            clear(at).unwrap_or_else(|error| panic!("cannot clear {}: {error}", at.display()));
            let written = disk.model.write_to(at);
            written.unwrap_or_else(|error| panic!("cannot fill {}: {error}", at.display()));
            host.shows = Some(disk.id);
        }
        self.clone()
    }

    fn host_path(&self, disk: &Disk) -> PathBuf {
        let host = lock(&self.host);
        assert_eq!(host.shows, Some(disk.id), "the folder of another board is at its place");
        host.at.clone().expect("it is shown somewhere")
    }

    /// Fills the folder as a factory does: neither counted nor cut, and all of it is on the disk.
    pub fn fill(&self, fill: impl FnOnce(&Path)) {
        let mut disk = lock(&self.disk);
        let at = self.host_path(&disk);
        fill(&at);
        disk.model = Model::scan(&at).unwrap_or_else(|error| panic!("cannot read {}: {error}", at.display()));
    }

    /// Makes a change by calling `make`, as one operation of the board's power supply.
    ///
    /// # Errors
    ///
    /// That of `make`; or the power is lost before the change, or right after it.
    ///
    /// # Panics
    ///
    /// If a path is not in the folder; if what was said about the change is not what was done.
    pub fn change<T>(&self, change: Change<'_>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let outcome = self.power.operation();
        if outcome == Outcome::NotDone {
            return Err(lost());
        }
        let mut disk = lock(&self.disk);
        let at = self.host_path(&disk);
        let made = make()?;
        disk.model.apply(change, &at);
        match outcome {
            Outcome::Done => Ok(made),
            Outcome::DoneThenOff | Outcome::Torn(_) | Outcome::NotDone => Err(lost()),
        }
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
