//! What a deployment writes to storage: its record, its state, and what is installed.

use rand_core::CryptoRng;

use super::{Module, Running};
use crate::client::device::{Clock, Device};
use crate::client::updates::Updates;
use crate::deployment::record::{self, DeploymentRecord, InstalledRecord, StateRecord};
use crate::deployment::{Event, INCONSISTENT_SUFFIX, StoredState};
use crate::fmt::error;
use crate::net::Connector;
use crate::provides::{ARTIFACT_NAME, Malformed, Provides, ProvidesBuf, SetError};
use crate::storage::{RecordKey, Storage};
use crate::update_module::ModuleSet;

impl<'c, D, C, S, K, R, M> Updates<'_, 'c, D, C, S, K, R, M>
where
    D: Device,
    C: Connector + 'c,
    S: Storage,
    K: Clock,
    R: CryptoRng,
    M: ModuleSet,
{
    pub(super) async fn store_deployment(&mut self, running: &mut Running) -> Event {
        let provides = Provides::from_bytes(self.next.get(..running.next_len).unwrap_or(&[])).unwrap_or_default();
        let record = DeploymentRecord {
            number: self.number,
            id: &running.id,
            payload_type: match running.module {
                Module::Known(module, _) => M::descriptor(module).map_or("", |descriptor| descriptor.artifact_type),
                Module::None | Module::Missing => "",
            },
            provides,
        };
        let len = match record.encode(self.scratch) {
            Ok(len) => len,
            Err(error) => {
                self.trouble(running, format_args!("the deployment record: {error}"))
                    .await;
                return Event::Failed;
            }
        };
        self.write(running, RecordKey::Deployment, len).await
    }

    pub(super) async fn store_state(&mut self, running: &mut Running, state: StoredState, transitions: u8) -> Event {
        let record = StateRecord {
            number: self.number,
            state,
            transitions,
        }
        .encode();
        let Some(place) = self.scratch.get_mut(..record.len()) else {
            return Event::Failed;
        };
        place.copy_from_slice(&record);
        self.write(running, RecordKey::State, record.len()).await
    }

    /// Writes the first bytes of the scratch buffer.
    async fn write(&mut self, running: &mut Running, key: RecordKey, len: usize) -> Event {
        let result = self.storage.write(key, self.scratch.get(..len).unwrap_or(&[])).await;
        match result {
            Ok(()) => Event::Done,
            Err(error) => {
                running
                    .journal
                    .error(
                        self.storage,
                        self.clock,
                        format_args!("a record cannot be stored: {error}"),
                    )
                    .await;
                Event::Failed
            }
        }
    }

    pub(super) async fn store_installed(&mut self, running: &mut Running) -> Event {
        let provides = Provides::from_bytes(self.next.get(..running.next_len).unwrap_or(&[])).unwrap_or_default();
        let record = InstalledRecord {
            committed_by: self.number,
            provides,
        };
        let stored = match record.encode(self.scratch) {
            Ok(len) => self.write(running, RecordKey::Installed, len).await,
            Err(error) => {
                self.trouble(running, format_args!("the installed record: {error}"))
                    .await;
                Event::Failed
            }
        };
        match stored {
            Event::Done => {
                let provides =
                    Provides::from_bytes(self.next.get(..running.next_len).unwrap_or(&[])).unwrap_or_default();
                // It fitted into a record of the same length.
                let fits = self.session.lock().await.set_installed(provides);
                debug_assert!(fits);
                // The server talks to this device, as the commit gate has found out.
                self.news.authorized.signal(());
                self.news.software_changed.signal(());
            }
            Event::Failed | Event::Aborted => {
                // The write may have reached the flash all the same: put the old provides back over it.
                self.store_running_provides(running).await;
            }
        }
        stored
    }

    /// What the Linux client does: name and provides of the artifact become the device's own, the name with the suffix.
    pub(super) async fn mark_inconsistent(&mut self, running: &mut Running) -> Event {
        {
            let mut session = self.session.lock().await;
            let next = Provides::from_bytes(self.next.get(..running.next_len).unwrap_or(&[])).unwrap_or_default();
            let known = next.artifact_name();
            let name = known
                .or(session.installed().artifact_name())
                .unwrap_or(self.config.artifact_name);
            let mut marked = heapless::String::<{ 256 + INCONSISTENT_SUFFIX.len() }>::new();
            let room = marked.capacity() - INCONSISTENT_SUFFIX.len();
            let name = name.strip_suffix(INCONSISTENT_SUFFIX).unwrap_or(name);
            // Cut to fit.
            let kept = name.get(..name.floor_char_boundary(room)).unwrap_or("");
            let pushed = marked.push_str(kept).and(marked.push_str(INCONSISTENT_SUFFIX));
            debug_assert!(pushed.is_ok());
            // Marked before a restart.
            if session.installed().artifact_name() == Some(&marked) {
                return Event::Done;
            }
            if known.is_none() {
                // The provides in the deployment's record could not be used: the old ones are the best there is.
                running.next_len = ProvidesBuf::copy_of(session.installed(), self.next).map_or(0, |list| list.len());
            }
            let changed = match ProvidesBuf::reopen(self.next, running.next_len) {
                Ok(mut list) => list.set(ARTIFACT_NAME, &marked).map(|()| list.len()),
                Err(Malformed) => Err(SetError::Length),
            };
            running.next_len = match changed {
                Ok(len) => len,
                Err(error) => {
                    error!("the artifact name cannot be marked: {error}");
                    return Event::Failed;
                }
            };
            let list = Provides::from_bytes(self.next.get(..running.next_len).unwrap_or(&[])).unwrap_or_default();
            if !session.set_installed(list) {
                error!("the artifact name cannot be marked: record buffers are too short");
                return Event::Failed;
            }
        }
        self.news.software_changed.signal(());
        self.store_running_provides(running).await
    }

    /// Writes the provides of what runs, leaving alone which deployment committed them.
    async fn store_running_provides(&mut self, running: &mut Running) -> Event {
        // Not the present deployment: it is the one that failed.
        let committed_by = match self.installed_by().await {
            number if number == self.number => record::DeploymentNumber::default(),
            number => number,
        };
        let encoded = {
            let session = self.session.lock().await;
            InstalledRecord {
                committed_by,
                provides: session.installed(),
            }
            .encode(self.scratch)
        };
        match encoded {
            Ok(len) => self.write(running, RecordKey::Installed, len).await,
            Err(error) => {
                self.trouble(running, format_args!("the installed record: {error}"))
                    .await;
                Event::Failed
            }
        }
    }
}
