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
    // With these a value begins, or was one; a set of them is a byte.
    ObjectStart,
    ListStart,
    /// A string has ended that is a value.
    String,
    /// A number begins. It ends with the last byte that can belong to it.
    Number,
    /// `true` or `false` begins.
    Bool,
    /// `null` begins.
    Null,
    ObjectEnd,
    ListEnd,
    /// A string has ended that is a key.
    Key,
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
    /// In the digits of `\u`: [`Json::at`] are missing.
    Digits,
    /// In a word, of which the place [`Json::at`] of [`WORDS`] is next.
    Word,
    /// In a number: [`Json::at`] is the row of [`NUMBERS`].
    Number,
}

/// The words without their first letters, a blank behind each.
const WORDS: &[u8] = b"rue alse ull ";

/// By what a number has so far, which row follows a `0`, another digit, a point, an `e`, a sign.
static NUMBERS: [[u8; 5]; 8] = [
    // A sign.
    [1, 2, WRONG, WRONG, WRONG],
    // A zero in front.
    [WRONG, WRONG, 3, 5, OVER],
    // The digits in front of the point.
    [2, 2, 3, 5, OVER],
    // The point.
    [4, 4, WRONG, WRONG, WRONG],
    // The digits behind the point.
    [4, 4, OVER, 5, OVER],
    // The `e`.
    [7, 7, WRONG, WRONG, 6],
    // Its sign.
    [7, 7, WRONG, WRONG, WRONG],
    // Its digits.
    [7, 7, OVER, OVER, OVER],
];
/// The byte belongs to no number.
const OVER: u8 = 8;
const WRONG: u8 = 9;

/// A byte outside of strings, numbers and words, and what follows from it.
struct Sign {
    byte: u8,
    wanted: u8,
    allowed: u8,
    place: Place,
    at: u8,
    token: Token,
}

const fn sign(byte: u8, wanted: u8, allowed: u8, place: Place, at: u8, token: Token) -> Sign {
    Sign {
        byte,
        wanted,
        allowed,
        place,
        at,
        token,
    }
}

/// What can be outside of strings, numbers and words; of the digits but zero the first one.
static SIGNS: [Sign; 13] = [
    sign(b'{', VALUE | OBJECT, CLOSE | KEY, Place::Between, 0, Token::ObjectStart),
    sign(b'[', VALUE, CLOSE | VALUE, Place::Between, 0, Token::ListStart),
    sign(b'}', CLOSE, COMMA | CLOSE, Place::Between, 0, Token::ObjectEnd),
    sign(b']', CLOSE, COMMA | CLOSE, Place::Between, 0, Token::ListEnd),
    sign(b',', COMMA, VALUE, Place::Between, 0, Token::Nothing),
    sign(b':', COLON, VALUE, Place::Between, 0, Token::Nothing),
    sign(b'"', VALUE | KEY, 0, Place::String, 0, Token::Quote),
    sign(b'-', VALUE, COMMA | CLOSE, Place::Number, 0, Token::Number),
    sign(b'0', VALUE, COMMA | CLOSE, Place::Number, 1, Token::Number),
    sign(b'1', VALUE, COMMA | CLOSE, Place::Number, 2, Token::Number),
    sign(b't', VALUE, COMMA | CLOSE, Place::Word, 0, Token::Bool),
    sign(b'f', VALUE, COMMA | CLOSE, Place::Word, 4, Token::Bool),
    sign(b'n', VALUE, COMMA | CLOSE, Place::Word, 9, Token::Null),
];

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
    at: u8,
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
            at: 0,
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
            Place::Escape | Place::Digits => JsonFault::Escape,
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
        match self.place {
            Place::Between => return self.between(byte),
            Place::String => match byte {
                b'"' if self.high == 0 => {
                    self.place = Place::Between;
                    if self.is_key() {
                        self.allowed = COLON;
                        return Ok(Token::Key);
                    }
                    self.allowed = COMMA | CLOSE;
                    return Ok(Token::String);
                }
                b'\\' => self.place = Place::Escape,
                0..=0x1f => return Err(JsonFault::Control),
                _ => return self.complete(u32::from(byte), 1),
            },
            Place::Escape if byte == b'u' => {
                self.unit = 0;
                self.at = 4;
                self.place = Place::Digits;
            }
            Place::Escape => {
                self.place = Place::String;
                let escape = ESCAPES.iter().find(|(letter, _)| *letter == byte);
                let (_, character) = escape.ok_or(JsonFault::Escape)?;
                return self.complete(u32::from(*character), 1);
            }
            Place::Digits => {
                let digit = char::from(byte).to_digit(16).ok_or(JsonFault::Escape)?;
                // Below sixteen.
                self.unit = self.unit << 4 | digit as u16;
                self.at -= 1;
                if self.at == 0 {
                    self.place = Place::String;
                    return self.end_unit();
                }
            }
            Place::Word => {
                let mut rest = WORDS.iter().skip(usize::from(self.at));
                if rest.next() != Some(&byte) {
                    return Err(JsonFault::Unexpected);
                }
                self.at += 1;
                if rest.next() == Some(&b' ') {
                    self.place = Place::Between;
                }
            }
            Place::Number => {
                let class = match byte {
                    b'0' => 0,
                    b'1'..=b'9' => 1,
                    b'.' => 2,
                    b'e' | b'E' => 3,
                    // What is no sign is no part of a number either.
                    _ => 4,
                };
                let row = NUMBERS.get(usize::from(self.at));
                self.at = row.and_then(|row| row.get(class)).copied().unwrap_or(WRONG);
                if self.at == 6 && !matches!(byte, b'+' | b'-') || self.at == WRONG {
                    return Err(JsonFault::Number);
                }
                if self.at == OVER {
                    self.place = Place::Between;
                    return self.between(byte);
                }
            }
        }
        Ok(Token::Nothing)
    }

    /// A byte outside of strings, numbers and words.
    fn between(&mut self, byte: u8) -> Result<Token, JsonFault> {
        let looked_for = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => return Ok(Token::Nothing),
            b'1'..=b'9' => b'1',
            _ => byte,
        };
        let sign = SIGNS.iter().find(|sign| sign.byte == looked_for);
        let wanted = sign.map_or(VALUE, |sign| sign.wanted);
        let sign = match sign {
            Some(sign) if self.allowed & wanted != 0 => sign,
            _ => {
                return Err(match self.allowed {
                    END => JsonFault::Trailing,
                    OBJECT if byte == 0xef => JsonFault::ByteOrderMark,
                    OBJECT => JsonFault::NotAnObject,
                    _ => JsonFault::Unexpected,
                });
            }
        };
        let in_object = self.objects & 1 != 0;
        let mut allowed = sign.allowed;
        match sign.token {
            Token::ObjectStart | Token::ListStart => {
                self.depth = self.depth.saturating_add(1);
                self.objects = self.objects << 1 | u64::from(sign.token == Token::ObjectStart);
            }
            Token::ObjectEnd | Token::ListEnd => {
                if in_object != (sign.token == Token::ObjectEnd) {
                    return Err(JsonFault::Unexpected);
                }
                self.depth = self.depth.saturating_sub(1);
                self.objects >>= 1;
                if self.depth == 0 {
                    allowed = END;
                }
            }
            // Whether a key or a value begins with it is still to be known at its end.
            Token::Quote => allowed = self.allowed,
            Token::Nothing if byte == b',' && in_object => allowed = KEY,
            _ => {}
        }
        self.allowed = allowed;
        self.place = sign.place;
        self.at = sign.at;
        Ok(sign.token)
    }

    /// All four digits of `\u` have come.
    fn end_unit(&mut self) -> Result<Token, JsonFault> {
        let (high, unit) = (u32::from(self.high), u32::from(self.unit));
        let code = match (high, unit) {
            (0, 0xd800..=0xdbff) => {
                self.high = self.unit;
                return Ok(Token::Nothing);
            }
            // The second half of a pair without a first.
            (0, 0xdc00..=0xdfff) => return Err(JsonFault::Escape),
            (0, _) => unit,
            (_, 0xdc00..=0xdfff) => 0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
            _ => return Err(JsonFault::Escape),
        };
        self.high = 0;
        let (character, len) = utf8(code);
        self.complete(character, len)
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

/// The bytes of a character in UTF-8, the first one lowest, and their number. (`char::encode_utf8` is three times as long.)
fn utf8(mut code: u32) -> (u32, u8) {
    if code < 0x80 {
        return (code, 1);
    }
    let (mut bytes, mut len) = (0, 1);
    // From the last one on, six bits in each; the first one has as many ones in front as there are bytes.
    while code >= 0x80 >> len {
        bytes = bytes << 8 | 0x80 | code & 0x3f;
        code >>= 6;
        len += 1;
    }
    (bytes << 8 | 0xf00 >> len & 0xff | code, len)
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
    fn characters_are_those_of_the_language() {
        for character in '\0'..=char::MAX {
            let mut expected = [0; 4];
            let len = character.encode_utf8(&mut expected).len();
            assert_eq!(utf8(character.into()), (u32::from_le_bytes(expected), len as u8));
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
