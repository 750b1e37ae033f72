//! Where everything is: for the firmware and, by `build.rs`, its linker script. embassy-boot has to be built with the same numbers: its
//! `memory.x` is made of this map likewise.

use mender::adapters::flash::{FlashMap, MemoryX, area};

/// 2 MiB in sectors of 4 KiB.
pub const MAP: FlashMap<5> = FlashMap {
    base: 0x1000_0000,
    len: 0x20_0000,
    erase_len: 4096,
    write_len: 1,
    areas: [
        area("bootloader", 0x00_0000..0x00_6000),
        area("state", 0x00_6000..0x00_7000),
        area("active", 0x00_7000..0x08_7000),
        area("dfu", 0x08_7000..0x10_8000),
        area("records", 0x10_8000..0x10_a000),
    ],
}
.checked();

/// In 512 KiB of RAM.
#[allow(dead_code, reason = "build.rs needs this, the firmware does not")]
pub const MEMORY: MemoryX<'static, 5> = MAP.memory_x("active", 0, 0x2000_0000..0x2008_0000);
