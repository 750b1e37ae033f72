//! Percent encoding of what the device puts into paths and queries.

use super::EncodeError;
use super::json::Writer;

/// Appends `text` with everything percent-encoded but the unreserved characters of RFC 3986 (section 2.3).
///
/// The result is the same in a path segment and in a query value, and never contains `/`, `&`, `+` or a space.
pub(super) fn encode(out: &mut Writer<'_>, text: &str) -> Result<(), EncodeError> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.byte(byte)?,
            _ => {
                out.byte(b'%')?;
                for nibble in [byte >> 4, byte & 0xf] {
                    out.byte(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'))?;
                }
            }
        }
    }
    Ok(())
}

/// What [`encode`] and constants wrote, as text.
pub(super) fn as_text(bytes: &[u8]) -> &str {
    // Always ASCII: the writers of paths append nothing else.
    core::str::from_utf8(bytes).unwrap_or("")
}
