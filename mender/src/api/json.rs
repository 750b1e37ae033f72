//! JSON in lent memory: writing with escapes, also of JSON inside a JSON string, and reading with serde-json-core.
//!
//! Two things that serde-json-core leaves to its caller are done here. It borrows strings with their escapes in them
//! (`\u0026` in every artifact link, spec of the device API, section 1) and knows no surrogate pairs: [`decode_in_place`]
//! replaces the escapes within the body. And it descends one stack frame per nested value, also in keys that it skips:
//! [`read`] refuses deeper nesting than any answer of the server has.

use core::fmt;
use core::ops::Range;

use serde_json_core::str::EscapedStr;

use super::{EncodeError, Message};
use crate::json_escape::escape;

/// Values may nest this deep. Answers of the server nest three deep; each level costs the reader some stack.
const MAX_DEPTH: usize = 16;

/// Appends JSON to a lent slice.
///
/// `nesting` counts the JSON strings around what is being written: 0 writes text as it is, 1 writes it as the content
/// of a string, 2 as the content of a string in a JSON text that is itself the content of a string.
pub(super) struct Writer<'b> {
    out: &'b mut [u8],
    len: usize,
    message: Message,
}

impl<'b> Writer<'b> {
    pub(super) fn new(out: &'b mut [u8], message: Message) -> Writer<'b> {
        Writer { out, len: 0, message }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn buffer_len(&self) -> usize {
        self.out.len()
    }

    /// Forgets what was written after `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(super) fn full(&self) -> EncodeError {
        EncodeError::Full {
            message: self.message,
            buffer_len: self.out.len(),
        }
    }

    /// Everything written so far.
    pub(super) fn finish(self) -> &'b [u8] {
        let out: &'b [u8] = self.out;
        out.get(..self.len).unwrap_or(&[])
    }

    fn put(&mut self, byte: u8) -> Result<(), EncodeError> {
        match self.out.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
                Ok(())
            }
            None => Err(self.full()),
        }
    }

    fn put_nested(&mut self, byte: u8, nesting: u8) -> Result<(), EncodeError> {
        let Some(outer) = nesting.checked_sub(1) else {
            return self.put(byte);
        };
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => {
                for byte in [b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), hex_digit(byte & 0xf)] {
                    self.put_nested(byte, outer)?;
                }
                return Ok(());
            }
            _ => return self.put_nested(byte, outer),
        };
        self.put_nested(b'\\', outer)?;
        self.put_nested(short, outer)
    }

    /// JSON text that is correct as it stands.
    pub(super) fn raw(&mut self, json: &str) -> Result<(), EncodeError> {
        self.nested(json, 0)
    }

    /// `text` as the content of `nesting` strings.
    pub(super) fn nested(&mut self, text: &str, nesting: u8) -> Result<(), EncodeError> {
        text.bytes().try_for_each(|byte| self.put_nested(byte, nesting))
    }

    /// `text` as a JSON string, quotes included.
    pub(super) fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        self.raw("\"")?;
        self.nested(text, 1)?;
        self.raw("\"")
    }

    /// Formats something that needs no escapes.
    pub(super) fn display(&mut self, value: impl fmt::Display) -> Result<(), EncodeError> {
        // The only error that `write_str` below returns.
        fmt::write(self, format_args!("{value}")).map_err(|_| self.full())
    }

    pub(super) fn byte(&mut self, byte: u8) -> Result<(), EncodeError> {
        self.put(byte)
    }
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text).map_err(|_| fmt::Error)
    }
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble & 0xf) - 10,
    }
}

/// A body that is not the JSON it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson;

/// Reads a JSON document; strings come with their escapes, see [`place_of`] and [`decode_in_place`].
pub(super) fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, NotJson> {
    if !depth_is_bounded(body) {
        return Err(NotJson);
    }
    serde_json_core::from_slice(body)
        .map(|(value, _)| value)
        .map_err(|_| NotJson)
}

/// Whether no prefix of `body` opens more than [`MAX_DEPTH`] arrays and objects outside of strings.
fn depth_is_bounded(body: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for &byte in body {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

/// Where in `body` a string lies that was read from it.
pub(super) fn place_of(text: EscapedStr<'_>, body: &[u8]) -> Option<Range<usize>> {
    let start = text.0.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let end = start.checked_add(text.0.len())?;
    (end <= body.len()).then_some(start..end)
}

/// Replaces the escapes of the string at `place` and returns where the decoded text, never longer, now lies.
pub(super) fn decode_in_place(body: &mut [u8], place: Range<usize>) -> Result<Range<usize>, NotJson> {
    let start = place.start;
    let text = body.get_mut(place).ok_or(NotJson)?;
    let mut read = 0;
    let mut written = 0;
    while let Some(&byte) = text.get(read) {
        if byte != b'\\' {
            *text.get_mut(written).ok_or(NotJson)? = byte;
            read += 1;
            written += 1;
            continue;
        }
        let (decoded, escape_len) = escape(text, read).ok_or(NotJson)?;
        read += escape_len;
        // At most 3 bytes for an escape of 6, and 4 for a pair of 12: never beyond what has been read.
        let place = text.get_mut(written..written + decoded.len_utf8()).ok_or(NotJson)?;
        decoded.encode_utf8(place);
        written += decoded.len_utf8();
    }
    Ok(start..start + written)
}

/// The text at a place that [`decode_in_place`] returned.
pub(super) fn text_at(body: &[u8], place: Range<usize>) -> Option<&str> {
    core::str::from_utf8(body.get(place)?).ok()
}
