//! The module's work against flash contents of the real `bootutil`.

use std::io::Read;
use std::path::PathBuf;

use mender_modules::mcuboot::Layout;
use mender_testkit::bootloader::{self, Mcuboot, SwapType};
use mender_testkit::flash::SimFlash;
use pollster::block_on;

use crate::device::Device;

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors/mcuboot")
        .join(name);
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

fn device<const WRITE: usize>(folder: &str, name: &str) -> Device<WRITE, 4096> {
    Device {
        flash: SimFlash::from_bytes(&state(folder, name)),
        boot: Mcuboot::new(bootloader::Layout {
            slot0: 4096..36864,
            slot1: 36864..69632,
            max_img_sectors: 128,
        }),
    }
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).position(|(a, b)| a != b)
}

fn whole_update<const WRITE: usize>(folder: &str) {
    let device = device::<WRITE>(folder, "00-v1-only");
    let is = |name: &str| {
        assert_eq!(
            first_difference(&device.flash.to_bytes(), &state(folder, name)),
            None,
            "{name}"
        )
    };
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
    let (now, golden) = (device.flash.to_bytes(), state(folder, "09-pending-v3"));
    assert_eq!(first_difference(&now[..36864 + 8192], &golden[..36864 + 8192]), None);
    assert_eq!(first_difference(&now[69632 - 4096..], &golden[69632 - 4096..]), None);
    assert_eq!(device.boots().ran.unwrap().to_string(), "2.0.3+77");
    block_on(device.module().confirm()).unwrap();
    let (now, golden) = (device.slot(0), state(folder, "11-confirmed-v3"));
    assert_eq!(first_difference(&now[..8192], &golden[4096..4096 + 8192]), None);
    assert_eq!(first_difference(&now[32768 - 40..], &golden[36864 - 40..36864]), None);
    assert_eq!(device.flash.violations(), []);
}

#[test]
fn an_update_goes_through_bootutils_states() {
    whole_update::<8>("move-a8");
    whole_update::<4>("move-a4");
    whole_update::<1>("move-a1");
}

#[test]
fn a_rollback_under_test_needs_no_write() {
    let device = device::<8>("move-a8", "03-booted-test");
    device.flash.reset_counters();
    block_on(device.module().request_revert()).unwrap();
    assert_eq!(device.flash.operations(), 0);
    assert_eq!(device.boots().swapped, SwapType::Revert);
    assert_eq!(
        first_difference(&device.flash.to_bytes(), &state("move-a8", "05-booted-unconfirmed")),
        None
    );
    block_on(device.module().check_reverted()).unwrap();
}

/// The request that undoes a confirmed update is that of `boot_set_pending(1)`.
#[test]
fn a_way_back_is_a_permanent_request() {
    let device = device::<8>("move-a8", "04-confirmed");
    block_on(device.module().request_revert()).unwrap();
    let perm = state("move-a8", "06-pending-perm");
    let now = device.flash.to_bytes();
    assert_eq!(first_difference(&now[69632 - 4096..], &perm[69632 - 4096..]), None);
    assert_eq!(device.boots().swapped, SwapType::Permanent);
    block_on(device.module().check_reverted()).unwrap();
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
        if field("mode") != "move" || field("max_align") != "8" {
            continue;
        }
        let number = |name: &str| field(name).parse::<u32>().unwrap();
        let layout = Layout {
            primary_len: number("slot0_size"),
            secondary_len: number("slot1_size"),
            sector_len: number("sector"),
            write_len: number("align"),
            max_img_sectors: number("max_sectors"),
        };
        assert_eq!(layout.max_image_len(), number("bootutil_max_image_size"), "{line}");
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}
