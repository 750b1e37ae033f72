//! The record that travels with a new image, for the modules of bootloaders that check no image or keep no history: it says what an
//! image is and what it replaces. Pure; depends on `hasher`.
//!
//! ```text
//! offset  0   8        12       16            48               80          96
//!         │ magic │ version │ image len │ image hash │  previous hash │   check │
//! ```
//!
//! Numbers are little-endian, hashes SHA-256; the check is the first 16 bytes of the SHA-256 of all before.

use crate::hasher::{HASH_LEN, Hash, Hasher};

/// A multiple of every write unit that is supported.
pub(crate) const RECORD_LEN: usize = 96;
const MAGIC: [u8; 8] = *b"MNDRBOOT";
const VERSION: u32 = 1;
const CHECKED_LEN: usize = 80;

/// What a new image is, and what it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Length of the new image; at least 1.
    pub(crate) image_len: u32,
    /// Hash of so many bytes.
    pub(crate) image: Hash,
    /// Hash of all that it replaces, at the time when it was received.
    pub(crate) previous: Hash,
}

impl Record {
    /// Before one was found.
    pub(crate) const NONE: Record = Record {
        image_len: 0,
        image: [0; HASH_LEN],
        previous: [0; HASH_LEN],
    };

    #[inline(never)]
    pub(crate) fn write(&self, bytes: &mut [u8; RECORD_LEN]) {
        let (version, image_len) = (VERSION.to_le_bytes(), self.image_len.to_le_bytes());
        let parts: [&[u8]; 5] = [&MAGIC, &version, &image_len, &self.image, &self.previous];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            rest = put(part, rest);
        }
        let (checked, check) = bytes.split_at_mut(CHECKED_LEN);
        let mut hasher = Hasher::new();
        hasher.update(checked);
        put(&hasher.finish(), check);
    }

    /// Becomes the one in these bytes, for an image at most `room` bytes long; `false`: they are none.
    pub(crate) fn read(&mut self, bytes: &[u8; RECORD_LEN], room: u32) -> bool {
        let mut expected = [0; RECORD_LEN];
        let (_, rest) = bytes.split_at(MAGIC.len() + size_of_val(&VERSION));
        let (image_len, rest) = rest.split_at(size_of_val(&self.image_len));
        let (image, previous) = rest.split_at(HASH_LEN);
        self.image_len = image_len.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        put(image, &mut self.image);
        put(previous, &mut self.previous);
        self.write(&mut expected);
        expected == *bytes && self.image_len != 0 && self.image_len <= room
    }
}

/// Copies bytes to the start of `out`, as many as fit, and gives what is behind them.
#[inline(never)]
fn put<'o>(bytes: &[u8], out: &'o mut [u8]) -> &'o mut [u8] {
    let (here, rest) = out.split_at_mut(bytes.len().min(out.len()));
    for (to, from) in here.iter_mut().zip(bytes) {
        *to = *from;
    }
    rest
}
