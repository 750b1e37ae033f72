//! The transitions, in one match, and where a deployment resumes.

use super::step::{Action, Delivery, Ending, Event, Software, State, Step, StoredState, Verdict};
use crate::update_module::{Late, Traits};

/// How many transitions a deployment may take before it is given up; mender-mcu's number.
pub const DEFAULT_TRANSITION_LIMIT: u8 = 28;

/// What storage says about a deployment at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stored {
    /// There is no state record of this deployment yet: `install` has not begun.
    Downloaded,
    /// The state record of this deployment.
    State {
        /// The state.
        state: StoredState,
        /// Transitions so far.
        transitions: u8,
    },
    /// The artifact name and provides of this deployment are stored: it was committed.
    Committed {
        /// Transitions so far.
        transitions: u8,
    },
    /// There is a state record, but it cannot be understood: nobody knows how far the deployment got.
    Unreadable,
}

/// One deployment on its way. `(step, event) -> step`, and each step is one [`Action`].
///
/// ```
/// use mender::deployment::{Action, Event, Machine, Progress, Traits};
/// let module = Traits { requires_reboot: false, supports_rollback: false };
/// let mut machine = Machine::start(module, 28);
/// assert_eq!(machine.action(), Action::Report(Progress::Downloading));
/// machine.handle(Event::Done);
/// assert_eq!(machine.action(), Action::Download);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    step: Step,
    transitions: u8,
    limit: u8,
    module: Traits,
}

impl Machine {
    /// A deployment that the server has just offered. The module is not known before the artifact's header: give
    /// [`Traits`] then, by [`set_module`](Machine::set_module); they matter from `install` on.
    pub fn start(module: Traits, limit: u8) -> Machine {
        Machine {
            step: Step::ReportDownloading,
            transitions: 0,
            limit,
            module,
        }
    }

    /// As [`start`](Machine::start), for a deployment that is the first to be offered since the device started: its download may be
    /// what restarted the device. `attempts` is what the state record of [`StoredState::Download`] counts. Where
    /// [`is_over_limit`](Machine::is_over_limit) says so, its first action is to be answered with [`Event::Failed`].
    /// (mender-mcu restarts for ever there.)
    pub fn start_anew(attempts: u8, module: Traits, limit: u8) -> Machine {
        Machine {
            step: Step::StoreAttempt,
            transitions: attempts.saturating_add(1),
            limit,
            module,
        }
    }

    /// A deployment found in storage at boot; `None` if there is nothing left to do.
    ///
    /// This is the one place that says where each stored state goes on. The resumption counts as a transition: a
    /// callback that resets the device each time meets the limit.
    pub fn resume(stored: Stored, module: Traits, limit: u8) -> Option<Machine> {
        let (step, transitions) = match stored {
            Stored::Committed { transitions } => (Step::StoreCleanup, transitions),
            // Nothing is active before `install`, so there is nothing to go back from.
            Stored::Downloaded => (Step::StoreFailure(Software::Untouched), 0),
            // The module knows what runs; asking it to go back is right whatever it is.
            Stored::Unreadable => (Step::StoreRollback, 0),
            Stored::State { state, transitions } => {
                let step = match state {
                    // Of a download nothing is left: the server offers it again.
                    StoredState::Idle | StoredState::Download => return None,
                    StoredState::Reboot | StoredState::VerifyReboot => Step::StoreVerifyReboot,
                    StoredState::Install | StoredState::Commit | StoredState::Rollback => Step::StoreRollback,
                    StoredState::RollbackReboot | StoredState::RollbackVerifyReboot => Step::StoreRollbackVerifyReboot,
                    // The device restarted before `failure` had undone what a failed `install` did: the bootloader may
                    // have started the new software. The module looks, and goes back once more if need be.
                    StoredState::Failure(Software::Old) if module.requires_reboot => {
                        if module.supports_rollback {
                            Step::StoreRollbackVerifyReboot
                        } else {
                            Step::StoreFailure(Software::Inconsistent)
                        }
                    }
                    StoredState::Failure(software) => Step::StoreFailure(software),
                    StoredState::Cleanup => Step::StoreCleanup,
                    StoredState::Owed(verdict) => Step::Deliver(verdict),
                };
                (step, transitions)
            }
        };
        let mut machine = Machine {
            step,
            transitions,
            limit,
            module,
        };
        machine.count(true);
        Some(machine)
    }

    /// The module that the artifact's header named.
    pub fn set_module(&mut self, module: Traits) {
        self.module = module;
    }

    /// What is to be done now.
    pub fn action(&self) -> Action {
        self.step.action()
    }

    /// The state, for logs.
    pub fn state(&self) -> State {
        self.step.state()
    }

    /// Transitions so far; kept in the state record.
    pub fn transitions(&self) -> u8 {
        self.transitions
    }

    /// There were more transitions, or downloads that restarted the device, than there may be.
    pub fn is_over_limit(&self) -> bool {
        self.transitions > self.limit
    }

    /// How the action went; the next one is due then.
    pub fn handle(&mut self, event: Event) {
        self.go(self.next(event));
    }

    /// A callback went well, and the module says more than that. In the place of [`handle`](Machine::handle).
    pub fn answered(&mut self, late: Late) {
        let next = match (self.step, late) {
            // That a restart comes is not stored yet, only that the module acts.
            (Step::Install, Late::NeedsReboot) if !self.module.requires_reboot => {
                self.module.requires_reboot = true;
                Step::StoreLateReboot
            }
            (Step::Reboot, Late::Restarted) => Step::StoreVerifyReboot,
            (Step::RollbackReboot, Late::Restarted) => Step::StoreRollbackVerifyReboot,
            (_, Late::NeedsReboot | Late::Restarted) => self.next(Event::Done),
        };
        self.go(next);
    }

    fn go(&mut self, next: Step) {
        let before = self.step;
        self.step = next;
        if before == Step::StoreAttempt {
            // Those were of the downloads before.
            self.transitions = 0;
        }
        if self.step.state() != before.state() {
            self.count(false);
        }
    }

    /// Counts the transition into the present state, and gives up beyond the limit: straight to `failure`, and past
    /// `failure` and `cleanup` too if those are where the device restarts each time.
    fn count(&mut self, resumed: bool) {
        self.transitions = self.transitions.saturating_add(1);
        if !self.is_over_limit() {
            return;
        }
        self.step = match self.step.state() {
            State::Download
            | State::Install
            | State::Reboot
            | State::VerifyReboot
            | State::Commit
            | State::Rollback
            | State::RollbackReboot
            | State::RollbackVerifyReboot => Step::StoreFailure(Software::Inconsistent),
            State::Failure if resumed => Step::MarkAbandoned,
            State::Cleanup if resumed => Step::StoreOwed(Verdict::Success),
            State::Failure | State::Cleanup | State::End => self.step,
        };
    }

    fn next(&self, event: Event) -> Step {
        use Event::{Aborted, Done, Failed};
        match (self.step, event) {
            // DOWNLOAD. Only an abort stops it; a report that was lost does not.
            // What cannot be counted is not tried: neither could its end be stored.
            (Step::StoreAttempt, Done) => Step::ReportDownloading,
            (Step::StoreAttempt, Failed | Aborted) => Step::ReportNotStored,
            (Step::ReportDownloading, Done | Failed) => Step::Download,
            (Step::ReportDownloading, Aborted) => Step::ReportNotStored,
            (Step::Download, Done) => Step::StoreDownloaded,
            (Step::Download, Failed | Aborted) => Step::ReportNotStored,

            // INSTALL. Stored before the report, and once more before the module acts: from then on the software may be
            // half new, or a restart may already be the one that runs the new software.
            (Step::StoreDownloaded, Done) => Step::ReportInstalling,
            (Step::StoreDownloaded, Failed | Aborted) => Step::ReportNotStored,
            (Step::ReportInstalling, Done | Failed) => {
                if self.module.requires_reboot {
                    Step::StoreReboot
                } else {
                    Step::StoreInstall
                }
            }
            (Step::ReportInstalling, Aborted) => Step::StoreFailure(Software::Untouched),
            (Step::StoreInstall | Step::StoreReboot, Done) => Step::Install,
            (Step::StoreInstall | Step::StoreReboot, Failed | Aborted) => Step::StoreFailure(Software::Untouched),
            (Step::Install, Done) => {
                if self.module.requires_reboot {
                    Step::ReportRebooting
                } else {
                    Step::StoreCommit
                }
            }
            // With a reboot still to come the old software runs, and `failure` undoes what was prepared (mender-mcu's
            // way). Without one the software may be half new: it is rolled back, as the Linux client does, or is
            // inconsistent.
            (Step::Install, Failed | Aborted) => {
                if self.module.requires_reboot {
                    Step::StoreFailure(Software::Old)
                } else {
                    Step::StoreRollback
                }
            }

            // REBOOT.
            (Step::StoreLateReboot, Done) => Step::ReportRebooting,
            (Step::StoreLateReboot, Failed | Aborted) => Step::StoreRollback,
            (Step::ReportRebooting, Done | Failed) => Step::Reboot,
            (Step::ReportRebooting, Aborted) => Step::StoreRollback,
            (Step::Reboot, Done) => Step::AwaitRestart,
            (Step::Reboot, Failed | Aborted) => Step::StoreRollback,
            (Step::AwaitRestart, Done | Failed | Aborted) => Step::StoreRollback,

            // VERIFY_REBOOT.
            (Step::StoreVerifyReboot, Done) => Step::VerifyReboot,
            (Step::StoreVerifyReboot, Failed | Aborted) => Step::StoreRollback,
            (Step::VerifyReboot, Done) => Step::StoreCommit,
            (Step::VerifyReboot, Failed | Aborted) => Step::StoreRollback,

            // COMMIT. Stored before the gate: software that resets the device there is rolled back.
            (Step::StoreCommit, Done) => Step::CommitGate,
            (Step::StoreCommit, Failed | Aborted) => Step::StoreRollback,
            (Step::CommitGate, Done) => Step::Commit,
            (Step::CommitGate, Failed | Aborted) => Step::StoreRollback,
            (Step::Commit, Done) => Step::StoreInstalled,
            (Step::Commit, Failed | Aborted) => Step::StoreRollback,
            (Step::StoreInstalled, Done) => Step::ReportSuccess,
            (Step::StoreInstalled, Failed | Aborted) => Step::StoreRollback,
            (Step::StoreCleanup, Done | Failed | Aborted) => Step::ReportSuccess,
            (Step::ReportSuccess, Done) => Step::Cleanup(Ending::Succeeded(Delivery::Taken)),
            (Step::ReportSuccess, Aborted) => Step::Cleanup(Ending::Succeeded(Delivery::Unwanted)),
            (Step::ReportSuccess, Failed) => Step::Cleanup(Ending::Succeeded(Delivery::Owed)),

            // ROLLBACK. From here on storage that fails stops nothing: what is stored leads here again.
            (Step::StoreRollback, Done | Failed | Aborted) => {
                if self.module.supports_rollback {
                    Step::Rollback
                } else {
                    Step::StoreFailure(Software::Inconsistent)
                }
            }
            (Step::Rollback, Done) => {
                if self.module.requires_reboot {
                    Step::StoreRollbackReboot
                } else {
                    Step::StoreFailure(Software::Old)
                }
            }
            (Step::Rollback, Failed | Aborted) => Step::StoreFailure(Software::Inconsistent),
            (Step::StoreRollbackReboot, Done) => Step::RollbackReboot,
            // A restart that storage does not know of leads here again, each time: it is made only while it is needed.
            (Step::StoreRollbackReboot, Failed | Aborted) => Step::CheckOldRuns,
            (Step::CheckOldRuns, Done) => Step::StoreFailure(Software::Old),
            (Step::CheckOldRuns, Failed | Aborted) => Step::RollbackReboot,
            (Step::RollbackReboot, Done) => Step::AwaitRollbackRestart,
            (Step::RollbackReboot, Failed | Aborted) => Step::StoreRollbackVerifyReboot,
            (Step::AwaitRollbackRestart, Done | Failed | Aborted) => Step::StoreRollbackVerifyReboot,
            (Step::StoreRollbackVerifyReboot, Done | Failed | Aborted) => Step::RollbackVerifyReboot,
            (Step::RollbackVerifyReboot, Done) => Step::StoreFailure(Software::Old),
            (Step::RollbackVerifyReboot, Failed | Aborted) => Step::StoreRollbackReboot,

            // FAILURE.
            (Step::StoreFailure(Software::Untouched), Done | Failed | Aborted) => Step::ReportFailure,
            (Step::StoreFailure(Software::Old), Done) => Step::ReportFailure,
            (Step::StoreFailure(Software::Old), Failed | Aborted) => Step::FailureFirst,
            (Step::FailureFirst, Done | Failed | Aborted) => Step::ReportFailure,
            (Step::StoreFailure(Software::Inconsistent), Done | Failed | Aborted) => Step::MarkInconsistent,
            (Step::MarkInconsistent, Done | Failed | Aborted) => Step::ReportFailure,
            (Step::MarkAbandoned, Done | Failed | Aborted) => Step::StoreOwed(Verdict::Failure),
            (Step::ReportFailure, Done) => Step::Failure(Delivery::Taken),
            (Step::ReportFailure, Aborted) => Step::Failure(Delivery::Unwanted),
            (Step::ReportFailure, Failed) => Step::Failure(Delivery::Owed),
            (Step::Failure(delivery), Done | Failed | Aborted) => Step::Cleanup(Ending::Failed(delivery)),
            // A failed download calls no `failure`, only `cleanup`.
            (Step::ReportNotStored, Done) => Step::Cleanup(Ending::NotStored(Delivery::Taken)),
            (Step::ReportNotStored, Aborted) => Step::Cleanup(Ending::NotStored(Delivery::Unwanted)),
            (Step::ReportNotStored, Failed) => Step::Cleanup(Ending::NotStored(Delivery::Owed)),

            // CLEANUP, and what is owed to the server.
            (Step::Cleanup(ending), Done | Failed | Aborted) => match ending {
                Ending::Succeeded(Delivery::Taken | Delivery::Unwanted) => Step::StoreIdle(Verdict::Success),
                Ending::Succeeded(Delivery::Owed) => Step::StoreOwed(Verdict::Success),
                Ending::Failed(Delivery::Taken) | Ending::NotStored(Delivery::Taken) => Step::UploadLog,
                Ending::Failed(Delivery::Unwanted) => Step::StoreIdle(Verdict::Failure),
                Ending::NotStored(Delivery::Unwanted) => Step::End(Verdict::Failure),
                Ending::Failed(Delivery::Owed) => Step::StoreOwed(Verdict::Failure),
                Ending::NotStored(Delivery::Owed) => Step::StoreUnstoredDeployment,
            },
            (Step::StoreUnstoredDeployment, Done | Failed | Aborted) => Step::StoreOwed(Verdict::Failure),
            (Step::StoreOwed(verdict), Done | Failed | Aborted) => Step::Deliver(verdict),
            (Step::Deliver(Verdict::Success), Done | Aborted) => Step::StoreIdle(Verdict::Success),
            (Step::Deliver(Verdict::Failure), Done) => Step::UploadLog,
            (Step::Deliver(Verdict::Failure), Aborted) => Step::StoreIdle(Verdict::Failure),
            (Step::Deliver(verdict), Failed) => Step::Deliver(verdict),
            (Step::UploadLog, Done | Failed | Aborted) => Step::StoreIdle(Verdict::Failure),
            (Step::StoreIdle(verdict), Done | Failed | Aborted) => Step::End(verdict),
            (Step::End(verdict), Done | Failed | Aborted) => Step::End(verdict),
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "machine_paths.rs"]
mod paths;
