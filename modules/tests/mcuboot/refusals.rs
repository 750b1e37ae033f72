//! What the module refuses, and that nothing is harmed then.

use mender::update_module::PayloadError;
use mender_modules::mcuboot::{
    DirectXip, Error, ImageFault, Layout, LayoutError, Overwrite, SwapMove, SwapOffset, SwapScratch,
};
use mender_testkit::bootloader::SwapType;
use mender_testkit::image::{FLAG_NON_BOOTABLE, ImageBuilder};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, Failed, Small, TestMode, V1, V2, V3, download, image};
use crate::geometry;

/// Downloads and expects a failure. Returns it with the number of flash operations.
fn refused(source: MemoryPayload) -> (Failed, u64) {
    let device = Small::updated();
    device.flash.reset_counters();
    let error = download(&mut device.module(), source).expect_err("refused");
    let operations = device.flash.operations();
    assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
    block_on(device.module().discard()).unwrap();
    assert_eq!(device.boot.decision(&device.flash).unwrap(), SwapType::None);
    let boot = device.boots();
    assert_eq!((boot.ran, boot.swapped), (Some(V1), SwapType::None));
    assert_eq!(device.flash.violations(), []);
    (error, operations)
}

fn file(bytes: &[u8]) -> MemoryPayload {
    MemoryPayload::new("zephyr-image", 100).file("app.bin", bytes)
}

fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = image(V2);
    image[at..at + bytes.len()].copy_from_slice(bytes);
    image
}

#[test]
fn a_bad_header_costs_no_flash_operation() {
    let room = Small::blank().layout().max_image_len();
    let cases = [
        (vec![], ImageFault::NotAnImage),
        (image(V2)[..31].to_vec(), ImageFault::NotAnImage),
        (patched(0, &[0]), ImageFault::NotAnImage),
        (patched(8, &[31, 0]), ImageFault::HeaderLen),
        (patched(16, &[0x04]), ImageFault::Encoded),
        (patched(16, &[0x08]), ImageFault::Encoded),
        (patched(17, &[0x02]), ImageFault::Encoded),
        (patched(17, &[0x04]), ImageFault::Encoded),
        (patched(16, &[FLAG_NON_BOOTABLE as u8]), ImageFault::NotBootable),
        (patched(16, &[0x20]), ImageFault::LoadsToRam),
        (
            patched(12, &[0xff; 4]),
            ImageFault::TooLarge {
                len: 0xffff_ffff + 72,
                room,
            },
        ),
        (image(V2)[..image(V2).len() - 1].to_vec(), ImageFault::Truncated),
    ];
    for (bytes, fault) in cases {
        assert_eq!(refused(file(&bytes)), (Error::Image(fault), 0));
    }
}

#[test]
fn the_largest_image_fits_and_one_byte_more_does_not() {
    let device = Small::updated();
    let room = device.layout().max_image_len();
    assert_eq!(room, device.boot.max_image_len(8, 512));
    let built = |len: u32| ImageBuilder::new(V2).image_len(len as usize).build();
    assert_eq!(
        refused(file(&built(room + 1))),
        (
            Error::Image(ImageFault::TooLarge {
                len: u64::from(room) + 1,
                room
            }),
            0
        )
    );
    // The header alone says so, whatever the file's length.
    let mut cut = built(room + 1);
    cut.truncate(1000);
    let (error, operations) = refused(file(&cut));
    assert_eq!(
        (error, operations),
        (
            Error::Image(ImageFault::TooLarge {
                len: u64::from(room) + 1,
                room
            }),
            0
        )
    );

    download(&mut device.module(), file(&built(room))).unwrap();
    block_on(device.module().request_swap()).unwrap();
    let boot = device.boots();
    assert_eq!((boot.ran, boot.swapped), (Some(V2), SwapType::Test));
    assert_eq!(device.boots().ran, Some(V1));
    assert_eq!(device.flash.violations(), []);
}

/// A file made with `imgtool sign --pad` carries a request: it would be pending as soon as it is written.
#[test]
fn a_padded_file_is_refused_with_advice() {
    let mut padded = image(V2);
    padded.resize(16 * 512, 0xff);
    let (error, operations) = refused(file(&padded));
    assert_eq!(operations, 0);
    assert!(error.to_string().contains("--pad"), "{error}");
}

/// Bytes behind the image are not part of it: an image padded for a smaller slot is installed, also if the padding
/// reaches to where the note would be.
#[test]
fn bytes_behind_the_image_do_no_harm() {
    fn check<M: TestMode>(fill: u8) {
        let device = Device::<8, 512, M>::updated();
        let mut padded = image(V2);
        padded.resize(device.layout().max_image_len() as usize, fill);
        // As imgtool pads: with a request at the end, which is none there.
        let end = padded.len();
        padded[end - 16..].copy_from_slice(&mender_testkit::bootloader::MAGIC);
        let mut module = device.module();
        download(&mut module, file(&padded)).unwrap();
        assert_eq!(device.boot.decision(&device.flash).unwrap(), SwapType::None);
        block_on(module.request_swap()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().check_swapped()).unwrap();
        assert_eq!(device.flash.violations(), []);
    }
    for fill in [0x00, 0xff] {
        check::<SwapMove>(fill);
        check::<SwapOffset>(fill);
        check::<SwapScratch>(fill);
        check::<Overwrite>(fill);
        check::<DirectXip>(fill);
    }
    // Swap using move with a slot 1 that is shorter by a sector, offset with equal ones.
    fn unequal<M: TestMode>(sectors: (u32, u32)) {
        let device = geometry::blank::<8, 512, M>(sectors, 8);
        device.program(&image(V1));
        let mut padded = image(V2);
        padded.resize(device.layout().max_image_len() as usize, 0);
        download(&mut device.module(), file(&padded)).unwrap();
        block_on(device.module().request_swap()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().check_swapped()).unwrap();
        assert_eq!(device.flash.violations(), []);
    }
    unequal::<SwapMove>((16, 15));
    unequal::<SwapOffset>((16, 16));
}

#[test]
fn damage_is_found_by_reading_back() {
    let good = image(V2);
    let end = good.len();
    let cases = [
        (40, 0x01, ImageFault::WrongHash),
        (20, 0x01, ImageFault::WrongHash),
        (end - 1, 0x80, ImageFault::WrongHash),
        (end - 40, 0x01, ImageFault::Tlv),
        (end - 36, 0x08, ImageFault::NoHash),
        (end - 34, 0x01, ImageFault::Tlv),
        (end - 38, 0x01, ImageFault::Truncated),
    ];
    for (at, bit, fault) in cases {
        let mut bytes = good.clone();
        bytes[at] ^= bit;
        let (error, operations) = refused(file(&bytes));
        assert_eq!(error, Error::Image(fault), "byte {at}");
        assert!(operations > 0, "byte {at}");
    }
    // Every single bit flip, wherever it is.
    for at in 0..end {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(matches!(refused(file(&bytes)).0, Error::Image(_)), "byte {at}");
    }
}

#[test]
fn protected_tlvs_must_agree_with_the_header() {
    let build = || {
        ImageBuilder::new(V2)
            .protected_tlv(0x50, &[5, 0, 0, 0])
            .tlv(0x22, &[3; 70])
            .body_len(777)
    };
    let device = Small::factory();
    download(&mut device.module(), file(&build().build())).unwrap();
    let bytes = build().build();
    for at in 32 + 777..32 + 777 + 4 {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x40;
        assert_eq!(refused(file(&bytes)).0, Error::Image(ImageFault::Tlv), "byte {at}");
    }
}

#[test]
fn one_file_is_taken_and_no_other_number() {
    assert_eq!(refused(MemoryPayload::new("zephyr-image", 100)), (Error::NoFile, 0));
    let two = file(&image(V2)).file("more.bin", image(V3));
    assert_eq!(refused(two).0, Error::SecondFile);
}

#[test]
fn a_broken_download_leaves_nothing_that_boots() {
    let len = image(V2).len();
    for (bytes, error) in [
        (0, PayloadError::Connection),
        (31, PayloadError::Connection),
        (700, PayloadError::Connection),
        // The data came whole, but their checksum was wrong.
        (len, PayloadError::Artifact),
    ] {
        assert_eq!(
            refused(file(&image(V2)).breaks_after(bytes, error)).0,
            Error::Payload(error)
        );
    }
}

/// Slot 1 holds the only image to go back to.
#[test]
fn nothing_is_received_while_the_running_image_is_under_test() {
    let device = Small::factory();
    device.download(&image(V2)).unwrap();
    block_on(device.module().request_swap()).unwrap();
    assert_eq!(device.boots().ran, Some(V2));
    device.flash.reset_counters();
    assert_eq!(device.download(&image(V3)), Err(Error::RunningUnconfirmed));
    assert_eq!(block_on(device.module().request_swap()), Err(Error::RunningUnconfirmed));
    block_on(device.module().discard()).unwrap();
    assert_eq!(device.flash.operations(), 0);
    assert_eq!(device.boots().ran, Some(V1));
    device.download(&image(V3)).unwrap();
}

#[test]
fn install_finds_what_changed_since_the_download() {
    let device = Small::factory();
    let slot1 = device.boot.layout().slot1.start;
    let mut module = device.module();
    download(&mut module, file(&image(V2))).unwrap();
    let other = device.copy();
    other.flash.patch(slot1 + 500, &[0x00]);
    assert_eq!(
        block_on(other.module().request_swap()),
        Err(Error::Damaged(ImageFault::WrongHash))
    );
    assert_eq!(other.boot.decision(&other.flash).unwrap(), SwapType::None);

    // Another intact image in its place: known only to the run that received the first.
    let mut v3 = image(V3);
    v3.resize(2500, 0xff);
    device.flash.patch(slot1, &v3);
    assert_eq!(
        block_on(module.request_swap()),
        Err(Error::Damaged(ImageFault::WrongHash))
    );
    assert_eq!(device.boot.decision(&device.flash).unwrap(), SwapType::None);
}

/// A stale image_ok would make a test request a permanent one.
#[test]
fn install_refuses_stale_trailer_cells() {
    for (from_end, byte) in [(24, 0x01), (32, 0x01), (16, 0x00), (1, 0x00), (40, 0xff), (40, 0x03)] {
        let device = Small::factory();
        device.download(&image(V2)).unwrap();
        device.flash.patch(device.boot.layout().slot1.end - from_end, &[byte]);
        let before = device.flash.to_bytes();
        assert_eq!(
            block_on(device.module().request_swap()),
            Err(Error::NotReceived),
            "end-{from_end}: {byte:#x}"
        );
        assert!(device.flash.to_bytes() == before);
    }
}

#[test]
fn wrong_layouts_are_typed_errors() {
    let good = Device::<8, 4096>::blank().layout();
    assert_eq!(good.try_checked(), Ok(good));
    let cases = [
        (Layout { write_len: 16, ..good }, LayoutError::MaxAlign),
        (Layout { max_align: 4, ..good }, LayoutError::MaxAlign),
        (Layout { max_align: 64, ..good }, LayoutError::MaxAlign),
        (Layout { write_len: 3, ..good }, LayoutError::WriteLen),
        (Layout { write_len: 64, ..good }, LayoutError::WriteLen),
        (Layout { write_len: 0, ..good }, LayoutError::WriteLen),
        (Layout { sector_len: 0, ..good }, LayoutError::SectorLen),
        (Layout { sector_len: 32, ..good }, LayoutError::SectorLen),
        (
            Layout {
                sector_len: 4095,
                ..good
            },
            LayoutError::SectorLen,
        ),
        (
            Layout {
                primary_len: good.primary_len + 8,
                ..good
            },
            LayoutError::PartOfSector,
        ),
        (
            Layout {
                primary_len: good.primary_len + 2 * 4096,
                ..good
            },
            LayoutError::SlotsDiffer,
        ),
        (
            Layout {
                primary_len: good.primary_len - 4096,
                ..good
            },
            LayoutError::SlotsDiffer,
        ),
        (
            Layout {
                max_img_sectors: 15,
                ..good
            },
            LayoutError::TooManySectors,
        ),
        (
            Layout {
                primary_len: 8192,
                secondary_len: 8192,
                ..good
            },
            LayoutError::NoRoom,
        ),
        (
            Layout {
                primary_len: 0,
                secondary_len: 0,
                ..good
            },
            LayoutError::NoRoom,
        ),
        (
            Layout {
                max_img_sectors: u32::MAX,
                ..good
            },
            LayoutError::NoRoom,
        ),
    ];
    for (layout, error) in cases {
        assert_eq!(layout.try_checked(), Err(error), "{layout:?}");
    }
    let spare = Layout {
        secondary_len: good.secondary_len - 4096,
        ..good
    };
    assert_eq!(spare.try_checked(), Ok(spare));

    let device = Device::<8, 4096>::blank();
    let slot = |range| device.flash.partition(range);
    let new = |layout, slot0, slot1| {
        mender_modules::mcuboot::ZephyrImage::<_, _, fn(), 64>::with_buffer(layout, slot0, slot1, || ()).map(drop)
    };
    assert_eq!(
        new(good, slot(0..15 * 4096), slot(0..65536)),
        Err(LayoutError::FlashTooShort)
    );
    assert_eq!(
        new(good, slot(0..65536), slot(0..15 * 4096)),
        Err(LayoutError::FlashTooShort)
    );
    let fine = Layout {
        sector_len: 2048,
        ..Layout {
            max_img_sectors: 32,
            ..good
        }
    };
    assert_eq!(new(fine, slot(0..65536), slot(0..65536)), Err(LayoutError::EraseSize));
    assert_eq!(new(good, slot(0..65536), slot(0..65536)), Ok(()));
}
