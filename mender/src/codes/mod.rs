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

/// The text's bytes, from where a device keeps them; `None` where a message adds something.
pub(crate) fn each_byte(code: u16, mut each: impl FnMut(Option<u8>)) {
    pack::unpack(code, &mut |byte| each((byte != pack::GAP).then_some(byte)));
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
