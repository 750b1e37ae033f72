//! The module's work against flash contents of the real `bootutil`.

use std::cell::Cell;
use std::io::Read;
use std::path::PathBuf;

use mender_modules::mcuboot::{DirectXip, Layout, Mode, Overwrite, Request, SwapMove, SwapOffset, SwapScratch};
use mender_testkit::bootloader::{self, Mcuboot, SwapType};
use mender_testkit::flash::SimFlash;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, TestMode, download, without_marks};

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/mcuboot")
}

pub fn file(name: &str) -> Vec<u8> {
    let path = vectors().join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    if !name.ends_with(".gz") {
        return bytes;
    }
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice())
        .read_to_end(&mut content)
        .unwrap();
    content
}

fn state(folder: &str, name: &str) -> Vec<u8> {
    file(&format!("{folder}/{name}.bin.gz"))
}

pub fn json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&file(name)).unwrap()
}

pub fn device<const WRITE: usize, M: TestMode>(folder: &str, name: &str) -> Device<WRITE, 4096, M> {
    let layout = json(&format!("{folder}/layout.json"));
    let number = |value: &serde_json::Value| value.as_u64().unwrap() as u32;
    let area = |name: &str| {
        let start = number(&layout[name]["offset"]);
        start..start + number(&layout[name]["size"])
    };
    let mode = match layout["mode"].as_str().unwrap() {
        "scratch" => bootloader::Mode::Scratch {
            scratch: area("scratch"),
        },
        "overwrite" => bootloader::Mode::Overwrite { fast: false },
        _ => M::of_bootloader(0..0),
    };
    assert_eq!(number(&layout["align"]) as usize, WRITE);
    let device = Device {
        flash: SimFlash::from_bytes(&state(folder, name)),
        boot: Mcuboot::new(bootloader::Layout {
            slot0: area("slot0"),
            slot1: area("slot1"),
            max_img_sectors: number(&layout["max_sectors"]),
        })
        .with_mode(mode)
        .with_max_align(number(&layout["max_align"])),
        running: Cell::new(0),
        mode: M::default(),
        ..Device::blank()
    };
    assert_eq!(
        device.layout().checked().max_image_len(),
        number(&layout["bootutil_max_image_size"])
    );
    device
}

/// The chip's content, with the note and the marks that the module leaves in slot 1 taken for erased.
fn without_note<const WRITE: usize, M: TestMode>(device: &Device<WRITE, 4096, M>) -> Vec<u8> {
    let mut bytes = device.flash.to_bytes();
    without_marks(&mut bytes, 4096, WRITE);
    for sector in bytes.chunks_mut(4096) {
        if sector.starts_with(b"mender new image") {
            assert!(sector[48..].iter().all(|b| *b == 0xff));
            sector.fill(0xff);
        }
    }
    bytes
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).position(|(a, b)| a != b)
}

fn whole_update<const WRITE: usize, M: TestMode>(folder: &str) {
    let device = device::<WRITE, M>(folder, "00-v1-only");
    let is = |name: &str| {
        assert_eq!(
            first_difference(&without_note(&device), &state(folder, name)),
            None,
            "{folder}/{name}"
        )
    };
    let (slot0, slot1) = (device.boot.layout().slot0.clone(), device.boot.layout().slot1.clone());
    device.download(&file("images/v1.1.0.bin")).unwrap();
    assert_eq!(
        device.boot.decision(&device.flash).unwrap(),
        SwapType::None,
        "a download requests nothing"
    );
    block_on(device.module().request_swap()).unwrap();
    is("02-pending-test");
    assert_eq!(device.boots().swapped, SwapType::Test);
    is("03-booted-test");
    block_on(device.module().check_swapped()).unwrap();
    is("03-booted-test");
    block_on(device.module().confirm()).unwrap();
    is("04-confirmed");
    block_on(device.module().confirm()).unwrap();
    block_on(device.module().discard()).unwrap();
    assert_eq!(device.boots().swapped, SwapType::None);
    is("04-confirmed");

    // A second update. The golden states had slot 1 erased as a whole, the module erases what it needs; so the sectors
    // behind the new image keep old data.
    device.download(&file("images/v2.0.3+77.bin")).unwrap();
    block_on(device.module().request_swap()).unwrap();
    let written =
        file("images/v2.0.3+77.bin").len().next_multiple_of(4096) + if M::SLOT1_SECTORS == 17 { 4096 } else { 0 };
    let (now, golden) = (without_note(&device), state(folder, "09-pending-v3"));
    let written = slot1.start as usize + written;
    assert_eq!(first_difference(&now[..written], &golden[..written]), None);
    let last = slot1.end as usize - 4096;
    assert_eq!(first_difference(&now[last..], &golden[last..]), None);
    assert_eq!(device.boots().ran.unwrap().to_string(), "2.0.3+77");
    block_on(device.module().confirm()).unwrap();
    let (now, golden) = (device.flash.to_bytes(), state(folder, "11-confirmed-v3"));
    let (start, end) = (slot0.start as usize, slot0.end as usize);
    assert_eq!(
        first_difference(&now[start..start + 8192], &golden[start..start + 8192]),
        None
    );
    assert_eq!(first_difference(&now[end - 128..end], &golden[end - 128..end]), None);
    assert_eq!(device.flash.violations(), []);
}

#[test]
fn an_update_goes_through_bootutils_states() {
    whole_update::<8, SwapMove>("move-a8");
    whole_update::<4, SwapMove>("move-a4");
    whole_update::<1, SwapMove>("move-a1");
    whole_update::<16, SwapMove>("move-a16");
    whole_update::<32, SwapMove>("move-a32");
    whole_update::<4, SwapMove>("move-a4-max16");
    whole_update::<8, SwapOffset>("offset-a8");
    whole_update::<16, SwapOffset>("offset-a16");
    whole_update::<4, SwapOffset>("offset-a4-equal-slots");
    whole_update::<8, SwapScratch>("scratch-a8");
    whole_update::<8, Overwrite>("overwrite-fast-a8");
    whole_update::<32, Overwrite>("overwrite-fast-a32");
    whole_update::<4, Overwrite>("overwrite-a4");
}

/// Each of imgtool's images, whatever its header and TLVs: plain, long header, protected TLVs, a signature.
fn every_image<const WRITE: usize, M: TestMode>(folder: &str) {
    for entry in json("images/images.json").as_array().unwrap() {
        let name = entry["file"].as_str().unwrap();
        let device = device::<WRITE, M>(folder, "00-v1-only");
        let image = file(&format!("images/{name}"));
        device.flash.reset_counters();
        let done = device.download(&image);
        if name.ends_with(".gz") {
            // Padded: as long as the slot.
            let error = done.unwrap_err().to_string();
            assert!(error.contains("--pad"), "{folder}, {name}: {error}");
            assert_eq!(device.flash.operations(), 0);
            continue;
        }
        done.unwrap_or_else(|error| panic!("{folder}, {name}: {error}"));
        block_on(device.module().request_swap()).unwrap();
        let ran = device.boots().ran.unwrap().to_string();
        assert_eq!(ran, entry["header"]["version"].as_str().unwrap(), "{folder}, {name}");
        block_on(device.module().check_swapped()).unwrap_or_else(|error| panic!("{folder}, {name}: {error}"));
        block_on(device.module().confirm()).unwrap();
        assert_eq!(device.flash.violations(), []);
    }
}

#[test]
fn every_golden_image_is_installed() {
    every_image::<8, SwapMove>("move-a8");
    every_image::<1, SwapMove>("move-a1");
    every_image::<8, SwapOffset>("offset-a8");
    every_image::<8, SwapScratch>("scratch-a8");
    every_image::<4, Overwrite>("overwrite-a4");
    every_image::<32, Overwrite>("overwrite-fast-a32");
}

#[test]
fn a_direct_xip_update_goes_through_bootutils_states() {
    let device = device::<8, DirectXip>("xip-revert-a8", "00-v1-confirmed");
    let is = |name: &str| {
        assert_eq!(
            first_difference(&without_note(&device), &state("xip-revert-a8", name)),
            None,
            "{name}"
        )
    };
    assert_eq!(device.boots().slot, 0);
    is("00b-booted");
    let mut module = device.module();
    let source = MemoryPayload::new("zephyr-image", 777).file("app.bin", file("images/v1.1.0.bin"));
    download(&mut module, source).unwrap();
    is("01-v2-written");
    block_on(module.request_swap()).unwrap();
    is("02-pending-test");
    assert_eq!(device.boots().slot, 1);
    is("03-booted-test");
    let unconfirmed = device.copy();
    block_on(device.module().check_swapped()).unwrap();
    block_on(device.module().confirm()).unwrap();
    is("04-confirmed");
    assert_eq!(device.boots().slot, 1);
    is("04-confirmed");

    block_on(unconfirmed.module().request_revert()).unwrap();
    assert_eq!(unconfirmed.boots().slot, 0);
    block_on(unconfirmed.module().check_reverted()).unwrap();
    let golden = state("xip-revert-a8", "00b-booted");
    assert_eq!(first_difference(&without_note(&unconfirmed), &golden), None);
}

fn reverts<const WRITE: usize, M: TestMode>(folder: &str) {
    let device = device::<WRITE, M>(folder, "03-booted-test");
    device.flash.reset_counters();
    block_on(device.module().request_revert()).unwrap();
    assert_eq!(device.flash.operations(), 0, "{folder}");
    assert_eq!(device.boots().swapped, SwapType::Revert, "{folder}");
    assert_eq!(
        first_difference(&device.flash.to_bytes(), &state(folder, "05-booted-unconfirmed")),
        None,
        "{folder}"
    );
    block_on(device.module().check_reverted()).unwrap();
}

#[test]
fn a_rollback_under_test_needs_no_write() {
    reverts::<8, SwapMove>("move-a8");
    reverts::<32, SwapMove>("move-a32");
    reverts::<8, SwapOffset>("offset-a8");
    reverts::<16, SwapOffset>("offset-a16");
    reverts::<8, SwapScratch>("scratch-a8");
}

/// The request that undoes a confirmed update with move or scratch is that of `boot_set_pending(1)`.
fn goes_back<const WRITE: usize, M: TestMode>(folder: &str) {
    let device = device::<WRITE, M>(folder, "04-confirmed");
    block_on(device.module().request_revert()).unwrap();
    let perm = state(folder, "06-pending-perm");
    let now = device.flash.to_bytes();
    let end = device.boot.layout().slot1.end as usize;
    assert_eq!(first_difference(&now[end - 4096..end], &perm[end - 4096..end]), None);
    assert_eq!(device.boots().swapped, SwapType::Permanent);
    block_on(device.module().check_reverted()).unwrap();
    assert_eq!(device.flash.violations(), []);
}

#[test]
fn a_way_back_is_a_permanent_request() {
    goes_back::<8, SwapMove>("move-a8");
    goes_back::<32, SwapMove>("move-a32");
    goes_back::<4, SwapMove>("move-a4-max16");
    goes_back::<8, SwapScratch>("scratch-a8");
}

/// With offset it asks for a revert: what a revert leaves, but for the flags of slot 0.
#[test]
fn a_way_back_with_offset_is_a_revert() {
    let device = device::<8, SwapOffset>("offset-a8", "04-confirmed");
    block_on(device.module().request_revert()).unwrap();
    assert_eq!(device.boots().swapped, SwapType::Revert);
    let golden = state("offset-a8", "05-booted-unconfirmed");
    assert_eq!(first_difference(&device.flash.to_bytes(), &golden), None);
    block_on(device.module().check_reverted()).unwrap();
}

/// `boot_set_pending` and `boot_set_confirmed` from every golden start, and permanent requests: the same flash states.
fn requests<const WRITE: usize, M: TestMode>(folder: &str) -> usize {
    let mut seen = 0;
    for step in json(&format!("{folder}/steps.json")).as_array().unwrap() {
        let (Some(call), Some(start), Some(name)) =
            (step["command"].as_str(), step["start"].as_str(), step["state"].as_str())
        else {
            continue;
        };
        if !folder_has(folder, start) || !folder_has(folder, name) {
            continue;
        }
        let device = device::<WRITE, M>(folder, start);
        let mut module = device.module();
        let done = match call {
            "set-pending test" | "set-next 1 0 0" => block_on(module.request(Request::Test)),
            "set-pending perm" | "set-next 1 0 1" => block_on(module.request(Request::Permanent)),
            "set-confirmed" => block_on(module.confirm_running()),
            "set-next 1 1 1" => {
                device.running.set(1);
                block_on(device.module().confirm_running())
            }
            "boot" => continue,
            other => panic!("{other}"),
        };
        done.unwrap_or_else(|error| panic!("{folder}/{name}: {error}"));
        assert_eq!(
            first_difference(&device.flash.to_bytes(), &state(folder, name)),
            None,
            "{folder}/{name}"
        );
        assert_eq!(device.flash.violations(), []);
        seen += 1;
    }
    seen
}

pub fn folder_has(folder: &str, name: &str) -> bool {
    vectors().join(format!("{folder}/{name}.bin.gz")).exists()
}

#[test]
fn requests_and_confirmations_are_bootutils() {
    assert_eq!(requests::<8, SwapMove>("move-a8"), 5);
    assert_eq!(requests::<4, SwapMove>("move-a4"), 5);
    assert_eq!(requests::<1, SwapMove>("move-a1"), 5);
    assert_eq!(requests::<16, SwapMove>("move-a16"), 5);
    assert_eq!(requests::<32, SwapMove>("move-a32"), 5);
    assert_eq!(requests::<4, SwapMove>("move-a4-max16"), 5);
    assert_eq!(requests::<8, SwapOffset>("offset-a8"), 5);
    assert_eq!(requests::<16, SwapOffset>("offset-a16"), 5);
    assert_eq!(requests::<4, SwapOffset>("offset-a4-equal-slots"), 5);
    assert_eq!(requests::<8, SwapScratch>("scratch-a8"), 5);
    assert_eq!(requests::<8, Overwrite>("overwrite-fast-a8"), 5);
    assert_eq!(requests::<32, Overwrite>("overwrite-fast-a32"), 5);
    assert_eq!(requests::<4, Overwrite>("overwrite-a4"), 5);
    assert_eq!(requests::<8, DirectXip>("xip-revert-a8"), 2);
}

#[test]
fn the_room_is_that_of_bootutil() {
    let table = String::from_utf8(file("layouts.tsv")).unwrap();
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let mut seen = 0;
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |name: &str| fields[names.iter().position(|n| *n == name).unwrap()];
        let number = |name: &str| field(name).parse::<u32>().unwrap();
        fn layout<M: Mode>(mode: M, number: impl Fn(&str) -> u32) -> u32 {
            Layout {
                mode,
                primary_len: number("slot0_size"),
                secondary_len: number("slot1_size"),
                sector_len: number("sector"),
                write_len: number("align"),
                max_align: number("max_align"),
                max_img_sectors: number("max_sectors"),
            }
            .checked()
            .max_image_len()
        }
        let room = match field("mode") {
            "move" => layout(SwapMove, number),
            "offset" => layout(SwapOffset, number),
            "scratch" => layout(SwapScratch, number),
            "overwrite-fast" => layout(Overwrite, number),
            other => panic!("{other}"),
        };
        assert_eq!(room, number("bootutil_max_image_size"), "{line}");
        seen += 1;
    }
    assert_eq!(seen, 40);
}
