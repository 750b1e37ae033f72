//! A model of MCUboot on the simulated flash: its swap modes, overwrite-only, and direct-xip with revert.
//!
//! Behaves as MCUboot does, in the decision of the two trailers, in what it demands of an image (header, sizes,
//! hash; no signature), in what it does to a bad one, and in the flash content after a boot, byte for byte. The
//! golden states in `tests/vectors/mcuboot` come from the real `bootutil` and hold it to that. It works through writes
//! and erases of the simulated chip, so power can be cut within a boot; the next [`Mcuboot::boot`] goes on
//! from what is in flash, as the real one does.
//!
//! Differences:
//!
//! - One image pair, in sectors of one length.
//! - The contents that the real one leaves when it is cut *within* a swap are known for swap using move and offset, in seven
//!   places; there the model has come by the same after the same number of operations. For scratch, overwrite-only and direct-xip
//!   only whole boots are held to the real one.
//! - No signatures, dependencies, security counters or downgrade prevention: [`Mcuboot::refusing`] stands for them. No
//!   encrypted or compressed images, no bootstrap.
//! - Takes images with any of the three hashes; a real one is built for one of them.
//! - Build numbers never count when versions are compared.
//! - Slots that MCUboot cannot swap make [`Mcuboot::boot`] panic. The real one starts slot 0 and ignores requests.
//!
//! | file | what |
//! |---|---|
//! | `by_move.rs`, `by_offset.rs`, `by_scratch.rs` | the swap modes |
//! | `overwrite.rs`, `xip.rs` | the others |
//! | `check.rs` | images in slot 1 |
//! | `run.rs` | writes that all swaps have in common |
//! | `trailer.rs` | cells, decoding, the decision |
//!
//! Depends on [`flash`](crate::flash) and [`image`](crate::image), and not on `std`: an emulated board boots by it.

mod by_move;
mod by_offset;
mod by_scratch;
mod check;
mod overwrite;
mod run;
mod trailer;
mod xip;

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

pub use trailer::{Flag, MAGIC, Magic, SwapType, Trailer, decide, decide_offset, magic};

use crate::flash::{FlashError, SimFlash};
use crate::image::Version;
use trailer::Cells;

/// Where the slots are on the chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Slot 0. Whole sectors.
    pub slot0: Range<u32>,
    /// Slot 1. Whole sectors; how many depends on the mode.
    pub slot1: Range<u32>,
    /// MCUboot's `BOOT_MAX_IMG_SECTORS`: at least the sectors of the longer slot, in all modes but direct-xip.
    pub max_img_sectors: u32,
}

/// How the bootloader brings a new image to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Swap using move. Slot 1 has as many sectors as slot 0, or one less.
    Move,
    /// Swap using offset. Slot 1 has as many sectors as slot 0, or one more.
    Offset,
    /// Swap using scratch. The slots have the same length.
    Scratch {
        /// The scratch area; at least one sector.
        scratch: Range<u32>,
    },
    /// Slot 1 is copied over slot 0. The slots have the same length.
    Overwrite {
        /// Only the image is copied, not the whole slot. What Zephyr builds.
        fast: bool,
    },
    /// The slot with the higher version is executed where it is; with `MCUBOOT_DIRECT_XIP_REVERT`.
    DirectXip,
}

/// The bootloader of a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mcuboot {
    layout: Layout,
    mode: Mode,
    max_align: u32,
    refused: Vec<Version>,
}

/// What a boot did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootOutcome {
    /// Version of the image that runs now, or `None` if nothing can boot.
    pub ran: Option<Version>,
    /// The slot that it runs from; 0 in all modes but direct-xip.
    pub slot: u8,
    /// The swap that this boot started (or repeated from its start) and finished.
    pub swapped: SwapType,
    /// An interrupted swap of an earlier boot was finished.
    pub resumed: bool,
    /// A request was pending, and its image was refused.
    pub refused: bool,
}

impl Mcuboot {
    /// A bootloader for this layout, with swap using move and `BOOT_MAX_ALIGN` = 8.
    pub fn new(layout: Layout) -> Mcuboot {
        Mcuboot {
            layout,
            mode: Mode::Move,
            max_align: 8,
            refused: Vec::new(),
        }
    }

    /// Another mode.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Mcuboot {
        self.mode = mode;
        self
    }

    /// Another `BOOT_MAX_ALIGN`: 8, 16 or 32.
    #[must_use]
    pub fn with_max_align(mut self, max_align: u32) -> Mcuboot {
        assert!(
            matches!(max_align, 8 | 16 | 32),
            "BOOT_MAX_ALIGN is 8, 16 or 32, not {max_align}"
        );
        self.max_align = max_align;
        self
    }

    /// Makes the bootloader refuse images of this version, as if their signature were wrong.
    #[must_use]
    pub fn refusing(mut self, version: Version) -> Mcuboot {
        self.refused.push(version);
        self
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The mode.
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// `BOOT_MAX_ALIGN`.
    pub fn max_align(&self) -> u32 {
        self.max_align
    }

    /// Decodes the trailer in a slot's content, with this bootloader's `BOOT_MAX_ALIGN`.
    pub fn trailer(&self, slot: &[u8]) -> Trailer {
        Trailer::read_aligned(slot, self.max_align)
    }

    /// What follows from two trailers before the images are looked at. Direct-xip does not decide in this way: always
    /// [`SwapType::None`].
    pub fn decide(&self, slot0: &Trailer, slot1: &Trailer) -> SwapType {
        match self.mode {
            Mode::Move | Mode::Scratch { .. } | Mode::Overwrite { .. } => decide(slot0, slot1),
            Mode::Offset => decide_offset(slot0, slot1),
            Mode::DirectXip => SwapType::None,
        }
    }

    fn cells(&self) -> Cells {
        Cells {
            max_align: self.max_align,
            tlv_sizes_cell: self.mode == Mode::Offset,
        }
    }

    /// Swap status entries per sector.
    fn states_per_sector(&self) -> u32 {
        if self.mode == Mode::Offset { 2 } else { 3 }
    }

    /// Length of the trailer for this write unit: swap status, cells, magic. It begins with the status of the first step.
    pub fn trailer_len(&self, write_len: u32) -> u32 {
        self.layout.max_img_sectors * self.states_per_sector() * write_len + self.cells().swap_size()
    }

    /// The largest image, header and TLVs included, for this write unit and sector size. Direct-xip: that fits into either slot;
    /// a longer slot takes more.
    pub fn max_image_len(&self, write_len: u32, sector_len: u32) -> u32 {
        let slot0 = self.layout.slot0.end - self.layout.slot0.start;
        let slot1 = self.layout.slot1.end - self.layout.slot1.start;
        let trailer = self.trailer_len(write_len);
        let room = match self.mode {
            Mode::Move => (slot0 - sector_len)
                .min(slot1)
                .checked_sub(trailer.next_multiple_of(sector_len)),
            Mode::Offset => slot0
                .min(slot1 - sector_len)
                .checked_sub(trailer.next_multiple_of(sector_len)),
            Mode::Scratch { .. } => slot0.checked_sub(trailer).and_then(|end| {
                // The last data share the scratch area with a trailer for one step of the swap.
                let beside = end.next_multiple_of(sector_len) - end;
                let needed = self.states_per_sector() * write_len + self.cells().swap_size();
                end.checked_sub(needed.saturating_sub(beside))
            }),
            // Only those of direct-xip may differ.
            Mode::Overwrite { .. } | Mode::DirectXip => slot0.min(slot1).checked_sub(self.cells().swap_info()),
        };
        room.unwrap_or(0)
    }

    /// Boots: finishes what was interrupted, or decides on something new and performs it, then checks what is to run.
    ///
    /// # Errors
    ///
    /// [`FlashError::PowerLost`] when a scheduled power cut happened; boot again after
    /// [`SimFlash::restore_power`]. Other errors mean a wrong layout.
    ///
    /// # Panics
    ///
    /// If MCUboot would never do anything with such slots.
    pub fn boot<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
    ) -> Result<BootOutcome, FlashError> {
        assert!(
            (self.max_align as usize).is_multiple_of(WRITE),
            "a write unit of {WRITE} bytes does not fit BOOT_MAX_ALIGN = {}",
            self.max_align
        );
        self.check_layout(SECTOR as u32);
        let mut outcome = BootOutcome {
            ran: None,
            slot: 0,
            swapped: SwapType::None,
            resumed: false,
            refused: false,
        };
        match &self.mode {
            Mode::Move => self.boot_by_move(flash, &mut outcome)?,
            Mode::Offset => self.boot_by_offset(flash, &mut outcome)?,
            Mode::Scratch { scratch } => self.boot_by_scratch(flash, scratch, &mut outcome)?,
            Mode::Overwrite { fast } => self.boot_by_overwriting(flash, *fast, &mut outcome)?,
            Mode::DirectXip => {
                self.boot_in_place(flash, &mut outcome)?;
                return Ok(outcome);
            }
        }
        outcome.ran = check::bootable(&read(flash, &self.layout.slot0)?);
        Ok(outcome)
    }

    /// The real one starts slot 0 and ignores every request if the slots are not compatible, or if its tables have no room for
    /// all sectors of both.
    fn check_layout(&self, sector_len: u32) {
        let sectors = |slot: &Range<u32>| (slot.end - slot.start) / sector_len;
        let (slot0, slot1) = (sectors(&self.layout.slot0), sectors(&self.layout.slot1));
        let compatible = match self.mode {
            Mode::Move => slot0 == slot1 || slot0 == slot1 + 1,
            Mode::Offset => slot1 == slot0 || slot1 == slot0 + 1,
            Mode::Scratch { .. } | Mode::Overwrite { .. } => slot0 == slot1,
            Mode::DirectXip => true,
        };
        assert!(
            compatible,
            "slots of {slot0} and {slot1} sectors are not compatible in mode {:?}",
            self.mode
        );
        let has_room = self.mode == Mode::DirectXip || slot0.max(slot1) <= self.layout.max_img_sectors;
        assert!(
            has_room,
            "slots of {slot0} and {slot1} sectors, but BOOT_MAX_IMG_SECTORS = {}",
            self.layout.max_img_sectors
        );
    }

    /// What [`boot`](Mcuboot::boot) would decide from the trailers alone: see [`decide`](Mcuboot::decide).
    ///
    /// # Errors
    ///
    /// As `boot`.
    pub fn decision<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
    ) -> Result<SwapType, FlashError> {
        let (slot0, slot1) = (read(flash, &self.layout.slot0)?, read(flash, &self.layout.slot1)?);
        Ok(self.decide(&self.trailer(&slot0), &self.trailer(&slot1)))
    }

    fn erase_trailer<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
        slot: &Range<u32>,
    ) -> Result<(), FlashError> {
        let len = self.trailer_len(WRITE as u32).next_multiple_of(SECTOR as u32);
        let first = slot.end - len.min(slot.end - slot.start);
        // From the end downwards: the magic goes first.
        let mut end = slot.end;
        while end > first {
            flash.erase_now(end - SECTOR as u32..end)?;
            end -= SECTOR as u32;
        }
        Ok(())
    }
}

fn read<const WRITE: usize, const SECTOR: usize>(
    flash: &SimFlash<WRITE, SECTOR>,
    range: &Range<u32>,
) -> Result<Vec<u8>, FlashError> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    flash.read_now(range.start, &mut bytes)?;
    Ok(bytes)
}
