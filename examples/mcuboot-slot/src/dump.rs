//! A slot of a dump in memory, as flash: bits are cleared by writes and set by erases.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

pub struct Slot(pub Vec<u8>);

/// Why flash refused an operation.
#[derive(Debug)]
pub enum SlotError {
    /// The operation leaves the slot.
    OutOfBounds,
    /// A byte must be erased before it can be written.
    NotErased,
}

impl NorFlashError for SlotError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            SlotError::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            SlotError::NotErased => NorFlashErrorKind::Other,
        }
    }
}

impl ErrorType for Slot {
    type Error = SlotError;
}

impl ReadNorFlash for Slot {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SlotError> {
        let start = offset as usize;
        let cells = self.0.get(start..start + bytes.len()).ok_or(SlotError::OutOfBounds)?;
        bytes.copy_from_slice(cells);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Slot {
    // A larger unit would only be filled up with erased bytes, which change nothing.
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), SlotError> {
        let range = from as usize..to as usize;
        self.0.get_mut(range).ok_or(SlotError::OutOfBounds)?.fill(0xff);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotError> {
        let start = offset as usize;
        let cells = self
            .0
            .get_mut(start..start + bytes.len())
            .ok_or(SlotError::OutOfBounds)?;
        if cells.iter().zip(bytes).any(|(cell, new)| new & !cell != 0) {
            return Err(SlotError::NotErased);
        }
        cells.copy_from_slice(bytes);
        Ok(())
    }
}
