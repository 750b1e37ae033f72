//! One deployment: the machine's actions, performed.
//!
//! | file | actions |
//! |---|---|
//! | `mod.rs` | begin, resume, drive; the module's callbacks; waiting for a restart |
//! | `download.rs` | the download |
//! | `store.rs` | records |
//! | `report.rs` | progress, commit gate, verdict, log |

mod download;
mod report;
mod store;

use core::ops::ControlFlow;
use core::time::Duration;

use rand_core::CryptoRng;

use super::backoff::Backoff;
use super::calls::{DeploymentId, Route};
use super::device::{Clock, Device, Event as Observed};
use super::journal::{self, Journal};
use super::updates::Updates;
use crate::deployment::record::{self, DeploymentRecord, InstalledRecord, RecordError, StateRecord};
use crate::deployment::{Action, Event, Machine, State, Traits, Verdict};
use crate::fmt::{error, info};
use crate::net::Connector;
use crate::provides::ProvidesBuf;
use crate::storage::{RecordKey, Storage};
use crate::update_module::{CallbackState, Failure, ModuleIndex, ModuleSet};

/// A deployment under way: what the machine does not need to know.
pub(super) struct Running {
    id: DeploymentId,
    module: Module,
    /// How it was offered.
    route: Route,
    /// Length of the download link in the link buffer; 0 after a restart.
    link_len: usize,
    /// Length of the provides that become the device's own, in their buffer.
    next_len: usize,
    journal: Journal,
    delivery: Backoff,
    /// Uptime before which the verdict is not told again.
    next_try: Duration,
    /// How often the server may still refuse the verdict.
    refusals_left: u8,
}

/// Who installs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    /// Not known before the artifact's header, or not needed: an artifact without a payload.
    None,
    /// Registered.
    Known(ModuleIndex, Traits),
    /// The deployment was begun by a firmware that had a module which this one has not.
    Missing,
}

/// How often the server may refuse a verdict as malformed before it is given up: about an hour. Not at once, because a
/// gateway may have said so.
const REFUSALS: u8 = 8;

impl Running {
    pub(super) fn traits(&self) -> Traits {
        match self.module {
            Module::Known(_, traits) => traits,
            Module::None | Module::Missing => Traits {
                requires_reboot: false,
                supports_rollback: false,
            },
        }
    }
}

fn traits_of<M: ModuleSet>(module: ModuleIndex) -> Traits {
    M::descriptor(module).map_or(
        Traits {
            requires_reboot: false,
            supports_rollback: false,
        },
        |descriptor| Traits {
            requires_reboot: descriptor.requires_reboot,
            supports_rollback: descriptor.supports_rollback,
        },
    )
}

impl<'c, D, C, S, K, R, M> Updates<'_, 'c, D, C, S, K, R, M>
where
    D: Device,
    C: Connector + 'c,
    S: Storage,
    K: Clock,
    R: CryptoRng,
    M: ModuleSet,
{
    /// A deployment that the server offers.
    pub(super) async fn begin(&mut self, id: DeploymentId, route: Route, link_len: usize) -> Running {
        // A deployment that failed in its download has left nothing but its log.
        let logged = journal::last_number(self.storage).await;
        self.number = self.number.max(logged).next();
        Running {
            id,
            module: Module::None,
            route,
            link_len,
            next_len: 0,
            journal: Journal::begin(self.number),
            delivery: Backoff::new(self.config.retry_first, self.config.retry_cap),
            next_try: Duration::ZERO,
            refusals_left: REFUSALS,
        }
    }

    /// The deployment that storage knows of, if it is not over.
    pub(super) async fn resume(&mut self) -> Option<(Machine, Running)> {
        let state = match self.storage.read(RecordKey::State, self.scratch).await {
            Ok(Some(len)) => Some(StateRecord::decode(self.scratch.get(..len).unwrap_or(&[]))),
            Ok(None) => None,
            Err(error) => {
                error!("the state record cannot be read: {error}");
                Some(Err(RecordError::Malformed))
            }
        };
        if let Some(Ok(record)) = state {
            self.number = record.number;
        }
        let installed_by = self.installed_by().await;
        let len = match self.storage.read(RecordKey::Deployment, self.scratch).await {
            Ok(Some(len)) => len,
            Ok(None) => return None,
            Err(error) => {
                // Without its id nothing can be reported; the server offers the deployment again, and it starts anew.
                error!("the deployment record cannot be read: {error}");
                return None;
            }
        };
        let deployment = match DeploymentRecord::decode(self.scratch.get(..len).unwrap_or(&[])) {
            Ok(deployment) => deployment,
            Err(error) => {
                error!("the deployment record cannot be used: {error}");
                return None;
            }
        };
        self.number = deployment.number;
        let stored = record::stored(deployment.number, installed_by, state);
        let next_len = match ProvidesBuf::copy_of(deployment.provides, self.next) {
            Ok(list) => list.len(),
            Err(error) => {
                error!("{error}");
                0
            }
        };
        let module = match deployment.payload_type {
            "" => Module::None,
            artifact_type => match M::find(artifact_type) {
                Some(module) => Module::Known(module, traits_of::<M>(module)),
                None => Module::Missing,
            },
        };
        let running = Running {
            id: DeploymentId::try_from(deployment.id).ok()?,
            module,
            route: Route::V2,
            link_len: 0,
            next_len,
            journal: Journal::resume(deployment.number),
            delivery: Backoff::new(self.config.retry_first, self.config.retry_cap),
            next_try: Duration::ZERO,
            refusals_left: REFUSALS,
        };
        let machine = Machine::resume(stored, running.traits(), self.config.transition_limit)?;
        info!("deployment {} goes on in {}", running.id, machine.state().name());
        self.device.observe(Observed::Resumed {
            id: &running.id,
            state: machine.state(),
        });
        Some((machine, running))
    }

    async fn installed_by(&mut self) -> record::DeploymentNumber {
        match self.storage.read(RecordKey::Installed, self.scratch).await {
            Ok(Some(len)) => InstalledRecord::decode(self.scratch.get(..len).unwrap_or(&[]))
                .map(|installed| installed.committed_by)
                .unwrap_or_default(),
            Ok(None) | Err(_) => record::DeploymentNumber::default(),
        }
    }

    /// Drives a deployment to its end; `Break` if the client is to stop before.
    pub(super) async fn drive(&mut self, mut machine: Machine, mut running: Running) -> ControlFlow<()> {
        let mut shown = None;
        loop {
            if shown != Some(machine.state()) && machine.state() != State::End {
                shown = Some(machine.state());
                info!("entering {}", machine.state().name());
                self.device.observe(Observed::Entered(machine.state()));
            }
            let event = match machine.action() {
                Action::End(verdict) => {
                    self.device.observe(Observed::Finished(verdict));
                    info!(
                        "deployment {}: {}",
                        running.id,
                        match verdict {
                            Verdict::Success => "success",
                            Verdict::Failure => "failure",
                        }
                    );
                    return ControlFlow::Continue(());
                }
                Action::Report(progress) => self.report(&mut running, progress).await,
                Action::Download => {
                    let event = self.download(&mut running).await;
                    machine.set_module(running.traits());
                    event
                }
                Action::StoreDeployment => self.store_deployment(&mut running).await,
                Action::StoreState(state) => self.store_state(&mut running, state, machine.transitions()).await,
                Action::Call(callback) => self.call(&mut running, callback).await,
                Action::CommitGate => self.commit_gate(&mut running).await,
                Action::StoreInstalled => self.store_installed(&mut running).await,
                Action::MarkInconsistent => self.mark_inconsistent(&mut running).await,
                Action::ReportVerdict(verdict) => self.report_verdict(&mut running, verdict).await,
                Action::AwaitRestart => self.await_restart(&mut running).await,
                Action::Deliver(verdict) => {
                    self.pause_delivery(&mut running).await?;
                    self.report_verdict(&mut running, verdict).await
                }
                Action::UploadLog => self.upload_log(&mut running).await,
            };
            machine.handle(event);
        }
    }

    async fn call(&mut self, running: &mut Running, callback: CallbackState) -> Event {
        let result = match running.module {
            Module::Known(module, _) => self.modules.call(module, callback).await,
            Module::None => Ok(()),
            Module::Missing => match callback {
                CallbackState::Cleanup | CallbackState::Failure => Ok(()),
                CallbackState::Install
                | CallbackState::Reboot
                | CallbackState::VerifyReboot
                | CallbackState::Commit
                | CallbackState::Rollback
                | CallbackState::RollbackReboot
                | CallbackState::RollbackVerifyReboot => {
                    Err(Failure::new("this firmware has no update module for the deployment"))
                }
            },
        };
        match result {
            Ok(()) => Event::Done,
            Err(failure) => {
                self.trouble(running, format_args!("{}: {failure}", callback.name()))
                    .await;
                Event::Failed
            }
        }
    }

    async fn await_restart(&mut self, running: &mut Running) -> Event {
        self.session.lock().await.close();
        self.device.observe(Observed::AwaitingRestart);
        self.clock.sleep(self.config.restart_timeout).await;
        self.remark(
            running,
            format_args!("the module's restart did not happen: restarting the device"),
        )
        .await;
        self.device.restart().await;
        self.clock.sleep(self.config.restart_timeout).await;
        self.trouble(running, format_args!("the device did not restart")).await;
        Event::Failed
    }

    /// An error of this deployment, for its log.
    async fn trouble(&mut self, running: &mut Running, text: core::fmt::Arguments<'_>) {
        running.journal.error(self.storage, self.clock, text).await;
    }

    /// A warning of this deployment, for its log.
    async fn remark(&mut self, running: &mut Running, text: core::fmt::Arguments<'_>) {
        running.journal.warning(self.storage, self.clock, text).await;
    }
}
