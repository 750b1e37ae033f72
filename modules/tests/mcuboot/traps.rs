//! Slots in the odd states of the golden `negative` folders: stale trailers, halves of a magic, damaged and misplaced images.

use mender_modules::mcuboot::{DirectXip, Error, ImageFault, Overwrite, Request, SwapMove, SwapOffset, SwapScratch};
use mender_testkit::bootloader::{Flag, Magic, SwapType};
use pollster::block_on;

use crate::device::{Device, TestMode};
use crate::golden::{device, file, folder_has, json};

fn inputs(folder: &str) -> Vec<String> {
    let steps = json(&format!("{folder}/steps.json"));
    let names = steps.as_array().unwrap().iter();
    names
        .map(|step| step["state"].as_str().unwrap().to_string())
        .filter(|name| name.starts_with('n') && folder_has(folder, name))
        .collect()
}

/// Whatever is in slot 1, and in the trailer of slot 0: an update goes through.
fn updates_from_everywhere<const WRITE: usize, M: TestMode>(folder: &str) -> usize {
    let mut seen = 0;
    for name in inputs(folder) {
        // The running image could not have started.
        if name.starts_with("n22") || name.starts_with("n23") {
            continue;
        }
        let device: Device<WRITE, 4096, M> = device(folder, &name);
        if device.trailer(0).copy_done == Flag::Set && device.trailer(0).image_ok == Flag::Unset {
            continue;
        }
        let new = file("images/v2.0.3+77.bin");
        device
            .download(&new)
            .unwrap_or_else(|error| panic!("{folder}/{name}: {error}"));
        assert_eq!(
            device.boot.decision(&device.flash).unwrap(),
            SwapType::None,
            "{folder}/{name}"
        );
        block_on(device.module().request_swap()).unwrap();
        assert_eq!(
            device.boot.decision(&device.flash).unwrap(),
            SwapType::Test,
            "{folder}/{name}"
        );
        let boot = device.boots();
        assert_eq!(boot.ran.unwrap().to_string(), "2.0.3+77", "{folder}/{name}");
        block_on(device.module().check_swapped()).unwrap_or_else(|error| panic!("{folder}/{name}: {error}"));
        assert_eq!(device.flash.violations(), []);
        seen += 1;
    }
    seen
}

#[test]
fn an_update_goes_through_whatever_was_there() {
    assert!(updates_from_everywhere::<8, SwapMove>("negative-move-a8") >= 25);
    assert!(updates_from_everywhere::<16, SwapOffset>("negative-offset-a16") >= 28);
    assert!(updates_from_everywhere::<8, Overwrite>("negative-overwrite-fast-a8") >= 23);
}

/// A request for what is in slot 1 already: bad images are refused, everything around a good one is repaired.
fn requests<const WRITE: usize, M: TestMode>(folder: &str) {
    for name in inputs(folder) {
        let number: u32 = name[1..3].parse().unwrap();
        let device: Device<WRITE, 4096, M> = device(folder, &name);
        let before = device.flash.to_bytes();
        let result = block_on(device.module().request(Request::Test));
        let case = format!("{folder}/{name}: {result:?}");
        match number {
            // Damaged, too large, none, or in the wrong place.
            1..=15 | 28 => {
                assert!(matches!(result, Err(Error::Damaged(_))), "{case}");
                assert!(device.flash.to_bytes() == before, "{case}");
            }
            16..=21 | 24 | 29..=32 => {
                assert_eq!(result, Ok(()), "{case}");
                assert_eq!(device.boot.decision(&device.flash).unwrap(), SwapType::Test, "{case}");
                let boot = device.boots();
                assert_eq!(boot.swapped, SwapType::Test, "{case}");
                assert!(boot.ran.is_some() && !boot.refused, "{case}");
            }
            // About slot 0.
            22 | 23 | 25..=27 => {}
            other => panic!("{other}"),
        }
        assert_eq!(device.flash.violations(), [], "{case}");
    }
}

#[test]
fn a_request_never_means_something_else() {
    requests::<8, SwapMove>("negative-move-a8");
    requests::<16, SwapOffset>("negative-offset-a16");
    requests::<8, Overwrite>("negative-overwrite-fast-a8");
}

#[test]
fn an_image_one_byte_too_large_is_told_from_the_largest() {
    let device = device::<16, SwapOffset>("negative-offset-a16", "n11-image-too-large");
    let room = device.layout().max_image_len();
    let result = block_on(device.module().request(Request::Test));
    assert!(
        matches!(result, Err(Error::Damaged(ImageFault::TooLarge { room: 32768, .. }))),
        "{result:?}"
    );
    assert_eq!(room, 32768);
}

/// The rows of a table of calls: call, what is in magic, image_ok and copy_done of the slot that it acts on, the units that
/// bootutil changes.
fn calls(name: &str) -> Vec<[String; 5]> {
    let text = String::from_utf8(file(name)).unwrap();
    let rows: Vec<_> = text
        .lines()
        .skip(1)
        .map(|line| {
            let [call, magic, image_ok, copy_done, _rc, writes] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            [call, magic, image_ok, copy_done, writes].map(String::from)
        })
        .collect();
    assert_eq!(rows.len(), 81, "{name}");
    rows
}

/// A device with this trailer in a slot, image 1 in slot 0, image 2 in slot 1.
fn with_trailer<const WRITE: usize, M: TestMode>(folder: &str, slot: u8, row: &[String; 5]) -> Device<WRITE, 4096, M> {
    let device = device::<WRITE, M>(folder, "01-v2-written");
    let layout = device.boot.layout().clone();
    let end = if slot == 0 { layout.slot0.end } else { layout.slot1.end };
    let max_align = device.boot.max_align();
    let area = 16u32.next_multiple_of(max_align);
    let cells = area + 4 * max_align;
    device.flash.patch(end - cells, &vec![0xff; cells as usize]);
    let [_, magic, image_ok, copy_done, _] = row;
    match magic.as_str() {
        "good" => device
            .flash
            .patch(end - 16, &mender_testkit::bootloader::magic(max_align)),
        "bad" => device.flash.patch(end - 16, &[0x5a; 16]),
        _ => {}
    }
    for (word, from_end) in [(image_ok, area + max_align), (copy_done, area + 2 * max_align)] {
        match word.as_str() {
            "set" => device.flash.patch(end - from_end, &[1]),
            "bad" => device.flash.patch(end - from_end, &[0x5a]),
            _ => {}
        }
    }
    device
}

/// `boot_set_confirmed` from every trailer: the same writes. Where bootutil reports success without having confirmed, the
/// module reports an error.
fn confirmations<const WRITE: usize, M: TestMode>(name: &str, folder: &str) {
    let in_place = folder.starts_with("xip");
    let mut seen = 0;
    for row in calls(name).iter().filter(|row| row[0] == "set_confirmed") {
        let device = with_trailer::<WRITE, M>(folder, 0, row);
        let before = device.flash.to_bytes();
        let result = block_on(device.module().confirm_running());
        let changed = device.flash.to_bytes() != before;
        let trailer = device.trailer(0);
        let confirmed = match trailer.magic {
            Magic::Good => trailer.image_ok == Flag::Set,
            // In direct-xip the bootloader erases such an image instead of starting it.
            Magic::Unset => !in_place,
            Magic::Bad => false,
        };
        assert_eq!(result.is_ok(), confirmed, "{name}: {row:?}");
        // That build of bootutil completes the other cells too, of images that cannot be running.
        let image_ok = if in_place { "end-24:01" } else { "end-" };
        let writes = row[4].contains(image_ok) && (!in_place || row[1] == "good");
        assert_eq!(changed, writes, "{name}: {row:?}");
        assert_eq!(device.flash.violations(), []);
        seen += 1;
    }
    assert_eq!(seen, 27);
}

#[test]
fn confirmations_are_bootutils() {
    confirmations::<1, SwapMove>("calls-a1-max8.tsv", "move-a1");
    confirmations::<4, SwapMove>("calls-a4-max8.tsv", "move-a4");
    confirmations::<8, SwapMove>("calls-a8-max8.tsv", "move-a8");
    confirmations::<16, SwapMove>("calls-a16-max16.tsv", "move-a16");
    confirmations::<32, SwapMove>("calls-a32-max32.tsv", "move-a32");
    confirmations::<4, SwapMove>("calls-a4-max16.tsv", "move-a4-max16");
    confirmations::<8, DirectXip>("calls-xip-a8-max8.tsv", "xip-revert-a8");
}

/// Requests from every trailer of slot 1: always what bootutil writes into an erased one.
fn requests_from_everywhere<const WRITE: usize, M: TestMode>(name: &str, folder: &str) {
    let rows = calls(name);
    for (call, request) in [
        ("set_pending_test", Request::Test),
        ("set_pending_perm", Request::Permanent),
    ] {
        let rows: Vec<_> = rows.iter().filter(|row| row[0] == call).collect();
        assert_eq!(rows.len(), 27);
        let clean = rows
            .iter()
            .find(|row| row[1..4] == ["unset", "unset", "unset"])
            .unwrap();
        let device = with_trailer::<WRITE, M>(folder, 1, clean);
        let slot1 = device.boot.layout().slot1.clone();
        let mut wanted = device.flash.to_bytes();
        for unit in clean[4].split(' ') {
            let (from_end, hex) = unit.strip_prefix("end-").unwrap().split_once(':').unwrap();
            let at = slot1.end as usize - from_end.parse::<usize>().unwrap();
            for i in 0..hex.len() / 2 {
                wanted[at + i] = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
            }
        }
        for row in rows {
            let device = with_trailer::<WRITE, M>(folder, 1, row);
            block_on(device.module().request(request)).unwrap_or_else(|error| panic!("{name}: {row:?}: {error}"));
            assert!(device.flash.to_bytes() == wanted, "{name}: {row:?}");
            assert_eq!(device.flash.violations(), []);
        }
    }
}

#[test]
fn requests_are_bootutils_from_every_trailer() {
    requests_from_everywhere::<1, SwapMove>("calls-a1-max8.tsv", "move-a1");
    requests_from_everywhere::<4, SwapMove>("calls-a4-max8.tsv", "move-a4");
    requests_from_everywhere::<8, SwapMove>("calls-a8-max8.tsv", "move-a8");
    requests_from_everywhere::<8, SwapOffset>("calls-a8-max8.tsv", "offset-a8");
    requests_from_everywhere::<8, SwapScratch>("calls-a8-max8.tsv", "scratch-a8");
    requests_from_everywhere::<16, SwapMove>("calls-a16-max16.tsv", "move-a16");
    requests_from_everywhere::<32, SwapMove>("calls-a32-max32.tsv", "move-a32");
    requests_from_everywhere::<4, SwapMove>("calls-a4-max16.tsv", "move-a4-max16");
    requests_from_everywhere::<8, DirectXip>("calls-xip-a8-max8.tsv", "xip-revert-a8");
}
