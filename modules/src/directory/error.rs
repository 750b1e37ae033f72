//! Why a callback of the module failed.

use core::fmt;
use std::string::String;

use mender::update_module::PayloadError;

use crate::disk::from_failed;
use crate::{DiskError, PathFault};

/// What is wrong with an entry of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryFault {
    /// Its path is absolute, empty, has a part `..`, or is not text where paths must be text.
    Path,
    /// It is below something that is not a folder of the archive, such as a symbolic link.
    Parent,
    /// There is another entry with that path.
    Twice,
    /// It is a symbolic link whose target is absolute, goes up out of the folder, or goes up after it went down.
    Link,
    /// It is a hard link to something that is no file earlier in the archive.
    HardLink,
    /// It is neither file, folder nor link: a device, a pipe, a file with holes (`tar --sparse`), or a sort that is not known.
    Kind,
}

impl fmt::Display for EntryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EntryFault::Path => "absolute path, or one with ..",
            EntryFault::Parent => "its parent is not a folder",
            EntryFault::Twice => "it is there twice",
            EntryFault::Link => "link that may lead out of the folder",
            EntryFault::HardLink => "hard link to no earlier file",
            EntryFault::Kind => "neither plain file, folder nor link",
        })
    }
}

impl core::error::Error for EntryFault {}

/// Why a callback of [`Directory`](super::Directory) failed.
#[derive(Debug)]
pub enum Error {
    /// The payload ended early.
    Payload(PayloadError),
    /// The payload lacks a file that must be there: `dest_dir` or `update.tar`.
    Missing(&'static str),
    /// The payload has another file besides.
    Unexpected,
    /// `dest_dir` names a folder that may not be replaced.
    Folder(PathFault),
    /// `update.tar` is no archive, or a damaged one.
    Archive(std::io::Error),
    /// `update.tar` has an entry that is refused.
    Entry {
        /// What is wrong with it.
        fault: EntryFault,
        /// Its path, as far as it is text.
        path: String,
    },
    /// At the destination is something that is not a folder, or a symbolic link.
    NotAFolder,
    /// There is no complete download.
    NotReceived,
    /// The download changed on disk since it was received.
    Damaged,
    /// The old folder is neither in place nor in its backup.
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
            Error::Missing(what) => write!(f, "the payload lacks {what}: make it with directory-artifact-gen"),
            Error::Unexpected => f.write_str("the payload has more files than dest_dir and update.tar"),
            Error::Folder(fault) => write!(f, "dest_dir {fault}"),
            Error::Archive(error) => write!(f, "update.tar: {error}"),
            Error::Entry { fault, path } => write!(f, "update.tar: {fault}: {path}"),
            Error::NotAFolder => f.write_str("the destination is no folder: move it away"),
            Error::NotReceived => f.write_str("there is no complete download: deploy again"),
            Error::Damaged => f.write_str("the download changed on disk: deploy again"),
            Error::BackupLost => f.write_str("cannot go back: the backup of the old folder is gone"),
            Error::JournalDamaged => f.write_str("cannot go back: the journal in the work folder is damaged"),
            Error::Disk(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Error::Payload(error) => Some(error),
            Error::Folder(fault) => Some(fault),
            Error::Archive(error) => Some(error),
            Error::Entry { fault, .. } => Some(fault),
            Error::Disk(error) => Some(error),
            Error::Missing(_)
            | Error::Unexpected
            | Error::NotAFolder
            | Error::NotReceived
            | Error::Damaged
            | Error::BackupLost
            | Error::JournalDamaged => None,
        }
    }
}

from_failed!(Error, InTheWay => NotAFolder);
