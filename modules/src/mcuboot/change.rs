//! Changes of a trailer, as values: requests, their withdrawal, the confirmation, the way back. Pure; depends on errors,
//! layout, modes and trailer.
//!
//! In each the magic comes last, so that half of one is none.

use super::error::Stop;
use super::layout::Geometry;
use super::mode::sealed::Kind;
use super::slot::Slot;
use super::trailer::{CELLS, Cells, ERASED, Magic, SET, magic_offset, put_magic};

/// Values of swap_info, copy_done and image_ok; [`ERASED`]: none.
pub(super) type Values = [u8; CELLS];

/// What is to be done to a slot, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) slot: Slot,
    /// Slot 1: erases the first sector of a new image, and with it the header.
    pub(super) erase_header: bool,
    /// Erases the last sector.
    pub(super) erase_cells: bool,
    /// Writes these cells.
    pub(super) values: Values,
    pub(super) magic: bool,
}

/// One flash operation on a slot, or the check of what the last ones have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Erase { from: u32, to: u32 },
    /// So many bytes of the buffer.
    Write { offset: u32, len: u32 },
    Check,
}

const ERASE_HEADER: u8 = 0;
const ERASE_CELLS: u8 = 1;
const CHECK_ERASED: u8 = 2;
const FIRST_CELL: u8 = 3;
const MAGIC: u8 = FIRST_CELL + CELLS as u8;
/// The last step.
pub(super) const CHECK: u8 = MAGIC + 1;

impl Change {
    /// Writes these cells, and nothing else.
    pub(super) const fn write(slot: Slot, values: Values) -> Change {
        Change {
            slot,
            erase_header: false,
            erase_cells: false,
            values,
            magic: false,
        }
    }

    /// Sets image_ok.
    pub(super) const fn confirm() -> Change {
        Change::write(Slot::Primary, [ERASED, ERASED, SET])
    }

    /// Erases a trailer.
    pub(super) const fn erase(slot: Slot) -> Change {
        Change {
            erase_cells: true,
            ..Change::write(slot, [ERASED; CELLS])
        }
    }

    /// Makes what was received harmless: first the image loses its header, then the trailer goes. A power cut between the
    /// two leaves at most a request without an image, which the bootloader drops, and never an intact image without its
    /// mark.
    pub(super) const fn withdraw() -> Change {
        Change {
            erase_header: true,
            ..Change::erase(Slot::Secondary)
        }
    }

    /// The last step of a request.
    pub(super) const fn write_magic() -> Change {
        Change {
            magic: true,
            ..Change::write(Slot::Secondary, [ERASED; CELLS])
        }
    }

    /// The flash operation of a step, if there is one; `unit` is the slot's write unit, and `buffer` gets what is to be written.
    pub(super) fn action(
        &self,
        kind: Kind,
        step: u8,
        geometry: &Geometry,
        unit: u32,
        buffer: &mut [u8],
    ) -> Option<Action> {
        let cells = geometry.cells_offset(self.slot);
        match step {
            ERASE_HEADER => self.erase_header.then(|| Action::Erase {
                from: geometry.image_offset(kind),
                to: geometry.image_offset(kind).saturating_add(geometry.sector_len),
            }),
            ERASE_CELLS => self.erase_cells.then(|| Action::Erase {
                from: geometry.last_sector(self.slot),
                to: geometry.slot_len(self.slot),
            }),
            CHECK_ERASED => self.erase_cells.then_some(Action::Check),
            CHECK => Some(Action::Check),
            MAGIC => self.magic.then(|| Action::Write {
                offset: cells.saturating_add(magic_offset(geometry.max_align.into())),
                len: put_magic(geometry.max_align.into(), buffer),
            }),
            cell => {
                let cell = cell.saturating_sub(FIRST_CELL);
                let value = *self.values.get(usize::from(cell))?;
                if value == ERASED {
                    return None;
                }
                for (index, byte) in buffer.iter_mut().take(unit as usize).enumerate() {
                    *byte = if index == 0 { value } else { ERASED };
                }
                Some(Action::Write {
                    offset: cells.saturating_add(u32::from(cell).saturating_mul(geometry.max_align.into())),
                    len: unit,
                })
            }
        }
    }

    /// Whether the slot is as it should be after a step that checks.
    pub(super) fn check(&self, step: u8, now: &Cells) -> Result<(), Stop> {
        if step == CHECK_ERASED {
            return if now.blank {
                Ok(())
            } else if now.zeroed {
                Err(Stop::ErasesToZero(self.slot))
            } else {
                Err(Stop::NotKept(self.slot))
            };
        }
        let written = self.values.iter().zip(&now.values);
        let mut kept = !self.magic || now.magic == Magic::Good;
        for (wanted, value) in written {
            kept &= *wanted == ERASED || wanted == value;
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
pub(super) fn request(values: Values, end: u32, geometry: &Geometry, now: &Cells) -> Request {
    let mut change = Change {
        erase_cells: end <= geometry.last_sector(Slot::Secondary),
        values,
        ..Change::write_magic()
    };
    if change.erase_cells {
        // Even if it is blank: after a power cut, cells may read as erased and not be.
        return Request::Write(change);
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
    match now.magic {
        Magic::Good if asked => Request::There,
        Magic::Unset if fits => Request::Write(change),
        Magic::Good | Magic::Unset | Magic::Bad => Request::Shared,
    }
}
