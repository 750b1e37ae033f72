//! Sizes of the slots, checked once: what fits, and where the trailer's cells are. Depends on the modes and the trailer.

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;

use super::mode::sealed::Kind;
use super::mode::{Mode, SwapMove};
use super::slot::Slot;
use super::trailer::cells_len;

/// The two slots of MCUboot, as the bootloader is built.
///
/// All lengths in bytes. Checked when it is made, so a wrong number fails to compile in a constant:
///
/// ```
/// use mender_modules::mcuboot::{Layout, SwapMove};
///
/// const LAYOUT: Layout<SwapMove> = Layout {
///     mode: SwapMove,
///     primary_len: 0x40000,
///     secondary_len: 0x40000,
///     sector_len: 4096,
///     write_len: 4,
///     max_align: 8,
///     max_img_sectors: 128,
/// }
/// .checked();
/// // 64 sectors less one to move and one for a trailer of 1584 bytes.
/// assert_eq!(LAYOUT.max_image_len(), 62 * 4096);
/// ```
///
/// ```compile_fail
/// # use mender_modules::mcuboot::{Layout, SwapMove};
/// const LAYOUT: Layout<SwapMove> = Layout {
///     mode: SwapMove,
///     primary_len: 0x40000,
///     secondary_len: 0x20000, // not as long as the primary slot
///     sector_len: 4096,
///     write_len: 4,
///     max_align: 8,
///     max_img_sectors: 128,
/// }
/// .checked();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout<M = SwapMove> {
    /// The bootloader's mode: [`SwapMove`], [`SwapOffset`](super::SwapOffset),
    /// [`SwapScratch`](super::SwapScratch), [`Overwrite`](super::Overwrite) or [`DirectXip`](super::DirectXip).
    pub mode: M,
    /// Length of slot 0, from which firmware runs. Direct-xip: of the slot that this firmware runs from.
    pub primary_len: u32,
    /// Length of slot 1. Swap using move: as slot 0, or one sector less. Offset: as slot 0, or one sector more.
    /// Scratch and overwrite-only: as slot 0. Direct-xip: any number of sectors.
    pub secondary_len: u32,
    /// Length of a sector as the bootloader sees it, the same in both slots; a multiple of what the flash driver
    /// erases at once.
    pub sector_len: u32,
    /// The bootloader's write unit (imgtool's `--align`): 1, 2, 4, 8, 16 or 32, and not more than `max_align`.
    pub write_len: u32,
    /// The bootloader's `BOOT_MAX_ALIGN` (imgtool's `--max-align`): 8, 16 or 32. Usually the write unit, but at
    /// least 8. If it is not the bootloader's, the trailer's magic is another, and no request is ever seen.
    pub max_align: u32,
    /// The bootloader's `MCUBOOT_MAX_IMG_SECTORS`, exactly: the length of the trailer follows from it. At least the number of
    /// sectors of the longer slot, except in direct-xip. Zephyr computes it from the partitions
    /// (`CONFIG_BOOT_MAX_IMG_SECTORS_AUTO`, on by default): the value is then `MIN_SECTOR_COUNT` among the definitions that the
    /// bootloader was compiled with, in the `build.ninja` of its own build; otherwise `CONFIG_BOOT_MAX_IMG_SECTORS`.
    pub max_img_sectors: u32,
}

/// Why a [`Layout`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The write unit is not 1, 2, 4, 8, 16 or 32.
    WriteLen,
    /// `BOOT_MAX_ALIGN` is not 8, 16 or 32, or less than the write unit.
    MaxAlign,
    /// The sector length is 0, not a multiple of `BOOT_MAX_ALIGN`, or so small that the trailer's cells do not fit into one.
    SectorLen,
    /// A slot is not a whole number of sectors.
    PartOfSector,
    /// The lengths of the slots do not go together in this mode.
    SlotsDiffer,
    /// A slot has more sectors than the bootloader was built for.
    TooManySectors,
    /// The trailer leaves no room for an image.
    NoRoom,
    /// A flash handle is shorter than its slot.
    FlashTooShort,
    /// The sector length is not a multiple of what a flash handle erases at once.
    EraseSize,
    /// A flash handle's write unit is larger than `BOOT_MAX_ALIGN`.
    WriteSize,
}

impl LayoutError {
    const fn text(self) -> &'static str {
        match self {
            LayoutError::WriteLen => "write_len must be 1, 2, 4, 8, 16 or 32",
            LayoutError::MaxAlign => "max_align must be 8, 16 or 32, and at least write_len",
            LayoutError::SectorLen => "sector_len must be a multiple of max_align and hold the trailer's cells",
            LayoutError::PartOfSector => "a slot must be a whole number of sectors",
            LayoutError::SlotsDiffer => {
                "slot 1 must be as long as slot 0 (or one sector shorter with move, longer with offset)"
            }
            LayoutError::TooManySectors => "a slot has more sectors than max_img_sectors",
            LayoutError::NoRoom => "the slots have no room for an image beside the trailer",
            LayoutError::FlashTooShort => "a flash handle is shorter than its slot",
            LayoutError::EraseSize => "sector_len must be a multiple of the flash's erase size",
            LayoutError::WriteSize => "the flash's write size must not be larger than max_align",
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for LayoutError {}

impl<M: Mode> Layout<M> {
    /// The layout itself if its numbers fit together.
    ///
    /// # Panics
    ///
    /// If they do not; in a constant that is a compile error. [`try_checked`](Layout::try_checked) returns an error instead.
    #[must_use]
    pub const fn checked(self) -> Layout<M> {
        match self.try_checked() {
            Ok(layout) => layout,
            Err(error) => panic!("{}", error.text()),
        }
    }

    /// The layout itself if its numbers fit together.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], but not its last three, which depend on the flash.
    pub const fn try_checked(self) -> Result<Layout<M>, LayoutError> {
        if !matches!(self.write_len, 1 | 2 | 4 | 8 | 16 | 32) {
            return Err(LayoutError::WriteLen);
        }
        if !matches!(self.max_align, 8 | 16 | 32) || self.write_len > self.max_align {
            return Err(LayoutError::MaxAlign);
        }
        if self.sector_len < cells_len(self.max_align) || !self.sector_len.is_multiple_of(self.max_align) {
            return Err(LayoutError::SectorLen);
        }
        if !self.primary_len.is_multiple_of(self.sector_len) || !self.secondary_len.is_multiple_of(self.sector_len) {
            return Err(LayoutError::PartOfSector);
        }
        let (shorter, longer) = (
            self.primary_len.saturating_sub(self.secondary_len),
            self.secondary_len.saturating_sub(self.primary_len),
        );
        let (most_shorter, most_longer) = match M::KIND {
            Kind::Move => (self.sector_len, 0),
            Kind::Offset => (0, self.sector_len),
            Kind::Scratch | Kind::Overwrite => (0, 0),
            Kind::Xip => (u32::MAX, u32::MAX),
        };
        // Both are whole sectors.
        if shorter > most_shorter || longer > most_longer {
            return Err(LayoutError::SlotsDiffer);
        }
        let longest = match M::KIND {
            Kind::Xip => 0,
            // The spare sector counts, whichever slot has it: the bootloader reads the sectors of both.
            Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite => {
                if self.primary_len > self.secondary_len {
                    self.primary_len
                } else {
                    self.secondary_len
                }
            }
        };
        if longest / self.sector_len > self.max_img_sectors {
            return Err(LayoutError::TooManySectors);
        }
        if self.max_image_len() == 0 || self.max_running_len() == 0 {
            return Err(LayoutError::NoRoom);
        }
        Ok(self)
    }

    /// The layout itself if flash drivers `P` of slot 0 and `S` of slot 1 can be used for it: what
    /// [`ZephyrImage::new`](super::ZephyrImage::new) would find out at the start, the compiler finds out.
    ///
    /// # Panics
    ///
    /// If they cannot; in a constant that is a compile error.
    #[must_use]
    pub const fn for_flash<P: NorFlash, S: NorFlash>(self) -> Layout<M> {
        match self.fits::<P, S>() {
            Ok(()) => self,
            Err(error) => panic!("{}", error.text()),
        }
    }

    /// Whether the drivers erase and write in units that the layout allows.
    pub(super) const fn fits<P: NorFlash, S: NorFlash>(&self) -> Result<(), LayoutError> {
        let sector_len = self.sector_len as usize;
        // Slot 0 is erased in direct-xip only.
        if !sector_len.is_multiple_of(S::ERASE_SIZE)
            || (matches!(M::KIND, Kind::Xip) && !sector_len.is_multiple_of(P::ERASE_SIZE))
        {
            return Err(LayoutError::EraseSize);
        }
        let max_align = self.max_align as usize;
        if P::WRITE_SIZE > max_align || S::WRITE_SIZE > max_align {
            return Err(LayoutError::WriteSize);
        }
        Ok(())
    }

    /// The largest image, header and all TLVs included, that the bootloader takes from slot 1. So large may a download be.
    ///
    /// Swap using move and offset: both slots less the trailer in whole sectors, and less one sector by which images move.
    /// imgtool does not count this one and signs images that the bootloader then refuses. Scratch: a slot less the trailer, and
    /// less what the scratch area needs for its own. Overwrite-only and direct-xip: up to the trailer's cells; in direct-xip those
    /// of the secondary slot, where the image runs. The running one may be larger, if its slot is.
    pub const fn max_image_len(&self) -> u32 {
        if self.sector_len == 0 || self.max_align == 0 {
            return 0;
        }
        let sector_len = self.sector_len;
        let (primary_len, secondary_len) = (self.primary_len, self.secondary_len);
        match M::KIND {
            Kind::Move => {
                least(primary_len.saturating_sub(sector_len), secondary_len).saturating_sub(self.trailer_sectors_len())
            }
            Kind::Offset => {
                least(primary_len, secondary_len.saturating_sub(sector_len)).saturating_sub(self.trailer_sectors_len())
            }
            Kind::Scratch => {
                let end = least(primary_len, secondary_len).saturating_sub(self.trailer_len());
                // The last data share the scratch area with a trailer for one step of the swap.
                let beside = whole_sectors(end, sector_len).saturating_sub(end);
                let own = self.write_len.saturating_mul(3).saturating_add(self.info_len());
                end.saturating_sub(own.saturating_sub(beside))
            }
            Kind::Overwrite | Kind::Xip => self.secondary_len.saturating_sub(cells_len(self.max_align)),
        }
    }

    /// The largest image that slot 0 may hold. Only in direct-xip images do not change places, so that each slot has a limit of
    /// its own.
    const fn max_running_len(&self) -> u32 {
        match M::KIND {
            Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite => self.max_image_len(),
            Kind::Xip => self.primary_len.saturating_sub(cells_len(self.max_align)),
        }
    }

    /// Length of the trailer's cells, swap_size included.
    const fn info_len(&self) -> u32 {
        cells_len(self.max_align).saturating_add(self.max_align)
    }

    /// Length of the whole trailer, as the bootloader reckons it in the modes that swap.
    const fn trailer_len(&self) -> u32 {
        let (entries, more) = match M::KIND {
            Kind::Offset => (2, self.max_align),
            Kind::Move | Kind::Scratch | Kind::Overwrite | Kind::Xip => (3, 0),
        };
        self.max_img_sectors
            .saturating_mul(entries)
            .saturating_mul(self.write_len)
            .saturating_add(self.info_len())
            .saturating_add(more)
    }

    /// The same in whole sectors.
    const fn trailer_sectors_len(&self) -> u32 {
        whole_sectors(self.trailer_len(), self.sector_len)
    }

    /// What the module works with.
    pub(super) const fn geometry(&self) -> Geometry {
        let (image_offset, trailer_len) = match M::KIND {
            Kind::Offset => (self.sector_len, self.trailer_sectors_len()),
            Kind::Move | Kind::Scratch => (0, self.trailer_sectors_len()),
            // The cells are all there is.
            Kind::Overwrite if cfg!(feature = "resume") => (0, self.sector_len),
            // Nothing is left there. In direct-xip, at each start the bootloader erases what is not a whole image.
            Kind::Overwrite | Kind::Xip => (0, self.secondary_len),
        };
        Geometry {
            primary_len: self.primary_len,
            secondary_len: self.secondary_len,
            sector_len: self.sector_len,
            room: self.max_image_len(),
            running_room: self.max_running_len(),
            most_beside_note: self
                .secondary_len
                .saturating_sub(trailer_len)
                .saturating_sub(self.sector_len)
                .saturating_sub(image_offset),
            image_offset,
            // At most 32.
            max_align: self.max_align as u8,
        }
    }
}

/// The numbers that follow from a checked [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) primary_len: u32,
    pub(super) secondary_len: u32,
    pub(super) sector_len: u32,
    /// The largest image in slot 1.
    pub(super) room: u32,
    /// The largest image in slot 0.
    pub(super) running_room: u32,
    /// The largest image in slot 1 that leaves the sector below the trailer to note and marks; 0 in modes that have neither. What is
    /// larger reaches into it, and a swap touches it then.
    most_beside_note: u32,
    /// Where a new image starts in slot 1.
    pub(super) image_offset: u32,
    pub(super) max_align: u8,
}

impl Geometry {
    pub(super) const fn slot_len(&self, slot: Slot) -> u32 {
        match slot {
            Slot::Primary => self.primary_len,
            Slot::Secondary => self.secondary_len,
        }
    }

    /// Start of a slot's last sector, which holds all the cells that count.
    pub(super) const fn last_sector(&self, slot: Slot) -> u32 {
        self.slot_len(slot).saturating_sub(self.sector_len)
    }

    /// Where the cells of a slot's trailer begin.
    pub(super) const fn cells_offset(&self, slot: Slot) -> u32 {
        self.slot_len(slot).saturating_sub(cells_len(self.max_align as u32))
    }

    /// The sector below the trailer, unless an image of this length needs it.
    pub(super) const fn below_trailer(&self, image_len: u32) -> Option<u32> {
        if self.most_beside_note == 0 || image_len > self.most_beside_note {
            return None;
        }
        Some(self.most_beside_note.saturating_add(self.image_offset))
    }

    /// Where the note goes, in modes with one, unless an image of this length needs its sector.
    pub(super) const fn note(&self, kind: Kind, image_len: u32) -> Option<u32> {
        match kind {
            Kind::Move | Kind::Offset | Kind::Scratch => self.below_trailer(image_len),
            Kind::Overwrite | Kind::Xip => None,
        }
    }
}

/// `len`, rounded up.
const fn whole_sectors(len: u32, sector_len: u32) -> u32 {
    match len.checked_next_multiple_of(sector_len) {
        Some(len) => len,
        None => u32::MAX,
    }
}

const fn least(a: u32, b: u32) -> u32 {
    if a < b { a } else { b }
}
