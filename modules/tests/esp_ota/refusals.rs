//! What a download and an install refuse, what is written, and the module's own shape.

use mender::UpdateModule;
use mender::update_module::{CallbackState, PayloadError};
use mender_modules::esp_ota::{Bootloader, Error, ImageFault, LayoutError, Partition, Slot};
use mender_testkit::esp_idf::{EspImage, OtaEntry, is_startable, ota_state};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::device::{CHIP, Device, Module, SECTOR, SLOT, download, image, module, parts};

fn payload() -> MemoryPayload {
    MemoryPayload::new("esp-ota-image", 100)
}

/// The image with a word changed, and a right SHA-256 again.
fn with(file: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at] = byte;
    let end = file.len() - 32;
    let hash = Sha256::digest(&file[..end]);
    file[end..].copy_from_slice(&hash);
    file
}

/// The refusals by the start of a file: nothing was erased or written then.
#[test]
fn what_the_start_of_a_file_tells_costs_no_write() {
    let device = Device::factory(Bootloader::Keeps);
    device.flash.reset_counters();
    let good = image(2);
    let other = EspImage::new([vec![3; 2000]]);
    let merged = [
        vec![0xe9, 3, 2, 0x20],
        vec![0; 8],
        vec![5, 0],
        vec![0; 9],
        vec![1],
        vec![0x50; 0x8000],
        good.clone(),
    ]
    .concat();
    let room = (SLOT - 1) * SECTOR as u32;
    let cases: [(Vec<u8>, Error); 11] = [
        (Vec::new(), Error::Image(ImageFault::NoImage)),
        (good[..215].to_vec(), Error::Image(ImageFault::NoImage)),
        (vec![0x7f; 3000], Error::Image(ImageFault::NoImage)),
        (with(&good, 1, 0), Error::Image(ImageFault::Segments)),
        (with(&good, 1, 17), Error::Image(ImageFault::Segments)),
        (merged[..8000].to_vec(), Error::Image(ImageFault::NoApp)),
        (with(&good, 23, 0), Error::Image(ImageFault::NoHash)),
        (
            EspImage {
                chip: 9,
                ..other.clone()
            }
            .to_bytes(),
            Error::Image(ImageFault::Chip),
        ),
        (
            EspImage { mmu_page: 15, ..other }.to_bytes(),
            Error::Image(ImageFault::Page),
        ),
        (
            vec![0xe9; room as usize + 1],
            Error::TooLarge {
                len: u64::from(room) + 1,
                room,
            },
        ),
        // The length of the first segment.
        (with(&good, 28, 2), Error::Image(ImageFault::Segments)),
    ];
    for (file, error) in cases {
        assert_eq!(device.download(&file), Err(error));
        assert_eq!(device.flash.operations(), 0, "{error}");
    }
    assert_eq!(download(&mut device.module(), payload()), Err(Error::NoFile));
    let broken = payload().file("app.bin", good).breaks_after(0, PayloadError::Artifact);
    assert_eq!(
        download(&mut device.module(), broken),
        Err(Error::Payload(PayloadError::Artifact))
    );
    assert_eq!(device.flash.operations(), 0);
    assert_eq!(device.module().max_image_len(), room);
}

#[test]
fn a_page_that_is_not_stated_is_the_usual_one() {
    let device = Device::factory(Bootloader::Keeps);
    let unstated = EspImage {
        mmu_page: 0,
        ..EspImage::new([vec![3; 2000]])
    };
    device.download(&unstated.to_bytes()).unwrap();
}

#[test]
fn a_lower_secure_version_is_refused() {
    let device = Device::factory(Bootloader::Reverts);
    let of = |secure_version| {
        let image = EspImage {
            secure_version,
            ..EspImage::new([vec![9; 400]])
        };
        image.to_bytes()
    };
    device.flash.patch(device.map().slots[0].start, &of(7));
    device.flash.reset_counters();
    assert_eq!(device.download(&of(6)), Err(Error::Image(ImageFault::SecureVersion)));
    assert_eq!(device.flash.operations(), 0);
    for as_high in [7, 8] {
        device.download(&of(as_high)).unwrap();
    }
}

/// What only the whole file tells: it is in the other slot then, without a record, and the running image is what boots.
#[test]
fn damaged_images_cannot_be_installed() {
    let good = image(2);
    let end = good.len();
    let cases = [
        (with(&good, 400, good[400] ^ 1), ImageFault::Checksum),
        (with(&good, end - 33, good[end - 33] ^ 1), ImageFault::Checksum),
        // Nothing but the hash covers the time of the build in the descriptor's last bytes and the padding.
        ([&good[..end - 1], &[good[end - 1] ^ 1]].concat(), ImageFault::Hash),
        (good[..end - 4].to_vec(), ImageFault::Length),
        (good[..end - 1].to_vec(), ImageFault::Length),
        (good[..end - 40].to_vec(), ImageFault::Length),
        ([good.as_slice(), &[0xff; 16]].concat(), ImageFault::Length),
    ];
    for (file, fault) in cases {
        let mut device = Device::factory(Bootloader::Keeps);
        assert_eq!(device.download(&file), Err(Error::Image(fault)), "{} bytes", file.len());
        assert_eq!(block_on(device.module().request()), Err(Error::NotReceived));
        device.boots();
        assert_eq!(device.runs(), Some(1));
    }
}

/// Filled up to 4096 bytes, with a signature of as many.
#[test]
fn an_image_signed_for_secure_boot_is_taken_with_its_signature() {
    let device = Device::factory(Bootloader::Keeps);
    let mut signed = EspImage::new([vec![1; 1000]]).to_bytes();
    signed.resize(4096, 0xff);
    signed.extend([0xe7; 4096]);
    device.download(&signed).unwrap();
    assert_eq!(
        device.download(&signed[..4096]),
        Err(Error::Image(ImageFault::Length)),
        "filled up, not signed"
    );
}

#[test]
fn a_second_file_leaves_nothing_to_install() {
    let device = Device::factory(Bootloader::Keeps);
    let two = payload().file("a", image(2)).file("b", [1]);
    assert_eq!(download(&mut device.module(), two), Err(Error::SecondFile));
    assert_eq!(block_on(device.module().request()), Err(Error::NotReceived));
}

#[test]
fn the_longest_image_fits() {
    let mut device = Device::factory(Bootloader::Keeps);
    let room = device.module().max_image_len() as usize;
    let around = EspImage::new([vec![]]).to_bytes().len();
    let longest = EspImage::new([vec![0x5a; room - around]]).to_bytes();
    assert_eq!(longest.len(), room);
    device.download(&longest).unwrap();
    block_on(device.module().request()).unwrap();
    device.boots();
    assert_eq!(device.running, Slot::Ota1);
    block_on(device.module().check_runs()).unwrap();
}

#[test]
fn flash_that_does_not_keep_its_content_is_found_out() {
    let device = Device::factory(Bootloader::Keeps);
    let [running, other] = device.map().slots;
    device.download(&image(2)).unwrap();
    device.flash.patch(other.start + 1000, &[0xff]);
    assert_eq!(block_on(device.module().request()), Err(Error::NotReceived));
    // A programmer has changed what runs.
    device.download(&image(2)).unwrap();
    device.flash.patch(running.start, &image(3));
    assert_eq!(block_on(device.module().request()), Err(Error::NotReceived));
    // What runs is no image at all: another partition was given.
    device.flash.patch(running.start, &[0]);
    assert_eq!(device.download(&image(2)), Err(Error::NotKept(Partition::Running)));
    // Any byte of the record.
    let device = Device::factory(Bootloader::Keeps);
    device.download(&image(2)).unwrap();
    let at = other.end - SECTOR as u32;
    for offset in at..at + 96 {
        let byte = device.flash.to_bytes()[offset as usize];
        device.flash.patch(offset, &[byte ^ 0x10]);
        assert_eq!(block_on(device.module().request()), Err(Error::NotReceived), "{offset}");
        device.flash.patch(offset, &[byte]);
    }
    block_on(device.module().request()).unwrap();
}

#[test]
fn partitions_that_cannot_work_are_refused() {
    let device = Device::factory(Bootloader::Keeps);
    let part = |sectors| crate::device::Part(device.flash.partition(0..sectors * SECTOR as u32));
    let new = |slot, otadata| {
        let slots = [part(SLOT), part(slot)];
        Module::<fn()>::new(slots, part(otadata), Slot::Ota0, Bootloader::Keeps, || ()).err()
    };
    assert_eq!(new(2, 2), None);
    assert_eq!(new(1, 2), Some(LayoutError::SlotTooShort));
    assert_eq!(new(2, 1), Some(LayoutError::OtadataTooShort));
}

#[test]
fn the_table_of_the_module() {
    type Of = Module<fn()>;
    let table = &Of::DESCRIPTOR;
    assert_eq!(table.artifact_type, "esp-ota-image");
    assert!(table.requires_reboot && table.supports_rollback);
    assert!(table.states.contains(CallbackState::RollbackVerifyReboot));
    let device = Device::factory(Bootloader::Keeps);
    let module = module(&device.flash, Slot::Ota1, Bootloader::Reverts, || ());
    assert_eq!(
        format!("{module:?}"),
        "EspOta { running: Ota1, bootloader: Reverts, .. }"
    );
    assert_eq!(
        [0x10, 0x11, 0x12, 0].map(Slot::of_subtype),
        [Some(Slot::Ota0), Some(Slot::Ota1), None, None]
    );
    assert!(size_of_val(&module) <= size_of_val(&parts(&device.flash)) + 256 + 40);
}

#[test]
fn errors_say_what_to_do() {
    let of = |error: Error| error.to_string();
    assert_eq!(
        of(Error::TooLarge { len: 34, room: 12 }),
        "the image has 34 bytes, but 12 fit into the slot: enlarge both slots"
    );
    assert_eq!(
        of(Error::NotKept(Partition::Otadata)),
        "otadata does not keep what is written: check flash, partitions and encryption"
    );
    assert_eq!(
        of(Error::Image(ImageFault::NoApp)),
        "no app descriptor: save the image without --merge"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever the file is, whatever otadata holds: no panic, the bootloader starts what ran, and what is taken is what it would start.
    #[test]
    fn whatever_comes_is_taken_only_if_the_bootloader_takes_it(
        changes in proptest::collection::vec((0..5000_usize, any::<u8>()), 0..3),
        cut in 0..5000_usize,
        entries in proptest::collection::vec((0..5_u32, 0..7_u32, any::<bool>()), 2),
    ) {
        let mut device = Device::factory(Bootloader::Keeps);
        for (index, (seq, state, good)) in entries.into_iter().enumerate() {
            let mut entry = OtaEntry::new(seq, state);
            entry.crc ^= u32::from(!good);
            device.set_entry(index as u32, &entry.to_bytes());
        }
        device.boots();
        let before = device.runs();
        prop_assert_eq!(before, Some(1));
        let mut file = image(2);
        for (at, byte) in changes {
            let at = at % file.len();
            file[at] = byte;
        }
        if cut < 300 {
            file.truncate(file.len() - cut);
        }
        let taken = device.download(&file);
        if taken == Ok(()) {
            prop_assert!(is_startable(&file, CHIP));
        }
        if taken != Err(Error::RunningUnconfirmed) {
            let mut next = device.clone();
            next.boots();
            prop_assert_eq!(next.runs(), before);
        }
        if taken.is_ok() {
            block_on(device.module().request()).unwrap();
            device.boots();
            prop_assert_eq!(device.running, Slot::Ota1);
            prop_assert!(device.entries().iter().any(|entry| entry.state == ota_state::NEW));
        }
        prop_assert_eq!(device.flash.violations(), []);
    }
}
