//! Swap using move: every sector of slot 0 moves up by one, then the slots change places sector by sector. After each
//! step an entry is written to the swap status in slot 0's trailer, so that a power cut costs at most that step.

use super::check::image_len;
use super::run::Run;
use super::trailer::{Flag, Magic, SwapType};
use super::{BootOutcome, Mcuboot, read};
use crate::flash::{FlashError, SimFlash};
use crate::image::header_version;

/// How far a swap got: the number of status entries written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// So many sectors have been moved up (at least one).
    Moved(u32),
    /// So many half steps of the exchange are done; two per sector.
    Exchanged(u32),
}

impl Mcuboot {
    pub(super) fn boot_by_move<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
        outcome: &mut BootOutcome,
    ) -> Result<(), FlashError> {
        let slot0 = read(flash, &self.layout.slot0)?;
        let slot1 = read(flash, &self.layout.slot1)?;
        let trailers = (self.trailer(&slot0), self.trailer(&slot1));
        let run = |swap_type| Run {
            boot: self,
            flash,
            swap_type,
        };

        // The swap status in slot 0 counts when a swap was begun there and no new request waits in slot 1.
        let begun =
            trailers.0.magic == Magic::Good && trailers.0.copy_done == Flag::Unset && trailers.1.magic != Magic::Good;
        if let Some(progress) = self.progress::<WRITE>(&slot0).filter(|_| begun) {
            run(trailers.0.swap_type).resume_move(&slot0, progress)?;
            outcome.resumed = true;
            return Ok(());
        }
        if header_version(&slot0).is_none() {
            return Ok(());
        }
        let wanted = match trailers.0.swap_type {
            known if begun && known != SwapType::None => known,
            _ => self.decide(&trailers.0, &trailers.1),
        };
        if wanted == SwapType::None {
            return Ok(());
        }
        let room = self.max_image_len(WRITE as u32, SECTOR as u32) as usize;
        if self.accept(flash, self.check(&slot1, room), outcome)? && run(wanted).start_move(&slot0, &slot1, begun)? {
            outcome.swapped = wanted;
        }
        Ok(())
    }

    fn status_offset(&self, write_len: u32) -> u32 {
        self.layout.slot0.end - self.trailer_len(write_len)
    }

    /// Reads the swap status: the last entry that is not erased counts.
    fn progress<const WRITE: usize>(&self, slot0: &[u8]) -> Option<Progress> {
        let start = (self.status_offset(WRITE as u32) - self.layout.slot0.start) as usize;
        let entries = self.layout.max_img_sectors * self.states_per_sector();
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

impl<const WRITE: usize, const SECTOR: usize> Run<'_, WRITE, SECTOR> {
    /// A new swap; `false` if there is no room for it. `begun`: the trailer of slot 0 is already that of this swap.
    fn start_move(&self, slot0: &[u8], slot1: &[u8], begun: bool) -> Result<bool, FlashError> {
        let layout = &self.boot.layout;
        let cells = self.boot.cells();
        let size = image_len(slot0).max(image_len(slot1)).unwrap_or(0);
        let sectors = size.div_ceil(SECTOR as u32);
        let slot0_sectors = (layout.slot0.end - layout.slot0.start) / SECTOR as u32;
        let trailer_sectors = self.boot.trailer_len(WRITE as u32).div_ceil(SECTOR as u32);
        if sectors + trailer_sectors >= slot0_sectors {
            return Ok(false);
        }
        let mut request = self.boot.trailer(slot1);
        if self.swap_type == SwapType::Revert && request.magic == Magic::Unset {
            // A revert is made to look like a permanent request, because slot 0's trailer, which asks for it, is
            // erased before the new one is complete.
            self.boot.erase_trailer(self.flash, &layout.slot1)?;
            self.write_cell(layout.slot1.end, cells.image_ok(), &[1])?;
            self.write_cell(layout.slot1.end, cells.swap_size(), &size.to_le_bytes())?;
            self.write_magic(layout.slot1.end)?;
            request = self.boot.trailer(&read(self.flash, &layout.slot1)?);
        }
        if !begun {
            self.boot.erase_trailer(self.flash, &layout.slot0)?;
            self.init_status(layout.slot0.end, size, None, request.image_ok == Flag::Set)?;
        }
        self.boot.erase_trailer(self.flash, &layout.slot1)?;
        self.move_up(sectors, 0)?;
        self.exchange(sectors, 0)?;
        self.finish()?;
        Ok(true)
    }

    /// Goes on where an earlier boot was interrupted.
    fn resume_move(&self, slot0: &[u8], progress: Progress) -> Result<(), FlashError> {
        let cell = &slot0[slot0.len() - self.boot.cells().swap_size() as usize..];
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
        let status = self.boot.status_offset(WRITE as u32);
        for entry in done..sectors {
            let from = start + (sectors - 1 - entry) * SECTOR as u32;
            self.copy_sector(from, from + SECTOR as u32)?;
            self.write_status(status, entry, 1)?;
        }
        Ok(())
    }

    fn exchange(&self, sectors: u32, done: u32) -> Result<(), FlashError> {
        let layout = &self.boot.layout;
        let status = self.boot.status_offset(WRITE as u32);
        for step in done..2 * sectors {
            let offset = step / 2 * SECTOR as u32;
            let (slot0, slot1) = (layout.slot0.start + offset, layout.slot1.start + offset);
            if step % 2 == 0 {
                self.copy_sector(slot1, slot0)?;
            } else {
                self.copy_sector(slot0 + SECTOR as u32, slot1)?;
            }
            self.write_status(status, layout.max_img_sectors + step, (step % 2 + 1) as u8)?;
        }
        Ok(())
    }
}
