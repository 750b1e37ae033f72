//! Changes of a slot, as values: requests, their withdrawal, the confirmation, the way back, the room for an image. Pure;
//! depends on errors, layout, modes and trailer.
//!
//! In each the magic comes last, so that half of one is none.

use super::error::Stop;
use super::layout::Geometry;
use super::mode::sealed::Kind;
use super::slot::Slot;
use super::trailer::{CELLS, Cells, ERASED, Magic, SET, magic_offset, put_magic};

/// Values of swap_info, copy_done and image_ok; [`ERASED`]: none.
pub(super) type Values = [u8; CELLS];

/// What is to be done to a slot: a bit for each step, and the values of cells. Steps are done in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) slot: Slot,
    values: Values,
    steps: u16,
}

/// One flash operation on a slot, or the check of what the last ones have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Erase,
    /// The bytes of the buffer.
    Write,
    /// The note.
    Note,
    Check,
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
const FIRST_CELL: u8 = 6;
const MAGIC: u8 = FIRST_CELL + CELLS as u8;
/// The last step.
pub(super) const CHECK: u8 = MAGIC + 1;

const ERASE: u16 = 1 << ERASE_CELLS | 1 << CHECK_ERASED;

impl Change {
    /// Writes these cells, and nothing else.
    pub(super) const fn write(slot: Slot, values: Values) -> Change {
        Change {
            slot,
            values,
            steps: 0,
        }
    }

    const fn with(self, steps: u16) -> Change {
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

    /// Erases all of slot 1 that is not erased as an image of this length comes. First of all a request that may still be there:
    /// it must not meet another image. A header at the start would be taken for an image in the wrong place, where images start
    /// elsewhere. The note is that of an earlier update; it stays if the image will be written over it.
    pub(super) fn prepare(kind: Kind, geometry: &Geometry, len: u32) -> Change {
        let start = u16::from(geometry.image_offset(kind) > 0) << ERASE_START;
        let note = u16::from(geometry.note(kind, len).is_some()) << ERASE_NOTE;
        Change::erase(Slot::Secondary, [ERASED; CELLS]).with(start | note)
    }

    /// Writes the note, if there is to be one, and these cells.
    pub(super) fn note(is_noted: bool, values: Values) -> Change {
        Change::write(Slot::Secondary, values).with(u16::from(is_noted) << NOTE)
    }

    /// The last step of a request.
    pub(super) const fn write_magic(values: Values) -> Change {
        Change::write(Slot::Secondary, values).with(1 << MAGIC)
    }

    /// What a step is, and its range. `unit` is the slot's write unit, and `buffer` gets what is to be written.
    pub(super) fn action(
        &self,
        kind: Kind,
        step: u8,
        geometry: &Geometry,
        unit: u32,
        buffer: &mut [u8],
    ) -> (Action, u32, u32) {
        let sector_len = geometry.sector_len;
        let cells = geometry.cells_offset(self.slot);
        let max_align = u32::from(geometry.max_align);
        if let Some(value) = self.values.get(usize::from(step.wrapping_sub(FIRST_CELL))) {
            if *value == ERASED {
                return (Action::Nothing, 0, 0);
            }
            buffer.iter_mut().take(unit as usize).for_each(|byte| *byte = ERASED);
            if let Some(first) = buffer.first_mut() {
                *first = *value;
            }
            let offset = cells.saturating_add(u32::from(step - FIRST_CELL).saturating_mul(max_align));
            return (Action::Write, offset, unit);
        }
        if step == CHECK {
            return (Action::Check, 0, 0);
        }
        if self.steps >> step & 1 == 0 {
            return (Action::Nothing, 0, 0);
        }
        let note = geometry.note(kind, 0).unwrap_or_default();
        match step {
            ERASE_HEADER => (Action::Erase, geometry.image_offset(kind), sector_len),
            ERASE_CELLS => (Action::Erase, geometry.last_sector(self.slot), sector_len),
            ERASE_START => (Action::Erase, 0, sector_len),
            ERASE_NOTE => (Action::Erase, note, sector_len),
            NOTE => (Action::Note, note, 0),
            MAGIC => {
                let offset = cells.saturating_add(magic_offset(max_align));
                (Action::Write, offset, put_magic(max_align, buffer))
            }
            // CHECK_ERASED.
            _ => (Action::Check, 0, 0),
        }
    }

    /// Whether the slot is as it should be after a step that checks.
    pub(super) fn check(&self, step: u8, now: Cells) -> Result<(), Stop> {
        let mut kept = self.steps >> MAGIC & 1 == 0 || now.magic() == Magic::Good;
        if step == CHECK_ERASED {
            kept = now.is_blank();
            if !kept && now.is_zeroed() {
                return Err(Stop::ErasesToZero(self.slot));
            }
        } else {
            for (wanted, value) in self.values.iter().zip(&now.values) {
                kept &= *wanted == ERASED || wanted == value;
            }
        }
        if kept { Ok(()) } else { Err(Stop::NotKept(self.slot)) }
    }
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
