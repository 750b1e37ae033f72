//! What an error tells of a certificate, and its validity (RFC 5280, section 4.1): webpki keeps both to itself.

use heapless::String;

use crate::date::{TO_1970, days};
use crate::signature::der::{INTEGER, SEQUENCE, element, only};

/// Names of or in a certificate. What does not fit is left out.
pub type Names = String<80>;

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SET: u8 = 0x31;
/// A certificate begins with it if it has a version: `[0]`, constructed.
const VERSION: u8 = 0xa0;
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANIZATION: &[u8] = &[0x55, 4, 10];

/// Parts of a certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certificate<'c> {
    issuer: &'c [u8],
    subject: &'c [u8],
    /// First and last second in which it is valid, since 1970-01-01T00:00:00Z.
    pub(super) validity: (u64, u64),
}

impl<'c> Certificate<'c> {
    /// Finds the parts. What follows them is not looked at.
    pub(super) fn of(der: &'c [u8]) -> Option<Certificate<'c>> {
        let (mut rest, _) = element(SEQUENCE, only(SEQUENCE, der)?)?;
        if let Some((_, after)) = element(VERSION, rest) {
            rest = after;
        }
        let mut next = |tag| {
            let (value, after) = element(tag, rest)?;
            rest = after;
            Some(value)
        };
        // Serial number and signature algorithm.
        next(INTEGER)?;
        next(SEQUENCE)?;
        let issuer = next(SEQUENCE)?;
        let validity = next(SEQUENCE)?;
        let subject = next(SEQUENCE)?;
        let (not_before, not_after) = time(validity)?;
        let (not_after, _) = time(not_after)?;
        Some(Certificate {
            issuer,
            subject,
            validity: (not_before, not_after),
        })
    }

    /// Who signed it.
    pub(super) fn issuer(&self) -> Names {
        name(self.issuer)
    }

    /// Whose it is.
    pub(super) fn subject(&self) -> Names {
        name(self.subject)
    }
}

/// The common name in an X.501 name, or else the organization, or else nothing.
fn name(name: &[u8]) -> Names {
    let mut names = Names::new();
    let text = attribute(name, COMMON_NAME).or_else(|| attribute(name, ORGANIZATION));
    push(&mut names, text.unwrap_or(""));
    names
}

/// Appends what fits.
pub(super) fn push(names: &mut Names, text: &str) {
    let fits = text.floor_char_boundary(names.capacity() - names.len());
    // It fits.
    let _ = names.push_str(text.get(..fits).unwrap_or(""));
}

fn attribute<'n>(mut name: &'n [u8], wanted: &[u8]) -> Option<&'n str> {
    while let Some((set, rest)) = element(SET, name) {
        name = rest;
        let Some((kind, value)) = element(SEQUENCE, set).and_then(|(pair, _)| element(OBJECT_IDENTIFIER, pair)) else {
            continue;
        };
        if kind == wanted {
            // Whichever kind of string it is: names are ASCII or UTF-8, or else not shown.
            let (text, _) = element(*value.first()?, value)?;
            return core::str::from_utf8(text).ok();
        }
    }
    None
}

/// The `Time` at the start as seconds since 1970, and what follows it (RFC 5280, section 4.1.2.5).
fn time(der: &[u8]) -> Option<(u64, &[u8])> {
    let (text, rest, century) = match element(UTC_TIME, der) {
        Some((text, rest)) => {
            let century = if number(text.get(..2)?)? < 50 { 20 } else { 19 };
            (text, rest, century)
        }
        None => {
            let (text, rest) = element(GENERALIZED_TIME, der)?;
            (text.get(2..)?, rest, number(text.get(..2)?)?)
        }
    };
    let (b'Z', digits) = text.split_last()? else {
        return None;
    };
    let mut parts = [0; 6];
    for (part, digits) in parts.iter_mut().zip(digits.chunks(2)) {
        *part = number(digits)?;
    }
    let [year, month, day, hours, minutes, seconds] = parts;
    if digits.len() != 12 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = century * 100 + year;
    let days = match month {
        1 | 2 => days(year.checked_sub(1)?, month + 9, day),
        _ => days(year, month - 3, day),
    };
    let days = u64::from(days.checked_sub(TO_1970)?);
    Some((days * 86_400 + u64::from(hours * 3600 + minutes * 60 + seconds), rest))
}

/// Two digits.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.len() != 2 {
        return None;
    }
    crate::text::number(digits, 10)
}
