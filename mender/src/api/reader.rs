//! The server's answers that are JSON, read byte by byte: what is wanted comes out decoded, nothing is kept.
//!
//! The wanted strings, as a table: in which object, under which key. Objects nest as in [`KEYS`]; whatever else a document has is
//! passed over. Escapes are decoded (every artifact link contains `\u0026`, device API, section 1), also surrogate pairs.
//!
//! Strict, as [`Json`] is; besides, a document that nests deeper than [`MAX_DEPTH`] or has a wanted key twice is no JSON here. Not
//! checked in what nobody wants: whether a string is UTF-8, and whether a key comes twice.
//!
//! Depends on [`json`](crate::json).

use crate::json::{Json, Token};

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

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    json: Json,
    /// How deep the innermost object is in which something is wanted, 0 before the document; its level is one less.
    known_depth: u8,
    /// One bit per entry of [`KEYS`] that the key at hand may still be.
    candidates: u8,
    key_len: u8,
    /// What the value at hand, or the one that follows, is.
    meaning: Option<Meaning>,
    /// One bit per [`Field`] that has come.
    seen: u8,
    blanks: u8,
}

impl Reader {
    pub(crate) const fn new() -> Reader {
        Reader {
            json: Json::new(),
            known_depth: 0,
            candidates: 0,
            key_len: 0,
            meaning: None,
            seen: 0,
            blanks: 0,
        }
    }

    /// Whether nothing but white space came.
    pub(crate) fn is_blank(&self) -> bool {
        self.json.is_blank()
    }

    /// Whether a whole document came, and nothing behind it.
    pub(crate) fn is_complete(&self) -> bool {
        self.json.is_complete()
    }

    /// Takes the next byte.
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<Piece>, NotJson> {
        let token = self.json.push(byte).map_err(|_| NotJson)?;
        match token {
            Token::ObjectStart | Token::ListStart => self.open(token == Token::ObjectStart)?,
            Token::ObjectEnd | Token::ListEnd => {
                self.known_depth = self.known_depth.min(self.json.depth);
                self.meaning = None;
            }
            Token::Quote if self.json.is_key() => self.begin_key(),
            Token::Quote => self.begin_value()?,
            Token::Character => return Ok(self.character()),
            Token::Key => self.end_key(),
            Token::String | Token::Number | Token::Bool | Token::Null => self.meaning = None,
            // The end is no byte's.
            Token::Nothing | Token::End => {
                if self.is_blank() {
                    self.blanks += 1;
                    if self.blanks > MAX_BLANKS {
                        return Err(NotJson);
                    }
                }
            }
        }
        Ok(None)
    }

    fn open(&mut self, object: bool) -> Result<(), NotJson> {
        let depth = self.json.depth;
        if depth > MAX_DEPTH {
            return Err(NotJson);
        }
        let wanted = match self.meaning.take() {
            Some(Meaning::Object(level)) => depth == level + 1,
            Some(Meaning::String(_)) => false,
            None => depth == 1,
        };
        if object && wanted {
            self.known_depth = depth;
        }
        Ok(())
    }

    fn begin_key(&mut self) {
        self.key_len = 0;
        self.candidates = 0;
        if self.json.depth == self.known_depth {
            for (at, (level, ..)) in KEYS.iter().enumerate() {
                if level + 1 == self.known_depth {
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

    fn end_key(&mut self) {
        self.meaning = None;
        for (at, (_, key, meaning)) in KEYS.iter().enumerate() {
            if self.candidates & 1 << at != 0 && key.len() == usize::from(self.key_len) {
                self.meaning = Some(*meaning);
            }
        }
    }

    /// A character of a string, or a byte of one.
    fn character(&mut self) -> Option<Piece> {
        if self.json.is_key() {
            while let Some(byte) = self.json.take_byte() {
                for (at, (_, key, _)) in KEYS.iter().enumerate() {
                    if key.get(usize::from(self.key_len)) != Some(&byte) {
                        self.candidates &= !(1 << at);
                    }
                }
                // Longer than every key of the table.
                self.key_len = self.key_len.saturating_add(1);
            }
            return None;
        }
        match self.meaning {
            Some(Meaning::String(field)) => {
                let mut piece = Piece {
                    field,
                    utf8: [0; 4],
                    len: 0,
                };
                for place in &mut piece.utf8 {
                    let Some(byte) = self.json.take_byte() else { break };
                    *place = byte;
                    piece.len += 1;
                }
                Some(piece)
            }
            Some(Meaning::Object(_)) | None => None,
        }
    }
}
