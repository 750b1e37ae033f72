//! What the codes mean that a device with the feature `terse` sends in the place of texts.
//!
//! | codes | whose |
//! |---|---|
//! | E1 to E19 | an exchange over HTTP, a URL |
//! | E20 to E59 | the device API: login, poll, report |
//! | E60 to E99 | the client: download, records, deployment |
//! | E100 to E249 | the artifact: see [`artifact`](crate::artifact) |
//!
//! A code never gets another meaning.

use crate::api;
use crate::text::Coded;

/// Every code with its text, group by group.
pub const ALL: &[&[Coded]] = &[
    api::auth::CODES,
    api::inventory::CODES,
    api::next::CODES,
    api::CODES,
    api::key::CODES,
];

/// The text of a code.
///
/// ```
/// assert_eq!(mender::codes::text(0), None);
/// ```
pub fn text(code: u16) -> Option<&'static str> {
    ALL.iter()
        .flat_map(|group| group.iter())
        .find(|(known, _)| *known == code)
        .map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_has_two_meanings() {
        let all = || ALL.iter().flat_map(|group| group.iter());
        for (code, text) in all() {
            assert_eq!(super::text(*code), Some(*text), "{code}");
            assert!(*code > 0 && !text.is_empty());
            assert_eq!(all().filter(|(_, other)| other == text).count(), 1, "{text}");
        }
    }
}
