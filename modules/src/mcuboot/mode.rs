//! The bootloader's modes as types, so that what follows from a mode is known when the program is compiled.

use core::fmt::Debug;

pub(super) mod sealed {
    /// A mode as a value, for the code that differs.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind {
        Move,
        Offset,
        Scratch,
        Overwrite,
        Xip,
    }

    pub trait Sealed {
        const KIND: Kind;
    }
}

use sealed::{Kind, Sealed};

/// How MCUboot was built to bring a new image to run. Sealed: the five types of this module.
///
/// Which one a bootloader was built with is a matter of its configuration (Zephyr: `SB_CONFIG_MCUBOOT_MODE_*`); an
/// application cannot find out from flash.
pub trait Mode: Sealed + Copy + Debug + PartialEq + Eq + Send + Sync + 'static {
    /// Whether the bootloader can bring the old image back. The update module supports rollbacks if it can.
    const REVERTS: bool;
}

macro_rules! modes {
    ($($(#[$doc:meta])* $name:ident, $kind:ident, $reverts:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl Sealed for $name {
            const KIND: Kind = Kind::$kind;
        }

        impl Mode for $name {
            const REVERTS: bool = $reverts;
        }
    )*};
}

modes! {
    /// Swap using move (`MCUBOOT_SWAP_USING_MOVE`): slot 0's sectors move up by one, then the slots change places.
    SwapMove, Move, true;
    /// Swap using offset (`MCUBOOT_SWAP_USING_OFFSET`): a new image starts at the second sector of slot 1. Zephyr's default
    /// for boards without a scratch partition.
    SwapOffset, Offset, true;
    /// Swap using scratch (`MCUBOOT_SWAP_USING_SCRATCH`): through a third area.
    SwapScratch, Scratch, true;
    /// Overwrite-only (`MCUBOOT_OVERWRITE_ONLY`, fast or not): slot 1 is copied over slot 0, and the old image is gone.
    /// There is no rollback.
    Overwrite, Overwrite, false;
    /// Direct-xip with revert (`MCUBOOT_DIRECT_XIP` and `MCUBOOT_DIRECT_XIP_REVERT`): the image with the higher version runs where
    /// it is. "Primary" is then the slot *that the firmware runs from* and "secondary" the other one: the firmware is built
    /// once for each slot and creates the module accordingly.
    DirectXip, Xip, true;
}
