//! One chip: its rules, its counters and its power supply.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
#[cfg(unix)]
use std::sync::Arc;

use embedded_storage_async::nor_flash::{NorFlashError, NorFlashErrorKind};

use super::cells::{Cells, ERASED};
use super::power::{CutAt, FileContents, Observer, Operation, PowerCut, Random};
#[cfg(unix)]
use crate::folder::Model;

/// Why an operation was refused. All but [`PowerLost`](FlashError::PowerLost) and [`Io`](FlashError::Io) are faults of
/// the caller and recorded as violations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Offset or length is not a multiple of the unit.
    NotAligned {
        /// Offset on the chip.
        offset: u32,
        /// Length of the operation in bytes.
        len: usize,
        /// The unit: write or erase size.
        unit: usize,
    },
    /// The operation leaves the chip or the partition.
    OutOfBounds {
        /// Offset as given by the caller.
        offset: u32,
        /// Length of the operation in bytes.
        len: usize,
    },
    /// The word at this offset of the chip was written since its last erase, or its erase was cut short.
    NotErased {
        /// Offset on the chip.
        offset: u32,
    },
    /// With [`Rewrites::ClearBits`]: the write would have to set bits of the byte at this offset of the chip.
    SetsBits {
        /// Offset on the chip.
        offset: u32,
    },
    /// The power is gone; everything fails until [`SimFlash::restore_power`](super::SimFlash::restore_power).
    PowerLost,
    /// The file behind the flash could not be written.
    Io(io::ErrorKind),
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlashError::NotAligned { offset, len, unit } => {
                write!(f, "{len} bytes at {offset:#x} are not aligned to {unit}")
            }
            FlashError::OutOfBounds { offset, len } => write!(f, "{len} bytes at {offset:#x} are out of bounds"),
            FlashError::NotErased { offset } => {
                write!(f, "the word at {offset:#x} must be erased before it is written")
            }
            FlashError::SetsBits { offset } => write!(f, "the write at {offset:#x} would set bits: erase first"),
            FlashError::PowerLost => f.write_str("the power is off"),
            FlashError::Io(kind) => write!(f, "the file of the simulated flash: {kind}"),
        }
    }
}

impl std::error::Error for FlashError {}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            FlashError::NotAligned { .. } => NorFlashErrorKind::NotAligned,
            FlashError::OutOfBounds { .. } => NorFlashErrorKind::OutOfBounds,
            FlashError::NotErased { .. } | FlashError::SetsBits { .. } | FlashError::PowerLost | FlashError::Io(_) => {
                NorFlashErrorKind::Other
            }
        }
    }
}

/// What a second write to a word does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rewrites {
    /// It is refused: each word is written once between erases, as chips with error correction demand. What runs on
    /// this runs everywhere.
    #[default]
    Refuse,
    /// It may clear more bits, as plain NOR flash allows.
    ClearBits,
}

/// How much was done since the last reset of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Read operations.
    pub reads: u64,
    /// Write operations, also those that were cut.
    pub writes: u64,
    /// Bytes handed to write operations.
    pub bytes_written: u64,
    /// Sectors erased, also those that were cut.
    pub erases: u64,
}

#[derive(Debug)]
enum Power {
    On { cut: Option<PowerCut> },
    Off,
}

/// What an operation has to do in view of the power supply.
pub(super) enum Fate {
    Done,
    DoneThenOff,
    Torn { seed: u64 },
}

#[derive(Debug)]
pub(super) struct Chip {
    cells: Cells,
    write_len: usize,
    sector_len: usize,
    pub(super) rewrites: Rewrites,
    pub(super) counters: Counters,
    pub(super) sector_erases: Vec<u32>,
    pub(super) violations: Vec<FlashError>,
    power: Power,
    /// Operations of what else hangs on this power supply.
    other_operations: u64,
    /// The operation that the last scheduled cut struck.
    pub(super) cut_operation: Option<Operation>,
    /// Where words of zeros may be written over anything.
    pub(super) zeros_over: Range<u32>,
    /// Without power, asynchronous operations never return.
    pub(super) halts: bool,
    file: Option<File>,
    /// Files that hang on this power supply: see [`Files`](crate::files::Files).
    pub(super) files: FileContents,
    /// A disk on this power supply: see [`Folder`](crate::folder::Folder).
    #[cfg(unix)]
    pub(super) disk: Arc<Model>,
    pub(super) observer: Option<Observer>,
}

impl Chip {
    pub(super) fn new(write_len: usize, sector_len: usize, sectors: usize) -> Chip {
        let len = sector_len * sectors;
        assert!(
            u32::try_from(len).is_ok(),
            "a flash of {len} bytes has no 32-bit offsets"
        );
        Chip::of(
            Cells::new(write_len, sector_len, sectors),
            write_len,
            sector_len,
            sectors,
        )
    }

    /// With these cells, power on, without anything else.
    fn of(cells: Cells, write_len: usize, sector_len: usize, sectors: usize) -> Chip {
        Chip {
            cells,
            write_len,
            sector_len,
            rewrites: Rewrites::default(),
            counters: Counters::default(),
            sector_erases: vec![0; sectors],
            violations: Vec::new(),
            power: Power::On { cut: None },
            other_operations: 0,
            cut_operation: None,
            zeros_over: 0..0,
            halts: false,
            file: None,
            files: FileContents::new(),
            #[cfg(unix)]
            disk: Arc::default(),
            observer: None,
        }
    }

    /// Another chip in the same state, power on, counters and violations at nothing, without a file and unobserved.
    pub(super) fn fork(&self) -> Chip {
        let sectors = self.sector_erases.len();
        Chip {
            rewrites: self.rewrites,
            halts: self.halts,
            zeros_over: self.zeros_over.clone(),
            files: self.files.clone(),
            #[cfg(unix)]
            disk: Arc::clone(&self.disk),
            ..Chip::of(self.cells.clone(), self.write_len, self.sector_len, sectors)
        }
    }

    /// Backs the chip by a file: loads what is there, and from now on writes every change through.
    pub(super) fn attach(&mut self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            file.write_all(&self.cells.to_vec(0..self.cells.len()))?;
        } else if bytes.len() == self.cells.len() {
            self.load(&bytes);
        } else {
            let text = format!(
                "{} has {} bytes, the flash {}",
                path.display(),
                bytes.len(),
                self.cells.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.file = Some(file);
        Ok(())
    }

    /// Replaces the whole content, as a programmer would; neither counted nor cut.
    pub(super) fn load(&mut self, bytes: &[u8]) {
        assert_eq!(
            bytes.len(),
            self.cells.len(),
            "the content must be as long as the flash"
        );
        self.cells.load(bytes);
    }

    /// Takes over what another chip and all else on its power supply hold, and puts the power on. Counters and violations
    /// stay.
    pub(super) fn take_over(&mut self, other: Chip) {
        self.cells = other.cells;
        self.files = other.files;
        #[cfg(unix)]
        {
            self.disk = other.disk;
        }
        self.restore_power();
    }

    /// A number that differs between chips that hold different things, all else on their power supplies included.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.cells.digest().hash(&mut hasher);
        self.files.hash(&mut hasher);
        #[cfg(unix)]
        self.disk.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn cells(&self) -> &Cells {
        &self.cells
    }

    pub(super) fn operations(&self) -> u64 {
        self.counters.writes + self.counters.erases + self.other_operations
    }

    pub(super) fn reset_counters(&mut self) {
        self.counters = Counters::default();
        self.sector_erases.fill(0);
        self.other_operations = 0;
    }

    pub(super) fn schedule(&mut self, cut: PowerCut) {
        assert!(cut.operation > 0, "operations are counted from 1");
        self.power = Power::On { cut: Some(cut) };
    }

    pub(super) fn restore_power(&mut self) {
        self.power = Power::On { cut: None };
    }

    pub(super) fn switch_off(&mut self) {
        self.lose_power(CutAt::Before);
    }

    fn lose_power(&mut self, _at: CutAt) {
        self.power = Power::Off;
        #[cfg(unix)]
        {
            self.disk = Arc::new(self.disk.after_power_cut(_at));
        }
    }

    pub(super) fn power_is_on(&self) -> bool {
        matches!(self.power, Power::On { .. })
    }

    fn violation<T>(&mut self, error: FlashError) -> Result<T, FlashError> {
        self.violations.push(error.clone());
        Err(error)
    }

    fn check(&mut self, offset: u32, len: usize, unit: usize) -> Result<Range<usize>, FlashError> {
        let start = offset as usize;
        if start.checked_add(len).is_none_or(|end| end > self.cells.len()) {
            return self.violation(FlashError::OutOfBounds { offset, len });
        }
        if !start.is_multiple_of(unit) || !len.is_multiple_of(unit) {
            return self.violation(FlashError::NotAligned { offset, len, unit });
        }
        Ok(start..start + len)
    }

    pub(super) fn out_of_bounds<T>(&mut self, offset: u32, len: usize) -> Result<T, FlashError> {
        self.violation(FlashError::OutOfBounds { offset, len })
    }

    pub(super) fn read(&mut self, offset: u32, out: &mut [u8]) -> Result<(), FlashError> {
        if !self.power_is_on() {
            return Err(FlashError::PowerLost);
        }
        let range = self.check(offset, out.len(), 1)?;
        self.counters.reads += 1;
        self.cells.read(range.start, out);
        Ok(())
    }

    /// Counts the operation down to a scheduled cut.
    fn fate(&mut self, operation: Operation) -> Result<Fate, FlashError> {
        let Power::On { cut } = &mut self.power else {
            return Err(FlashError::PowerLost);
        };
        let Some(planned) = cut else {
            return Ok(Fate::Done);
        };
        planned.operation -= 1;
        if planned.operation > 0 {
            return Ok(Fate::Done);
        }
        let at = planned.at;
        self.lose_power(at);
        self.cut_operation = Some(operation);
        match at {
            CutAt::Before => Err(FlashError::PowerLost),
            CutAt::Within { seed } => Ok(Fate::Torn { seed }),
            CutAt::After => Ok(Fate::DoneThenOff),
        }
    }

    /// An operation of something else on the same power supply.
    pub(super) fn other_operation(&mut self) -> Result<Fate, FlashError> {
        let fate = self.fate(Operation::Other)?;
        self.other_operations += 1;
        Ok(fate)
    }

    /// A change of files; the closure is told how far it gets, in 255ths. Whether there is power after it.
    pub(super) fn change_files(&mut self, change: &dyn Fn(&mut FileContents, u8)) -> bool {
        match self.other_operation() {
            Ok(Fate::Done) => {
                change(&mut self.files, u8::MAX);
                return true;
            }
            Ok(Fate::DoneThenOff) => change(&mut self.files, u8::MAX),
            Ok(Fate::Torn { seed }) => change(&mut self.files, Random::new(seed).byte()),
            Err(_) => {}
        }
        false
    }

    /// A change of the disk, to this; a cut within it leaves a part of `torn`. Whether there is power after it.
    #[cfg(unix)]
    pub(super) fn change_disk(&mut self, to: &Arc<Model>, torn: &Arc<Model>) -> bool {
        let left = match self.other_operation() {
            Ok(Fate::Done) => {
                self.disk = Arc::clone(to);
                return true;
            }
            Ok(Fate::DoneThenOff) => to.after_power_cut(CutAt::After),
            Ok(Fate::Torn { seed }) => torn.after_power_cut(CutAt::Within { seed }),
            Err(_) => return false,
        };
        self.disk = Arc::new(left);
        false
    }

    pub(super) fn write(&mut self, offset: u32, data: &[u8]) -> Result<(), FlashError> {
        if !self.power_is_on() {
            return Err(FlashError::PowerLost);
        }
        let range = self.check(offset, data.len(), self.write_len)?;
        if data.is_empty() {
            return Ok(());
        }
        match self.rewrites {
            Rewrites::Refuse => {
                let zeros = self.zeros_over.contains(&offset) && data.iter().all(|byte| *byte == 0);
                let written = self.cells.first_written(range.clone());
                if let Some(written) = written.filter(|_| !zeros) {
                    let offset = written as u32;
                    return self.violation(FlashError::NotErased { offset });
                }
            }
            Rewrites::ClearBits => {
                let old = self.cells.to_vec(range.clone());
                if let Some(place) = old.iter().zip(data).position(|(old, new)| new & !old != 0) {
                    let offset = (range.start + place) as u32;
                    return self.violation(FlashError::SetsBits { offset });
                }
            }
        }
        let len = data.len();
        let fate = self.fate(Operation::Write { offset, len })?;
        self.counters.writes += 1;
        self.counters.bytes_written += data.len() as u64;
        match fate {
            Fate::Done => self.program(range.start, data),
            Fate::DoneThenOff => self.program(range.start, data).and(Err(FlashError::PowerLost)),
            Fate::Torn { seed } => {
                let mut random = Random::new(seed);
                let whole = random.up_to(data.len() / self.write_len) * self.write_len;
                self.program(range.start, &data[..whole])?;
                if let Some(word) = data.get(whole..whole + self.write_len) {
                    let start = range.start + whole;
                    // Some of the bits that were to be cleared are, the others not yet.
                    let partial: Vec<u8> = word.iter().map(|new| new | random.byte()).collect();
                    self.program(start, &partial)?;
                    if partial.iter().all(|b| *b == ERASED) {
                        // No bit got as far: the word is as it was.
                        self.cells.forget_write(start);
                    }
                }
                Err(FlashError::PowerLost)
            }
        }
    }

    /// The sectors that an erase consists of.
    pub(super) fn sectors_to_erase(&mut self, from: u32, to: u32) -> Result<Vec<usize>, FlashError> {
        if !self.power_is_on() {
            return Err(FlashError::PowerLost);
        }
        let Some(len) = to.checked_sub(from) else {
            return self.violation(FlashError::OutOfBounds { offset: from, len: 0 });
        };
        let range = self.check(from, len as usize, self.sector_len)?;
        Ok(range.step_by(self.sector_len).collect())
    }

    pub(super) fn erase_sector(&mut self, start: usize) -> Result<(), FlashError> {
        let offset = start as u32;
        let fate = self.fate(Operation::Erase { offset })?;
        self.counters.erases += 1;
        self.sector_erases[start / self.sector_len] += 1;
        let range = start..start + self.sector_len;
        match fate {
            Fate::Done | Fate::DoneThenOff => {
                self.cells.erase(start);
                self.write_through(range)?;
                if let Fate::DoneThenOff = fate {
                    Err(FlashError::PowerLost)
                } else {
                    Ok(())
                }
            }
            Fate::Torn { seed } => {
                let mut random = Random::new(seed);
                let border = random.up_to(self.sector_len);
                let kind = random.up_to(2);
                // What reads as erased after this may not be: cells that were erased for too short a time do not hold.
                self.cells.disturb(start, |at, bytes| {
                    let border = border.saturating_sub(at).min(bytes.len());
                    match kind {
                        0 => bytes[..border].fill(ERASED),
                        1 => bytes[border..].fill(ERASED),
                        _ => bytes.iter_mut().for_each(|byte| *byte |= random.byte()),
                    }
                });
                self.write_through(range)?;
                Err(FlashError::PowerLost)
            }
        }
    }

    fn program(&mut self, start: usize, data: &[u8]) -> Result<(), FlashError> {
        self.cells.program(start, data);
        self.write_through(start..start + data.len())
    }

    fn write_through(&mut self, range: Range<usize>) -> Result<(), FlashError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.seek(SeekFrom::Start(range.start as u64))
            .and_then(|_| file.write_all(&self.cells.to_vec(range)))
            .map_err(|error| FlashError::Io(error.kind()))
    }
}
