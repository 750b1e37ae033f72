//! JSON being written, also JSON inside a JSON string.

use crate::window::Window;

/// `text` as the content of `nesting` strings around it: 0 writes it as it is, 1 as the content of a string, 2 as the content
/// of a string in a JSON text that is itself the content of a string.
pub(super) fn nested(out: &mut Window<'_>, text: &str, nesting: u8) {
    for byte in text.bytes() {
        put(out, byte, nesting);
    }
}

/// `text` as a JSON string, quotes included.
pub(super) fn string(out: &mut Window<'_>, text: &str) {
    out.byte(b'"');
    nested(out, text, 1);
    out.byte(b'"');
}

/// A key or value that is the next of an object or list, and a string.
pub(super) fn pair(out: &mut Window<'_>, before: &str, key: &str, value: &str) {
    out.text(before);
    string(out, key);
    out.byte(b':');
    string(out, value);
}

fn put(out: &mut Window<'_>, byte: u8, nesting: u8) {
    let Some(outer) = nesting.checked_sub(1) else {
        return out.byte(byte);
    };
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0..=0x1f => {
            let low = byte & 0xf;
            let digit = if low < 10 { b'0' + low } else { b'a' - 10 + low };
            for byte in [b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit] {
                put(out, byte, outer);
            }
            return;
        }
        _ => return put(out, byte, outer),
    };
    put(out, b'\\', outer);
    put(out, short, outer);
}
