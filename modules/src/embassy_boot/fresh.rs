//! A partition of which a part was erased beforehand.

use core::ops::Range;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// Erases a sector of `erased` no second time. For embassy-boot's `FirmwareUpdater`, which erases each sector that it comes to.
pub(super) struct Fresh<F> {
    pub(super) flash: F,
    pub(super) erased: Range<u32>,
}

impl<F: ErrorType> ErrorType for Fresh<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for Fresh<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.flash.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for Fresh<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        if self.erased.start <= from && to <= self.erased.end {
            return Ok(());
        }
        self.flash.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.flash.write(offset, bytes).await
    }
}
