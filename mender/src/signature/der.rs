//! The few pieces of DER (ITU-T X.690) that signatures and their keys need.
//!
//! Strict: lengths and integers in their shortest form only, nothing after the end. An element has at most 65,535 bytes.

/// Tag of an INTEGER.
pub const INTEGER: u8 = 0x02;
/// Tag of a BIT STRING.
#[cfg(feature = "rsa")]
pub const BIT_STRING: u8 = 0x03;
/// Tag of a SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// Tag of what a certificate begins with if it has a version: `[0]`, constructed.
const VERSION: u8 = 0xa0;

/// The value of the first element if it has this tag, and what follows the element.
pub fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[is, first], rest) = der.split_first_chunk()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&[len], rest) = rest.split_first_chunk()?;
            (usize::from(len), rest)
        }
        0x82 => {
            let (&len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(len)), rest)
        }
        // Longer, or without a length, which DER forbids.
        0x80 | 0x83..=0xff => return None,
    };
    // The shortest form of the length only.
    let shortest = match first {
        0x81 => 0x80,
        0x82 => 0x100,
        _ => 0,
    };
    if is != tag || len < shortest {
        return None;
    }
    rest.split_at_checked(len)
}

/// The value of the element with this tag that is all there is.
pub fn only(tag: u8, der: &[u8]) -> Option<&[u8]> {
    let (value, rest) = element(tag, der)?;
    rest.is_empty().then_some(value)
}

/// The positive INTEGER at the start, big endian and without zeros in front (so zero has no digits), and what follows it.
pub fn positive(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (value, rest) = element(INTEGER, der)?;
    let digits = match value {
        [0] => &[],
        // A zero stands in front only where the number would be negative without it.
        [0, digits @ ..] if digits.first()? & 0x80 != 0 => digits,
        [first, ..] if (1..0x80).contains(first) => value,
        _ => return None,
    };
    Some((digits, rest))
}

/// Two positive INTEGERs in a SEQUENCE that is all there is: a public key of RSA (RFC 8017, appendix A.1.1), a signature of ECDSA
/// (RFC 3279, section 2.2.3).
pub fn pair(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = positive(only(SEQUENCE, der)?)?;
    let (second, rest) = positive(rest)?;
    rest.is_empty().then_some((first, second))
}

/// The `SubjectPublicKeyInfo` of an X.509 certificate (RFC 5280, section 4.1), with its tag and length. What stands before it is
/// stepped over, what follows it is not looked at.
pub fn spki(certificate: &[u8]) -> Option<&[u8]> {
    let (mut rest, _) = element(SEQUENCE, only(SEQUENCE, certificate)?)?;
    if let Some((_, after)) = element(VERSION, rest) {
        rest = after;
    }
    // Serial number; signature algorithm, issuer, validity, subject.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, rest) = element(tag, rest)?;
    }
    let (_, after) = element(SEQUENCE, rest)?;
    rest.get(..rest.len() - after.len())
}
