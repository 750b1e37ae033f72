//! What only this module refuses.

use core::fmt;
use std::string::String;

use crate::disk;

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

/// What [`Directory`](super::Directory) refuses besides.
#[derive(Debug)]
pub enum Refusal {
    /// `update.tar` is no archive, or a damaged one.
    Archive(std::io::Error),
    /// `update.tar` has an entry that is refused.
    Entry {
        /// What is wrong with it.
        fault: EntryFault,
        /// Its path, as far as it is text.
        path: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Archive(error) => write!(f, "update.tar: {error}"),
            Refusal::Entry { fault, path } => write!(f, "update.tar: {fault}: {path}"),
        }
    }
}

impl core::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Refusal::Archive(error) => Some(error),
            Refusal::Entry { fault, .. } => Some(fault),
        }
    }
}

impl disk::Refusal for Refusal {
    const THING: &'static str = "folder";
    const TOOL: &'static str = "directory-artifact-gen";
    const UNEXPECTED: &'static str = "more files than dest_dir and update.tar";
    const IN_THE_WAY: &'static str = "no folder";
}
