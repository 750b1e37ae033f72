//! Patches that detools has made: `tests/vectors/delta`, where `make` says how.

use std::fs;
use std::path::{Path, PathBuf};

use mender_modules::delta::Fault;

use crate::patches::{Way, apply};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

pub fn image(name: &str) -> Vec<u8> {
    match name {
        "" => Vec::new(),
        "rotated" => {
            let mut image = image("v1.1.0");
            image.rotate_left(4000);
            image
        }
        _ => fs::read(vectors().join(format!("mcuboot/images/{name}.bin"))).unwrap(),
    }
}

pub fn patch(name: &str) -> Vec<u8> {
    fs::read(vectors().join(format!("delta/{name}.patch"))).unwrap()
}

/// Name of the patch, the old image and the new one, the window that it takes.
const PATCHES: [(&str, &str, &str, usize); 12] = [
    ("up-none", "v1.0.0", "v1.1.0", 0),
    ("up-10-7", "v1.0.0", "v1.1.0", 1024),
    ("up-8-4", "v1.0.0", "v1.1.0", 256),
    ("up-12-11", "v1.0.0", "v1.1.0", 4096),
    ("up-4-3", "v1.0.0", "v1.1.0", 16),
    ("down-10-7", "v1.1.0", "v1.0.0", 1024),
    ("other-10-7", "v1.0.0", "v2.0.3+77", 1024),
    ("rotated-10-7", "rotated", "v1.1.0", 1024),
    ("same-none", "v1.0.0", "v1.0.0", 0),
    ("same-10-7", "v1.0.0", "v1.0.0", 1024),
    ("new-none", "", "v2.0.3+77", 0),
    ("empty-none", "v1.0.0", "", 0),
];

#[test]
fn patches_of_detools_in_any_pieces() {
    for (name, old, new, window) in PATCHES {
        let (patch, old, new) = (patch(name), image(old), image(new));
        for (input, buffer) in [(1, 1), (1, 256), (3, 7), (500, 64), (500, 256), (usize::MAX, 100_000)] {
            for window in [window, 4096] {
                let way = Way { input, window, buffer };
                let made = apply(&patch, &old, new.len() as u32, way);
                assert!(made.as_deref() == Ok(&new), "{name} {way:?}: {:?}", made.err());
            }
        }
    }
}

#[test]
fn a_window_that_is_too_short_is_told() {
    for (name, old, new, needed) in PATCHES {
        let (patch, old, new) = (patch(name), image(old), image(new));
        if let Some(window) = needed.checked_sub(1) {
            let way = Way { window, ..Way::DEVICE };
            let bits = needed.ilog2() as u8;
            assert_eq!(apply(&patch, &old, new.len() as u32, way), Err(Fault::Window { bits }));
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_by_that_name() {
    let (old, new) = (image("v1.0.0"), image("v1.1.0"));
    for name in ["crle", "lzma", "up-13-12"] {
        let made = apply(&patch(name), &old, new.len() as u32, Way::DEVICE);
        assert_eq!(made, Err(Fault::NotSupported), "{name}");
    }
}

#[test]
fn another_length_is_refused() {
    let (old, new) = (image("v1.0.0"), image("v1.1.0"));
    let len = new.len() as u32;
    for wrong in [0, 1, len - 1, len + 1, u32::MAX] {
        let made = apply(&patch("up-10-7"), &old, wrong, Way::DEVICE);
        assert_eq!(made, Err(Fault::Length));
    }
}

#[test]
fn an_old_image_that_is_too_short_is_never_read_behind_its_end() {
    for (name, old, new, _) in PATCHES {
        let (patch, old, new) = (patch(name), image(old), image(new));
        for len in (0..old.len()).step_by(37) {
            match apply(&patch, &old[..len], new.len() as u32, Way::DEVICE) {
                Ok(made) => assert!(made == new || old.len() > len, "{name} {len}"),
                Err(fault) => assert_eq!(fault, Fault::Malformed, "{name} {len}"),
            }
        }
    }
}

#[test]
fn every_truncated_patch_is_refused() {
    for (name, old, new, _) in PATCHES {
        let (patch, old, new) = (patch(name), image(old), image(new));
        // A patch without compression is mostly data, and long.
        let step = 1 + patch.len() / 2000;
        for len in (0..patch.len())
            .step_by(step)
            .chain(patch.len().saturating_sub(20)..patch.len())
        {
            let made = apply(&patch[..len], &old, new.len() as u32, Way::DEVICE);
            assert_eq!(made, Err(Fault::Truncated), "{name} {len}");
        }
    }
}

#[test]
fn bytes_behind_the_patch_are_refused() {
    for (name, old, new, _) in PATCHES {
        let (patch, old, new) = (patch(name), image(old), image(new));
        for more in [&[0][..], &[1], &[0xff], &[0; 9], &[0x55; 40]] {
            for input in [1, 500] {
                let way = Way { input, ..Way::DEVICE };
                let made = apply(&[&patch, more].concat(), &old, new.len() as u32, way);
                assert_eq!(made, Err(Fault::Malformed), "{name}");
            }
        }
    }
}

/// Each byte of the short patches (with `MENDER_LONG_TESTS=1` of all that are compressed) becomes each other byte: a refusal, or an
/// image of the right length.
#[test]
fn every_changed_byte() {
    let (mut refused, mut made_wrong) = (0, 0);
    for (name, old, new, _) in PATCHES {
        let (mut patch, old, new) = (patch(name), image(old), image(new));
        let longest = if std::env::var_os("MENDER_LONG_TESTS").is_some() {
            4000
        } else {
            210
        };
        if patch.len() > longest {
            continue;
        }
        for at in 0..patch.len() {
            let right = patch[at];
            for byte in (0..=255).filter(|byte| *byte != right) {
                patch[at] = byte;
                match apply(&patch, &old, new.len() as u32, Way::DEVICE) {
                    Ok(made) if made == new => {}
                    Ok(_) => made_wrong += 1,
                    Err(_) => refused += 1,
                }
            }
            patch[at] = right;
        }
    }
    // Why a module must know the hash of what it makes.
    assert!(refused > 1000 && made_wrong > 1000, "{refused} {made_wrong}");
}
