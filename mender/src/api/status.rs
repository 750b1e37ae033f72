//! Status reports: `PUT /api/devices/v1/deployments/device/deployments/{id}/status` (device API, section 5).
//!
//! The server keeps no order of its own and lets a final status be overwritten: the order is the client's business.

use core::fmt;

use super::{Class, EncodeError, Message, json, path, whole, whole_text};
use crate::window::Window;

/// The server refuses a longer substate, in bytes.
pub const SUBSTATE_MAX_LEN: usize = 200;

const DEPLOYMENTS: &str = "/api/devices/v1/deployments/device/deployments/";

/// A status that a device may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DeploymentStatus {
    /// The artifact is being downloaded.
    Downloading,
    /// The update is being installed; also reported after the reboot, before the commit.
    Installing,
    /// The device is about to reboot.
    Rebooting,
    /// Final: the new software runs and is committed.
    Success,
    /// Final: the old software runs, or the module could not restore it.
    Failure,
    /// Final: the artifact had been installed before.
    AlreadyInstalled,
    /// Stopped before the installation, by an update control of the server.
    PauseBeforeInstalling,
    /// Stopped before the reboot.
    PauseBeforeRebooting,
    /// Stopped before the commit.
    PauseBeforeCommitting,
}

impl DeploymentStatus {
    /// Every status, in the order of a deployment.
    pub const ALL: [DeploymentStatus; 9] = [
        DeploymentStatus::Downloading,
        DeploymentStatus::Installing,
        DeploymentStatus::Rebooting,
        DeploymentStatus::Success,
        DeploymentStatus::Failure,
        DeploymentStatus::AlreadyInstalled,
        DeploymentStatus::PauseBeforeInstalling,
        DeploymentStatus::PauseBeforeRebooting,
        DeploymentStatus::PauseBeforeCommitting,
    ];

    /// The status's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeploymentStatus::Downloading => "downloading",
            DeploymentStatus::Installing => "installing",
            DeploymentStatus::Rebooting => "rebooting",
            DeploymentStatus::Success => "success",
            DeploymentStatus::Failure => "failure",
            DeploymentStatus::AlreadyInstalled => "already-installed",
            DeploymentStatus::PauseBeforeInstalling => "pause_before_installing",
            DeploymentStatus::PauseBeforeRebooting => "pause_before_rebooting",
            DeploymentStatus::PauseBeforeCommitting => "pause_before_committing",
        }
    }

    /// Whether this status ends the deployment. Such a report must reach the server before the next poll.
    pub const fn is_final(self) -> bool {
        match self {
            DeploymentStatus::Success | DeploymentStatus::Failure | DeploymentStatus::AlreadyInstalled => true,
            DeploymentStatus::Downloading
            | DeploymentStatus::Installing
            | DeploymentStatus::Rebooting
            | DeploymentStatus::PauseBeforeInstalling
            | DeploymentStatus::PauseBeforeRebooting
            | DeploymentStatus::PauseBeforeCommitting => false,
        }
    }
}

impl fmt::Display for DeploymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Writes the path of a status report for the deployment `id`.
///
/// # Errors
///
/// [`EncodeError::Full`].
pub fn path<'b>(out: &'b mut [u8], id: &str) -> Result<&'b str, EncodeError> {
    whole_text(out, Message::DeploymentPath, |out| write_path(out, id, "/status"))
}

/// The path of the deployment `id`, and `end`: `/status` or `/log`.
pub(crate) fn write_path(out: &mut Window<'_>, id: &str, end: &str) {
    out.text(DEPLOYMENTS);
    path::encode(out, id);
    out.text(end);
}

/// Writes the body of a status report. Of a substate longer than [`SUBSTATE_MAX_LEN`] only the beginning is sent, because
/// the server would refuse the whole report; an empty one is left out.
///
/// # Errors
///
/// [`EncodeError::Full`].
pub fn body<'b>(out: &'b mut [u8], status: DeploymentStatus, substate: Option<&str>) -> Result<&'b [u8], EncodeError> {
    whole(out, Message::Status, |out| write_body(out, status, substate))
}

/// See [`body`].
pub(crate) fn write_body(out: &mut Window<'_>, status: DeploymentStatus, substate: Option<&str>) {
    json::pair(out, "{", "status", status.as_str());
    if let Some(substate) = substate
        && !substate.is_empty()
    {
        let end = substate.floor_char_boundary(SUBSTATE_MAX_LEN);
        json::pair(out, ",", "substate", substate.get(..end).unwrap_or(""));
    }
    out.byte(b'}');
}

/// What the server did with a status report or a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReportAnswer {
    /// 204: stored. A final status is delivered.
    Stored,
    /// 409: the deployment was aborted, or the device decommissioned. Stop or roll back; nothing more need be reported.
    Aborted,
    /// 404: the server has no such deployment for this device. Stop reporting it.
    Unknown,
    /// 401: authenticate and repeat once.
    Unauthorized,
    /// 403: the server does not let this device report. Try again at the normal interval.
    Forbidden,
    /// 429: wait for `Retry-After`.
    RateLimited,
    /// 5xx, or an answer that the server of this API does not give: repeat with backoff.
    RetryLater {
        /// The HTTP status.
        status: u16,
    },
    /// The server refuses the report itself (400, 413, 415): do not repeat it unchanged.
    Refused {
        /// The HTTP status.
        status: u16,
    },
}

/// What the server's answer to a status report means.
pub const fn answer(status: u16) -> ReportAnswer {
    match Class::of(status) {
        Class::Success => ReportAnswer::Stored,
        Class::Reauthenticate => ReportAnswer::Unauthorized,
        Class::Forbidden => ReportAnswer::Forbidden,
        Class::NotFound => ReportAnswer::Unknown,
        Class::Conflict => ReportAnswer::Aborted,
        Class::RateLimited => ReportAnswer::RateLimited,
        Class::RetryLater => ReportAnswer::RetryLater { status },
        Class::GiveUp => ReportAnswer::Refused { status },
    }
}
