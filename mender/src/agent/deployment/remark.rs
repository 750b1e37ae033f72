//! What a deployment's log is told: every warning and error, with its text. Pure.

use super::module::Trouble;
use crate::agent::download::FetchError;
use crate::agent::io::Fault;
use crate::api::status::DeploymentStatus;
use crate::codes::Code;
use crate::text::{Describe, Text};
use crate::update_module::{CallbackState, Failure};

/// Something to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remark<'r> {
    /// The server has aborted the deployment; it said so when this was reported.
    Aborted(DeploymentStatus),
    /// This could not be reported.
    NotReported(DeploymentStatus),
    /// The new software could not report in time.
    Gate,
    /// The module's restart did not happen.
    NoRestart,
    /// The client's own restart of the device did not happen either.
    Stuck,
    /// Each download has restarted the device.
    Restarts,
    /// A record cannot be stored.
    NotStored(Fault),
    /// The deployment's record cannot be read.
    NotRead,
    /// A record is longer than the memory for it.
    NoRoom,
    /// There is no module any more for the deployment.
    NoModule(CallbackState),
    /// A module's callback failed.
    Callback(CallbackState, &'r Failure),
    /// The artifact could not be got.
    Fetch(FetchError),
    /// The download failed otherwise.
    Trouble(&'r Trouble),
}

const ABORTED: Code = Code::new(70);
const NOT_REPORTED: Code = Code::new(71);
const GATE: Code = Code::new(72);
const NO_RESTART: Code = Code::new(73);
const STUCK: Code = Code::new(74);
const NOT_STORED: Code = Code::new(75);
const NOT_READ: Code = Code::new(76);
const NO_MODULE: Code = Code::new(78);
const RESTARTS: Code = Code::new(88);

impl Describe for Remark<'_> {
    fn describe(&self, out: &mut Text<'_>) {
        // What it is about, in front of what happened.
        let subject = match self {
            Remark::Aborted(status) | Remark::NotReported(status) => status.as_str(),
            Remark::NoModule(state) | Remark::Callback(state, _) => state.name(),
            Remark::Gate
            | Remark::NoRestart
            | Remark::Stuck
            | Remark::Restarts
            | Remark::NotStored(_)
            | Remark::NotRead
            | Remark::NoRoom
            | Remark::Fetch(_)
            | Remark::Trouble(_) => "",
        };
        out.push(subject);
        let code = match self {
            Remark::Aborted(_) => {
                out.push(": ");
                ABORTED
            }
            Remark::NotReported(_) => {
                out.push(" ");
                NOT_REPORTED
            }
            Remark::NoModule(_) => {
                out.push(": ");
                NO_MODULE
            }
            Remark::Callback(_, failure) => {
                out.push(": ");
                return out.push(failure.as_str());
            }
            Remark::Gate => GATE,
            Remark::NoRestart => NO_RESTART,
            Remark::Stuck => STUCK,
            Remark::Restarts => RESTARTS,
            Remark::NotRead => NOT_READ,
            Remark::NoRoom => return Trouble::Record.describe(out),
            Remark::Fetch(error) => return error.describe(out),
            Remark::Trouble(trouble) => return trouble.describe(out),
            Remark::NotStored(fault) => {
                out.code(NOT_STORED);
                out.gap();
                return fault.describe(out);
            }
        };
        out.code(code);
    }
}
