//! Builds bootloader and firmware, and takes from the linker's output what goes into memory. Depends on `map`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use mender_testkit::image::{ImageBuilder, Version};
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, elf};
use tool_style::file;

use crate::map::{IMAGE_HEADER_LEN, MAP, MCUBOOT_MAP};

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

/// Which bootloader the board has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootloader {
    /// embassy-boot.
    EmbassyBoot,
    /// The kit's model of MCUboot. Images are made by the kit, or signed by imgtool if its name is given.
    Mcuboot {
        /// The program.
        imgtool: Option<PathBuf>,
    },
}

impl Bootloader {
    /// The payload type of its images.
    pub fn artifact_type(&self) -> &'static str {
        match self {
            Bootloader::EmbassyBoot => "embassy-boot-image",
            Bootloader::Mcuboot { .. } => "zephyr-image",
        }
    }
}

/// All programs.
#[derive(Clone, Debug)]
pub struct Images {
    /// What starts the others.
    pub bootloader: Image,
    /// The releases 1, 2 and 3.
    pub releases: [Image; 3],
}

/// Builds all, with or without TLS, for this bootloader.
///
/// # Errors
///
/// The compiler's message is on the terminal.
pub fn build(tls: bool, bootloader: &Bootloader) -> Result<Images, Box<dyn Error>> {
    let root = root();
    let (package, features) = match bootloader {
        Bootloader::EmbassyBoot => ("bootloader", ""),
        Bootloader::Mcuboot { .. } => ("mcuboot", "mcuboot"),
    };
    cargo(&root, package, &[])?;
    let tls = if tls { "tls" } else { "" };
    cargo(
        &root,
        "firmware",
        &["--no-default-features", "--features", &format!("{tls},{features}")],
    )?;
    let built = root.join(TARGET_DIR).join("thumbv7em-none-eabihf/firmware");
    let program = read(&built.join(package))?;
    let mut releases = Vec::new();
    for number in 1..=3 {
        let mut release = read(&built.join(format!("release-{number}")))?;
        match bootloader {
            Bootloader::EmbassyBoot => {}
            Bootloader::Mcuboot { imgtool: None } => {
                let builder = ImageBuilder::new(Version::new(number, 0, 0)).header_len(IMAGE_HEADER_LEN as u16);
                release.bytes = builder.body(release.bytes).build();
            }
            Bootloader::Mcuboot { imgtool: Some(imgtool) } => release.bytes = sign(imgtool, number, &release.bytes)?,
        }
        // Written in words.
        let len = release.bytes.len().next_multiple_of(MAP.write_len as usize);
        release.bytes.resize(len, 0xff);
        releases.push(release);
    }
    let releases = <[Image; 3]>::try_from(releases).map_err(|_| "three releases")?;
    for release in &releases {
        // The last page is for the bootloader's records, or the module's.
        let (len, room) = (
            release.bytes.len(),
            const { MAP.len_of("active") - MAP.erase_len } as usize,
        );
        if len > room {
            return Err(format!("an image has {len} bytes, ACTIVE has {room}").into());
        }
    }
    Ok(Images {
        bootloader: program,
        releases,
    })
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// What a Zephyr build does at its end, but for the key: the bootloader here checks no signature.
fn sign(imgtool: &Path, number: u8, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (input, output) = (
        folder.path().join("firmware.bin"),
        folder.path().join("firmware.signed.bin"),
    );
    file::write(&input, bytes)?;
    let status = Command::new(imgtool)
        .args([
            "sign",
            "--align",
            "4",
            "--pad-header",
            "--version",
            &format!("{number}.0.0"),
        ])
        .args(["--header-size", &IMAGE_HEADER_LEN.to_string()])
        .args(["--slot-size", &const { MCUBOOT_MAP.len_of("slot0") }.to_string()])
        .args([&input, &output])
        .status()
        .map_err(|error| {
            format!(
                "{}: cannot be started: {error}; it comes by 'pip install imgtool'",
                imgtool.display()
            )
        })?;
    if !status.success() {
        return Err(format!("{} has failed", imgtool.display()).into());
    }
    Ok(file::read(&output)?)
}

fn cargo(root: &Path, package: &str, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(root.join(".ci/thumb"));
    command.args([
        "build",
        "--quiet",
        "--manifest-path",
        "examples/qemu-mps2/Cargo.toml",
        "-p",
        package,
    ]);
    command.args(arguments);
    command
        .env("THUMB_DIR", TARGET_DIR)
        .env("THUMB_STD", "core,alloc")
        .env("RUSTFLAGS", RUSTFLAGS);
    // What the cargo that runs this program has set for itself.
    for name in [
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "RUSTUP_TOOLCHAIN",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    let status = command
        .status()
        .map_err(|error| format!(".ci/thumb: cannot be started: {error}"))?;
    if !status.success() {
        return Err(format!("{package} cannot be built").into());
    }
    Ok(())
}

fn read(path: &Path) -> Result<Image, Box<dyn Error>> {
    let program = file::read(path)?;
    let elf = ElfFile32::<Endianness>::parse(&*program).map_err(|error| file::of(path, error))?;
    let endian = elf.endian();
    let header = elf.elf_header();
    let mut bytes = Vec::new();
    let mut start = None;
    for segment in header.program_headers(endian, &*program)? {
        let content = segment.data(endian, &*program).map_err(|()| "a segment is cut short")?;
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
    let mut sizes = [0; 3];
    for section in header.sections(endian, &*program)?.iter() {
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
