//! JSON text, pulled token by token from a buffer that holds all of it: [`Json`] with positions.
//!
//! Tokens carry positions, not references: the caller rewrites the same buffer while it reads (see `document.rs`).

pub(super) use crate::json::Token;
use crate::json::{Json, JsonFault};

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
pub(super) fn same(text: &[u8], span: Span, other: Span) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
