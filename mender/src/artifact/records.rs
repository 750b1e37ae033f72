//! What a client needs of header-info and type-info, as a list of records:
//!
//! ```text
//! +---------+--------------+------------------------------+
//! | tag: u8 | len: u16, LE | text, JSON escapes decoded   |
//! +---------+--------------+------------------------------+
//! ```
//!
//! A key of `artifact_depends` is followed by the records of its values, a key of `artifact_provides` by its value. Those of
//! type-info are behind those of header-info.

use crate::text::utf8;

pub(super) const HEADER_LEN: usize = 3;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
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

/// Iterator over records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records<'w>(pub(super) &'w [u8]);

impl<'w> Records<'w> {
    /// The next record if it has this tag; otherwise nothing is consumed.
    pub(super) fn next_if(&mut self, wanted: Tag) -> Option<&'w str> {
        let &[tag, low, high, ref rest @ ..] = self.0 else {
            return None;
        };
        if tag != wanted as u8 {
            return None;
        }
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        self.0 = rest;
        utf8(text)
    }

    /// The next record that has this tag; what is before it is passed over.
    pub(super) fn find(&mut self, wanted: Tag) -> Option<&'w str> {
        loop {
            if let Some(found) = self.next_if(wanted) {
                return Some(found);
            }
            let &[_, low, high, ref rest @ ..] = self.0 else {
                return None;
            };
            self.0 = rest.get(usize::from(u16::from_le_bytes([low, high]))..)?;
        }
    }

    pub(super) fn first(mut self, wanted: Tag) -> Option<&'w str> {
        self.find(wanted)
    }

    /// Whether any of the records with this tag is the one.
    pub(super) fn any(mut self, wanted: Tag, is: impl Fn(&str) -> bool) -> bool {
        while let Some(text) = self.find(wanted) {
            if is(text) {
                return true;
            }
        }
        false
    }
}
