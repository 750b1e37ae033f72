//! What can go wrong with files.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

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
