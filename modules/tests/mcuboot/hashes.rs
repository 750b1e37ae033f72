//! Images whose hash is not SHA-256, as imgtool makes them. With the feature `sha512` they are installed; without it they are
//! refused by that name.

use mender_modules::mcuboot::{
    Content, DirectXip, Error, HashKind, ImageFault, NextBoot, Overwrite, SwapMove, SwapOffset, SwapScratch,
};
use mender_testkit::bootloader::SwapType;
use mender_testkit::image::{self, ImageBuilder, ImageInfo, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, Small, TestMode, V1, download};
use crate::golden;

fn supported() -> bool {
    cfg!(feature = "sha512")
}

const IMAGES: [(&str, HashKind, usize); 3] = [
    ("v1.3.0-ecdsa-p384.bin", HashKind::Sha384, 48),
    ("v1.3.1-ed25519-sha512.bin", HashKind::Sha512, 64),
    // Its signature is one of the image itself; the hash is there all the same.
    ("v1.3.2-ed25519-pure.bin", HashKind::Sha512, 64),
];

fn file(name: &str) -> Vec<u8> {
    golden::file(&format!("hashes/{name}"))
}

fn of_kind(version: Version, kind: image::HashKind) -> Vec<u8> {
    ImageBuilder::new(version).body_len(1500).hash_kind(kind).build()
}

/// Install, restart, confirm; and the same with a way back.
fn is_installed<M: TestMode>(image: &[u8]) {
    let version = ImageInfo::parse(image).unwrap().version;
    let device = Device::<8, 512, M>::updated();
    let mut module = device.module();
    let source = MemoryPayload::new("zephyr-image", 100).file("app.bin", image);
    download(&mut module, source).unwrap();
    assert_eq!(device.boot.decision(&device.flash).unwrap(), SwapType::None);
    block_on(module.request_swap()).unwrap();
    assert_eq!(device.boots().ran, Some(version));
    block_on(device.module().check_swapped()).unwrap();
    if M::REVERTS {
        let reverted = device.copy();
        block_on(reverted.module().request_revert()).unwrap();
        assert_eq!(reverted.boots().ran, Some(V1));
        block_on(reverted.module().check_reverted()).unwrap();
        assert_eq!(reverted.flash.violations(), []);
    }
    block_on(device.module().confirm()).unwrap();
    assert_eq!(device.boots().ran, Some(version));
    block_on(device.module().confirm()).unwrap();
    assert_eq!(device.flash.violations(), []);
}

fn is_refused<M: TestMode>(image: &[u8]) {
    let device = Device::<8, 512, M>::updated();
    assert_eq!(device.download(image), Err(Error::Image(ImageFault::HashNotSupported)));
    assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
    block_on(device.module().discard()).unwrap();
    assert_eq!(device.boots().ran, Some(V1));
    assert_eq!(device.flash.violations(), []);
}

#[test]
fn images_with_longer_hashes_are_installed_or_refused_by_name() {
    for (name, _, _) in IMAGES {
        let image = file(name);
        if supported() {
            is_installed::<SwapMove>(&image);
            is_installed::<SwapOffset>(&image);
            is_installed::<SwapScratch>(&image);
            is_installed::<Overwrite>(&image);
            is_installed::<DirectXip>(&image);
        } else {
            is_refused::<SwapMove>(&image);
            is_refused::<Overwrite>(&image);
            is_refused::<DirectXip>(&image);
        }
    }
}

/// A signature of the image itself, and no hash: the module has no key to check anything with.
#[test]
fn a_pure_signature_without_a_hash_is_refused_by_name() {
    for (name, _, len) in IMAGES {
        let mut bytes = file(name);
        let at = ImageInfo::parse(&bytes).unwrap().hashed_len + 4;
        // Another type, one of the vendor's own.
        bytes[at..at + 2].copy_from_slice(&0x00a0u16.to_le_bytes());
        let device = Small::updated();
        let fault = match name.contains("pure") {
            true => ImageFault::HashNotSupported,
            false => ImageFault::NoHash,
        };
        assert_eq!(device.download(&bytes), Err(Error::Image(fault)), "{name}, {len}");
    }
}

/// All of a long hash counts, as it does for the bootloader.
#[test]
fn damage_to_any_byte_of_a_hash_is_found() {
    if !supported() {
        return;
    }
    for (name, _, len) in IMAGES {
        let good = file(name);
        let at = ImageInfo::parse(&good).unwrap().hashed_len + 8;
        for byte in at..at + len {
            let mut bytes = good.clone();
            bytes[byte] ^= 0x20;
            let device = Small::updated();
            assert_eq!(
                device.download(&bytes),
                Err(Error::Image(ImageFault::WrongHash)),
                "{name}, byte {}",
                byte - at
            );
        }
        // The type says what length there must be.
        let mut bytes = good.clone();
        bytes[at - 4] ^= 0x03;
        let refused = Small::updated().download(&bytes);
        assert_eq!(refused, Err(Error::Image(ImageFault::Tlv)), "{name}");
    }
}

/// The bootloader's hash may change from one image to the next, and the note tells the images apart all the same.
#[test]
fn images_of_all_hashes_follow_each_other() {
    if !supported() {
        return;
    }
    let device = Small::factory();
    let kinds = [
        image::HashKind::Sha512,
        image::HashKind::Sha256,
        image::HashKind::Sha384,
        image::HashKind::Sha512,
    ];
    for (number, kind) in (2..).zip(kinds) {
        let version = Version::new(number, 0, 0);
        device.download(&of_kind(version, kind)).unwrap();
        block_on(device.module().request_swap()).unwrap();
        assert_eq!(device.boots().ran, Some(version));
        block_on(device.module().check_swapped()).unwrap();
        block_on(device.module().confirm()).unwrap();
        assert_eq!(device.boots().ran, Some(version));
    }
    assert_eq!(device.flash.violations(), []);
}

#[test]
fn a_look_into_the_slots_names_the_hash() {
    for (name, kind, _) in IMAGES {
        let bytes = file(name);
        let info = ImageInfo::parse(&bytes).unwrap();
        let device = Small::blank();
        device.program(&bytes);
        let state = block_on(device.module().inspect()).unwrap();
        assert_eq!(state.next, NextBoot::Unchanged, "{name}");
        match state.primary.at_start {
            Content::Intact(image) => {
                assert!(supported());
                assert_eq!((image.hash, image.hash_kind), (info.hash, kind));
                assert_eq!(image.len as usize, bytes.len());
            }
            // The bootloader may well start it.
            Content::Unchecked { version } => {
                assert!(!supported());
                assert_eq!(version.to_string(), info.version.to_string());
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // Of SHA-256 images nothing has changed.
    let device = Small::factory();
    let state = block_on(device.module().inspect()).unwrap();
    assert!(matches!(state.primary.at_start, Content::Intact(image) if image.hash_kind == HashKind::Sha256));
}
