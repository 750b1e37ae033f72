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

/// What is behind the rules.
pub trait Memory {
    /// A word.
    fn word(&self, offset: u32) -> u32;
    /// Changes a word.
    fn set_word(&mut self, offset: u32, word: u32);
    /// It works.
    fn wait_micros(&mut self, micros: u32);
    /// Somebody has broken a rule.
    fn refused(&mut self, what: &str, range: &Range<u32>, error: FlashError);
}

/// The board's memory that plays the flash.
#[derive(Debug)]
pub struct Psram(());

impl Memory for Psram {
    fn word(&self, offset: u32) -> u32 {
        raw::flash_word(offset)
    }

    fn set_word(&mut self, offset: u32, word: u32) {
        raw::set_flash_word(offset, word);
    }

    fn wait_micros(&mut self, micros: u32) {
        time::wait_micros(micros);
    }

    fn refused(&mut self, what: &str, range: &Range<u32>, error: FlashError) {
        say!("@violation {what} {:#x}..{:#x} {error:?}", range.start, range.end);
    }
}

/// The driver, with blocking calls.
#[derive(Debug)]
pub struct Flash<M = Psram> {
    memory: M,
    user: User,
}

impl Flash {
    pub(crate) const fn new(user: User) -> Flash {
        Flash {
            memory: Psram(()),
            user,
        }
    }
}

impl<M: Memory> Flash<M> {
    fn refuse(&mut self, what: &str, range: &Range<u32>, error: FlashError) -> FlashError {
        self.memory.refused(what, range, error);
        error
    }

    fn check_change(&mut self, what: &str, range: &Range<u32>, unit: usize) -> Result<(), FlashError> {
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

impl<M> ErrorType for Flash<M> {
    type Error = FlashError;
}

impl<M: Memory> ReadNorFlash for Flash<M> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let end = offset as usize + bytes.len();
        if end > self.capacity() {
            return Err(FlashError::OutOfBounds);
        }
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = self.memory.word(at & !3).to_le_bytes();
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

impl<M: Memory> NorFlash for Flash<M> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.check_change("erase", &(from..to), PAGE)?;
        for page in (from..to).step_by(PAGE) {
            self.memory.wait_micros(ERASE_MICROS);
            for word in (page..page + PAGE as u32).step_by(WORD) {
                self.memory.set_word(word, ERASED);
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
        if places().any(|(at, word)| word != 0 && self.memory.word(at) != ERASED) {
            return Err(self.refuse("write", &range, FlashError::NotErased));
        }
        for (index, (at, word)) in places().enumerate() {
            if (index * WORD).is_multiple_of(BURST) {
                self.memory.wait_micros(WRITE_MICROS);
            }
            self.memory.set_word(at, word);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// The first 512 KiB, which begin with the settings and have all of ACTIVE.
    struct Cells {
        words: Vec<u32>,
        micros: u32,
        refused: u32,
    }

    impl Memory for Cells {
        fn word(&self, offset: u32) -> u32 {
            self.words[offset as usize / WORD]
        }

        fn set_word(&mut self, offset: u32, word: u32) {
            self.words[offset as usize / WORD] = word;
        }

        fn wait_micros(&mut self, micros: u32) {
            self.micros += micros;
        }

        fn refused(&mut self, _: &str, _: &Range<u32>, _: FlashError) {
            self.refused += 1;
        }
    }

    fn flash(user: User) -> Flash<Cells> {
        let memory = Cells {
            words: vec![ERASED; 0x8_0000 / WORD],
            micros: 0,
            refused: 0,
        };
        Flash { memory, user }
    }

    const RECORDS: u32 = MAP.range("records").start;
    const ACTIVE: Range<u32> = MAP.range("active");
    const SETTINGS: u32 = MAP.range("settings").start;

    #[test]
    fn a_word_is_written_once_until_it_is_erased() {
        let mut flash = flash(User::Firmware);
        assert_eq!(flash.write(RECORDS, &[1; 8]), Ok(()));
        assert_eq!(flash.write(RECORDS + 4, &[1; 8]), Err(FlashError::NotErased));
        let mut bytes = [0; 12];
        assert_eq!(flash.read(RECORDS + 1, &mut bytes), Ok(()));
        assert_eq!(
            bytes,
            [1, 1, 1, 1, 1, 1, 1, 255, 255, 255, 255, 255],
            "a refused write changes nothing"
        );
        assert_eq!(flash.erase(RECORDS, RECORDS + PAGE as u32), Ok(()));
        assert_eq!(flash.write(RECORDS + 4, &[1; 8]), Ok(()));
        assert_eq!(flash.memory.refused, 1);
    }

    #[test]
    fn zeros_go_over_anything() {
        let mut flash = flash(User::Firmware);
        assert_eq!(flash.write(RECORDS, &[0x18; 4]), Ok(()));
        assert_eq!(flash.write(RECORDS, &[0; 4]), Ok(()));
        assert_eq!(flash.memory.word(RECORDS), 0);
        assert_eq!(flash.write(RECORDS, &[0x18; 4]), Err(FlashError::NotErased));
    }

    #[test]
    fn what_is_no_whole_unit_is_refused() {
        let mut flash = flash(User::Firmware);
        assert_eq!(flash.write(RECORDS + 2, &[1; 4]), Err(FlashError::Unaligned));
        assert_eq!(flash.write(RECORDS, &[1; 3]), Err(FlashError::Unaligned));
        let page = PAGE as u32;
        assert_eq!(flash.erase(RECORDS + 4, RECORDS + page), Err(FlashError::Unaligned));
        assert_eq!(flash.erase(RECORDS, RECORDS + page - 4), Err(FlashError::Unaligned));
        assert_eq!(flash.erase(MAP.len, MAP.len + page), Err(FlashError::OutOfBounds));
        assert_eq!(flash.read(MAP.len - 4, &mut [0; 8]), Err(FlashError::OutOfBounds));
        assert!(flash.memory.words.iter().all(|word| *word == ERASED));
    }

    #[test]
    fn settings_and_code_that_runs_are_protected() {
        let (last, page) = (ACTIVE.end - PAGE as u32, PAGE as u32);
        let mut firmware = flash(User::Firmware);
        let mut bootloader = flash(User::Bootloader);
        for flash in [&mut firmware, &mut bootloader] {
            assert_eq!(flash.write(SETTINGS, &[1; 4]), Err(FlashError::Protected));
            assert_eq!(flash.erase(SETTINGS, SETTINGS + page), Err(FlashError::Protected));
        }
        assert_eq!(firmware.write(ACTIVE.start, &[1; 4]), Err(FlashError::Protected));
        assert_eq!(firmware.write(last - 4, &[1; 4]), Err(FlashError::Protected));
        assert_eq!(
            firmware.erase(ACTIVE.start - page, ACTIVE.start + page),
            Err(FlashError::Protected)
        );
        assert_eq!(firmware.write(last, &[1; 4]), Ok(()), "a trailer");
        assert_eq!(bootloader.erase(ACTIVE.start, ACTIVE.end), Ok(()));
        assert_eq!(bootloader.write(ACTIVE.start, &[1; 4]), Ok(()));
    }

    #[test]
    fn it_takes_its_time() {
        let mut flash = flash(User::Firmware);
        assert_eq!(flash.erase(RECORDS, RECORDS + 2 * PAGE as u32), Ok(()));
        assert_eq!(flash.memory.micros, 2 * ERASE_MICROS);
        assert_eq!(flash.write(RECORDS, &[1; BURST + WORD]), Ok(()));
        assert_eq!(flash.memory.micros, 2 * ERASE_MICROS + 2 * WRITE_MICROS);
    }
}
