//! `directory`: replaces a whole folder, for Linux devices and gateways; as the module of that name in Mender's Linux client.
//!
//! Takes the artifacts that `directory-artifact-gen` makes: `dest_dir` (an absolute path) and `update.tar` (what is in the folder,
//! made with `tar -C TREE .`), in any order. Needs the standard library. Depends on [`mod@mender::update_module`], `sha2` and `tar`.
//!
//! ```
//! use mender_modules::directory::Directory;
//!
//! let module = Directory::new("/var/lib/mender/directory", "/opt");
//! # let _: &dyn std::fmt::Debug = &module;
//! ```
//!
//! # What happens on disk
//!
//! | state | method | |
//! |---|---|---|
//! | download | [`receive`](Directory::receive) | the payload goes to the work folder, every entry is checked |
//! | install | [`replace`](Directory::replace) | the archive is unpacked beside the destination; then the old folder is renamed, and the new one after it |
//! | rollback | [`restore`](Directory::restore) | the old folder is renamed back; without an old one the new one is removed |
//! | cleanup | [`tidy`](Directory::tidy) | the old folder and the download are removed |
//!
//! The destination is the old folder or the new one, whole and on the disk; between two renames, for less than a
//! millisecond, there is none. If power goes just then, the rollback puts the old one back. There is room for both at the same time.
//! The Linux client's module removes the folder before it unpacks the new one.
//!
//! # Destinations
//!
//! An artifact can name any folder below the *root* and none else: not the root itself, no `..`, and no symbolic link that leads out;
//! links on the way are followed. A destination that is a link itself, or is a mount point, cannot be replaced.
//! Whoever may put links into the root while an update runs is trusted.
//!
//! Beside the destination the names `.mender-directory.new` and `.mender-directory.old` are used while an update runs.
//!
//! # Archives
//!
//! Plain (not compressed) tar in the formats of POSIX and GNU. Entries may be files, folders, hard links to files
//! before them, and symbolic links. Refused, each with [`EntryFault`]: absolute paths and `..`, two entries with one path, entries below
//! a link, links that lead out of the folder, and devices and pipes. A symbolic link must be relative and may have `..` only at its
//! beginning. Permissions are set as the archive says; owners too where the process may, else set-user-id and the like are dropped.
//! Extended attributes are not.
//!
//! # Power loss
//!
//! Every method can end at any step, by a loss of power or a kill, and be called again by the next program: it finishes the
//! job. A journal in the work folder, written before the first change, says whether there was an old folder.

mod archive;
mod error;
#[cfg(test)]
mod tests;

pub use error::{EntryFault, Error};

use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::vec::Vec;

use mender::update_module;
use mender::update_module::{File, Payload};
use sha2::{Digest, Sha256};

use crate::PathFault;
use crate::disk::{Lines, Place, PlaceError, Places, hash_of, hex, line, look, mode_of, name, owner_of};

const PLAN: &str = "directory plan 1";
const JOURNAL: &str = "directory journal 1";
/// Beside the destination: the new folder, until it takes its place, and what is to be removed.
const NEW: &str = ".mender-directory.new";
/// The old folder.
const OLD: &str = ".mender-directory.old";
const ARCHIVE: &str = "update.tar";
/// No path is longer.
const LINE_MAX_LEN: usize = 4096;
/// For folders of which neither the archive nor an old folder says it.
const DEFAULT_MODE: u32 = 0o755;

/// The update module for folders: see the [module documentation](self).
///
/// Its futures block while the disk works.
#[update_module(
    artifact_type = "directory",
    supports_rollback,
    on(download = receive, install = replace, rollback = restore, cleanup = tidy)
)]
#[derive(Debug)]
pub struct Directory {
    places: Places,
}

/// A destination.
struct Target {
    place: Place,
    /// The place's path.
    parent: PathBuf,
    folder: PathBuf,
}

impl Target {
    fn beside(&self, name: &str) -> PathBuf {
        self.parent.join(name)
    }
}

impl Directory {
    /// A module that keeps its own files in `work` and replaces folders below `root` only.
    ///
    /// `work` is made when it is needed; nothing else may use it, and it must survive restarts. `root` must be there when an
    /// update comes; `/` allows every destination.
    pub fn new(work: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Directory {
        Directory {
            places: Places::new(work.into(), root.into()),
        }
    }

    /// Download: writes the payload to the work folder, and checks every entry and where it wants to go.
    ///
    /// # Errors
    ///
    /// [`Error`]: nothing outside of the work folder was touched.
    pub async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Error> {
        // An update that was given up may have left its backup.
        self.remove_leftovers()?;
        let incoming = self.places.begin_download()?;
        let tar = incoming.join(ARCHIVE);
        let (mut folder, mut hash) = (None, None);
        while let Some(mut file) = payload.next_file().await? {
            match file.name() {
                "dest_dir" => folder = Some(short(&mut file).await?),
                ARCHIVE if hash.is_none() => {
                    let mut sum = Sha256::new();
                    let mut target = self.places.disk.create(&tar)?;
                    while let Some(chunk) = file.next_chunk().await? {
                        sum.update(chunk);
                        target.write(chunk)?;
                    }
                    target.sync()?;
                    hash = Some(sum.finalize().into());
                }
                _ => return Err(Error::Unexpected),
            }
        }
        let folder = folder.ok_or(Error::Missing("dest_dir"))?;
        let folder = line(&folder).map_err(Error::Folder)?;
        let hash = hash.ok_or(Error::Missing(ARCHIVE))?;
        archive::check(&tar)?;
        check_target(&self.target(folder)?)?;
        let plan = Lines::new(PLAN).with("dest_dir", folder).with("sha256", hex(&hash));
        Ok(self.places.end_download(&plan)?)
    }

    /// Install: unpacks the new folder and puts it in place of the old one.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`restore`](Directory::restore) undoes what was done.
    pub async fn replace(&mut self) -> Result<(), Error> {
        let plan = self.places.plan(PLAN)?.ok_or(Error::NotReceived)?;
        let folder = plan.get("dest_dir").ok_or(Error::NotReceived)?;
        let target = self.target(folder)?;
        let old = check_target(&target)?;
        let tar = self.places.ready().join(ARCHIVE);
        if !plan.is_hash("sha256", &hash_of(&tar)?) {
            return Err(Error::Damaged);
        }
        let disk = &self.places.disk;
        for name in [NEW, OLD] {
            disk.remove_tree(&target.beside(name))?;
        }
        let was = if old.is_some() { "folder" } else { "none" };
        let journal = Lines::new(JOURNAL)
            .with("made", target.place.missing())
            .with("old", was);
        self.places.write_journal(&journal)?;
        self.places.make(&target.place)?;

        let new = target.beside(NEW);
        disk.make_folder(&new)?;
        // The archive's own entry for the folder overrides these.
        if let Some(owner) = old.as_ref().and_then(owner_of) {
            disk.set_owner(&new, owner)?;
        }
        disk.set_mode(&new, old.as_ref().and_then(mode_of).unwrap_or(DEFAULT_MODE))?;
        archive::unpack(&tar, &new, disk)?;
        disk.sync_folder(&target.parent)?;
        if old.is_some() {
            disk.rename(&target.folder, &target.beside(OLD))?;
            disk.sync_folder(&target.parent)?;
        }
        disk.rename(&new, &target.folder)?;
        Ok(disk.sync_folder(&target.parent)?)
    }

    /// Rollback: puts the old folder back, or removes the new one if there was none.
    ///
    /// # Errors
    ///
    /// [`Error::BackupLost`]; or [`Error::Disk`], and then calling again may help.
    pub async fn restore(&mut self) -> Result<(), Error> {
        let Some(journal) = self.places.journal(JOURNAL)? else {
            // Install has not begun, or this was done before.
            return Ok(());
        };
        let plan = self.places.plan(PLAN)?.ok_or(Error::NotReceived)?;
        let target = self.target(plan.get("dest_dir").ok_or(Error::NotReceived)?)?;
        let disk = &self.places.disk;
        let (new, old) = (target.beside(NEW), target.beside(OLD));
        let there = look(&target.folder)?.is_some();
        if journal.get("old") == Some("none") {
            // Where the new folder has not moved yet, what is in its place is somebody else's.
            if there && look(&new)?.is_none() {
                disk.rename(&target.folder, &new)?;
                disk.sync_folder(&target.parent)?;
            }
        } else if look(&old)?.is_some() {
            if there {
                disk.remove_tree(&new)?;
                disk.rename(&target.folder, &new)?;
                disk.sync_folder(&target.parent)?;
            }
            disk.rename(&old, &target.folder)?;
            disk.sync_folder(&target.parent)?;
        } else if !there {
            return Err(Error::BackupLost);
        }
        disk.remove_tree(&new)?;
        let made = journal.get("made").and_then(|made| made.parse().ok()).unwrap_or(0);
        self.places.unmake(&target.parent, made)?;
        Ok(self.places.drop_journal()?)
    }

    /// Cleanup: removes the old folder and the download.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`]: the next download tries again.
    pub async fn tidy(&mut self) -> Result<(), Error> {
        self.remove_leftovers()
    }

    fn remove_leftovers(&mut self) -> Result<(), Error> {
        if let Some(plan) = self.places.plan(PLAN)?
            && let Some(folder) = plan.get("dest_dir")
            && let Ok(target) = self.target(folder)
        {
            for name in [NEW, OLD] {
                let path = target.beside(name);
                if look(&path)?.is_some() {
                    self.places.disk.remove_tree(&path)?;
                }
            }
        }
        self.places.drop_journal()?;
        Ok(self.places.drop_download()?)
    }

    /// Where a folder that an artifact names is, with the links on its way resolved.
    fn target(&self, folder: &str) -> Result<Target, Error> {
        let whole = self.places.resolve(folder).map_err(place_failed)?;
        self.places.may_replace(&whole.path()).map_err(place_failed)?;
        let (parent, name) = parent_of(folder)?;
        let place = self.places.resolve(parent).map_err(place_failed)?;
        let parent = place.path();
        Ok(Target {
            folder: parent.join(name),
            parent,
            place,
        })
    }
}

/// The folder above, and the last part.
fn parent_of(folder: &str) -> Result<(&str, &str), Error> {
    let path = Path::new(folder);
    let parent = path.parent().and_then(Path::to_str);
    let last = path.file_name().and_then(OsStr::to_str);
    match (parent, last) {
        (Some(parent), Some(last)) if ![NEW, OLD].contains(&last) => Ok((parent, name(last).map_err(Error::Folder)?)),
        (Some(_), Some(_)) => Err(Error::Folder(PathFault::NotAName)),
        (_, _) => Err(Error::Folder(PathFault::Root)),
    }
}

/// What is at the destination, if it may be replaced.
fn check_target(target: &Target) -> Result<Option<Metadata>, Error> {
    match look(&target.folder)? {
        Some(metadata) if !metadata.is_dir() => Err(Error::NotAFolder),
        there => Ok(there),
    }
}

/// A payload file of one line.
async fn short(file: &mut File<'_, '_>) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    if file.len() > LINE_MAX_LEN as u64 {
        return Err(Error::Unexpected);
    }
    while let Some(chunk) = file.next_chunk().await? {
        content.extend_from_slice(chunk);
    }
    Ok(content)
}

fn place_failed(error: PlaceError) -> Error {
    match error {
        PlaceError::Fault(fault) => Error::Folder(fault),
        PlaceError::Disk(error) => Error::Disk(error),
    }
}

#[cfg(test)]
impl Directory {
    fn on(disk: crate::disk::Disk, work: &Path, root: &Path) -> Directory {
        let mut module = Directory::new(work, root);
        module.places.disk = disk;
        module
    }
}
