//! Sizes of the partitions, checked once. Depends on the record only.

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;

use crate::record::RECORD_LEN;

/// The largest read or write unit that is supported; the units divide it. embassy-boot's own limit for alignment.
pub(super) const ALIGN: usize = 32;

/// Why partitions cannot be used. The rules are embassy-boot's own (`assert_partitions`), where the bootloader panics, but for one
/// write unit more in STATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// A partition is not a whole number of pages. A page is the larger of the erase sizes of ACTIVE and DFU, and a
    /// multiple of 32 bytes.
    PartOfPage,
    /// DFU is not at least one page longer than ACTIVE.
    DfuTooShort,
    /// STATE has no room for the progress of a swap and a write unit to spare, without which the bootloader can damage an image
    /// whose confirmation was cut short.
    StateTooShort,
    /// ACTIVE has fewer than two pages: a swap could not be told from none.
    ActiveTooShort,
    /// A partition is longer than 32-bit offsets reach.
    TooLong,
}

impl LayoutError {
    const fn text(self) -> &'static str {
        match self {
            LayoutError::PartOfPage => "ACTIVE and DFU must be whole numbers of pages",
            LayoutError::DfuTooShort => "DFU must be at least one page longer than ACTIVE",
            LayoutError::StateTooShort => "STATE must have 3 write units and 4 for each page of ACTIVE",
            LayoutError::ActiveTooShort => "ACTIVE must have at least two pages",
            LayoutError::TooLong => "a partition is longer than 4 GiB",
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for LayoutError {}

/// Does not compile, in a constant, if partitions of these lengths on these drivers cannot be used: what
/// [`EmbassyBoot::new`](super::EmbassyBoot::new) would find out at the start, the compiler finds out.
///
/// ```
/// # use mender_modules::embassy_boot::assert_partitions;
/// # use mender::embedded_storage_async::nor_flash::NorFlash;
/// # fn firmware<Flash: NorFlash>() {
/// // ACTIVE, DFU, STATE: drivers and lengths in bytes.
/// const { assert_partitions::<Flash, Flash, Flash>(0x60000, 0x61000, 0x1000) };
/// # }
/// ```
///
/// # Panics
///
/// If they cannot, with the text of the [`LayoutError`].
pub const fn assert_partitions<A: NorFlash, D: NorFlash, S: NorFlash>(active_len: u32, dfu_len: u32, state_len: u32) {
    let page_len = if A::ERASE_SIZE > D::ERASE_SIZE {
        A::ERASE_SIZE
    } else {
        D::ERASE_SIZE
    };
    let (active_len, dfu_len, state_len) = (active_len as usize, dfu_len as usize, state_len as usize);
    if let Err(error) = Layout::new(page_len, active_len, dfu_len, state_len, S::WRITE_SIZE) {
        panic!("{}", error.text());
    }
}

const fn short(len: usize) -> Option<u32> {
    if len as u64 > u32::MAX as u64 {
        return None;
    }
    Some(len as u32)
}

/// Lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) page_len: u32,
    pub(super) active_len: u32,
    pub(super) state_len: u32,
    /// STATE's write unit: the bootloader counts in it.
    pub(super) word_len: u32,
}

impl Layout {
    #[inline(never)]
    pub(super) const fn new(
        page_len: usize,
        active_len: usize,
        dfu_len: usize,
        state_len: usize,
        word_len: usize,
    ) -> Result<Layout, LayoutError> {
        let (Some(page_len), Some(active_len), Some(dfu_len)) = (short(page_len), short(active_len), short(dfu_len))
        else {
            return Err(LayoutError::TooLong);
        };
        let (Some(state_len), Some(word_len)) = (short(state_len), short(word_len)) else {
            return Err(LayoutError::TooLong);
        };
        if page_len == 0
            || !page_len.is_multiple_of(ALIGN as u32)
            || !active_len.is_multiple_of(page_len)
            || !dfu_len.is_multiple_of(page_len)
        {
            return Err(LayoutError::PartOfPage);
        }
        match dfu_len.checked_sub(active_len) {
            Some(more) if more >= page_len => {}
            Some(_) | None => return Err(LayoutError::DfuTooShort),
        }
        // One more than embassy-boot demands: where STATE ends with the last step, it takes a progress that is not valid for one
        // whose last step is still to be done, and copies a page of the old image over the new one.
        let words = (active_len / page_len).saturating_mul(4).saturating_add(3);
        if words.saturating_mul(word_len) > state_len {
            return Err(LayoutError::StateTooShort);
        }
        match active_len.checked_sub(RECORD_LEN as u32) {
            Some(room) if room >= page_len => {}
            Some(_) | None => return Err(LayoutError::ActiveTooShort),
        }
        Ok(Layout {
            page_len,
            active_len,
            state_len,
            word_len,
        })
    }

    /// Where the record is, in ACTIVE and in DFU.
    pub(super) const fn record_offset(&self) -> u32 {
        self.active_len - RECORD_LEN as u32
    }

    /// Steps of a swap that the bootloader counts: two for each page.
    pub(super) const fn swap_steps(&self) -> u32 {
        2 * (self.active_len / self.page_len)
    }
}
