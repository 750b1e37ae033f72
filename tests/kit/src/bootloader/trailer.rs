//! Reading trailers, and the decision that follows from two of them.

/// The 16 bytes that end a valid trailer, for `BOOT_MAX_ALIGN` = 8.
pub const MAGIC: [u8; 16] = [
    0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80,
];

/// Length of the magic.
const MAGIC_LEN: u32 = 16;

/// The 16 bytes that end a valid trailer, for any `BOOT_MAX_ALIGN`: other values than 8 are part of it.
pub fn magic(max_align: u32) -> [u8; 16] {
    if max_align == 8 {
        return MAGIC;
    }
    let [low, high, ..] = max_align.to_le_bytes();
    [
        low, high, 0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a,
    ]
}

/// Where the cells are, as distances from the slot's end to their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) max_align: u32,
    /// Swap using offset has one cell more.
    pub(super) tlv_sizes_cell: bool,
}

impl Cells {
    /// The magic is written in whole units of this length.
    pub(super) fn magic_area(self) -> u32 {
        MAGIC_LEN.next_multiple_of(self.max_align)
    }

    pub(super) fn image_ok(self) -> u32 {
        self.magic_area() + self.max_align
    }

    pub(super) fn copy_done(self) -> u32 {
        self.image_ok() + self.max_align
    }

    pub(super) fn swap_info(self) -> u32 {
        self.copy_done() + self.max_align
    }

    pub(super) fn tlv_sizes(self) -> u32 {
        self.swap_info() + self.max_align
    }

    /// The lowest cell: the swap status ends here.
    pub(super) fn swap_size(self) -> u32 {
        self.swap_info() + self.max_align * if self.tlv_sizes_cell { 2 } else { 1 }
    }
}

/// A trailer's magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    /// The expected 16 bytes.
    Good,
    /// All erased.
    Unset,
    /// Anything else.
    Bad,
}

/// A flag of a trailer; only the first byte of its cell counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// 0x01.
    Set,
    /// Erased.
    Unset,
    /// Anything else.
    Bad,
}

impl Flag {
    fn read(byte: u8) -> Flag {
        match byte {
            0x01 => Flag::Set,
            0xff => Flag::Unset,
            _ => Flag::Bad,
        }
    }
}

/// What a swap is for; the low nibble of `swap_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapType {
    /// No swap.
    None,
    /// Try the image in slot 1; revert at the next boot unless it is confirmed.
    Test,
    /// Change to the image in slot 1 for good.
    Permanent,
    /// Go back, as the image under test was not confirmed.
    Revert,
}

impl SwapType {
    pub(super) fn from_swap_info(byte: u8) -> SwapType {
        match byte & 0x0f {
            2 => SwapType::Test,
            3 => SwapType::Permanent,
            4 => SwapType::Revert,
            _ => SwapType::None,
        }
    }

    pub(super) fn swap_info(self) -> u8 {
        match self {
            SwapType::None => 1,
            SwapType::Test => 2,
            SwapType::Permanent => 3,
            SwapType::Revert => 4,
        }
    }
}

/// The decoded trailer of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The magic.
    pub magic: Magic,
    /// The image was confirmed.
    pub image_ok: Flag,
    /// The swap was finished; with direct-xip: the image was chosen at a boot.
    pub copy_done: Flag,
    /// Kind of the swap.
    pub swap_type: SwapType,
}

impl Trailer {
    /// Decodes the trailer at the end of a slot's content, for `BOOT_MAX_ALIGN` = 8.
    pub fn read(slot: &[u8]) -> Trailer {
        Trailer::read_aligned(slot, 8)
    }

    /// Decodes the trailer at the end of a slot's content, for any `BOOT_MAX_ALIGN`. The mode makes no difference.
    pub fn read_aligned(slot: &[u8], max_align: u32) -> Trailer {
        let cells = Cells {
            max_align,
            tlv_sizes_cell: false,
        };
        let at = |from_end: u32| slot.len() - from_end as usize;
        let stored = &slot[at(MAGIC_LEN)..];
        Trailer {
            magic: if stored == magic(max_align) {
                Magic::Good
            } else if stored.iter().all(|b| *b == 0xff) {
                Magic::Unset
            } else {
                Magic::Bad
            },
            image_ok: Flag::read(slot[at(cells.image_ok())]),
            copy_done: Flag::read(slot[at(cells.copy_done())]),
            swap_type: SwapType::from_swap_info(slot[at(cells.swap_info())]),
        }
    }
}

/// What MCUboot would do at the next boot before it looks at the images: swap using move or scratch, and overwrite.
/// The rule is the table "New swaps" of MCUboot's `docs/design.md`; `swap_type` takes no part in it.
pub fn decide(slot0: &Trailer, slot1: &Trailer) -> SwapType {
    match (slot1.magic, slot1.image_ok) {
        (Magic::Good, Flag::Unset) => return SwapType::Test,
        (Magic::Good, Flag::Set) => return SwapType::Permanent,
        (Magic::Good, Flag::Bad) | (Magic::Unset | Magic::Bad, _) => {}
    }
    match (slot0.magic, slot0.image_ok, slot0.copy_done) {
        (Magic::Good, Flag::Unset, Flag::Set) => SwapType::Revert,
        (Magic::Good | Magic::Unset | Magic::Bad, _, _) => SwapType::None,
    }
}

/// [`decide`] for swap using offset, where slot 1 can ask for a revert too.
pub fn decide_offset(slot0: &Trailer, slot1: &Trailer) -> SwapType {
    match (slot1.magic, slot1.image_ok, slot1.copy_done) {
        (Magic::Good, Flag::Unset, Flag::Set) => SwapType::Revert,
        (Magic::Good | Magic::Unset | Magic::Bad, _, _) => decide(slot0, slot1),
    }
}
