//! One map for layout, storage and linker script.

use mender::adapters::flash::{FlashMap, area};
use mender::storage::FlashRange;
use mender_modules::mcuboot::{Layout, SwapMove};
use mender_testkit::flash::SimFlash;

type Flash = SimFlash<4, 4096>;

const MAP: FlashMap<3> = FlashMap {
    base: 0x0800_0000,
    len: 0x10_0000,
    erase_len: 4096,
    write_len: 4,
    areas: [
        area("slot1", 0x8_2000..0xf_8000),
        area("slot0", 0x0_c000..0x8_2000),
        area("records", 0xf_8000..0xf_a000),
    ],
}
.checked()
.for_flash::<Flash>();

const LAYOUT: Layout<SwapMove> = Layout {
    mode: SwapMove,
    primary_len: MAP.len_of("slot0"),
    secondary_len: MAP.len_of("slot1"),
    sector_len: MAP.erase_len,
    write_len: MAP.write_len,
    max_align: 8,
    max_img_sectors: 128,
}
.checked()
.for_flash::<Flash, Flash>();

const RECORDS: FlashRange<Flash> = FlashRange::new(0..MAP.len_of("records"));

const SCRIPT: &str = "\
MEMORY
{
    FLASH : ORIGIN = 0x0800c200, LENGTH = 0x00075e00
    RAM : ORIGIN = 0x20000000, LENGTH = 0x00040000
}
__bootloader_slot1_start = 0x00082000;
__bootloader_slot1_end = 0x000f8000;
__bootloader_slot0_start = 0x0000c000;
__bootloader_slot0_end = 0x00082000;
__bootloader_records_start = 0x000f8000;
__bootloader_records_end = 0x000fa000;
";

fn main() {
    assert_eq!(LAYOUT.primary_len, 0x7_6000);
    assert_eq!(format!("{RECORDS:?}"), "FlashRange(0x0..0x2000)");
    assert_eq!(MAP.memory_x("slot0", 0x200, 0x2000_0000..0x2004_0000).to_string(), SCRIPT);
}
