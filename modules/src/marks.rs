//! What a download leaves beside an image in flash, so that one after a restart goes on where it ended: the file's SHA-256, and a mark for
//! each part that is in flash. For the modules of all bootloaders; each says where there is room. Pure; depends on `hasher`.
//!
//! ```text
//! a part of a sector that was erased before the file came
//! │ 0: SHA-256 of the file │ 32: mark │ mark │ ... erased
//! ```
//!
//! Each mark is a write unit of its own, at least four bytes: the first ones of the hash. So neither erased cells are one, nor zeros,
//! which an erase that was cut may leave. The last one counts. Cells behind it may be torn: they are written after an erase only.

use crate::hasher::{HASH_LEN, Hash};

/// Where the marks of a file are, and for how much of it each stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Of the hash; the marks are behind it.
    start: u32,
    mark_len: u32,
    /// Of the file.
    len: u32,
    /// Bytes of the file for each: whole sectors.
    interval: u32,
    /// The one that is written next.
    next: u32,
    /// The hash comes before it.
    wants_hash: bool,
    /// Bytes of the file that marks were found for.
    in_flash: u32,
}

impl Marks {
    /// For a file of this length, in sectors of `sector_len`; in `room` bytes of flash from `start` on, which is a multiple of `unit`, that of
    /// reads and writes. `None` if there is too little room.
    pub(crate) fn new(start: u32, room: u32, unit: u32, sector_len: u32, len: u32) -> Option<Marks> {
        let mark_len = unit.max(4);
        let most = room.checked_sub(HASH_LEN as u32)?.checked_div(mark_len)?;
        let interval = len.checked_div(most)?.saturating_add(1);
        Some(Marks {
            start,
            mark_len,
            len,
            interval: interval.checked_next_multiple_of(sector_len)?,
            next: 0,
            wants_hash: true,
            in_flash: 0,
        })
    }

    /// What is read to find out how far a download has come, a part after the other, until there is none: its offset and length.
    pub(crate) const fn part(&self, part: u32) -> Option<(u32, u32)> {
        let Some(mark) = part.checked_sub(1) else {
            return Some((self.start, HASH_LEN as u32));
        };
        // Something is to come, so that all goes on as in the beginning.
        if self.end(mark) >= self.len {
            return None;
        }
        Some((self.offset(mark), self.mark_len))
    }

    /// Takes what was read of a part; `false`: no mark counts.
    pub(crate) fn take(&mut self, part: u32, bytes: &[u8], hash: &Hash) -> bool {
        match part.checked_sub(1) {
            None => bytes == hash,
            Some(mark) => {
                if hash.starts_with(bytes) {
                    self.next = mark;
                    self.in_flash = self.end(mark);
                }
                true
            }
        }
    }

    /// Bytes of the file that marks were found for, if any; something is to come behind them.
    pub(crate) fn in_flash(&self) -> Option<u32> {
        (self.in_flash > 0).then_some(self.in_flash)
    }

    /// No mark counts.
    #[cfg(any(feature = "mcuboot", feature = "esp-ota"))]
    pub(crate) const fn none_found(&mut self) {
        self.next = 0;
        self.in_flash = 0;
    }

    /// What is to be written next, now that so many bytes of the file are in flash: the hash, or a mark, both the front of the hash; its
    /// offset and length.
    pub(crate) fn due(&mut self, written: u32) -> Option<(u32, u32)> {
        if written < self.end(self.next) {
            return None;
        }
        if self.wants_hash {
            self.wants_hash = false;
            return Some((self.start, HASH_LEN as u32));
        }
        let mark = self.next;
        self.next = mark.saturating_add(1);
        Some((self.offset(mark), self.mark_len))
    }

    const fn offset(&self, mark: u32) -> u32 {
        let before = mark.saturating_mul(self.mark_len).saturating_add(HASH_LEN as u32);
        self.start.saturating_add(before)
    }

    /// Bytes of the file that a mark stands for, with all before it.
    const fn end(&self, mark: u32) -> u32 {
        mark.saturating_add(1).saturating_mul(self.interval)
    }
}
