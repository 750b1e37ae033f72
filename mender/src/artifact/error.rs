//! Why an artifact is refused.

use core::fmt;

#[cfg(feature = "gzip")]
use super::fault::PackedFault;
use super::fault::{
    Archive, Checked, Contradiction, Document, Entry, Feature, FileFault, Key, ManifestFault, SignatureFault, TarFault,
    ValueFault,
};
use super::limits::Limit;
use crate::json::JsonFault;
use crate::text::{self, Describe, Part, Text};

/// Why [`Parser::feed`](super::Parser::feed) or [`Parser::finish`](super::Parser::finish) refused an artifact.
///
/// Every one is final for this artifact: the same bytes will be refused again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// A well-formed artifact that uses something this client does not do. Known before the first payload byte.
    NotSupported(Feature),
    /// Another version of the artifact format than 3.
    FormatVersion(u32),
    /// Larger than the caller allows; see [`Limits`](super::Limits).
    Limit {
        /// The limit.
        limit: Limit,
        /// Its value.
        allowed: u32,
        /// The value that this artifact needs; for [`Limit::JsonDepth`], [`Limit::Files`] and
        /// [`Limit::DeviceTypes`] the first value that is too large.
        needed: u32,
    },
    /// A tar archive is malformed, or made in a way that different readers would read differently.
    Tar {
        /// The archive.
        archive: Archive,
        /// What is wrong.
        fault: TarFault,
    },
    /// A compressed archive cannot be unpacked.
    #[cfg(feature = "gzip")]
    Packed {
        /// The archive.
        archive: Archive,
        /// What is wrong.
        fault: PackedFault,
    },
    /// An archive has something else than a regular file.
    EntryType {
        /// The archive.
        archive: Archive,
        /// The type flag of the entry's tar header.
        flag: u8,
    },
    /// An entry is out of order, missing or there twice.
    Order {
        /// What would have been allowed at this place (the required one, where there is a choice).
        expected: Entry,
        /// What came.
        found: Entry,
    },
    /// An archive has an entry that the format does not know.
    UnknownEntry(Archive),
    /// The text of a document is not strict JSON, or has a key that must not be there.
    Json {
        /// The document.
        document: Document,
        /// What is wrong.
        fault: JsonFault,
        /// Where: bytes from the document's beginning.
        at: u32,
    },
    /// The value of a key in a document is not as the format wants it.
    Value {
        /// The document.
        document: Document,
        /// The key.
        key: Key,
        /// What is wrong.
        fault: ValueFault,
    },
    /// Documents contradict each other.
    Contradiction(Contradiction),
    /// The manifest is not as the format wants it.
    Manifest {
        /// The line, counted from 1; 0 if no line is to blame.
        line: u16,
        /// What is wrong.
        fault: ManifestFault,
    },
    /// `manifest.sig` cannot be a signature.
    Signature(SignatureFault),
    /// The SHA-256 in the manifest is another one.
    Checksum(Checked),
    /// A payload file is not as the manifest or the format wants it.
    File(FileFault),
    /// The stream ended early; only [`Parser::finish`](super::Parser::finish) gives this.
    Truncated {
        /// Bytes consumed before the end.
        offset: u32,
    },
}

impl Error {
    /// The code of the cause: see [`CODES`](super::CODES). A code never gets another meaning.
    pub fn code(&self) -> u16 {
        u16::from(match *self {
            Error::FormatVersion(_) => 100,
            Error::NotSupported(feature) => feature as u8,
            Error::Limit { limit, .. } => limit as u8,
            Error::Tar { fault, .. } => fault as u8,
            #[cfg(feature = "gzip")]
            Error::Packed { fault, .. } => fault as u8,
            Error::EntryType { .. } => 129,
            Error::Order { .. } => 145,
            Error::UnknownEntry(_) => 146,
            Error::Json { fault, .. } => fault as u8,
            Error::Value { fault, .. } => fault as u8,
            Error::Contradiction(what) => what as u8,
            Error::Manifest { fault, .. } => fault as u8,
            Error::Signature(fault) => fault as u8,
            Error::Checksum(checked) => checked as u8,
            Error::File(fault) => fault as u8,
            Error::Truncated { .. } => 205,
        })
    }
}

impl Describe for Error {
    fn describe(&self, out: &mut Text<'_>) {
        let mut write = |parts: &[Part<'_>]| out.message(self.code(), parts);
        match *self {
            Error::NotSupported(_)
            | Error::Contradiction(_)
            | Error::Manifest { line: 0, .. }
            | Error::Signature(_)
            | Error::Checksum(_)
            | Error::File(_) => write(&[]),
            Error::FormatVersion(number) | Error::Truncated { offset: number } => write(&[Part::Number(number)]),
            Error::Limit { allowed, needed, .. } => write(&[Part::Number(allowed), Part::Number(needed)]),
            Error::Tar { archive, .. } | Error::UnknownEntry(archive) => write(&[Part::Name(archive as u16)]),
            #[cfg(feature = "gzip")]
            Error::Packed { archive, .. } => write(&[Part::Name(archive as u16)]),
            Error::EntryType { archive, flag } => {
                let shown = [if flag.is_ascii_graphic() { flag } else { b'?' }];
                write(&[Part::Name(archive as u16), Part::Text(text::utf8_prefix(&shown))]);
            }
            Error::Order { expected, found } => write(&[Part::Name(expected as u16), Part::Name(found as u16)]),
            Error::Json { document, at, .. } => write(&[Part::Name(document as u16), Part::Number(at)]),
            Error::Value { document, key, .. } => write(&[Part::Name(document as u16), Part::Name(key as u16)]),
            Error::Manifest { line, .. } => write(&[Part::Number(u32::from(line))]),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::display(self, f)
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    #[test]
    fn as_small_as_documented() {
        assert_eq!(size_of::<super::Error>(), 12);
        assert_eq!(size_of::<Result<(), super::Error>>(), 12);
    }
}
