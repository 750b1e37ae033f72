//! The cells of a trailer that an application reads and writes.
//!
//! From the end of a slot: magic (16 bytes, rounded up to `BOOT_MAX_ALIGN`), image_ok, copy_done, swap_info
//! (`BOOT_MAX_ALIGN` bytes each, the value in the first byte). MCUboot's `docs/design.md`, "Image trailer".

use super::layout::MAX_ALIGN;

const MAGIC_LEN: usize = 16;
/// The longest magic with its padding.
const MAX_MAGIC_AREA: usize = MAX_ALIGN;
const MAX_CELLS_LEN: usize = 3 * MAX_ALIGN + MAX_MAGIC_AREA;

pub(super) const ERASED: u8 = 0xff;
/// The value of a flag that is set.
pub(super) const SET: u8 = 0x01;

/// `swap_info` "none". MCUboot itself never writes it. In slot 1 after an overwrite: its image came to run. A torn write of
/// another number used here keeps a bit set that this one has cleared, and the other way round.
pub(super) const RAN: u8 = 0x01;
/// `swap_info` of a test swap, image number 0.
pub(super) const TEST: u8 = 0x02;
/// `swap_info` of a permanent swap.
pub(super) const PERMANENT: u8 = 0x03;
/// `swap_info` of a revert.
pub(super) const REVERT: u8 = 0x04;

/// A cell that holds one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    SwapInfo,
    CopyDone,
    ImageOk,
}

impl Cell {
    /// Offset from the first cell.
    pub(super) const fn offset(self, max_align: u32) -> u32 {
        match self {
            Cell::SwapInfo => 0,
            Cell::CopyDone => max_align,
            Cell::ImageOk => 2 * max_align,
        }
    }
}

const fn magic_area_len(max_align: u32) -> u32 {
    (MAGIC_LEN as u32).next_multiple_of(max_align)
}

/// Length of what the application uses of a trailer: swap_info, copy_done, image_ok, magic.
pub(super) const fn cells_len(max_align: u32) -> u32 {
    3 * max_align + magic_area_len(max_align)
}

/// Offset of the magic, with the padding before it, from the first cell.
pub(super) const fn magic_offset(max_align: u32) -> u32 {
    3 * max_align
}

/// The magic as it is written: padding first.
pub(super) struct MagicArea {
    bytes: [u8; MAX_MAGIC_AREA],
    max_align: u32,
}

impl MagicArea {
    pub(super) fn new(max_align: u32) -> MagicArea {
        let [low, high, ..] = max_align.to_le_bytes();
        // Another value than 8 is part of its magic: MCUboot's bootutil, `boot_img_magic`.
        let magic: [u8; MAGIC_LEN] = if max_align == 8 {
            [
                0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80,
            ]
        } else {
            [
                low, high, 0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a,
            ]
        };
        let mut bytes = [ERASED; MAX_MAGIC_AREA];
        let padding = (magic_area_len(max_align) as usize).saturating_sub(MAGIC_LEN);
        for (to, from) in bytes.iter_mut().skip(padding).zip(magic) {
            *to = from;
        }
        MagicArea { bytes, max_align }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        let len = magic_area_len(self.max_align) as usize;
        self.bytes.get(..len).unwrap_or(&self.bytes)
    }

    fn magic(&self) -> &[u8] {
        let bytes = self.bytes();
        bytes.get(bytes.len().saturating_sub(MAGIC_LEN)..).unwrap_or(bytes)
    }
}

/// The magic of a trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    /// The 16 bytes that the bootloader expects.
    Good,
    /// All erased.
    Unset,
    /// Anything else: torn by a power cut, or of another `BOOT_MAX_ALIGN`. The bootloader ignores such a trailer.
    Bad,
}

/// A flag of a trailer, by the first byte of its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// 0x01.
    Set,
    /// Erased.
    Unset,
    /// Anything else: torn by a power cut.
    Bad,
}

/// A trailer's cells as they are in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    bytes: [u8; MAX_CELLS_LEN],
    max_align: u32,
}

impl Cells {
    pub(super) fn new(max_align: u32) -> Cells {
        Cells {
            bytes: [0; _],
            max_align,
        }
    }

    /// Where they are read to.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let len = MAX_CELLS_LEN.min(cells_len(self.max_align) as usize);
        let (bytes, _) = self.bytes.split_at_mut(len);
        bytes
    }

    fn bytes(&self) -> &[u8] {
        self.bytes
            .get(..cells_len(self.max_align) as usize)
            .unwrap_or(&self.bytes)
    }

    /// First byte of a cell.
    pub(super) fn value(&self, cell: Cell) -> u8 {
        let offset = cell.offset(self.max_align) as usize;
        self.bytes.get(offset).copied().unwrap_or(ERASED)
    }

    fn flag(&self, cell: Cell) -> Flag {
        match self.value(cell) {
            SET => Flag::Set,
            ERASED => Flag::Unset,
            _ => Flag::Bad,
        }
    }

    pub(super) fn magic(&self) -> Magic {
        let bytes = self.bytes();
        let stored = bytes.get(bytes.len().saturating_sub(MAGIC_LEN)..).unwrap_or(&[]);
        if stored == MagicArea::new(self.max_align).magic() {
            Magic::Good
        } else if blank(stored) {
            Magic::Unset
        } else {
            Magic::Bad
        }
    }

    pub(super) fn image_ok(&self) -> Flag {
        self.flag(Cell::ImageOk)
    }

    pub(super) fn copy_done(&self) -> Flag {
        self.flag(Cell::CopyDone)
    }

    /// The first byte of swap_info: type in the low nibble, image number in the high one.
    pub(super) fn swap_info(&self) -> u8 {
        self.value(Cell::SwapInfo)
    }

    pub(super) fn is_blank(&self) -> bool {
        blank(self.bytes())
    }

    /// copy_done and image_ok are erased as a whole.
    pub(super) fn flags_are_blank(&self) -> bool {
        let (start, end) = (self.max_align as usize, magic_offset(self.max_align) as usize);
        self.bytes.get(start..end).is_some_and(blank)
    }
}

fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == ERASED)
}
