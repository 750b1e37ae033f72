//! A small NOR flash with any content: writes clear bits, whatever was there. It ends a caller that does not come to an end.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Nor<const WRITE: usize, const PAGE: usize> {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Words that were written although they were not erased.
    pub rewrites: usize,
    /// Operations that are left.
    pub operations: u32,
}

/// A wrong place. The callers here have all reason to keep to the right ones, so it panics before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

impl core::fmt::Display for Never {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {}
    }
}

impl NorFlashError for Never {
    fn kind(&self) -> NorFlashErrorKind {
        match *self {}
    }
}

impl<const WRITE: usize, const PAGE: usize> Nor<WRITE, PAGE> {
    /// So many pages: the bytes, then erased ones.
    pub fn new(pages: usize, bytes: &[u8]) -> Nor<WRITE, PAGE> {
        let mut content = bytes.to_vec();
        content.resize(pages * PAGE, 0xff);
        Nor {
            bytes: content,
            rewrites: 0,
            operations: 200_000,
        }
    }

    fn count(&mut self) {
        self.operations = self.operations.checked_sub(1).expect("the caller comes to an end");
    }
}

impl<const WRITE: usize, const PAGE: usize> ErrorType for Nor<WRITE, PAGE> {
    type Error = Never;
}

impl<const WRITE: usize, const PAGE: usize> ReadNorFlash for Nor<WRITE, PAGE> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Never> {
        self.count();
        let at = offset as usize;
        bytes.copy_from_slice(&self.bytes[at..at + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize, const PAGE: usize> NorFlash for Nor<WRITE, PAGE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Never> {
        self.count();
        let (from, to) = (from as usize, to as usize);
        assert!(
            from.is_multiple_of(PAGE) && to.is_multiple_of(PAGE),
            "{from}..{to} is made of pages"
        );
        self.bytes[from..to].fill(0xff);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Never> {
        self.count();
        let at = offset as usize;
        assert!(
            at.is_multiple_of(WRITE) && bytes.len().is_multiple_of(WRITE),
            "{} at {at}",
            bytes.len()
        );
        let target = &mut self.bytes[at..at + bytes.len()];
        for (word, new) in target.chunks_mut(WRITE).zip(bytes.chunks(WRITE)) {
            self.rewrites += usize::from(word.iter().any(|byte| *byte != 0xff));
            word.iter_mut().zip(new).for_each(|(byte, new)| *byte &= new);
        }
        Ok(())
    }
}
