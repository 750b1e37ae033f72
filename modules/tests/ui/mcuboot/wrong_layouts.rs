//! A layout that cannot work does not compile, and the message says what is wrong.

use mender_modules::mcuboot::{Layout, Overwrite, SwapMove, SwapOffset, SwapScratch};

const GOOD: Layout<SwapMove> = Layout {
    mode: SwapMove,
    primary_len: 0x40000,
    secondary_len: 0x40000,
    sector_len: 4096,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 128,
}
.checked();

const SLOTS_DIFFER: Layout<SwapScratch> = Layout {
    mode: SwapScratch,
    primary_len: 0x40000,
    secondary_len: 0x3f000,
    sector_len: 4096,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 128,
}
.checked();

const OVERWRITTEN_SLOTS_DIFFER: Layout<Overwrite> = Layout {
    mode: Overwrite,
    primary_len: 0x40000,
    secondary_len: 0x50000,
    sector_len: 4096,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 128,
}
.checked();

const PART_OF_A_SECTOR: Layout<Overwrite> = Layout {
    mode: Overwrite,
    primary_len: 0x40000,
    secondary_len: 0x40000,
    sector_len: 0x30000,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 128,
}
.checked();

const WRITE_UNIT: Layout<SwapMove> = Layout { write_len: 12, ..GOOD }.checked();
const UNIT_OVER_MAX_ALIGN: Layout<SwapMove> = Layout { write_len: 16, ..GOOD }.checked();
const SECTOR: Layout<SwapMove> = Layout { sector_len: 32, ..GOOD }.checked();
const TOO_MANY_SECTORS: Layout<SwapMove> = Layout { max_img_sectors: 63, ..GOOD }.checked();
const SPARE_SECTOR_TOO_MANY: Layout<SwapOffset> = Layout {
    mode: SwapOffset,
    primary_len: 0x40000,
    secondary_len: 0x41000,
    sector_len: 4096,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 64,
}
.checked();
const NO_ROOM: Layout<SwapOffset> = Layout {
    mode: SwapOffset,
    primary_len: 4096,
    secondary_len: 8192,
    sector_len: 4096,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 128,
}
.checked();

fn main() {
    let _ = (GOOD, SLOTS_DIFFER, OVERWRITTEN_SLOTS_DIFFER, PART_OF_A_SECTOR, WRITE_UNIT, UNIT_OVER_MAX_ALIGN, SECTOR);
    let _ = (TOO_MANY_SECTORS, SPARE_SECTOR_TOO_MANY, NO_ROOM);
}
