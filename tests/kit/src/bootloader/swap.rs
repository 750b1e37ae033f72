//! The swap itself: every sector of slot 0 moves up by one, then the slots change places sector by sector. After each
//! step an entry is written to the swap status in slot 0's trailer, so that a power cut costs at most that step.

use super::trailer::{
    COPY_DONE_FROM_END, Flag, IMAGE_OK_FROM_END, MAGIC, MAGIC_FROM_END, Magic, SWAP_INFO_FROM_END, SWAP_SIZE_FROM_END,
    SwapType, Trailer,
};
use super::{Mcuboot, image_len, read};
use crate::flash::{FlashError, SimFlash};

/// How far a swap got: the number of status entries written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many sectors have been moved up (at least one).
    Moved(u32),
    /// So many half steps of the exchange are done; two per sector.
    Exchanged(u32),
}

impl Mcuboot {
    fn status_offset(&self, write_len: u32) -> u32 {
        self.layout.slot0.end - SWAP_SIZE_FROM_END - self.layout.max_img_sectors * 3 * write_len
    }

    /// Reads the swap status: the last entry that is not erased counts.
    pub(super) fn progress<const WRITE: usize>(&self, slot0: &[u8]) -> Option<Progress> {
        let start = (self.status_offset(WRITE as u32) - self.layout.slot0.start) as usize;
        let entries = self.layout.max_img_sectors * 3;
        let last = (1..=entries)
            .rev()
            .find(|entry| slot0[start + (*entry as usize - 1) * WRITE] != 0xff)?;
        // MCUboot counts entries, and takes a full move area for the begin of the exchange.
        Some(match last.checked_sub(self.layout.max_img_sectors) {
            None => Progress::Moved(last),
            Some(done) => Progress::Exchanged(done),
        })
    }
}

pub(super) struct Run<'a, const WRITE: usize, const SECTOR: usize> {
    pub(super) boot: &'a Mcuboot,
    pub(super) flash: &'a SimFlash<WRITE, SECTOR>,
    pub(super) swap_type: SwapType,
}

impl<const WRITE: usize, const SECTOR: usize> Run<'_, WRITE, SECTOR> {
    /// A new swap; `false` if there is no room for it. `begun`: the trailer of slot 0 is already that of this swap.
    pub(super) fn start(&self, slot0: &[u8], slot1: &[u8], begun: bool) -> Result<bool, FlashError> {
        let layout = &self.boot.layout;
        let size = image_len(slot0).max(image_len(slot1)).unwrap_or(0);
        let sectors = size.div_ceil(SECTOR as u32);
        let slot0_sectors = (layout.slot0.end - layout.slot0.start) / SECTOR as u32;
        let trailer_sectors = self.boot.trailer_len(WRITE as u32).div_ceil(SECTOR as u32);
        if sectors + trailer_sectors >= slot0_sectors {
            return Ok(false);
        }
        let mut request = Trailer::read(slot1);
        if self.swap_type == SwapType::Revert && request.magic == Magic::Unset {
            // A revert is made to look like a permanent request, because slot 0's trailer, which asks for it, is
            // erased before the new one is complete.
            self.boot.erase_trailer(self.flash, &layout.slot1)?;
            self.write_cell(layout.slot1.end, IMAGE_OK_FROM_END, &[1])?;
            self.write_cell(layout.slot1.end, SWAP_SIZE_FROM_END, &size.to_le_bytes())?;
            self.flash.write_now(layout.slot1.end - MAGIC_FROM_END, &MAGIC)?;
            request = Trailer::read(&read(self.flash, &layout.slot1)?);
        }
        if !begun {
            self.boot.erase_trailer(self.flash, &layout.slot0)?;
            self.write_cell(layout.slot0.end, SWAP_INFO_FROM_END, &[self.swap_type.swap_info()])?;
            if request.image_ok == Flag::Set {
                self.write_cell(layout.slot0.end, IMAGE_OK_FROM_END, &[1])?;
            }
            self.write_cell(layout.slot0.end, SWAP_SIZE_FROM_END, &size.to_le_bytes())?;
            self.flash.write_now(layout.slot0.end - MAGIC_FROM_END, &MAGIC)?;
        }
        self.boot.erase_trailer(self.flash, &layout.slot1)?;
        self.move_up(sectors, 0)?;
        self.exchange(sectors, 0)?;
        self.finish()?;
        Ok(true)
    }

    /// Goes on where an earlier boot was interrupted.
    pub(super) fn resume(&self, slot0: &[u8], progress: Progress) -> Result<(), FlashError> {
        let cell = &slot0[slot0.len() - SWAP_SIZE_FROM_END as usize..];
        let size = u32::from_le_bytes([cell[0], cell[1], cell[2], cell[3]]);
        let sectors = size.div_ceil(SECTOR as u32);
        match progress {
            Progress::Moved(moved) => {
                self.move_up(sectors, moved)?;
                self.exchange(sectors, 0)?;
            }
            Progress::Exchanged(steps) => self.exchange(sectors, steps)?,
        }
        self.finish()
    }

    fn move_up(&self, sectors: u32, done: u32) -> Result<(), FlashError> {
        let start = self.boot.layout.slot0.start;
        for entry in done..sectors {
            let from = start + (sectors - 1 - entry) * SECTOR as u32;
            self.copy_sector(from, from + SECTOR as u32)?;
            self.write_status(entry, 1)?;
        }
        Ok(())
    }

    fn exchange(&self, sectors: u32, done: u32) -> Result<(), FlashError> {
        let layout = &self.boot.layout;
        for step in done..2 * sectors {
            let offset = step / 2 * SECTOR as u32;
            let (slot0, slot1) = (layout.slot0.start + offset, layout.slot1.start + offset);
            if step % 2 == 0 {
                self.copy_sector(slot1, slot0)?;
            } else {
                self.copy_sector(slot0 + SECTOR as u32, slot1)?;
            }
            self.write_status(layout.max_img_sectors + step, (step % 2 + 1) as u8)?;
        }
        Ok(())
    }

    /// The flags that end a swap. An image that came by a revert or for good needs no confirmation.
    fn finish(&self) -> Result<(), FlashError> {
        let end = self.boot.layout.slot0.end;
        let confirmed = || Ok(Trailer::read(&read(self.flash, &self.boot.layout.slot0)?).image_ok != Flag::Unset);
        match self.swap_type {
            SwapType::Revert | SwapType::Permanent => {
                if !confirmed()? {
                    self.write_cell(end, IMAGE_OK_FROM_END, &[1])?;
                }
            }
            SwapType::None | SwapType::Test => {}
        }
        self.write_cell(end, COPY_DONE_FROM_END, &[1])
    }

    fn copy_sector(&self, from: u32, to: u32) -> Result<(), FlashError> {
        let mut sector = vec![0; SECTOR];
        self.flash.erase_now(to..to + SECTOR as u32)?;
        self.flash.read_now(from, &mut sector)?;
        self.flash.write_now(to, &sector)
    }

    fn write_status(&self, entry: u32, value: u8) -> Result<(), FlashError> {
        let mut unit = [0xff; WRITE];
        unit[0] = value;
        let offset = self.boot.status_offset(WRITE as u32) + entry * WRITE as u32;
        self.flash.write_now(offset, &unit)
    }

    fn write_cell(&self, slot_end: u32, from_end: u32, value: &[u8]) -> Result<(), FlashError> {
        let mut cell = vec![0xff; value.len().next_multiple_of(WRITE)];
        cell[..value.len()].copy_from_slice(value);
        self.flash.write_now(slot_end - from_end, &cell)
    }
}
