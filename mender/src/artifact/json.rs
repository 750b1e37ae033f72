//! Strict JSON text, pulled token by token from a buffer that holds all of it.
//!
//! Pure, no recursion, no memory besides 64 bits for the nesting. Stricter than RFC 8259 where readers differ: no byte
//! order mark, no repeated keys, no lone surrogates, nothing after the outermost object.
//!
//! Tokens carry positions, not references: the caller rewrites the same buffer while it reads (see `document.rs`).

use super::fault::JsonFault;
use crate::json_escape::escape;

/// Most levels that the tokenizer can count. It may be asked for no token after one that is deeper.
pub(super) const MAX_DEPTH: u8 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Token {
    ObjectStart,
    ObjectEnd,
    ListStart,
    ListEnd,
    /// The tokenizer's span is its text.
    Key,
    /// The tokenizer's span is its text.
    String,
    /// The tokenizer's span is its text.
    Number,
    Bool,
    Null,
    /// The outermost object was closed and only white space follows.
    End,
}

/// The raw text of a string, between its quotes, escapes not decoded; or of a number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What the grammar allows next, in any combination; nothing but white space at the end.
const OBJECT: u8 = 1;
const KEY: u8 = 2;
const COLON: u8 = 4;
const VALUE: u8 = 8;
const COMMA: u8 = 16;
const CLOSE: u8 = 32;
const END: u8 = 0;

/// Where in the text, and inside of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokenizer {
    /// The next byte; where the fault is, after one.
    pub(super) at: usize,
    /// The last key, string or number.
    pub(super) span: Span,
    allowed: u8,
    /// Levels that are open.
    pub(super) depth: u8,
    /// One bit per open level, the innermost lowest: 1 for an object.
    objects: u64,
}

impl Tokenizer {
    pub(super) fn new() -> Tokenizer {
        Tokenizer {
            at: 0,
            span: Span::default(),
            allowed: OBJECT,
            depth: 0,
            objects: 0,
        }
    }

    /// The next token. `text` is the same text in every call, at least from where the tokenizer is on.
    pub(super) fn next(&mut self, text: &[u8]) -> Result<Token, JsonFault> {
        loop {
            let Some(&byte) = text.get(self.at) else {
                return if self.allowed == END {
                    Ok(Token::End)
                } else {
                    Err(JsonFault::End)
                };
            };
            let wanted = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => {
                    self.at += 1;
                    continue;
                }
                b'{' => VALUE | OBJECT,
                b'}' | b']' => CLOSE,
                b',' => COMMA,
                b':' => COLON,
                b'"' => VALUE | KEY,
                _ => VALUE,
            };
            let key = self.allowed & KEY != 0;
            if self.allowed & wanted == 0 {
                return Err(match self.allowed {
                    END => JsonFault::Trailing,
                    OBJECT if byte == 0xef => JsonFault::ByteOrderMark,
                    OBJECT => JsonFault::NotAnObject,
                    _ => JsonFault::Unexpected,
                });
            }
            let in_object = self.objects & 1 != 0;
            match byte {
                b',' => self.allowed = if in_object { KEY } else { VALUE },
                b':' => self.allowed = VALUE,
                b'{' | b'[' => {
                    let object = byte == b'{';
                    self.at += 1;
                    self.depth = self.depth.saturating_add(1);
                    self.objects = self.objects << 1 | u64::from(object);
                    self.allowed = CLOSE | if object { KEY } else { VALUE };
                    return Ok(if object { Token::ObjectStart } else { Token::ListStart });
                }
                b'}' | b']' => {
                    if in_object != (byte == b'}') {
                        return Err(JsonFault::Unexpected);
                    }
                    self.at += 1;
                    self.depth = self.depth.saturating_sub(1);
                    self.objects >>= 1;
                    self.allowed = if self.depth == 0 { END } else { COMMA | CLOSE };
                    return Ok(if in_object { Token::ObjectEnd } else { Token::ListEnd });
                }
                _ => {
                    let token = self.scalar(text, byte)?;
                    if key {
                        self.allowed = COLON;
                        return Ok(Token::Key);
                    }
                    self.allowed = COMMA | CLOSE;
                    return Ok(token);
                }
            }
            self.at += 1;
        }
    }

    fn scalar(&mut self, text: &[u8], first: u8) -> Result<Token, JsonFault> {
        let (word, token): (&[u8], Token) = match first {
            b'"' => return self.string(text),
            b'-' | b'0'..=b'9' => return self.number(text),
            b't' => (b"true", Token::Bool),
            b'f' => (b"false", Token::Bool),
            b'n' => (b"null", Token::Null),
            _ => return Err(JsonFault::Unexpected),
        };
        for expected in word {
            match text.get(self.at) {
                Some(byte) if byte == expected => self.at += 1,
                Some(_) => return Err(JsonFault::Unexpected),
                None => return Err(JsonFault::End),
            }
        }
        Ok(token)
    }

    fn number(&mut self, text: &[u8]) -> Result<Token, JsonFault> {
        let start = self.at;
        self.skip(text, b'-', b'-');
        if !self.skip(text, b'0', b'0') {
            self.digits(text)?;
        }
        if self.skip(text, b'.', b'.') {
            self.digits(text)?;
        }
        if self.skip(text, b'e', b'e') || self.skip(text, b'E', b'E') {
            let _ = self.skip(text, b'+', b'+') || self.skip(text, b'-', b'-');
            self.digits(text)?;
        }
        self.span = Span { start, end: self.at };
        // A digit behind a leading zero.
        if self.skip(text, b'0', b'9') {
            self.at = self.span.end;
            return Err(JsonFault::Number);
        }
        Ok(Token::Number)
    }

    fn digits(&mut self, text: &[u8]) -> Result<(), JsonFault> {
        if !self.skip(text, b'0', b'9') {
            return Err(JsonFault::Number);
        }
        while self.skip(text, b'0', b'9') {}
        Ok(())
    }

    /// Passes over the next byte if it is one from `first` to `last`.
    #[inline(never)]
    fn skip(&mut self, text: &[u8], first: u8, last: u8) -> bool {
        let found = text.get(self.at).is_some_and(|byte| (first..=last).contains(byte));
        self.at += usize::from(found);
        found
    }

    fn string(&mut self, text: &[u8]) -> Result<Token, JsonFault> {
        self.at += 1;
        self.span.start = self.at;
        loop {
            self.at += match text.get(self.at) {
                None => return Err(JsonFault::End),
                Some(b'"') => {
                    self.span.end = self.at;
                    self.at += 1;
                    return Ok(Token::String);
                }
                Some(b'\\') => escape(text, self.at).ok_or(JsonFault::Escape)?.1,
                Some(0..=0x1f) => return Err(JsonFault::Control),
                Some(_) => 1,
            };
        }
    }
}

/// The bytes of a string, escapes decoded. Ends early if the text was not checked and an escape is malformed.
pub(super) struct Decoder {
    at: usize,
    end: usize,
    /// The bytes of an escape's character that are missing, the next one lowest, and their number.
    utf8: u32,
    missing: u8,
}

impl Decoder {
    pub(super) fn new(span: Span) -> Decoder {
        Decoder {
            at: span.start,
            end: span.end,
            utf8: 0,
            missing: 0,
        }
    }

    /// The next byte. `text` is the same text in every call, at least from where the decoder is on.
    pub(super) fn next(&mut self, text: &[u8]) -> Option<u8> {
        if self.missing == 0 {
            let &byte = text.get(..self.end)?.get(self.at)?;
            if byte != b'\\' {
                self.at += 1;
                return Some(byte);
            }
            let (character, len) = escape(text, self.at)?;
            self.at += len;
            let mut utf8 = [0; 4];
            // A character has at most four bytes.
            self.missing = character.encode_utf8(&mut utf8).len() as u8;
            self.utf8 = u32::from_le_bytes(utf8);
        }
        let [byte, ..] = self.utf8.to_le_bytes();
        self.utf8 >>= 8;
        self.missing -= 1;
        Some(byte)
    }
}

/// Whether two strings are the same, escapes decoded.
pub(super) fn same(text: &[u8], span: Span, other: &[u8], other_span: Span) -> bool {
    let (mut one, mut two) = (Decoder::new(span), Decoder::new(other_span));
    loop {
        match (one.next(text), two.next(other)) {
            (None, None) => return true,
            (a, b) if a != b => return false,
            _ => {}
        }
    }
}

/// Whether the string at `span`, escapes decoded, is `plain`, which has no escapes.
pub(super) fn is(text: &[u8], span: Span, plain: &[u8]) -> bool {
    let whole = Span {
        start: 0,
        end: plain.len(),
    };
    same(text, span, plain, whole)
}

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Fault {
        fault: JsonFault,
        at: usize,
    },
    /// More levels than allowed.
    TooDeep,
}

/// Checks the whole text: one object, strict, at most `max_depth` levels, every key once in its object.
///
/// Takes time in proportion to the text's length times the number of keys.
pub(super) fn check(text: &[u8], max_depth: u8) -> Result<(), Refusal> {
    if let Err(error) = core::str::from_utf8(text) {
        return Err(Refusal::Fault {
            fault: JsonFault::Utf8,
            at: error.valid_up_to(),
        });
    }
    let mut tokens = Tokenizer::new();
    loop {
        match checked(&mut tokens, text, max_depth)? {
            Token::End => return Ok(()),
            Token::Key => {
                // None of the later keys of the same object may be the same.
                let mut later = tokens;
                while later.depth >= tokens.depth {
                    let token = checked(&mut later, text, max_depth)?;
                    if token == Token::Key && later.depth == tokens.depth && same(text, tokens.span, text, later.span) {
                        return Err(Refusal::Fault {
                            fault: JsonFault::RepeatedKey,
                            at: later.span.start,
                        });
                    }
                }
            }
            Token::ObjectStart
            | Token::ObjectEnd
            | Token::ListStart
            | Token::ListEnd
            | Token::String
            | Token::Number
            | Token::Bool
            | Token::Null => {}
        }
    }
}

fn checked(tokens: &mut Tokenizer, text: &[u8], max_depth: u8) -> Result<Token, Refusal> {
    let token = tokens
        .next(text)
        .map_err(|fault| Refusal::Fault { fault, at: tokens.at })?;
    if tokens.depth > max_depth.min(MAX_DEPTH) {
        return Err(Refusal::TooDeep);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::String;

    fn fault(text: &str) -> Option<JsonFault> {
        match check(text.as_bytes(), 8) {
            Ok(()) => None,
            Err(Refusal::Fault { fault, .. }) => Some(fault),
            Err(Refusal::TooDeep) => panic!("{text} is too deep"),
        }
    }

    #[test]
    fn accepts_what_rfc_8259_allows() {
        for text in [
            "{}",
            " \t\r\n{ } \n",
            r#"{"a":1,"b":[],"c":[1,-0,0.5e+10,1E5,true,false,null,"x",{}],"d":{"a":{"a":1}}}"#,
            r#"{"":"","a":"\"\\\/\b\f\n\r\té😀\u0000"}"#,
            "{\"a\":\"\u{7f}ü\u{2028}\"}",
            r#"{"a":{"k":1},"b":{"k":1},"k":1}"#,
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        use JsonFault::*;
        for (text, expected) in [
            ("", End),
            ("  ", End),
            ("\u{feff}{}", ByteOrderMark),
            ("null", NotAnObject),
            ("[]", NotAnObject),
            ("\"\"", NotAnObject),
            ("{}{}", Trailing),
            ("{} x", Trailing),
            ("{}\0", Trailing),
            ("{", End),
            ("{\"a", End),
            ("{\"a\"", End),
            ("{\"a\":", End),
            ("{\"a\":1", End),
            ("{\"a\":tru", End),
            ("{\"a\":1,}", Unexpected),
            ("{,}", Unexpected),
            ("{\"a\" 1}", Unexpected),
            ("{a:1}", Unexpected),
            ("{\"a\":[1,]}", Unexpected),
            ("{\"a\":[,1]}", Unexpected),
            ("{\"a\":[1}", Unexpected),
            ("{\"a\":1]", Unexpected),
            ("{\"a\":nul1}", Unexpected),
            ("{\"a\":'x'}", Unexpected),
            ("{\"a\":NaN}", Unexpected),
            ("{\"a\":1 2}", Unexpected),
            ("{\"a\":\u{c}1}", Unexpected),
            ("{\"a\":01}", Number),
            ("{\"a\":-}", Number),
            ("{\"a\":1.}", Number),
            ("{\"a\":.5}", Unexpected),
            ("{\"a\":+1}", Unexpected),
            ("{\"a\":1e}", Number),
            ("{\"a\":\"\n\"}", Control),
            ("{\"a\":\"\\x\"}", Escape),
            ("{\"a\":\"\\u12g4\"}", Escape),
            ("{\"a\":\"\\ud83d\"}", Escape),
            ("{\"a\":\"\\ud83d\\u0041\"}", Escape),
            ("{\"a\":\"\\ude00\"}", Escape),
            ("{\"a\":\"\\", Escape),
            (r#"{"a":1,"b":2,"a":3}"#, RepeatedKey),
            (r#"{"a":1,"\u0061":2}"#, RepeatedKey),
            (r#"{"x":[{"a":{"b":1},"a":2}]}"#, RepeatedKey),
        ] {
            assert_eq!(fault(text), Some(expected), "{text}");
        }
        let expected = Refusal::Fault { fault: Utf8, at: 6 };
        assert_eq!(check(b"{\"a\":\"\xff\"}", 8), Err(expected));
        assert_eq!(check(br#"{"a":[[[[[[[[1]]]]]]]]}"#, 8), Err(Refusal::TooDeep));
        assert_eq!(fault(r#"{"a":[[[[[[[1]]]]]]]}"#), None, "eight levels are allowed");
    }

    #[test]
    fn no_more_levels_than_can_be_counted() {
        let nested = |levels: usize| String::from("{\"a\":") + &"[".repeat(levels) + &"]".repeat(levels) + "}";
        assert_eq!(check(nested(63).as_bytes(), 255), Ok(()));
        assert_eq!(check(nested(64).as_bytes(), 255), Err(Refusal::TooDeep));
    }

    #[test]
    fn compares_decoded() {
        let text = br#""a\ud83d\ude00\n\u00e9""#;
        let span = Span {
            start: 1,
            end: text.len() - 1,
        };
        assert!(is(text, span, "a😀\né".as_bytes()));
        assert!(!is(text, span, "a😀\n".as_bytes()));
        assert!(!is(text, span, "a😀\néx".as_bytes()));
    }
}
