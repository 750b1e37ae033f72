//! The update module of the bootloader that the board has. Depends on the board's map.

use board::flash::Flash;
use mender::UpdateModule;
use mender::adapters::flash::SharedFlash;

/// For embassy-boot.
#[cfg(not(feature = "mcuboot"))]
pub fn module(flash: &SharedFlash<Flash>) -> impl UpdateModule {
    use board::map::MAP;
    use embassy_boot::FirmwareUpdaterConfig;
    use mender::adapters::flash::Partition;
    use mender_modules::embassy_boot::{EmbassyBoot, assert_partitions};

    type Part = Partition<'static, Flash>;
    const {
        assert_partitions::<Part, Part, Part>(MAP.len_of("active"), MAP.len_of("dfu"), MAP.len_of("state"));
    }
    let [state, active, dfu] = [
        const { MAP.range("state") },
        const { MAP.range("active") },
        const { MAP.range("dfu") },
    ]
    .map(|range| flash.partition(range).unwrap());
    let bootloader = FirmwareUpdaterConfig { state, dfu };
    EmbassyBoot::<_, _, _, _>::new(bootloader, active, || board::restart()).unwrap()
}

/// For MCUboot, with swap using move.
#[cfg(feature = "mcuboot")]
pub fn module(flash: &SharedFlash<Flash>) -> impl UpdateModule {
    use board::map::{MAX_IMG_SECTORS, MCUBOOT_MAP as MAP};
    use mender_modules::mcuboot::{Layout, SwapMove, ZephyrImage};

    const LAYOUT: Layout<SwapMove> = Layout {
        mode: SwapMove,
        primary_len: MAP.len_of("slot0"),
        secondary_len: MAP.len_of("slot1"),
        sector_len: MAP.erase_len,
        write_len: MAP.write_len,
        max_align: 8,
        max_img_sectors: MAX_IMG_SECTORS,
    }
    .checked();
    let [slot0, slot1] =
        [const { MAP.range("slot0") }, const { MAP.range("slot1") }].map(|range| flash.partition(range).unwrap());
    ZephyrImage::new(LAYOUT, slot0, slot1, || board::restart()).unwrap()
}
