//! Flash that erases to 0x00, as that of STM32L0 and L1.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// All bits the other way round: an erased byte reads 0x00, and writing sets bits.
#[derive(Clone)]
pub struct ErasesToZero<F>(pub F);

impl<F: ErrorType> ErrorType for ErasesToZero<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for ErasesToZero<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.0.read(offset, bytes).await?;
        for byte in bytes {
            *byte = !*byte;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> NorFlash for ErasesToZero<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.0.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.0.write(offset, &inverted(bytes)).await
    }
}

/// What such flash holds where other flash holds these bytes.
pub fn inverted(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}
