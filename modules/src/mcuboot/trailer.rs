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

const MAGIC: [u8; MAGIC_LEN] = [
    0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80,
];
const MAGIC_16: [u8; MAGIC_LEN] = [
    16, 0, 0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a,
];
const MAGIC_32: [u8; MAGIC_LEN] = [
    32, 0, 0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a,
];

/// Depends on `BOOT_MAX_ALIGN`, as in MCUboot's bootutil, `boot_img_magic`.
const fn magic(max_align: u32) -> &'static [u8; MAGIC_LEN] {
    match max_align {
        8 => &MAGIC,
        16 => &MAGIC_16,
        _ => &MAGIC_32,
    }
}

/// Puts the magic, with its padding before it, at the start of `out`, and gives its length.
pub(super) fn put_magic(max_align: u32, out: &mut [u8]) -> u32 {
    let len = magic_area_len(max_align);
    put(magic(max_align), (len as usize).saturating_sub(MAGIC_LEN), len, out);
    len
}

/// Makes the first `len` bytes of `out` erased ones, but for these bytes at `offset`.
#[inline(never)]
pub(super) fn put(bytes: &[u8], offset: usize, len: u32, out: &mut [u8]) {
    for (at, to) in out.iter_mut().take(len as usize).enumerate() {
        let byte = at.checked_sub(offset).and_then(|at| bytes.get(at));
        *to = byte.copied().unwrap_or(ERASED);
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

impl Flag {
    const fn of(byte: u8) -> Flag {
        match byte {
            SET => Flag::Set,
            ERASED => Flag::Unset,
            _ => Flag::Bad,
        }
    }
}

/// What a trailer's cells say, in four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    /// The first byte of swap_info, copy_done, image_ok. The first: type in the low nibble, image number in the high one.
    pub(super) values: [u8; CELLS],
    bits: u8,
}

impl Cells {
    const MAGIC_GOOD: u8 = 1;
    const MAGIC_NOT_ERASED: u8 = 2;
    const FLAGS_NOT_ERASED: u8 = 4;
    const NOT_BLANK: u8 = 8;
    const NOT_ZERO: u8 = 16;

    /// Parts that are read: the cells of one byte, and the magic.
    pub(super) const PARTS: u32 = CELLS as u32 + 1;

    /// Before anything was read.
    pub(super) const NONE: Cells = Cells {
        values: [ERASED; CELLS],
        bits: 0,
    };

    /// Length of a part.
    pub(super) const fn part_len(part: u32, max_align: u32) -> u32 {
        if part < CELLS as u32 {
            max_align
        } else {
            magic_area_len(max_align)
        }
    }

    /// Reads a part.
    pub(super) fn read(&mut self, part: u32, bytes: &[u8], max_align: u32) {
        if !blank(bytes) {
            self.bits |= if part == 1 || part == 2 {
                Cells::NOT_BLANK | Cells::FLAGS_NOT_ERASED
            } else {
                Cells::NOT_BLANK
            };
        }
        match (self.values.get_mut(part as usize), bytes.split_first()) {
            (Some(value), Some((first, filling))) => {
                *value = *first;
                if filling.iter().any(|byte| *byte != 0) {
                    self.bits |= Cells::NOT_ZERO;
                }
            }
            (Some(_) | None, _) => {
                let (_, stored) = bytes.split_at(bytes.len().saturating_sub(MAGIC_LEN));
                if stored == magic(max_align) {
                    self.bits |= Cells::MAGIC_GOOD;
                }
                if !blank(stored) {
                    self.bits |= Cells::MAGIC_NOT_ERASED;
                }
            }
        }
    }

    const fn has(self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    pub(super) const fn magic(self) -> Magic {
        if self.has(Cells::MAGIC_GOOD) {
            Magic::Good
        } else if self.has(Cells::MAGIC_NOT_ERASED) {
            Magic::Bad
        } else {
            Magic::Unset
        }
    }

    /// All cells are erased as a whole.
    pub(super) const fn is_blank(self) -> bool {
        !self.has(Cells::NOT_BLANK)
    }

    /// copy_done and image_ok are erased as a whole.
    pub(super) const fn flags_are_blank(self) -> bool {
        !self.has(Cells::FLAGS_NOT_ERASED)
    }

    /// The bytes between the values are 0x00. Nobody writes them so: this is what they are on flash that erases to 0x00.
    pub(super) const fn is_zeroed(self) -> bool {
        !self.has(Cells::NOT_ZERO)
    }

    pub(super) const fn swap_info(self) -> u8 {
        let [swap_info, _, _] = self.values;
        swap_info
    }

    pub(super) const fn copy_done(self) -> Flag {
        let [_, copy_done, _] = self.values;
        Flag::of(copy_done)
    }

    pub(super) const fn image_ok(self) -> Flag {
        let [_, _, image_ok] = self.values;
        Flag::of(image_ok)
    }

    /// Slot 0: an image that the next boot of a swapping bootloader reverts.
    pub(super) fn under_test(self) -> bool {
        (self.magic(), self.copy_done(), self.image_ok()) == (Magic::Good, Flag::Set, Flag::Unset)
    }
}

pub(super) fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == ERASED)
}
