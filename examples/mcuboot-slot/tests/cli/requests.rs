//! `install`, `request` and `confirm`.

use std::fs;

use mender_testkit::bootloader::MAGIC;
use mender_testkit::image::{ImageBuilder, Version};
use serde_json::Value;

use crate::{Dump, FOLDERS, golden, run, state_after, vectors};

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
        // The module's note is not bootutil's, nor are the marks of how far a download has come: each is the front of a hash.
        for sector in now.chunks_mut(4096) {
            let is_marked = sector[..64].iter().all(|byte| *byte == 0xff)
                && sector[64..68] == sector[96..100]
                && sector[64..68] != [0xff; 4];
            if sector.starts_with(b"mender new image") || is_marked {
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

/// Of two images that differ in the build number only, the first slot's runs, unless the bootloader was built to compare it.
#[test]
fn an_image_never_goes_where_one_runs() {
    let built = |major, build| {
        let version = Version {
            major,
            build,
            ..Version::default()
        };
        ImageBuilder::new(version).body_len(500).build()
    };
    let slot = |build| {
        let mut slot = built(2, build);
        slot.resize(0x4000, 0xff);
        let end = slot.len();
        slot[end - 16..].copy_from_slice(&MAGIC);
        // image_ok and copy_done.
        (slot[end - 24], slot[end - 32]) = (1, 1);
        slot
    };
    let image = Dump::new("third.bin", &built(3, 0));
    for (flag, written) in [(None, 1), (Some("--compare-builds"), 0)] {
        let dump = Dump::new(&format!("builds-{written}.bin"), &[slot(1), slot(2)].concat());
        let mut arguments = vec!["--mode", "direct-xip", "--slot0", "0:16K", "--slot1", "16K:16K"];
        arguments.extend(["--sector", "4K", "--align", "8"]);
        arguments.extend(flag);
        arguments.extend(["install", image.0.to_str().unwrap(), dump.0.to_str().unwrap()]);
        let output = run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let state: Value = serde_json::from_slice(&output.stdout).unwrap();
        let version = |slot: usize| state[format!("slot{slot}")]["image"]["version"].clone();
        assert_eq!(version(written), "3.0.0+0", "{flag:?}: {state:#}");
        assert_eq!(version(1 - written), format!("2.0.0+{}", 2 - written), "{flag:?}");
    }
}

/// Which slot runs need not follow from the flash: then it is said. Every trailer that `boot_set_confirmed()` was tried with, in
/// either slot, beside an image that would be taken for the running one.
#[test]
fn the_running_slot_can_be_named() {
    let folder = "xip-revert-a8";
    let layout = vectors().join(folder).join("layout.json");
    let slots = [4096..36864, 36864..69632];
    let calls = fs::read_to_string(vectors().join("calls-xip-a8-max8.tsv")).unwrap();
    let (mut seen, mut guessed) = (0, 0);
    for line in calls.lines() {
        let row: Vec<&str> = line.split('\t').collect();
        let ["set_confirmed", magic, image_ok, copy_done, _, writes] = row[..] else {
            continue;
        };
        for running in [0, 1] {
            let mut bytes = golden(folder, "01-v2-written").unwrap();
            for (slot, range) in slots.iter().enumerate() {
                let cells = &mut bytes[range.end - 40..range.end];
                let words = match slot == running {
                    true => [magic, image_ok, copy_done],
                    false => ["good", "set", "set"],
                };
                let flag = |word| match word {
                    "set" => 0x01,
                    "unset" => 0xff,
                    _ => 0x5a,
                };
                cells.fill(0xff);
                (cells[8], cells[16]) = (flag(words[2]), flag(words[1]));
                match words[0] {
                    "good" => cells[24..].copy_from_slice(&MAGIC),
                    "bad" => cells[24..].fill(0x5a),
                    _ => {}
                }
            }
            let dump = Dump::new(&format!("running-{running}.bin"), &bytes);
            let confirm = |flags: &[&str]| {
                let mut arguments = vec!["--layout", layout.to_str().unwrap()];
                arguments.extend(flags);
                arguments.extend(["confirm", dump.0.to_str().unwrap()]);
                run(&arguments).status.success()
            };
            let case = format!("{line}, slot {running}");
            let done = confirm(&["--running", &running.to_string()]);
            let after = dump.bytes();
            let cell = slots[running].end - 24;
            assert_eq!(done, magic == "good" && after[cell] == 0x01, "{case}");
            // What bootutil completes beside that, only images have that cannot be running.
            let mut wanted = bytes.clone();
            if magic == "good" && writes.contains("end-24:01") {
                wanted[cell] = 0x01;
            }
            assert!(after == wanted, "{case}");

            fs::write(&dump.0, &bytes).unwrap();
            let alone = confirm(&[]);
            guessed += usize::from((alone, dump.bytes()) == (done, after));
            seen += 1;
        }
    }
    assert_eq!(seen, 54);
    assert!(guessed < seen, "the flag makes a difference");
}
