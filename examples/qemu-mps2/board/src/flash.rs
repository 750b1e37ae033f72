//! The flash: memory behind the rules of a NOR flash. Depends on `raw`, `time`, `map`, `console`.
//!
//! A page is erased as a whole, in which time the processor does nothing else; a word is written once, and zeros over anything, as most chips let
//! it be. Who does something else gets an error, and the console says so. The times are those of a quick chip.

use core::ops::Range;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::map::MAP;
use crate::{raw, say, time};

const ERASED: u32 = 0xffff_ffff;
/// How long an erase of a page takes.
const ERASE_MICROS: u32 = 2000;
/// How long it takes to write [`BURST`] bytes.
const WRITE_MICROS: u32 = 20;
const BURST: usize = 64;

const WORD: usize = MAP.write_len as usize;
const PAGE: usize = MAP.erase_len as usize;

/// Why the flash refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Not whole words or pages.
    Unaligned,
    /// Beyond the end.
    OutOfBounds,
    /// A word was written before, and not erased since.
    NotErased,
    /// What the factory wrote stays, and the code that runs.
    Protected,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            FlashError::Unaligned => NorFlashErrorKind::NotAligned,
            FlashError::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            FlashError::NotErased | FlashError::Protected => NorFlashErrorKind::Other,
        }
    }
}

/// Who uses the flash: it is protected from writing to the code that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Runs from ROM, and may write to ACTIVE.
    Bootloader,
    /// Runs from ACTIVE.
    Firmware,
}

/// The driver, with blocking calls.
#[derive(Debug)]
pub struct Flash {
    user: User,
}

impl Flash {
    pub(crate) const fn new(user: User) -> Flash {
        Flash { user }
    }

    fn refuse(&self, what: &str, range: &Range<u32>, error: FlashError) -> FlashError {
        say!("@violation {what} {:#x}..{:#x} {error:?}", range.start, range.end);
        error
    }

    fn check_change(&self, what: &str, range: &Range<u32>, unit: usize) -> Result<(), FlashError> {
        const SETTINGS: Range<u32> = MAP.range("settings");
        const ACTIVE: Range<u32> = MAP.range("active");
        // The last page is no code: there is the trailer of MCUboot's images, which the firmware writes to.
        const CODE: Range<u32> = ACTIVE.start..ACTIVE.end - MAP.erase_len;
        let touches = |area: &Range<u32>| range.start < area.end && area.start < range.end;
        let is_aligned = |offset: u32| (offset as usize).is_multiple_of(unit);
        let error = if range.start > range.end || range.end > MAP.len {
            FlashError::OutOfBounds
        } else if !is_aligned(range.start) || !is_aligned(range.end) {
            FlashError::Unaligned
        } else if touches(&SETTINGS) || self.user == User::Firmware && touches(&CODE) {
            FlashError::Protected
        } else {
            return Ok(());
        };
        Err(self.refuse(what, range, error))
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let end = offset as usize + bytes.len();
        if end > self.capacity() {
            return Err(FlashError::OutOfBounds);
        }
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = raw::flash_word(at & !3).to_le_bytes();
            let from = &word[(at & 3) as usize..];
            let now = from.len().min(rest.len());
            let (to, behind) = rest.split_at_mut(now);
            to.copy_from_slice(&from[..now]);
            rest = behind;
            at += now as u32;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        MAP.len as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.check_change("erase", &(from..to), PAGE)?;
        for page in (from..to).step_by(PAGE) {
            time::wait_micros(ERASE_MICROS);
            for word in (page..page + PAGE as u32).step_by(WORD) {
                raw::set_flash_word(word, ERASED);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let range = offset..offset.saturating_add(bytes.len() as u32);
        self.check_change("write", &range, WORD)?;
        let (words, _) = bytes.as_chunks::<WORD>();
        let places = || {
            range
                .clone()
                .step_by(WORD)
                .zip(words.iter().map(|word| u32::from_le_bytes(*word)))
        };
        if places().any(|(at, word)| word != 0 && raw::flash_word(at) != ERASED) {
            return Err(self.refuse("write", &range, FlashError::NotErased));
        }
        for (index, (at, word)) in places().enumerate() {
            if (index * WORD).is_multiple_of(BURST) {
                time::wait_micros(WRITE_MICROS);
            }
            raw::set_flash_word(at, word);
        }
        Ok(())
    }
}
