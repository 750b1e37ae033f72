//! The server's answers that are JSON, read byte by byte: what is wanted comes out decoded, nothing is kept.
//!
//! The wanted strings, as a table: in which object, under which key. Objects nest as in [`KEYS`]; whatever else a document has is
//! passed over. Escapes are decoded (every artifact link contains `\u0026`, device API, section 1), also surrogate pairs.
//!
//! Strict where it matters: a document that is cut, has something behind it, nests deeper than [`MAX_DEPTH`], has control
//! characters or wrong escapes in a string, or has a wanted key twice, is no JSON here. In what nobody wants, some things are told apart
//! from the rest and not checked: the letters of numbers and words, whether a string is UTF-8, and whether a key comes twice.
//!
//! Depends on nothing.

/// Values may nest this deep. Answers of the server nest three deep.
const MAX_DEPTH: u8 = 16;

/// More white space than this in front of a document is no document.
const MAX_BLANKS: u8 = 128;

/// A wanted string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// `id`
    Id = 0,
    /// `artifact.artifact_name`
    ArtifactName = 1,
    /// `artifact.source.uri`
    Uri = 2,
    /// `error`
    Error = 3,
}

/// Characters of a wanted string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) field: Field,
    utf8: [u8; 4],
    len: u8,
}

impl Piece {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.utf8.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

/// The bytes are not the JSON they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// A wanted string.
    String(Field),
    /// An object in which something is wanted: the level of its keys.
    Object(u8),
}

/// Keys by the level of the object that they are in: 0 the document, 1 `artifact`, 2 `artifact.source`.
const KEYS: [(u8, &[u8], Meaning); 6] = [
    (0, b"id", Meaning::String(Field::Id)),
    (0, b"error", Meaning::String(Field::Error)),
    (0, b"artifact", Meaning::Object(1)),
    (1, b"artifact_name", Meaning::String(Field::ArtifactName)),
    (1, b"source", Meaning::Object(2)),
    (2, b"uri", Meaning::String(Field::Uri)),
];

/// Where in the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In front of the document.
    Start,
    /// A key or `}`.
    FirstKey,
    /// A key.
    Key,
    Colon,
    /// A value or `]`.
    FirstItem,
    Value,
    /// A comma or the end of what is open.
    Comma,
    /// In a number or a word.
    Word,
    /// In a string.
    String,
    /// Behind a backslash.
    Escape,
    /// In the digits of `\u`: so many are missing.
    Digits(u8),
    /// Behind the document.
    End,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    place: Place,
    /// The string at hand is a key.
    in_key: bool,
    depth: u8,
    /// One bit per open level, the innermost lowest: 1 for an object.
    objects: u16,
    /// How deep the innermost object is in which something is wanted, 0 before the document; its level is one less.
    known_depth: u8,
    /// One bit per entry of [`KEYS`] that the key at hand may still be.
    candidates: u8,
    key_len: u8,
    /// What the value at hand, or the one that follows, is.
    meaning: Option<Meaning>,
    /// One bit per [`Field`] that has come.
    seen: u8,
    unit: u16,
    /// The first half of a surrogate pair that waits for its second.
    high: u16,
    blanks: u8,
}

impl Reader {
    pub(crate) const fn new() -> Reader {
        Reader {
            place: Place::Start,
            in_key: false,
            depth: 0,
            objects: 0,
            known_depth: 0,
            candidates: 0,
            key_len: 0,
            meaning: None,
            seen: 0,
            unit: 0,
            high: 0,
            blanks: 0,
        }
    }

    /// Whether nothing but white space came.
    pub(crate) fn is_blank(&self) -> bool {
        self.place == Place::Start
    }

    /// Whether a whole document came, and nothing behind it.
    pub(crate) fn is_complete(&self) -> bool {
        self.place == Place::End
    }

    /// Takes the next byte.
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<Piece>, NotJson> {
        match self.place {
            Place::String => match byte {
                b'"' if self.high == 0 => self.end_string()?,
                b'\\' => self.place = Place::Escape,
                0..=0x1f => return Err(NotJson),
                _ => return self.character([byte, 0, 0, 0], 1),
            },
            Place::Escape => {
                self.place = Place::String;
                let character = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'u' => {
                        self.unit = 0;
                        self.place = Place::Digits(4);
                        return Ok(None);
                    }
                    _ => return Err(NotJson),
                };
                return self.character([character, 0, 0, 0], 1);
            }
            Place::Digits(missing) => {
                let digit = char::from(byte).to_digit(16).ok_or(NotJson)?;
                // Below sixteen.
                self.unit = self.unit << 4 | digit as u16;
                if missing > 1 {
                    self.place = Place::Digits(missing - 1);
                } else {
                    self.place = Place::String;
                    return self.end_unit();
                }
            }
            Place::Word if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.') => {}
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {
                if self.place == Place::Start {
                    self.blanks += 1;
                    if self.blanks > MAX_BLANKS {
                        return Err(NotJson);
                    }
                } else if self.place == Place::Word {
                    self.place = Place::Comma;
                }
            }
            Place::Start => match byte {
                b'{' => self.open(true)?,
                _ => return Err(NotJson),
            },
            Place::FirstKey | Place::Key => match byte {
                b'"' => self.begin_key(),
                b'}' if self.place == Place::FirstKey => self.close(true)?,
                _ => return Err(NotJson),
            },
            Place::Colon => match byte {
                b':' => self.place = Place::Value,
                _ => return Err(NotJson),
            },
            Place::FirstItem if byte == b']' => self.close(false)?,
            Place::FirstItem | Place::Value => match byte {
                b'{' => self.open(true)?,
                b'[' => self.open(false)?,
                b'"' => {
                    self.in_key = false;
                    self.place = Place::String;
                    self.begin_value()?;
                }
                b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                    self.meaning = None;
                    self.place = Place::Word;
                }
                _ => return Err(NotJson),
            },
            Place::Word | Place::Comma => match byte {
                b',' => {
                    self.meaning = None;
                    self.place = if self.objects & 1 == 1 {
                        Place::Key
                    } else {
                        Place::Value
                    };
                }
                b'}' => self.close(true)?,
                b']' => self.close(false)?,
                _ => return Err(NotJson),
            },
            Place::End => return Err(NotJson),
        }
        Ok(None)
    }

    fn open(&mut self, object: bool) -> Result<(), NotJson> {
        if self.depth >= MAX_DEPTH {
            return Err(NotJson);
        }
        let wanted = match self.meaning {
            Some(Meaning::Object(level)) => self.depth == level,
            Some(Meaning::String(_)) => false,
            None => self.depth == 0,
        };
        self.meaning = None;
        self.depth += 1;
        if object && wanted {
            self.known_depth = self.depth;
        }
        self.objects = self.objects << 1 | u16::from(object);
        self.place = if object { Place::FirstKey } else { Place::FirstItem };
        Ok(())
    }

    fn close(&mut self, object: bool) -> Result<(), NotJson> {
        if (self.objects & 1 == 1) != object {
            return Err(NotJson);
        }
        if self.known_depth == self.depth {
            self.known_depth -= 1;
        }
        self.objects >>= 1;
        self.depth -= 1;
        self.meaning = None;
        self.place = if self.depth == 0 { Place::End } else { Place::Comma };
        Ok(())
    }

    fn begin_key(&mut self) {
        self.in_key = true;
        self.place = Place::String;
        self.key_len = 0;
        self.candidates = 0;
        if self.depth == self.known_depth {
            for (at, (level, ..)) in KEYS.iter().enumerate() {
                if level + 1 == self.depth {
                    self.candidates |= 1 << at;
                }
            }
        }
    }

    /// A string begins that is a value.
    fn begin_value(&mut self) -> Result<(), NotJson> {
        if let Some(Meaning::String(field)) = self.meaning {
            let bit = 1 << field as u8;
            if self.seen & bit != 0 {
                return Err(NotJson);
            }
            self.seen |= bit;
        } else {
            self.meaning = None;
        }
        Ok(())
    }

    fn end_string(&mut self) -> Result<(), NotJson> {
        if !self.in_key {
            self.meaning = None;
            self.place = Place::Comma;
            return Ok(());
        }
        self.place = Place::Colon;
        self.meaning = None;
        for (at, (_, key, meaning)) in KEYS.iter().enumerate() {
            if self.candidates & 1 << at != 0 && key.len() == usize::from(self.key_len) {
                self.meaning = Some(*meaning);
            }
        }
        Ok(())
    }

    /// All four digits of `\u` have come.
    fn end_unit(&mut self) -> Result<Option<Piece>, NotJson> {
        let unit = u32::from(self.unit);
        let code = match (self.high, unit) {
            (0, 0xd800..=0xdbff) => {
                self.high = self.unit;
                return Ok(None);
            }
            (0, _) => unit,
            (high, 0xdc00..=0xdfff) => 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + (unit - 0xdc00),
            _ => return Err(NotJson),
        };
        self.high = 0;
        // Fails for the second half of a pair without a first.
        let character = char::from_u32(code).ok_or(NotJson)?;
        let mut utf8 = [0; 4];
        let len = character.encode_utf8(&mut utf8).len();
        self.character(utf8, len as u8)
    }

    /// A character of a string, or a byte of one.
    fn character(&mut self, utf8: [u8; 4], len: u8) -> Result<Option<Piece>, NotJson> {
        if self.high != 0 {
            return Err(NotJson);
        }
        if self.in_key {
            for byte in utf8.iter().take(usize::from(len)) {
                for (at, (_, key, _)) in KEYS.iter().enumerate() {
                    if key.get(usize::from(self.key_len)) != Some(byte) {
                        self.candidates &= !(1 << at);
                    }
                }
                // Longer than every key of the table.
                self.key_len = self.key_len.saturating_add(1);
            }
            return Ok(None);
        }
        Ok(match self.meaning {
            Some(Meaning::String(field)) => Some(Piece { field, utf8, len }),
            Some(Meaning::Object(_)) | None => None,
        })
    }
}
