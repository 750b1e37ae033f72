//! `single-file`: replaces one file, for Linux devices and gateways; as the module of that name in Mender's Linux client.
//!
//! Takes the artifacts that `single-file-artifact-gen` makes: `dest_dir` (an absolute path), `filename`, `permissions` (octal; not
//! in old artifacts) and the file itself, in any order. Needs the standard library. Depends on [`mod@mender::update_module`] and
//! `sha2`.
//!
//! ```
//! use mender_modules::file::SingleFile;
//!
//! let module = SingleFile::new("/var/lib/mender/single-file", "/etc/my-app");
//! # let _: &dyn std::fmt::Debug = &module;
//! ```
//!
//! # What happens on disk
//!
//! | state | method | |
//! |---|---|---|
//! | download | [`receive`](SingleFile::receive) | the payload goes to the work folder |
//! | install | [`replace`](SingleFile::replace) | the file is written beside the destination, the old one gets a second name, then the new one takes its place in one step |
//! | rollback | [`restore`](SingleFile::restore) | the old one takes its place back in one step; without an old one the new one is removed, and the folders made for it |
//! | cleanup | [`tidy`](SingleFile::tidy) | backup and download are removed |
//!
//! At any moment there is the old file or the new one, whole and on the disk, never half of one. Each rename follows a sync of
//! what it puts in place and is followed by one of the folder. The backup is a second name (hard link) of the old file, so owner,
//! times and extended attributes survive a rollback; where the file system has no hard links it is a copy.
//!
//! Differences from the Linux client's module: the download goes nowhere near the destination; a rollback removes a file that was
//! not there before; destinations are confined.
//!
//! # Destinations
//!
//! An artifact can name any folder below the *root* and none else: no `..`, and no symbolic link that leads out of it; links
//! within are followed. Folders that are missing are made. A destination that is a folder or a symbolic link is refused. The new file
//! belongs to the process, with the permissions from the payload, else those of the old file, else 644.
//! Whoever may put links into the root while an update runs is trusted.
//!
//! Beside the destination the names `.mender-single-file.new`, `.old` and `.part` are used while an update runs.
//!
//! # Power loss
//!
//! Every method can end at any step, by a loss of power or a kill, and be called again by the next program: it finishes the
//! job. A journal in the work folder, written before the first change, says whether there was an old file.

mod error;
#[cfg(test)]
mod tests;

pub use error::Error;

use core::fmt::Write;
use std::borrow::ToOwned;
use std::path::PathBuf;
use std::string::String;
use std::vec::Vec;

use mender::update_module;
use mender::update_module::{File, Payload};
use sha2::{Digest, Sha256};

use crate::disk::{Lines, PlaceError, Places, hash_of, hex, line, look, mode_of, name, owner_of};
use crate::{DiskError, PathFault};

const PLAN: &str = "single-file plan 1";
const JOURNAL: &str = "single-file journal 1";
/// Beside the destination: the new file, until it takes its place.
const NEW: &str = ".mender-single-file.new";
/// The backup, always whole.
const OLD: &str = ".mender-single-file.old";
/// A backup that is being copied.
const PART: &str = ".mender-single-file.part";
/// No path or number is longer.
const LINE_MAX_LEN: usize = 4096;
const DEFAULT_MODE: u32 = 0o644;

/// The update module for single files: see the [module documentation](self).
///
/// Its futures block while the disk works.
#[update_module(
    artifact_type = "single-file",
    supports_rollback,
    on(download = receive, install = replace, rollback = restore, cleanup = tidy)
)]
#[derive(Debug)]
pub struct SingleFile {
    places: Places,
}

/// A destination.
struct Target {
    folder: PathBuf,
    file: PathBuf,
}

impl Target {
    fn new(folder: PathBuf, name: &str) -> Target {
        let file = folder.join(name);
        Target { folder, file }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl SingleFile {
    /// A module that keeps its own files in `work` and installs below `root` only.
    ///
    /// `work` is made when it is needed; nothing else may use it, and it must survive restarts. `root` must be there when an
    /// update comes; `/` allows every destination.
    pub fn new(work: impl Into<PathBuf>, root: impl Into<PathBuf>) -> SingleFile {
        SingleFile {
            places: Places::new(work.into(), root.into()),
        }
    }

    /// Download: writes the payload to the work folder and checks where it wants to go.
    ///
    /// # Errors
    ///
    /// [`Error`]: nothing outside of the work folder was touched.
    pub async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Error> {
        // An update that was given up may have left its backup.
        self.remove_leftovers()?;
        let incoming = self.places.begin_download()?;
        let (mut folder, mut file_name, mut permissions) = (None, None, None);
        let mut content: Option<(String, [u8; 32])> = None;
        while let Some(mut file) = payload.next_file().await? {
            match file.name() {
                "dest_dir" => folder = Some(short(&mut file).await?),
                "filename" => file_name = Some(short(&mut file).await?),
                "permissions" => permissions = Some(short(&mut file).await?),
                _ if content.is_some() => return Err(Error::Unexpected),
                other => {
                    let other = other.to_owned();
                    let mut hash = Sha256::new();
                    let mut target = self.places.disk.create(&incoming.join("content"))?;
                    while let Some(chunk) = file.next_chunk().await? {
                        hash.update(chunk);
                        target.write(chunk)?;
                    }
                    target.sync()?;
                    content = Some((other, hash.finalize().into()));
                }
            }
        }
        let folder = folder.ok_or(Error::Missing("dest_dir"))?;
        let folder = line(&folder).map_err(Error::Folder)?;
        let file_name = file_name.ok_or(Error::Missing("filename"))?;
        let file_name = checked_name(&file_name)?;
        let (content_name, hash) = content.ok_or(Error::Missing("the file"))?;
        if content_name != file_name {
            return Err(Error::Unexpected);
        }
        let mut plan = Lines::new(PLAN)
            .with("dest_dir", folder)
            .with("filename", file_name)
            .with("sha256", hex(&hash));
        if let Some(permissions) = permissions {
            let mode = parse_mode(line(&permissions).map_err(|_| Error::Permissions)?)?;
            let mut text = String::new();
            // Writing into a string does not fail.
            let _ = write!(text, "{mode:o}");
            plan = plan.with("mode", text);
        }
        let place = self.places.resolve(folder).map_err(place_failed)?;
        check_target(&Target::new(place.path(), file_name))?;
        Ok(self.places.end_download(&plan)?)
    }

    /// Install: puts the new file in place of the old one.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`restore`](SingleFile::restore) undoes what was done.
    pub async fn replace(&mut self) -> Result<(), Error> {
        let plan = self.places.plan(PLAN)?.ok_or(Error::NotReceived)?;
        let (folder, file_name) = destination(&plan)?;
        let mode = plan.get("mode").map(parse_mode).transpose()?;
        let place = self.places.resolve(folder).map_err(place_failed)?;
        let target = Target::new(place.path(), file_name);
        let old = check_target(&target)?;
        let disk = &self.places.disk;

        let journal = Lines::new(JOURNAL).with("made", place.missing());
        let (journal, old_mode) = match &old {
            Some(metadata) => (journal.with("old", hex(&hash_of(&target.file)?)), mode_of(metadata)),
            None => (journal.with("old", "none"), None),
        };
        for name in [NEW, OLD, PART] {
            disk.remove_file(&target.beside(name))?;
        }
        self.places.write_journal(&journal)?;
        self.places.make(&place)?;

        // What takes long or may not fit comes first, while nothing has changed.
        let new = target.beside(NEW);
        let mut file = disk.create(&new)?;
        let hash = file.copy_from(&self.places.ready().join("content"))?;
        if !plan.is_hash("sha256", &hash) {
            return Err(Error::Damaged);
        }
        disk.set_mode(&new, mode.or(old_mode).unwrap_or(DEFAULT_MODE))?;
        file.sync()?;
        if old.is_some() {
            self.back_up(&target)?;
        }
        disk.rename(&new, &target.file)?;
        Ok(disk.sync_folder(&target.folder)?)
    }

    fn back_up(&self, target: &Target) -> Result<(), Error> {
        let disk = &self.places.disk;
        let (part, old) = (target.beside(PART), target.beside(OLD));
        if disk.link(&target.file, &old).is_err() {
            let metadata = look(&target.file)?.ok_or(Error::BackupLost)?;
            let mut copy = disk.create(&part)?;
            copy.copy_from(&target.file)?;
            if let Some(owner) = owner_of(&metadata) {
                disk.set_owner(&part, owner)?;
            }
            if let Some(mode) = mode_of(&metadata) {
                disk.set_mode(&part, mode)?;
            }
            if let Ok(time) = metadata.modified() {
                copy.set_modified(time)?;
            }
            copy.sync()?;
            disk.rename(&part, &old)?;
        }
        Ok(disk.sync_folder(&target.folder)?)
    }

    /// Rollback: puts the old file back, or removes the new one if there was none.
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
        let (folder, file_name) = destination(&plan)?;
        let place = self.places.resolve(folder).map_err(place_failed)?;
        let target = Target::new(place.path(), file_name);
        let disk = &self.places.disk;
        let now = match look(&target.file)? {
            Some(metadata) if metadata.is_file() => Some(hash_of(&target.file)?),
            Some(_) | None => None,
        };
        if journal.get("old") == Some("none") {
            // A file that somebody else has put there stays.
            if now.is_some_and(|hash| plan.is_hash("sha256", &hash)) {
                disk.remove_file(&target.file)?;
            }
        } else if look(&target.beside(OLD))?.is_some() {
            disk.rename(&target.beside(OLD), &target.file)?;
        } else if !now.is_some_and(|hash| journal.is_hash("old", &hash)) {
            return Err(Error::BackupLost);
        }
        if place.missing() == 0 {
            disk.sync_folder(&target.folder)?;
        }
        remove_own(&self.places, &target)?;
        let made = journal.get("made").and_then(|made| made.parse().ok()).unwrap_or(0);
        self.places.unmake(&target.folder, made)?;
        Ok(self.places.drop_journal()?)
    }

    /// Cleanup: removes the backup and the download.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`]: the next download tries again.
    pub async fn tidy(&mut self) -> Result<(), Error> {
        self.remove_leftovers()
    }

    fn remove_leftovers(&mut self) -> Result<(), Error> {
        if let Some(plan) = self.places.plan(PLAN)?
            && let Ok((folder, file_name)) = destination(&plan)
            && let Ok(place) = self.places.resolve(folder)
        {
            let target = Target::new(place.path(), file_name);
            if look(&target.folder)?.is_some() {
                remove_own(&self.places, &target)?;
            }
        }
        self.places.drop_journal()?;
        Ok(self.places.drop_download()?)
    }
}

/// Removes all that the module has put beside the destination.
fn remove_own(places: &Places, target: &Target) -> Result<(), DiskError> {
    for name in [NEW, OLD, PART] {
        let path = target.beside(name);
        if look(&path)?.is_some() {
            places.disk.remove_file(&path)?;
        }
    }
    Ok(())
}

/// What is at the destination, if it may be replaced.
fn check_target(target: &Target) -> Result<Option<std::fs::Metadata>, Error> {
    match look(&target.file)? {
        Some(metadata) if !metadata.is_file() => Err(Error::NotAFile),
        there => Ok(there),
    }
}

fn checked_name(content: &[u8]) -> Result<&str, Error> {
    let text = line(content).and_then(name).map_err(Error::Name)?;
    if [NEW, OLD, PART].contains(&text) {
        return Err(Error::Name(PathFault::NotAName));
    }
    Ok(text)
}

fn destination(plan: &Lines) -> Result<(&str, &str), Error> {
    let folder = plan.get("dest_dir").ok_or(Error::NotReceived)?;
    let file_name = plan.get("filename").ok_or(Error::NotReceived)?;
    Ok((folder, checked_name(file_name.as_bytes())?))
}

/// As `chmod` reads it, but for symbolic modes.
fn parse_mode(text: &str) -> Result<u32, Error> {
    if text.is_empty() || text.len() > 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Permissions);
    }
    u32::from_str_radix(text, 8).map_err(|_| Error::Permissions)
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
impl SingleFile {
    fn on(disk: crate::disk::Disk, work: &std::path::Path, root: &std::path::Path) -> SingleFile {
        let mut module = SingleFile::new(work, root);
        module.places.disk = disk;
        module
    }
}
