//! Flags, files and failures.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{Dump, fails, golden, run, state_after, vectors};

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
            Some((2, "the layout cannot be: slot 1 must be as long as slot 0")),
        ),
        (
            "0x08009000:0x90000",
            Some((1, "slot 1 ends at 0x99000, the dump at 0x13000")),
        ),
        ("0x08004000:0x9000", Some((2, "overlap"))),
        ("0x00009000:0x9000", Some((2, "before the dump's first byte"))),
    ] {
        let mut arguments = base.to_vec();
        arguments.extend(["--slot1", slot1, "state", path]);
        match text {
            Some((status, text)) => {
                let error = fails(status, &arguments);
                assert!(error.contains(text), "{error}");
            }
            None => assert!(run(&arguments).status.success()),
        }
    }
    let error = fails(2, &["--mode", "offset", "--slot0", "0:32K", "state", path]);
    assert!(
        error.contains("give --slot1 OFFSET:LENGTH") || error.contains("give --align"),
        "{error}"
    );
    let error = fails(2, &["state", path]);
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
    assert!(error.contains("hash is wrong"), "{error}");
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
fn what_is_no_layout_is_told_in_words() {
    let dump = Dump::of("move-a8", "00-v1-only");
    for (content, said) in [
        ("", "empty; a layout is an object of JSON, as --help shows it"),
        ("\n", "empty; a layout is"),
        ("[1]", "JSON, but not an object; a layout is"),
        ("{", "not JSON (EOF"),
        ("{}", "the layout lacks the mode: give --mode"),
        (r#"{"mode": "move", "align": "8b"}"#, "align: '8b' is no number"),
        (
            r#"{"mode": "move", "align": 8, "slot0": {"offset": 0}}"#,
            "slot0.size: expected a number",
        ),
    ] {
        let file = Dump::new("layout.json", content.as_bytes());
        let path = file.0.to_str().unwrap();
        let error = fails(1, &["--layout", path, "state", dump.0.to_str().unwrap()]);
        assert!(error.contains(&format!("{path}: {said}")), "{error}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_told_as_such() {
    let dump = Dump::of("move-a8", "01-v2-written");
    let layout = vectors().join("move-a8/layout.json");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let under = format!("{folder}/no/such/x.bin");
    for (output, said) in [
        (
            folder,
            "not a file that can be replaced: give --output the name of a file",
        ),
        (under.as_str(), "cannot be written"),
    ] {
        let dump = dump.0.to_str().unwrap();
        let layout = layout.to_str().unwrap();
        let error = fails(1, &["--layout", layout, "request", "test", dump, "--output", output]);
        assert!(error.contains(&format!("{output}: {said}")), "{error}");
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

#[test]
fn the_running_slot_is_for_direct_xip() {
    let layout = vectors().join("move-a8/layout.json");
    let dump = Dump::of("move-a8", "00-v1-only");
    let dump = dump.0.to_str().unwrap();
    let layout = layout.to_str().unwrap();
    let error = fails(1, &["--layout", layout, "--running", "1", "confirm", dump]);
    assert!(error.contains("--running is for direct-xip"), "{error}");
    fails(2, &["--layout", layout, "--running", "2", "confirm", dump]);
}

/// What all tools have; the rest of the rules is in the tests above.
#[test]
fn the_command_line_is_that_of_all_tools() {
    let tool = tool_style::check::Tool {
        name: "mcuboot-slot",
        program: env!("CARGO_BIN_EXE_mcuboot-slot"),
    };
    tool.has_the_style();
    let dump = Dump::of("move-a8", "01-v2-written");
    let dump = dump.0.to_str().unwrap();
    let layout = vectors().join("move-a8/layout.json");
    let layout = layout.to_str().unwrap();
    let missing = "/no/such/file";
    for (arguments, parts) in [
        (
            &["--layout", layout, "state", missing][..],
            [missing, "cannot be read: "],
        ),
        (&["--layout", missing, "state", dump], [missing, "cannot be read: "]),
        (
            &["--layout", layout, "install", missing, dump],
            [missing, "cannot be read: "],
        ),
        (
            &["--layout", layout, "install", layout, dump],
            [dump, "layout.json cannot be installed: "],
        ),
        (
            &["--layout", layout, "revert", dump],
            [dump, "there is no update to go back from"],
        ),
        (
            &["--layout", layout, "request", "test", dump, "--output", "/no/such/x"],
            ["/no/such/x: cannot be written: ", "give --output the name of a file"],
        ),
    ] {
        tool.fails(1, arguments, &parts);
    }
    tool.cannot_print(&["--layout", layout, "state", dump]);
}
