//! The way of an update to its destination and back, whatever is placed there.
//!
//! ```text
//! download   work/ready/               complete, or not there
//! install    work/journal              what was there before
//!            beside the destination    the new one; the old one
//!            the destination           the new one, by a rename
//! rollback   the destination           the old one, by a rename
//! cleanup    nothing but the destination is left
//! ```
//!
//! Every part may end at any step and be done again. A name that was given or taken is brought to the disk before anything is done
//! that relies on it.

use core::marker::PhantomData;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use mender::update_module::File;
use sha2::{Digest, Sha256};

use super::{Disk, Failed, Lines, Place, Places, look};

/// No path or number of a payload is longer.
const LINE_MAX_LEN: usize = 4096;
/// In the journal, where nothing was at the destination.
const NONE: &str = "none";

/// What is placed at a destination.
pub(crate) trait Thing {
    /// Why a callback failed.
    type Error: From<Failed>;

    /// First lines of what is written about it.
    const PLAN: &'static str;
    const JOURNAL: &'static str;
    /// Beside the destination: the new one, until it takes its place.
    const NEW: &'static str;
    /// And the old one, whole.
    const OLD: &'static str;
    /// All names that are used there.
    const OWN: &'static [&'static str];

    /// Where a plan wants to go.
    fn target(places: &Places, plan: &Lines) -> Result<Target, Failed>;

    /// Whether this may be replaced.
    fn may_replace(there: &Metadata) -> bool;

    /// What the journal is to say of the old one: enough for [`put_back`](Thing::put_back), on one line.
    fn describe(target: &Target) -> Result<String, Failed>;

    /// Makes the new one from the download, beside the destination, whole and on the disk.
    fn build(places: &Places, plan: &Lines, target: &Target, old: Option<&Metadata>) -> Result<(), Self::Error>;

    /// Makes the old one be beside the destination. Whether it is still at the destination does not matter.
    fn keep(disk: &Disk, target: &Target) -> Result<(), Failed>;

    /// Removes the new one from the destination, where nothing was before.
    fn withdraw(disk: &Disk, target: &Target, plan: &Lines) -> Result<(), Failed>;

    /// Makes the old one be at the destination.
    fn put_back(disk: &Disk, target: &Target, described: &str) -> Result<(), Failed>;
}

/// A destination.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// The place's path: the folder that the thing is in.
    pub(crate) parent: PathBuf,
    pub(crate) path: PathBuf,
}

impl Target {
    pub(crate) fn new(place: Place, name: &str) -> Target {
        let parent = place.path();
        Target {
            place,
            path: parent.join(name),
            parent,
        }
    }

    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.parent.join(name)
    }
}

/// What the modules have in common.
#[derive(Debug)]
pub(crate) struct Placing<T> {
    pub(crate) places: Places,
    thing: PhantomData<fn() -> T>,
}

impl<T: Thing> Placing<T> {
    pub(crate) fn new(work: PathBuf, root: PathBuf) -> Placing<T> {
        Placing {
            places: Places::new(work, root),
            thing: PhantomData,
        }
    }

    /// Begins a download: gives the empty folder for it.
    pub(crate) fn begin(&self) -> Result<PathBuf, Failed> {
        // An update that was given up may have left its backup.
        self.tidy()?;
        Ok(self.places.begin_download()?)
    }

    /// Ends it, if it can be installed.
    pub(crate) fn end(&self, plan: &Lines) -> Result<(), Failed> {
        Self::check(&T::target(&self.places, plan)?)?;
        Ok(self.places.end_download(plan)?)
    }

    fn plan(&self) -> Result<Lines, Failed> {
        self.places.plan(T::PLAN)?.ok_or(Failed::NotReceived)
    }

    /// What is at the destination, if it may be replaced.
    fn check(target: &Target) -> Result<Option<Metadata>, Failed> {
        match look(&target.path)? {
            Some(there) if !T::may_replace(&there) => Err(Failed::InTheWay),
            there => Ok(there),
        }
    }

    /// Puts the new one in place of the old one.
    pub(crate) fn install(&self) -> Result<(), T::Error> {
        let plan = self.plan()?;
        let target = T::target(&self.places, &plan)?;
        let old = self.prepare(&target)?;
        // What takes long or may not fit comes first, while nothing has changed.
        T::build(&self.places, &plan, &target, old.as_ref())?;
        Ok(self.swap(&target, old.is_some())?)
    }

    /// Up to the journal, and the folders that are missing.
    fn prepare(&self, target: &Target) -> Result<Option<Metadata>, Failed> {
        let old = Self::check(target)?;
        let described = match old {
            Some(_) => T::describe(target)?,
            None => NONE.into(),
        };
        self.remove_own(target)?;
        let journal = Lines::new(T::JOURNAL)
            .with("made", target.place.missing())
            .with("old", described);
        self.places.write_journal(&journal)?;
        self.places.make(&target.place)?;
        Ok(old)
    }

    fn swap(&self, target: &Target, has_old: bool) -> Result<(), Failed> {
        let disk = &self.places.disk;
        if has_old {
            T::keep(disk, target)?;
            disk.sync_folder(&target.parent)?;
        }
        disk.rename(&target.beside(T::NEW), &target.path)?;
        Ok(disk.sync_folder(&target.parent)?)
    }

    /// Puts everything back as the journal says.
    pub(crate) fn restore(&self) -> Result<(), Failed> {
        let Some(journal) = self.places.journal(T::JOURNAL)? else {
            // Install has not begun, or this was done before.
            return Ok(());
        };
        let plan = self.plan()?;
        let target = T::target(&self.places, &plan)?;
        let disk = &self.places.disk;
        match journal.get("old") {
            None | Some(NONE) => T::withdraw(disk, &target, &plan)?,
            Some(described) => T::put_back(disk, &target, described)?,
        }
        if look(&target.parent)?.is_some() {
            disk.sync_folder(&target.parent)?;
        }
        self.remove_own(&target)?;
        let made = journal.get("made").and_then(|made| made.parse().ok()).unwrap_or(0);
        self.places.unmake(&target.parent, made)?;
        Ok(self.places.drop_journal()?)
    }

    /// Removes all but what is at the destination.
    pub(crate) fn tidy(&self) -> Result<(), Failed> {
        if let Some(plan) = self.places.plan(T::PLAN)? {
            match T::target(&self.places, &plan) {
                Ok(target) => self.remove_own(&target)?,
                Err(Failed::Disk(error)) if !error.is_missing() => return Err(error.into()),
                // The destination is none any more, and nothing beside it can be reached.
                Err(_) => {}
            }
        }
        self.places.drop_journal()?;
        Ok(self.places.drop_download()?)
    }

    /// Removes all that is beside the destination.
    fn remove_own(&self, target: &Target) -> Result<(), Failed> {
        let disk = &self.places.disk;
        let mut removed = false;
        for name in T::OWN {
            let path = target.beside(name);
            if look(&path)?.is_some() {
                disk.remove_tree(&path)?;
                removed = true;
            }
        }
        if removed {
            disk.sync_folder(&target.parent)?;
        }
        Ok(())
    }
}

/// A payload file of one line.
pub(crate) async fn short(file: &mut File<'_, '_>) -> Result<Vec<u8>, Failed> {
    let mut content = Vec::new();
    if file.len() > LINE_MAX_LEN as u64 {
        return Err(Failed::Unexpected);
    }
    while let Some(chunk) = file.next_chunk().await? {
        content.extend_from_slice(chunk);
    }
    Ok(content)
}

/// Writes a payload file to a new file of the disk and gives its hash.
pub(crate) async fn store(disk: &Disk, file: &mut File<'_, '_>, path: &Path) -> Result<[u8; 32], Failed> {
    let mut hash = Sha256::new();
    let mut target = disk.create(path)?;
    while let Some(chunk) = file.next_chunk().await? {
        hash.update(chunk);
        target.write(chunk)?;
    }
    target.sync()?;
    Ok(hash.finalize().into())
}

#[cfg(test)]
impl<T: Thing> Placing<T> {
    pub(crate) fn on(disk: Disk, work: &Path, root: &Path) -> Placing<T> {
        let mut placing = Placing::new(work.into(), root.into());
        placing.places.disk = disk;
        placing
    }
}
