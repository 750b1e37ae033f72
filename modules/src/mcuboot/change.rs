//! Changes of a slot, as values: requests, their withdrawal, the confirmation, the way back, the room for an image. Pure;
//! depends on errors, image, layout, modes and trailer.
//!
//! In each the magic comes last, so that half of one is none.

use super::error::Stop;
use super::image::HASH_LEN;
use super::layout::Geometry;
use super::slot::Slot;
use super::trailer::{CELLS, Cells, ERASED, Magic, SET, magic_offset, put, put_magic};
use crate::hasher::Hash;

/// Values of swap_info, copy_done and image_ok; [`ERASED`]: none.
pub(super) type Values = [u8; CELLS];

/// What is to be done to a slot: a bit for each step, and the values of cells. Steps are done in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) slot: Slot,
    values: Values,
    steps: u8,
}

/// One flash operation on a slot, or the check of what the last ones have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Erase,
    /// The bytes of the buffer.
    Write,
    /// What the trailer says.
    Check,
    /// Whether the note is there.
    CheckNote,
}

/// Slot 1: the first sector of a new image, and with it the header.
const ERASE_HEADER: u8 = 0;
/// The last sector.
const ERASE_CELLS: u8 = 1;
const CHECK_ERASED: u8 = 2;
/// Swap using offset: the first sector of slot 1.
const ERASE_START: u8 = 3;
const ERASE_NOTE: u8 = 4;
const NOTE: u8 = 5;
const CHECK_NOTE: u8 = 6;
const MAGIC: u8 = 7;
const FIRST_CELL: u8 = 8;

/// Steps in their order: the magic comes after the cells; and the note, so that there is none without the mark before a swap. The last one
/// checks.
const ORDER: [u8; 11] = [
    ERASE_HEADER,
    ERASE_CELLS,
    CHECK_ERASED,
    ERASE_START,
    ERASE_NOTE,
    FIRST_CELL,
    FIRST_CELL + 1,
    FIRST_CELL + 2,
    NOTE,
    CHECK_NOTE,
    MAGIC,
];

const ERASE: u8 = 1 << ERASE_CELLS | 1 << CHECK_ERASED;

impl Change {
    /// Writes these cells, and nothing else.
    pub(super) const fn write(slot: Slot, values: Values) -> Change {
        Change { slot, values, steps: 0 }
    }

    /// Changes nothing, and gives what the trailer says.
    pub(super) const fn look(slot: Slot) -> Change {
        Change::write(slot, [ERASED; CELLS])
    }

    const fn with(self, steps: u8) -> Change {
        Change {
            steps: self.steps | steps,
            ..self
        }
    }

    /// Sets image_ok.
    pub(super) const fn confirm() -> Change {
        Change::write(Slot::Primary, [ERASED, ERASED, SET])
    }

    /// Erases a trailer, then writes these cells.
    pub(super) const fn erase(slot: Slot, values: Values) -> Change {
        Change::write(slot, values).with(ERASE)
    }

    /// Makes what was received harmless: first the image loses its header, then the trailer goes. A power cut between the
    /// two leaves at most a request without an image, which the bootloader drops, and never an intact image without its
    /// mark.
    pub(super) const fn withdraw() -> Change {
        Change::erase(Slot::Secondary, [ERASED; CELLS]).with(1 << ERASE_HEADER)
    }

    /// Erases all of slot 1 that is not erased as an image of this length comes. First of all a request that may still be there: it
    /// must not meet another image. A header at the start would be taken for an image in the wrong place, where images start elsewhere. Note and
    /// marks are those of an earlier update; they stay if the image will be written over them.
    pub(super) fn prepare(geometry: &Geometry, len: u32) -> Change {
        let start = u8::from(geometry.image_offset > 0) << ERASE_START;
        let note = u8::from(geometry.below_trailer(len).is_some()) << ERASE_NOTE;
        Change::erase(Slot::Secondary, [ERASED; CELLS]).with(start | note)
    }

    /// Writes the note, if there is to be one, and these cells.
    pub(super) fn note(is_noted: bool, values: Values) -> Change {
        let note = u8::from(is_noted) * (1 << NOTE | 1 << CHECK_NOTE);
        Change::write(Slot::Secondary, values).with(note)
    }

    /// The last step of a request.
    pub(super) const fn write_magic(values: Values) -> Change {
        Change::write(Slot::Secondary, values).with(1 << MAGIC)
    }

    /// What the step at this place is, and its range; `None` after the last one. `unit` is the slot's write unit, `note` the hash
    /// to be noted, and `buffer` gets what is to be written.
    pub(super) fn action(
        &self,
        place: usize,
        geometry: &Geometry,
        unit: u32,
        note: &Hash,
        buffer: &mut [u8],
    ) -> Option<(Action, u32, u32)> {
        let step = *ORDER.get(place)?;
        let max_align = u32::from(geometry.max_align);
        let cells = geometry.cells_offset(self.slot);
        let sector_len = geometry.sector_len;
        let nothing = Some((Action::Nothing, 0, 0));
        if let Some(cell) = step.checked_sub(FIRST_CELL) {
            let value = self.values.get(usize::from(cell)).copied().unwrap_or(ERASED);
            if value == ERASED {
                return nothing;
            }
            put(&[value], 0, unit, buffer);
            let offset = cells.saturating_add(u32::from(cell).saturating_mul(max_align));
            return Some((Action::Write, offset, unit));
        }
        if self.steps >> step & 1 == 0 {
            return nothing;
        }
        let note_offset = geometry.below_trailer(0).unwrap_or_default();
        Some(match step {
            ERASE_HEADER => (Action::Erase, geometry.image_offset, sector_len),
            ERASE_CELLS => (Action::Erase, geometry.last_sector(self.slot), sector_len),
            ERASE_START => (Action::Erase, 0, sector_len),
            ERASE_NOTE => (Action::Erase, note_offset, sector_len),
            NOTE => {
                let len = NOTE_LEN.next_multiple_of(unit);
                put(note, TAG.len(), len, buffer);
                put(&TAG, 0, TAG.len() as u32, buffer);
                (Action::Write, note_offset, len)
            }
            CHECK_NOTE => (Action::CheckNote, note_offset, NOTE_LEN),
            MAGIC => {
                let offset = cells.saturating_add(magic_offset(max_align));
                (Action::Write, offset, put_magic(max_align, buffer))
            }
            // CHECK_ERASED.
            _ => (Action::Check, 0, 0),
        })
    }

    /// Whether the trailer was erased.
    pub(super) fn check_erased(&self, now: Cells) -> Result<(), Stop> {
        if now.is_blank() {
            Ok(())
        } else if now.is_zeroed() {
            Err(Stop::ErasesToZero(self.slot))
        } else {
            Err(Stop::NotKept(self.slot))
        }
    }

    /// Whether the trailer is as it should be at the end.
    pub(super) fn check(&self, now: Cells) -> Result<(), Stop> {
        let mut kept = self.steps >> MAGIC & 1 == 0 || now.magic() == Magic::Good;
        for (wanted, value) in self.values.iter().zip(&now.values) {
            kept &= *wanted == ERASED || wanted == value;
        }
        if kept { Ok(()) } else { Err(Stop::NotKept(self.slot)) }
    }
}

/// What the note begins with.
const TAG: [u8; 16] = *b"mender new image";
/// Tag and hash.
pub(super) const NOTE_LEN: u32 = TAG.len() as u32 + HASH_LEN;

/// Whether this hash is the one of a note, if it is a note.
pub(super) fn is_noted(note: &[u8], hash: &Hash) -> Option<bool> {
    note.strip_prefix(&TAG).map(|noted| noted == hash)
}

/// What a request in slot 1 takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// It is there already.
    There,
    Write(Change),
    /// The image reaches into the sector of the trailer, where something else is written.
    Shared,
}

/// A request with these values, for an image that ends at `end`.
pub(super) fn request(values: Values, end: u32, geometry: &Geometry, now: Cells) -> Request {
    let mut change = Change::write_magic(values);
    if end <= geometry.last_sector(Slot::Secondary) {
        // Even if it is blank: after a power cut, cells may read as erased and not be.
        return Request::Write(change.with(ERASE));
    }
    // swap_info decides nothing.
    let (mut asked, mut fits) = (true, true);
    for (index, (wanted, value)) in change.values.iter_mut().zip(&now.values).enumerate() {
        asked &= index == 0 || wanted == value;
        fits &= *value == ERASED || value == wanted;
        if value == wanted {
            *wanted = ERASED;
        }
    }
    match now.magic() {
        Magic::Good if asked => Request::There,
        Magic::Unset if fits => Request::Write(change),
        Magic::Good | Magic::Unset | Magic::Bad => Request::Shared,
    }
}
