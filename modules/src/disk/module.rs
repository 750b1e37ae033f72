//! The update module itself, whatever it replaces.

use std::path::PathBuf;

use mender::update_module;
use mender::update_module::{Payload, PayloadError};

use super::Error;
use super::placing::{Placing, Thing};

/// The update module [`SingleFile`](crate::file::SingleFile) or [`Directory`](crate::directory::Directory), by what it replaces.
///
/// Its futures block while the disk works.
#[update_module(
    artifact_type = T::ARTIFACT_TYPE,
    supports_rollback,
    on(download = receive, install = replace, rollback = restore, cleanup = tidy)
)]
#[derive(Debug)]
pub struct Replacer<T: Thing> {
    placing: Placing<T>,
}

impl<T: Thing> Replacer<T> {
    /// A module that keeps its own files in `work` and installs below `root` only.
    ///
    /// `work` is made when it is needed; nothing else may use it, and it must survive restarts. `root` must be there when an
    /// update comes; `/` allows every destination.
    pub fn new(work: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Replacer<T> {
        Replacer {
            placing: Placing::new(work.into(), root.into()),
        }
    }

    /// Download: writes the payload to the work folder, and checks it and where it wants to go. If a restart has cut the same one short,
    /// it goes on where that was, by a MiB at most before it.
    ///
    /// # Errors
    ///
    /// [`Error`]: nothing outside of the work folder was touched.
    pub async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Error<T::Refusal>> {
        let incoming = self.placing.begin()?;
        let places = &self.placing.places;
        match T::receive(&places.disk, &incoming, payload).await {
            Ok(plan) => Ok(self.placing.end(&plan)?),
            Err(error) => {
                // If what was there of the file before is to blame, the next download must not begin with it. A disk that keeps it is
                // the worse error.
                if let Error::Payload(PayloadError::Artifact) = error {
                    places.forget_download()?;
                }
                Err(error)
            }
        }
    }

    /// Install: puts the new one in place of the old one.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`restore`](Replacer::restore) undoes what was done.
    pub async fn replace(&mut self) -> Result<(), Error<T::Refusal>> {
        self.placing.install()
    }

    /// Rollback: puts the old one back, or removes the new one if there was none.
    ///
    /// # Errors
    ///
    /// [`Error::BackupLost`], [`Error::JournalDamaged`]; [`Error::Folder`] if another way leads to the destination than before; or
    /// [`Error::Disk`], and then calling again may help. [`tidy`](Replacer::tidy) tries again too.
    pub async fn restore(&mut self) -> Result<(), Error<T::Refusal>> {
        Ok(self.placing.restore()?)
    }

    /// Cleanup: removes the old one that was kept, and the download. If [`restore`](Replacer::restore) has begun, or nothing is at the
    /// destination, the old one is brought back first: it may be the only copy.
    ///
    /// # Errors
    ///
    /// Those of [`restore`](Replacer::restore): the next download tries again, and leaves what cannot be removed.
    pub async fn tidy(&mut self) -> Result<(), Error<T::Refusal>> {
        Ok(self.placing.tidy()?)
    }
}

#[cfg(test)]
impl<T: Thing> Replacer<T> {
    pub(crate) fn on(disk: super::Disk, work: &std::path::Path, root: &std::path::Path) -> Replacer<T> {
        Replacer {
            placing: Placing::on(disk, work, root),
        }
    }
}
