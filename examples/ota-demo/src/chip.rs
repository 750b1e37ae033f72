//! The board's flash: a NOR flash of 2 MiB in a file. What is not in the file does not survive a restart.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mender_modules::mcuboot::{Layout, SwapMove};
use mender_testkit::bootloader::{Layout as BootLayout, Mcuboot};
use mender_testkit::flash::{Counters, FlashError, Partition, SimFlash};
use mender_testkit::image::ImageInfo;
use tool_style::file::{of, read, unreadable, write};

/// The write unit in bytes.
pub const WRITE: usize = 4;
/// The erase unit in bytes.
pub const SECTOR: usize = 4096;
/// Size in bytes.
pub const CHIP_LEN: usize = 0x20_0000;
/// Where the running image is.
pub const SLOT0: Range<u32> = 0x01_0000..0x10_0000;
/// Where a new image goes.
pub const SLOT1: Range<u32> = 0x10_0000..0x1f_0000;
/// Where the client keeps its records.
pub const RECORDS: Range<u32> = 0x1f_0000..0x1f_4000;
const MAX_IMG_SECTORS: u32 = 256;

/// The slots, as the update module has to know them.
pub const LAYOUT: Layout<SwapMove> = Layout {
    mode: SwapMove,
    primary_len: SLOT0.end - SLOT0.start,
    secondary_len: SLOT1.end - SLOT1.start,
    sector_len: SECTOR as u32,
    write_len: WRITE as u32,
    max_align: 8,
    max_img_sectors: MAX_IMG_SECTORS,
}
.checked();

/// The whole flash.
pub type Flash = SimFlash<WRITE, SECTOR>;
/// A slot, or the place of the records.
pub type Region = Partition<WRITE, SECTOR>;

/// The chip, and what has been done to it in all its runs.
#[derive(Debug)]
pub struct Chip {
    file: PathBuf,
    run: RefCell<Run>,
}

#[derive(Debug)]
struct Run {
    /// Since the last power-on.
    flash: Flash,
    /// Before it.
    counters: Counters,
    violations: Vec<FlashError>,
}

impl Chip {
    /// A new chip, erased but for an image in slot 0, as it leaves the factory.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or is something else than a flash of this size: it is not overwritten then.
    pub fn program(file: PathBuf, image: &[u8]) -> Result<Chip, String> {
        match fs::metadata(&file) {
            Ok(known) if !known.is_file() || known.len() != CHIP_LEN as u64 => {
                return Err(of(
                    &file,
                    "is not a flash of this demo and is not overwritten; give another name with --flash",
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(of(&file, unreadable(&error))),
        }
        let mut content = vec![0xff; CHIP_LEN];
        let start = SLOT0.start as usize;
        content[start..start + image.len()].copy_from_slice(image);
        write(&file, &content)?;
        let flash = Flash::open(&file, CHIP_LEN / SECTOR).map_err(|error| of(&file, unreadable(&error)))?;
        Ok(Chip {
            file,
            run: RefCell::new(Run {
                flash,
                counters: Counters::default(),
                violations: Vec::new(),
            }),
        })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Power off and on: the content comes from the file again, and from nowhere else.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn power_on(&self) -> Result<Flash, String> {
        let flash = Flash::open(&self.file, CHIP_LEN / SECTOR).map_err(|error| of(&self.file, unreadable(&error)))?;
        let (counters, violations) = (self.counters(), self.violations());
        *self.run.borrow_mut() = Run {
            flash: flash.clone(),
            counters,
            violations,
        };
        Ok(flash)
    }

    /// Operations since it left the factory.
    pub fn counters(&self) -> Counters {
        let run = self.run.borrow();
        let now = run.flash.counters();
        Counters {
            reads: run.counters.reads + now.reads,
            writes: run.counters.writes + now.writes,
            bytes_written: run.counters.bytes_written + now.bytes_written,
            erases: run.counters.erases + now.erases,
        }
    }

    /// Operations that it refused.
    pub fn violations(&self) -> Vec<FlashError> {
        let run = self.run.borrow();
        let mut violations = run.violations.clone();
        violations.extend(run.flash.violations());
        violations
    }

    /// The intact image in a slot, read from the file.
    pub fn image_in(&self, slot: &Range<u32>) -> Result<Option<ImageInfo>, String> {
        let content = read(&self.file)?;
        let slot = content
            .get(slot.start as usize..slot.end as usize)
            .ok_or_else(|| of(&self.file, "somebody has shortened it"))?;
        Ok(ImageInfo::parse(slot).ok().filter(|image| image.hash_is_right(slot)))
    }
}

/// The bootloader in front of the slots.
pub fn bootloader() -> Mcuboot {
    Mcuboot::new(BootLayout {
        slot0: SLOT0,
        slot1: SLOT1,
        max_img_sectors: MAX_IMG_SECTORS,
    })
}
