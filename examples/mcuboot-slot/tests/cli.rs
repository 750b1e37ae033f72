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

/// The flash in a golden state, if its file is there.
fn golden(folder: &str, state: &str) -> Option<Vec<u8>> {
    let file = fs::File::open(vectors().join(folder).join(format!("{state}.bin.gz"))).ok()?;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
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
                ("none", "nothing") => boots.is_null(),
                ("none", "unchanged") => boots["slot"] == 0 || start == "04-confirmed",
                ("none", "refuse") => boots["slot"] == 0,
                ("none", "secondary") => boots["slot"] == 1,
                _ => false,
            };
            assert!(right, "{case}: {next}, but bootutil: {performed}, {boots}");
            assert!(dump.bytes() == golden(folder, start).unwrap(), "{case}: only read");
            seen += 1;
        }
    }
    assert!(seen > 180, "{seen}");
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
        "--base",
        "imgtool sign",
    ] {
        assert!(help.contains(part), "{part}");
    }
}
