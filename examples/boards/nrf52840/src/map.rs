//! Where everything is: for the firmware and, by `build.rs`, its linker script. MCUboot has to be built with the same numbers.

use mender::adapters::flash::{FlashMap, MemoryX, area};

/// 1 MiB in pages of 4 KiB, written in words.
pub const MAP: FlashMap<4> = FlashMap {
    base: 0,
    len: 0x10_0000,
    erase_len: 4096,
    write_len: 4,
    areas: [
        area("bootloader", 0x0_0000..0x0_c000),
        area("slot0", 0x0_c000..0x8_2000),
        area("slot1", 0x8_2000..0xf_8000),
        area("records", 0xf_8000..0xf_a000),
    ],
}
.checked();

/// Behind MCUboot's header, in 256 KiB of RAM.
#[allow(dead_code, reason = "build.rs needs this, the firmware does not")]
pub const MEMORY: MemoryX<'static, 4> = MAP.memory_x("slot0", 0x200, 0x2000_0000..0x2004_0000);
