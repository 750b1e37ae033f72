//! Artifacts that come another way than from the server: in a file, on a stick, over a cable.
//!
//! What the Linux client calls a standalone deployment. Each command does one thing and ends, and what is between two of them is in
//! storage:
//!
//! ```text
//!  install ──► download, install ──► (no rollback) ──► commit, cleanup
//!                                └─► awaits ──► commit ───► commit, cleanup
//!                                          └──► rollback ─► rollback, cleanup
//! ```
//!
//! | stored state | what it says here |
//! |---|---|
//! | none of this number | downloaded; nothing has begun |
//! | `Install` | `install` has begun |
//! | `VerifyReboot` | installed: awaits its commit or its rollback |
//! | `Commit` | the commit has begun |
//! | `Rollback` | the rollback has begun |
//! | `Failure(Old)` | the old software is in use; `cleanup` is left |
//! | `Failure(Inconsistent)` | nobody knows what is in use; to mark the artifact's name is left, and `cleanup` |
//! | `Cleanup` | committed; `cleanup` is left |
//! | `Idle` | over |

mod config;
mod outcome;

use core::convert::Infallible;
use core::fmt;
use core::future::{pending, poll_fn};
use core::task::Poll;

use embassy_futures::select::{Either, select};
use embedded_io_async::Read;

use super::blocks::{Blocks, End, Full};
use super::resources::{Lent, Resources};
use super::source::{Source, State, Step};
use crate::agent::deployment::{Module, Trouble};
use crate::agent::memory::as_provides;
use crate::agent::records;
use crate::artifact::Parser;
use crate::deployment::record::{DeploymentNumber, DeploymentRecord, InstalledRecord, StateRecord};
use crate::deployment::{Software, StoredState};
use crate::fmt::{error, warning};
use crate::storage::{RecordKey, Storage};
use crate::update_module::{CallbackState, Failure, Late, ModuleIndex, ModuleSet, Payload, Traits};
pub use config::StandaloneConfig;
use outcome::{Broken, Undone};
pub use outcome::{CommitError, InstallError, Installed, Pending, RollbackError, RolledBack};

/// What the server calls a deployment of its own; a record must name one.
const ID: &str = "standalone";

/// The old software is in use.
const ROLLED_BACK: StoredState = StoredState::Failure(Software::Old);

/// Installs artifacts that come another way than from the server.
///
/// Two storages: `storage` is the client's, where what is installed is kept; `pending` is where a deployment between two commands is,
/// in records of the same names. It must be another place: the client takes what it finds in its own for a deployment of the
/// server. No client may run meanwhile, nor while an update [awaits](Installed::Awaits) its commit: it would hand another update to
/// the same module.
///
/// Nothing restarts the device, and `verify_reboot` and `rollback_verify_reboot` are not called: whoever commits has looked.
///
/// # Power loss
///
/// After a cut anywhere [`pending`](Standalone::pending) says how to go on.
#[derive(Debug)]
pub struct Standalone<'r, S, P, M> {
    config: StandaloneConfig<'r>,
    storage: S,
    pending: P,
    modules: M,
    lent: Lent<'r>,
}

/// The deployment at hand.
#[derive(Clone, Copy)]
struct Deployment {
    number: DeploymentNumber,
    state: Pending,
    module: Module,
    /// Length of its record, in the token's memory.
    len: usize,
}

impl<'r, S: Storage, P: Storage, M: ModuleSet> Standalone<'r, S, P, M> {
    /// Puts it together. Nothing happens yet.
    ///
    /// Of `resources`, `TOKEN` and `BLOCK` bound the records, `BLOCK` is the length of a piece of the artifact, and `ARTIFACT` holds what is
    /// provided and the artifact's header; with the feature `gzip`, compressed ones are unpacked in `WINDOW`.
    pub fn new<
        const TOKEN: usize,
        const LINK: usize,
        const BLOCK: usize,
        const ARTIFACT: usize,
        const WINDOW: usize,
    >(
        config: StandaloneConfig<'r>,
        storage: S,
        pending: P,
        modules: M,
        resources: &'r mut Resources<TOKEN, LINK, BLOCK, ARTIFACT, WINDOW>,
    ) -> Self {
        // As in `Client::new`: what is wrong with a tuple is said at the user's call.
        const { M::DESCRIPTORS };
        Standalone {
            config,
            storage,
            pending,
            modules,
            lent: resources.lend(),
        }
    }

    /// What storage says of the last standalone deployment.
    ///
    /// # Errors
    ///
    /// [`InstallError::Storage`].
    pub async fn pending(&mut self) -> Result<Pending, InstallError> {
        Ok(self.load().await?.state)
    }

    /// Downloads and installs an artifact: its bytes, from the first on, until the reader ends.
    ///
    /// # Errors
    ///
    /// [`InstallError`].
    ///
    /// # Cancellation
    ///
    /// As a loss of power.
    pub async fn install<R: Read>(&mut self, reader: R) -> Result<Installed, InstallError> {
        let before = self.load().await?;
        match before.state {
            Pending::Nothing => {}
            Pending::Downloaded | Pending::RolledBack => self.finish(before, ROLLED_BACK).await?,
            state @ (Pending::Cut
            | Pending::Awaits
            | Pending::Committing
            | Pending::RollingBack
            | Pending::Failing
            | Pending::CleaningUp) => return Err(InstallError::Pending(state)),
        }
        let number = before.number.next();
        let installed_len = self.load_installed().await?;
        let (module, taken) = self.download(reader, number, installed_len).await;
        let mut deployment = Deployment {
            number,
            state: Pending::Downloaded,
            module,
            len: 0,
        };
        match taken {
            Ok(len) => deployment.len = len,
            Err(error) => {
                // Nothing is stored, as nothing has begun.
                self.call(module, CallbackState::Cleanup).await;
                return Err(error);
            }
        }
        let Module::Known(index, traits) = module else {
            self.store_installed(deployment).await?;
            return Ok(Installed::Committed);
        };
        self.store_deployment(deployment).await?;
        self.store(number, StoredState::Install).await?;
        let needs_reboot = match self.modules.call(index, CallbackState::Install).await {
            Ok(late) => traits.requires_reboot || late == Some(Late::NeedsReboot),
            Err(failure) => return Err(self.fail(deployment, traits, index, failure).await?.into()),
        };
        self.store(number, StoredState::VerifyReboot).await?;
        if traits.supports_rollback {
            return Ok(Installed::Awaits { needs_reboot });
        }
        match self.commit_now(deployment, index, traits).await? {
            None => Ok(Installed::Committed),
            Some(undone) => Err(undone.into()),
        }
    }

    /// Makes the update that awaits it permanent: what it provides becomes the device's.
    ///
    /// # Errors
    ///
    /// [`CommitError`].
    ///
    /// # Power loss and cancellation
    ///
    /// The same again goes on.
    pub async fn commit(&mut self) -> Result<(), CommitError> {
        let deployment = self.load().await?;
        match deployment.state {
            Pending::Awaits | Pending::Committing => {}
            Pending::CleaningUp => return Ok(self.finish(deployment, StoredState::Cleanup).await?),
            state @ (Pending::Nothing
            | Pending::Downloaded
            | Pending::Cut
            | Pending::RollingBack
            | Pending::RolledBack
            | Pending::Failing) => return Err(CommitError::NotAwaited(state)),
        }
        let Module::Known(index, traits) = deployment.module else {
            return Err(CommitError::NoModule);
        };
        let needs_reboot = traits.requires_reboot;
        match self.commit_now(deployment, index, traits).await? {
            None => Ok(()),
            Some(Undone::Back(why)) => Err(CommitError::RolledBack(why, RolledBack { needs_reboot })),
            Some(Undone::Lost(why)) => Err(CommitError::Inconsistent(why)),
        }
    }

    /// Gets back to the software from before the update.
    ///
    /// # Errors
    ///
    /// [`RollbackError`].
    ///
    /// # Power loss and cancellation
    ///
    /// The same again goes on.
    pub async fn rollback(&mut self) -> Result<RolledBack, RollbackError> {
        let deployment = self.load().await?;
        match deployment.state {
            Pending::Nothing => return Err(RollbackError::Nothing),
            Pending::Downloaded => {
                self.finish(deployment, ROLLED_BACK).await?;
                return Ok(RolledBack { needs_reboot: false });
            }
            Pending::RolledBack => {
                self.finish(deployment, ROLLED_BACK).await?;
                return Ok(RolledBack {
                    needs_reboot: deployment.module.traits().requires_reboot,
                });
            }
            Pending::CleaningUp => {
                self.finish(deployment, StoredState::Cleanup).await?;
                return Err(RollbackError::Committed);
            }
            Pending::Committing if self.is_committed(deployment).await? => {
                self.finish(deployment, StoredState::Cleanup).await?;
                return Err(RollbackError::Committed);
            }
            Pending::Failing => {
                self.lose(deployment).await?;
                return Err(RollbackError::Inconsistent(Failure::of(
                    "it could not be rolled back before",
                )));
            }
            Pending::Cut | Pending::Awaits | Pending::Committing | Pending::RollingBack => {}
        }
        let Module::Known(index, traits) = deployment.module else {
            return Err(RollbackError::NoModule);
        };
        let was_cut = deployment.state == Pending::Cut;
        self.undo(deployment, traits, index, was_cut)
            .await?
            .map_err(RollbackError::Inconsistent)?;
        Ok(RolledBack {
            needs_reboot: traits.requires_reboot,
        })
    }

    /// What became of it instead, if it could not be committed.
    async fn commit_now(
        &mut self,
        deployment: Deployment,
        index: ModuleIndex,
        traits: Traits,
    ) -> Result<Option<Undone>, Broken> {
        self.store(deployment.number, StoredState::Commit).await?;
        if let Err(failure) = self.modules.call(index, CallbackState::Commit).await {
            return self.fail(deployment, traits, index, failure).await.map(Some);
        }
        self.store_installed(deployment).await?;
        self.finish(deployment, StoredState::Cleanup).await?;
        Ok(None)
    }

    /// A callback has failed, for this reason.
    async fn fail(
        &mut self,
        deployment: Deployment,
        traits: Traits,
        index: ModuleIndex,
        why: Failure,
    ) -> Result<Undone, Broken> {
        Ok(match self.undo(deployment, traits, index, true).await? {
            Ok(()) => Undone::Back(why),
            Err(no_way_back) => {
                warning!("rollback: {}", no_way_back.as_str());
                Undone::Lost(why)
            }
        })
    }

    /// Rolls back, calls `failure` if the update has failed, and cleans up. Within: why there is no way back.
    async fn undo(
        &mut self,
        deployment: Deployment,
        traits: Traits,
        index: ModuleIndex,
        has_failed: bool,
    ) -> Result<Result<(), Failure>, Broken> {
        self.store(deployment.number, StoredState::Rollback).await?;
        let back = if traits.supports_rollback {
            self.modules.call(index, CallbackState::Rollback).await.map(drop)
        } else {
            Err(Failure::of("the update module cannot roll back"))
        };
        if back.is_err() {
            self.lose(deployment).await?;
            return Ok(back);
        }
        if has_failed {
            self.call(deployment.module, CallbackState::Failure).await;
        }
        self.finish(deployment, ROLLED_BACK).await?;
        Ok(back)
    }

    /// Neither software is known to be complete. That stays so, also if power is lost meanwhile and the module finds a way back then:
    /// the name that is stored says it.
    async fn lose(&mut self, deployment: Deployment) -> Result<(), Broken> {
        let failed = StoredState::Failure(Software::Inconsistent);
        self.store(deployment.number, failed).await?;
        self.mark_inconsistent(deployment).await?;
        self.call(deployment.module, CallbackState::Failure).await;
        self.finish(deployment, failed).await
    }

    /// What is left of a deployment that has come to this: `cleanup`.
    async fn finish(&mut self, deployment: Deployment, end: StoredState) -> Result<(), Broken> {
        self.store(deployment.number, end).await?;
        self.call(deployment.module, CallbackState::Cleanup).await;
        self.store(deployment.number, StoredState::Idle).await
    }

    /// Calls a state whose failure changes nothing.
    async fn call(&mut self, module: Module, state: CallbackState) {
        let Module::Known(index, _) = module else { return };
        if let Err(failure) = self.modules.call(index, state).await {
            warning!("{}: {}", state.name(), failure.as_str());
        }
    }

    /// Gets the artifact: who installs it, and the length of its record in the token's memory.
    async fn download<R: Read>(
        &mut self,
        mut reader: R,
        number: DeploymentNumber,
        installed_len: usize,
    ) -> (Module, Result<usize, InstallError>) {
        let Lent {
            token,
            block,
            other_block,
            artifact,
            #[cfg(feature = "gzip")]
            unpacker,
            ..
        } = &mut self.lent;
        let (front, work) = artifact.split_at_mut_checked(installed_len).unwrap_or_default();
        let blocks = Blocks::new(other_block);
        let limits = self.config.artifact_limits;
        #[cfg(feature = "artifact-keys")]
        let parser = Parser::with_keys(limits, work, self.config.artifact_keys);
        #[cfg(not(feature = "artifact-keys"))]
        let parser = Parser::new(limits, work);
        #[cfg(feature = "gzip")]
        let parser = parser.unpacking(unpacker);
        let mut source = Source::new(parser, &blocks);
        let mut module = Module::None;
        let (modules, config, block_len) = (&mut self.modules, &self.config, block.len());
        let take = async {
            poll_fn(|cx| {
                loop {
                    match source.step() {
                        Step::Header => return Poll::Ready(Ok(())),
                        Step::Payload(_) => {}
                        Step::Empty => {
                            blocks.wait(cx);
                            return Poll::Pending;
                        }
                        Step::Failed => return Poll::Ready(Err(refused(source.trouble()))),
                    }
                }
            })
            .await?;
            let installed = as_provides(front);
            let taker = source
                .fit(config.device_type, installed, modules.descriptors())
                .map_err(refused)?;
            // What is installed will be written from a block.
            let room = token.len().min(block_len);
            let record = token.get_mut(..room).unwrap_or(&mut []);
            let header = source.parser.header().ok_or(InstallError::Source)?;
            let len = records::deployment(record, number, ID, &header, installed).ok_or(InstallError::TooLong)?;
            module = taker;
            let mut payload = Payload::new(&mut source);
            let taken = match &mut module {
                Module::Known(index, traits) => match modules.download(*index, &mut payload).await {
                    Ok(now) => {
                        *traits = now.unwrap_or(*traits);
                        Ok(())
                    }
                    Err(failure) => Err(failure),
                },
                Module::None | Module::Missing => Ok(()),
            };
            // What the module left unread is verified too, and so is the artifact's end.
            let whole = match taken {
                Ok(()) => payload.finish().await,
                Err(_) => Ok(()),
            };
            // The stream's own trouble explains a module's failure, not the other way round.
            match (source.state, taken, whole) {
                (State::Refused(error), _, _) => Err(InstallError::Artifact(error)),
                (State::Broken, _, _) => Err(InstallError::Source),
                (State::Reading | State::Ended, Err(failure), _) => Err(InstallError::Module(failure)),
                (State::Reading | State::Ended, Ok(()), Err(_)) => Err(InstallError::Source),
                (State::Reading | State::Ended, Ok(()), Ok(())) => Ok(len),
            }
        };
        let mut block = &mut **block;
        let fill = async {
            let mut at: u32 = 0;
            loop {
                if block.is_empty() {
                    block = blocks.take_back();
                }
                if block.is_empty() {
                    poll_fn(|_| {
                        if blocks.has_news(true) {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    })
                    .await;
                    continue;
                }
                match reader.read(block).await {
                    Ok(0) => break blocks.end(End::Final),
                    Ok(len) => {
                        let block = core::mem::take(&mut block);
                        blocks.hand_over(Full { block, len, at });
                        // Where an artifact may not reach, positions do not matter any more.
                        at = at.saturating_add(len as u32);
                    }
                    Err(error) => {
                        error!("the artifact cannot be read: {error:?}");
                        break blocks.end(End::Broken);
                    }
                }
            }
            pending::<Infallible>().await
        };
        let taken = match select(take, fill).await {
            Either::First(taken) => taken,
            Either::Second(never) => match never {},
        };
        (module, taken)
    }

    /// What is installed, to the front of the artifact's memory; its length.
    async fn load_installed(&mut self) -> Result<usize, Broken> {
        let len = read(&mut self.storage, RecordKey::Installed, self.lent.token).await?;
        let record = self.lent.token.get(..len.unwrap_or(0)).unwrap_or(&[]);
        let installed = if record.is_empty() {
            InstalledRecord::default()
        } else {
            InstalledRecord::decode(record).map_err(|error| broken(&error))?
        };
        let list = records::provided(installed.provides, self.config.artifact_name, self.lent.artifact);
        list.map_err(|error| broken(&error))
    }

    /// The deployment at hand; its record in the token's memory.
    async fn load(&mut self) -> Result<Deployment, Broken> {
        let mut state = [0; crate::deployment::record::STATE_RECORD_LEN];
        let state_len = read(&mut self.pending, RecordKey::State, &mut state).await?;
        let len = read(&mut self.pending, RecordKey::Deployment, self.lent.token).await?;
        let state = match state_len.map(|len| StateRecord::decode(state.get(..len).unwrap_or(&[]))) {
            Some(state) => Some(state.map_err(|error| broken(&error))?),
            None => None,
        };
        let Some(len) = len else {
            return Ok(Deployment {
                number: state.map_or(DeploymentNumber::default(), |state| state.number),
                state: Pending::Nothing,
                module: Module::None,
                len: 0,
            });
        };
        let record = self.lent.token.get(..len).unwrap_or(&[]);
        let record = DeploymentRecord::decode(record).map_err(|error| broken(&error))?;
        let state = state.filter(|state| state.number == record.number);
        Ok(Deployment {
            number: record.number,
            state: match state.map(|state| state.state) {
                None | Some(StoredState::Download) => Pending::Downloaded,
                Some(StoredState::Install | StoredState::Reboot) => Pending::Cut,
                Some(StoredState::VerifyReboot) => Pending::Awaits,
                Some(StoredState::Commit) => Pending::Committing,
                Some(StoredState::Rollback | StoredState::RollbackReboot | StoredState::RollbackVerifyReboot) => {
                    Pending::RollingBack
                }
                Some(StoredState::Failure(Software::Untouched | Software::Old)) => Pending::RolledBack,
                Some(StoredState::Failure(Software::Inconsistent)) => Pending::Failing,
                Some(StoredState::Cleanup) => Pending::CleaningUp,
                Some(StoredState::Idle | StoredState::Owed(_)) => Pending::Nothing,
            },
            module: Module::find(self.modules.descriptors(), record.payload_type),
            len,
        })
    }

    async fn store(&mut self, number: DeploymentNumber, state: StoredState) -> Result<(), Broken> {
        let record = StateRecord {
            number,
            state,
            transitions: 0,
        };
        write(&mut self.pending, RecordKey::State, &record.encode()).await
    }

    async fn store_deployment(&mut self, deployment: Deployment) -> Result<(), Broken> {
        let record = self.lent.token.get(..deployment.len).unwrap_or(&[]);
        write(&mut self.pending, RecordKey::Deployment, record).await
    }

    /// What the deployment provides is the device's own from now on. No deployment of the server has committed it.
    async fn store_installed(&mut self, deployment: Deployment) -> Result<(), Broken> {
        let len = self.installed_of(deployment)?;
        let record = self.lent.block.get(..len).unwrap_or(&[]);
        write(&mut self.storage, RecordKey::Installed, record).await
    }

    async fn mark_inconsistent(&mut self, deployment: Deployment) -> Result<(), Broken> {
        let len = self.installed_of(deployment)?;
        let none = DeploymentNumber::default();
        let len =
            records::mark(self.lent.block, len, none, self.config.artifact_name).map_err(|error| broken(&error))?;
        let record = self.lent.block.get(..len).unwrap_or(&[]);
        write(&mut self.storage, RecordKey::Installed, record).await
    }

    /// The installed record of what the deployment provides, in the block; its length.
    fn installed_of(&mut self, deployment: Deployment) -> Result<usize, Broken> {
        let record = self.lent.token.get(..deployment.len).unwrap_or(&[]);
        let record = DeploymentRecord::decode(record).map_err(|error| broken(&error))?;
        let none = DeploymentNumber::default();
        records::installed(self.lent.block, none, record.provides).map_err(|error| broken(&error))
    }

    /// What is installed is what the deployment provides.
    async fn is_committed(&mut self, deployment: Deployment) -> Result<bool, Broken> {
        let len = self.installed_of(deployment)?;
        let installed = read(&mut self.storage, RecordKey::Installed, self.lent.artifact).await?;
        let installed = installed.and_then(|len| self.lent.artifact.get(..len));
        Ok(installed == self.lent.block.get(..len))
    }
}

fn refused(trouble: Trouble) -> InstallError {
    match trouble {
        Trouble::Artifact(error) => InstallError::Artifact(error),
        Trouble::WrongType(failure) => InstallError::WrongType(failure),
        Trouble::Misfit(failure) => InstallError::Misfit(failure),
        Trouble::Record => InstallError::TooLong,
        Trouble::Module(failure) => InstallError::Module(failure),
        Trouble::Unfinished => InstallError::Source,
    }
}

fn broken(error: &dyn fmt::Display) -> Broken {
    error!("a record cannot be used: {error}");
    Broken
}

async fn read<S: Storage>(storage: &mut S, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, Broken> {
    storage.read(key, buffer).await.map_err(|error| broken(&error))
}

async fn write<S: Storage>(storage: &mut S, key: RecordKey, record: &[u8]) -> Result<(), Broken> {
    storage.write(key, record).await.map_err(|error| broken(&error))
}
