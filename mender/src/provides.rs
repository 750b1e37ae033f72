//! The key-value pairs that describe a device's software: Mender's *provides*, artifact name included.
//!
//! Pure: a flat list in a lent buffer, the same bytes in memory and in storage. One pair is
//!
//! ```text
//! +-------------+-----------------------+-----------+-------------+
//! | key len: u8 | value len: u16, LE     | key       | value       |
//! +-------------+-----------------------+-----------+-------------+
//! ```
//!
//! both UTF-8, the key never empty, no key twice. The list ends with the bytes that hold it.
//!
//! Rules: spec of the artifact format, "provides, depends, clears".

use core::fmt;

use crate::codes::Seldom;
use crate::shift::shift;
use crate::text::{self, Describe, Text};

const DAMAGED: Seldom = Seldom::new(240);
const NO_ROOM: Seldom = Seldom::new(241);
const TOO_LONG: Seldom = Seldom::new(242);

/// Key of the artifact name among the provides, as the device API and `depends` know it.
pub const ARTIFACT_NAME: &str = "artifact_name";
/// Key of the artifact group among the provides.
pub const ARTIFACT_GROUP: &str = "artifact_group";

const HEADER_LEN: usize = 3;

/// Bytes that are not a list of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Malformed;

impl Describe for Malformed {
    fn describe(&self, out: &mut Text<'_>) {
        out.seldom(DAMAGED);
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::display(self, f)
    }
}

impl core::error::Error for Malformed {}

/// Why a pair could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SetError {
    /// The buffer is too short; it would have to have this many bytes.
    Full {
        /// Length of the buffer that would do.
        needed: usize,
    },
    /// The key is empty or longer than 255 bytes, or the value longer than 65535.
    Length,
}

impl Describe for SetError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            SetError::Full { needed } => {
                out.seldom(NO_ROOM);
                out.push(": ");
                out.number(u32::try_from(*needed).unwrap_or(u32::MAX));
                out.push(" bytes are needed");
            }
            SetError::Length => out.seldom(TOO_LONG),
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::display(self, f)
    }
}

impl core::error::Error for SetError {}

/// A validated list of pairs, to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provides<'b> {
    bytes: &'b [u8],
}

impl<'b> Provides<'b> {
    /// Checks the whole list.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for anything that [`ProvidesBuf`] would not have written.
    pub fn from_bytes(bytes: &'b [u8]) -> Result<Provides<'b>, Malformed> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (key, _, after) = split_pair(rest).ok_or(Malformed)?;
            let before = bytes.get(..bytes.len() - rest.len()).ok_or(Malformed)?;
            if (Provides { bytes: before }).get(key).is_some() {
                return Err(Malformed);
            }
            rest = after;
        }
        Ok(Provides { bytes })
    }

    /// The list's bytes, as stored.
    pub fn as_bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// All pairs, in the order in which they were first set.
    pub fn iter(&self) -> Iter<'b> {
        Iter { rest: self.bytes }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&'b str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// The artifact name, if one is known.
    pub fn artifact_name(&self) -> Option<&'b str> {
        self.get(ARTIFACT_NAME)
    }
}

impl<'b> IntoIterator for Provides<'b> {
    type Item = (&'b str, &'b str);
    type IntoIter = Iter<'b>;

    fn into_iter(self) -> Iter<'b> {
        self.iter()
    }
}

/// Iterator over the pairs of [`Provides`].
#[derive(Clone, Debug)]
pub struct Iter<'b> {
    rest: &'b [u8],
}

impl<'b> Iterator for Iter<'b> {
    type Item = (&'b str, &'b str);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value, rest) = split_pair(self.rest)?;
        self.rest = rest;
        Some((key, value))
    }
}

fn split_pair(bytes: &[u8]) -> Option<(&str, &str, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
    let &[key_len, low, high] = header else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(key_len))?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
    if key.is_empty() {
        return None;
    }
    Some((text::utf8(key)?, text::utf8(value)?, rest))
}

/// A list of pairs in a lent buffer, to change.
#[derive(Debug)]
pub struct ProvidesBuf<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> ProvidesBuf<'b> {
    /// An empty list.
    pub fn new(buffer: &'b mut [u8]) -> ProvidesBuf<'b> {
        ProvidesBuf { buffer, len: 0 }
    }

    /// A list with the pairs of `other`.
    ///
    /// # Errors
    ///
    /// [`SetError::Full`] if the buffer is shorter than the list.
    pub fn copy_of(other: Provides<'_>, buffer: &'b mut [u8]) -> Result<ProvidesBuf<'b>, SetError> {
        let len = other.as_bytes().len();
        buffer
            .get_mut(..len)
            .ok_or(SetError::Full { needed: len })?
            .copy_from_slice(other.as_bytes());
        Ok(ProvidesBuf { buffer, len })
    }

    /// The list that the first `len` bytes of a buffer hold, as another `ProvidesBuf` left it there.
    ///
    /// # Errors
    ///
    /// [`Malformed`]: they hold no list.
    pub fn reopen(buffer: &'b mut [u8], len: usize) -> Result<ProvidesBuf<'b>, Malformed> {
        Provides::from_bytes(buffer.get(..len).ok_or(Malformed)?)?;
        Ok(ProvidesBuf { buffer, len })
    }

    /// The list, to read.
    pub fn as_provides(&self) -> Provides<'_> {
        Provides {
            bytes: self.buffer.get(..self.len).unwrap_or(&[]),
        }
    }

    /// Length of the list in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a pair, or gives a key another value (it then moves to the end).
    ///
    /// # Errors
    ///
    /// [`SetError`]; the list is then as before, unless the key was there: it is gone after [`SetError::Full`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SetError> {
        let key_len = match u8::try_from(key.len()) {
            Ok(len) if len > 0 => len,
            Ok(_) | Err(_) => return Err(SetError::Length),
        };
        let value_len = u16::try_from(value.len()).map_err(|_| SetError::Length)?;
        self.remove(key, |key, other| key == other);
        let [low, high] = value_len.to_le_bytes();
        let mut end = self.len;
        let needed = end + HEADER_LEN + key.len() + value.len();
        for part in [&[key_len, low, high], key.as_bytes(), value.as_bytes()] {
            self.buffer
                .get_mut(end..end + part.len())
                .ok_or(SetError::Full { needed })?
                .copy_from_slice(part);
            end += part.len();
        }
        self.len = end;
        Ok(())
    }

    /// Removes every key that a `clears_artifact_provides` pattern matches (see [`pattern_matches`]).
    pub fn clear(&mut self, pattern: &str) {
        self.remove(pattern, pattern_matches);
    }

    /// Removes every key to which `text` is as asked.
    fn remove(&mut self, text: &str, gone: fn(&str, &str) -> bool) {
        let mut at = 0;
        while let Some((key, value, _)) = self.buffer.get(at..self.len).and_then(split_pair) {
            let pair_len = HEADER_LEN + key.len() + value.len();
            if gone(text, key) {
                let after = at + pair_len;
                shift(self.buffer, after, self.len - after, at);
                self.len -= pair_len;
            } else {
                at += pair_len;
            }
        }
    }
}

/// Whether a `clears_artifact_provides` pattern matches a key: `*` stands for any number of any characters,
/// everything else for itself; there is no escape. Both ends are anchored and the parts do not overlap.
///
/// Works in linear time for the usual one or two stars, and never worse than key length times pattern length.
pub fn pattern_matches(pattern: &str, key: &str) -> bool {
    // Byte by byte: both are UTF-8, in which no character begins inside of another.
    let (mut pattern, mut key) = (pattern.as_bytes(), key.as_bytes());
    // What is behind the last star, and the key from where that may begin next. What is before it took its first occurrence:
    // that leaves the most for the rest.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, key) {
            ([b'*', after @ ..], _) => {
                star = Some((after, key));
                pattern = after;
                continue;
            }
            ([], []) => return true,
            ([wanted, after @ ..], [byte, rest @ ..]) if wanted == byte => {
                (pattern, key) = (after, rest);
                continue;
            }
            _ => {}
        }
        let Some((after, [_, rest @ ..])) = star else {
            return false;
        };
        star = Some((after, rest));
        (pattern, key) = (after, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_the_format_description() {
        let cases = [
            ("a*", "a", true),
            ("*", "anything", true),
            ("**", "anything", true),
            ("*", "", true),
            ("rootfs-image.*", "rootfs-image", false),
            ("rootfs-image.*", "rootfs-image.x.version", true),
            ("ab*bc", "abc", false),
            ("ab*bc", "abbc", true),
            ("a*c", "abcd", false),
            ("x*y", "xyz", false),
            ("*abc", "bc", false),
            ("a", "aba", false),
            ("a", "a", true),
            ("a\\*", "a*", false),
            ("a\\*", "a\\x", true),
            ("*b*b*", "ab", false),
            ("*b*b*", "abab", true),
        ];
        for (pattern, key, expected) in cases {
            assert_eq!(pattern_matches(pattern, key), expected, "{pattern} on {key}");
        }
    }

    #[test]
    fn set_replaces_and_clear_removes() {
        let mut buffer = [0; 64];
        let mut list = ProvidesBuf::new(&mut buffer);
        list.set("artifact_name", "one").unwrap();
        list.set("rootfs-image.a", "1").unwrap();
        list.set("b", "").unwrap();
        list.set("artifact_name", "second").unwrap();
        list.clear("rootfs-image.*");
        assert!(list.as_provides().iter().eq([("b", ""), ("artifact_name", "second")]));
        assert_eq!(list.as_provides().artifact_name(), Some("second"));
        assert_eq!(
            Provides::from_bytes(list.as_provides().as_bytes()),
            Ok(list.as_provides())
        );
    }

    #[test]
    fn limits_are_told() {
        let mut buffer = [0; 8];
        let mut list = ProvidesBuf::new(&mut buffer);
        assert_eq!(list.set("", "x"), Err(SetError::Length));
        assert_eq!(list.set("key", "value"), Err(SetError::Full { needed: 11 }));
        assert_eq!(list.set("key", "va"), Ok(()));
        assert_eq!(list.len(), 8);
    }

    #[test]
    fn any_single_damage_to_a_length_or_text_is_noticed_or_gives_a_valid_list() {
        let mut buffer = [0; 64];
        let mut list = ProvidesBuf::new(&mut buffer);
        list.set("artifact_name", "release-1").unwrap();
        list.set("k", "v").unwrap();
        let len = list.len();
        for cut in 0..len {
            if let Ok(read) = Provides::from_bytes(&buffer[..cut]) {
                assert!(read.iter().count() <= 1);
            }
        }
        for at in 0..len {
            for value in 0..=255 {
                let mut damaged = buffer;
                damaged[at] = value;
                if let Ok(read) = Provides::from_bytes(&damaged[..len]) {
                    let total: usize = read.iter().map(|(k, v)| HEADER_LEN + k.len() + v.len()).sum();
                    assert_eq!(total, len);
                }
            }
        }
    }
}
