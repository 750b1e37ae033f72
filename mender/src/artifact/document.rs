//! The JSON documents of an artifact: checked, and what a client needs of them stored in the same bytes.
//!
//! header-info and type-info become a list of records
//!
//! ```text
//! +---------+--------------+------------------------------+
//! | tag: u8 | len: u16, LE | text, JSON escapes decoded   |
//! +---------+--------------+------------------------------+
//! ```
//!
//! which is never longer than the JSON it comes from: a string in JSON has two quotes and a separator. A key of
//! `artifact_depends` is followed by the records of its values, a key of `artifact_provides` by its value.
//!
//! Rules: spec of the artifact format, sections 3 and 6.

use super::error::{Document, DocumentFault, Error, Feature, JsonFault, Key};
use super::json::{self, Span, Token, Tokenizer};
use super::limits::{Limit, Limits};
use crate::json_escape::escape;

const RECORD_HEADER_LEN: usize = 3;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    PayloadType = 1,
    ArtifactName = 2,
    ArtifactGroup = 3,
    DeviceType = 4,
    DependsKey = 5,
    DependsValue = 6,
    ProvidesKey = 7,
    ProvidesValue = 8,
    /// `clears_artifact_provides` is there; an empty text. Its patterns follow.
    Clears = 9,
    ClearsPattern = 10,
}

impl Tag {
    fn from_byte(byte: u8) -> Option<Tag> {
        [
            Tag::PayloadType,
            Tag::ArtifactName,
            Tag::ArtifactGroup,
            Tag::DeviceType,
            Tag::DependsKey,
            Tag::DependsValue,
            Tag::ProvidesKey,
            Tag::ProvidesValue,
            Tag::Clears,
            Tag::ClearsPattern,
        ]
        .into_iter()
        .find(|tag| *tag as u8 == byte)
    }
}

/// Iterator over records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records<'w>(pub(super) &'w [u8]);

impl<'w> Records<'w> {
    pub(super) fn first(mut self, wanted: Tag) -> Option<&'w str> {
        self.find(|(tag, _)| *tag == wanted).map(|(_, text)| text)
    }
}

impl<'w> Iterator for Records<'w> {
    type Item = (Tag, &'w str);

    fn next(&mut self) -> Option<(Tag, &'w str)> {
        let &[tag, low, high, ref rest @ ..] = self.0 else {
            return None;
        };
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        self.0 = rest;
        Some((Tag::from_byte(tag)?, core::str::from_utf8(text).ok()?))
    }
}

/// A document that is being read, and overwritten by its records from the beginning on.
struct Reader<'w> {
    document: Document,
    text: &'w mut [u8],
    tokens: Tokenizer,
    /// Length of the records so far.
    stored: usize,
}

impl<'w> Reader<'w> {
    /// Checks the whole text and enters the outermost object.
    fn new(document: Document, text: &'w mut [u8], limits: &Limits) -> Result<Reader<'w>, Error> {
        json::check(text, limits.json_depth).map_err(|fault| json_error(document, fault, limits))?;
        let mut reader = Reader {
            document,
            text,
            tokens: Tokenizer::new(json::MAX_DEPTH),
            stored: 0,
        };
        reader.token()?;
        Ok(reader)
    }

    fn fail(&self, fault: DocumentFault) -> Error {
        Error::Document {
            document: self.document,
            fault,
        }
    }

    fn token(&mut self) -> Result<Token, Error> {
        self.tokens.next(self.text).map_err(|(fault, at)| {
            self.fail(DocumentFault::Json {
                fault,
                at: u32::try_from(at).unwrap_or(u32::MAX),
            })
        })
    }

    /// The next key of an object that was entered, or `None` at its end. The value before was read completely.
    fn key(&mut self) -> Result<Option<Span>, Error> {
        match self.token()? {
            Token::Key(span) => Ok(Some(span)),
            Token::ObjectEnd => Ok(None),
            Token::ObjectStart
            | Token::ListStart
            | Token::ListEnd
            | Token::String(_)
            | Token::Number(_)
            | Token::Bool
            | Token::Null
            | Token::End => Err(self.unexpected()),
        }
    }

    /// The next string of a list that was entered, or `None` at its end.
    fn item(&mut self, key: Key) -> Result<Option<Span>, Error> {
        match self.token()? {
            Token::ListEnd => Ok(None),
            token => self.as_string(token, key).map(Some),
        }
    }

    /// Stores all strings of a list that was entered; returns their number.
    fn store_items(&mut self, tag: Tag, key: Key) -> Result<u16, Error> {
        let mut count = 0_u16;
        while let Some(value) = self.item(key)? {
            self.store(tag, &value)?;
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// Enters an object or list, or reads a value, of which only one kind will do.
    fn expect(&mut self, expected: Token, key: Key) -> Result<(), Error> {
        if self.token()? == expected {
            Ok(())
        } else {
            Err(self.fail(DocumentFault::WrongType(key)))
        }
    }

    fn string(&mut self, key: Key) -> Result<Span, Error> {
        let token = self.token()?;
        self.as_string(token, key)
    }

    fn as_string(&self, token: Token, key: Key) -> Result<Span, Error> {
        token.string().ok_or(self.fail(DocumentFault::WrongType(key)))
    }

    fn skip_value(&mut self) -> Result<(), Error> {
        let mut open = 0_u32;
        loop {
            match self.token()? {
                Token::ObjectStart | Token::ListStart => open += 1,
                Token::ObjectEnd | Token::ListEnd => open = open.saturating_sub(1),
                Token::Key(_) => continue,
                Token::String(_) | Token::Number(_) | Token::Bool | Token::Null => {}
                Token::End => return Err(self.unexpected()),
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    fn unexpected(&self) -> Error {
        self.fail(DocumentFault::Json {
            fault: JsonFault::Unexpected,
            at: 0,
        })
    }

    fn is(&self, span: &Span, text: &str) -> bool {
        json::is(self.text, span, text)
    }

    fn unknown(&self, key: &Span) -> Error {
        self.fail(DocumentFault::UnknownKey {
            at: u32::try_from(key.start).unwrap_or(u32::MAX),
        })
    }

    /// Stores a string that the last token gave.
    fn store(&mut self, tag: Tag, span: &Span) -> Result<(), Error> {
        let start = self.stored + RECORD_HEADER_LEN;
        let mut end = start;
        // Never true: each string brought two quotes and a separator, and `{"` of the first key was not stored.
        // The text must not be overwritten before it was read.
        if start > span.start {
            return Err(self.unexpected());
        }
        let mut at = span.start;
        while at < span.end {
            let mut utf8 = [0; 4];
            let (bytes, len) = match self.text.get(at) {
                Some(b'\\') => {
                    let (character, len) = escape(self.text, at).ok_or(self.unexpected())?;
                    (character.encode_utf8(&mut utf8).as_bytes(), len)
                }
                Some(&byte) => {
                    utf8 = [byte, 0, 0, 0];
                    (utf8.get(..1).unwrap_or(&[]), 1)
                }
                None => return Err(self.unexpected()),
            };
            if let Some(target) = self.text.get_mut(end..end + bytes.len()) {
                target.copy_from_slice(bytes);
            }
            end += bytes.len();
            at += len;
        }
        self.put_header(tag, end - start)?;
        self.stored = end;
        Ok(())
    }

    /// Stores a record without text.
    fn store_mark(&mut self, tag: Tag) -> Result<(), Error> {
        self.put_header(tag, 0)?;
        self.stored += RECORD_HEADER_LEN;
        Ok(())
    }

    fn put_header(&mut self, tag: Tag, len: usize) -> Result<(), Error> {
        let too_long = Error::Limit {
            limit: match self.document {
                Document::TypeInfo => Limit::TypeInfo,
                Document::HeaderInfo | Document::Version | Document::MetaData => Limit::HeaderInfo,
            },
            allowed: u64::from(u16::MAX),
            needed: len as u64,
        };
        let [low, high] = u16::try_from(len).map_err(|_| too_long)?.to_le_bytes();
        if let Some(header) = self.text.get_mut(self.stored..self.stored + RECORD_HEADER_LEN) {
            header.copy_from_slice(&[tag as u8, low, high]);
        }
        Ok(())
    }

    /// Reads the type of a payload: a string that is not empty, or null.
    fn payload_type(&mut self) -> Result<Option<Span>, Error> {
        match self.token()? {
            Token::Null => Ok(None),
            token => match self.as_string(token, Key::Type)? {
                span if span.is_empty() => Err(self.fail(DocumentFault::Empty(Key::Type))),
                span => Ok(Some(span)),
            },
        }
    }
}

fn json_error(document: Document, (fault, at): (JsonFault, usize), limits: &Limits) -> Error {
    match fault {
        JsonFault::TooDeep => {
            let allowed = limits.json_depth.min(json::MAX_DEPTH);
            Error::Limit {
                limit: Limit::JsonDepth,
                allowed: u64::from(allowed),
                needed: u64::from(allowed) + 1,
            }
        }
        JsonFault::Utf8
        | JsonFault::ByteOrderMark
        | JsonFault::NotAnObject
        | JsonFault::Unexpected
        | JsonFault::End
        | JsonFault::Control
        | JsonFault::Escape
        | JsonFault::Number
        | JsonFault::RepeatedKey
        | JsonFault::Trailing => Error::Document {
            document,
            fault: DocumentFault::Json {
                fault,
                at: u32::try_from(at).unwrap_or(u32::MAX),
            },
        },
    }
}

/// Checks `version`: exactly the keys `format`, which is "mender", and `version`, which is the integer 3.
pub(super) fn version(text: &mut [u8], limits: &Limits) -> Result<(), Error> {
    let mut reader = Reader::new(Document::Version, text, limits)?;
    let mut format_seen = false;
    let mut number = None;
    while let Some(key) = reader.key()? {
        if reader.is(&key, "format") {
            let format = reader.string(Key::Format)?;
            if !reader.is(&format, "mender") {
                return Err(reader.fail(DocumentFault::Value(Key::Format)));
            }
            format_seen = true;
        } else if reader.is(&key, "version") {
            let Token::Number(span) = reader.token()? else {
                return Err(reader.fail(DocumentFault::WrongType(Key::Version)));
            };
            let digits = reader
                .text
                .get(span)
                .and_then(|digits| core::str::from_utf8(digits).ok());
            let parsed = digits.and_then(|digits| digits.parse::<u32>().ok());
            number = Some(parsed.ok_or(reader.fail(DocumentFault::Value(Key::Version)))?);
        } else {
            return Err(reader.unknown(&key));
        }
    }
    let number = number.ok_or(reader.fail(DocumentFault::Missing(Key::Version)))?;
    if number != 3 {
        return Err(Error::NotSupported(Feature::FormatVersion(number)));
    }
    if format_seen {
        Ok(())
    } else {
        Err(reader.fail(DocumentFault::Missing(Key::Format)))
    }
}

/// Checks header-info and replaces it by its records; returns their length.
pub(super) fn header_info(text: &mut [u8], limits: &Limits) -> Result<usize, Error> {
    let mut reader = Reader::new(Document::HeaderInfo, text, limits)?;
    let (mut payloads, mut name, mut device_types) = (false, false, 0_u16);
    while let Some(key) = reader.key()? {
        if reader.is(&key, "payloads") {
            header_info_payloads(&mut reader)?;
            payloads = true;
        } else if reader.is(&key, "artifact_provides") {
            name = header_info_provides(&mut reader)?;
        } else if reader.is(&key, "artifact_depends") {
            device_types = header_info_depends(&mut reader, limits)?;
        } else {
            return Err(reader.unknown(&key));
        }
    }
    if !payloads {
        Err(reader.fail(DocumentFault::Missing(Key::Payloads)))
    } else if !name {
        Err(reader.fail(DocumentFault::Missing(Key::ArtifactName)))
    } else if device_types == 0 {
        Err(reader.fail(DocumentFault::Missing(Key::DeviceType)))
    } else {
        Ok(reader.stored)
    }
}

fn header_info_payloads(reader: &mut Reader<'_>) -> Result<(), Error> {
    reader.expect(Token::ListStart, Key::Payloads)?;
    match reader.token()? {
        Token::ObjectStart => {}
        Token::ListEnd => return Err(reader.fail(DocumentFault::Empty(Key::Payloads))),
        Token::ObjectEnd
        | Token::ListStart
        | Token::Key(_)
        | Token::String(_)
        | Token::Number(_)
        | Token::Bool
        | Token::Null
        | Token::End => return Err(reader.fail(DocumentFault::WrongType(Key::Payloads))),
    }
    let mut has_type = false;
    while let Some(key) = reader.key()? {
        if !reader.is(&key, "type") {
            return Err(reader.unknown(&key));
        }
        if let Some(span) = reader.payload_type()? {
            reader.store(Tag::PayloadType, &span)?;
        }
        has_type = true;
    }
    if !has_type {
        return Err(reader.fail(DocumentFault::Missing(Key::Type)));
    }
    match reader.token()? {
        Token::ListEnd => Ok(()),
        Token::ObjectStart
        | Token::ObjectEnd
        | Token::ListStart
        | Token::Key(_)
        | Token::String(_)
        | Token::Number(_)
        | Token::Bool
        | Token::Null
        | Token::End => Err(Error::NotSupported(Feature::SeveralPayloads)),
    }
}

/// Whether there is an artifact name.
fn header_info_provides(reader: &mut Reader<'_>) -> Result<bool, Error> {
    reader.expect(Token::ObjectStart, Key::Provides)?;
    let mut named = false;
    while let Some(key) = reader.key()? {
        if reader.is(&key, "artifact_name") {
            let name = reader.string(Key::ArtifactName)?;
            if name.is_empty() {
                return Err(reader.fail(DocumentFault::Empty(Key::ArtifactName)));
            }
            reader.store(Tag::ArtifactName, &name)?;
            named = true;
        } else if reader.is(&key, "artifact_group") {
            let group = reader.string(Key::ArtifactGroup)?;
            reader.store(Tag::ArtifactGroup, &group)?;
        } else {
            return Err(reader.unknown(&key));
        }
    }
    Ok(named)
}

/// The number of device types.
///
/// Both real readers ignore keys that they do not know here. Here every key counts as a dependency: no writer makes
/// one, and to ignore a condition could install what does not fit.
fn header_info_depends(reader: &mut Reader<'_>, limits: &Limits) -> Result<u16, Error> {
    reader.expect(Token::ObjectStart, Key::Depends)?;
    let mut device_types = 0_u16;
    while let Some(key) = reader.key()? {
        if reader.is(&key, "device_type") {
            reader.expect(Token::ListStart, Key::DeviceType)?;
            device_types = reader.store_items(Tag::DeviceType, Key::DeviceType)?;
            if device_types > limits.device_types {
                return Err(Error::Limit {
                    limit: Limit::DeviceTypes,
                    allowed: u64::from(limits.device_types),
                    needed: u64::from(device_types),
                });
            }
            if device_types == 0 {
                return Err(reader.fail(DocumentFault::Empty(Key::DeviceType)));
            }
        } else {
            reader.store(Tag::DependsKey, &key)?;
            reader.expect(Token::ListStart, Key::Depends)?;
            reader.store_items(Tag::DependsValue, Key::Depends)?;
        }
    }
    Ok(device_types)
}

/// Checks type-info, against header-info's records too, and replaces it by its records; returns their length.
pub(super) fn type_info(text: &mut [u8], header_info: Records<'_>, limits: &Limits) -> Result<usize, Error> {
    let mut reader = Reader::new(Document::TypeInfo, text, limits)?;
    let mut has_type = false;
    while let Some(key) = reader.key()? {
        if reader.is(&key, "type") {
            // An empty type (mender-artifact before 4.3.1 wrote it for rootfs-image) is refused as well.
            let matches = match (reader.payload_type()?, header_info.first(Tag::PayloadType)) {
                (Some(own), Some(expected)) => reader.is(&own, expected),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if !matches {
                return Err(reader.fail(DocumentFault::TypeMismatch));
            }
            has_type = true;
        } else if reader.is(&key, "artifact_provides") {
            reader.expect(Token::ObjectStart, Key::Provides)?;
            while let Some(key) = reader.key()? {
                if reader.is(&key, "artifact_name")
                    || (reader.is(&key, "artifact_group") && header_info.first(Tag::ArtifactGroup).is_some())
                {
                    return Err(reader.fail(DocumentFault::Conflict));
                }
                reader.store(Tag::ProvidesKey, &key)?;
                let value = reader.string(Key::Provides)?;
                reader.store(Tag::ProvidesValue, &value)?;
            }
        } else if reader.is(&key, "artifact_depends") {
            type_info_depends(&mut reader, header_info)?;
        } else if reader.is(&key, "clears_artifact_provides") {
            reader.expect(Token::ListStart, Key::Clears)?;
            reader.store_mark(Tag::Clears)?;
            reader.store_items(Tag::ClearsPattern, Key::Clears)?;
        } else {
            // All real readers ignore unknown keys here.
            reader.skip_value()?;
        }
    }
    if has_type {
        Ok(reader.stored)
    } else {
        Err(reader.fail(DocumentFault::Missing(Key::Type)))
    }
}

fn type_info_depends(reader: &mut Reader<'_>, header_info: Records<'_>) -> Result<(), Error> {
    reader.expect(Token::ObjectStart, Key::Depends)?;
    while let Some(key) = reader.key()? {
        let conflict = reader.is(&key, "device_type") || { header_info }
            .any(|(tag, text)| tag == Tag::DependsKey && reader.is(&key, text));
        if conflict {
            return Err(reader.fail(DocumentFault::Conflict));
        }
        reader.store(Tag::DependsKey, &key)?;
        match reader.token()? {
            Token::ListStart => {
                reader.store_items(Tag::DependsValue, Key::Depends)?;
            }
            token => {
                let value = reader.as_string(token, Key::Depends)?;
                reader.store(Tag::DependsValue, &value)?;
            }
        }
    }
    Ok(())
}

/// Checks meta-data: any JSON object. It stays as it is.
pub(super) fn meta_data(text: &[u8], limits: &Limits) -> Result<(), Error> {
    json::check(text, limits.json_depth).map_err(|fault| json_error(Document::MetaData, fault, limits))
}
