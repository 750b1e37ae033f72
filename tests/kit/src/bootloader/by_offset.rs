//! Swap using offset: a new image starts at the second sector of slot 1. Going up, each sector of slot 0 is copied to the
//! same place in slot 1, then the one above it in slot 1 to slot 0; a revert goes down and the other way round.

use super::check::{Verdict, image_len};
use super::run::Run;
use super::trailer::{Flag, Magic, SwapType};
use super::{BootOutcome, Mcuboot, read};
use crate::flash::{FlashError, SimFlash};
use crate::image::{ImageInfo, header_version};

impl Mcuboot {
    pub(super) fn boot_by_offset<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
        outcome: &mut BootOutcome,
    ) -> Result<(), FlashError> {
        let slot0 = read(flash, &self.layout.slot0)?;
        let slot1 = read(flash, &self.layout.slot1)?;
        let trailers = (self.trailer(&slot0), self.trailer(&slot1));
        let decided = self.decide(&trailers.0, &trailers.1);
        let run = |swap_type| Run {
            boot: self,
            flash,
            swap_type,
        };

        let begun =
            trailers.0.magic == Magic::Good && trailers.0.copy_done == Flag::Unset && trailers.1.magic != Magic::Good;
        let entries = self.offset_entries::<WRITE>(&slot0);
        if begun && entries > 0 {
            run(trailers.0.swap_type).resume_offset(&slot0, entries)?;
            outcome.resumed = true;
            return Ok(());
        }
        if header_version(&slot0).is_none() {
            return Ok(());
        }
        let wanted = match trailers.0.swap_type {
            known if begun && known != SwapType::None => known,
            _ => decided,
        };
        if wanted == SwapType::None {
            return Ok(());
        }

        // A new image is one sector into the slot, the one to go back to at its start; each is looked for at the
        // other place too.
        let (at_start, above) = (
            header_version(&slot1).is_some(),
            header_version(&slot1[SECTOR..]).is_some(),
        );
        let room = self.max_image_len(WRITE as u32, SECTOR as u32) as usize;
        let (image, verdict) = match (wanted == SwapType::Revert, at_start, above) {
            (_, false, false) => (&slot1[SECTOR..], Verdict::NotBootable),
            (true, true, _) => (&slot1[..], self.check(&slot1, room)),
            (_, false, true) => (&slot1[SECTOR..], self.check(&slot1[SECTOR..], room)),
            // Once begun, the start of slot 1 may have been copied from slot 0 already.
            (false, true, true) if begun => (&slot1[SECTOR..], self.check(&slot1[SECTOR..], room)),
            (false, true, _) => (&slot1[..], Verdict::Bad),
        };
        if self.accept(flash, verdict, outcome)? && run(wanted).start_offset(&slot0, image, begun)? {
            outcome.swapped = wanted;
        }
        Ok(())
    }

    fn offset_status(&self, write_len: u32) -> u32 {
        self.layout.slot0.end - self.trailer_len(write_len)
    }

    /// Number of status entries: the last one that is not erased counts.
    fn offset_entries<const WRITE: usize>(&self, slot0: &[u8]) -> u32 {
        let start = (self.offset_status(WRITE as u32) - self.layout.slot0.start) as usize;
        (1..=self.layout.max_img_sectors * self.states_per_sector())
            .rev()
            .find(|entry| slot0[start + (*entry as usize - 1) * WRITE] != 0xff)
            .unwrap_or(0)
    }
}

/// Sectors of a slot that its image uses: copies beyond are skipped. bootutil leaves out the unprotected TLVs here, and
/// copies one sector more than it counts.
fn used_sectors(image: &[u8], sector_len: usize) -> u32 {
    ImageInfo::parse(image).map_or(u32::MAX, |image| image.hashed_len.div_ceil(sector_len) as u32)
}

fn tlv_len(image: &[u8]) -> u16 {
    ImageInfo::parse(image).map_or(0, |image| (image.len - image.hashed_len) as u16)
}

impl<const WRITE: usize, const SECTOR: usize> Run<'_, WRITE, SECTOR> {
    fn start_offset(&self, slot0: &[u8], image: &[u8], begun: bool) -> Result<bool, FlashError> {
        let layout = &self.boot.layout;
        let size = image_len(slot0).max(image_len(image)).unwrap_or(0);
        let sectors = size.div_ceil(SECTOR as u32);
        let slot0_sectors = (layout.slot0.end - layout.slot0.start) / SECTOR as u32;
        let trailer_sectors = self.boot.trailer_len(WRITE as u32).div_ceil(SECTOR as u32);
        if sectors + trailer_sectors > slot0_sectors {
            return Ok(false);
        }
        let tlv_sizes = Some([tlv_len(slot0), tlv_len(image)]);
        let request = self.boot.trailer(&read(self.flash, &layout.slot1)?);
        if self.swap_type == SwapType::Revert && request.magic == Magic::Unset {
            // Slot 0's trailer, which asks for the revert, is erased before the new one is complete.
            self.boot.erase_trailer(self.flash, &layout.slot1)?;
            self.write_cell(layout.slot1.end, self.boot.cells().copy_done(), &[1])?;
            self.init_status(layout.slot1.end, size, tlv_sizes, false)?;
        }
        if !begun {
            self.boot.erase_trailer(self.flash, &layout.slot0)?;
            self.init_status(layout.slot0.end, size, tlv_sizes, request.image_ok == Flag::Set)?;
        }
        self.boot.erase_trailer(self.flash, &layout.slot1)?;
        let used = [used_sectors(slot0, SECTOR), used_sectors(image, SECTOR)];
        self.exchange_offset(sectors, 0, used)?;
        Ok(true)
    }

    fn resume_offset(&self, slot0: &[u8], entries: u32) -> Result<(), FlashError> {
        let layout = &self.boot.layout;
        let cell = &slot0[slot0.len() - self.boot.cells().swap_size() as usize..];
        let size = u32::from_le_bytes([cell[0], cell[1], cell[2], cell[3]]);
        let sectors = size.div_ceil(SECTOR as u32);
        if entries < 2 {
            self.boot.erase_trailer(self.flash, &layout.slot1)?;
        }
        // Where the headers are by now.
        let slot1 = read(self.flash, &layout.slot1)?;
        let (from0, from1) = if self.swap_type == SwapType::Revert {
            // The first sectors come last.
            let from0 = if entries + 1 >= 2 * sectors {
                &slot1[SECTOR..]
            } else {
                slot0
            };
            (from0, if entries >= 2 * sectors { slot0 } else { &slot1[..] })
        } else {
            let from0 = if entries >= 1 { &slot1[..] } else { slot0 };
            (from0, if entries >= 2 { slot0 } else { &slot1[SECTOR..] })
        };
        let used = [from0, from1].map(header_used::<SECTOR>);
        self.exchange_offset(sectors, entries, used)
    }

    fn exchange_offset(&self, sectors: u32, entries: u32, used: [u32; 2]) -> Result<(), FlashError> {
        let layout = &self.boot.layout;
        let status = self.boot.offset_status(WRITE as u32);
        let revert = self.swap_type == SwapType::Revert;
        let sector_len = SECTOR as u32;
        for step in entries..2 * sectors {
            let index = if revert { sectors - 1 - step / 2 } else { step / 2 };
            let in0 = layout.slot0.start + index * sector_len;
            let in1 = layout.slot1.start + index * sector_len;
            let (to_slot1, to_slot0) = if revert {
                ((in0, in1 + sector_len), (in1, in0))
            } else {
                ((in0, in1), (in1 + sector_len, in0))
            };
            let (from, to) = if step % 2 == 0 { to_slot1 } else { to_slot0 };
            if index <= used[step as usize % 2] {
                self.copy_sector(from, to)?;
            }
            self.write_status(status, step, (step % 2 + 1) as u8)?;
        }
        if revert {
            // What is left of the old image would look like one in the wrong place.
            self.flash
                .erase_now(layout.slot1.start..layout.slot1.start + sector_len)?;
            self.boot.erase_trailer(self.flash, &layout.slot1)?;
        }
        self.finish()
    }
}

/// [`used_sectors`] from the header alone: the rest of the image may be elsewhere.
fn header_used<const SECTOR: usize>(header: &[u8]) -> u32 {
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (lens, body) = (word(8), word(12));
    let len = u64::from(lens & 0xffff) + u64::from(lens >> 16) + u64::from(body);
    u32::try_from(len.div_ceil(SECTOR as u64)).unwrap_or(u32::MAX)
}
