//! First inputs: those that are kept in `tests/regressions`, and those made of the vectors or by the code itself.

use std::fs;
use std::path::{Path, PathBuf};

use mender::storage::{FlashRange, FlashStorage, LogSlot, RecordKey, Storage};
use mender_testkit::bootloader::MAGIC;
use mender_testkit::image::{ImageBuilder, Version};
use pollster::block_on;

use crate::mcuboot::{SECTOR, SLOT};
use crate::nor::Nor;

/// Larger vectors say nothing that smaller ones do not.
const MAX_LEN: usize = 24 * 1024;

/// The folder of the inputs that are kept.
pub fn regressions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../regressions")
}

/// The inputs that are kept for a target.
pub fn kept(target: &str) -> Vec<Vec<u8>> {
    files(&regressions().join(target))
}

/// Inputs that are made for a target.
pub fn made(target: &str) -> Vec<Vec<u8>> {
    match target {
        "artifact" => {
            let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/artifacts");
            let mut artifacts = [files(&vectors.join("ok")), files(&vectors.join("bad"))].concat();
            artifacts.retain(|artifact| artifact.len() <= MAX_LEN);
            artifacts
        }
        "gunzip" => crate::gunzip::seeds(),
        "flash" => (0..4).flat_map(flash).collect(),
        "delta" => crate::delta::seeds(),
        "mcuboot" => (0..5).flat_map(slots).collect(),
        "signatures" => signatures(),
        "tls" => vec![[&[0], crate::tls::right()].concat()],
        _ => Vec::new(),
    }
}

/// The contents of the files in a folder, in the order of their names.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.is_file())
                .collect()
        })
        .unwrap_or_default();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// Flash as some writes leave it, with some operations to do.
fn flash(chip: u8) -> Vec<Vec<u8>> {
    match chip {
        0 => written::<1, 64>(chip),
        1 => written::<4, 128>(chip),
        2 => written::<8, 96>(chip),
        _ => written::<32, 256>(chip),
    }
}

fn written<const WRITE: usize, const PAGE: usize>(chip: u8) -> Vec<Vec<u8>> {
    let keys = [
        RecordKey::State,
        RecordKey::Installed,
        RecordKey::DeviceKey,
        RecordKey::Log(LogSlot::FIRST),
    ];
    [0, 1, 3, 6, 12]
        .map(|writes| {
            let range = FlashRange::try_new(0..4 * PAGE as u32).expect("whole pages");
            let mut storage = FlashStorage::new(Nor::<WRITE, PAGE>::new(4, &[]), range).expect("it has the room");
            for index in 0..writes {
                let record = vec![index as u8; 5 + index % 4];
                block_on(storage.write(keys[index % keys.len()], &record)).expect("there is room");
            }
            let operations = [0x1b, 0x2a, 0x03, 0x51, 0x18, 0x33];
            [
                &[chip, operations.len() as u8],
                &operations[..],
                &storage.into_flash().bytes,
            ]
            .concat()
        })
        .to_vec()
}

/// Slots with images and trailers of several kinds, in this mode.
fn slots(mode: u8) -> Vec<Vec<u8>> {
    let image = |major| ImageBuilder::new(Version::new(major, 0, 0)).body_len(90).build();
    let slot1_len = if mode == 1 { SLOT + SECTOR } else { SLOT };
    let mut inputs = Vec::new();
    for trailers in 0..4 {
        for calls in [0o010, 0o025, 0o016, 0o317] {
            let mut input = vec![mode, calls as u8];
            for (version, len, bit) in [(1, SLOT, 1), (2, slot1_len, 2)] {
                let mut slot = image(version);
                if mode == 1 && version == 2 {
                    slot.splice(0..0, [0xff; SECTOR]).for_each(drop);
                }
                slot.resize(len, 0xff);
                if trailers & bit != 0 {
                    slot[len - MAGIC.len()..].copy_from_slice(&MAGIC);
                }
                input.extend(slot);
            }
            input.extend(image(3));
            inputs.push(input);
        }
    }
    inputs
}

/// A good signature of each kind, with each key and hash, and certificates.
fn signatures() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for kind in 0..8 {
        for (hash, salt_len) in [(0, 32), (1, 48), (2, 64)] {
            inputs.push([&[kind, hash, salt_len, 7], &b"message"[..]].concat());
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../signatures/tests/certificates");
    inputs.extend(files(&folder).into_iter().filter(|file| file.first() == Some(&0x30)));
    inputs
}
