//! A driver that erases or writes more at once than map, layout or range allow does not compile.

use mender::adapters::flash::FlashMap;
use mender::storage::FlashRange;
use mender_modules::mcuboot::{DirectXip, Layout, SwapMove};
use mender_testkit::flash::SimFlash;

/// Writes 4 bytes, erases 4096.
type Fits = SimFlash<4, 4096>;
/// Writes 16 bytes.
type LongWords = SimFlash<16, 4096>;
/// Erases 8192.
type LongPages = SimFlash<4, 8192>;

const MAP: FlashMap<0> = FlashMap {
    base: 0,
    len: 0x10_0000,
    erase_len: 4096,
    write_len: 4,
    areas: [],
}
.checked()
.for_flash::<Fits>();

const MAP_ERASE: FlashMap<0> = MAP.for_flash::<LongPages>();

const MAP_WRITE: FlashMap<0> = MAP.for_flash::<LongWords>();

const LAYOUT: Layout<SwapMove> = Layout {
    mode: SwapMove,
    primary_len: 0x40000,
    secondary_len: 0x40000,
    sector_len: 4096,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 128,
}
.checked()
// Slot 0 is never erased by the application.
.for_flash::<LongPages, Fits>();

const LAYOUT_ERASE: Layout<SwapMove> = LAYOUT.for_flash::<Fits, LongPages>();

const LAYOUT_WRITE: Layout<SwapMove> = LAYOUT.for_flash::<LongWords, Fits>();

const XIP_ERASE: Layout<DirectXip> = Layout {
    mode: DirectXip,
    primary_len: 0x40000,
    secondary_len: 0x40000,
    sector_len: 4096,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 128,
}
.checked()
.for_flash::<LongPages, Fits>();

const RECORDS: FlashRange<LongPages> = FlashRange::new(0..0x2000);

fn main() {}
