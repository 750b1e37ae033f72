//! A simulated NOR flash that loses power at any word it writes and any page it erases, and leaves there what a real one may.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod image;
pub mod wrapped;

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// What is left of the operation during which power was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// It did not begin.
    Nothing,
    /// The first half of the word or page is done.
    FirstHalf,
    /// The second half is done.
    SecondHalf,
    /// All but the first and the last eighth is done: an erased page keeps what marks it as used.
    Middle,
    /// Some bits are done, anywhere.
    SomeBits,
    /// A page is all zeros, as flash prepares it for the erase; of a word only the first bit of each byte is written.
    Prepared,
    /// It was done, but nobody heard of it.
    All,
}

impl Torn {
    pub const ALL: [Torn; 7] = [
        Torn::Nothing,
        Torn::FirstHalf,
        Torn::SecondHalf,
        Torn::Middle,
        Torn::SomeBits,
        Torn::Prepared,
        Torn::All,
    ];

    fn mix(self, old: &mut [u8], new: &[u8], is_erase: bool) {
        let len = old.len();
        let mut random = 0x9e37_79b9_u32;
        for (index, (old, &new)) in old.iter_mut().zip(new).enumerate() {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let eighth = (len / 8).max(1);
            let mask = match self {
                Torn::Nothing => 0,
                Torn::FirstHalf if index < len / 2 => 0xff,
                Torn::SecondHalf if index >= len / 2 => 0xff,
                Torn::Middle if index >= eighth && index < len - eighth => 0xff,
                Torn::FirstHalf | Torn::SecondHalf | Torn::Middle => 0,
                Torn::SomeBits => random as u8,
                Torn::Prepared if is_erase => {
                    *old = 0;
                    0
                }
                Torn::Prepared => 0x80,
                Torn::All => 0xff,
            };
            *old = *old & !mask | new & mask;
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub words: usize,
    pub written_bytes: usize,
    pub erases: usize,
}

#[derive(Debug)]
struct Memory {
    bytes: Vec<u8>,
    counts: Counts,
    page_erases: Vec<usize>,
    /// Operations until power is lost, and how.
    cut: Option<(usize, Torn)>,
    dead: bool,
    lenient: bool,
}

/// Handles share the memory: a test keeps one over the "reboot".
#[derive(Clone, Debug)]
pub struct SimFlash<const WORD: usize, const PAGE: usize>(Rc<RefCell<Memory>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerLost;

impl NorFlashError for PowerLost {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const WORD: usize, const PAGE: usize> SimFlash<WORD, PAGE> {
    pub fn new(pages: usize) -> Self {
        SimFlash(Rc::new(RefCell::new(Memory {
            bytes: vec![0xff; PAGE * pages],
            counts: Counts::default(),
            page_erases: vec![0; pages],
            cut: None,
            dead: false,
            lenient: false,
        })))
    }

    /// Loses power during the operation number `after`, counted from 0 and from now.
    pub fn cut(&self, after: usize, torn: Torn) {
        self.0.borrow_mut().cut = Some((after, torn));
    }

    /// Power is back. Whether it had been lost.
    pub fn reboot(&self) -> bool {
        let mut memory = self.0.borrow_mut();
        memory.cut = None;
        std::mem::take(&mut memory.dead)
    }

    pub fn counts(&self) -> Counts {
        self.0.borrow().counts
    }

    /// How often each page was erased.
    pub fn page_erases(&self) -> Vec<usize> {
        self.0.borrow().page_erases.clone()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    /// Does not care any more which words are written twice: the content comes from elsewhere.
    pub fn be_lenient(&self) {
        self.0.borrow_mut().lenient = true;
    }

    pub fn set_byte(&self, at: usize, value: u8) {
        self.0.borrow_mut().bytes[at] = value;
    }

    pub fn fill(&self, content: &[u8]) {
        let mut memory = self.0.borrow_mut();
        for (place, byte) in memory.bytes.iter_mut().zip(content.iter().cycle()) {
            *place = *byte;
        }
    }
}

impl Memory {
    /// One word or page gets `new`, unless power is lost.
    fn step(&mut self, offset: usize, new: &[u8], is_erase: bool) -> Result<(), PowerLost> {
        if self.dead {
            return Err(PowerLost);
        }
        let old = &mut self.bytes[offset..offset + new.len()];
        match &mut self.cut {
            Some((0, torn)) => {
                torn.mix(old, new, is_erase);
                self.dead = true;
                return Err(PowerLost);
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        old.copy_from_slice(new);
        Ok(())
    }
}

impl<const WORD: usize, const PAGE: usize> ErrorType for SimFlash<WORD, PAGE> {
    type Error = PowerLost;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for SimFlash<WORD, PAGE> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerLost> {
        let memory = self.0.borrow();
        if memory.dead {
            return Err(PowerLost);
        }
        bytes.copy_from_slice(&memory.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().bytes.len()
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for SimFlash<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerLost> {
        assert!(from.is_multiple_of(PAGE as u32) && to.is_multiple_of(PAGE as u32) && from <= to);
        let mut memory = self.0.borrow_mut();
        for page in from as usize / PAGE..to as usize / PAGE {
            memory.step(page * PAGE, &[0xff; PAGE], true)?;
            memory.counts.erases += 1;
            memory.page_erases[page] += 1;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerLost> {
        assert!((offset as usize).is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD));
        let mut memory = self.0.borrow_mut();
        for (index, word) in bytes.chunks(WORD).enumerate() {
            let at = offset as usize + index * WORD;
            let erased = memory.bytes[at..at + WORD].iter().all(|&byte| byte == 0xff);
            assert!(
                memory.dead || memory.lenient || erased,
                "a word is written twice at {at:#x}"
            );
            // Writes clear bits and set none.
            let word: Vec<u8> = word
                .iter()
                .zip(&memory.bytes[at..])
                .map(|(new, old)| new & old)
                .collect();
            memory.step(at, &word, false)?;
            memory.counts.words += 1;
            memory.counts.written_bytes += WORD;
        }
        Ok(())
    }
}
