//! What the codes mean that a device with the feature `terse` sends in the place of texts; and the texts, for all others.
//!
//! | codes | whose |
//! |---|---|
//! | E1 to E19 | an exchange over HTTP, a URL |
//! | E20 to E59 | the device API: login, poll, report; the configuration |
//! | E60 to E99 | the client: download, records, deployment |
//! | E100 to E239 | the artifact: see [`artifact::CODES`](crate::artifact::CODES) |
//! | E240 to E249 | the provides |
//! | E250 to E399 | the bundled update modules; their own |
//!
//! A code never gets another meaning. `table.rs` has the texts, `pack.rs` keeps them small on a device. Depends on nothing.

mod pack;
mod table;

pub(crate) use pack::PackedText;
pub use pack::{pack_texts, packed_len};
pub use table::{ALL, ARTIFACT, CLIENT};

/// A code that is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(u16);

impl Code {
    /// An unknown number is an error of the compiler, in a constant.
    pub(crate) const fn new(code: u16) -> Code {
        let mut group = 0;
        while group < ALL.len() {
            let mut entry = 0;
            while entry < ALL[group].len() {
                if ALL[group][entry].0 == code {
                    assert!(!table::is_seldom(code), "this text is seen on hosts and in logs alone");
                    return Code(code);
                }
                entry += 1;
            }
            group += 1;
        }
        panic!("a code without a text");
    }

    pub(crate) const fn number(self) -> u16 {
        self.0
    }
}

/// A code whose text is seen on hosts and in logs alone. It is kept apart, so that a device without logs does not link it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seldom {
    code: u16,
    /// How many of these codes are smaller.
    place: u8,
}

impl Seldom {
    /// A number that is none of these is an error of the compiler, in a constant.
    pub(crate) const fn new(code: u16) -> Seldom {
        assert!(table::is_seldom(code), "this text may be in a deployment log");
        let (mut smaller, mut place) = (0, 0);
        while smaller < code {
            if table::is_seldom(smaller) {
                place += 1;
            }
            smaller += 1;
        }
        Seldom { code, place }
    }

    pub(crate) const fn number(self) -> u16 {
        self.code
    }

    pub(crate) fn text(self) -> PackedText {
        PackedText::seldom(self.place)
    }
}

/// The text of a code.
///
/// ```
/// assert_eq!(mender::codes::text(145), Some("expected …, found …"));
/// assert_eq!(mender::codes::text(0), None);
/// ```
pub fn text(code: u16) -> Option<&'static str> {
    ALL.iter()
        .flat_map(|group| group.iter())
        .find(|(known, _)| *known == code)
        .map(|(_, text)| *text)
}

/// The text as a device keeps it.
pub(crate) fn packed(code: u16) -> PackedText {
    PackedText::of(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_has_two_texts() {
        let codes = || ALL.iter().flat_map(|group| group.iter());
        for (code, text) in codes() {
            assert!(!text.is_empty());
            assert_eq!(codes().filter(|(other, _)| other == code).count(), 1, "E{code}");
        }
    }
}
