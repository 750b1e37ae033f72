//! A map that cannot work does not compile, and the message names the areas.

use core::ops::Range;

use mender::adapters::flash::{Area, FlashMap, MemoryX, area};

const fn map<const N: usize>(areas: [Area; N]) -> FlashMap<N> {
    FlashMap {
        base: 0,
        len: 0x10_0000,
        erase_len: 4096,
        write_len: 4,
        areas,
    }
    .checked()
}

const OVERLAP: FlashMap<3> = map([
    area("slot1", 0x8_2000..0xf_9000),
    area("slot0", 0x0_c000..0x8_2000),
    area("records", 0xf_8000..0xf_a000),
]);

const TWICE: FlashMap<2> = map([area("slot0", 0..0x1000), area("slot0", 0x1000..0x2000)]);

const BEYOND: FlashMap<1> = map([area("records", 0xf_f000..0x10_1000)]);

const UNALIGNED: FlashMap<1> = map([area("records", 0xf_8000..0xf_9800)]);

const EMPTY: FlashMap<1> = map([area("records", 0x1000..0x1000)]);

const UNITS: FlashMap<0> = FlashMap {
    base: 0,
    len: 0x1000,
    erase_len: 4096,
    write_len: 3,
    areas: [],
}
.checked();

const PART_OF_A_PAGE: FlashMap<0> = FlashMap {
    base: 0,
    len: 0x1800,
    erase_len: 4096,
    write_len: 4,
    areas: [],
}
.checked();

const GOOD: FlashMap<1> = map([area("records", 0xf_8000..0xf_a000)]);

const UNKNOWN: Range<u32> = GOOD.range("record");

const UNKNOWN_LEN: u32 = GOOD.len_of("storage");

const NO_ROOM: MemoryX<'static, 1> = GOOD.memory_x("records", 0x2000, 0x2000_0000..0x2001_0000);

fn main() {}
