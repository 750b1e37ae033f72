//! What partitions must be like. Depends on otadata.

use core::fmt;

use super::otadata::SECTOR;

/// Why partitions cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// A slot or otadata is not a whole number of sectors of 4096 bytes.
    PartOfSector,
    /// A slot has fewer than two sectors: one is for the record.
    SlotTooShort,
    /// otadata has fewer than two sectors.
    OtadataTooShort,
    /// A slot is longer than 32-bit offsets reach.
    TooLong,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LayoutError::PartOfSector => "slots and otadata must be whole numbers of 4096 bytes",
            LayoutError::SlotTooShort => "a slot must have at least two sectors of 4096 bytes",
            LayoutError::OtadataTooShort => "otadata must have two sectors of 4096 bytes",
            LayoutError::TooLong => "a slot is longer than 4 GiB",
        })
    }
}

impl core::error::Error for LayoutError {}

/// The length of a slot.
pub(super) fn slot_len(capacity: usize) -> Result<u32, LayoutError> {
    let len = u32::try_from(capacity).map_err(|_| LayoutError::TooLong)?;
    if !len.is_multiple_of(SECTOR) {
        Err(LayoutError::PartOfSector)
    } else if len < 2 * SECTOR {
        Err(LayoutError::SlotTooShort)
    } else {
        Ok(len)
    }
}
