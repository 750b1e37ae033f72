//! Where the slots are in the dump and how the bootloader was built: from a file, from flags.

use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use tool_style::{Wrong, file};

/// The modes by their names on the command line and in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Move,
    Offset,
    Scratch,
    Overwrite,
    DirectXip,
}

impl Mode {
    fn parse(text: &str) -> Result<Mode, String> {
        match text {
            "move" => Ok(Mode::Move),
            "offset" => Ok(Mode::Offset),
            "scratch" => Ok(Mode::Scratch),
            "overwrite" | "overwrite-fast" => Ok(Mode::Overwrite),
            "direct-xip" | "xip-revert" => Ok(Mode::DirectXip),
            other => Err(format!(
                "unknown mode '{other}': expected move, offset, scratch, overwrite or direct-xip"
            )),
        }
    }
}

/// A slot: offset and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Area {
    offset: u32,
    len: u32,
}

#[derive(Args)]
pub struct Flags {
    /// The layout as JSON; see below
    #[arg(long, value_name = "FILE")]
    layout: Option<PathBuf>,
    /// How the bootloader swaps: move, offset, scratch, overwrite or direct-xip
    #[arg(long, value_parser = Mode::parse)]
    mode: Option<Mode>,
    /// Slot 0: start and length
    #[arg(long, value_name = "OFFSET:LENGTH", value_parser = area)]
    slot0: Option<Area>,
    /// Slot 1: start and length
    #[arg(long, value_name = "OFFSET:LENGTH", value_parser = area)]
    slot1: Option<Area>,
    /// Swap using scratch: start and length of the scratch area, which tells of a swap that was interrupted there
    #[arg(long, value_name = "OFFSET:LENGTH", value_parser = area)]
    scratch: Option<Area>,
    /// Length of a flash sector
    #[arg(long, value_name = "LENGTH", value_parser = number)]
    sector: Option<u32>,
    /// Write unit of the flash (imgtool's --align)
    #[arg(long, value_name = "LENGTH", value_parser = number)]
    align: Option<u32>,
    /// The bootloader's BOOT_MAX_ALIGN (imgtool's --max-align); by default the write unit, but at least 8
    #[arg(long, value_name = "LENGTH", value_parser = number)]
    max_align: Option<u32>,
    /// The bootloader's MCUBOOT_MAX_IMG_SECTORS; 128 by default
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    max_sectors: Option<u32>,
    /// Direct-xip: the bootloader compares build numbers too (MCUBOOT_VERSION_CMP_USE_BUILD_NUMBER)
    #[arg(long)]
    compare_builds: bool,
    /// Direct-xip: the slot that runs, 0 or 1; by default the one that the trailers and versions speak for
    #[arg(long, value_name = "SLOT", value_parser = clap::value_parser!(u8).range(0..=1))]
    running: Option<u8>,
    /// Address of the dump's first byte, if the slots are given by address; 0 by default
    #[arg(long, value_name = "ADDRESS", value_parser = number)]
    base: Option<u32>,
}

/// All that is needed to work on a dump.
pub struct Layout {
    /// Where it stands, if not in flags alone.
    pub file: Option<PathBuf>,
    pub mode: Mode,
    pub slot0: Range<usize>,
    pub slot1: Range<usize>,
    /// Mode scratch, if it is known.
    pub scratch: Option<Range<usize>>,
    pub sector_len: u32,
    pub write_len: u32,
    pub max_align: u32,
    pub max_img_sectors: u32,
    pub compare_builds: bool,
    /// Direct-xip: the slot that runs, if it was said.
    pub running: Option<u8>,
}

impl Flags {
    pub fn read(&self) -> Result<Layout, Wrong> {
        let stated = match &self.layout {
            None => Value::Null,
            Some(path) => object(path)?,
        };
        self.over(&stated).map_err(|error| wrong(self.layout.as_deref(), error))
    }

    /// Flags over what the file states.
    fn over(&self, file: &Value) -> Result<Layout, String> {
        let stated = |name: &str| match &file[name] {
            Value::Null => Ok(None),
            value => json_number(value).map(Some).map_err(|error| format!("{name}: {error}")),
        };
        let slot = |flag: Option<Area>, name: &str| match flag {
            Some(area) => Ok(area),
            None => {
                let missing =
                    || format!("the layout lacks {name}: give --{name} OFFSET:LENGTH, or a layout file with it");
                let object = file[name].as_object().ok_or_else(missing)?;
                let field = |field: &str| {
                    json_number(object.get(field).unwrap_or(&Value::Null))
                        .map_err(|error| format!("{name}.{field}: {error}"))
                };
                Ok::<_, String>(Area {
                    offset: field("offset")?,
                    len: field("size")?,
                })
            }
        };
        let mode = match (self.mode, file["mode"].as_str()) {
            (Some(mode), _) => mode,
            (None, Some(text)) => Mode::parse(text)?,
            (None, None) => {
                return Err(
                    "the layout lacks the mode: give --mode move|offset|scratch|overwrite|direct-xip, or a layout \
                            file with it"
                        .into(),
                );
            }
        };
        let needed = |flag: Option<u32>, name: &str| match flag {
            Some(number) => Ok(number),
            None => {
                stated(name)?.ok_or_else(|| format!("the layout lacks {name}: give --{name}, or a layout file with it"))
            }
        };
        let base = self.base.or(stated("base")?).unwrap_or(0);
        let place = |area: Area, name: &str| {
            let start = area.offset.checked_sub(base).ok_or_else(|| {
                format!(
                    "{name} starts at {:#x}, before the dump's first byte at {base:#x}",
                    area.offset
                )
            })? as usize;
            Ok::<_, String>(start..start + area.len as usize)
        };
        let write_len = needed(self.align, "align")?;
        let (slot0, slot1) = (
            place(slot(self.slot0, "slot0")?, "slot0")?,
            place(slot(self.slot1, "slot1")?, "slot1")?,
        );
        let scratch = match (mode, self.scratch.is_some() || file["scratch"].is_object()) {
            (Mode::Scratch, true) => Some(place(slot(self.scratch, "scratch")?, "scratch")?),
            (Mode::Scratch, false) | (Mode::Move | Mode::Offset | Mode::Overwrite | Mode::DirectXip, _) => None,
        };
        let overlap = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
        if overlap(&slot0, &slot1) {
            return Err("slot 0 and slot 1 overlap".into());
        }
        if scratch
            .as_ref()
            .is_some_and(|area| overlap(area, &slot0) || overlap(area, &slot1))
        {
            return Err("the scratch area overlaps a slot".into());
        }
        if self.running.is_some() && mode != Mode::DirectXip {
            return Err("--running is for direct-xip: in all other modes slot 0 runs".into());
        }
        Ok(Layout {
            file: self.layout.clone(),
            mode,
            slot0,
            slot1,
            scratch,
            sector_len: needed(self.sector, "sector")?,
            write_len,
            max_align: self.max_align.or(stated("max_align")?).unwrap_or(write_len.max(8)),
            max_img_sectors: self.max_sectors.or(stated("max_sectors")?).unwrap_or(128),
            running: self.running,
            compare_builds: match &file["compare_builds"] {
                Value::Bool(stated) => *stated || self.compare_builds,
                Value::Null => self.compare_builds,
                other => return Err(format!("compare_builds: expected true or false, found {other}")),
            },
        })
    }
}

impl Layout {
    /// What is wrong with it: the file's fault if there is one, else the command line's.
    pub fn wrong(&self, error: impl Display) -> Wrong {
        wrong(self.file.as_deref(), error)
    }
}

fn wrong(file: Option<&Path>, error: impl Display) -> Wrong {
    match file {
        Some(path) => Wrong::Failed(file::of(path, error)),
        None => Wrong::Usage(error.to_string()),
    }
}

/// What a layout file has.
fn object(path: &Path) -> Result<Value, String> {
    let text = file::read(path)?;
    let said = |what: &str| {
        file::of(
            path,
            format_args!("{what}; a layout is an object of JSON, as --help shows it"),
        )
    };
    match serde_json::from_slice(&text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(said("JSON, but not an object")),
        Err(_) if text.iter().all(u8::is_ascii_whitespace) => Err(said("empty")),
        Err(error) => Err(said(&format!("not JSON ({error})"))),
    }
}

fn json_number(value: &Value) -> Result<u32, String> {
    match value {
        Value::String(text) => number(text),
        value => value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| format!("expected a number below 2^32, found {value}")),
    }
}

fn number(text: &str) -> Result<u32, String> {
    let wrong = || format!("'{text}' is no number: write 32768, 0x8000 or 32K");
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1024),
        None => (text, 1),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    value.ok().and_then(|value| value.checked_mul(unit)).ok_or_else(wrong)
}

fn area(text: &str) -> Result<Area, String> {
    let (offset, len) = text
        .split_once(':')
        .ok_or_else(|| format!("expected OFFSET:LENGTH, found '{text}'"))?;
    Ok(Area {
        offset: number(offset)?,
        len: number(len)?,
    })
}
