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
//! | cleanup | [`tidy`](SingleFile::tidy) | backup and download are removed; a rollback that was begun is finished first |
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
//! belongs to the process, with the permissions from the payload, else those of the old file (set-user-id and the like only if that
//! belonged to the process too), else 644.
//! Whoever may put links into the root while an update runs is trusted.
//!
//! Beside the destination the names `.mender-single-file.new`, `.old` and `.part` are used while an update runs.
//!
//! # Power loss
//!
//! Every method can end at any step, by a loss of power or a kill, and be called again by the next program: it finishes the
//! job. A journal in the work folder, written before the first change, says where the new file goes, whether there was an old one,
//! and how far it has come. What a power cut leaves
//! of changes that were not synced is taken to be as POSIX allows it: names that come back or go, contents in part or as zeros. A
//! file system must keep what was synced, and the order of the names within one folder.

mod error;
#[cfg(test)]
mod tests;

pub use error::Error;

use core::fmt::Write;
use std::borrow::ToOwned;
use std::fs::Metadata;
use std::path::PathBuf;
use std::string::String;

use mender::update_module;
use mender::update_module::Payload;

use crate::PathFault;
use crate::disk::{
    Disk, Failed, Lines, Place, Places, Placing, Target, Thing, hash_of, hex, line, look, mode_of, name, owner_of,
    short, store,
};

/// A backup that is being copied.
const PART: &str = ".mender-single-file.part";
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
    placing: Placing<OneFile>,
}

impl SingleFile {
    /// A module that keeps its own files in `work` and installs below `root` only.
    ///
    /// `work` is made when it is needed; nothing else may use it, and it must survive restarts. `root` must be there when an
    /// update comes; `/` allows every destination.
    pub fn new(work: impl Into<PathBuf>, root: impl Into<PathBuf>) -> SingleFile {
        SingleFile {
            placing: Placing::new(work.into(), root.into()),
        }
    }

    /// Download: writes the payload to the work folder and checks where it wants to go.
    ///
    /// # Errors
    ///
    /// [`Error`]: nothing outside of the work folder was touched.
    pub async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Error> {
        let incoming = self.placing.begin()?;
        let (mut folder, mut file_name, mut permissions) = (None, None, None);
        let mut content: Option<(String, [u8; 32])> = None;
        while let Some(mut file) = payload.next_file().await? {
            match file.name() {
                "dest_dir" if folder.is_none() => folder = Some(short(&mut file).await?),
                "filename" if file_name.is_none() => file_name = Some(short(&mut file).await?),
                "permissions" if permissions.is_none() => permissions = Some(short(&mut file).await?),
                _ if content.is_some() => return Err(Error::Unexpected),
                other => {
                    let other = other.to_owned();
                    let path = incoming.join("content");
                    let hash = store(&self.placing.places.disk, &mut file, &path).await?;
                    content = Some((other, hash));
                }
            }
        }
        let folder = folder.ok_or(Error::Missing("dest_dir"))?;
        let folder = line(&folder).map_err(Error::Folder)?;
        let file_name = file_name.ok_or(Error::Missing("filename"))?;
        let file_name = checked_name(&file_name).map_err(Error::Name)?;
        let (content_name, hash) = content.ok_or(Error::Missing("the file"))?;
        if content_name != file_name {
            return Err(Error::Unexpected);
        }
        let mut plan = Lines::new(OneFile::PLAN)
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
        Ok(self.placing.end(&plan)?)
    }

    /// Install: puts the new file in place of the old one.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`restore`](SingleFile::restore) undoes what was done.
    pub async fn replace(&mut self) -> Result<(), Error> {
        self.placing.install()
    }

    /// Rollback: puts the old file back, or removes the new one if there was none.
    ///
    /// # Errors
    ///
    /// [`Error::BackupLost`], [`Error::JournalDamaged`]; [`Error::Folder`] if another way leads to the destination than before; or
    /// [`Error::Disk`], and then calling again may help. [`tidy`](SingleFile::tidy) tries again too.
    pub async fn restore(&mut self) -> Result<(), Error> {
        Ok(self.placing.restore()?)
    }

    /// Cleanup: removes the backup and the download. If [`restore`](SingleFile::restore) has begun, it is finished first: the backup
    /// may be the only copy.
    ///
    /// # Errors
    ///
    /// Those of [`restore`](SingleFile::restore): the next download tries again, and leaves what cannot be removed.
    pub async fn tidy(&mut self) -> Result<(), Error> {
        Ok(self.placing.tidy()?)
    }
}

/// A file, placed by renames over it.
#[derive(Debug)]
enum OneFile {}

impl Thing for OneFile {
    type Error = Error;

    const PLAN: &'static str = "single-file plan 1";
    const JOURNAL: &'static str = "single-file journal 1";
    const NEW: &'static str = ".mender-single-file.new";
    const OLD: &'static str = ".mender-single-file.old";
    const OWN: &'static [&'static str] = &[Self::NEW, Self::OLD, PART];

    fn target(places: &Places, plan: &Lines) -> Result<(Place, String), Failed> {
        let folder = plan.get("dest_dir").ok_or(Failed::NotReceived)?;
        let file_name = plan.get("filename").ok_or(Failed::NotReceived)?;
        let file_name = checked_name(file_name.as_bytes()).map_err(|_| Failed::NotReceived)?;
        Ok((places.resolve(folder)?, file_name.to_owned()))
    }

    fn may_replace(there: &Metadata) -> bool {
        there.is_file()
    }

    fn describe(target: &Target) -> Result<String, Failed> {
        Ok(hex(&hash_of(&target.path)?))
    }

    fn build(places: &Places, plan: &Lines, target: &Target, old: Option<&Metadata>) -> Result<(), Error> {
        let mode = plan.get("mode").map(parse_mode).transpose()?;
        let new = target.beside(Self::NEW);
        let mut file = places.disk.create(&new)?;
        let hash = file.copy_from(&places.ready().join("content"))?;
        if !plan.is_hash("sha256", &hash) {
            return Err(Error::Damaged);
        }
        let own = look(&new)?.as_ref().and_then(owner_of);
        let inherited = |old: &Metadata| {
            // To run as its owner is a right of the old file, not of one that belongs to somebody else.
            let mask = if owner_of(old) == own { 0o7777 } else { 0o777 };
            Some(mode_of(old)? & mask)
        };
        let mode = mode.or(old.and_then(inherited)).unwrap_or(DEFAULT_MODE);
        places.disk.set_mode(&new, mode)?;
        Ok(file.sync()?)
    }

    fn keep(disk: &Disk, target: &Target) -> Result<(), Failed> {
        let (part, old) = (target.beside(PART), target.beside(Self::OLD));
        if disk.link(&target.path, &old).is_ok() {
            return Ok(());
        }
        let metadata = look(&target.path)?.ok_or(Failed::BackupLost)?;
        let mut copy = disk.create(&part)?;
        copy.copy_from(&target.path)?;
        let owned = match owner_of(&metadata) {
            Some(owner) => disk.set_owner(&part, owner)?,
            None => false,
        };
        if let Some(mode) = mode_of(&metadata) {
            disk.set_mode(&part, if owned { mode } else { mode & 0o777 })?;
        }
        if let Ok(time) = metadata.modified() {
            copy.set_modified(time)?;
        }
        copy.sync()?;
        Ok(disk.rename(&part, &old)?)
    }

    fn withdraw(disk: &Disk, target: &Target, new: &str) -> Result<(), Failed> {
        // A file that somebody else has put there stays.
        if hash_of_file(target)?.is_some_and(|hash| hex(&hash) == new) {
            disk.remove_file(&target.path)?;
        }
        Ok(())
    }

    fn put_back(disk: &Disk, target: &Target, old: &str, new: &str) -> Result<(), Failed> {
        let kept = target.beside(Self::OLD);
        if look(&kept)?.is_some() {
            return Ok(disk.rename(&kept, &target.path)?);
        }
        // It is kept before the new one takes its place. So without it, the destination has what it had, which its owner may
        // have changed since.
        match hash_of_file(target)? {
            Some(hash) if hex(&hash) != new || old == new => Ok(()),
            Some(_) | None => Err(Failed::BackupLost),
        }
    }
}

/// The hash of what is at the destination, if it is a file.
fn hash_of_file(target: &Target) -> Result<Option<[u8; 32]>, Failed> {
    match look(&target.path)? {
        Some(there) if there.is_file() => Ok(Some(hash_of(&target.path)?)),
        Some(_) | None => Ok(None),
    }
}

fn checked_name(content: &[u8]) -> Result<&str, PathFault> {
    let text = line(content).and_then(name)?;
    if OneFile::OWN.contains(&text) {
        return Err(PathFault::NotAName);
    }
    Ok(text)
}

/// As `chmod` reads it, but for symbolic modes.
fn parse_mode(text: &str) -> Result<u32, Error> {
    if text.is_empty() || text.len() > 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Permissions);
    }
    u32::from_str_radix(text, 8).map_err(|_| Error::Permissions)
}

#[cfg(test)]
impl SingleFile {
    fn on(disk: Disk, work: &std::path::Path, root: &std::path::Path) -> SingleFile {
        SingleFile {
            placing: Placing::on(disk, work, root),
        }
    }
}
