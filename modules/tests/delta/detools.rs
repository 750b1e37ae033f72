//! detools and the decoder on the same patches. Skipped where `DETOOLS` does not name the program: `.ci/detools` needs it.

use std::fs;
use std::path::Path;
use std::process::Command;

use mender_testkit::delta::{self, Compression};

use crate::golden::image;
use crate::patches::{Way, apply};

fn detools(arguments: &[&str], folder: &Path) -> bool {
    let Some(program) = std::env::var_os("DETOOLS") else {
        eprintln!("skipped: DETOOLS does not name detools");
        return false;
    };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("DETOOLS is a program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn folder(old: &[u8], new: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old"), old).unwrap();
    fs::write(folder.path().join("new"), new).unwrap();
    folder
}

const PAIRS: [(&str, &str); 4] = [
    ("v1.0.0", "v1.1.0"),
    ("v1.1.0", "v1.0.0"),
    ("rotated", "v1.1.0"),
    ("v2.0.3+77", "v1.1.0"),
];

#[test]
fn patches_of_detools() {
    for (old, new) in PAIRS.map(|(old, new)| (image(old), image(new))) {
        let folder = folder(&old, &new);
        for compression in [
            &["-c", "none"][..],
            &[
                "-c",
                "heatshrink",
                "--heatshrink-window-sz2",
                "10",
                "--heatshrink-lookahead-sz2",
                "7",
            ],
            &[
                "-c",
                "heatshrink",
                "--heatshrink-window-sz2",
                "8",
                "--heatshrink-lookahead-sz2",
                "4",
            ],
        ] {
            let arguments = [&["create_patch"], compression, &["old", "new", "patch"]].concat();
            if !detools(&arguments, folder.path()) {
                return;
            }
            detools(&["apply_patch", "old", "patch", "applied"], folder.path());
            let applied = fs::read(folder.path().join("applied")).unwrap();
            let patch = fs::read(folder.path().join("patch")).unwrap();
            assert_eq!(apply(&patch, &old, new.len() as u32, Way::DEVICE), Ok(applied));
        }
    }
}

#[test]
fn patches_of_the_kit() {
    for (old, new) in PAIRS.map(|(old, new)| (image(old), image(new))) {
        let folder = folder(&old, &new);
        for compression in [Compression::None, Compression::HEATSHRINK] {
            fs::write(folder.path().join("patch"), delta::patch(&old, &new, compression)).unwrap();
            if !detools(&["apply_patch", "old", "patch", "applied"], folder.path()) {
                return;
            }
            assert_eq!(fs::read(folder.path().join("applied")).unwrap(), new);
        }
    }
}
