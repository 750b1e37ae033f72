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
//! | download | [`receive`](Replacer::receive) | the payload goes to the work folder, and to the disk with each MiB |
//! | install | [`replace`](Replacer::replace) | the file is written beside the destination, the old one gets a second name, then the new one takes its place in one step |
//! | rollback | [`restore`](Replacer::restore) | the old one takes its place back in one step; without an old one the new one is removed, and the folders made for it |
//! | cleanup | [`tidy`](Replacer::tidy) | backup and download are removed; a rollback that was begun is finished first |
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
//! # A download that is cut short
//!
//! By a restart, a kill or a loss of power: then the next download of the same file, which the client begins by itself, goes on where it
//! was. What is on the disk is read and not fetched again; the server is asked for the rest (by HTTP's `Range`). At most a MiB comes
//! again, and what was on its way. For that each MiB is synced, and then a record of it, which is true whenever the power goes; the file
//! is known by the SHA-256 of its artifact's manifest. A file of up to a MiB has no record, and costs no sync more.
//!
//! What is there is checked like what comes, by that SHA-256. If somebody has changed it, the deployment fails with
//! [`PayloadError::Artifact`](mender::update_module::PayloadError), once, and it is removed. Otherwise it is removed by the cleanup of a
//! deployment that ends, or by the next download of another file, and takes its room in the work folder until then. Artifacts that
//! come compressed begin anew.
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

pub use error::Refusal;

use core::fmt::Write;
use std::borrow::ToOwned;
use std::fs::Metadata;
use std::path::Path;
use std::string::String;

use mender::update_module::Payload;

use crate::disk::{
    self, Disk, Failed, Lines, Place, Places, Target, Thing, hash_of, hex, line, look, mode_of, name, owner_of, short,
    store,
};
use crate::{PathFault, Replacer};

/// A backup that is being copied.
const PART: &str = ".mender-single-file.part";
const DEFAULT_MODE: u32 = 0o644;

/// The update module for single files: see the [module documentation](self). All it has is [`Replacer`]'s.
pub type SingleFile = Replacer<OneFile>;

/// Why a callback of [`SingleFile`] failed.
pub type Error = disk::Error<Refusal>;

/// A file, placed by renames over it.
#[derive(Debug)]
pub enum OneFile {}

impl Thing for OneFile {
    type Refusal = Refusal;

    const ARTIFACT_TYPE: &'static str = "single-file";
    const PLAN: &'static str = "single-file plan 1";
    const JOURNAL: &'static str = "single-file journal 1";
    const NEW: &'static str = ".mender-single-file.new";
    const OLD: &'static str = ".mender-single-file.old";
    const OWN: &'static [&'static str] = &[Self::NEW, Self::OLD, PART];

    async fn receive(disk: &Disk, incoming: &Path, payload: &mut Payload<'_>) -> Result<Lines, Error> {
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
                    let hash = store(disk, incoming, "content", &mut file).await?;
                    content = Some((other, hash));
                }
            }
        }
        let folder = folder.ok_or(Error::Missing("dest_dir"))?;
        let folder = line(&folder).map_err(Error::Folder)?;
        let file_name = file_name.ok_or(Error::Missing("filename"))?;
        let file_name = checked_name(&file_name).map_err(|fault| Error::Refused(Refusal::Name(fault)))?;
        let (content_name, hash) = content.ok_or(Error::Missing("the file"))?;
        if content_name != file_name {
            return Err(Error::Unexpected);
        }
        let mut plan = Lines::new(Self::PLAN)
            .with("dest_dir", folder)
            .with("filename", file_name)
            .with("sha256", hex(&hash));
        if let Some(permissions) = permissions {
            let mode = parse_mode(line(&permissions).map_err(|_| Error::Refused(Refusal::Permissions))?)?;
            let mut text = String::new();
            // Writing into a string does not fail.
            let _ = write!(text, "{mode:o}");
            plan = plan.with("mode", text);
        }
        Ok(plan)
    }

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
        return Err(Error::Refused(Refusal::Permissions));
    }
    u32::from_str_radix(text, 8).map_err(|_| Error::Refused(Refusal::Permissions))
}
