//! The cells of a trailer that an application reads and writes.
//!
//! From the end of a slot: magic (16 bytes), image_ok, copy_done, swap_info (8 bytes each, the value in the first byte).
//! MCUboot's `docs/design.md`, "Image trailer", for `BOOT_MAX_ALIGN` = 8.

use super::layout::{CELLS_LEN, MAGIC_LEN, MAX_ALIGN};

pub(super) const MAGIC: [u8; MAGIC_LEN] = [
    0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80,
];
pub(super) const ERASED: u8 = 0xff;
/// The value of a flag that is set.
pub(super) const SET: u8 = 0x01;

/// Offsets in the cells.
pub(super) const SWAP_INFO: u32 = 0;
pub(super) const IMAGE_OK: u32 = 2 * MAX_ALIGN as u32;
pub(super) const MAGIC_AT: u32 = 3 * MAX_ALIGN as u32;

/// `swap_info` of a test swap, image number 0.
pub(super) const TEST: u8 = 0x02;
/// `swap_info` of a permanent swap.
pub(super) const PERMANENT: u8 = 0x03;
/// `swap_info` of a revert.
pub(super) const REVERT: u8 = 0x04;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Magic {
    Good,
    Unset,
    Bad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Set,
    Unset,
    Bad,
}

/// A trailer's cells as they are in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cells(pub(super) [u8; CELLS_LEN]);

impl Cells {
    fn flag(&self, cell: usize) -> Flag {
        match self.0.get(cell * MAX_ALIGN) {
            Some(&SET) => Flag::Set,
            Some(&ERASED) => Flag::Unset,
            Some(_) | None => Flag::Bad,
        }
    }

    pub(super) fn magic(&self) -> Magic {
        match self.0.get(MAGIC_AT as usize..) {
            Some(magic) if magic == MAGIC => Magic::Good,
            Some(magic) if blank(magic) => Magic::Unset,
            Some(_) | None => Magic::Bad,
        }
    }

    pub(super) fn image_ok(&self) -> Flag {
        self.flag(2)
    }

    pub(super) fn copy_done(&self) -> Flag {
        self.flag(1)
    }

    /// The first byte of swap_info: type in the low nibble, image number in the high one.
    pub(super) fn swap_info(&self) -> u8 {
        self.0.first().copied().unwrap_or(ERASED)
    }

    pub(super) fn is_blank(&self) -> bool {
        blank(&self.0)
    }

    /// copy_done and image_ok are erased as a whole.
    pub(super) fn flags_are_blank(&self) -> bool {
        self.0.get(MAX_ALIGN..MAGIC_AT as usize).is_some_and(blank)
    }
}

fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == ERASED)
}
