//! A partition as drivers give it: with waiting for the application, without for the bootloader, and with sectors that may be
//! erased only several at once.

use embedded_storage::nor_flash as blocking;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use mender_testkit::flash::{FlashError, Partition};

/// A part of the chip whose erase unit is `ERASE` bytes, a multiple of the chip's `SECTOR`.
#[derive(Clone)]
pub struct Area<const WRITE: usize, const SECTOR: usize, const ERASE: usize>(pub Partition<WRITE, SECTOR>);

impl<const WRITE: usize, const SECTOR: usize, const ERASE: usize> Area<WRITE, SECTOR, ERASE> {
    fn check(&self, from: u32, to: u32) -> Result<(), FlashError> {
        let (offset, len) = (from, to.saturating_sub(from) as usize);
        if (offset as usize).is_multiple_of(ERASE) && len.is_multiple_of(ERASE) {
            Ok(())
        } else {
            let unit = ERASE;
            Err(FlashError::NotAligned { offset, len, unit })
        }
    }
}

impl<const WRITE: usize, const SECTOR: usize, const ERASE: usize> ErrorType for Area<WRITE, SECTOR, ERASE> {
    type Error = FlashError;
}

impl<const WRITE: usize, const SECTOR: usize, const ERASE: usize> ReadNorFlash for Area<WRITE, SECTOR, ERASE> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.0.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<const WRITE: usize, const SECTOR: usize, const ERASE: usize> NorFlash for Area<WRITE, SECTOR, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.check(from, to)?;
        self.0.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.write(offset, bytes).await
    }
}

impl<const WRITE: usize, const SECTOR: usize, const ERASE: usize> blocking::ReadNorFlash
    for Area<WRITE, SECTOR, ERASE>
{
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.0.flash().read_now(self.0.range().start + offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.range().len()
    }
}

impl<const WRITE: usize, const SECTOR: usize, const ERASE: usize> blocking::NorFlash for Area<WRITE, SECTOR, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.check(from, to)?;
        let start = self.0.range().start;
        self.0.flash().erase_now(start + from..start + to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.flash().write_now(self.0.range().start + offset, bytes)
    }
}
