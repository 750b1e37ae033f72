//! Reading trailers, and the decision that follows from two of them.

/// The 16 bytes that end a valid trailer, for `BOOT_MAX_ALIGN` = 8.
pub const MAGIC: [u8; 16] = [
    0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80,
];

/// Distances from the slot's end, for `BOOT_MAX_ALIGN` = 8.
pub(super) const MAGIC_FROM_END: u32 = 16;
pub(super) const IMAGE_OK_FROM_END: u32 = 24;
pub(super) const COPY_DONE_FROM_END: u32 = 32;
pub(super) const SWAP_INFO_FROM_END: u32 = 40;
pub(super) const SWAP_SIZE_FROM_END: u32 = 48;

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
    /// The swap was finished.
    pub copy_done: Flag,
    /// Kind of the swap.
    pub swap_type: SwapType,
}

impl Trailer {
    /// Decodes the trailer at the end of a slot's content.
    pub fn read(slot: &[u8]) -> Trailer {
        let at = |from_end: u32| slot.len() - from_end as usize;
        let magic = &slot[at(MAGIC_FROM_END)..];
        Trailer {
            magic: if magic == MAGIC {
                Magic::Good
            } else if magic.iter().all(|b| *b == 0xff) {
                Magic::Unset
            } else {
                Magic::Bad
            },
            image_ok: Flag::read(slot[at(IMAGE_OK_FROM_END)]),
            copy_done: Flag::read(slot[at(COPY_DONE_FROM_END)]),
            swap_type: SwapType::from_swap_info(slot[at(SWAP_INFO_FROM_END)]),
        }
    }
}

/// What MCUboot would do at the next boot (swap modes without offset), before it looks at the images.
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
