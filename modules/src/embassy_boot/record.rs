//! The record that travels with a new image. Pure; depends on nothing of this module.
//!
//! ```text
//! offset  0   8        12       16            48               80          96
//!         │ magic │ version │ image len │ image hash │ hash of old ACTIVE │ check │
//! ```
//!
//! Numbers are little-endian, hashes SHA-256; the check is the first 16 bytes of the SHA-256 of all before.

use sha2::{Digest, Sha256};

pub(super) const HASH_LEN: usize = 32;
pub(super) type Hash = [u8; HASH_LEN];

/// A multiple of every write unit that is supported.
pub(super) const RECORD_LEN: usize = 96;
const MAGIC: [u8; 8] = *b"MNDRBOOT";
const VERSION: u32 = 1;
const CHECKED_LEN: usize = 80;

/// What a new image is, and what it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Length of the new image; at least 1.
    pub(super) image_len: u32,
    /// Hash of so many bytes.
    pub(super) image: Hash,
    /// Hash of all of ACTIVE when the new image was received.
    pub(super) previous: Hash,
}

impl Record {
    /// Before one was found.
    pub(super) const NONE: Record = Record {
        image_len: 0,
        image: [0; HASH_LEN],
        previous: [0; HASH_LEN],
    };

    pub(super) fn to_bytes(self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        let parts = MAGIC
            .into_iter()
            .chain(VERSION.to_le_bytes())
            .chain(self.image_len.to_le_bytes())
            .chain(self.image)
            .chain(self.previous);
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        let (checked, check) = bytes.split_at_mut(CHECKED_LEN);
        for (to, from) in check.iter_mut().zip(Sha256::digest(checked)) {
            *to = from;
        }
        bytes
    }

    /// `None`: these bytes are none. An image at most `room` bytes long.
    pub(super) fn from_bytes(bytes: &[u8; RECORD_LEN], room: u32) -> Option<Record> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (image_len, rest) = rest.split_first_chunk()?;
        let (image, rest) = rest.split_first_chunk()?;
        let (previous, check) = rest.split_first_chunk()?;
        let wanted = Sha256::digest(bytes.get(..CHECKED_LEN)?);
        let record = Record {
            image_len: u32::from_le_bytes(*image_len),
            image: *image,
            previous: *previous,
        };
        let is_one = *magic == MAGIC && u32::from_le_bytes(*version) == VERSION && wanted.starts_with(check);
        (is_one && (1..=room).contains(&record.image_len)).then_some(record)
    }
}
