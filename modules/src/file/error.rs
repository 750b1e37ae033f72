//! What only this module refuses.

use core::fmt;

use crate::PathFault;
use crate::disk;

/// What [`SingleFile`](super::SingleFile) refuses besides.
#[derive(Debug)]
pub enum Refusal {
    /// `filename` names no file.
    Name(PathFault),
    /// `permissions` is not an octal number of up to four digits.
    Permissions,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Name(fault) => write!(f, "filename {fault}"),
            Refusal::Permissions => f.write_str("permissions must be an octal number such as 644"),
        }
    }
}

impl core::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Refusal::Name(fault) => Some(fault),
            Refusal::Permissions => None,
        }
    }
}

impl disk::Refusal for Refusal {
    const THING: &'static str = "file";
    const TOOL: &'static str = "single-file-artifact-gen";
    const UNEXPECTED: &'static str = "other files than `filename` says: make it anew";
    const IN_THE_WAY: &'static str = "no regular file";
}
