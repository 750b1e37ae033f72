//! Flash with a cell that does not hold a bit.

use embedded_storage_async::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, ReadNorFlash};

/// Of the byte at `offset` these bits are turned round when it is written.
pub struct Stuck<F> {
    pub flash: F,
    pub offset: usize,
    pub bits: u8,
}

impl<F: ErrorType> ErrorType for Stuck<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for Stuck<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.flash.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for Stuck<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.flash.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let mut bytes = bytes.to_vec();
        let at = self.offset.checked_sub(offset as usize);
        if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
            *byte ^= self.bits;
        }
        self.flash.write(offset, &bytes).await
    }
}

impl<F: MultiwriteNorFlash> MultiwriteNorFlash for Stuck<F> {}
