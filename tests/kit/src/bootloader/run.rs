//! What the swaps have in common: the trailer that records one, its end, and the copying of sectors.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::trailer::{Flag, SwapType, magic};
use super::{Mcuboot, read};
use crate::flash::{FlashError, SimFlash};

/// What bootutil copies at once: `BUF_SZ` in its `loader.c`. A multiple of every write unit. Of sectors above 4 KiB a quarter: a
/// sector of 128 KiB would have 128 places for a power cut that differ in nothing but a number.
const fn piece_len(sector: usize) -> usize {
    if sector > 4096 { sector / 4 } else { 1024 }
}

/// A swap at work.
pub(super) struct Run<'a, const WRITE: usize, const SECTOR: usize> {
    pub(super) boot: &'a Mcuboot,
    pub(super) flash: &'a SimFlash<WRITE, SECTOR>,
    pub(super) swap_type: SwapType,
}

impl<const WRITE: usize, const SECTOR: usize> Run<'_, WRITE, SECTOR> {
    /// The cells that say which swap is under way, the magic last. `area_end`: of a slot, or of the scratch area.
    pub(super) fn init_status(
        &self,
        area_end: u32,
        size: u32,
        tlv_sizes: Option<[u16; 2]>,
        confirmed: bool,
    ) -> Result<(), FlashError> {
        let cells = self.boot.cells();
        self.write_cell(area_end, cells.swap_info(), &[self.swap_type.swap_info()])?;
        if confirmed {
            self.write_cell(area_end, cells.image_ok(), &[1])?;
        }
        self.write_cell(area_end, cells.swap_size(), &size.to_le_bytes())?;
        if let Some([slot0, slot1]) = tlv_sizes {
            let sizes = [slot0.to_le_bytes(), slot1.to_le_bytes()].concat();
            self.write_cell(area_end, cells.tlv_sizes(), &sizes)?;
        }
        self.write_magic(area_end)
    }

    /// The flags that end a swap. An image that came by a revert or for good needs no confirmation.
    pub(super) fn finish(&self) -> Result<(), FlashError> {
        let cells = self.boot.cells();
        let slot0 = &self.boot.layout.slot0;
        match self.swap_type {
            SwapType::Revert | SwapType::Permanent => {
                if self.boot.trailer(&read(self.flash, slot0)?).image_ok == Flag::Unset {
                    self.write_cell(slot0.end, cells.image_ok(), &[1])?;
                }
            }
            SwapType::None | SwapType::Test => {}
        }
        self.write_cell(slot0.end, cells.copy_done(), &[1])
    }

    /// Erases a sector and copies another there.
    pub(super) fn copy_sector(&self, from: u32, to: u32) -> Result<(), FlashError> {
        self.flash.erase_now(to..to + SECTOR as u32)?;
        self.copy(from..from + SECTOR as u32, to)
    }

    /// In pieces, as `boot_copy_region` does.
    pub(super) fn copy(&self, from: Range<u32>, to: u32) -> Result<(), FlashError> {
        let bytes = read(self.flash, &from)?;
        for (offset, piece) in (to..).step_by(piece_len(SECTOR)).zip(bytes.chunks(piece_len(SECTOR))) {
            self.flash.write_now(offset, piece)?;
        }
        Ok(())
    }

    /// Copies only what is not erased, so that the cells of a trailer among it can be written later: an erased unit
    /// that is written again holds no other content, but counts as written on this chip.
    pub(super) fn copy_written(&self, from: Range<u32>, to: u32) -> Result<(), FlashError> {
        let bytes = read(self.flash, &from)?;
        let units: Vec<&[u8]> = bytes.chunks(WRITE).collect();
        let mut offset = to;
        for run in units.chunk_by(|a, b| is_blank(a) == is_blank(b)) {
            let run = run.concat();
            if !is_blank(&run) {
                self.flash.write_now(offset, &run)?;
            }
            offset += run.len() as u32;
        }
        Ok(())
    }

    /// Writes one entry of the swap status that begins at this offset.
    pub(super) fn write_status(&self, status_offset: u32, entry: u32, value: u8) -> Result<(), FlashError> {
        let mut unit = [0xff; WRITE];
        unit[0] = value;
        self.flash.write_now(status_offset + entry * WRITE as u32, &unit)
    }

    pub(super) fn write_cell(&self, area_end: u32, from_end: u32, value: &[u8]) -> Result<(), FlashError> {
        let mut cell = vec![0xff; value.len().next_multiple_of(WRITE)];
        cell[..value.len()].copy_from_slice(value);
        self.flash.write_now(area_end - from_end, &cell)
    }

    pub(super) fn write_magic(&self, area_end: u32) -> Result<(), FlashError> {
        let area = self.boot.cells().magic_area();
        let mut bytes = vec![0xff; area as usize - 16];
        bytes.extend_from_slice(&magic(self.boot.max_align));
        self.flash.write_now(area_end - area, &bytes)
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0xff)
}
