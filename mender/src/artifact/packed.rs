//! How the inner archives of an artifact are compressed, and which of that can be unpacked.
//!
//! Rules: spec of the artifact format, section 8. The suffix of each name tells: `header.tar.gz`.

use super::fault::Feature;
#[cfg(feature = "gzip")]
use super::{error::Error, fault::Archive, limits::Limit, tar::BLOCK_LEN};
#[cfg(feature = "gzip")]
use crate::unpack::Format;

/// What the suffix of an inner archive's name says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Packed {
    #[default]
    No,
    With(Feature),
}

impl Packed {
    /// `None` for a suffix that the format does not know.
    pub(super) fn of(suffix: &[u8]) -> Option<Packed> {
        Some(match suffix {
            b"" => Packed::No,
            b".gz" => Packed::With(Feature::Gzip),
            b".xz" => Packed::With(Feature::Xz),
            b".zst" => Packed::With(Feature::Zstd),
            _ => return None,
        })
    }

    /// What it takes that is not there.
    pub(super) fn missing(self, formats: Formats) -> Option<Feature> {
        match self {
            Packed::No => None,
            Packed::With(feature) => (!formats.know(feature)).then_some(feature),
        }
    }
}

/// The compressions that can be unpacked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Formats {
    #[cfg(feature = "gzip")]
    pub(super) gzip: bool,
    #[cfg(feature = "gzip")]
    pub(super) xz: bool,
    #[cfg(feature = "gzip")]
    pub(super) zstd: bool,
}

impl Formats {
    #[cfg(not(feature = "gzip"))]
    fn know(self, _: Feature) -> bool {
        false
    }

    #[cfg(feature = "gzip")]
    fn know(self, feature: Feature) -> bool {
        match format(feature) {
            None => false,
            Some(Format::Gzip) => self.gzip,
            Some(Format::Xz) => self.xz,
            Some(Format::Zstd) => self.zstd,
        }
    }
}

/// Bytes of a compressed header when unpacked: state scripts are texts. A thousand bytes can be packed into one.
#[cfg(feature = "gzip")]
const HEADER_LEN: u32 = 16 << 20;

/// Zeros behind the end blocks of a compressed archive: real writers write none, or fill up a record of tar.
#[cfg(feature = "gzip")]
const ZEROS_LEN: u32 = 20 * BLOCK_LEN;

/// Where the stream is in a compressed archive. Positions of entries are then those of the unpacked archive, as if it lay where the
/// compressed one begins.
#[cfg(feature = "gzip")]
#[derive(Debug, Default)]
pub(super) struct Packing {
    pub(super) packed: Packed,
    /// Where the archive begins.
    pub(super) begin: u32,
    /// Bytes of the stream consumed so far.
    pub(super) stream: u32,
    /// Compressed bytes that are to come.
    pub(super) left: u32,
}

#[cfg(feature = "gzip")]
impl Packing {
    /// Of an archive that begins here, and has so many bytes, compressed.
    pub(super) fn new(packed: Packed, begin: u32, len: u32) -> Packing {
        Packing {
            packed,
            begin,
            stream: begin,
            left: len,
        }
    }

    /// Where the archive must have ended; it does not say how long it is.
    pub(super) fn archive_end(&self, archive: Archive) -> u32 {
        match archive {
            // Little can become much, and nothing of it is handed over that somebody has room for or not.
            Archive::Header => self.begin.saturating_add(HEADER_LEN),
            Archive::Artifact | Archive::Payload => u32::MAX,
        }
    }

    /// It had to end at `end`, and needs to go on up to `needed_end`.
    pub(super) fn too_much(&self, end: u32, needed_end: u32) -> Error {
        Error::Limit {
            limit: Limit::Unpacked,
            allowed: end - self.begin,
            needed: needed_end - self.begin,
        }
    }
}

/// Where zeros that begin here must have ended.
#[cfg(feature = "gzip")]
pub(super) fn zeros_end(begin: u32) -> u32 {
    begin.saturating_add(ZEROS_LEN).min(u32::MAX - 1)
}

/// What unpacks it.
#[cfg(feature = "gzip")]
pub(super) fn format(feature: Feature) -> Option<Format> {
    match feature {
        Feature::Gzip => Some(Format::Gzip),
        Feature::Xz => Some(Format::Xz),
        Feature::Zstd => Some(Format::Zstd),
        Feature::Augmented | Feature::SeveralPayloads => None,
    }
}
