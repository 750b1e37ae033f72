//! JSON text, byte by byte: for the server's answers as they come, and for the documents of an artifact in their buffer.
//!
//! Pure, no recursion, no memory besides 64 bits for the nesting. Stricter than RFC 8259 where readers differ: no byte order
//! mark, no lone surrogates, nothing around the outermost value, which is an object. What a reader must see to itself: that the text
//! is UTF-8, that no key is repeated, how deep the text may nest, and how much white space there may be.
//!
//! Depends on nothing.

/// What is wrong with the text of a JSON document, at a certain byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum JsonFault {
    /// Not UTF-8.
    Utf8 = 150,
    /// A byte order mark at the beginning.
    ByteOrderMark = 151,
    /// The outermost value is not an object.
    NotAnObject = 152,
    /// Something else should be here.
    Unexpected = 153,
    /// The text ends inside a value.
    End = 154,
    /// A control character inside a string.
    Control = 155,
    /// An unknown escape, or half of a surrogate pair.
    Escape = 156,
    /// A malformed number.
    Number = 157,
    /// A key that the same object already has.
    RepeatedKey = 158,
    /// Something after the object.
    Trailing = 159,
    /// A key that the format does not know, in a place where the reference reader refuses it.
    UnknownKey = 160,
}

/// Most levels that can be told apart. After one that is deeper no more bytes may be pushed.
pub(crate) const MAX_DEPTH: u8 = 64;

/// What a byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Token {
    ObjectStart,
    ObjectEnd,
    ListStart,
    ListEnd,
    /// A string has ended that is a key.
    Key,
    /// A string has ended that is a value.
    String,
    /// A number begins. It ends with the last byte that can belong to it.
    Number,
    /// `true` or `false` begins.
    Bool,
    /// `null` begins.
    Null,
    /// Of a whole text: it has ended. Not a byte's.
    End,
    /// The quote in front of a string.
    Quote,
    /// A character of a string, or a byte of one, is complete: see [`Json::take_byte`].
    Character,
    /// Nothing yet.
    Nothing,
}

/// What the grammar allows next, in any combination; nothing but white space at the end.
const OBJECT: u8 = 1;
const KEY: u8 = 2;
const COLON: u8 = 4;
const VALUE: u8 = 8;
const COMMA: u8 = 16;
const CLOSE: u8 = 32;
const END: u8 = 0;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// What [`Json::allowed`] says.
    Between,
    String,
    /// Behind a backslash.
    Escape,
    /// In the digits of `\u`: so many are missing.
    Digits(u8),
    /// In a word, of which this place of [`WORDS`] is next.
    Word(u8),
    /// Behind the sign of a number.
    Minus,
    /// Behind a zero in front.
    Zero,
    /// In the digits in front of the point.
    Whole,
    /// Behind the point.
    Point,
    /// In the digits behind the point.
    Fraction,
    /// Behind the `e`.
    Exponent,
    /// Behind the sign of an exponent.
    ExponentSign,
    /// In the digits of an exponent.
    ExponentDigits,
}

/// The words without their first letters, a blank behind each.
const WORDS: &[u8] = b"rue alse ull ";

/// The letters behind a backslash that stand for one character, and that character.
const ESCAPES: [(u8, u8); 8] = [
    (b'"', b'"'),
    (b'\\', b'\\'),
    (b'/', b'/'),
    (b'b', 0x8),
    (b'f', 0xc),
    (b'n', b'\n'),
    (b'r', b'\r'),
    (b't', b'\t'),
];

/// Where in the text, and inside of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json {
    place: Place,
    allowed: u8,
    /// Levels that are open.
    pub(crate) depth: u8,
    /// Bytes of `character`.
    len: u8,
    /// The bytes of the last character, the next one lowest.
    character: u32,
    /// One bit per open level, the innermost lowest: 1 for an object.
    objects: u64,
    unit: u16,
    /// The first half of a surrogate pair that waits for its second.
    high: u16,
}

impl Json {
    /// In front of a text.
    pub(crate) const fn new() -> Json {
        Json {
            place: Place::Between,
            allowed: OBJECT,
            depth: 0,
            len: 0,
            character: 0,
            objects: 0,
            unit: 0,
            high: 0,
        }
    }

    /// Behind the quote in front of a string.
    pub(crate) const fn in_string() -> Json {
        let mut json = Json::new();
        json.place = Place::String;
        json
    }

    /// Whether nothing but white space came.
    pub(crate) fn is_blank(&self) -> bool {
        self.allowed == OBJECT
    }

    /// Whether a whole text came, and nothing but white space behind it.
    pub(crate) fn is_complete(&self) -> bool {
        self.allowed == END
    }

    /// Whether the string at hand is a key.
    pub(crate) fn is_key(&self) -> bool {
        self.allowed & KEY != 0
    }

    /// Why the text must not end here.
    pub(crate) fn fault_at_end(&self) -> JsonFault {
        match self.place {
            Place::Escape | Place::Digits(_) => JsonFault::Escape,
            _ if self.high != 0 => JsonFault::Escape,
            _ => JsonFault::End,
        }
    }

    /// The next byte of the last [`Token::Character`].
    pub(crate) fn take_byte(&mut self) -> Option<u8> {
        self.len = self.len.checked_sub(1)?;
        let [byte, ..] = self.character.to_le_bytes();
        self.character >>= 8;
        Some(byte)
    }

    /// Takes the next byte. After a fault no more may be pushed.
    #[inline(never)]
    pub(crate) fn push(&mut self, byte: u8) -> Result<Token, JsonFault> {
        self.place = match (self.place, byte) {
            (Place::Between, _) => return self.between(byte),
            (Place::String, b'"') if self.high == 0 => {
                self.place = Place::Between;
                if self.is_key() {
                    self.allowed = COLON;
                    return Ok(Token::Key);
                }
                self.allowed = COMMA | CLOSE;
                return Ok(Token::String);
            }
            (Place::String, b'\\') => Place::Escape,
            (Place::String, 0..=0x1f) => return Err(JsonFault::Control),
            (Place::String, _) => return self.complete(u32::from(byte), 1),
            (Place::Escape, b'u') => {
                self.unit = 0;
                Place::Digits(4)
            }
            (Place::Escape, _) => {
                self.place = Place::String;
                let escape = ESCAPES.iter().find(|(letter, _)| *letter == byte);
                let (_, character) = escape.ok_or(JsonFault::Escape)?;
                return self.complete(u32::from(*character), 1);
            }
            (Place::Digits(missing), _) => {
                let digit = char::from(byte).to_digit(16).ok_or(JsonFault::Escape)?;
                // Below sixteen.
                self.unit = self.unit << 4 | digit as u16;
                if missing == 1 {
                    self.place = Place::String;
                    return self.end_unit();
                }
                Place::Digits(missing - 1)
            }
            (Place::Word(at), _) => {
                let mut rest = WORDS.iter().skip(usize::from(at));
                if rest.next() != Some(&byte) {
                    return Err(JsonFault::Unexpected);
                }
                match rest.next() {
                    Some(b' ') => Place::Between,
                    _ => Place::Word(at + 1),
                }
            }
            (Place::Minus, b'0') => Place::Zero,
            (Place::Minus | Place::Whole, b'0'..=b'9') => Place::Whole,
            (Place::Zero | Place::Whole, b'.') => Place::Point,
            (Place::Point | Place::Fraction, b'0'..=b'9') => Place::Fraction,
            (Place::Zero | Place::Whole | Place::Fraction, b'e' | b'E') => Place::Exponent,
            (Place::Exponent, b'+' | b'-') => Place::ExponentSign,
            (Place::Exponent | Place::ExponentSign | Place::ExponentDigits, b'0'..=b'9') => Place::ExponentDigits,
            (Place::Minus | Place::Point | Place::Exponent | Place::ExponentSign, _) | (Place::Zero, b'0'..=b'9') => {
                return Err(JsonFault::Number);
            }
            (Place::Zero | Place::Whole | Place::Fraction | Place::ExponentDigits, _) => {
                self.place = Place::Between;
                return self.between(byte);
            }
        };
        Ok(Token::Nothing)
    }

    /// A byte outside of strings, numbers and words.
    fn between(&mut self, byte: u8) -> Result<Token, JsonFault> {
        let wanted = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => return Ok(Token::Nothing),
            b'{' => VALUE | OBJECT,
            b'}' | b']' => CLOSE,
            b',' => COMMA,
            b':' => COLON,
            b'"' => VALUE | KEY,
            _ => VALUE,
        };
        if self.allowed & wanted == 0 {
            return Err(match self.allowed {
                END => JsonFault::Trailing,
                OBJECT if byte == 0xef => JsonFault::ByteOrderMark,
                OBJECT => JsonFault::NotAnObject,
                _ => JsonFault::Unexpected,
            });
        }
        let in_object = self.objects & 1 != 0;
        let (allowed, place, token) = match byte {
            b'"' => {
                self.place = Place::String;
                return Ok(Token::Quote);
            }
            b',' => (if in_object { KEY } else { VALUE }, Place::Between, Token::Nothing),
            b':' => (VALUE, Place::Between, Token::Nothing),
            b'{' | b'[' => {
                let object = byte == b'{';
                self.depth = self.depth.saturating_add(1);
                self.objects = self.objects << 1 | u64::from(object);
                if object {
                    (CLOSE | KEY, Place::Between, Token::ObjectStart)
                } else {
                    (CLOSE | VALUE, Place::Between, Token::ListStart)
                }
            }
            b'}' | b']' => {
                if in_object != (byte == b'}') {
                    return Err(JsonFault::Unexpected);
                }
                self.depth = self.depth.saturating_sub(1);
                self.objects >>= 1;
                let allowed = if self.depth == 0 { END } else { COMMA | CLOSE };
                let token = if in_object { Token::ObjectEnd } else { Token::ListEnd };
                (allowed, Place::Between, token)
            }
            b'-' => (COMMA | CLOSE, Place::Minus, Token::Number),
            b'0' => (COMMA | CLOSE, Place::Zero, Token::Number),
            b'1'..=b'9' => (COMMA | CLOSE, Place::Whole, Token::Number),
            b't' => (COMMA | CLOSE, Place::Word(0), Token::Bool),
            b'f' => (COMMA | CLOSE, Place::Word(4), Token::Bool),
            b'n' => (COMMA | CLOSE, Place::Word(9), Token::Null),
            _ => return Err(JsonFault::Unexpected),
        };
        self.allowed = allowed;
        self.place = place;
        Ok(token)
    }

    /// All four digits of `\u` have come.
    fn end_unit(&mut self) -> Result<Token, JsonFault> {
        let (high, unit) = (u32::from(self.high), u32::from(self.unit));
        let code = match (high, unit) {
            (0, 0xd800..=0xdbff) => {
                self.high = self.unit;
                return Ok(Token::Nothing);
            }
            (0, _) => unit,
            (_, 0xdc00..=0xdfff) => 0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
            _ => return Err(JsonFault::Escape),
        };
        self.high = 0;
        // Fails for the second half of a pair without a first.
        let character = char::from_u32(code).ok_or(JsonFault::Escape)?;
        let mut utf8 = [0; 4];
        let len = character.encode_utf8(&mut utf8).len();
        self.complete(u32::from_le_bytes(utf8), len as u8)
    }

    fn complete(&mut self, character: u32, len: u8) -> Result<Token, JsonFault> {
        if self.high != 0 {
            return Err(JsonFault::Escape);
        }
        self.character = character;
        self.len = len;
        Ok(Token::Character)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec::Vec;

    use super::*;

    /// What a text is decoded to that is the content of a string.
    fn decoded(text: &[u8]) -> Result<String, JsonFault> {
        let mut json = Json::in_string();
        let mut bytes = Vec::new();
        for byte in text {
            if json.push(*byte)? == Token::Character {
                while let Some(byte) = json.take_byte() {
                    bytes.push(byte);
                }
            }
        }
        match json.push(b'"')? {
            Token::String => Ok(String::from_utf8(bytes).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_escape_has_its_character() {
        for (text, expected) in [
            (r"\\", "\\"),
            (r#"\"x"#, "\"x"),
            (r"\/", "/"),
            (r"\b", "\u{8}"),
            (r"\f", "\u{c}"),
            (r"\n", "\n"),
            (r"\r", "\r"),
            (r"\t", "\t"),
            (r"\u0026amp", "&amp"),
            (r"\u00e9", "é"),
            (r"é\u20AC", "é€"),
            (r"\uD83D\uDe00!", "\u{1f600}!"),
            (r"\uffff", "\u{ffff}"),
            (r"\u0000", "\0"),
        ] {
            assert_eq!(decoded(text.as_bytes()).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            r"\x41",
            r"\",
            r"\u12",
            r"\u12g4",
            r"\u+123",
            // Halves of pairs.
            r"\ud83d",
            r"\ud83dx",
            r"\ud83d\n",
            r"\ud83d\u0041",
            r"\ud83d\ud83d",
            r"\ude00\ud83d",
        ] {
            // The quote behind the first of them belongs to the escape.
            let expected = if text == r"\" {
                Err(JsonFault::Escape)
            } else {
                decoded(text.as_bytes())
            };
            assert_eq!(expected, Err(JsonFault::Escape), "{text}");
        }
    }

    #[test]
    fn numbers_and_words_have_all_their_letters() {
        let whole = |value: &str| {
            let mut json = Json::new();
            let text = std::format!("{{\"a\":{value}}}");
            text.bytes().all(|byte| json.push(byte).is_ok()) && json.is_complete()
        };
        for good in [
            "0", "-0", "10", "-1.5", "0.0", "1e5", "1E+5", "0e-0", "12.34e56", "true", "false", "null", "1 ",
        ] {
            assert!(whole(good), "{good}");
        }
        for bad in [
            "",
            "-",
            "01",
            "-01",
            "1.",
            ".5",
            "1.e5",
            "1e",
            "1e+",
            "1e+-5",
            "+1",
            "1a",
            "0x1",
            "--1",
            "1.5.5",
            "1e5.5",
            "t",
            "tru",
            "True",
            "truee",
            "nul",
            "nulll",
            "fals",
            "falsee",
            "NaN",
            "-Infinity",
        ] {
            assert!(!whole(bad), "{bad}");
        }
    }
}
