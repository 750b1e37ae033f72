//! The cells of a trailer that an application reads and writes. Depends on nothing.
//!
//! From the end of a slot: magic (16 bytes, rounded up to `BOOT_MAX_ALIGN`), image_ok, copy_done, swap_info
//! (`BOOT_MAX_ALIGN` bytes each, the value in the first byte). MCUboot's `docs/design.md`, "Image trailer".

/// The largest `BOOT_MAX_ALIGN`, and so the largest write unit.
pub(super) const MAX_ALIGN: usize = 32;
const MAGIC_LEN: usize = 16;
/// Cells of one byte: swap_info, copy_done, image_ok.
pub(super) const CELLS: usize = 3;

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

/// Offset of the magic, with its padding before it, from the first cell; before it stand the cells of one byte.
pub(super) const fn magic_offset(max_align: u32) -> u32 {
    max_align.saturating_mul(CELLS as u32)
}

const fn magic_area_len(max_align: u32) -> u32 {
    match (MAGIC_LEN as u32).checked_next_multiple_of(max_align) {
        Some(len) => len,
        None => u32::MAX,
    }
}

/// Length of what the application uses of a trailer: swap_info, copy_done, image_ok, magic.
pub(super) const fn cells_len(max_align: u32) -> u32 {
    magic_offset(max_align).saturating_add(magic_area_len(max_align))
}

/// Depends on `BOOT_MAX_ALIGN`, as in MCUboot's bootutil, `boot_img_magic`.
fn magic(max_align: u32) -> [u8; MAGIC_LEN] {
    if max_align == 8 {
        return [
            0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80,
        ];
    }
    // At most 32.
    [
        max_align as u8,
        0x00,
        0x2d,
        0xe1,
        0x5d,
        0x29,
        0x41,
        0x0b,
        0x8d,
        0x77,
        0x67,
        0x9c,
        0x11,
        0x0f,
        0x1f,
        0x8a,
    ]
}

/// Puts the magic, with its padding before it, at the start of `out`, and gives its length.
pub(super) fn put_magic(max_align: u32, out: &mut [u8]) -> u32 {
    let len = magic_area_len(max_align);
    let padding = (len as usize).saturating_sub(MAGIC_LEN);
    let (before, rest) = out.split_at_mut(padding.min(out.len()));
    before.fill(ERASED);
    for (to, from) in rest.iter_mut().zip(magic(max_align)) {
        *to = from;
    }
    len
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

impl Flag {
    const fn of(byte: u8) -> Flag {
        match byte {
            SET => Flag::Set,
            ERASED => Flag::Unset,
            _ => Flag::Bad,
        }
    }
}

/// What a trailer's cells say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) magic: Magic,
    pub(super) copy_done: Flag,
    pub(super) image_ok: Flag,
    /// The first byte of swap_info, copy_done, image_ok. The first: type in the low nibble, image number in the high one.
    pub(super) values: [u8; CELLS],
    /// All of them are erased as a whole.
    pub(super) blank: bool,
    /// copy_done and image_ok are erased as a whole.
    pub(super) flags_blank: bool,
    /// The bytes between the values are 0x00. Nobody writes them so: this is what they are on flash that erases to 0x00.
    pub(super) zeroed: bool,
}

impl Cells {
    pub(super) const fn swap_info(&self) -> u8 {
        let [swap_info, _, _] = self.values;
        swap_info
    }

    /// Slot 0: an image that the next boot of a swapping bootloader reverts.
    pub(super) fn under_test(&self) -> bool {
        (self.magic, self.copy_done, self.image_ok) == (Magic::Good, Flag::Set, Flag::Unset)
    }
}

/// Reads cells part by part.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellReader {
    max_align: u32,
    cells: Cells,
}

impl CellReader {
    /// Parts that are read: the cells of one byte, and the magic.
    pub(super) const PARTS: u32 = CELLS as u32 + 1;

    pub(super) const fn new(max_align: u32) -> CellReader {
        CellReader {
            max_align,
            cells: Cells {
                magic: Magic::Bad,
                copy_done: Flag::Bad,
                image_ok: Flag::Bad,
                values: [ERASED; CELLS],
                blank: true,
                flags_blank: true,
                zeroed: true,
            },
        }
    }

    /// Offset of a part from the first cell, and its length.
    pub(super) const fn wants(&self, part: u32) -> (u32, u32) {
        let len = if part < CELLS as u32 {
            self.max_align
        } else {
            magic_area_len(self.max_align)
        };
        (self.max_align.saturating_mul(part), len)
    }

    pub(super) fn take(&mut self, part: u32, bytes: &[u8]) {
        let cells = &mut self.cells;
        let is_blank = blank(bytes);
        cells.blank &= is_blank;
        match (cells.values.get_mut(part as usize), bytes.split_first()) {
            (Some(value), Some((first, filling))) => {
                *value = *first;
                cells.zeroed &= filling.iter().all(|byte| *byte == 0);
                if part != 0 {
                    cells.flags_blank &= is_blank;
                }
            }
            (Some(_), None) => {}
            (None, _) => {
                let (_, stored) = bytes.split_at(bytes.len().saturating_sub(MAGIC_LEN));
                cells.magic = if stored == magic(self.max_align) {
                    Magic::Good
                } else if blank(stored) {
                    Magic::Unset
                } else {
                    Magic::Bad
                };
            }
        }
    }

    /// What was read, once all parts were.
    pub(super) const fn cells(&self) -> Cells {
        let [_, copy_done, image_ok] = self.cells.values;
        Cells {
            copy_done: Flag::of(copy_done),
            image_ok: Flag::of(image_ok),
            ..self.cells
        }
    }
}

fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == ERASED)
}
