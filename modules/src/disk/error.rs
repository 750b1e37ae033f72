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
pub enum Failed {
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

impl From<PayloadError> for Failed {
    fn from(error: PayloadError) -> Self {
        Failed::Payload(error)
    }
}

impl From<DiskError> for Failed {
    fn from(error: DiskError) -> Self {
        Failed::Disk(error)
    }
}

/// What a module refuses that no other one does, and its words for what all of them do.
pub trait Refusal: core::error::Error + 'static {
    /// What is replaced.
    const THING: &'static str;
    /// The program that makes such artifacts.
    const TOOL: &'static str;
    /// What the payload has too many of.
    const UNEXPECTED: &'static str;
    /// What is at the destination.
    const IN_THE_WAY: &'static str;
}

/// Why a callback of a module that replaces things on a disk failed. `R` is what only that one refuses.
#[derive(Debug)]
pub enum Error<R> {
    /// The payload ended early.
    Payload(PayloadError),
    /// The payload lacks a file that must be there.
    Missing(&'static str),
    /// The payload has a file too many, one that is too long, or one by another name than it says.
    Unexpected,
    /// `dest_dir` names a folder that may not be written to, or may not be replaced.
    Folder(PathFault),
    /// What only this module refuses.
    Refused(R),
    /// At the destination is something that is not what the module replaces, or a symbolic link.
    InTheWay,
    /// There is no complete download.
    NotReceived,
    /// The download changed on disk since it was received.
    Damaged,
    /// The old one is neither in place nor in its backup.
    BackupLost,
    /// The journal in the work folder is damaged, or of another version: what was at the destination is not known.
    JournalDamaged,
    /// The file system failed.
    Disk(DiskError),
}

impl<R: Refusal> fmt::Display for Error<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Payload(error) => error.fmt(f),
            Error::Missing(what) => write!(f, "the payload lacks {what}: make it with {}", R::TOOL),
            Error::Unexpected => write!(f, "the payload has {}", R::UNEXPECTED),
            Error::Folder(fault) => write!(f, "dest_dir {fault}"),
            Error::Refused(refusal) => fmt::Display::fmt(refusal, f),
            Error::InTheWay => write!(f, "the destination is {}: move it away", R::IN_THE_WAY),
            Error::NotReceived => f.write_str("there is no complete download: deploy again"),
            Error::Damaged => f.write_str("the download changed on disk: deploy again"),
            Error::BackupLost => write!(f, "cannot go back: the backup of the old {} is gone", R::THING),
            Error::JournalDamaged => f.write_str("cannot go back: the journal in the work folder is damaged"),
            Error::Disk(error) => error.fmt(f),
        }
    }
}

impl<R: Refusal> core::error::Error for Error<R> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Error::Payload(error) => Some(error),
            Error::Folder(fault) => Some(fault),
            Error::Refused(refusal) => refusal.source(),
            Error::Disk(error) => Some(error),
            Error::Missing(_)
            | Error::Unexpected
            | Error::InTheWay
            | Error::NotReceived
            | Error::Damaged
            | Error::BackupLost
            | Error::JournalDamaged => None,
        }
    }
}

impl<R> From<PayloadError> for Error<R> {
    fn from(error: PayloadError) -> Self {
        Error::Payload(error)
    }
}

impl<R> From<DiskError> for Error<R> {
    fn from(error: DiskError) -> Self {
        Error::Disk(error)
    }
}

impl<R> From<Failed> for Error<R> {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Payload(error) => Error::Payload(error),
            Failed::Unexpected => Error::Unexpected,
            Failed::Folder(fault) => Error::Folder(fault),
            Failed::InTheWay => Error::InTheWay,
            Failed::NotReceived => Error::NotReceived,
            Failed::BackupLost => Error::BackupLost,
            Failed::JournalDamaged => Error::JournalDamaged,
            Failed::Disk(error) => Error::Disk(error),
        }
    }
}
