//! A driver that blocks, as parts that do not.

use core::cell::RefCell;
use core::fmt;
use core::ops::Range;

use embassy_futures::yield_now;
use embedded_storage::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash};
use embedded_storage_async::nor_flash as nonblocking;

use super::partition::{Bounds, PartitionError, PartitionFault};

/// A flash driver with blocking calls, shared by partitions that are used at the same time.
///
/// The calls of the partitions come back at once from their point of view, so nothing has to be locked across an `.await`; it is for
/// tasks of one executor (not `Sync`). While the driver works, the executor does not; between the pages of an erase the other
/// tasks have their turn.
pub struct SharedFlash<F> {
    flash: RefCell<F>,
}

impl<F> fmt::Debug for SharedFlash<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFlash").finish_non_exhaustive()
    }
}

impl<F> SharedFlash<F> {
    /// Shares a driver.
    pub const fn new(flash: F) -> SharedFlash<F> {
        SharedFlash {
            flash: RefCell::new(flash),
        }
    }

    /// The driver, for what partitions cannot do. `None` if it is in use, which is only within another such call.
    pub fn with<T>(&self, work: impl FnOnce(&mut F) -> T) -> Option<T> {
        Some(work(&mut *self.flash.try_borrow_mut().ok()?))
    }
}

impl<F: NorFlash> SharedFlash<F> {
    /// A part of the flash: its offset 0 is the start of `range`. Several may be in use at once; that they do not overlap is for the
    /// [`FlashMap`](super::FlashMap) to check.
    ///
    /// # Errors
    ///
    /// [`PartitionError`]: the range does not fit the flash, or the driver is in use.
    pub fn partition(&self, range: Range<u32>) -> Result<Partition<'_, F>, PartitionError> {
        let capacity = self.with(|flash| flash.capacity()).ok_or(PartitionError::InUse)?;
        Ok(Partition {
            bounds: Bounds::new(range, capacity, F::ERASE_SIZE)?,
            flash: self,
        })
    }
}

/// A part of a [`SharedFlash`], with the traits of embedded-storage-async.
///
/// # Power loss and cancellation
///
/// As the driver's. An erase of several pages that is dropped has erased some of them.
pub struct Partition<'f, F> {
    bounds: Bounds,
    flash: &'f SharedFlash<F>,
}

impl<F> fmt::Debug for Partition<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl<F: NorFlash> Partition<'_, F> {
    fn flash(&self, work: impl FnOnce(&mut F) -> Result<(), F::Error>) -> Result<(), PartitionFault<F::Error>> {
        let worked = self.flash.with(work).ok_or(PartitionFault::InUse)?;
        worked.map_err(PartitionFault::Flash)
    }
}

impl<F: NorFlash> ErrorType for Partition<'_, F> {
    type Error = PartitionFault<F::Error>;
}

impl<F: NorFlash> nonblocking::ReadNorFlash for Partition<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let start = self.bounds.at(offset, bytes.len())?;
        self.flash(|flash| flash.read(start, bytes))
    }

    fn capacity(&self) -> usize {
        self.bounds.len()
    }
}

impl<F: NorFlash> nonblocking::NorFlash for Partition<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let Range { mut start, end } = self.bounds.range(from, to)?;
        let page = F::ERASE_SIZE as u32;
        loop {
            // What is no whole page is for the driver to refuse.
            let next = if end - start > page { start + page } else { end };
            self.flash(|flash| flash.erase(start, next))?;
            if next == end {
                return Ok(());
            }
            start = next;
            yield_now().await;
        }
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let start = self.bounds.at(offset, bytes.len())?;
        self.flash(|flash| flash.write(start, bytes))
    }
}

/// What may be written more than once in the whole flash may be so in a part of it.
impl<F: MultiwriteNorFlash> nonblocking::MultiwriteNorFlash for Partition<'_, F> {}
