//! The program against flash contents of the real `bootutil`.

mod requests;
mod state;
mod usage;
mod way_back;

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
