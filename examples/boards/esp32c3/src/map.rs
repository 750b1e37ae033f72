//! Where everything is: the same numbers as in `partitions.csv`, by which espflash writes the partition table.

use mender::adapters::flash::{FlashMap, area};

/// 4 MiB in sectors of 4 KiB. ESP-IDF's bootloader wants apps at multiples of 64 KiB.
pub const MAP: FlashMap<6> = FlashMap {
    base: 0,
    len: 0x40_0000,
    erase_len: 4096,
    write_len: 4,
    areas: [
        area("bootloader", 0x00_0000..0x00_8000),
        area("partitions", 0x00_8000..0x00_9000),
        area("otadata", 0x00_9000..0x00_b000),
        area("records", 0x00_b000..0x00_d000),
        area("ota_0", 0x01_0000..0x1f_0000),
        area("ota_1", 0x1f_0000..0x3d_0000),
    ],
}
.checked();
