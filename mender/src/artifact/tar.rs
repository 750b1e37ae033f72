//! One header block of a tar archive, and the PAX headers and long names in front of an entry.
//!
//! Rules: spec of the artifact format, section 2. Readers differ on everything that this module refuses.

use core::ops::Range;

use super::fault::TarFault;
use crate::shift::shift;
use crate::text::number;

/// Length of a tar block.
pub(super) const BLOCK_LEN: u32 = 512;

/// What is kept of a header block, in this order: prefix, a slash, name, size, checksum, type flag, magic.
///
/// Of the prefix only the beginning: no name that the format knows has a longer one.
pub(super) const KEPT_LEN: usize = 143;

const PREFIX: Range<usize> = 0..13;
const SLASH: usize = 13;
const NAME: Range<usize> = 14..114;
const SIZE: Range<usize> = 114..126;
const CHECKSUM: Range<usize> = 126..134;
const TYPE: usize = 134;
const MAGIC: Range<usize> = 135..143;

/// Where the fields are in a block, their lengths, and where they are kept.
const FIELDS: [(u16, u8, u8); 5] = [
    (0, 100, NAME.start as u8),
    (124, 12, SIZE.start as u8),
    // Checksum and type flag.
    (148, 9, CHECKSUM.start as u8),
    (257, 8, MAGIC.start as u8),
    (345, 13, PREFIX.start as u8),
];

/// What a header block says, apart from the name.
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) size: u32,
    /// Where the full name is in the kept bytes.
    pub(super) path: Range<usize>,
}

pub(super) enum Kind {
    File,
    Pax,
    GnuLongName,
    Other(u8),
}

/// Takes bytes of a block, of which the first is at `position`, into the [`KEPT_LEN`] bytes `kept`. Returns their sum, the
/// checksum field's counted as blanks.
pub(super) fn keep(position: u32, bytes: &[u8], kept: &mut [u8]) -> u32 {
    let mut sum = 0;
    for (at, &byte) in (position..).zip(bytes) {
        sum += u32::from(if (148..156).contains(&at) { b' ' } else { byte });
        for (start, len, kept_at) in FIELDS {
            let inside = at.wrapping_sub(u32::from(start));
            if inside < u32::from(len)
                && let Some(place) = kept.get_mut(usize::from(kept_at) + inside as usize)
            {
                *place = byte;
            }
        }
    }
    sum
}

/// Reads the kept bytes of a block that has the sum `sum`; `None` if all of it are zeros.
pub(super) fn read(kept: &mut [u8], sum: u32) -> Result<Option<Header>, TarFault> {
    let field = |range: Range<usize>| kept.get(range).unwrap_or(&[]);
    let checksum = field(CHECKSUM);
    // Eight blanks were counted for the checksum.
    if sum == 8 * 32 && is_zero(checksum) {
        return Ok(None);
    }
    let magic = field(MAGIC);
    let gnu = magic == b"ustar  \0";
    if !gnu && magic != b"ustar\x0000" {
        return Err(TarFault::Magic);
    }
    if octal(checksum) != Some(sum) {
        return Err(TarFault::HeaderChecksum);
    }
    let size = octal(field(SIZE)).ok_or(TarFault::Size)?;
    let kind = match kept.get(TYPE).copied().unwrap_or(0) {
        b'0' | b'\0' => Kind::File,
        b'x' => Kind::Pax,
        b'L' => Kind::GnuLongName,
        flag => Kind::Other(flag),
    };
    let end = NAME.start + text_len(field(NAME));
    // GNU tar keeps times in the place of the prefix.
    let prefix_len = if gnu { 0 } else { text_len(field(PREFIX)) };
    let mut start = NAME.start;
    if prefix_len > 0 {
        start = SLASH.saturating_sub(prefix_len);
        shift(kept, 0, prefix_len, start);
        if let Some(slash) = kept.get_mut(SLASH) {
            *slash = b'/';
        }
    }
    Ok(Some(Header {
        kind,
        size,
        path: start..end,
    }))
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// Where the first byte is that is the one looked for.
fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|&byte| byte == wanted)
}

/// Length of a text field: up to the first NUL, or all of it.
fn text_len(field: &[u8]) -> usize {
    position(field, 0).unwrap_or(field.len())
}

/// A number field: octal digits, then nothing but blanks and NUL bytes, at least one.
fn octal(field: &[u8]) -> Option<u32> {
    let end = field.iter().position(|byte| matches!(byte, b' ' | b'\0'))?;
    let (digits, terminator) = field.split_at_checked(end)?;
    if terminator.iter().any(|byte| !matches!(byte, b' ' | b'\0')) {
        return None;
    }
    number(digits, 8)
}

/// What PAX headers and long names say about the entry that follows.
pub(super) struct Pax<'t> {
    pub(super) path: Option<&'t [u8]>,
    pub(super) size: Option<u32>,
}

/// Reads the records `LEN KEY=VALUE\n` of a PAX header.
pub(super) fn pax(mut rest: &[u8]) -> Result<Pax<'_>, TarFault> {
    let mut found = Pax { path: None, size: None };
    while !rest.is_empty() {
        let (key, value, after) = pax_record(rest).ok_or(TarFault::PaxRecord)?;
        rest = after;
        let twice = match key {
            b"path" => {
                if value.is_empty() {
                    return Err(TarFault::PaxRecord);
                }
                found.path.replace(value).is_some()
            }
            b"size" => {
                let size = number(value, 10).ok_or(TarFault::PaxRecord)?;
                found.size.replace(size).is_some()
            }
            // Owner, times, comments: nothing that a client uses.
            key if key.starts_with(b"GNU.sparse.") => return Err(TarFault::Sparse),
            _ => false,
        };
        if twice {
            return Err(TarFault::ExtensionTwice);
        }
    }
    Ok(found)
}

fn pax_record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = position(text, b' ')?;
    let len = usize::try_from(number(text.get(..blank)?, 10)?).ok()?;
    let (record, after) = text.split_at_checked(len)?;
    let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = position(body, b'=')?;
    let (key, value) = (body.get(..equals)?, body.get(equals + 1..)?);
    (equals > 0 && position(body, 0).is_none()).then_some((key, value, after))
}

/// The name in the data of a GNU long name entry: NUL at the end, none inside.
pub(super) fn long_name(data: &[u8]) -> Result<&[u8], TarFault> {
    match data.strip_suffix(b"\0") {
        Some(name) if !name.is_empty() && position(name, 0).is_none() => Ok(name),
        Some(_) | None => Err(TarFault::LongName),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_digits_and_a_terminator() {
        for (field, expected) in [
            (&b"00000000037\0"[..], Some(31)),
            (b"37777777777\0", Some(u32::MAX)),
            (b"77777777777\0", Some(u32::MAX)),
            (b"37          ", Some(31)),
            (b"0000000 \0\0\0\0", Some(0)),
            (b"777777777777", None),
            (b"            ", None),
            (b"         37\0", None),
            (b"0000000003x\0", None),
            (b"00000000038\0", None),
            (b"-0000000037\0", None),
            (b"0000 000037\0", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\0\x1f", None),
            (b"", None),
        ] {
            assert_eq!(octal(field), expected, "{field:?}");
        }
    }

    #[test]
    fn pax_records() {
        let found = pax(b"16 uid=3000000\n14 path=a=b/c\n30 mtime=1700000000.123456789\n").ok();
        assert!(found.is_none(), "a record length that does not fit");
        let found = pax(b"15 uid=3000000\n14 path=a=b/c\n11 size=12\n").unwrap();
        assert_eq!((found.path, found.size), (Some(&b"a=b/c"[..]), Some(12)));
        for (records, expected) in [
            (&b"99 path=x\n"[..], TarFault::PaxRecord),
            (b"9 pathxx\n", TarFault::PaxRecord),
            (b"8 path=\n", TarFault::PaxRecord),
            (b"10 path=x\0", TarFault::PaxRecord),
            (b"11 path=a\0\n", TarFault::PaxRecord),
            (b"1 path=x\n", TarFault::PaxRecord),
            (b"0 path=x\n", TarFault::PaxRecord),
            (b" path=x\n", TarFault::PaxRecord),
            (b"-9 path=x\n", TarFault::PaxRecord),
            (b"99999999999999999999 a=b\n", TarFault::PaxRecord),
            (b"10 size=-1\n", TarFault::PaxRecord),
            (b"5 =x\n", TarFault::PaxRecord),
            (b"10 path=x\n10 path=x\n", TarFault::ExtensionTwice),
            (b"22 GNU.sparse.major=1\n", TarFault::Sparse),
        ] {
            assert_eq!(pax(records).err(), Some(expected), "{records:?}");
        }
        assert!(pax(b"").is_ok());
    }

    #[test]
    fn long_names() {
        assert_eq!(long_name(b"abc\0"), Ok(&b"abc"[..]));
        for data in [&b"abc"[..], b"", b"\0", b"a\0b\0"] {
            assert_eq!(long_name(data), Err(TarFault::LongName));
        }
    }
}
