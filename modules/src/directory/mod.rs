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
//! | download | [`receive`](Replacer::receive) | the payload goes to the work folder, and to the disk with each MiB; every entry is checked |
//! | install | [`replace`](Replacer::replace) | the archive is unpacked beside the destination, closed to others until it is whole; then the old folder is renamed, and the new one after it |
//! | rollback | [`restore`](Replacer::restore) | the old folder is renamed back; without an old one the new one is removed |
//! | cleanup | [`tidy`](Replacer::tidy) | the old folder and the download are removed; a rollback that was begun is finished first |
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
//! a link, links that lead out of the folder, devices and pipes, and files with holes, of which a small archive could fill the disk. A
//! symbolic link must be relative and may have `..` only at its
//! beginning. Permissions are set as the archive says; owners too where the process may, else set-user-id and the like are dropped.
//! Extended attributes are not.
//!
//! # A download that is cut short
//!
//! The archive is kept as it comes, and unpacked by the install only. So the next download of the same one goes on where it was, as that
//! of a single file does: a record says with each MiB of `update.tar` that it is on the disk. What comes again at most, and when what is
//! there is removed, is the same too.
//!
//! # Power loss
//!
//! Every method can end at any step, by a loss of power or a kill, and be called again by the next program: it finishes the
//! job. A journal in the work folder, written before the first change, says where the new folder goes, whether there was an old one, and
//! how far it has come. What a power cut leaves
//! of changes that were not synced is taken to be as for single files: names that come back or go, contents in part or as zeros. A file system must
//! keep what was synced, and the order of the names within one folder.

mod archive;
mod error;
#[cfg(test)]
mod tests;

pub use error::{EntryFault, Refusal};

use std::borrow::ToOwned;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::Path;
use std::string::String;

use mender::update_module::Payload;

use crate::disk::{
    self, Disk, Failed, Lines, Place, Places, Target, Thing, hash_of, hex, line, look, mode_of, name, owner_of, short,
    store,
};
use crate::{PathFault, Replacer};

const ARCHIVE: &str = "update.tar";
/// For folders of which neither the archive nor an old folder says it.
const DEFAULT_MODE: u32 = 0o755;

/// The update module for folders: see the [module documentation](self). All it has is [`Replacer`]'s.
pub type Directory = Replacer<Tree>;

/// Why a callback of [`Directory`] failed.
pub type Error = disk::Error<Refusal>;

/// A folder, placed by renames of the old one and the new one.
#[derive(Debug)]
pub enum Tree {}

impl Thing for Tree {
    type Refusal = Refusal;

    const ARTIFACT_TYPE: &'static str = "directory";
    const PLAN: &'static str = "directory plan 1";
    const JOURNAL: &'static str = "directory journal 1";
    /// Also what is to be removed.
    const NEW: &'static str = ".mender-directory.new";
    const OLD: &'static str = ".mender-directory.old";
    const OWN: &'static [&'static str] = &[Self::NEW, Self::OLD];

    async fn receive(disk: &Disk, incoming: &Path, payload: &mut Payload<'_>) -> Result<Lines, Error> {
        let tar = incoming.join(ARCHIVE);
        let (mut folder, mut hash) = (None, None);
        while let Some(mut file) = payload.next_file().await? {
            match file.name() {
                "dest_dir" if folder.is_none() => folder = Some(short(&mut file).await?),
                ARCHIVE if hash.is_none() => hash = Some(store(disk, incoming, ARCHIVE, &mut file).await?),
                _ => return Err(Error::Unexpected),
            }
        }
        let folder = folder.ok_or(Error::Missing("dest_dir"))?;
        let folder = line(&folder).map_err(Error::Folder)?;
        let hash = hash.ok_or(Error::Missing(ARCHIVE))?;
        archive::check(&tar)?;
        let plan = Lines::new(Self::PLAN)
            .with("dest_dir", folder)
            .with("sha256", hex(&hash));
        Ok(plan)
    }

    /// The links on the way are resolved.
    fn target(places: &Places, plan: &Lines) -> Result<(Place, String), Failed> {
        let folder = plan.get("dest_dir").ok_or(Failed::NotReceived)?;
        places.may_replace(&places.resolve(folder)?.path())?;
        let (parent, name) = parent_of(folder)?;
        Ok((places.resolve(parent)?, name.to_owned()))
    }

    fn may_replace(there: &Metadata) -> bool {
        there.is_dir()
    }

    /// Whether it is at its place can be seen by what is beside it.
    fn describe(_: &Target) -> Result<String, Failed> {
        Ok("folder".into())
    }

    fn build(places: &Places, plan: &Lines, target: &Target, old: Option<&Metadata>) -> Result<(), Error> {
        let tar = places.ready().join(ARCHIVE);
        if !plan.is_hash("sha256", &hash_of(&tar)?) {
            return Err(Error::Damaged);
        }
        let disk = &places.disk;
        let new = target.beside(Self::NEW);
        // Whoever may write to the old folder must not reach into the new one while it is being filled, perhaps by root.
        disk.make_private_folder(&new)?;
        let mode = old.and_then(mode_of).unwrap_or(DEFAULT_MODE);
        archive::unpack(&tar, &new, disk, old.and_then(owner_of), mode)?;
        Ok(disk.sync_folder(&target.parent)?)
    }

    fn keep(disk: &Disk, target: &Target) -> Result<(), Failed> {
        Ok(disk.rename(&target.path, &target.beside(Self::OLD))?)
    }

    fn withdraw(disk: &Disk, target: &Target, _: &str) -> Result<(), Failed> {
        // It was built; so where it is not beside the destination any more, it has taken its place.
        let new = target.beside(Self::NEW);
        if look(&target.path)?.is_some() && look(&new)?.is_none() {
            disk.rename(&target.path, &new)?;
        }
        Ok(())
    }

    fn put_back(disk: &Disk, target: &Target, _: &str, _: &str) -> Result<(), Failed> {
        let (new, old) = (target.beside(Self::NEW), target.beside(Self::OLD));
        let there = look(&target.path)?.is_some();
        if look(&old)?.is_none() {
            // The old one was not moved yet, or was moved back already: the new one is beside it in both cases.
            let is_old = there && look(&new)?.is_some();
            return if is_old { Ok(()) } else { Err(Failed::BackupLost) };
        }
        if there {
            disk.remove_tree(&new)?;
            disk.rename(&target.path, &new)?;
            disk.sync_folder(&target.parent)?;
        }
        Ok(disk.rename(&old, &target.path)?)
    }
}

/// The folder above, and the last part.
fn parent_of(folder: &str) -> Result<(&str, &str), PathFault> {
    let path = Path::new(folder);
    let parent = path.parent().and_then(Path::to_str);
    let last = path.file_name().and_then(OsStr::to_str);
    match (parent, last) {
        (Some(parent), Some(last)) if !Tree::OWN.contains(&last) => Ok((parent, name(last)?)),
        (Some(_), Some(_)) => Err(PathFault::NotAName),
        (_, _) => Err(PathFault::Root),
    }
}
