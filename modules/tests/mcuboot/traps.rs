//! Slots in the odd states of the golden `negative` folders: stale trailers, halves of a magic, damaged and misplaced images.

use mender_modules::mcuboot::{Error, ImageFault, Overwrite, Request, SwapMove, SwapOffset};
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

/// `boot_set_confirmed` from every trailer: the same writes. Where bootutil reports success without having confirmed, the
/// module reports an error.
#[test]
fn confirmations_are_bootutils() {
    fn table<const WRITE: usize>(name: &str, folder: &str) {
        let text = String::from_utf8(file(name)).unwrap();
        let mut seen = 0;
        for line in text.lines().skip(1) {
            let [call, magic, image_ok, copy_done, _rc, writes] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            if call != "set_confirmed" {
                continue;
            }
            let device = device::<WRITE, SwapMove>(folder, "00-v1-only");
            let slot0 = device.boot.layout().slot0.clone();
            let max_align = device.boot.max_align();
            let area = 16u32.next_multiple_of(max_align);
            device.flash.patch(
                slot0.end - area - 4 * max_align,
                &vec![0xff; (area + 4 * max_align) as usize],
            );
            match magic {
                "good" => device
                    .flash
                    .patch(slot0.end - 16, &mender_testkit::bootloader::magic(max_align)),
                "bad" => device.flash.patch(slot0.end - 16, &[0x5a; 16]),
                _ => {}
            }
            for (word, from_end) in [(image_ok, area + max_align), (copy_done, area + 2 * max_align)] {
                match word {
                    "set" => device.flash.patch(slot0.end - from_end, &[1]),
                    "bad" => device.flash.patch(slot0.end - from_end, &[0x5a]),
                    _ => {}
                }
            }
            let before = device.flash.to_bytes();
            let result = block_on(device.module().confirm_running());
            let changed = device.flash.to_bytes() != before;
            assert_eq!(changed, writes != "-", "{name}: {line}");
            let confirmed = device.trailer(0).magic == Magic::Unset
                || (device.trailer(0).magic == Magic::Good && device.trailer(0).image_ok == Flag::Set);
            assert_eq!(result.is_ok(), confirmed, "{name}: {line}");
            assert_eq!(device.flash.violations(), []);
            seen += 1;
        }
        assert_eq!(seen, 27);
    }
    table::<1>("calls-a1-max8.tsv", "move-a1");
    table::<4>("calls-a4-max8.tsv", "move-a4");
    table::<8>("calls-a8-max8.tsv", "move-a8");
    table::<16>("calls-a16-max16.tsv", "move-a16");
    table::<32>("calls-a32-max32.tsv", "move-a32");
    table::<4>("calls-a4-max16.tsv", "move-a4-max16");
}
