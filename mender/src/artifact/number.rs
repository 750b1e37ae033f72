//! Numbers in text.

/// The number that `digits` are, of radix 8 or 10; `u32::MAX` for all that are larger, which are refused everywhere. `None` if
/// they are not digits, or none.
pub(super) fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, &byte| {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        (digit < radix).then_some(number.saturating_mul(radix).saturating_add(digit))
    })
}
