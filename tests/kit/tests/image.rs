//! The image builder and reader against images of MCUboot's imgtool.

use std::path::PathBuf;

use mender_testkit::image::{FLAG_NON_BOOTABLE, HashKind, ImageBuilder, ImageError, ImageInfo, Version};
use serde_json::Value;

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors/mcuboot/images")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn imgtools_images_are_read_as_imgtool_says() {
    let list: Value = serde_json::from_str(&std::fs::read_to_string(vectors().join("images.json")).unwrap()).unwrap();
    let mut seen = 0;
    for entry in list.as_array().unwrap() {
        let name = entry["file"].as_str().unwrap();
        if !name.ends_with(".bin") {
            continue;
        }
        let bytes = std::fs::read(vectors().join(name)).unwrap();
        let image = ImageInfo::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(entry["header"]["version"], image.version.to_string(), "{name}");
        assert_eq!(entry["image_end"], image.len, "{name}");
        assert_eq!(entry["header"]["hdr_size"], image.header_len, "{name}");
        let hash = entry["tlvs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|tlv| tlv["type"] == 16)
            .unwrap();
        assert_eq!(hash["value"], hex(&image.hash), "{name}");
        assert!(image.hash_is_right(&bytes), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn imgtools_other_hashes_are_read() {
    let folder = vectors().join("../hashes");
    let images = [
        ("v1.3.0-ecdsa-p384.bin", HashKind::Sha384),
        ("v1.3.1-ed25519-sha512.bin", HashKind::Sha512),
        ("v1.3.2-ed25519-pure.bin", HashKind::Sha512),
    ];
    for (name, kind) in images {
        let mut bytes = std::fs::read(folder.join(name)).unwrap();
        let image = ImageInfo::parse(&bytes).unwrap();
        assert_eq!((image.hash_kind, image.len), (kind, bytes.len()), "{name}");
        assert!(image.hash_is_right(&bytes), "{name}");
        bytes[40] ^= 1;
        assert!(!image.hash_is_right(&bytes), "{name}");
        let built = ImageBuilder::new(image.version).hash_kind(kind).build();
        let read = ImageInfo::parse(&built).unwrap();
        assert!(read.hash_kind == kind && read.hash_is_right(&built), "{name}");
    }
}

/// The builder, given the parts of an imgtool image, makes the very same bytes.
#[test]
fn the_builder_makes_imgtools_bytes() {
    let bytes = std::fs::read(vectors().join("v1.0.0.bin")).unwrap();
    let built = ImageBuilder::new(Version::new(1, 0, 0))
        .body(bytes[32..9032].to_vec())
        .build();
    assert_eq!(built.iter().zip(&bytes).position(|(a, b)| a != b), None);
    assert_eq!(built.len(), bytes.len());
}

#[test]
fn options_of_the_builder_are_in_the_image() {
    let bytes = ImageBuilder::new(Version {
        major: 1,
        minor: 2,
        revision: 3,
        build: 4,
    })
    .header_len(64)
    .flags(FLAG_NON_BOOTABLE)
    .protected_tlv(0x50, &[5, 0, 0, 0])
    .tlv(0x22, &[7; 70])
    .image_len(6001)
    .build();
    let image = ImageInfo::parse(&bytes).unwrap();
    assert_eq!((bytes.len(), image.len, image.header_len), (6001, 6001, 64));
    assert_eq!(
        (image.version.to_string().as_str(), image.flags),
        ("1.2.3+4", FLAG_NON_BOOTABLE)
    );
    assert!(image.hash_is_right(&bytes));
    let other = ImageBuilder::new(Version::new(1, 2, 3)).build();
    assert_ne!(other[40..80], ImageBuilder::new(Version::new(1, 2, 4)).build()[40..80]);
}

#[test]
fn damage_is_seen() {
    let good = ImageBuilder::new(Version::new(1, 0, 0))
        .body_len(100)
        .protected_tlv(0x50, &[1])
        .build();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x04;
        let accepted = ImageInfo::parse(&bytes).is_ok_and(|image| image.hash_is_right(&bytes));
        assert!(!accepted, "byte {at}");
        let _ = ImageInfo::parse(&good[..at]).expect_err("cut short");
    }
    assert_eq!(ImageInfo::parse(&[0xff; 100]), Err(ImageError::NoHeader));
}
