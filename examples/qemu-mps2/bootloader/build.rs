//! The linker script of both bootloaders: they have a memory of their own, which is no part of the flash.

#[path = "../board/src/map.rs"]
#[allow(dead_code, reason = "bootloaders are not in the flash")]
mod map;

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    let line = |name, range: &std::ops::Range<u32>| {
        format!(
            "    {name} : ORIGIN = {:#x}, LENGTH = {:#x}\n",
            range.start,
            range.end - range.start
        )
    };
    let script = format!("MEMORY\n{{\n{}{}}}\n", line("FLASH", &map::ROM), line("RAM", &map::RAM));
    fs::write(out.join("memory.x"), script).expect("the script can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=../board/src/map.rs");
}
