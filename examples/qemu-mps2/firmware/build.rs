//! The linker script, out of the map.

#[path = "../board/src/map.rs"]
#[allow(dead_code, reason = "the firmware is not in ROM")]
mod map;

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    let script = if env::var_os("CARGO_FEATURE_MCUBOOT").is_some() {
        map::MCUBOOT_MAP
            .memory_x("slot0", map::IMAGE_HEADER_LEN, map::RAM)
            .to_string()
    } else {
        map::MAP.memory_x("active", 0, map::RAM).to_string()
    };
    fs::write(out.join("memory.x"), script).expect("the script can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=../board/src/map.rs");
}
