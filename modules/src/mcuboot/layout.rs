//! Sizes of the slots, checked once: what fits, and where the trailer's cells are.

use core::fmt;

/// `BOOT_MAX_ALIGN` of the bootloader: each cell of the trailer has so many bytes.
pub(super) const MAX_ALIGN: usize = 8;
/// Length of the trailer's magic.
pub(super) const MAGIC_LEN: usize = 16;
/// What the application uses of a trailer: swap_info, copy_done, image_ok, magic.
pub(super) const CELLS_LEN: usize = 3 * MAX_ALIGN + MAGIC_LEN;
/// Status entries per sector of swap using move: one for the move, two for the exchange.
const STATUS_PER_SECTOR: u64 = 3;
/// The four cells above the status (swap_size too) and the magic.
const STATUS_END: u64 = 4 * MAX_ALIGN as u64 + MAGIC_LEN as u64;

/// The two slots of MCUboot in its mode "swap using move", as the bootloader is built.
///
/// All lengths in bytes. Checked when it is made, so a wrong number fails to compile in a constant:
///
/// ```
/// use mender_modules::mcuboot::Layout;
///
/// const LAYOUT: Layout = Layout {
///     primary_len: 0x40000,
///     secondary_len: 0x40000,
///     sector_len: 4096,
///     write_len: 4,
///     max_img_sectors: 128,
/// }
/// .checked();
/// // 64 sectors less one to move and one for a trailer of 1584 bytes.
/// assert_eq!(LAYOUT.max_image_len(), 62 * 4096);
/// ```
///
/// ```compile_fail
/// # use mender_modules::mcuboot::Layout;
/// const LAYOUT: Layout = Layout {
///     primary_len: 0x40000,
///     secondary_len: 0x20000, // not as long as the primary slot
///     sector_len: 4096,
///     write_len: 4,
///     max_img_sectors: 128,
/// }
/// .checked();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Length of slot 0, from which firmware runs.
    pub primary_len: u32,
    /// Length of slot 1: as slot 0, or one sector less.
    pub secondary_len: u32,
    /// Length of a sector as the bootloader sees it; a multiple of what the flash driver erases at once.
    pub sector_len: u32,
    /// The bootloader's write unit (imgtool's `--align`): 1, 2, 4 or 8. With a larger one MCUboot is built with
    /// a larger `BOOT_MAX_ALIGN`, and its trailers look different.
    pub write_len: u32,
    /// The bootloader's `MCUBOOT_MAX_IMG_SECTORS` (Zephyr: `CONFIG_BOOT_MAX_IMG_SECTORS`).
    pub max_img_sectors: u32,
}

/// Why a [`Layout`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The write unit is not 1, 2, 4 or 8.
    WriteLen,
    /// The sector length is 0, not a multiple of 8, or so small that the trailer's cells do not fit into one.
    SectorLen,
    /// A slot is not a whole number of sectors.
    PartOfSector,
    /// Slot 1 is neither as long as slot 0 nor one sector shorter.
    SlotsDiffer,
    /// Slot 0 has more sectors than the bootloader was built for.
    TooManySectors,
    /// The trailer leaves no room for an image.
    NoRoom,
    /// A flash handle is shorter than its slot.
    FlashTooShort,
    /// The sector length is not a multiple of what a flash handle erases at once.
    EraseSize,
}

impl LayoutError {
    const fn text(self) -> &'static str {
        match self {
            LayoutError::WriteLen => "write_len must be 1, 2, 4 or 8",
            LayoutError::SectorLen => "sector_len must be a multiple of 8 and at least 40",
            LayoutError::PartOfSector => "a slot must be a whole number of sectors",
            LayoutError::SlotsDiffer => "slot 1 must be as long as slot 0 or one sector shorter",
            LayoutError::TooManySectors => "slot 0 has more sectors than max_img_sectors",
            LayoutError::NoRoom => "the slots have no room for an image beside the trailer",
            LayoutError::FlashTooShort => "a flash handle is shorter than its slot",
            LayoutError::EraseSize => "sector_len must be a multiple of the flash's erase size",
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for LayoutError {}

impl Layout {
    /// The layout itself if its numbers fit together.
    ///
    /// # Panics
    ///
    /// If they do not; in a constant that is a compile error. [`try_checked`](Layout::try_checked) returns an error instead.
    #[must_use]
    pub const fn checked(self) -> Layout {
        match self.try_checked() {
            Ok(layout) => layout,
            Err(error) => panic!("{}", error.text()),
        }
    }

    /// The layout itself if its numbers fit together.
    ///
    /// # Errors
    ///
    /// [`LayoutError`], but not its last two, which depend on the flash.
    pub const fn try_checked(self) -> Result<Layout, LayoutError> {
        if !matches!(self.write_len, 1 | 2 | 4 | 8) {
            return Err(LayoutError::WriteLen);
        }
        if self.sector_len < CELLS_LEN as u32 || !self.sector_len.is_multiple_of(MAX_ALIGN as u32) {
            return Err(LayoutError::SectorLen);
        }
        if !self.primary_len.is_multiple_of(self.sector_len) || !self.secondary_len.is_multiple_of(self.sector_len) {
            return Err(LayoutError::PartOfSector);
        }
        match self.primary_len.checked_sub(self.secondary_len) {
            Some(rest) if rest == 0 || rest == self.sector_len => {}
            Some(_) | None => return Err(LayoutError::SlotsDiffer),
        }
        if self.primary_len / self.sector_len > self.max_img_sectors {
            return Err(LayoutError::TooManySectors);
        }
        if self.max_image_len() == 0 {
            return Err(LayoutError::NoRoom);
        }
        Ok(self)
    }

    /// The largest image, header and all TLVs included, that the bootloader swaps: both slots less the trailer in
    /// whole sectors, and slot 0 less one sector more, by which everything moves. imgtool does not count this one
    /// and signs images that the bootloader then refuses.
    pub const fn max_image_len(&self) -> u32 {
        if self.sector_len == 0 {
            return 0;
        }
        let trailer = self.max_img_sectors as u64 * STATUS_PER_SECTOR * self.write_len as u64 + STATUS_END;
        let trailer = trailer.next_multiple_of(self.sector_len as u64);
        let moved = self.primary_len.saturating_sub(self.sector_len);
        let room = if moved < self.secondary_len {
            moved
        } else {
            self.secondary_len
        };
        // At most `room`, so it fits.
        (room as u64).saturating_sub(trailer) as u32
    }

    /// Where the cells of slot 1's trailer begin.
    pub(super) const fn secondary_cells_offset(&self) -> u32 {
        self.secondary_len.saturating_sub(CELLS_LEN as u32)
    }

    /// Where the cells of slot 0's trailer begin.
    pub(super) const fn primary_cells_offset(&self) -> u32 {
        self.primary_len.saturating_sub(CELLS_LEN as u32)
    }

    /// Start of slot 1's last sector, which holds all the cells that count.
    pub(super) const fn secondary_last_sector(&self) -> u32 {
        self.secondary_len.saturating_sub(self.sector_len)
    }
}
