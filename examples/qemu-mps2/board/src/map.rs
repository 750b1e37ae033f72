//! Where everything is in flash: for bootloader, firmware, their linker scripts and the factory, which is the runner.

use core::ops::Range;

use mender::adapters::flash::{FlashMap, area};

/// The PSRAM that plays the flash: 16 MiB in pages of 4 KiB, written in words.
pub const MAP: FlashMap<6> = FlashMap {
    base: 0x2100_0000,
    len: 0x100_0000,
    erase_len: 4096,
    write_len: 4,
    areas: [
        area("settings", 0x0_0000..0x0_2000),
        area("calibration", 0x0_2000..0x0_4000),
        area("records", 0x0_4000..0x0_6000),
        area("state", 0x0_6000..0x0_7000),
        area("active", 0x1_0000..0x7_0000),
        area("dfu", 0x8_0000..0xe_1000),
    ],
}
.checked();

/// The same flash with MCUboot.
pub const MCUBOOT_MAP: FlashMap<5> = FlashMap {
    base: MAP.base,
    len: MAP.len,
    erase_len: MAP.erase_len,
    write_len: MAP.write_len,
    areas: [
        area("settings", MAP.range("settings")),
        area("calibration", MAP.range("calibration")),
        area("records", MAP.range("records")),
        area("slot0", MAP.range("active")),
        area("slot1", 0x8_0000..0xe_0000),
    ],
}
.checked();

/// In front of an image's code, with MCUboot: the table of 256 vectors behind it has to be aligned to its own length.
pub const IMAGE_HEADER_LEN: u32 = 0x400;

/// MCUboot's `BOOT_MAX_IMG_SECTORS`.
pub const MAX_IMG_SECTORS: u32 = 128;

/// 128 KiB of the board's RAM, as a chip of this kind has.
pub const RAM: Range<u32> = 0x2000_0000..0x2002_0000;

/// More of it, for a bootloader that needs much.
pub const HEAP: Range<u32> = 0x2010_0000..0x2040_0000;

/// Where QEMU puts the bootloader (`-kernel`): memory that starts anew with each start of QEMU, as a ROM.
pub const ROM: Range<u32> = 0..0x1_0000;
