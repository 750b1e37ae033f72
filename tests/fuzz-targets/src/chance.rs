//! Numbers that look like chance and follow from the input, so that the same input does the same again.

pub use mender_testkit::device::SeededRng as Chance;

/// Begins with a number that follows from the bytes (FNV-1a).
pub fn of(bytes: &[u8]) -> Chance {
    Chance::new(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}
