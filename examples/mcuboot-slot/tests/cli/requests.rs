//! `install`, `request` and `confirm`.

use serde_json::Value;

use crate::{Dump, FOLDERS, golden, state_after, vectors};

#[test]
fn requests_and_confirmations_are_bootutils_bytes() {
    for folder in FOLDERS.iter().filter(|folder| !folder.starts_with("negative")) {
        let expect = |command: &[&str], start: &str, end: &str, next: &str| {
            let dump = Dump::of(folder, start);
            let state = state_after(folder, command, &dump);
            assert!(dump.bytes() == golden(folder, end).unwrap(), "{folder}: {command:?}");
            assert_eq!(state["next_boot"], next, "{folder}: {command:?}");
        };
        let overwrites = folder.starts_with("overwrite");
        let (test, permanent) = match *folder {
            "xip-revert-a8" => ("secondary", "secondary"),
            _ if overwrites => ("overwrite", "overwrite"),
            _ => ("test", "permanent"),
        };
        expect(&["request", "test"], "01-v2-written", "02-pending-test", test);
        if *folder == "xip-revert-a8" {
            expect(&["request", "permanent"], "01-v2-written", "04-confirmed", permanent);
            expect(&["confirm"], "03-booted-test", "04-confirmed", "secondary");
        } else {
            expect(&["request", "permanent"], "01-v2-written", "06-pending-perm", permanent);
            expect(&["confirm"], "03-booted-test", "04-confirmed", "unchanged");
        }
    }
}

#[test]
fn an_image_is_installed_and_requested() {
    let image = vectors().join("images/v1.1.0.bin");
    let image = image.to_str().unwrap();
    for (folder, start) in [
        ("move-a8", "00-v1-only"),
        ("offset-a16", "00-v1-only"),
        ("scratch-a8", "00-v1-only"),
        ("overwrite-a4", "00-v1-only"),
        ("xip-revert-a8", "00b-booted"),
    ] {
        let dump = Dump::of(folder, start);
        let state = state_after(folder, &["install", image], &dump);
        assert_eq!(
            state["next_boot"].as_str().unwrap() == "unchanged",
            folder != "xip-revert-a8",
            "{state}"
        );
        state_after(folder, &["request", "test"], &dump);
        let (mut now, golden) = (dump.bytes(), golden(folder, "02-pending-test").unwrap());
        // The module's note is not bootutil's.
        for sector in now.chunks_mut(4096) {
            if sector.starts_with(b"mender new image") {
                sector.fill(0xff);
            }
        }
        assert!(now == golden, "{folder}");
    }
}

/// The trap of swap using offset: the header of the old image in the first sector.
#[test]
fn a_request_repairs_what_bootutil_would_refuse() {
    let dump = Dump::of("negative-offset-a16", "n29-old-header-in-first-sector");
    let state = state_after("negative-offset-a16", &["state"], &dump);
    assert_eq!(state["next_boot"], "refuse");
    let state = state_after("negative-offset-a16", &["request", "test"], &dump);
    assert_eq!(state["next_boot"], "test");
    assert_eq!(state["slot1"]["image"], Value::Null);
}
