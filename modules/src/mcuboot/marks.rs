//! What a download leaves in slot 1, so that one after a restart goes on where it ended: the file's SHA-256, and a mark for each part that
//! is in flash. Pure; depends on changes, images, the layout and the trailer.
//!
//! ```text
//! the sector below the trailer, which the note shares
//! │ 0: note │ 64: SHA-256 of the file │ 96: mark │ mark │ ... erased
//! ```
//!
//! Each mark is a write unit of its own, at least four bytes: the first ones of the hash. So neither erased cells are one, nor zeros,
//! which an erase that was cut may leave. The last one counts.

use super::change::NOTE_LEN;
use super::image::HEADER_LEN;
use super::layout::Geometry;
use super::trailer::MAX_ALIGN;
use crate::hasher::HASH_LEN;

const HASH_OFFSET: u32 = NOTE_LEN.next_multiple_of(MAX_ALIGN as u32);
const MARKS_OFFSET: u32 = HASH_OFFSET + HASH_LEN as u32;
const _: () = assert!(
    HASH_LEN.is_multiple_of(MAX_ALIGN),
    "the hash is a whole number of write units"
);

/// Where the marks of a file are, and for how much of it each stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// The sector they are in.
    pub(super) sector: u32,
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
    /// For a file of this length, in write units of `unit`; `None` if the file needs the sector, or that has no room for marks.
    pub(super) fn new(geometry: &Geometry, unit: u32, len: u32) -> Option<Marks> {
        let sector = geometry.below_trailer(len)?;
        let mark_len = unit.max(4);
        let most = geometry.sector_len.checked_sub(MARKS_OFFSET)?.checked_div(mark_len)?;
        let interval = len.checked_div(most)?.saturating_add(1);
        Some(Marks {
            sector,
            mark_len,
            len,
            interval: interval.checked_next_multiple_of(geometry.sector_len)?,
            next: 0,
            wants_hash: true,
            in_flash: 0,
        })
    }

    /// What is read to find out how far a download has come: a part after the other, until there is none. `start` is that of the image.
    pub(super) const fn part(&self, part: u32, start: u32) -> Option<(u32, u32, Found)> {
        Some(match part {
            0 => (self.hash_offset(), HASH_LEN as u32, Found::Hash),
            1 => (start, HEADER_LEN as u32, Found::Header),
            2 => (self.sector, HEADER_LEN as u32, Found::Note),
            _ => {
                let mark = part - 3;
                // Something is to come, so that all goes on as in the beginning.
                if self.end(mark) >= self.len {
                    return None;
                }
                (self.offset(mark), self.mark_len, Found::Mark(mark))
            }
        })
    }

    /// Bytes of the file that marks were found for, if any; something is to come behind them.
    pub(super) fn in_flash(&self) -> Option<u32> {
        (self.in_flash > 0).then_some(self.in_flash)
    }

    /// No mark counts.
    pub(super) const fn none_found(&mut self) {
        self.next = 0;
        self.in_flash = 0;
    }

    /// This mark was found.
    pub(super) const fn found(&mut self, mark: u32) {
        self.next = mark;
        self.in_flash = self.end(mark);
    }

    /// What is to be written next, now that so many bytes of the file are in flash: the hash, or a mark; its offset and length.
    pub(super) fn due(&mut self, written: u32) -> Option<(u32, u32)> {
        if written < self.end(self.next) {
            return None;
        }
        if self.wants_hash {
            self.wants_hash = false;
            return Some((self.hash_offset(), HASH_LEN as u32));
        }
        let mark = self.next;
        self.next = mark.saturating_add(1);
        Some((self.offset(mark), self.mark_len))
    }

    const fn hash_offset(&self) -> u32 {
        self.sector.saturating_add(HASH_OFFSET)
    }

    const fn offset(&self, mark: u32) -> u32 {
        let before = mark.saturating_mul(self.mark_len);
        self.sector.saturating_add(MARKS_OFFSET).saturating_add(before)
    }

    /// Bytes of the file that a mark stands for, with all before it.
    const fn end(&self, mark: u32) -> u32 {
        mark.saturating_add(1).saturating_mul(self.interval)
    }
}

/// A part that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Hash,
    Header,
    /// Where the note goes.
    Note,
    Mark(u32),
}
