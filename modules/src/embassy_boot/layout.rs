//! Sizes of the partitions, checked once. Depends on the record only.

use core::fmt;

use super::record::RECORD_LEN;

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

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LayoutError::PartOfPage => "ACTIVE and DFU must be whole numbers of pages",
            LayoutError::DfuTooShort => "DFU must be at least one page longer than ACTIVE",
            LayoutError::StateTooShort => "STATE must have 3 write units and 4 for each page of ACTIVE",
            LayoutError::ActiveTooShort => "ACTIVE must have at least two pages",
            LayoutError::TooLong => "a partition is longer than 4 GiB",
        })
    }
}

impl core::error::Error for LayoutError {}

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
    pub(super) fn new(
        page_len: usize,
        active_len: usize,
        dfu_len: usize,
        state_len: usize,
        word_len: usize,
    ) -> Result<Layout, LayoutError> {
        let long = |len: usize| u32::try_from(len).map_err(|_| LayoutError::TooLong);
        let (page_len, active_len, dfu_len) = (long(page_len)?, long(active_len)?, long(dfu_len)?);
        let (state_len, word_len) = (long(state_len)?, long(word_len)?);
        if page_len == 0
            || !page_len.is_multiple_of(ALIGN as u32)
            || !active_len.is_multiple_of(page_len)
            || !dfu_len.is_multiple_of(page_len)
        {
            return Err(LayoutError::PartOfPage);
        }
        if dfu_len.checked_sub(active_len).is_none_or(|more| more < page_len) {
            return Err(LayoutError::DfuTooShort);
        }
        // One more than embassy-boot demands: where STATE ends with the last step, it takes a progress that is not valid for one
        // whose last step is still to be done, and copies a page of the old image over the new one.
        let words = (active_len / page_len).saturating_mul(4).saturating_add(3);
        if words.saturating_mul(word_len) > state_len {
            return Err(LayoutError::StateTooShort);
        }
        if active_len
            .checked_sub(RECORD_LEN as u32)
            .is_none_or(|room| room < page_len)
        {
            return Err(LayoutError::ActiveTooShort);
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
