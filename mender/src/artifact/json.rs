//! Strict JSON text, pulled token by token from a buffer that holds all of it: [`Json`] with positions, and what it leaves to its
//! reader. No repeated keys, nothing that is not UTF-8.
//!
//! Tokens carry positions, not references: the caller rewrites the same buffer while it reads (see `document.rs`).

pub(super) use crate::json::Token;
use crate::json::{Json, JsonFault, MAX_DEPTH};
use crate::text::utf8_prefix;

/// The raw text of a string, between its quotes, escapes not decoded; or where a number begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Where in the text, and inside of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokenizer {
    json: Json,
    /// The next byte; where the fault is, after one.
    pub(super) at: usize,
    /// The last key, string or number.
    pub(super) span: Span,
}

impl Tokenizer {
    pub(super) fn new() -> Tokenizer {
        Tokenizer {
            json: Json::new(),
            at: 0,
            span: Span::default(),
        }
    }

    /// Levels that are open.
    pub(super) fn depth(&self) -> u8 {
        self.json.depth
    }

    /// The next token. `text` is the same text in every call, at least from where the tokenizer is on.
    pub(super) fn next(&mut self, text: &[u8]) -> Result<Token, JsonFault> {
        loop {
            let Some(&byte) = text.get(self.at) else {
                return if self.json.is_complete() {
                    Ok(Token::End)
                } else {
                    Err(self.json.fault_at_end())
                };
            };
            let token = self.json.push(byte)?;
            match token {
                Token::Quote => self.span.start = self.at + 1,
                Token::Number => self.span.start = self.at,
                Token::Key | Token::String => self.span.end = self.at,
                Token::ObjectStart
                | Token::ObjectEnd
                | Token::ListStart
                | Token::ListEnd
                | Token::Bool
                | Token::Null
                | Token::End
                | Token::Character
                | Token::Nothing => {}
            }
            self.at += 1;
            if !matches!(token, Token::Quote | Token::Character | Token::Nothing) {
                return Ok(token);
            }
        }
    }
}

/// The bytes of a string, escapes decoded. Ends early if the text was not checked and an escape is malformed.
pub(super) struct Decoder {
    json: Json,
    at: usize,
    end: usize,
}

impl Decoder {
    pub(super) fn new(span: Span) -> Decoder {
        Decoder {
            json: Json::in_string(),
            at: span.start,
            end: span.end,
        }
    }

    /// The next byte. `text` is the same text in every call, at least from where the decoder is on.
    pub(super) fn next(&mut self, text: &[u8]) -> Option<u8> {
        loop {
            if let Some(byte) = self.json.take_byte() {
                return Some(byte);
            }
            let &byte = text.get(..self.end)?.get(self.at)?;
            self.at += 1;
            self.json.push(byte).ok()?;
        }
    }
}

/// Whether two strings are the same, escapes decoded.
fn same(text: &[u8], span: Span, other: Span) -> bool {
    let (mut one, mut two) = (Decoder::new(span), Decoder::new(other));
    loop {
        match (one.next(text), two.next(text)) {
            (None, None) => return true,
            (a, b) if a != b => return false,
            _ => {}
        }
    }
}

/// Whether the string at `span`, escapes decoded, is `plain`.
pub(super) fn is(text: &[u8], span: Span, plain: &[u8]) -> bool {
    let mut decoder = Decoder::new(span);
    plain.iter().all(|byte| decoder.next(text) == Some(*byte)) && decoder.next(text).is_none()
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
    let valid = utf8_prefix(text).len();
    if valid < text.len() {
        return Err(Refusal::Fault {
            fault: JsonFault::Utf8,
            at: valid,
        });
    }
    let mut tokens = Tokenizer::new();
    loop {
        match checked(&mut tokens, text, max_depth)? {
            Token::End => return Ok(()),
            Token::Key => {
                // None of the later keys of the same object may be the same.
                let mut later = tokens;
                while later.depth() >= tokens.depth() {
                    let token = checked(&mut later, text, max_depth)?;
                    if token == Token::Key && later.depth() == tokens.depth() && same(text, tokens.span, later.span) {
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
            | Token::Null
            | Token::Quote
            | Token::Character
            | Token::Nothing => {}
        }
    }
}

fn checked(tokens: &mut Tokenizer, text: &[u8], max_depth: u8) -> Result<Token, Refusal> {
    let token = tokens
        .next(text)
        .map_err(|fault| Refusal::Fault { fault, at: tokens.at })?;
    if tokens.depth() > max_depth.min(MAX_DEPTH) {
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
