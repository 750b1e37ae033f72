//! The vocabulary of the machine: states, steps within a state, actions and events.

use crate::update_module::CallbackState;

/// The states of a deployment, by mender-mcu's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// The artifact is downloaded and verified.
    Download,
    /// The module makes it the software that runs next.
    Install,
    /// The device restarts.
    Reboot,
    /// The module looks at what runs now.
    VerifyReboot,
    /// The server is asked, then the module makes the update permanent.
    Commit,
    /// The deployment is over; the module releases what it used.
    Cleanup,
    /// The module gets back to the old software.
    Rollback,
    /// The device restarts into the old software.
    RollbackReboot,
    /// The module looks whether the old software runs.
    RollbackVerifyReboot,
    /// The deployment failed.
    Failure,
    /// The outcome is owed to the server, or delivered.
    End,
}

impl State {
    /// The name in logs; mender-mcu's, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            State::Download => "download",
            State::Install => "install",
            State::Reboot => "reboot",
            State::VerifyReboot => "verify_reboot",
            State::Commit => "commit",
            State::Cleanup => "cleanup",
            State::Rollback => "rollback",
            State::RollbackReboot => "rollback_reboot",
            State::RollbackVerifyReboot => "rollback_verify_reboot",
            State::Failure => "failure",
            State::End => "end",
        }
    }
}

/// What is in use after a failed deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Software {
    /// The old software: `install` was not called.
    Untouched,
    /// The old software, because `install` gave up or because it was rolled back.
    Old,
    /// Nobody knows: the module could not roll back. The device's artifact name is the new one with `_INCONSISTENT`.
    Inconsistent,
}

/// How a deployment ended, as the server is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// Status `success`.
    Success,
    /// Status `failure`.
    Failure,
}

/// Whether the server has the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Delivery {
    /// The server took it.
    Taken,
    /// The server said that it wants none: the deployment was aborted, or is unknown there.
    Unwanted,
    /// It could not be delivered yet.
    Owed,
}

/// How a deployment ends: what is known when `cleanup` begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ending {
    /// Committed.
    Succeeded(Delivery),
    /// Failed before anything was stored: in or before the download.
    NotStored(Delivery),
    /// Failed later.
    Failed(Delivery),
}

/// A report of progress to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// Status `downloading`.
    Downloading,
    /// Status `installing`.
    Installing,
    /// Status `rebooting`.
    Rebooting,
}

/// What the state record can say. The numbers are in [`record`](super::record) and never move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StoredState {
    /// No deployment; the last one is over and delivered.
    Idle,
    /// The download of a deployment has begun that may have restarted the device before: its transitions count the downloads in a
    /// row that did not come to an end. Only written where a restart went before; see [`Machine::start_anew`](super::Machine::start_anew).
    Download,
    /// `install` of a module that requires no reboot has begun.
    Install,
    /// `install` of a module that requires a reboot has begun; or has ended, if only that showed that there is to be one.
    Reboot,
    /// The restart has happened.
    VerifyReboot,
    /// The commit gate or the module's `commit` has begun.
    Commit,
    /// `rollback` has begun.
    Rollback,
    /// `rollback_reboot` has begun.
    RollbackReboot,
    /// The restart of the rollback has happened.
    RollbackVerifyReboot,
    /// The deployment failed.
    Failure(Software),
    /// Committed, and interrupted after that: `cleanup` and the report are left.
    Cleanup,
    /// Only the delivery of the verdict is left.
    Owed(Verdict),
}

impl StoredState {
    /// The module has begun to act, and nobody has said what runs in the end.
    pub const fn is_under_way(self) -> bool {
        match self {
            StoredState::Install
            | StoredState::Reboot
            | StoredState::VerifyReboot
            | StoredState::Commit
            | StoredState::Rollback
            | StoredState::RollbackReboot
            | StoredState::RollbackVerifyReboot
            | StoredState::Failure(Software::Old | Software::Inconsistent) => true,
            StoredState::Idle
            | StoredState::Download
            | StoredState::Failure(Software::Untouched)
            | StoredState::Cleanup
            | StoredState::Owed(_) => false,
        }
    }
}

/// Where the machine stands: a state and what is being done in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// The download may have restarted the device before: another try is counted.
    StoreAttempt,
    ReportDownloading,
    Download,
    StoreDownloaded,
    ReportInstalling,
    StoreInstall,
    StoreReboot,
    Install,
    /// As `StoreReboot`, when only `install` has shown that there is to be one.
    StoreLateReboot,
    ReportRebooting,
    Reboot,
    AwaitRestart,
    StoreVerifyReboot,
    VerifyReboot,
    StoreCommit,
    CommitGate,
    Commit,
    StoreInstalled,
    StoreCleanup,
    ReportSuccess,
    StoreRollback,
    Rollback,
    StoreRollbackReboot,
    /// Asks for the old software before a restart that could not be recorded.
    CheckOldRuns,
    RollbackReboot,
    AwaitRollbackRestart,
    StoreRollbackVerifyReboot,
    RollbackVerifyReboot,
    StoreFailure(Software),
    /// Undoes what `install` did before the failure is reported, because storage does not know of the failure: a restart would
    /// go on with the new software.
    FailureFirst,
    MarkInconsistent,
    /// As `MarkInconsistent`, when `failure` itself restarts the device each time and is left out.
    MarkAbandoned,
    ReportFailure,
    ReportNotStored,
    Failure(Delivery),
    Cleanup(Ending),
    StoreUnstoredDeployment,
    StoreOwed(Verdict),
    Deliver(Verdict),
    UploadLog,
    StoreIdle(Verdict),
    End(Verdict),
}

impl Step {
    pub(super) const fn state(self) -> State {
        match self {
            Step::StoreAttempt | Step::ReportDownloading | Step::Download => State::Download,
            Step::StoreDownloaded | Step::ReportInstalling | Step::StoreInstall | Step::StoreReboot | Step::Install => {
                State::Install
            }
            Step::StoreLateReboot | Step::ReportRebooting | Step::Reboot | Step::AwaitRestart => State::Reboot,
            Step::StoreVerifyReboot | Step::VerifyReboot => State::VerifyReboot,
            Step::StoreCommit | Step::CommitGate | Step::Commit | Step::StoreInstalled => State::Commit,
            Step::StoreRollback | Step::Rollback => State::Rollback,
            Step::StoreRollbackReboot | Step::CheckOldRuns | Step::RollbackReboot | Step::AwaitRollbackRestart => {
                State::RollbackReboot
            }
            Step::StoreRollbackVerifyReboot | Step::RollbackVerifyReboot => State::RollbackVerifyReboot,
            Step::StoreFailure(_)
            | Step::FailureFirst
            | Step::MarkInconsistent
            | Step::MarkAbandoned
            | Step::ReportFailure
            | Step::ReportNotStored
            | Step::Failure(_) => State::Failure,
            Step::StoreCleanup | Step::ReportSuccess | Step::Cleanup(_) => State::Cleanup,
            Step::StoreUnstoredDeployment
            | Step::StoreOwed(_)
            | Step::Deliver(_)
            | Step::UploadLog
            | Step::StoreIdle(_)
            | Step::End(_) => State::End,
        }
    }

    pub(super) const fn action(self) -> Action {
        match self {
            Step::StoreAttempt => Action::StoreState(StoredState::Download),
            Step::ReportDownloading => Action::Report(Progress::Downloading),
            Step::Download => Action::Download,
            Step::StoreDownloaded | Step::StoreUnstoredDeployment => Action::StoreDeployment,
            Step::ReportInstalling => Action::Report(Progress::Installing),
            Step::StoreInstall => Action::StoreState(StoredState::Install),
            Step::StoreReboot | Step::StoreLateReboot => Action::StoreState(StoredState::Reboot),
            Step::Install => Action::Call(CallbackState::Install),
            Step::ReportRebooting => Action::Report(Progress::Rebooting),
            Step::Reboot => Action::Call(CallbackState::Reboot),
            Step::AwaitRestart | Step::AwaitRollbackRestart => Action::AwaitRestart,
            Step::StoreVerifyReboot => Action::StoreState(StoredState::VerifyReboot),
            Step::VerifyReboot => Action::Call(CallbackState::VerifyReboot),
            Step::StoreCommit => Action::StoreState(StoredState::Commit),
            Step::CommitGate => Action::CommitGate,
            Step::Commit => Action::Call(CallbackState::Commit),
            Step::StoreInstalled => Action::StoreInstalled,
            Step::StoreCleanup => Action::StoreState(StoredState::Cleanup),
            Step::ReportSuccess => Action::ReportVerdict(Verdict::Success),
            Step::StoreRollback => Action::StoreState(StoredState::Rollback),
            Step::Rollback => Action::Call(CallbackState::Rollback),
            Step::StoreRollbackReboot => Action::StoreState(StoredState::RollbackReboot),
            Step::RollbackReboot => Action::Call(CallbackState::RollbackReboot),
            Step::StoreRollbackVerifyReboot => Action::StoreState(StoredState::RollbackVerifyReboot),
            Step::RollbackVerifyReboot | Step::CheckOldRuns => Action::Call(CallbackState::RollbackVerifyReboot),
            Step::StoreFailure(software) => Action::StoreState(StoredState::Failure(software)),
            Step::MarkInconsistent | Step::MarkAbandoned => Action::MarkInconsistent,
            Step::ReportFailure | Step::ReportNotStored => Action::ReportVerdict(Verdict::Failure),
            Step::FailureFirst | Step::Failure(_) => Action::Call(CallbackState::Failure),
            Step::Cleanup(_) => Action::Call(CallbackState::Cleanup),
            Step::StoreOwed(verdict) => Action::StoreState(StoredState::Owed(verdict)),
            Step::Deliver(verdict) => Action::Deliver(verdict),
            Step::UploadLog => Action::UploadLog,
            Step::StoreIdle(_) => Action::StoreState(StoredState::Idle),
            Step::End(verdict) => Action::End(verdict),
        }
    }
}

/// What is to be done now. Each action is answered with one [`Event`]; what the events mean is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Action {
    /// Tell the server how far it is. `Aborted` if it answers that the deployment was aborted; `Failed` if it could not
    /// be told, which stops nothing.
    Report(Progress),
    /// Download the artifact, verify it and hand its payload to the module.
    Download,
    /// Write the deployment record. Until a state record of the same deployment is written it says that `install` has
    /// not begun: [`Stored::Downloaded`](super::Stored::Downloaded).
    StoreDeployment,
    /// Write the state record.
    StoreState(StoredState),
    /// Call the module, if it lists the state.
    Call(CallbackState),
    /// Log in afresh and report `installing`: the new software must be able to reach the server. With a bounded
    /// number of tries. `Aborted` if the server answers that the deployment was aborted.
    CommitGate,
    /// Make artifact name, provides and the commit durable, in one write.
    StoreInstalled,
    /// Store the artifact's name, with `_INCONSISTENT` appended, and its provides as the device's own, as the Linux client
    /// does.
    MarkInconsistent,
    /// Tell the server the verdict, with a few tries. `Aborted`: the server wants none.
    ReportVerdict(Verdict),
    /// The restart is under way: wait for it. Any event means that it did not come, and the module is asked again.
    AwaitRestart,
    /// Tell the server the verdict; one try each time. `Failed`: the same again, after a pause.
    Deliver(Verdict),
    /// Send the deployment log.
    UploadLog,
    /// Nothing is left to do. Takes no event.
    End(Verdict),
}

/// How an [`Action`] went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// Well.
    Done,
    /// Not.
    Failed,
    /// The server answered that the deployment was aborted (or that it does not know it). Only for actions that talk
    /// to the server; the same as `Failed` for all others.
    Aborted,
}
