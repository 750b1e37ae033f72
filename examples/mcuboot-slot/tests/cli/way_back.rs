//! `revert`, and what must be left to the bootloader.

use std::fs;

use crate::{Dump, fails, golden, state_after, vectors};

/// Every mode that can go back, from under test and after the confirmation; and what cannot.
#[test]
fn revert_is_the_modules_way_back() {
    for folder in ["move-a8", "move-a32", "offset-a16", "scratch-a8"] {
        let under_test = Dump::of(folder, "03-booted-test");
        let before = under_test.bytes();
        let state = state_after(folder, &["revert"], &under_test);
        assert_eq!(
            (&state["next_boot"], &state["changed"]),
            (&"revert".into(), &false.into()),
            "{folder}"
        );
        assert!(under_test.bytes() == before, "{folder}");

        let confirmed = Dump::of(folder, "04-confirmed");
        let state = state_after(folder, &["revert"], &confirmed);
        let wanted = if folder.starts_with("offset") {
            "revert"
        } else {
            "permanent"
        };
        assert_eq!(
            (&state["next_boot"], &state["changed"]),
            (&wanted.into(), &true.into()),
            "{folder}"
        );
        if !folder.starts_with("offset") {
            let mut golden = golden(folder, "06-pending-perm").unwrap();
            let slot1_end = confirmed.bytes().len() - if folder == "scratch-a8" { 3 } else { 1 } * 4096;
            golden.truncate(slot1_end);
            assert!(
                confirmed.bytes()[slot1_end - 4096..slot1_end] == golden[slot1_end - 4096..],
                "{folder}"
            );
        }
    }
    // Direct-xip: the trailer of the running slot goes, and the bootloader takes the other one.
    let confirmed = Dump::of("xip-revert-a8", "04-confirmed");
    let state = state_after("xip-revert-a8", &["revert"], &confirmed);
    assert_eq!(state["changed"], true);
    assert_eq!(state["slot1"]["trailer"]["magic"], "unset");
    assert_eq!(state["next_boot"], "refuse");
    let under_test = Dump::of("xip-revert-a8", "03-booted-test");
    let state = state_after("xip-revert-a8", &["revert"], &under_test);
    assert_eq!(
        (&state["next_boot"], &state["changed"]),
        (&"refuse".into(), &false.into())
    );

    let layout = |folder: &str| vectors().join(folder).join("layout.json").to_str().unwrap().to_string();
    for (folder, start, text) in [
        ("move-a8", "00-v1-only", "no update to go back from: the old image runs"),
        (
            "move-a8",
            "05-booted-unconfirmed",
            "no update to go back from: the old image runs",
        ),
        ("move-a8", "06-pending-perm", "not one of this module: install an image"),
        (
            "overwrite-fast-a8",
            "03-booted-test",
            "cannot go back: the bootloader overwrites",
        ),
    ] {
        let dump = Dump::of(folder, start);
        let before = dump.bytes();
        let error = fails(1, &["--layout", &layout(folder), "revert", dump.0.to_str().unwrap()]);
        assert!(error.contains(text), "{folder}/{start}: {error}");
        assert!(dump.bytes() == before);
    }
    // The old image decayed.
    let dump = Dump::of("move-a8", "04-confirmed");
    let mut bytes = dump.bytes();
    bytes[4096 + 32768 + 1000] ^= 1;
    fs::write(&dump.0, &bytes).unwrap();
    let error = fails(1, &["--layout", &layout("move-a8"), "revert", dump.0.to_str().unwrap()]);
    assert!(
        error.contains("slot 1 is damaged: the image's hash is wrong"),
        "{error}"
    );
}

#[test]
fn a_request_is_withdrawn() {
    for folder in ["move-a8", "offset-a8", "scratch-a8", "overwrite-a4", "xip-revert-a8"] {
        let dump = Dump::of(folder, "02-pending-test");
        let state = state_after(folder, &["revert"], &dump);
        assert_eq!(
            (&state["next_boot"], &state["changed"]),
            (&"unchanged".into(), &true.into()),
            "{folder}"
        );
    }
}

/// While the trailers are being swapped nothing else may be written; the record may be in the scratch area.
#[test]
fn an_interrupted_swap_is_left_alone() {
    use mender_testkit::bootloader::{Layout, Mcuboot, Mode};
    use mender_testkit::flash::{CutAt, PowerCut, SimFlash};
    for (folder, mode, slot1_len, area) in [
        ("move-a8", Mode::Move, 32768, None),
        ("offset-a8", Mode::Offset, 36864, None),
        (
            "scratch-a8",
            Mode::Scratch { scratch: 69632..77824 },
            32768,
            Some("scratch"),
        ),
    ] {
        let layout = vectors().join(folder).join("layout.json");
        let start = golden(folder, "03-booted-test").unwrap();
        let boot = Mcuboot::new(Layout {
            slot0: 4096..36864,
            slot1: 36864..36864 + slot1_len,
            max_img_sectors: 128,
        })
        .with_mode(mode);
        let (mut interrupted, mut by_scratch) = (0, 0);
        for operation in 1.. {
            let flash = SimFlash::<8, 4096>::from_bytes(&start);
            flash.cut_power(PowerCut {
                operation,
                at: CutAt::Before,
            });
            if boot.boot(&flash).is_ok() {
                break;
            }
            flash.restore_power();
            let dump = Dump::new(&format!("interrupted-{folder}-{operation}.bin"), &flash.to_bytes());
            let state = state_after(folder, &["state"], &dump);
            let outcome = boot.boot(&flash).unwrap();
            if outcome.resumed {
                assert_eq!(state["next_boot"], "resume", "{folder}, {operation}: {state}");
            }
            if state["next_boot"] == "resume" {
                let error = fails(
                    1,
                    &[
                        "--layout",
                        layout.to_str().unwrap(),
                        "request",
                        "test",
                        dump.0.to_str().unwrap(),
                    ],
                );
                assert!(error.contains("a swap was interrupted"), "{error}");
                interrupted += 1;
            }
            assert_eq!(state["scratch"].is_object(), area.is_some());
            by_scratch += u32::from(state["scratch"]["magic"] == "good");
        }
        assert!(interrupted > 5, "{folder}: {interrupted}");
        assert_eq!(by_scratch > 0, area.is_some(), "{folder}: {by_scratch}");
    }
}
