//! Where the storage is in the flash, checked before anything is read; and what can go wrong.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;

use super::format::{Layout, MAX_WINDOW_LEN};

/// A range of flash for a [`FlashStorage`](super::FlashStorage), checked: an even number of pages (a page is what the flash
/// erases at once), as it is used in two halves.
///
/// Made in a `const`, a wrong range is an error of the compiler:
///
/// ```
/// # use mender::storage::FlashRange;
/// # use embedded_storage_async::nor_flash::NorFlash;
/// fn range<F: NorFlash>() -> FlashRange<F> {
///     const { FlashRange::new(0x0000..0x2000) }
/// }
/// ```
pub struct FlashRange<F> {
    pub(super) start_offset: u32,
    pub(super) end_offset: u32,
    /// What turns an erased byte into `0xff`, and back.
    pub(super) flip: u8,
    flash: PhantomData<F>,
}

impl<F> Clone for FlashRange<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for FlashRange<F> {}

impl<F> fmt::Debug for FlashRange<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlashRange({:#x}..{:#x})", self.start_offset, self.end_offset)
    }
}

/// Why a range of flash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashRangeError {
    /// The range does not begin or end at a multiple of the flash's erase size, or ends before it begins.
    Unaligned,
    /// The range has fewer than two pages, or so small ones that a half has no room for a record.
    TooSmall,
    /// The range has an odd number of pages. It is used in two halves.
    OddPages,
    /// The flash's geometry cannot be used: words of more than 32 bytes, or read and write sizes and the erase size that are no
    /// multiples of each other.
    Geometry,
}

impl FlashRangeError {
    const fn text(self) -> &'static str {
        match self {
            FlashRangeError::Unaligned => "the storage's flash range is not made of whole pages",
            FlashRangeError::TooSmall => {
                "the storage's flash range needs at least two pages with room for a record in each half"
            }
            FlashRangeError::OddPages => "the storage's flash range needs an even number of pages",
            FlashRangeError::Geometry => "the storage cannot work with this flash's page or word size",
        }
    }
}

impl fmt::Display for FlashRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for FlashRangeError {}

impl<F: NorFlash> FlashRange<F> {
    /// Checks a range of offsets within the flash.
    ///
    /// # Errors
    ///
    /// [`FlashRangeError`].
    pub const fn try_new(range: Range<u32>) -> Result<FlashRange<F>, FlashRangeError> {
        let (read, write, erase) = (F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE);
        if read == 0 || write == 0 || erase == 0 || erase > u32::MAX as usize {
            return Err(FlashRangeError::Geometry);
        }
        if read > MAX_WINDOW_LEN
            || write > MAX_WINDOW_LEN
            || !(read.is_multiple_of(write) || write.is_multiple_of(read))
        {
            return Err(FlashRangeError::Geometry);
        }
        let page = erase as u32;
        if !page.is_multiple_of(Layout::<F>::WORD) {
            return Err(FlashRangeError::Geometry);
        }
        if range.start > range.end || !range.start.is_multiple_of(page) || !range.end.is_multiple_of(page) {
            return Err(FlashRangeError::Unaligned);
        }
        let pages = (range.end - range.start) / page;
        if pages < 2 {
            return Err(FlashRangeError::TooSmall);
        }
        if !pages.is_multiple_of(2) {
            return Err(FlashRangeError::OddPages);
        }
        if pages / 2 * page < Layout::<F>::HEAD + Layout::<F>::item_len(1) {
            return Err(FlashRangeError::TooSmall);
        }
        Ok(FlashRange {
            start_offset: range.start,
            end_offset: range.end,
            flip: 0,
            flash: PhantomData,
        })
    }

    /// Checks a range of offsets within the flash. To be called in a `const` block.
    ///
    /// # Panics
    ///
    /// If [`try_new`](FlashRange::try_new) returns an error; in a `const` block that is an error of the compiler.
    pub const fn new(range: Range<u32>) -> FlashRange<F> {
        match FlashRange::try_new(range) {
            Ok(range) => range,
            Err(error) => panic!("{}", error.text()),
        }
    }

    /// Says that erased bytes of this flash are `0x00` and writes set bits, as on STM32L0 and L1.
    ///
    /// The storage does not guess it: a range of zeros could as well be what an interrupted erase has left. Without this call
    /// such a chip is refused: reads and writes of a new range report `Corrupt`, and
    /// [`erase_all`](super::super::Storage::erase_all) reports [`FlashError::NotStored`].
    #[must_use]
    pub const fn erased_to_zero(self) -> FlashRange<F> {
        FlashRange { flip: 0xff, ..self }
    }

    pub(super) const fn half_len(&self) -> u32 {
        (self.end_offset - self.start_offset) / 2
    }
}

/// Why a [`FlashStorage`](super::FlashStorage) could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashSetupError {
    /// The range reaches beyond the end of the flash.
    BeyondFlash {
        /// Size of the flash in bytes.
        capacity: usize,
    },
}

impl fmt::Display for FlashSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlashSetupError::BeyondFlash { capacity } => {
                write!(
                    f,
                    "the storage's flash range reaches beyond the end of the flash ({capacity} bytes)"
                )
            }
        }
    }
}

impl core::error::Error for FlashSetupError {}

/// What can go wrong below a [`FlashStorage`](super::FlashStorage).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The flash reported an error.
    Flash(E),
    /// What was read back is not what was written: the flash is worn out, somebody else writes to it, or it erases to `0x00`
    /// and [`FlashRange::erased_to_zero`] was not called.
    NotStored,
}

impl<E: fmt::Debug> fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlashError::Flash(error) => write!(f, "the flash reports {error:?}"),
            FlashError::NotStored => f.write_str("the flash does not keep what is written to it"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for FlashError<E> {}
