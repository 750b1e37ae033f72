//! Whole updates, rollbacks and ways back on slots of many shapes: sectors of 2 KiB to 128 KiB, every write unit, slots that differ
//! by the spare sector.

use mender_modules::mcuboot::{DirectXip, Layout, LayoutError, Mode, Overwrite, SwapMove, SwapOffset, SwapScratch};
use mender_testkit::bootloader::{self, Mcuboot};
use mender_testkit::flash::SimFlash;
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, TestMode, V1, V2, V3, download};

/// A blank device with slots of so many sectors.
pub fn blank<const WRITE: usize, const SECTOR: usize, M: TestMode>(
    sectors: (u32, u32),
    max_align: u32,
) -> Device<WRITE, SECTOR, M> {
    let sector = SECTOR as u32;
    let (slot0, slot1) = (sector..(1 + sectors.0) * sector, (2 + sectors.0) * sector);
    let end = slot1 + sectors.1 * sector;
    Device {
        flash: SimFlash::new(end as usize / SECTOR + 3),
        boot: Mcuboot::new(bootloader::Layout {
            slot0,
            slot1: slot1..end,
            max_img_sectors: sectors.0.max(sectors.1).max(16),
        })
        .with_mode(M::of_bootloader(end..end + 2 * sector))
        .with_max_align(max_align),
        ..Device::blank()
    }
}

/// Larger versions are larger images, all of several sectors, none near the trailer.
fn image<const WRITE: usize, const SECTOR: usize, M: TestMode>(
    device: &Device<WRITE, SECTOR, M>,
    version: Version,
) -> Vec<u8> {
    let room = device.layout().checked().max_image_len() as usize;
    ImageBuilder::new(version)
        .header_len(0x200)
        .body_len(room * (2 + usize::from(version.major)) / 8)
        .build()
}

fn updates<const WRITE: usize, const SECTOR: usize, M: TestMode>(sectors: (u32, u32), max_align: u32) {
    let case = format!(
        "{:?}, {sectors:?} sectors of {SECTOR}, {WRITE}/{max_align}",
        M::default()
    );
    let device = blank::<WRITE, SECTOR, M>(sectors, max_align);
    device.program(&image(&device, V1));
    assert_eq!(device.boots().ran, Some(V1));
    let install = |version| {
        let mut module = device.module();
        let source = MemoryPayload::new("zephyr-image", 3000).file("app.bin", image(&device, version));
        device.flash.reset_counters();
        download(&mut module, source).unwrap_or_else(|error| panic!("{case}: {error}"));
        block_on(module.request_swap()).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(device.flash.sector_erases().iter().all(|n| *n <= 1), "{case}");
        assert_eq!(device.boots().ran, Some(version), "{case}");
        block_on(device.module().check_swapped()).unwrap_or_else(|error| panic!("{case}: {error}"));
    };
    install(V2);
    if M::REVERTS {
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(device.boots().ran, Some(V1), "{case}");
        block_on(device.module().check_reverted()).unwrap();
        install(V2);
    }
    block_on(device.module().confirm()).unwrap();
    if M::REVERTS {
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(device.boots().ran, Some(V1), "{case}");
        block_on(device.module().check_reverted()).unwrap();
    }
    install(V3);
    block_on(device.module().confirm()).unwrap();
    assert_eq!(device.boots().ran, Some(V3), "{case}");
    assert_eq!(device.flash.violations(), [], "{case}");
}

/// Every write unit with every `BOOT_MAX_ALIGN` that is not smaller.
fn every_unit<const SECTOR: usize, M: TestMode>(sectors: (u32, u32)) {
    for max_align in [8, 16, 32] {
        updates::<1, SECTOR, M>(sectors, max_align);
        updates::<2, SECTOR, M>(sectors, max_align);
        updates::<4, SECTOR, M>(sectors, max_align);
        updates::<8, SECTOR, M>(sectors, max_align);
    }
    updates::<16, SECTOR, M>(sectors, 16);
    updates::<16, SECTOR, M>(sectors, 32);
    updates::<32, SECTOR, M>(sectors, 32);
}

#[test]
fn equal_slots_with_every_write_unit() {
    every_unit::<2048, SwapMove>((12, 12));
    every_unit::<2048, SwapOffset>((12, 12));
    every_unit::<2048, SwapScratch>((12, 12));
    every_unit::<2048, Overwrite>((12, 12));
    every_unit::<2048, DirectXip>((12, 12));
}

#[test]
fn slots_that_differ_by_a_sector() {
    every_unit::<2048, SwapMove>((12, 11));
    every_unit::<2048, SwapOffset>((12, 13));
    every_unit::<2048, DirectXip>((10, 12));
}

#[test]
fn large_sectors() {
    updates::<32, 131_072, SwapMove>((6, 6), 32);
    updates::<32, 131_072, SwapOffset>((6, 7), 32);
    updates::<32, 131_072, SwapScratch>((6, 6), 32);
    updates::<32, 131_072, Overwrite>((6, 6), 32);
    updates::<32, 131_072, DirectXip>((6, 6), 32);
    updates::<4, 131_072, SwapMove>((4, 4), 8);
    updates::<1, 131_072, SwapOffset>((4, 5), 8);
    updates::<8, 131_072, DirectXip>((4, 4), 16);
}

#[test]
fn sectors_between_the_smallest_and_the_largest() {
    updates::<2, 4096, SwapMove>((12, 11), 8);
    updates::<4, 8192, SwapOffset>((8, 9), 8);
    updates::<8, 8192, SwapScratch>((8, 8), 8);
    updates::<16, 16_384, Overwrite>((6, 6), 16);
    updates::<8, 16_384, SwapMove>((6, 6), 8);
    updates::<32, 32_768, SwapOffset>((6, 6), 32);
    updates::<4, 32_768, DirectXip>((6, 5), 8);
    updates::<16, 65_536, SwapMove>((4, 4), 32);
    updates::<8, 65_536, SwapScratch>((4, 4), 8);
}

#[test]
fn slots_that_no_bootloader_accepts() {
    fn check<M: Mode>(mode: M, primary: u32, secondary: u32) -> Result<(), LayoutError> {
        let layout = Layout {
            mode,
            primary_len: primary * 4096,
            secondary_len: secondary * 4096,
            sector_len: 4096,
            write_len: 8,
            max_align: 8,
            max_img_sectors: 16,
        };
        layout.try_checked().map(drop)
    }
    let differ = Err(LayoutError::SlotsDiffer);
    for (primary, secondary) in [(12, 12), (12, 11), (12, 13), (12, 10), (12, 14)] {
        let equal = primary == secondary;
        assert_eq!(
            check(SwapMove, primary, secondary),
            if equal || secondary == 11 { Ok(()) } else { differ }
        );
        assert_eq!(
            check(SwapOffset, primary, secondary),
            if equal || secondary == 13 { Ok(()) } else { differ }
        );
        assert_eq!(
            check(SwapScratch, primary, secondary),
            if equal { Ok(()) } else { differ }
        );
        assert_eq!(
            check(Overwrite, primary, secondary),
            if equal { Ok(()) } else { differ }
        );
        assert_eq!(check(DirectXip, primary, secondary), Ok(()));
    }
    let many = Err(LayoutError::TooManySectors);
    assert_eq!(check(SwapMove, 17, 17), many);
    assert_eq!(check(SwapOffset, 17, 17), many);
    // The spare sector counts in either slot.
    assert_eq!(check(SwapMove, 17, 16), many);
    assert_eq!(check(SwapOffset, 16, 17), many);
    assert_eq!(check(SwapOffset, 16, 16), Ok(()));
    assert_eq!(check(SwapOffset, 15, 16), Ok(()));
    assert_eq!(check(SwapScratch, 17, 17), many);
    assert_eq!(check(Overwrite, 17, 17), many);
    assert_eq!(check(DirectXip, 40, 40), Ok(()));
}

/// Numbers that nobody has checked: the public functions of a layout answer, whatever they are.
#[test]
fn a_layout_of_any_numbers_answers() {
    fn answers<M: Mode>(mode: M) {
        const NUMBERS: [u32; 9] = [0, 1, 8, 32, 33, 4096, 0x8000_0001, u32::MAX - 4095, u32::MAX];
        let of = |number: usize| NUMBERS[number % NUMBERS.len()];
        let count = NUMBERS.len();
        for number in 0..count.pow(6) {
            let layout = Layout {
                mode,
                primary_len: of(number),
                secondary_len: of(number / count),
                sector_len: of(number / count.pow(2)),
                write_len: of(number / count.pow(3)),
                max_align: of(number / count.pow(4)),
                max_img_sectors: of(number / count.pow(5)),
            };
            assert!(layout.max_image_len() <= layout.secondary_len, "{layout:?}");
            if let Ok(checked) = layout.try_checked() {
                assert!(checked.max_image_len() > 0, "{layout:?}");
            }
        }
    }
    answers(SwapMove);
    answers(SwapOffset);
    answers(SwapScratch);
    answers(Overwrite);
    answers(DirectXip);
}
