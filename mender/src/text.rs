//! Short texts in lent memory, without `core::fmt`: what goes into a device's records and messages.
//!
//! `core::fmt` costs a microcontroller kilobytes for what is, in this crate, constant texts and small numbers. Every error of
//! this crate describes itself once, by [`Describe`]; its `Display`, for logs and hosts, is made from that.
//!
//! With the feature `terse` a description is a code, such as `E42`, in the place of a constant text, which then is not linked.
//! `artifact-info --explain E42` and the table in [`codes`] say what it means.
//!
//! Depends on [`codes`] alone.

use core::fmt;

use crate::codes::{self, Code, PackedText, Seldom};

/// What a message adds to its text, in the place of a `…`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'t> {
    /// The text of another code.
    Name(u16),
    Number(u32),
    Text(&'t str),
}

/// `a == b`, for constants.
pub(crate) const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// A text being written into lent memory. What does not fit is cut, at a character.
#[derive(Debug)]
pub struct Text<'b> {
    buffer: &'b mut [u8],
    len: usize,
    cut: bool,
}

impl<'b> Text<'b> {
    /// An empty text in `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Text<'b> {
        Text {
            buffer,
            len: 0,
            cut: false,
        }
    }

    /// Appends `text`, or as much of it as fits. Nothing is appended to a text that was cut.
    #[inline(never)]
    pub fn push(&mut self, text: &str) {
        if self.cut {
            return;
        }
        let room = self.buffer.len() - self.len;
        let fits = text.floor_char_boundary(room);
        self.cut = fits < text.len();
        let bytes = text.as_bytes().iter().take(fits);
        for (place, byte) in self.buffer.iter_mut().skip(self.len).zip(bytes) {
            *place = *byte;
        }
        self.len += fits;
    }

    /// Appends a number in decimal digits.
    #[inline(never)]
    pub fn number(&mut self, number: u32) {
        let mut digits = [0; DIGITS];
        self.push(decimal(number, &mut digits));
    }

    /// Appends a cause: its text, or with the feature `terse` the code `E` and a number.
    #[inline]
    pub fn cause(&mut self, code: u16, text: &'static str) {
        if cfg!(feature = "terse") {
            self.push("E");
            self.number(u32::from(code));
        } else {
            self.push(text);
        }
    }

    /// As [`cause`](Text::cause), of a text that is kept packed: the one at `place`, counted from 0, of what
    /// [`pack_texts`](codes::pack_texts) has made.
    ///
    /// ```
    /// use mender::codes::{pack_texts, packed_len};
    /// use mender::text::Text;
    ///
    /// const TEXTS: &[(u16, &str)] = &[(900, "the sensor does not answer"), (902, "the sensor is too hot")];
    /// static PACKED: [u8; packed_len(900, TEXTS)] = pack_texts(900, TEXTS);
    ///
    /// let mut buffer = [0; 64];
    /// let mut text = Text::new(&mut buffer);
    /// text.packed_cause(902, &PACKED, 2);
    /// assert!(["the sensor is too hot", "E902"].contains(&text.as_str()));
    /// assert!(PACKED.len() < 40);
    /// ```
    #[inline]
    pub fn packed_cause(&mut self, code: u16, texts: &'static [u8], place: usize) {
        if cfg!(feature = "terse") {
            self.cause(code, "");
        } else {
            self.unpack(PackedText::nth(texts, place), &[]);
        }
    }

    /// Appends the text of a code of this crate; with the feature `terse` the code itself.
    pub(crate) fn code(&mut self, code: Code) {
        self.message(code.number(), &[]);
    }

    /// The same of a code whose text is kept apart.
    pub(crate) fn seldom(&mut self, code: Seldom) {
        if cfg!(feature = "terse") {
            self.cause(code.number(), "");
        } else {
            self.unpack(code.text(), &[]);
        }
    }

    /// Appends the text of a code, with `parts` in the place of its `…`; in codes, the parts behind the code.
    #[inline(never)]
    pub(crate) fn message(&mut self, code: u16, parts: &[Part<'_>]) {
        if cfg!(feature = "terse") {
            self.cause(code, "");
            for part in parts {
                self.push(" ");
                self.part(*part);
            }
            return;
        }
        self.unpack(codes::packed(code), parts);
    }

    #[inline(never)]
    fn unpack(&mut self, text: PackedText, parts: &[Part<'_>]) {
        let mut parts = parts.iter();
        text.each_byte(|byte| match byte {
            Some(byte) => self.push(utf8_prefix(&[byte])),
            None => {
                if let Some(part) = parts.next() {
                    self.part(*part);
                }
            }
        });
    }

    fn part(&mut self, part: Part<'_>) {
        match part {
            Part::Name(name) => self.message(name, &[]),
            Part::Number(number) => self.number(number),
            Part::Text(text) => self.push(text),
        }
    }

    /// Appends a blank behind a code. Texts bring what separates them from what follows.
    pub fn gap(&mut self) {
        if cfg!(feature = "terse") {
            self.push(" ");
        }
    }

    /// Appends the status of an HTTP answer.
    #[inline(never)]
    pub fn status(&mut self, status: u16) {
        self.push(" (status ");
        self.number(u32::from(status));
        self.push(")");
    }

    /// Whether something did not fit.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was written.
    pub fn as_str(&self) -> &str {
        // Only whole characters are appended.
        utf8_prefix(self.buffer.get(..self.len).unwrap_or(&[]))
    }
}

/// The text that these bytes are; `None` if they are not UTF-8. (`core::str::from_utf8` is longer and returns
/// more: it is made for long texts.)
pub(crate) fn utf8(bytes: &[u8]) -> Option<&str> {
    let text = utf8_prefix(bytes);
    (text.len() == bytes.len()).then_some(text)
}

/// The text that these bytes begin with, up to the first that is not UTF-8.
#[inline(never)]
pub(crate) fn utf8_prefix(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// The number that `digits` are, of radix 8 or 10; `u32::MAX` for all that are larger, which is too large everywhere. `None` if
/// they are not digits, or none.
#[inline(never)]
pub(crate) fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, &byte| {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        (digit < radix).then_some(number.saturating_mul(radix).saturating_add(digit))
    })
}

/// Most digits of a `u32`.
pub(crate) const DIGITS: usize = 10;

/// The digits of a number, at the end of `digits`.
pub(crate) fn decimal(mut number: u32, digits: &mut [u8; DIGITS]) -> &str {
    let mut start = DIGITS;
    for (at, place) in digits.iter_mut().enumerate().rev() {
        // The remainder is below ten.
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        start = at;
        if number == 0 {
            break;
        }
    }
    utf8_prefix(digits.get(start..).unwrap_or(&[]))
}

/// Quotient and remainder of a number of 64 bits by a small one, in digits of 16 bits: a division of 64 bits is half a kilobyte of
/// code on chips that have none.
pub(crate) fn divide(number: u64, by: u16) -> (u64, u32) {
    let (mut quotient, mut rest) = (0, 0);
    for place in (0..4).rev() {
        // Of 16 bits, and a remainder below `by`.
        let digit = rest << 16 | (number >> (16 * place)) as u32 & 0xffff;
        quotient = quotient << 16 | u64::from(digit / u32::from(by));
        rest = digit % u32::from(by);
    }
    (quotient, rest)
}

/// Something that can say in a short text what it is: every error of this crate.
pub trait Describe {
    /// Appends the description.
    fn describe(&self, out: &mut Text<'_>);
}

impl Describe for str {
    fn describe(&self, out: &mut Text<'_>) {
        out.push(self);
    }
}

/// Longest description that `Display` shows, in bytes.
const DISPLAYED_LEN: usize = 192;

/// Shows a description where `core::fmt` is wanted.
pub fn display(what: &(impl Describe + ?Sized), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut buffer = [0; DISPLAYED_LEN];
    let mut text = Text::new(&mut buffer);
    what.describe(&mut text);
    f.write_str(text.as_str())
}

/// `Display` of something that describes itself, for log lines.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'d, D: ?Sized>(pub &'d D);

impl<D: Describe + ?Sized> fmt::Display for Shown<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn numbers_are_those_of_core_fmt() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u32::MAX - 1, u32::MAX] {
            let mut buffer = [0; 16];
            let mut text = Text::new(&mut buffer);
            text.number(number);
            assert_eq!(text.as_str(), number.to_string());
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_at_a_character_for_good() {
        let whole = "a\u{e9}\u{20ac}b";
        for room in 0..=whole.len() {
            let mut buffer = [0; 16];
            let mut text = Text::new(&mut buffer[..room]);
            text.push(whole);
            assert_eq!(text.as_str(), &whole[..whole.floor_char_boundary(room)]);
            text.push("z");
            assert_eq!(text.len(), whole.floor_char_boundary(room));
            assert!(text.is_cut());
        }
    }

    #[test]
    fn divisions_are_those_of_the_language() {
        for number in [
            0,
            1,
            999,
            65_535,
            65_536,
            u64::from(u32::MAX),
            253_402_300_799_999,
            u64::MAX,
        ] {
            for by in [1, 2, 10, 125, 675, 65_535] {
                let expected = (number / u64::from(by), (number % u64::from(by)) as u32);
                assert_eq!(divide(number, by), expected, "{number} / {by}");
            }
        }
    }

    #[test]
    fn texts_are_those_of_the_language() {
        for bytes in [
            &b""[..],
            b"abc",
            "a\u{e9}\u{20ac}\u{1f600}b".as_bytes(),
            b"ab\xff",
            b"\xffab",
            b"\xe2\x82",
            b"a\xe2\x82z",
            b"\xed\xa0\x80",
            b"\xc0\x80",
            b"\xf4\x90\x80\x80",
        ] {
            assert_eq!(utf8(bytes), core::str::from_utf8(bytes).ok(), "{bytes:?}");
            let valid = core::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
            assert_eq!(utf8_prefix(bytes).as_bytes(), &bytes[..valid], "{bytes:?}");
        }
    }

    #[test]
    fn numbers_are_digits_and_never_overflow() {
        for (digits, radix, expected) in [
            ("0", 10, Some(0)),
            ("0042", 10, Some(42)),
            ("4294967294", 10, Some(u32::MAX - 1)),
            ("4294967295", 10, Some(u32::MAX)),
            ("99999999999999999999", 10, Some(u32::MAX)),
            ("17", 8, Some(15)),
            ("18", 8, None),
            ("", 10, None),
            ("-1", 10, None),
            ("1 ", 10, None),
            ("1a", 10, None),
        ] {
            assert_eq!(number(digits.as_bytes(), radix), expected, "{digits}");
        }
    }

    #[test]
    fn a_cause_is_a_text_or_a_code() {
        let mut buffer = [0; 16];
        let mut text = Text::new(&mut buffer);
        text.cause(42, "no way");
        assert_eq!(text.as_str(), if cfg!(feature = "terse") { "E42" } else { "no way" });
    }

    #[test]
    fn a_message_is_the_text_with_its_parts_or_codes() {
        let mut buffer = [0; 96];
        let mut out = Text::new(&mut buffer);
        out.message(158, &[Part::Name(225), Part::Number(44)]);
        let expected = if cfg!(feature = "terse") {
            "E158 E225 44"
        } else {
            "header-info: a key occurs twice (at byte 44)"
        };
        assert_eq!(out.as_str(), expected);
        let mut buffer = [0; 96];
        let mut out = Text::new(&mut buffer);
        out.message(207, &[Part::Text("boot")]);
        let expected = if cfg!(feature = "terse") {
            "E207 boot"
        } else {
            "the artifact depends on \"boot\", which is not provided"
        };
        assert_eq!(out.as_str(), expected);
    }
}
