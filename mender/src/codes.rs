//! What the codes mean that a device with the feature `terse` sends in the place of texts.
//!
//! | codes | whose |
//! |---|---|
//! | E1 to E19 | an exchange over HTTP, a URL |
//! | E20 to E59 | the device API: login, poll, report |
//! | E60 to E99 | the client: download, records, deployment |
//! | E100 to E239 | the artifact: see [`artifact::CODES`](crate::artifact::CODES) |
//! | E240 to E249 | the provides: see [`provides::CODES`](crate::provides::CODES) |
//!
//! A code never gets another meaning.

use crate::agent::{config, deployment, download, io, session};
use crate::api;
use crate::deployment::record;
use crate::net::{http, url};
use crate::text::Coded;

/// Every code with its text, group by group.
pub const ALL: &[&[Coded]] = &[
    http::CODES,
    session::CODES,
    url::CODES,
    api::auth::CODES,
    api::inventory::CODES,
    api::next::CODES,
    api::CODES,
    api::key::CODES,
    config::CODES,
    download::CODES,
    deployment::module::CODES,
    deployment::remark::CODES,
    record::CODES,
    io::CODES,
    crate::artifact::CODES,
    crate::provides::CODES,
];

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
