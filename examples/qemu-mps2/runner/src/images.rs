//! Builds bootloader and firmware, and takes from the linker's output what goes into memory. Depends on `map`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::elf::{ElfFile32, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, elf};

use crate::map::MAP;

/// SHA-256 in its compact form, and arithmetic in words of 32 bits: half the flash. The client's README says more.
const RUSTFLAGS: &str = "--cfg sha2_backend_soft=\"compact\" --cfg cpubits=\"32\"";
const TARGET_DIR: &str = "target/qemu";

/// A program for the board.
#[derive(Clone, Debug)]
pub struct Image {
    /// What the linker made: for QEMU, which puts it into memory that is no flash.
    pub elf: PathBuf,
    /// The bytes from the start of the flash's area on.
    pub bytes: Vec<u8>,
    /// Code and constants, in bytes.
    pub text: u64,
    /// Statics with a value.
    pub data: u64,
    /// Statics that are zero.
    pub bss: u64,
}

/// All programs.
#[derive(Clone, Debug)]
pub struct Images {
    /// embassy-boot.
    pub bootloader: Image,
    /// The releases 1, 2 and 3.
    pub releases: [Image; 3],
}

/// Builds all, with or without TLS.
///
/// # Errors
///
/// The compiler's message is on the terminal.
pub fn build(tls: bool) -> Result<Images, Box<dyn Error>> {
    let root = root();
    cargo(&root, "bootloader", true)?;
    cargo(&root, "firmware", tls)?;
    let built = root.join(TARGET_DIR).join("thumbv7em-none-eabihf/firmware");
    let bootloader = read(&built.join("bootloader"))?;
    let mut releases = Vec::new();
    for number in 1..=3 {
        releases.push(read(&built.join(format!("release-{number}")))?);
    }
    let releases = <[Image; 3]>::try_from(releases).map_err(|_| "three releases")?;
    for release in &releases {
        let (len, room) = (release.bytes.len() as u64, u64::from(const { MAP.len_of("active") }));
        if len > room {
            return Err(format!("an image has {len} bytes, ACTIVE has {room}").into());
        }
    }
    Ok(Images { bootloader, releases })
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn cargo(root: &Path, package: &str, tls: bool) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(root.join(".ci/thumb"));
    command.args([
        "build",
        "--quiet",
        "--manifest-path",
        "examples/qemu-mps2/Cargo.toml",
        "-p",
        package,
    ]);
    if !tls {
        command.arg("--no-default-features");
    }
    command.env("THUMB_DIR", TARGET_DIR).env("RUSTFLAGS", RUSTFLAGS);
    // What the cargo that runs this program has set for itself.
    for name in [
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "RUSTUP_TOOLCHAIN",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    let status = command.status().map_err(|error| format!(".ci/thumb: {error}"))?;
    if !status.success() {
        return Err(format!("{package} cannot be built").into());
    }
    Ok(())
}

fn read(path: &Path) -> Result<Image, Box<dyn Error>> {
    let file = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let elf = ElfFile32::<Endianness>::parse(&*file)?;
    let endian = elf.endian();
    let header = elf.elf_header();
    let mut bytes = Vec::new();
    let mut start = None;
    for segment in header.program_headers(endian, &*file)? {
        let content = segment.data(endian, &*file).map_err(|()| "a segment is cut short")?;
        if segment.p_type(endian) != elf::PT_LOAD || content.is_empty() {
            continue;
        }
        let address = segment.p_paddr(endian);
        let start = *start.get_or_insert(address);
        let offset = address.checked_sub(start).ok_or("segments are not in order")? as usize;
        let end = offset + content.len();
        if bytes.len() < end {
            bytes.resize(end, 0xff);
        }
        bytes[offset..end].copy_from_slice(content);
    }
    // Written in words.
    bytes.resize(bytes.len().next_multiple_of(MAP.write_len as usize), 0xff);
    let mut sizes = [0; 3];
    for section in header.sections(endian, &*file)?.iter() {
        let (flags, len) = (section.sh_flags(endian), u64::from(section.sh_size(endian)));
        if flags & elf::SHF_ALLOC == 0 {
            continue;
        }
        let kind = if section.sh_type(endian) == elf::SHT_NOBITS {
            2
        } else if flags & elf::SHF_WRITE != 0 {
            1
        } else {
            0
        };
        sizes[kind] += len;
    }
    let [text, data, bss] = sizes;
    let elf = path.to_owned();
    Ok(Image {
        elf,
        bytes,
        text,
        data,
        bss,
    })
}
