//! The statuses of a deployment on a device, and what may follow what.

use std::fmt;

/// Status of a deployment on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Offered, or not even that.
    Pending,
    /// The device downloads.
    Downloading,
    /// The device installs.
    Installing,
    /// The device reboots.
    Rebooting,
    /// Stopped before installing, by update control.
    PauseBeforeInstalling,
    /// Stopped before rebooting, by update control.
    PauseBeforeRebooting,
    /// Stopped before committing, by update control.
    PauseBeforeCommitting,
    /// Done.
    Success,
    /// Not done; the device runs what it ran before.
    Failure,
    /// The device had it already.
    AlreadyInstalled,
    /// No artifact of the release fits the device.
    NoArtifact,
    /// Aborted by an operator.
    Aborted,
    /// The device was decommissioned.
    Decommissioned,
}

impl Status {
    /// All of them, in the order of the statistics.
    pub const ALL: [Self; 13] = [
        Self::Success,
        Self::Failure,
        Self::Pending,
        Self::Downloading,
        Self::Installing,
        Self::Rebooting,
        Self::PauseBeforeInstalling,
        Self::PauseBeforeRebooting,
        Self::PauseBeforeCommitting,
        Self::NoArtifact,
        Self::AlreadyInstalled,
        Self::Aborted,
        Self::Decommissioned,
    ];

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Downloading => "downloading",
            Self::Installing => "installing",
            Self::Rebooting => "rebooting",
            Self::PauseBeforeInstalling => "pause_before_installing",
            Self::PauseBeforeRebooting => "pause_before_rebooting",
            Self::PauseBeforeCommitting => "pause_before_committing",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::AlreadyInstalled => "already-installed",
            Self::NoArtifact => "noartifact",
            Self::Aborted => "aborted",
            Self::Decommissioned => "decommissioned",
        }
    }

    /// The meaning of a word of the API.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether the deployment is over for the device.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Success
            | Self::Failure
            | Self::AlreadyInstalled
            | Self::NoArtifact
            | Self::Aborted
            | Self::Decommissioned => true,
            Self::Pending
            | Self::Downloading
            | Self::Installing
            | Self::Rebooting
            | Self::PauseBeforeInstalling
            | Self::PauseBeforeRebooting
            | Self::PauseBeforeCommitting => false,
        }
    }

    /// Whether a device may report it.
    pub const fn is_reportable(self) -> bool {
        match self {
            Self::Pending | Self::Aborted | Self::NoArtifact | Self::Decommissioned => false,
            Self::Downloading
            | Self::Installing
            | Self::Rebooting
            | Self::PauseBeforeInstalling
            | Self::PauseBeforeRebooting
            | Self::PauseBeforeCommitting
            | Self::Success
            | Self::Failure
            | Self::AlreadyInstalled => true,
        }
    }

    /// How far along it is. A well-made client never goes back; installing and rebooting may alternate, since a client
    /// reports `installing` again for the commit.
    const fn stage(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Downloading => 1,
            Self::PauseBeforeInstalling => 2,
            Self::Installing | Self::Rebooting | Self::PauseBeforeRebooting | Self::PauseBeforeCommitting => 3,
            Self::Success
            | Self::Failure
            | Self::AlreadyInstalled
            | Self::NoArtifact
            | Self::Aborted
            | Self::Decommissioned => 4,
        }
    }

    /// Whether a report of `next` keeps the order of a deployment.
    pub(crate) const fn may_be_followed_by(self, next: Self) -> bool {
        if self.is_final() {
            self as u8 == next as u8
        } else {
            self.stage() <= next.stage()
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
