//! An async driver in several parts.

use core::fmt;
use core::ops::Range;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use embedded_storage_async::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, ReadNorFlash};

use super::partition::{Bounds, PartitionError, PartitionFault};

/// An async flash driver, shared by partitions that are used at the same time: who comes second waits. For tasks of one executor.
pub struct SharedAsyncFlash<F> {
    capacity: usize,
    flash: Mutex<NoopRawMutex, F>,
}

impl<F> fmt::Debug for SharedAsyncFlash<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedAsyncFlash")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<F: NorFlash> SharedAsyncFlash<F> {
    /// Shares a driver.
    pub fn new(flash: F) -> SharedAsyncFlash<F> {
        SharedAsyncFlash {
            capacity: flash.capacity(),
            flash: Mutex::new(flash),
        }
    }

    /// A part of the flash: its offset 0 is the start of `range`. Several may be in use at once; that they do not overlap is for the
    /// [`FlashMap`](super::FlashMap) to check.
    ///
    /// # Errors
    ///
    /// [`PartitionError`]: the range does not fit the flash.
    pub fn partition(&self, range: Range<u32>) -> Result<AsyncPartition<'_, F>, PartitionError> {
        Ok(AsyncPartition {
            bounds: Bounds::new(range, self.capacity, F::ERASE_SIZE)?,
            flash: &self.flash,
        })
    }
}

/// A part of a [`SharedAsyncFlash`].
///
/// # Power loss and cancellation
///
/// As the driver's.
pub struct AsyncPartition<'f, F> {
    bounds: Bounds,
    flash: &'f Mutex<NoopRawMutex, F>,
}

impl<F> fmt::Debug for AsyncPartition<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncPartition")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl<F: NorFlash> ErrorType for AsyncPartition<'_, F> {
    type Error = PartitionFault<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for AsyncPartition<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let start = self.bounds.at(offset, bytes.len())?;
        let mut flash = self.flash.lock().await;
        flash.read(start, bytes).await.map_err(PartitionFault::Flash)
    }

    fn capacity(&self) -> usize {
        self.bounds.len()
    }
}

impl<F: NorFlash> NorFlash for AsyncPartition<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let range = self.bounds.range(from, to)?;
        let mut flash = self.flash.lock().await;
        flash.erase(range.start, range.end).await.map_err(PartitionFault::Flash)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let start = self.bounds.at(offset, bytes.len())?;
        let mut flash = self.flash.lock().await;
        flash.write(start, bytes).await.map_err(PartitionFault::Flash)
    }
}

/// What may be written more than once in the whole flash may be so in a part of it.
impl<F: MultiwriteNorFlash> MultiwriteNorFlash for AsyncPartition<'_, F> {}
