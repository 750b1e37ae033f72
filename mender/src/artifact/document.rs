//! The JSON documents of an artifact: checked, and what a client needs of them stored as records in the same bytes.
//!
//! The records are never longer than the JSON they come from: a string in JSON has two quotes and a separator, a record three
//! bytes besides the text.
//!
//! Rules: spec of the artifact format, sections 3 and 6. They are tables here, one per document, and one walk for all.

use super::error::Error;
use super::fault::{Contradiction, Document, Feature, Key, ValueFault};
use super::json::{self, Decoder, Span, Token, Tokenizer};
use super::limits::{Limit, Limits};
use super::records::{HEADER_LEN, Records, Tag};
use crate::json::{JsonFault, MAX_DEPTH};
use crate::text::{number, utf8_prefix};

/// Where in a document: inside of which object or list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The outermost object.
    Document,
    Payloads,
    Payload,
    Provides,
    Depends,
    DeviceTypes,
    DependsValues,
    Clears,
    /// In what is passed over.
    Ignored,
}

/// What may be in a place.
struct Rule {
    place: Place,
    /// The key; empty for the elements of a list and for every key that has no rule of its own.
    key: &'static [u8],
    /// The key in messages.
    named: Key,
    /// The tokens that a value may begin with, as [`bit`]s.
    values: u8,
    /// Where the elements of the value are.
    inner: Place,
    /// As what the key is stored.
    keep_key: Option<Tag>,
    /// As what the value is stored, if it is a string; of a list that there is one.
    keep: Option<Tag>,
    /// [`REQUIRED`], [`FILLED`]: one byte, so that a rule has sixteen.
    demands: u8,
    /// Header-info must have no such record: with the same text, if this is the rule for every other key.
    clashes: Option<Tag>,
}

/// The longest name or group of an artifact, in bytes. Spec of the artifact format, section 14.
const NAME_MAX_LEN: usize = 256;

/// Of [`Rule::demands`]: the document must have it.
const REQUIRED: u8 = 1;
/// A string must have a character; a list must have this element.
const FILLED: u8 = 2;

/// Of a token that begins a value; no bit for others.
const fn bit(token: Token) -> u8 {
    if (token as u8) < 8 { 1 << token as u8 } else { 0 }
}

const STRING: u8 = bit(Token::String);
const NULL: u8 = bit(Token::Null);
const NUMBER: u8 = bit(Token::Number);
const OBJECT: u8 = bit(Token::ObjectStart);
const LIST: u8 = bit(Token::ListStart);
const ANY: u8 = u8::MAX;

const fn rule(place: Place, key: &'static [u8], named: Key, values: u8) -> Rule {
    Rule {
        place,
        key,
        named,
        values,
        inner: Place::Ignored,
        keep_key: None,
        keep: None,
        demands: 0,
        clashes: None,
    }
}

impl Rule {
    const fn inner(self, inner: Place) -> Rule {
        Rule { inner, ..self }
    }

    const fn keep(self, tag: Tag) -> Rule {
        Rule {
            keep: Some(tag),
            ..self
        }
    }

    const fn keep_key(self, tag: Tag) -> Rule {
        Rule {
            keep_key: Some(tag),
            ..self
        }
    }

    const fn required(self) -> Rule {
        Rule {
            demands: self.demands | REQUIRED,
            ..self
        }
    }

    const fn filled(self) -> Rule {
        Rule {
            demands: self.demands | FILLED,
            ..self
        }
    }

    const fn clashes(self, tag: Tag) -> Rule {
        Rule {
            clashes: Some(tag),
            ..self
        }
    }
}

static VERSION: [Rule; 2] = [
    rule(Place::Document, b"version", Key::Version, NUMBER).required(),
    rule(Place::Document, b"format", Key::Format, STRING).required(),
];

static HEADER_INFO: [Rule; 11] = [
    rule(Place::Document, b"payloads", Key::Payloads, LIST)
        .inner(Place::Payloads)
        .required(),
    rule(Place::Payloads, b"", Key::Payloads, OBJECT)
        .inner(Place::Payload)
        .filled(),
    rule(Place::Payload, b"type", Key::Type, STRING | NULL)
        .keep(Tag::PayloadType)
        .filled()
        .required(),
    rule(Place::Document, b"artifact_provides", Key::Provides, OBJECT).inner(Place::Provides),
    rule(Place::Provides, b"artifact_name", Key::ArtifactName, STRING)
        .keep(Tag::ArtifactName)
        .filled()
        .required(),
    rule(Place::Provides, b"artifact_group", Key::ArtifactGroup, STRING).keep(Tag::ArtifactGroup),
    rule(Place::Document, b"artifact_depends", Key::Depends, OBJECT).inner(Place::Depends),
    rule(Place::Depends, b"device_type", Key::DeviceType, LIST)
        .inner(Place::DeviceTypes)
        .required(),
    rule(Place::DeviceTypes, b"", Key::DeviceType, STRING)
        .keep(Tag::DeviceType)
        .filled(),
    // Both real readers ignore keys that they do not know here. Here every key counts as a dependency: no writer makes one,
    // and to ignore a condition could install what does not fit.
    rule(Place::Depends, b"", Key::Depends, LIST)
        .inner(Place::DependsValues)
        .keep_key(Tag::DependsKey),
    rule(Place::DependsValues, b"", Key::Depends, STRING).keep(Tag::DependsValue),
];

static TYPE_INFO: [Rule; 12] = [
    // An empty type says nothing: mender-artifact before 4.3.1 wrote it for rootfs-image, whatever header-info had.
    rule(Place::Document, b"type", Key::Type, STRING | NULL).required(),
    rule(Place::Document, b"artifact_provides", Key::Provides, OBJECT).inner(Place::Provides),
    rule(Place::Provides, b"artifact_name", Key::Provides, STRING).clashes(Tag::ArtifactName),
    rule(Place::Provides, b"artifact_group", Key::Provides, STRING)
        .keep_key(Tag::ProvidesKey)
        .keep(Tag::ProvidesValue)
        .clashes(Tag::ArtifactGroup),
    rule(Place::Provides, b"", Key::Provides, STRING)
        .keep_key(Tag::ProvidesKey)
        .keep(Tag::ProvidesValue),
    rule(Place::Document, b"artifact_depends", Key::Depends, OBJECT).inner(Place::Depends),
    rule(Place::Depends, b"device_type", Key::Depends, LIST).clashes(Tag::DeviceType),
    rule(Place::Depends, b"", Key::Depends, STRING | LIST)
        .inner(Place::DependsValues)
        .keep_key(Tag::DependsKey)
        .keep(Tag::DependsValue)
        .clashes(Tag::DependsKey),
    rule(Place::DependsValues, b"", Key::Depends, STRING).keep(Tag::DependsValue),
    rule(Place::Document, b"clears_artifact_provides", Key::Clears, LIST)
        .inner(Place::Clears)
        .keep(Tag::Clears),
    rule(Place::Clears, b"", Key::Clears, STRING).keep(Tag::ClearsPattern),
    // All real readers ignore unknown keys here.
    rule(Place::Document, b"", Key::Clears, ANY),
];

/// A document that is being read, and overwritten by its records from the beginning on.
struct Reader<'t> {
    document: Document,
    text: &'t mut [u8],
    tokens: Tokenizer,
    max_depth: u8,
    /// Length of the records so far.
    stored: usize,
    /// Why the document was refused, once it was.
    error: Error,
}

/// The document was refused; the reason is in [`Reader::error`].
struct Refused;

impl Reader<'_> {
    #[inline(never)]
    fn fail(&mut self, error: Error) -> Refused {
        self.error = error;
        Refused
    }

    #[inline(never)]
    fn json(&mut self, fault: JsonFault, at: usize) -> Refused {
        self.fail(Error::Json {
            document: self.document,
            fault,
            at: u32::try_from(at).unwrap_or(u32::MAX),
        })
    }

    #[inline(never)]
    fn value(&mut self, rule: &Rule, fault: ValueFault) -> Refused {
        self.fail(Error::Value {
            document: self.document,
            key: rule.named,
            fault,
        })
    }

    fn token(&mut self) -> Result<Token, Refused> {
        match self.tokens.next(self.text) {
            Ok(token) if self.tokens.depth() <= self.max_depth => Ok(token),
            Ok(_) => {
                let allowed = u32::from(self.max_depth);
                Err(self.fail(Error::Limit {
                    limit: Limit::JsonDepth,
                    allowed,
                    needed: allowed + 1,
                }))
            }
            Err(fault) => Err(self.json(fault, self.tokens.at)),
        }
    }

    /// Checks that the text is strict JSON: one object, UTF-8, not too deep, every key once in its object. Begins anew then.
    ///
    /// Takes time in proportion to the text's length times the number of keys.
    fn check(&mut self) -> Result<(), Refused> {
        let valid = utf8_prefix(self.text).len();
        if valid < self.text.len() {
            return Err(self.json(JsonFault::Utf8, valid));
        }
        loop {
            let token = self.token()?;
            let here = self.tokens;
            if token == Token::End {
                self.tokens = Tokenizer::new();
                return Ok(());
            }
            if token == Token::Key {
                // None of the later keys of the same object may be the same.
                while self.tokens.depth() >= here.depth() {
                    let is_key = self.token()? == Token::Key && self.tokens.depth() == here.depth();
                    if is_key && json::same(self.text, here.span, self.tokens.span) {
                        return Err(self.json(JsonFault::RepeatedKey, self.tokens.span.start));
                    }
                }
                self.tokens = here;
            }
        }
    }

    /// Stores the last string as a record and returns where its text begins.
    fn store(&mut self, tag: Tag, span: Span) -> Result<usize, Refused> {
        let start = self.stored + HEADER_LEN;
        let mut end = start;
        // Never true: each string brought two quotes and a separator, and `{"` of the first key was not stored.
        // The text must not be overwritten before it was read.
        if start > span.start {
            return Err(self.json(JsonFault::Unexpected, span.start));
        }
        let mut decoder = Decoder::new(span);
        while let Some(byte) = decoder.next(self.text) {
            if let Some(place) = self.text.get_mut(end) {
                *place = byte;
            }
            end += 1;
        }
        // A document has at most 65535 bytes.
        let [low, high, ..] = (end - start).to_le_bytes();
        if let Some(header) = self.text.get_mut(self.stored..start) {
            header.copy_from_slice(&[tag as u8, low, high]);
        }
        self.stored = end;
        Ok(start)
    }
}

/// Checks a document, type-info against header-info's records too, and replaces it by its records; returns their length. Of meta-data
/// all that is asked is that it is strict JSON; it stays as it is, and has no records.
pub(super) fn read(
    document: Document,
    text: &mut [u8],
    header_info: Records<'_>,
    limits: &Limits,
) -> Result<usize, Error> {
    let rules: &'static [Rule] = match document {
        Document::Version => &VERSION,
        Document::HeaderInfo => &HEADER_INFO,
        Document::TypeInfo => &TYPE_INFO,
        Document::MetaData => &[],
    };
    let mut reader = Reader {
        document,
        text,
        tokens: Tokenizer::new(),
        max_depth: limits.json_depth.min(MAX_DEPTH),
        stored: 0,
        error: Error::Truncated { offset: 0 },
    };
    match reader.walk(rules, header_info, limits.device_types) {
        Ok(()) => Ok(reader.stored),
        Err(Refused) => Err(reader.error),
    }
}

impl Reader<'_> {
    fn walk(
        &mut self,
        rules: &'static [Rule],
        header_info: Records<'_>,
        most_device_types: u16,
    ) -> Result<(), Refused> {
        let mut place = Place::Document;
        let mut keyed = None;
        // Bit by bit the rules whose value has come.
        let mut seen = 0_u32;
        let mut device_types = 0_u32;
        self.check()?;
        if rules.is_empty() {
            return Ok(());
        }
        self.token()?;
        loop {
            let token = self.token()?;
            let span = self.tokens.span;
            let (at, rule) = match token {
                Token::Key => {
                    let found = match find(rules, place, self.text, Some(span)) {
                        Some(found) => found,
                        None => return Err(self.json(JsonFault::UnknownKey, span.start)),
                    };
                    let (_, rule) = found;
                    let start = match rule.keep_key {
                        Some(tag) => self.store(tag, span)?,
                        None => 0,
                    };
                    let key = self.text.get(start..self.stored).unwrap_or(&[]);
                    if let Some(tag) = rule.clashes
                        && header_info.any(tag, |text| !rule.key.is_empty() || text.as_bytes() == key)
                    {
                        return Err(self.fail(Error::Contradiction(Contradiction::Key)));
                    }
                    keyed = Some(found);
                    continue;
                }
                // The last three come from no tokenizer.
                Token::ObjectEnd | Token::ListEnd | Token::End | Token::Quote | Token::Character | Token::Nothing => {
                    if self.tokens.depth() == 0 {
                        break;
                    }
                    if let Some((at, rule)) = find(rules, place, self.text, None)
                        && rule.demands & FILLED != 0
                        && seen & 1 << at == 0
                    {
                        return Err(self.value(rule, ValueFault::Empty));
                    }
                    let outer = rules.iter().find(|rule| rule.inner == place);
                    place = outer.map_or(Place::Document, |rule| rule.place);
                    continue;
                }
                Token::ObjectStart | Token::ListStart | Token::String | Token::Number | Token::Bool | Token::Null => {
                    let element = find(rules, place, self.text, None);
                    match keyed.take().or(element) {
                        Some(found) => found,
                        // No place without a key or an element lets a value begin.
                        None => return Err(self.json(JsonFault::UnknownKey, span.start)),
                    }
                }
            };
            if rule.inner == Place::Payload && seen & 1 << at != 0 {
                return Err(self.fail(Error::NotSupported(Feature::SeveralPayloads)));
            }
            if rule.values & bit(token) == 0 {
                return Err(self.value(rule, ValueFault::WrongType));
            }
            seen |= 1 << at;
            if let Token::ObjectStart | Token::ListStart = token {
                if rule.values == ANY {
                    let depth = self.tokens.depth();
                    while self.tokens.depth() >= depth {
                        self.token()?;
                    }
                    continue;
                }
                if let Some(Tag::Clears) = rule.keep {
                    let at = self.tokens.at;
                    self.store(Tag::Clears, Span { start: at, end: at })?;
                }
                place = rule.inner;
                continue;
            }
            let is_string = token == Token::String;
            if is_string && rule.demands & FILLED != 0 && !rule.key.is_empty() && span.start == span.end {
                return Err(self.value(rule, ValueFault::Empty));
            }
            let mut start = self.stored;
            if let (Some(tag), true) = (rule.keep, is_string) {
                start = self.store(tag, span)?;
                if tag == Tag::DeviceType {
                    device_types += 1;
                    let allowed = u32::from(most_device_types);
                    if device_types > allowed {
                        return Err(self.fail(Error::Limit {
                            limit: Limit::DeviceTypes,
                            allowed,
                            needed: device_types,
                        }));
                    }
                }
            }
            match rule.named {
                Key::Type if self.document == Document::TypeInfo => {
                    let before = self.stored;
                    let own = if is_string {
                        let start = self.store(Tag::PayloadType, span)?;
                        self.text.get(start..self.stored)
                    } else {
                        None
                    };
                    if own != Some(b"") && own != header_info.first(Tag::PayloadType).map(str::as_bytes) {
                        return Err(self.fail(Error::Contradiction(Contradiction::Type)));
                    }
                    self.stored = before;
                }
                Key::Format if !json::is(self.text, span, b"mender") => {
                    return Err(self.value(rule, ValueFault::NotAllowed));
                }
                Key::Version => match number(digits(self.text.get(span.start..).unwrap_or(&[])), 10) {
                    Some(3) => {}
                    None | Some(u32::MAX) => return Err(self.value(rule, ValueFault::NotAllowed)),
                    Some(version) => return Err(self.fail(Error::FormatVersion(version))),
                },
                Key::ArtifactName | Key::ArtifactGroup
                    if !is_name(self.text.get(start..self.stored).unwrap_or(&[])) =>
                {
                    return Err(self.value(rule, ValueFault::NotAllowed));
                }
                Key::Type
                | Key::Format
                | Key::Payloads
                | Key::Provides
                | Key::ArtifactName
                | Key::ArtifactGroup
                | Key::Depends
                | Key::DeviceType
                | Key::Clears => {}
            }
        }
        for (at, rule) in rules.iter().enumerate() {
            if rule.demands & REQUIRED != 0 && seen & 1 << at == 0 {
                return Err(self.value(rule, ValueFault::Missing));
            }
        }
        Ok(())
    }
}

/// Whether an artifact's name or group is one that mender-artifact writes since 4.1.1: at most 256 bytes, without control characters
/// (of ASCII). It refuses such device types too; here they are compared with the device's own, and nothing else.
fn is_name(text: &[u8]) -> bool {
    text.len() <= NAME_MAX_LEN && !text.iter().any(u8::is_ascii_control)
}

/// The bytes in front that can belong to a number.
fn digits(text: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    text.get(..text.iter().take_while(|byte| is_part(byte)).count())
        .unwrap_or(text)
}

/// The rule for a key, or for the elements of a list, and its number.
fn find(rules: &'static [Rule], place: Place, text: &[u8], key: Option<Span>) -> Option<(usize, &'static Rule)> {
    let is = |rule: &Rule| rule.key.is_empty() || key.is_some_and(|key| json::is(text, key, rule.key));
    rules
        .iter()
        .enumerate()
        .find(|(_, rule)| rule.place == place && is(rule))
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
