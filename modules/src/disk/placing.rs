//! The way of an update to its destination and back, whatever is placed there.
//!
//! ```text
//! download   work/ready/               complete, or not there
//! install    work/journal              where it goes, what was there before, how far it has come
//!            beside the destination    the new one; the old one
//!            the destination           the new one, by a rename
//! rollback   the destination           the old one, by a rename
//! cleanup    nothing but the destination is left
//! ```
//!
//! Every part may end at any step and be done again. A name that was given or taken is brought to the disk before anything is done
//! that relies on it. Once an install has begun, only the journal says where it goes: the new software may have changed the links
//! on the way.

use core::marker::PhantomData;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use mender::update_module::{File, Payload};

use super::journal::{Journal, Stage};
use super::{Disk, Error, Failed, Lines, PathFault, Place, Places, Refusal, line, look};

/// No path or number of a payload is longer.
const LINE_MAX_LEN: usize = 4096;

/// What is placed at a destination.
///
/// Public only in the signatures of the two modules: nobody outside can name it or what it speaks of.
pub trait Thing: Sized + Send {
    /// What only this one refuses.
    type Refusal: Refusal;

    /// The payload type.
    const ARTIFACT_TYPE: &'static str;
    /// First lines of what is written about it.
    const PLAN: &'static str;
    const JOURNAL: &'static str;
    /// Beside the destination: the new one, until it takes its place.
    const NEW: &'static str;
    /// And the old one, whole.
    const OLD: &'static str;
    /// All names that are used there.
    const OWN: &'static [&'static str];

    /// Writes the payload to the folder `incoming`: one file of it with [`store`](super::store), and nothing before that. Gives the plan,
    /// which says all that an install has to know.
    fn receive(
        disk: &Disk,
        incoming: &Path,
        payload: &mut Payload<'_>,
    ) -> impl Future<Output = Result<Lines, Error<Self::Refusal>>> + Send;

    /// Where a plan wants to go: a folder, and a name in it.
    fn target(places: &Places, plan: &Lines) -> Result<(Place, String), Failed>;

    /// Whether this may be replaced.
    fn may_replace(there: &Metadata) -> bool;

    /// What the journal is to say of the old one: enough for [`put_back`](Thing::put_back), on one line.
    fn describe(target: &Target) -> Result<String, Failed>;

    /// Makes the new one from the download, beside the destination, whole and on the disk.
    fn build(
        places: &Places,
        plan: &Lines,
        target: &Target,
        old: Option<&Metadata>,
    ) -> Result<(), Error<Self::Refusal>>;

    /// Makes the old one be beside the destination. Whether it is still at the destination does not matter.
    fn keep(disk: &Disk, target: &Target) -> Result<(), Failed>;

    /// Removes the new one from the destination, where nothing was before. `new` is the hash of what was downloaded. Only
    /// after the new one was built.
    fn withdraw(disk: &Disk, target: &Target, new: &str) -> Result<(), Failed>;

    /// Makes the old one be at the destination. Only after the new one was built.
    fn put_back(disk: &Disk, target: &Target, old: &str, new: &str) -> Result<(), Failed>;
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The folder that the thing is in; no link is on the way there.
    pub(crate) parent: PathBuf,
    pub(crate) path: PathBuf,
}

impl Target {
    /// Only of paths that can be written into a journal.
    pub(super) fn new(parent: PathBuf, name: &str) -> Result<Target, Failed> {
        line(parent.as_os_str().as_encoded_bytes())?;
        let path = parent.join(name);
        Ok(Target { parent, path })
    }

    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.parent.join(name)
    }

    /// Whether the way there is still what it was.
    fn is_reachable(&self) -> Result<(), Failed> {
        match fs::canonicalize(&self.parent) {
            Ok(way) if way != self.parent => Err(Failed::Folder(PathFault::NotAFolder)),
            // Who goes there will find out.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// The way of an update, as far as it does not matter what is placed.
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

    /// Begins a download: gives the folder for it. It is empty, but for what there is of a download that was cut short.
    pub(crate) fn begin(&self) -> Result<PathBuf, Failed> {
        // An update that was given up may have left its backup. What cannot be removed must not keep all later updates away: it
        // stays, and is in the way of those to the same destination only.
        if let Err(error) = self.settle() {
            match self.journal() {
                Ok(Some(journal)) if Self::only_old_is_left(&journal)? => return Err(error),
                Ok(_) | Err(_) => self.places.drop_journal()?,
            }
        }
        Ok(self.places.begin_download()?)
    }

    /// Ends it, if it can be installed.
    pub(crate) fn end(&self, plan: &Lines) -> Result<(), Failed> {
        let (_, target) = self.target(plan)?;
        Self::check(&target)?;
        Ok(self.places.end_download(plan)?)
    }

    fn plan(&self) -> Result<Lines, Failed> {
        self.places.plan(T::PLAN)?.ok_or(Failed::NotReceived)
    }

    fn target(&self, plan: &Lines) -> Result<(Place, Target), Failed> {
        let (place, name) = T::target(&self.places, plan)?;
        let target = Target::new(place.path(), &name)?;
        Ok((place, target))
    }

    fn journal(&self) -> Result<Option<Journal>, Failed> {
        let Some(lines) = self.places.journal(T::JOURNAL)? else {
            return Ok(None);
        };
        Journal::from_lines(&lines).map(Some).ok_or(Failed::JournalDamaged)
    }

    fn write_journal(&self, journal: &Journal) -> Result<(), Failed> {
        Ok(self.places.write_journal(&journal.to_lines(T::JOURNAL))?)
    }

    /// What is at the destination, if it may be replaced.
    fn check(target: &Target) -> Result<Option<Metadata>, Failed> {
        match look(&target.path)? {
            Some(there) if !T::may_replace(&there) => Err(Failed::InTheWay),
            there => Ok(there),
        }
    }

    /// Puts the new one in place of the old one.
    pub(crate) fn install(&self) -> Result<(), Error<T::Refusal>> {
        // An install that was cut short is undone before it is done again.
        self.restore()?;
        let plan = self.plan()?;
        let (place, target) = self.target(&plan)?;
        let (old, journal) = self.prepare(&place, target, &plan)?;
        // What takes long or may not fit comes first, while nothing has changed.
        T::build(&self.places, &plan, &journal.target, old.as_ref())?;
        Ok(self.swap(journal)?)
    }

    /// Up to the journal, and the folders that are missing.
    fn prepare(&self, place: &Place, target: Target, plan: &Lines) -> Result<(Option<Metadata>, Journal), Failed> {
        let old = Self::check(&target)?;
        self.remove_own(&target)?;
        let journal = Journal {
            stage: Stage::Begun,
            old: match old {
                Some(_) => Some(T::describe(&target)?),
                None => None,
            },
            new: plan.get("sha256").ok_or(Failed::NotReceived)?.into(),
            made: place.missing(),
            target,
        };
        self.write_journal(&journal)?;
        self.places.make(place)?;
        Ok((old, journal))
    }

    fn swap(&self, journal: Journal) -> Result<(), Failed> {
        let journal = journal.at(Stage::Built);
        self.write_journal(&journal)?;
        let Journal { target, old, .. } = journal;
        let disk = &self.places.disk;
        if old.is_some() {
            T::keep(disk, &target)?;
            disk.sync_folder(&target.parent)?;
        }
        disk.rename(&target.beside(T::NEW), &target.path)?;
        Ok(disk.sync_folder(&target.parent)?)
    }

    /// Puts everything back as the journal says. Without one there is nothing to put back: install has not begun, or this was
    /// done before.
    pub(crate) fn restore(&self) -> Result<(), Failed> {
        let Some(mut journal) = self.journal()? else {
            return Ok(());
        };
        journal.target.is_reachable()?;
        let disk = &self.places.disk;
        if let Stage::Built | Stage::Restoring = journal.stage {
            journal = journal.at(Stage::Restoring);
            self.write_journal(&journal)?;
            let Journal { target, old, new, .. } = &journal;
            match old {
                None => T::withdraw(disk, target, new)?,
                Some(old) => T::put_back(disk, target, old, new)?,
            }
            if look(&target.parent)?.is_some() {
                disk.sync_folder(&target.parent)?;
            }
            journal = journal.at(Stage::Restored);
            self.write_journal(&journal)?;
        }
        let Journal { target, made, .. } = &journal;
        self.remove_own(target)?;
        self.places.unmake(&target.parent, *made)?;
        Ok(self.places.drop_journal()?)
    }

    /// Removes all but what is at the destination. A way back that was begun is gone to its end.
    pub(crate) fn tidy(&self) -> Result<(), Failed> {
        self.settle()?;
        Ok(self.places.drop_download()?)
    }

    /// The same, but for the download.
    fn settle(&self) -> Result<(), Failed> {
        if let Some(journal) = self.journal()? {
            if journal.stage == Stage::Built && !Self::only_old_is_left(&journal)? {
                journal.target.is_reachable()?;
                self.remove_own(&journal.target)?;
            } else {
                self.restore()?;
            }
        }
        Ok(self.places.drop_journal()?)
    }

    /// Nothing is at the destination, and the old one is beside it.
    fn only_old_is_left(journal: &Journal) -> Result<bool, Failed> {
        let Journal { target, .. } = journal;
        Ok(look(&target.path)?.is_none() && look(&target.beside(T::OLD))?.is_some())
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

#[cfg(test)]
impl<T: Thing> Placing<T> {
    pub(crate) fn on(disk: Disk, work: &Path, root: &Path) -> Placing<T> {
        let mut placing = Placing::new(work.into(), root.into());
        placing.places.disk = disk;
        placing
    }
}
