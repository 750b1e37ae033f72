//! The golden states of the real `bootutil`.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;

use mender_testkit::bootloader::{Layout, Mcuboot, Mode};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../vectors/mcuboot")
        .join(name)
}

pub fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of a table by column name.
pub fn table(name: &str) -> Vec<HashMap<String, String>> {
    let text = text(name);
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a heading").split('\t').collect();
    lines
        .map(|line| {
            names
                .iter()
                .map(|n| n.to_string())
                .zip(line.split('\t').map(String::from))
                .collect()
        })
        .collect()
}

pub struct Folder {
    pub name: &'static str,
    pub steps: Vec<Value>,
    layout: Value,
}

impl Folder {
    pub fn open(name: &'static str) -> Folder {
        let json = |file| serde_json::from_str(&text(&format!("{name}/{file}"))).expect("json");
        let Value::Array(steps) = json("steps.json") else {
            panic!("steps.json is a list")
        };
        Folder {
            name,
            steps,
            layout: json("layout.json"),
        }
    }

    pub fn bootloader(&self) -> Mcuboot {
        let number = |value: &Value| value.as_u64().expect("a number") as u32;
        let slot = |name: &str| {
            let start = number(&self.layout[name]["offset"]);
            start..start + number(&self.layout[name]["size"])
        };
        let mode = match self.layout["mode"].as_str().expect("a mode") {
            "move" => Mode::Move,
            "offset" => Mode::Offset,
            "scratch" => Mode::Scratch {
                scratch: slot("scratch"),
            },
            "overwrite" => Mode::Overwrite { fast: false },
            "overwrite-fast" => Mode::Overwrite { fast: true },
            "xip-revert" => Mode::DirectXip,
            other => panic!("{other}"),
        };
        Mcuboot::new(Layout {
            slot0: slot("slot0"),
            slot1: slot("slot1"),
            max_img_sectors: number(&self.layout["max_sectors"]),
        })
        .with_mode(mode)
        .with_max_align(number(&self.layout["max_align"]))
    }

    pub fn write_len(&self) -> u32 {
        self.layout["align"].as_u64().expect("a number") as u32
    }

    pub fn max_image_len(&self) -> u64 {
        self.layout["bootutil_max_image_size"].as_u64().expect("a number")
    }

    pub fn step(&self, state: &str) -> &Value {
        self.steps
            .iter()
            .find(|step| step["state"] == state)
            .unwrap_or_else(|| panic!("no state {state}"))
    }

    /// The whole flash in a state, if it is known: from its file, or from a call of the application.
    pub fn flash(&self, state: &str) -> Option<Vec<u8>> {
        let step = self.step(state);
        if let Some(same) = step["same_bytes_as"].as_str() {
            return self.flash(same);
        }
        if let Some(file) = step["file"].as_str() {
            let file = std::fs::File::open(path(&format!("{}/{file}", self.name))).expect("the state's file");
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(file)
                .read_to_end(&mut bytes)
                .expect("gzip");
            return Some(bytes);
        }
        let call = step["command"].as_str()?;
        if call == "boot" {
            return None;
        }
        let start = step["start"].as_str()?;
        let mut bytes = self.flash(start)?;
        for write in table(&format!("{}/app_writes.tsv", self.name)) {
            if write["start"] == start && write["call"] == call {
                let slot = &self.layout[format!("slot{}", write["slot"])];
                let at = slot["offset"].as_u64()? as usize + write["off_in_slot"].parse::<usize>().ok()?;
                let hex = &write["bytes_hex"];
                for i in 0..hex.len() / 2 {
                    bytes[at + i] = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
                }
            }
        }
        Some(bytes)
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
