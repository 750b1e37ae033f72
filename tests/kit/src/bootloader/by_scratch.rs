//! Swap using scratch: from the last sectors to the first, slot 1's go to the scratch area, slot 0's to slot 1, the scratch
//! area's to slot 0. The status is in slot 0's trailer, or in the scratch area's while the sectors with the trailer are
//! being exchanged.

use core::ops::Range;

use super::check::image_len;
use super::run::Run;
use super::trailer::{Flag, Magic, SwapType, Trailer};
use super::{BootOutcome, Mcuboot, read};
use crate::flash::{FlashError, SimFlash};
use crate::image::header_version;

/// Status entries per step.
const STATES: u32 = 3;

/// Where the record of a swap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    Slot0,
    Scratch,
}

impl Source {
    fn find(slot0: &Trailer, scratch: &Trailer) -> Source {
        match (slot0.magic, slot0.copy_done, scratch.magic) {
            (Magic::Good, Flag::Set, Magic::Unset | Magic::Bad) => Source::None,
            (Magic::Good, Flag::Unset, Magic::Unset | Magic::Bad) => Source::Slot0,
            (_, _, Magic::Good) => Source::Scratch,
            (Magic::Unset, Flag::Unset, Magic::Unset | Magic::Bad) => Source::Slot0,
            (Magic::Good | Magic::Unset | Magic::Bad, _, Magic::Unset | Magic::Bad) => Source::None,
        }
    }
}

impl Mcuboot {
    pub(super) fn boot_by_scratch<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
        scratch: &Range<u32>,
        outcome: &mut BootOutcome,
    ) -> Result<(), FlashError> {
        let slot0 = read(flash, &self.layout.slot0)?;
        let slot1 = read(flash, &self.layout.slot1)?;
        let area = read(flash, scratch)?;
        let trailers = (self.trailer(&slot0), self.trailer(&slot1), self.trailer(&area));
        let write_len = WRITE as u32;

        let source = Source::find(&trailers.0, &trailers.2);
        let (known, entries) = match source {
            Source::None => (SwapType::None, 0),
            Source::Slot0 => {
                let status = slot0.len() - self.trailer_len(write_len) as usize;
                let all = self.layout.max_img_sectors * STATES;
                (trailers.0.swap_type, entries::<WRITE>(&slot0[status..], all))
            }
            Source::Scratch => {
                let status = area.len() - self.scratch_trailer_len(write_len) as usize;
                (trailers.2.swap_type, entries::<WRITE>(&area[status..], STATES))
            }
        };
        let run = |swap_type| Scratch {
            run: Run {
                boot: self,
                flash,
                swap_type,
            },
            scratch,
        };
        let from = if source == Source::Scratch { &area } else { &slot0 };
        let cell = &from[from.len() - self.cells().swap_size() as usize..];
        let size = u32::from_le_bytes([cell[0], cell[1], cell[2], cell[3]]);
        // bootutil does not check the size; what a torn erase leaves of a record is taken for none here.
        if entries > 0 && size as usize <= slot0.len() {
            run(known).exchange(size, entries)?;
            outcome.resumed = true;
            return Ok(());
        }
        if header_version(&slot0).is_none() {
            return Ok(());
        }
        let wanted = match known {
            SwapType::None => self.decide(&trailers.0, &trailers.1),
            SwapType::Test | SwapType::Permanent | SwapType::Revert => known,
        };
        if wanted == SwapType::None {
            return Ok(());
        }
        let room = self.max_image_len(WRITE as u32, SECTOR as u32) as usize;
        if self.accept(flash, self.check(&slot1, room), outcome)? {
            let size = image_len(&slot0).max(image_len(&slot1)).unwrap_or(0);
            run(wanted).exchange(size, 0)?;
            outcome.swapped = wanted;
        }
        Ok(())
    }

    /// A trailer with the status of a single step.
    fn scratch_trailer_len(&self, write_len: u32) -> u32 {
        STATES * write_len + self.cells().swap_size()
    }
}

/// Number of entries at the start of a status; the first erased one ends it.
fn entries<const WRITE: usize>(status: &[u8], all: u32) -> u32 {
    (0..all)
        .find(|entry| status[*entry as usize * WRITE] == 0xff)
        .unwrap_or(all)
}

struct Scratch<'a, const WRITE: usize, const SECTOR: usize> {
    run: Run<'a, WRITE, SECTOR>,
    scratch: &'a Range<u32>,
}

/// One step: as many sectors as the scratch area holds.
struct Step {
    /// From the start of the slots.
    sectors: Range<u32>,
    /// Data end here: below the trailer.
    data_end: u32,
    /// Entries of the steps before.
    first_entry: u32,
    /// The step exchanges sectors of the trailer.
    status_in_scratch: bool,
}

impl<const WRITE: usize, const SECTOR: usize> Scratch<'_, WRITE, SECTOR> {
    fn exchange(&self, size: u32, entries: u32) -> Result<(), FlashError> {
        let boot = self.run.boot;
        let sector_len = SECTOR as u32;
        let per_step = (self.scratch.end - self.scratch.start) / sector_len * sector_len;
        let trailer = boot.layout.slot0.end - boot.layout.slot0.start - boot.trailer_len(WRITE as u32);
        let trailer_sector = trailer / sector_len * sector_len;
        let mut end = size.next_multiple_of(sector_len);
        let mut first_entry = 0;
        while end > 0 {
            let sectors = end.saturating_sub(per_step)..end;
            end = sectors.start;
            let step = Step {
                data_end: sectors.end.min(trailer),
                status_in_scratch: first_entry == 0 && sectors.end > trailer_sector,
                sectors,
                first_entry,
            };
            first_entry += STATES;
            if entries < first_entry {
                self.step(&step, entries.saturating_sub(step.first_entry), size)?;
            }
        }
        self.run.finish()
    }

    fn step(&self, step: &Step, done: u32, size: u32) -> Result<(), FlashError> {
        let (run, boot, flash) = (&self.run, self.run.boot, self.run.flash);
        let (slot0, slot1) = (&boot.layout.slot0, &boot.layout.slot1);
        let place = |slot: &Range<u32>, range: &Range<u32>| slot.start + range.start..slot.start + range.end;
        let data = step.sectors.start..step.data_end;
        let status = if step.status_in_scratch {
            self.scratch.end - boot.scratch_trailer_len(WRITE as u32)
        } else {
            slot0.end - boot.trailer_len(WRITE as u32)
        };
        let entry = |state: u32| run.write_status(status, step.first_entry + state, state as u8 + 1);
        let first = step.first_entry == 0;

        if done == 0 {
            flash.erase_now(self.scratch.clone())?;
            if first {
                let confirmed = boot.trailer(&read(flash, slot1)?).image_ok == Flag::Set;
                // The kind of the swap is kept here while slot 0's trailer is being erased.
                run.init_status(self.scratch.end, size, None, confirmed)?;
                if !step.status_in_scratch {
                    boot.erase_trailer(flash, slot0)?;
                    run.init_status(slot0.end, size, None, confirmed)?;
                    flash.erase_now(self.scratch.clone())?;
                }
            }
            run.copy(place(slot1, &data), self.scratch.start)?;
            entry(0)?;
        }
        if done <= 1 {
            flash.erase_now(place(slot1, &step.sectors))?;
            run.copy(place(slot0, &data), slot1.start + data.start)?;
            if first {
                self.erase_trailer_above(slot1, if step.status_in_scratch { step.sectors.end } else { 0 })?;
            }
            entry(1)?;
        }
        flash.erase_now(place(slot0, &step.sectors))?;
        if step.status_in_scratch {
            self.erase_trailer_above(slot0, step.sectors.end)?;
        }
        run.copy(
            self.scratch.start..self.scratch.start + (data.end - data.start),
            slot0.start + data.start,
        )?;
        if !step.status_in_scratch {
            return entry(2);
        }
        // The status moves into slot 0.
        let in_slot0 = slot0.end - boot.trailer_len(WRITE as u32);
        run.copy(status..status + 2 * WRITE as u32, in_slot0)?;
        let confirmed = boot.trailer(&read(flash, self.scratch)?).image_ok == Flag::Set;
        run.init_status(slot0.end, size, None, confirmed)?;
        run.write_status(in_slot0, 2, 3)?;
        flash.erase_now(self.scratch.clone())
    }

    /// Erases the sectors of a slot's trailer from this offset on.
    fn erase_trailer_above(&self, slot: &Range<u32>, from: u32) -> Result<(), FlashError> {
        let trailer = self.run.boot.trailer_len(WRITE as u32).next_multiple_of(SECTOR as u32);
        let first = (slot.end - trailer).max(slot.start + from);
        let mut end = slot.end;
        while end > first {
            self.run.flash.erase_now(end - SECTOR as u32..end)?;
            end -= SECTOR as u32;
        }
        Ok(())
    }
}
