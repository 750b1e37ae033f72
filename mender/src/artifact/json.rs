//! Strict JSON text, pulled token by token from a buffer that holds all of it.
//!
//! Pure, no recursion, no memory besides 64 bits for the nesting. Stricter than RFC 8259 where readers differ: no byte
//! order mark, no repeated keys, no lone surrogates, nothing after the outermost object.
//!
//! Tokens carry positions, not references: the caller rewrites the same buffer while it reads (see `document.rs`).

use core::ops::Range;

use super::error::JsonFault;
use crate::json_escape::escape;

/// Most levels that the tokenizer can count.
pub(super) const MAX_DEPTH: u8 = 64;

/// A fault and the byte where it is.
pub(super) type Result<T> = core::result::Result<T, (JsonFault, usize)>;

/// The raw text of a string, between its quotes, escapes not decoded; or of a number.
pub(super) type Span = Range<usize>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    ObjectStart,
    ObjectEnd,
    ListStart,
    ListEnd,
    Key(Span),
    String(Span),
    Number(Span),
    Bool,
    Null,
    /// The outermost object was closed and only white space follows.
    End,
}

impl Token {
    /// The string's text, of a string.
    pub(super) fn string(self) -> Option<Span> {
        match self {
            Token::String(span) => Some(span),
            Token::ObjectStart
            | Token::ObjectEnd
            | Token::ListStart
            | Token::ListEnd
            | Token::Key(_)
            | Token::Number(_)
            | Token::Bool
            | Token::Null
            | Token::End => None,
        }
    }
}

/// What the grammar allows next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The outermost object.
    Start,
    /// A key or `}`, right after `{`.
    FirstKey,
    /// A key, after a comma.
    Key,
    /// A value, after a colon or a comma in a list.
    Value,
    /// A value or `]`, right after `[`.
    FirstValue,
    /// A comma or the end of what is open.
    Comma,
    /// White space.
    End,
}

/// Where in the text, and inside of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokenizer {
    at: usize,
    next: Next,
    depth: u8,
    max_depth: u8,
    /// One bit per open level, the innermost lowest: 1 for an object.
    objects: u64,
}

impl Tokenizer {
    pub(super) fn new(max_depth: u8) -> Tokenizer {
        Tokenizer {
            at: 0,
            next: Next::Start,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            objects: 0,
        }
    }

    /// The next token. `text` is the same text in every call, at least from where the tokenizer is on.
    pub(super) fn next(&mut self, text: &[u8]) -> Result<Token> {
        self.skip_white(text);
        let start = self.at;
        let Some(&byte) = text.get(start) else {
            return match self.next {
                Next::End => Ok(Token::End),
                Next::Start | Next::FirstKey | Next::Key | Next::Value | Next::FirstValue | Next::Comma => {
                    Err((JsonFault::End, start))
                }
            };
        };
        let unexpected = Err((JsonFault::Unexpected, start));
        match self.next {
            Next::Start => match byte {
                b'{' => self.open(true),
                0xef => Err((JsonFault::ByteOrderMark, start)),
                _ => Err((JsonFault::NotAnObject, start)),
            },
            Next::FirstKey => match byte {
                b'}' => self.close(true),
                b'"' => self.key(text),
                _ => unexpected,
            },
            Next::Key => match byte {
                b'"' => self.key(text),
                _ => unexpected,
            },
            Next::FirstValue if byte == b']' => self.close(false),
            Next::Value | Next::FirstValue => self.value(text, byte),
            Next::Comma => match byte {
                b',' => {
                    self.at += 1;
                    self.next = if self.in_object() { Next::Key } else { Next::Value };
                    self.next(text)
                }
                b'}' if self.in_object() => self.close(true),
                b']' if !self.in_object() => self.close(false),
                _ => unexpected,
            },
            Next::End => Err((JsonFault::Trailing, start)),
        }
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn skip_white(&mut self, text: &[u8]) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(self.at) {
            self.at += 1;
        }
    }

    fn open(&mut self, object: bool) -> Result<Token> {
        if self.depth >= self.max_depth {
            return Err((JsonFault::TooDeep, self.at));
        }
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(object);
        Ok(if object {
            self.next = Next::FirstKey;
            Token::ObjectStart
        } else {
            self.next = Next::FirstValue;
            Token::ListStart
        })
    }

    fn close(&mut self, object: bool) -> Result<Token> {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.next = if self.depth == 0 { Next::End } else { Next::Comma };
        Ok(if object { Token::ObjectEnd } else { Token::ListEnd })
    }

    fn key(&mut self, text: &[u8]) -> Result<Token> {
        let span = self.string(text)?;
        self.skip_white(text);
        match text.get(self.at) {
            Some(b':') => {
                self.at += 1;
                self.next = Next::Value;
                Ok(Token::Key(span))
            }
            Some(_) => Err((JsonFault::Unexpected, self.at)),
            None => Err((JsonFault::End, self.at)),
        }
    }

    fn value(&mut self, text: &[u8], byte: u8) -> Result<Token> {
        let token = match byte {
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b'"' => Token::String(self.string(text)?),
            b'-' | b'0'..=b'9' => Token::Number(self.number(text)?),
            b't' => self.word(text, b"true", Token::Bool)?,
            b'f' => self.word(text, b"false", Token::Bool)?,
            b'n' => self.word(text, b"null", Token::Null)?,
            _ => return Err((JsonFault::Unexpected, self.at)),
        };
        self.next = Next::Comma;
        Ok(token)
    }

    fn word(&mut self, text: &[u8], word: &[u8], token: Token) -> Result<Token> {
        for expected in word {
            match text.get(self.at) {
                Some(byte) if byte == expected => self.at += 1,
                Some(_) => return Err((JsonFault::Unexpected, self.at)),
                None => return Err((JsonFault::End, self.at)),
            }
        }
        Ok(token)
    }

    fn number(&mut self, text: &[u8]) -> Result<Span> {
        let start = self.at;
        if text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits(text)?;
        }
        if text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits(text)?;
        }
        if let Some(b'e' | b'E') = text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = text.get(self.at) {
                self.at += 1;
            }
            self.digits(text)?;
        }
        if text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Err((JsonFault::Number, self.at));
        }
        Ok(start..self.at)
    }

    fn digits(&mut self, text: &[u8]) -> Result<()> {
        let start = self.at;
        while text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start {
            Err((JsonFault::Number, start))
        } else {
            Ok(())
        }
    }

    fn string(&mut self, text: &[u8]) -> Result<Span> {
        self.at += 1;
        let start = self.at;
        loop {
            match text.get(self.at) {
                None => return Err((JsonFault::End, self.at)),
                Some(b'"') => {
                    let span = start..self.at;
                    self.at += 1;
                    return Ok(span);
                }
                Some(b'\\') => {
                    let (_, len) = escape(text, self.at).ok_or((JsonFault::Escape, self.at))?;
                    self.at += len;
                }
                Some(0..=0x1f) => return Err((JsonFault::Control, self.at)),
                Some(_) => self.at += 1,
            }
        }
    }
}

/// Whether the string at `span`, escapes decoded, is `other`.
pub(super) fn is(text: &[u8], span: &Span, other: &str) -> bool {
    Decoded::new(text, span).eq(other.bytes())
}

/// The bytes of a string, escapes decoded. Ends early if the text was not checked and an escape is malformed.
pub(super) struct Decoded<'t> {
    text: &'t [u8],
    at: usize,
    utf8: [u8; 4],
    /// What is left of an escape's character in `utf8`.
    left: Range<usize>,
}

impl<'t> Decoded<'t> {
    pub(super) fn new(text: &'t [u8], span: &Span) -> Decoded<'t> {
        Decoded {
            text: text.get(..span.end).unwrap_or(&[]),
            at: span.start,
            utf8: [0; 4],
            left: 0..0,
        }
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(at) = self.left.next() {
            return self.utf8.get(at).copied();
        }
        let &byte = self.text.get(self.at)?;
        if byte != b'\\' {
            self.at += 1;
            return Some(byte);
        }
        let (character, len) = escape(self.text, self.at)?;
        self.at += len;
        self.left = 0..character.encode_utf8(&mut self.utf8).len();
        self.next()
    }
}

/// Checks the whole text: one object, strict, every key once in its object.
///
/// Takes time in proportion to the text's length times the number of keys.
pub(super) fn check(text: &[u8], max_depth: u8) -> Result<()> {
    if let Err(error) = core::str::from_utf8(text) {
        return Err((JsonFault::Utf8, error.valid_up_to()));
    }
    let mut tokens = Tokenizer::new(max_depth);
    while tokens.next(text)? != Token::End {}
    let mut tokens = Tokenizer::new(max_depth);
    loop {
        match tokens.next(text)? {
            Token::End => return Ok(()),
            Token::ObjectStart => check_keys(text, tokens)?,
            Token::ObjectEnd
            | Token::ListStart
            | Token::ListEnd
            | Token::Key(_)
            | Token::String(_)
            | Token::Number(_)
            | Token::Bool
            | Token::Null => {}
        }
    }
}

/// Checks that the object that `start` has just entered has every key once. Keys of inner objects are not looked at.
fn check_keys(text: &[u8], start: Tokenizer) -> Result<()> {
    let mut later = start;
    while let Some(key) = next_key(text, &mut later, start.depth)? {
        let mut earlier = start;
        while let Some(other) = next_key(text, &mut earlier, start.depth)? {
            if other.start >= key.start {
                break;
            }
            if Decoded::new(text, &key).eq(Decoded::new(text, &other)) {
                return Err((JsonFault::RepeatedKey, key.start));
            }
        }
    }
    Ok(())
}

/// The next key at a level, or `None` at the end of the object.
fn next_key(text: &[u8], tokens: &mut Tokenizer, depth: u8) -> Result<Option<Span>> {
    loop {
        match tokens.next(text)? {
            Token::Key(span) if tokens.depth == depth => return Ok(Some(span)),
            Token::End => return Ok(None),
            Token::ObjectEnd | Token::ListEnd if tokens.depth < depth => return Ok(None),
            Token::ObjectStart
            | Token::ObjectEnd
            | Token::ListStart
            | Token::ListEnd
            | Token::Key(_)
            | Token::String(_)
            | Token::Number(_)
            | Token::Bool
            | Token::Null => {}
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::String;

    fn fault(text: &str) -> Option<JsonFault> {
        check(text.as_bytes(), 8).err().map(|(fault, _)| fault)
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
            (r#"{"a":[[[[[[[[1]]]]]]]]}"#, TooDeep),
        ] {
            assert_eq!(fault(text), Some(expected), "{text}");
        }
        assert_eq!(check(b"{\"a\":\"\xff\"}", 8), Err((Utf8, 6)));
        assert_eq!(fault(r#"{"a":[[[[[[[1]]]]]]]}"#), None, "eight levels are allowed");
    }

    #[test]
    fn no_more_levels_than_can_be_counted() {
        let nested = |levels: usize| String::from("{\"a\":") + &"[".repeat(levels) + &"]".repeat(levels) + "}";
        assert_eq!(check(nested(63).as_bytes(), 255), Ok(()));
        let refused = check(nested(64).as_bytes(), 255);
        assert_eq!(refused, Err((JsonFault::TooDeep, 5 + 63)));
    }

    #[test]
    fn compares_decoded() {
        let text = br#""a\ud83d\ude00\n\u00e9""#;
        let span = 1..text.len() - 1;
        assert!(is(text, &span, "a😀\né"));
        assert!(!is(text, &span, "a😀\n"));
        assert!(!is(text, &span, "a😀\néx"));
    }
}
