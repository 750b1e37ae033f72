//! A model of MCUboot (swap using move, `BOOT_MAX_ALIGN` = 8, equal sectors) on the simulated flash.
//!
//! Behaves as MCUboot does, in the decision of the two trailers, in what it demands of an image (header, sizes,
//! SHA-256; no signature), in what it does to a bad one, and in the flash content after a swap, byte for byte. The
//! golden states in `tests/vectors/mcuboot` come from the real `bootutil` and hold it to that. It works through writes
//! and erases of the simulated chip, so power can be cut within a swap; the next [`Mcuboot::boot`] finishes it from
//! the swap status in slot 0, as the real one does.
//!
//! Differences: a sector is copied by one write, so the number of operations is smaller than MCUboot's.
//!
//! Depends on [`flash`](crate::flash) and [`image`](crate::image).

mod swap;
mod trailer;

use std::ops::Range;

pub use trailer::{Flag, MAGIC, Magic, SwapType, Trailer, decide};

use crate::flash::{FlashError, SimFlash};
use crate::image::{FLAG_NON_BOOTABLE, FLAGS_COMPRESSED, FLAGS_ENCRYPTED, ImageInfo, Sizes, Version, header_version};

/// Where the slots are on the chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Slot 0, the one that is executed. Whole sectors.
    pub slot0: Range<u32>,
    /// Slot 1. As many sectors, or one less.
    pub slot1: Range<u32>,
    /// MCUboot's `BOOT_MAX_IMG_SECTORS`.
    pub max_img_sectors: u32,
}

/// The bootloader of a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mcuboot {
    layout: Layout,
    refused: Vec<Version>,
}

/// What a boot did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootOutcome {
    /// Version of the image that runs now, or `None` if nothing can boot.
    pub ran: Option<Version>,
    /// The swap that this boot started (or repeated from its start) and finished.
    pub swapped: SwapType,
    /// An interrupted swap of an earlier boot was finished.
    pub resumed: bool,
    /// A request was pending, and its image was refused.
    pub refused: bool,
}

enum Slot1 {
    Good,
    /// Nothing that is meant to boot: no header at all, or the non-bootable flag.
    NotBootable,
    Bad,
}

impl Mcuboot {
    /// A bootloader for this layout.
    pub fn new(layout: Layout) -> Mcuboot {
        Mcuboot {
            layout,
            refused: Vec::new(),
        }
    }

    /// Makes the bootloader refuse images of this version in slot 1, as if their signature were wrong.
    #[must_use]
    pub fn refusing(mut self, version: Version) -> Mcuboot {
        self.refused.push(version);
        self
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Length of the trailer for this write unit: swap status, four cells, magic.
    fn trailer_len(&self, write_len: u32) -> u32 {
        self.layout.max_img_sectors * 3 * write_len + 4 * 8 + 16
    }

    /// The largest image, header and TLVs included, for this write unit and sector size.
    pub fn max_image_len(&self, write_len: u32, sector_len: u32) -> u32 {
        let slot0 = self.layout.slot0.end - self.layout.slot0.start;
        let slot1 = self.layout.slot1.end - self.layout.slot1.start;
        let room = (slot0 - sector_len).min(slot1);
        room.saturating_sub(self.trailer_len(write_len).next_multiple_of(sector_len))
    }

    /// Boots: finishes an interrupted swap, or decides on a new one and performs it, then checks slot 0.
    ///
    /// # Errors
    ///
    /// [`FlashError::PowerLost`] when a scheduled power cut happened; boot again after
    /// [`SimFlash::restore_power`]. Other errors mean a wrong layout.
    pub fn boot<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
    ) -> Result<BootOutcome, FlashError> {
        const {
            assert!(
                WRITE <= 8 && 8 % WRITE == 0,
                "BOOT_MAX_ALIGN is 8 here: the write unit must be 1, 2, 4 or 8"
            );
        }
        let mut outcome = BootOutcome {
            ran: None,
            swapped: SwapType::None,
            resumed: false,
            refused: false,
        };
        let slot0 = read(flash, &self.layout.slot0)?;
        let slot1 = read(flash, &self.layout.slot1)?;
        let trailers = (Trailer::read(&slot0), Trailer::read(&slot1));

        // The swap status in slot 0 counts when a swap was begun there and no new request waits in slot 1.
        let begun =
            trailers.0.magic == Magic::Good && trailers.0.copy_done == Flag::Unset && trailers.1.magic != Magic::Good;
        let progress = if begun { self.progress::<WRITE>(&slot0) } else { None };
        if let Some(progress) = progress {
            let run = swap::Run {
                boot: self,
                flash,
                swap_type: trailers.0.swap_type,
            };
            run.resume(&slot0, progress)?;
            outcome.resumed = true;
        } else if header_version(&slot0).is_some() {
            let wanted = match trailers.0.swap_type {
                known if begun && known != SwapType::None => known,
                _ => decide(&trailers.0, &trailers.1),
            };
            if wanted != SwapType::None {
                let room = self.max_image_len(WRITE as u32, SECTOR as u32) as usize;
                match self.check_slot1(&slot1, room) {
                    Slot1::Good => {
                        let run = swap::Run {
                            boot: self,
                            flash,
                            swap_type: wanted,
                        };
                        if run.start(&slot0, &slot1, begun)? {
                            outcome.swapped = wanted;
                        }
                    }
                    Slot1::NotBootable => {
                        outcome.refused = true;
                        self.erase_trailer(flash, &self.layout.slot1)?;
                    }
                    Slot1::Bad => {
                        outcome.refused = true;
                        flash.erase_now(self.layout.slot1.clone())?;
                    }
                }
            }
        }

        let slot0 = read(flash, &self.layout.slot0)?;
        outcome.ran = ImageInfo::parse(&slot0)
            .ok()
            .filter(|image| image.hash_is_right(&slot0) && image.flags & FLAG_NON_BOOTABLE == 0)
            .map(|image| image.version);
        Ok(outcome)
    }

    /// What [`boot`](Mcuboot::boot) would decide from the trailers alone.
    ///
    /// # Errors
    ///
    /// As `boot`.
    pub fn decision<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
    ) -> Result<SwapType, FlashError> {
        let (slot0, slot1) = (read(flash, &self.layout.slot0)?, read(flash, &self.layout.slot1)?);
        Ok(decide(&Trailer::read(&slot0), &Trailer::read(&slot1)))
    }

    fn check_slot1(&self, slot1: &[u8], room: usize) -> Slot1 {
        if slot1[..crate::image::HEADER_LEN].iter().all(|b| *b == 0xff) {
            return Slot1::NotBootable;
        }
        let flags = u32::from_le_bytes([slot1[16], slot1[17], slot1[18], slot1[19]]);
        if header_version(slot1).is_some() && flags & FLAG_NON_BOOTABLE != 0 {
            return Slot1::NotBootable;
        }
        match ImageInfo::parse(slot1) {
            Ok(image)
                if image.len <= room
                    && image.flags & (FLAGS_ENCRYPTED | FLAGS_COMPRESSED) == 0
                    && image.hash_is_right(slot1)
                    && !self.refused.contains(&image.version) =>
            {
                Slot1::Good
            }
            Ok(_) | Err(_) => Slot1::Bad,
        }
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

/// Length of the image in a slot, as far as its sizes can be followed.
fn image_len(slot: &[u8]) -> Option<u32> {
    Sizes::read(slot).ok().and_then(|sizes| u32::try_from(sizes.len).ok())
}
