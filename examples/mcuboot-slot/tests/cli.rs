//! The program against flash contents of the real `bootutil`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/mcuboot")
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The flash in a golden state, if it is known: from its file, from an equal state, or from a call of the application
/// whose writes are.
fn golden(folder: &str, state: &str) -> Option<Vec<u8>> {
    let steps = json(vectors().join(folder).join("steps.json"));
    let step = steps.as_array().unwrap().iter().find(|step| step["state"] == state)?;
    if let Some(same) = step["same_bytes_as"].as_str() {
        return golden(folder, same);
    }
    if let Some(file) = step["file"].as_str() {
        let file = fs::File::open(vectors().join(folder).join(file)).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        return Some(bytes);
    }
    let (call, start) = (step["command"].as_str()?, step["start"].as_str()?);
    if call == "boot" {
        return None;
    }
    let mut bytes = golden(folder, start)?;
    let layout = json(vectors().join(folder).join("layout.json"));
    let writes = fs::read_to_string(vectors().join(folder).join("app_writes.tsv")).unwrap();
    for line in writes.lines().skip(1) {
        let [of, by, _, _, slot, offset, _, _, hex] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        if (of, by) == (start, call) {
            let slot = layout[format!("slot{slot}")]["offset"].as_u64().unwrap() as usize;
            let at = slot + offset.parse::<usize>().unwrap();
            for i in 0..hex.len() / 2 {
                bytes[at + i] = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
            }
        }
    }
    Some(bytes)
}

/// A file that goes away with the test.
struct Dump(PathBuf);

impl Dump {
    fn new(name: &str, bytes: &[u8]) -> Dump {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, bytes).unwrap();
        Dump(path)
    }

    fn of(folder: &str, state: &str) -> Dump {
        let bytes = golden(folder, state).unwrap_or_else(|| panic!("{folder}/{state}"));
        let test = std::thread::current().name().unwrap_or("test").to_string();
        Dump::new(&format!("{test}-{folder}-{state}.bin"), &bytes)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.0).unwrap()
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mcuboot-slot"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs a command on a dump with a golden folder's layout; the state that it prints.
fn state_after(folder: &str, command: &[&str], dump: &Dump) -> Value {
    let layout = vectors().join(folder).join("layout.json");
    let mut arguments = vec!["--layout", layout.to_str().unwrap()];
    arguments.extend_from_slice(command);
    arguments.push(dump.0.to_str().unwrap());
    let output = run(&arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fails(status: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty());
    text
}

const FOLDERS: [&str; 17] = [
    "move-a8",
    "move-a4",
    "move-a1",
    "move-a16",
    "move-a32",
    "move-a4-max16",
    "offset-a8",
    "offset-a16",
    "offset-a4-equal-slots",
    "scratch-a8",
    "overwrite-fast-a8",
    "overwrite-fast-a32",
    "overwrite-a4",
    "xip-revert-a8",
    "negative-move-a8",
    "negative-offset-a16",
    "negative-overwrite-fast-a8",
];

/// Before each golden boot: the trailers as bootutil reads them, and what it then did.
#[test]
fn the_state_is_what_bootutil_sees_and_does() {
    let mut seen = 0;
    for folder in FOLDERS {
        let mode = json(vectors().join(folder).join("layout.json"))["mode"].clone();
        for step in json(vectors().join(folder).join("steps.json")).as_array().unwrap() {
            let (Some("boot"), Some(start)) = (step["command"].as_str(), step["start"].as_str()) else {
                continue;
            };
            let report = &step["report"];
            if step["exit"] == 7 || golden(folder, start).is_none() {
                continue;
            }
            let case = format!("{folder}/{start}");
            let dump = Dump::of(folder, start);
            let state = state_after(folder, &["state"], &dump);
            for slot in ["slot0", "slot1"] {
                let (told, seen) = (&state[slot]["trailer"], &report["before"][slot]);
                for field in ["magic", "image_ok", "copy_done"] {
                    assert_eq!(told[field], seen[field], "{case}, {slot}, {field}");
                }
                let kind = match seen["swap_info_type"].as_str().unwrap() {
                    "perm" => "permanent",
                    other => other,
                };
                assert_eq!(told["swap_info"], kind, "{case}, {slot}");
                let version = |content: &Value| content["version"].clone();
                assert_eq!(version(&state[slot]["image"]), seen["header_at_0"], "{case}, {slot}");
                if !seen["header_at_sector1"].is_null() && slot == "slot1" {
                    assert_eq!(
                        version(&state[slot]["image_at_second_sector"]),
                        seen["header_at_sector1"],
                        "{case}"
                    );
                }
            }

            let performed = report["swap_performed"].as_str().unwrap();
            let boots = &report["boots"];
            let next = state["next_boot"].as_str().unwrap();
            let right = match (performed, next) {
                ("test" | "perm", "overwrite") => mode.as_str().unwrap().starts_with("overwrite"),
                ("test", "test") | ("perm", "permanent") | ("revert", "revert") => true,
                ("none" | "revert", "nothing") => boots.is_null(),
                ("none", "unchanged") => boots["slot"] == 0 || start.starts_with("04"),
                ("none", "refuse") => boots["slot"] == 0,
                ("none", "secondary") => boots["slot"] == 1,
                _ => false,
            };
            assert!(right, "{case}: {next}, but bootutil: {performed}, {boots}");
            assert!(dump.bytes() == golden(folder, start).unwrap(), "{case}: only read");
            seen += 1;
        }
    }
    assert_eq!(
        seen, 214,
        "every boot but those after a cut within bootutil, whose flash is not stored"
    );
}

#[test]
fn damage_is_named() {
    let dump = Dump::of("negative-move-a8", "n04-body-bit");
    let state = state_after("negative-move-a8", &["state"], &dump);
    assert_eq!(state["slot1"]["image"]["intact"], false);
    assert_eq!(state["slot1"]["image"]["fault"], "the image's SHA-256 is wrong");
    assert_eq!(state["slot0"]["image"]["intact"], true);
    assert_eq!(state["next_boot"], "refuse");
}

/// The most likely mistake in a layout: every magic is bad then, and nothing is ever requested.
#[test]
fn the_magic_of_another_alignment_is_named() {
    for (folder, other) in [
        ("negative-move-a8", 16),
        ("negative-offset-a16", 8),
        ("negative-overwrite-fast-a8", 16),
    ] {
        let dump = Dump::of(folder, "n18-trailer-magic-other-align");
        let trailer = &state_after(folder, &["state"], &dump)["slot1"]["trailer"];
        assert_eq!(trailer["magic"], "bad", "{folder}");
        assert_eq!(trailer["magic_is_of_max_align"], other, "{folder}");
    }
    let dump = Dump::of("negative-move-a8", "n16-trailer-magic-bit");
    let trailer = &state_after("negative-move-a8", &["state"], &dump)["slot1"]["trailer"];
    assert_eq!(trailer["magic"], "bad");
    assert_eq!(trailer["magic_is_of_max_align"], Value::Null);
}

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

#[test]
fn the_layout_can_be_given_by_flags() {
    let dump = Dump::of("offset-a8", "02-pending-test");
    let path = dump.0.to_str().unwrap();
    let base = [
        "--mode",
        "offset",
        "--base",
        "0x08000000",
        "--slot0",
        "0x08001000:32K",
        "--sector",
        "4K",
        "--align",
        "8",
    ];
    let mut arguments = base.to_vec();
    arguments.extend(["--slot1", "0x08009000:0x9000", "state", path]);
    let output = run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let state: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(state["next_boot"], "test");

    for (slot1, text) in [
        ("0x08009000:0x8000", None),
        (
            "0x08009000:0x7000",
            Some("the layout cannot be: slot 1 must be as long as slot 0"),
        ),
        (
            "0x08009000:0x90000",
            Some("slot 1 ends at 0x99000, the dump at 0x13000"),
        ),
        ("0x08004000:0x9000", Some("overlap")),
        ("0x00009000:0x9000", Some("before the dump's first byte")),
    ] {
        let mut arguments = base.to_vec();
        arguments.extend(["--slot1", slot1, "state", path]);
        match text {
            Some(text) => {
                let error = fails(1, &arguments);
                assert!(error.contains(text), "{error}");
            }
            None => assert!(run(&arguments).status.success()),
        }
    }
    let error = fails(1, &["--mode", "offset", "--slot0", "0:32K", "state", path]);
    assert!(
        error.contains("give --slot1 OFFSET:LENGTH") || error.contains("give --align"),
        "{error}"
    );
    let error = fails(1, &["state", path]);
    assert!(error.contains("--mode"), "{error}");
}

#[test]
fn a_failure_leaves_the_dump_alone() {
    let dump = Dump::of("move-a8", "00-v1-only");
    let before = dump.bytes();
    let layout = vectors().join("move-a8/layout.json");
    let (layout, path) = (layout.to_str().unwrap(), dump.0.to_str().unwrap());
    let mut image = fs::read(vectors().join("images/v1.1.0.bin")).unwrap();
    image[600] ^= 1;
    let bad = Dump::new("damaged-image.bin", &image);
    let error = fails(1, &["--layout", layout, "install", bad.0.to_str().unwrap(), path]);
    assert!(error.contains("SHA-256 is wrong"), "{error}");
    let error = fails(1, &["--layout", layout, "install", layout, path]);
    assert!(error.contains("not an MCUboot image"), "{error}");
    let error = fails(1, &["--layout", layout, "request", "test", path]);
    assert!(error.contains("not an MCUboot image"), "{error}");
    let error = fails(1, &["--layout", layout, "install", "no-such-file", path]);
    assert!(error.contains("no-such-file"), "{error}");
    assert!(dump.bytes() == before);

    let under_test = Dump::of("move-a8", "03-booted-test");
    let image = vectors().join("images/v2.0.3+77.bin");
    let error = fails(
        1,
        &[
            "--layout",
            layout,
            "install",
            image.to_str().unwrap(),
            under_test.0.to_str().unwrap(),
        ],
    );
    assert!(error.contains("under test"), "{error}");
    let error = fails(1, &["--layout", path, "state", path]);
    assert!(error.contains("expected value"), "{error}");
}

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
        error.contains("slot 1 is damaged: the image's SHA-256 is wrong"),
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

#[test]
fn the_dump_can_be_left_alone() {
    let dump = Dump::of("move-a8", "01-v2-written");
    let before = dump.bytes();
    let output = Dump::new("the-output.bin", b"old");
    let to = output.0.to_str().unwrap();
    let state = state_after("move-a8", &["request", "test", "--output", to], &dump);
    assert_eq!(state["next_boot"], "test");
    assert!(dump.bytes() == before);
    assert!(output.bytes() == golden("move-a8", "02-pending-test").unwrap());

    let dry = state_after("move-a8", &["request", "test", "--dry-run"], &dump);
    assert_eq!(dry, state);
    assert!(dump.bytes() == before);

    // Nothing to change: the output is a copy.
    let same = state_after("move-a8", &["request", "test", "--output", to], &output);
    assert_eq!(same["changed"], false);
    assert!(output.bytes() == golden("move-a8", "02-pending-test").unwrap());
    fails(2, &["confirm", "--dry-run", "--output", to, "x"]);
    let layout = vectors().join("move-a8/layout.json");
    let nowhere = fails(
        1,
        &[
            "--layout",
            layout.to_str().unwrap(),
            "request",
            "test",
            dump.0.to_str().unwrap(),
            "--output",
            "no/such/folder/x.bin",
        ],
    );
    assert!(nowhere.contains("no/such/folder/x.bin"), "{nowhere}");
}

/// A link to the dump stays a link, permissions stay, and nothing is left beside the file.
#[cfg(unix)]
#[test]
fn a_dump_is_replaced_in_its_place() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real.bin"), folder.path().join("link.bin"));
    fs::write(&real, golden("move-a8", "01-v2-written").unwrap()).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let layout = vectors().join("move-a8/layout.json");
    let output = run(&[
        "--layout",
        layout.to_str().unwrap(),
        "request",
        "test",
        link.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&real).unwrap() == golden("move-a8", "02-pending-test").unwrap());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let error = fails(
        1,
        &[
            "--layout",
            layout.to_str().unwrap(),
            "request",
            "test",
            real.to_str().unwrap(),
            "--output",
            folder.path().to_str().unwrap(),
        ],
    );
    assert!(error.contains("not a file"), "{error}");
}

/// The worked example of the help runs as it is written.
#[test]
fn the_worked_example_works() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let from = help.find("{\"mode\"").unwrap();
    let to = from + help[from..].find("}}").unwrap() + 2;
    put("board.json", &help.as_bytes()[from..to]);
    put("flash.bin", &golden("move-a8", "00-v1-only").unwrap()[..]);
    put(
        "zephyr.signed.bin",
        &fs::read(vectors().join("images/v1.1.0.bin")).unwrap(),
    );
    put("tested.bin", &golden("move-a8", "03-booted-test").unwrap());
    let mut told = Vec::new();
    for line in help.lines().filter_map(|line| line.strip_prefix("  mcuboot-slot ")) {
        // The last dump starts at another address, which is said by an option.
        let bytes = line
            .contains("--base")
            .then(|| fs::read(folder.path().join("flash.bin")).unwrap());
        assert!(bytes.is_none_or(|bytes| bytes.len() == 0x12000));
        let output = Command::new(env!("CARGO_BIN_EXE_mcuboot-slot"))
            .args(line.split_whitespace())
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let state: Value = serde_json::from_slice(&output.stdout).unwrap();
        told.push(state["next_boot"].as_str().unwrap().to_string());
    }
    assert_eq!(
        told,
        [
            "unchanged",
            "unchanged",
            "test",
            "unchanged",
            "unchanged",
            "unchanged",
            "permanent",
            "unchanged"
        ]
    );
    // Each word that can come is explained.
    for word in [
        "unchanged",
        "test, permanent",
        "revert",
        "resume",
        "overwrite",
        "refuse",
        "secondary",
        "erase-and-secondary",
        "nothing",
    ] {
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(&format!("{word} "))),
            "{word}"
        );
    }
}

#[test]
fn wrong_usage_has_its_own_status() {
    for arguments in [
        &["sate", "flash.bin"][..],
        &["state"],
        &["--mode", "sideways", "state", "x"],
        &["--sector", "4Q", "state", "x"],
        &["--slot0", "0", "state", "x"],
        &["request", "now", "x"],
        &[],
    ] {
        fails(2, arguments);
    }
    let help = run(&["--help"]);
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for part in [
        "Exit status",
        "\"mode\": \"move\"",
        "request test",
        "revert",
        "--dry-run",
        "--output",
        "--base",
        "imgtool sign",
    ] {
        assert!(help.contains(part), "{part}");
    }
}
