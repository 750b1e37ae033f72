//! What storage says at the start: what runs, and whether a deployment goes on. Pure.

use super::answer::DeploymentId;
use super::config::Config;
use super::deployment::{Deployment, Module};
use super::io::Fault;
use super::journal::Journal;
use super::memory::Memory;
use crate::deployment::Machine;
use crate::deployment::record::{self, DeploymentNumber, DeploymentRecord, InstalledRecord, RecordError, StateRecord};
use crate::fmt::{error, info};
use crate::provides::{ARTIFACT_NAME, ProvidesBuf};
use crate::storage::{LogSlot, RecordKey};
use crate::text::Shown;
use crate::update_module::Descriptor;

/// The record that is read next; one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Installed,
    State,
    Deployment,
    Log(LogSlot),
    Over,
}

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Boot {
    step: Step,
    state: Option<Result<StateRecord, RecordError>>,
    /// Who committed what runs.
    pub(super) installed_by: DeploymentNumber,
    /// The last deployment.
    pub(super) number: DeploymentNumber,
}

impl Boot {
    pub(super) const fn new() -> Boot {
        Boot {
            step: Step::Installed,
            state: None,
            installed_by: DeploymentNumber::new(0),
            number: DeploymentNumber::new(0),
        }
    }

    /// The record to be read now; `None` when all have been.
    pub(super) fn next(&self) -> Option<RecordKey> {
        match self.step {
            Step::Installed => Some(RecordKey::Installed),
            Step::State => Some(RecordKey::State),
            Step::Deployment => Some(RecordKey::Deployment),
            Step::Log(slot) => Some(RecordKey::Log(slot)),
            Step::Over => None,
        }
    }

    /// The record is at the front of the block. Says which deployment goes on, once that is known.
    pub(super) fn read(
        &mut self,
        result: Result<Option<usize>, Fault>,
        memory: &mut Memory<'_>,
        config: &Config<'_>,
        modules: &[Descriptor],
        journal: &mut Journal,
    ) -> Option<Deployment> {
        if let Err(fault) = result {
            error!("a record cannot be read: {}", Shown(&fault));
        }
        let len = result.ok().flatten();
        let record = len.and_then(|len| memory.block.get(..len));
        match self.step {
            Step::Installed => {
                let installed = record.map(InstalledRecord::decode).transpose().unwrap_or_else(|error| {
                    error!("the installed record cannot be used: {error}");
                    None
                });
                let installed = installed.unwrap_or_default();
                self.installed_by = installed.committed_by;
                let list = ProvidesBuf::copy_of(installed.provides, memory.front).and_then(|mut list| {
                    if list.as_provides().artifact_name().is_none() {
                        list.set(ARTIFACT_NAME, config.artifact_name)?;
                    }
                    Ok(list.len())
                });
                memory.installed_len = list.unwrap_or_else(|error| {
                    error!("{error}");
                    0
                });
                self.step = Step::State;
                None
            }
            Step::State => {
                self.state = match (result, record) {
                    (Ok(_), record) => record.map(StateRecord::decode),
                    (Err(_), _) => Some(Err(RecordError::Malformed)),
                };
                if let Some(Ok(record)) = self.state {
                    self.number = record.number;
                }
                self.step = Step::Deployment;
                None
            }
            Step::Deployment => {
                let first = if cfg!(feature = "deployment-log") {
                    Step::Log(LogSlot::FIRST)
                } else {
                    Step::Over
                };
                self.step = first;
                // Without its id nothing can be reported; the server offers the deployment again, and it starts anew.
                let deployment = DeploymentRecord::decode(record?);
                if let Err(error) = &deployment {
                    error!("the deployment record cannot be used: {error}");
                }
                let deployment = deployment.ok()?;
                self.number = deployment.number;
                journal.begin(deployment.number);
                let stored = record::stored(deployment.number, self.installed_by, self.state);
                let module = Module::find(modules, deployment.payload_type);
                let machine = Machine::resume(stored, module.traits(), config.transition_limit)?;
                let id = DeploymentId::try_from(deployment.id).ok()?;
                info!("deployment {id} goes on in {}", machine.state().name());
                Some(Deployment::resume(
                    machine,
                    id,
                    deployment.number,
                    module,
                    self.installed_by,
                ))
            }
            Step::Log(slot) => {
                journal.seen(record.unwrap_or(&[]));
                let next = slot.next();
                self.step = if next == LogSlot::FIRST {
                    Step::Over
                } else {
                    Step::Log(next)
                };
                None
            }
            Step::Over => None,
        }
    }
}
