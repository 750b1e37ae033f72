//! What storage says at the start: what runs, and whether a deployment goes on. Pure.
//!
//! Nothing is decided on a record that cannot be read now: it is tried again, after pauses, for as long as it takes. Without its
//! records a device knows neither what runs on it nor what it owes to the server, and whatever it said or did might be wrong. A
//! record that is damaged, or of another version, will not get better: what follows from the others is done.
//!
//! | record that cannot be used | what follows |
//! |---|---|
//! | installed | the name of the configuration |
//! | state | a committed deployment is committed; any other is rolled back, which is right whatever runs |
//! | deployment | the server is asked again; if the module had begun to act, the name is marked with `_INCONSISTENT` first |

use super::answer::DeploymentId;
use super::deployment::{Deployment, Module};
use super::io::{Ctx, Do, Fault};
use super::journal::Journal;
use super::memory::Memory;
use super::records;
use super::time::{Backoff, Deadline, Millis};
use crate::deployment::record::{self, DeploymentNumber, DeploymentRecord, InstalledRecord, RecordError, StateRecord};
use crate::deployment::{Machine, Stored, StoredState};
use crate::fmt::{error, info};
use crate::storage::{LogSlot, RecordKey};
use crate::text::Shown;
use crate::update_module::Descriptor;

/// What is done next; one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Installed,
    State,
    Deployment,
    /// The installed record in the block, marked as inconsistent, is to be written.
    Mark(u16),
    Log(LogSlot),
    Over,
}

/// What is to be done at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Do(Do),
    /// Storage fails: nothing for so long.
    Wait(Millis),
    /// All is known.
    Over,
}

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Boot {
    step: Step,
    /// Before this storage is not tried again.
    next_try: Deadline,
    backoff: Backoff,
    state: Option<Result<StateRecord, RecordError>>,
    /// Who committed what runs.
    pub(super) installed_by: DeploymentNumber,
    /// The last deployment.
    pub(super) number: DeploymentNumber,
    /// How many downloads in a row did not come to an end; until the server has answered a poll.
    pub(super) attempts: Option<u8>,
}

impl Boot {
    pub(super) const fn new() -> Boot {
        Boot {
            step: Step::Installed,
            next_try: Deadline::NOW,
            backoff: Backoff::new(),
            state: None,
            installed_by: DeploymentNumber::new(0),
            number: DeploymentNumber::new(0),
            attempts: Some(0),
        }
    }

    pub(super) fn next(&self, ctx: &Ctx<'_>) -> Next {
        let left = self.next_try.left(ctx.now);
        if !left.is_zero() {
            return Next::Wait(left);
        }
        Next::Do(match self.step {
            Step::Installed => Do::Read(RecordKey::Installed),
            Step::State => Do::Read(RecordKey::State),
            Step::Deployment => Do::Read(RecordKey::Deployment),
            Step::Mark(len) => Do::Write(RecordKey::Installed, len),
            Step::Log(slot) => Do::Read(RecordKey::Log(slot)),
            Step::Over => return Next::Over,
        })
    }

    /// Storage fails: there is a pause now.
    pub(super) fn waits(&self) -> bool {
        self.next_try != Deadline::NOW
    }

    /// Ends a pause.
    pub(super) fn hurry(&mut self) {
        self.next_try = Deadline::NOW;
    }

    fn wait(&mut self, fault: Fault, ctx: &Ctx<'_>) {
        error!("storage: {}; trying again", Shown(&fault));
        let pause = self.backoff.pause(ctx.retry_first(), ctx.retry_cap(), ctx.random);
        self.next_try = Deadline::after(ctx.now, pause);
    }

    /// The record is at the front of the block. Says which deployment goes on, once that is known.
    pub(super) fn read(
        &mut self,
        result: Result<Option<usize>, Fault>,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        modules: &[Descriptor],
        journal: &mut Journal,
    ) -> Option<Deployment> {
        let len = match result {
            Ok(len) => Ok(len),
            Err(fault @ Fault::Backend) => {
                self.wait(fault, ctx);
                return None;
            }
            Err(fault @ (Fault::TooLong | Fault::Full | Fault::Corrupt)) => {
                error!("a record cannot be read: {}", Shown(&fault));
                Err(RecordError::Malformed)
            }
        };
        self.next_try = Deadline::NOW;
        let record = len.map(|len| len.and_then(|len| memory.block.get(..len)));
        match self.step {
            Step::Installed => {
                let installed = record.and_then(|record| record.map(InstalledRecord::decode).transpose());
                let installed = installed.unwrap_or_else(|error| {
                    error!("the installed record cannot be used: {error}");
                    None
                });
                let installed = installed.unwrap_or_default();
                self.installed_by = installed.committed_by;
                let list = records::provided(installed.provides, ctx.config.artifact_name, memory.front);
                memory.installed_len = list.unwrap_or_else(|error| {
                    error!("{error}");
                    0
                });
                self.step = Step::State;
                None
            }
            Step::State => {
                self.state = match record {
                    Ok(record) => record.map(StateRecord::decode),
                    Err(error) => Some(Err(error)),
                };
                if let Some(Ok(record)) = self.state {
                    self.number = record.number;
                    if record.state == StoredState::Download {
                        self.attempts = Some(record.transitions);
                    }
                }
                self.step = Step::Deployment;
                None
            }
            Step::Deployment => {
                self.step = if cfg!(feature = "deployment-log") {
                    Step::Log(LogSlot::FIRST)
                } else {
                    Step::Over
                };
                let deployment = record.and_then(|record| record.map(DeploymentRecord::decode).transpose());
                let deployment = deployment.unwrap_or_else(|error| {
                    error!("the deployment record cannot be used: {error}");
                    None
                });
                if let Some(Ok(state)) = self.state
                    && state.state.is_under_way()
                    && state.number != self.installed_by
                    && deployment.is_none_or(|deployment| deployment.number != state.number)
                {
                    error!("a deployment cannot go on: nobody knows what runs");
                    self.mark(ctx, memory);
                    return None;
                }
                self.resume(deployment?, ctx, modules, journal)
            }
            Step::Log(slot) => {
                journal.seen(record.ok().flatten().unwrap_or(&[]));
                let next = slot.next();
                self.step = if next == LogSlot::FIRST {
                    Step::Over
                } else {
                    Step::Log(next)
                };
                None
            }
            Step::Mark(_) | Step::Over => None,
        }
    }

    /// The deployment of this record, if it goes on.
    fn resume(
        &mut self,
        record: DeploymentRecord<'_>,
        ctx: &Ctx<'_>,
        modules: &[Descriptor],
        journal: &mut Journal,
    ) -> Option<Deployment> {
        if !self.number.is_after(record.number) {
            self.number = record.number;
        }
        journal.begin(record.number);
        let module = Module::find(modules, record.payload_type);
        let stored = match record::stored(record.number, self.installed_by, self.state) {
            // Another firmware runs than the one that began it: perhaps the old one, perhaps not.
            Stored::State { state, .. } if matches!(module, Module::Missing) && state.is_under_way() => {
                Stored::Unreadable
            }
            stored @ (Stored::Downloaded | Stored::State { .. } | Stored::Committed { .. } | Stored::Unreadable) => {
                stored
            }
        };
        let machine = Machine::resume(stored, module.traits(), ctx.config.transition_limit)?;
        let id = DeploymentId::try_from(record.id).ok()?;
        info!("deployment {id} goes on in {}", machine.state().name());
        Some(Deployment::resume(
            machine,
            id,
            record.number,
            module,
            self.installed_by,
        ))
    }

    /// The name of what runs is to be marked as inconsistent, if it is not.
    fn mark(&mut self, ctx: &Ctx<'_>, memory: &mut Memory<'_>) {
        let (block, installed) = memory.record();
        let len = records::installed(block, self.installed_by, installed).ok();
        let marked = len.and_then(|len| records::mark(block, len, self.installed_by, ctx.config.artifact_name).ok());
        if let Some(len) = marked.and_then(|len| u16::try_from(len).ok())
            && memory.block.get(InstalledRecord::HEADER_LEN..usize::from(len))
                != memory.front.get(..memory.installed_len)
        {
            self.step = Step::Mark(len);
        }
    }

    /// The marked record was written, or not.
    pub(super) fn written(&mut self, result: Result<(), Fault>, ctx: &Ctx<'_>, memory: &mut Memory<'_>) {
        if let Step::Mark(len) = self.step {
            if let Err(fault) = result {
                return self.wait(fault, ctx);
            }
            // It is but a little longer than the one that was read.
            memory.adopt(len);
            self.step = Step::Log(LogSlot::FIRST);
        }
    }
}
