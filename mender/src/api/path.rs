//! Percent encoding of what the device puts into paths and queries.

use crate::window::Window;

/// Appends `text` with everything percent-encoded but the unreserved characters of RFC 3986 (section 2.3).
///
/// The result is the same in a path segment and in a query value, and never contains `/`, `&`, `+` or a space.
pub(super) fn encode(out: &mut Window<'_>, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.byte(byte);
        } else {
            out.byte(b'%');
            for nibble in [byte >> 4, byte & 0xf] {
                out.byte(if nibble < 10 { b'0' + nibble } else { b'A' - 10 + nibble });
            }
        }
    }
}
