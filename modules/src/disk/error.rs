//! What can go wrong with files.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use mender::update_module::PayloadError;

/// What the file system reported, and for what.
#[derive(Debug)]
pub struct DiskError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DiskError {
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
        let path = path.into();
        move |source| DiskError { action, path, source }
    }

    /// Whether there is nothing at that path.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    pub(super) fn is_denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The reason first: a failure's text is cut, and paths may be long.
        write!(f, "{}: {}: {}", self.action, self.source, self.path.display())
    }
}

impl core::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Why a destination that an artifact names is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// It is empty, has several lines, or is no text.
    NotOneLine,
    /// It does not begin with `/`.
    NotAbsolute,
    /// It has a part `..`.
    Climbs,
    /// It is outside of the module's root, perhaps by way of a symbolic link.
    OutsideRoot,
    /// It is inside the module's work folder, or holds it.
    Work,
    /// It is the root itself, for a folder that is to be replaced as a whole.
    Root,
    /// Something on its way is not a folder, or a symbolic link that leads nowhere.
    NotAFolder,
    /// What is to be a name is none: empty, `.`, `..`, with a `/`, or one that the module itself uses.
    NotAName,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathFault::NotOneLine => "must be one line of text",
            PathFault::NotAbsolute => "must begin with /",
            PathFault::Climbs => "must not contain ..",
            PathFault::OutsideRoot => "is outside of the module's root",
            PathFault::Work => "overlaps the module's work folder",
            PathFault::Root => "must be below the module's root, not the root itself",
            PathFault::NotAFolder => "leads through something that is not a folder",
            PathFault::NotAName => "must be a plain file name",
        })
    }
}

impl core::error::Error for PathFault {}

/// Why a callback failed, as far as it does not matter what is placed.
#[derive(Debug)]
pub(crate) enum Failed {
    Payload(PayloadError),
    /// The payload has a file that must not be there, or one that is too long.
    Unexpected,
    /// `dest_dir` cannot be used.
    Folder(PathFault),
    /// Something of another kind is at the destination.
    InTheWay,
    /// There is no complete download.
    NotReceived,
    /// What was there before is neither in place nor in its backup.
    BackupLost,
    /// The journal of an install cannot be read.
    JournalDamaged,
    Disk(DiskError),
}

impl From<PathFault> for Failed {
    fn from(fault: PathFault) -> Self {
        Failed::Folder(fault)
    }
}

/// From what the steps of an update report.
macro_rules! from_its_parts {
    ($error:ty) => {
        impl From<mender::update_module::PayloadError> for $error {
            fn from(error: mender::update_module::PayloadError) -> Self {
                Self::Payload(error)
            }
        }

        impl From<$crate::DiskError> for $error {
            fn from(error: $crate::DiskError) -> Self {
                Self::Disk(error)
            }
        }
    };
}

/// Makes a module's own error from [`Failed`] and its parts; only what it calls a thing in the way is its own.
macro_rules! from_failed {
    ($error:ident, InTheWay => $in_the_way:ident) => {
        $crate::disk::from_its_parts!($error);

        impl From<$crate::disk::Failed> for $error {
            fn from(failed: $crate::disk::Failed) -> Self {
                use $crate::disk::Failed;
                match failed {
                    Failed::Payload(error) => Self::Payload(error),
                    Failed::Unexpected => Self::Unexpected,
                    Failed::Folder(fault) => Self::Folder(fault),
                    Failed::InTheWay => Self::$in_the_way,
                    Failed::NotReceived => Self::NotReceived,
                    Failed::BackupLost => Self::BackupLost,
                    Failed::JournalDamaged => Self::JournalDamaged,
                    Failed::Disk(error) => Self::Disk(error),
                }
            }
        }
    };
}

from_its_parts!(Failed);

pub(crate) use {from_failed, from_its_parts};
