//! Where everything is: for the firmware and, by `build.rs`, its linker script. MCUboot has to be built with the same numbers.
//!
//! Two banks of 1 MiB, in each four sectors of 16 KiB, one of 64, seven of 128. The drivers of embassy-stm32 are one for each
//! group of equal sectors, so the slots are such groups, and the records two sectors of the first one.

use core::ops::Range;

use mender::adapters::flash::{FlashMap, MemoryX, area};

/// What is in large sectors.
pub const MAP: FlashMap<2> = FlashMap {
    base: 0x0800_0000,
    len: 0x20_0000,
    erase_len: 0x2_0000,
    write_len: 4,
    areas: [area("slot0", 0x02_0000..0x10_0000), area("slot1", 0x12_0000..0x20_0000)],
}
.checked();

/// Within the sectors of 16 KiB of bank 1; the first two are the bootloader's.
#[allow(dead_code, reason = "the firmware needs this, build.rs does not")]
pub const RECORDS: Range<u32> = 0x8000..0x1_0000;

/// Behind MCUboot's header, in 192 KiB of RAM.
#[allow(dead_code, reason = "build.rs needs this, the firmware does not")]
pub const MEMORY: MemoryX<'static, 2> = MAP.memory_x("slot0", 0x200, 0x2000_0000..0x2003_0000);
