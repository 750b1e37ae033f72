//! What a part of a flash checks, for drivers of both kinds. Depends on embedded-storage-async's errors only.

use core::fmt;
use core::ops::Range;

use embedded_storage_async::nor_flash::{NorFlashError, NorFlashErrorKind};

/// Why there cannot be such a part of a flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PartitionError {
    /// It does not begin and end at multiples of what the flash erases at once, or ends before it begins.
    Unaligned {
        /// What the flash erases at once.
        erase_len: usize,
    },
    /// It reaches beyond the end of the flash.
    BeyondFlash {
        /// Length of the flash in bytes.
        capacity: usize,
    },
    /// The driver is in use: this is asked for from within itself.
    InUse,
}

impl fmt::Display for PartitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionError::Unaligned { erase_len } => {
                write!(f, "the partition is not made of whole pages of {erase_len} bytes")
            }
            PartitionError::BeyondFlash { capacity } => {
                write!(
                    f,
                    "the partition reaches beyond the end of the flash ({capacity} bytes)"
                )
            }
            PartitionError::InUse => f.write_str("the flash driver is in use"),
        }
    }
}

impl core::error::Error for PartitionError {}

/// Why an operation on a part of a flash failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PartitionFault<E> {
    /// It reaches beyond the part.
    OutOfBounds,
    /// The driver is in use: it was called from within itself.
    InUse,
    /// The driver reported an error.
    Flash(E),
}

impl<E: fmt::Debug> fmt::Display for PartitionFault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionFault::OutOfBounds => f.write_str("beyond the end of the partition"),
            PartitionFault::InUse => f.write_str("the flash driver is in use"),
            PartitionFault::Flash(error) => write!(f, "the flash reports {error:?}"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for PartitionFault<E> {}

impl<E: NorFlashError> NorFlashError for PartitionFault<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            PartitionFault::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            PartitionFault::InUse => NorFlashErrorKind::Other,
            PartitionFault::Flash(error) => error.kind(),
        }
    }
}

/// A range of a flash that was checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    start: u32,
    len: u32,
}

impl Bounds {
    pub(super) fn new(range: Range<u32>, capacity: usize, erase_len: usize) -> Result<Bounds, PartitionError> {
        let is_aligned = |offset: u32| (offset as usize).is_multiple_of(erase_len);
        if range.start > range.end || !is_aligned(range.start) || !is_aligned(range.end) {
            return Err(PartitionError::Unaligned { erase_len });
        }
        if range.end as usize > capacity {
            return Err(PartitionError::BeyondFlash { capacity });
        }
        Ok(Bounds {
            start: range.start,
            len: range.end - range.start,
        })
    }

    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    /// Where in the flash `len` bytes from `offset` on are.
    pub(super) fn at<E>(self, offset: u32, len: usize) -> Result<u32, PartitionFault<E>> {
        let room = self.len.checked_sub(offset).ok_or(PartitionFault::OutOfBounds)?;
        if len > room as usize {
            return Err(PartitionFault::OutOfBounds);
        }
        Ok(self.start + offset)
    }

    /// Where in the flash a range is.
    pub(super) fn range<E>(self, from: u32, to: u32) -> Result<Range<u32>, PartitionFault<E>> {
        let len = to.checked_sub(from).ok_or(PartitionFault::OutOfBounds)?;
        let start = self.at(from, len as usize)?;
        Ok(start..start + len)
    }
}
