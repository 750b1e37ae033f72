//! Why a callback of the module failed.

use core::fmt;

use mender::update_module::PayloadError;

use crate::disk::from_failed;
use crate::{DiskError, PathFault};

/// Why a callback of [`SingleFile`](super::SingleFile) failed.
#[derive(Debug)]
pub enum Error {
    /// The payload ended early.
    Payload(PayloadError),
    /// The payload lacks a file that must be there: `dest_dir`, `filename`, or the one that it names.
    Missing(&'static str),
    /// The payload has a file too many, or the only file does not have the name that `filename` says.
    Unexpected,
    /// `dest_dir` names a folder that may not be written to.
    Folder(PathFault),
    /// `filename` names no file.
    Name(PathFault),
    /// `permissions` is not an octal number of up to four digits.
    Permissions,
    /// At the destination is a folder, a link or a device.
    NotAFile,
    /// There is no complete download.
    NotReceived,
    /// The download changed on disk since it was received.
    Damaged,
    /// The old file is neither in place nor in its backup.
    BackupLost,
    /// The journal in the work folder is damaged, or of another version: what was at the destination is not known.
    JournalDamaged,
    /// The file system failed.
    Disk(DiskError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Payload(error) => error.fmt(f),
            Error::Missing(what) => write!(f, "the payload lacks {what}: make it with single-file-artifact-gen"),
            Error::Unexpected => f.write_str("the payload has other files than `filename` says: make it anew"),
            Error::Folder(fault) => write!(f, "dest_dir {fault}"),
            Error::Name(fault) => write!(f, "filename {fault}"),
            Error::Permissions => f.write_str("permissions must be an octal number such as 644"),
            Error::NotAFile => f.write_str("the destination is no regular file: move it away"),
            Error::NotReceived => f.write_str("there is no complete download: deploy again"),
            Error::Damaged => f.write_str("the download changed on disk: deploy again"),
            Error::BackupLost => f.write_str("cannot go back: the backup of the old file is gone"),
            Error::JournalDamaged => f.write_str("cannot go back: the journal in the work folder is damaged"),
            Error::Disk(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Error::Payload(error) => Some(error),
            Error::Folder(fault) | Error::Name(fault) => Some(fault),
            Error::Disk(error) => Some(error),
            Error::Missing(_)
            | Error::Unexpected
            | Error::Permissions
            | Error::NotAFile
            | Error::NotReceived
            | Error::Damaged
            | Error::BackupLost
            | Error::JournalDamaged => None,
        }
    }
}

from_failed!(Error, InTheWay => NotAFile);
