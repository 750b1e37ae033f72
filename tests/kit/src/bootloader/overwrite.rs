//! Overwrite-only: slot 1 is copied over slot 0, then the first and the last sector of slot 1 are erased. If power goes, the
//! request is still there and everything is repeated.

use super::check::image_len;
use super::run::Run;
use super::trailer::SwapType;
use super::{BootOutcome, Mcuboot, read};
use crate::flash::{FlashError, SimFlash};

impl Mcuboot {
    pub(super) fn boot_by_overwriting<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
        fast: bool,
        outcome: &mut BootOutcome,
    ) -> Result<(), FlashError> {
        let wanted = match self.decision(flash)? {
            wanted @ (SwapType::Test | SwapType::Permanent) => wanted,
            SwapType::None | SwapType::Revert => return Ok(()),
        };
        let image = read(flash, &self.layout.slot1)?;
        let room = self.max_image_len(WRITE as u32, SECTOR as u32) as usize;
        if !self.accept(flash, self.check(&image, room), outcome)? {
            return Ok(());
        }
        let (slot0, slot1) = (&self.layout.slot0, &self.layout.slot1);
        let sector_len = SECTOR as u32;
        let len = if fast {
            // One unit more if the image is a whole number of units.
            (image_len(&image).unwrap_or(0) / WRITE as u32 + 1) * WRITE as u32
        } else {
            slot0.end - slot0.start
        };
        flash.erase_now(slot0.start..slot0.start + len.next_multiple_of(sector_len))?;
        if fast {
            self.erase_trailer(flash, slot0)?;
        }
        let run = Run {
            boot: self,
            flash,
            swap_type: wanted,
        };
        for offset in (0..len).step_by(SECTOR) {
            let end = len.min(offset + sector_len);
            run.copy_written(slot1.start + offset..slot1.start + end, slot0.start + offset)?;
        }
        if fast {
            run.write_magic(slot0.end)?;
        }
        flash.erase_now(slot1.start..slot1.start + sector_len)?;
        flash.erase_now(slot1.end - sector_len..slot1.end)?;
        outcome.swapped = wanted;
        Ok(())
    }
}
