//! What became of a command, for whoever gave it.

use core::fmt;

use crate::text::{Describe, Text, display};
use crate::update_module::Failure;

/// What an installation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It is committed, because its module could not roll it back, or because it had no payload.
    Committed,
    /// It awaits [`commit`](crate::client::Standalone::commit) or [`rollback`](crate::client::Standalone::rollback).
    Awaits {
        /// The new software runs only after a restart of the device, which is yours to make.
        needs_reboot: bool,
    },
}

/// What a rollback came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// The old software runs only after a restart of the device, which is yours to make.
    pub needs_reboot: bool,
}

/// What storage says of the last standalone deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// It is over, or there was none.
    Nothing,
    /// It was cut before it began to install: [`rollback`](crate::client::Standalone::rollback) tidies up, and so does the next installation.
    Downloaded,
    /// It was cut while it was being installed: [`rollback`](crate::client::Standalone::rollback) is all that can follow.
    Cut,
    /// It awaits [`commit`](crate::client::Standalone::commit) or [`rollback`](crate::client::Standalone::rollback).
    Awaits,
    /// Its commit was cut: either goes on.
    Committing,
    /// Its rollback was cut: [`rollback`](crate::client::Standalone::rollback) goes on.
    RollingBack,
    /// It was rolled back, but for `cleanup`: [`rollback`](crate::client::Standalone::rollback) goes on, and so does the next installation.
    RolledBack,
    /// It could not be rolled back, and that was cut: [`rollback`](crate::client::Standalone::rollback) marks its name and tidies up.
    Failing,
    /// It is committed, but for `cleanup`: either goes on.
    CleaningUp,
}

/// Why an artifact was not installed. The old software is in use, if it does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallError {
    /// A standalone deployment is under way: commit it or roll it back first.
    Pending(Pending),
    /// The artifact is malformed, damaged, not supported or ends early.
    Artifact(crate::artifact::Error),
    /// What it comes from failed; the reason is in the log.
    Source,
    /// No module takes its payload type; which is given.
    WrongType(Failure),
    /// It is not for this device.
    Misfit(Failure),
    /// A record of it would be longer than `TOKEN` or `BLOCK` of the [`Resources`](crate::client::Resources).
    TooLong,
    /// The module could not take or install it, and the old software is in use.
    Module(Failure),
    /// The module could not install it nor get back: the artifact's name has got the suffix `_INCONSISTENT`.
    Inconsistent(Failure),
    /// A record could not be read or written; the reason is in the log. Where it had begun to install,
    /// [`pending`](crate::client::Standalone::pending) says how to go on.
    Storage,
}

impl Describe for InstallError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            InstallError::Pending(pending) => out.push(match pending {
                Pending::Nothing => "no update is under way",
                Pending::Downloaded | Pending::Cut | Pending::RollingBack | Pending::RolledBack | Pending::Failing => {
                    "an update was cut: roll it back first"
                }
                Pending::Awaits => "an update awaits its commit: commit it or roll it back first",
                Pending::Committing | Pending::CleaningUp => "the commit of an update was cut: commit it first",
            }),
            InstallError::Artifact(error) => error.describe(out),
            InstallError::Source => out.push("the artifact cannot be read"),
            InstallError::WrongType(payload_type) => {
                out.push("no update module takes the payload type \"");
                out.push(payload_type.as_str());
                out.push("\"");
            }
            InstallError::Misfit(failure) | InstallError::Module(failure) => out.push(failure.as_str()),
            InstallError::Inconsistent(failure) => {
                out.push("neither the new nor the old software is complete: ");
                out.push(failure.as_str());
            }
            InstallError::TooLong => out.push("the artifact's provides are longer than there is room for"),
            InstallError::Storage => out.push("a record cannot be read or stored"),
        }
    }
}

/// Why an update was not committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitError {
    /// No update awaits a commit; what does is given.
    NotAwaited(Pending),
    /// The update's module is not there.
    NoModule,
    /// The module could not commit it, and it was rolled back.
    RolledBack(Failure, RolledBack),
    /// The module could neither commit it nor get back: the artifact's name has got the suffix `_INCONSISTENT`.
    Inconsistent(Failure),
    /// A record could not be read or written; the reason is in the log. The same again is what follows.
    Storage,
}

impl Describe for CommitError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            CommitError::NotAwaited(Pending::Nothing) => out.push("no update awaits a commit"),
            CommitError::NotAwaited(Pending::RollingBack | Pending::RolledBack | Pending::Failing) => {
                out.push("a rollback was cut: roll back again")
            }
            CommitError::NotAwaited(
                Pending::Downloaded | Pending::Cut | Pending::Awaits | Pending::Committing | Pending::CleaningUp,
            ) => out.push("the update was cut while it was installed: roll it back"),
            CommitError::NoModule => out.push("the update module of the update that awaits a commit is not there"),
            CommitError::RolledBack(failure, _) => {
                out.push("rolled back: ");
                out.push(failure.as_str());
            }
            CommitError::Inconsistent(failure) => {
                out.push("neither the new nor the old software is complete: ");
                out.push(failure.as_str());
            }
            CommitError::Storage => out.push("a record cannot be read or stored"),
        }
    }
}

/// Why an update was not rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RollbackError {
    /// There is nothing to roll back.
    Nothing,
    /// It is committed already; what was left to do is done.
    Committed,
    /// The update's module is not there.
    NoModule,
    /// The module cannot roll back, or could not: the artifact's name has got the suffix `_INCONSISTENT`.
    Inconsistent(Failure),
    /// A record could not be read or written; the reason is in the log. The same again is what follows.
    Storage,
}

impl Describe for RollbackError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            RollbackError::Nothing => out.push("there is no update to roll back"),
            RollbackError::Committed => out.push("the update is committed"),
            RollbackError::NoModule => {
                out.push("the update module of the update that is to be rolled back is not there")
            }
            RollbackError::Inconsistent(failure) => {
                out.push("neither the new nor the old software is complete: ");
                out.push(failure.as_str());
            }
            RollbackError::Storage => out.push("a record cannot be read or stored"),
        }
    }
}

macro_rules! displayed {
    ($($error:ty),+) => {$(
        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                display(self, f)
            }
        }

        impl core::error::Error for $error {}
    )+};
}

displayed!(InstallError, CommitError, RollbackError);

/// A record could not be read or written. Said in the log.
pub(super) struct Broken;

impl From<Broken> for InstallError {
    fn from(_: Broken) -> InstallError {
        InstallError::Storage
    }
}

impl From<Broken> for CommitError {
    fn from(_: Broken) -> CommitError {
        CommitError::Storage
    }
}

impl From<Broken> for RollbackError {
    fn from(_: Broken) -> RollbackError {
        RollbackError::Storage
    }
}

/// An update that failed, and why; what is in use after that.
pub(super) enum Undone {
    /// The old software.
    Back(Failure),
    /// Nobody knows: the module could not get back.
    Lost(Failure),
}

impl From<Undone> for InstallError {
    fn from(undone: Undone) -> InstallError {
        match undone {
            Undone::Back(why) => InstallError::Module(why),
            Undone::Lost(why) => InstallError::Inconsistent(why),
        }
    }
}
