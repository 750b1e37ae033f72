//! The cells of one chip, its rules, its counters and its power supply.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use embedded_storage_async::nor_flash::{NorFlashError, NorFlashErrorKind};

use super::power::{CutAt, Operation, PowerCut, Random};

/// The value of an erased byte.
pub(super) const ERASED: u8 = 0xff;

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
    Torn(Random),
}

#[derive(Debug)]
pub(super) struct Chip {
    bytes: Vec<u8>,
    /// Per word: not to be written before the next erase.
    written: Vec<bool>,
    write_len: usize,
    sector_len: usize,
    pub(super) rewrites: Rewrites,
    pub(super) counters: Counters,
    pub(super) sector_erases: Vec<u32>,
    pub(super) violations: Vec<FlashError>,
    power: Power,
    /// Operations of what else hangs on this power supply.
    other_operations: u64,
    /// How often power was lost, and where in an operation the last time.
    pub(super) losses: u64,
    pub(super) lost_at: CutAt,
    /// The operation that the last scheduled cut struck.
    pub(super) cut_operation: Option<Operation>,
    /// Where words of zeros may be written over anything.
    pub(super) zeros_over: Range<u32>,
    /// Without power, asynchronous operations never return.
    pub(super) halts: bool,
    file: Option<File>,
}

impl Chip {
    pub(super) fn new(write_len: usize, sector_len: usize, sectors: usize) -> Chip {
        let len = sector_len * sectors;
        assert!(
            u32::try_from(len).is_ok(),
            "a flash of {len} bytes has no 32-bit offsets"
        );
        Chip {
            bytes: vec![ERASED; len],
            written: vec![false; len / write_len],
            write_len,
            sector_len,
            rewrites: Rewrites::default(),
            counters: Counters::default(),
            sector_erases: vec![0; sectors],
            violations: Vec::new(),
            power: Power::On { cut: None },
            other_operations: 0,
            losses: 0,
            lost_at: CutAt::Before,
            cut_operation: None,
            zeros_over: 0..0,
            halts: false,
            file: None,
        }
    }

    /// Another chip in the same state, power on, counters and violations at nothing, without a file.
    pub(super) fn fork(&self) -> Chip {
        Chip {
            bytes: self.bytes.clone(),
            written: self.written.clone(),
            rewrites: self.rewrites,
            halts: self.halts,
            zeros_over: self.zeros_over.clone(),
            ..Chip::new(self.write_len, self.sector_len, self.sector_erases.len())
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
            file.write_all(&self.bytes)?;
        } else if bytes.len() == self.bytes.len() {
            self.load(&bytes);
        } else {
            let text = format!(
                "{} has {} bytes, the flash {}",
                path.display(),
                bytes.len(),
                self.bytes.len()
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
            self.bytes.len(),
            "the content must be as long as the flash"
        );
        self.bytes.copy_from_slice(bytes);
        for (word, written) in self.bytes.chunks(self.write_len).zip(&mut self.written) {
            *written = word.iter().any(|b| *b != ERASED);
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
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
        self.power = Power::Off;
        self.losses += 1;
        self.lost_at = CutAt::Before;
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
        if start.checked_add(len).is_none_or(|end| end > self.bytes.len()) {
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
        out.copy_from_slice(&self.bytes[range]);
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
        self.power = Power::Off;
        self.losses += 1;
        self.lost_at = at;
        self.cut_operation = Some(operation);
        match at {
            CutAt::Before => Err(FlashError::PowerLost),
            CutAt::Within { seed } => Ok(Fate::Torn(Random::new(seed))),
            CutAt::After => Ok(Fate::DoneThenOff),
        }
    }

    /// An operation of something else on the same power supply.
    pub(super) fn other_operation(&mut self) -> Result<Fate, FlashError> {
        let fate = self.fate(Operation::Other)?;
        self.other_operations += 1;
        Ok(fate)
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
                let words = range.start / self.write_len..range.end / self.write_len;
                let zeros = self.zeros_over.contains(&offset) && data.iter().all(|byte| *byte == 0);
                if let Some(word) = words.clone().find(|w| self.written[*w] && !zeros) {
                    let offset = (word * self.write_len) as u32;
                    return self.violation(FlashError::NotErased { offset });
                }
            }
            Rewrites::ClearBits => {
                let old = &self.bytes[range.clone()];
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
            Fate::Torn(mut random) => {
                let whole = random.up_to(data.len() / self.write_len) * self.write_len;
                self.program(range.start, &data[..whole])?;
                if let Some(word) = data.get(whole..whole + self.write_len) {
                    let start = range.start + whole;
                    // Some of the bits that were to be cleared are, the others not yet.
                    let partial: Vec<u8> = word.iter().map(|new| new | random.byte()).collect();
                    self.program(start, &partial)?;
                    if partial.iter().all(|b| *b == ERASED) {
                        // No bit got as far: the word is as it was.
                        self.written[start / self.write_len] = false;
                    }
                }
                Err(FlashError::PowerLost)
            }
        }
    }

    pub(super) fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        if !self.power_is_on() {
            return Err(FlashError::PowerLost);
        }
        let Some(len) = to.checked_sub(from) else {
            return self.violation(FlashError::OutOfBounds { offset: from, len: 0 });
        };
        let range = self.check(from, len as usize, self.sector_len)?;
        for start in range.step_by(self.sector_len) {
            self.erase_sector(start)?;
        }
        Ok(())
    }

    fn erase_sector(&mut self, start: usize) -> Result<(), FlashError> {
        let offset = start as u32;
        let fate = self.fate(Operation::Erase { offset })?;
        let sector = start / self.sector_len;
        self.counters.erases += 1;
        self.sector_erases[sector] += 1;
        let range = start..start + self.sector_len;
        let words = start / self.write_len..(start + self.sector_len) / self.write_len;
        match fate {
            Fate::Done | Fate::DoneThenOff => {
                self.bytes[range.clone()].fill(ERASED);
                self.written[words].fill(false);
                self.write_through(range)?;
                if let Fate::DoneThenOff = fate {
                    Err(FlashError::PowerLost)
                } else {
                    Ok(())
                }
            }
            Fate::Torn(mut random) => {
                let border = start + random.up_to(self.sector_len);
                match random.up_to(2) {
                    0 => self.bytes[start..border].fill(ERASED),
                    1 => self.bytes[border..range.end].fill(ERASED),
                    _ => {
                        for byte in &mut self.bytes[range.clone()] {
                            *byte |= random.byte();
                        }
                    }
                }
                // What reads as erased here may not be: cells that were erased for too short a time do not hold.
                self.written[words].fill(true);
                self.write_through(range)?;
                Err(FlashError::PowerLost)
            }
        }
    }

    fn program(&mut self, start: usize, data: &[u8]) -> Result<(), FlashError> {
        let range = start..start + data.len();
        for (cell, new) in self.bytes[range.clone()].iter_mut().zip(data) {
            *cell &= new;
        }
        self.written[range.start / self.write_len..range.end / self.write_len].fill(true);
        self.write_through(range)
    }

    fn write_through(&mut self, range: Range<usize>) -> Result<(), FlashError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.seek(SeekFrom::Start(range.start as u64))
            .and_then(|_| file.write_all(&self.bytes[range]))
            .map_err(|error| FlashError::Io(error.kind()))
    }
}
