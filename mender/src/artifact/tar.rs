//! One header block of a tar archive, and the PAX headers and long names in front of an entry.
//!
//! Rules: spec of the artifact format, section 2. Readers differ on everything that this module refuses.

use core::ops::Range;

use super::error::TarFault;

/// Length of a tar block.
pub(super) const BLOCK_LEN: u64 = 512;

/// What is kept of a header block, in this order: prefix, a slash, name, size, checksum, type flag, magic.
pub(super) const KEPT_LEN: usize = 285;

const PREFIX: Range<usize> = 0..155;
const SLASH: usize = 155;
const NAME: Range<usize> = 156..256;
const SIZE: Range<usize> = 256..268;
const CHECKSUM: Range<usize> = 268..276;
const TYPE: usize = 276;
const MAGIC: Range<usize> = 277..285;

/// Where the fields are in a block, and where they are kept.
const FIELDS: [(Range<usize>, usize); 5] = [
    (0..100, NAME.start),
    (124..136, SIZE.start),
    (148..157, CHECKSUM.start),
    (257..265, MAGIC.start),
    (345..500, PREFIX.start),
];

/// A header block of which some bytes have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockReader {
    filled: u16,
    /// Sum of all bytes, the checksum field's counted as blanks.
    sum: u32,
    all_zero: bool,
}

/// A complete header block.
pub(super) enum Block {
    /// 512 zeros.
    Zero,
    /// The header of an entry.
    Header(Header),
}

/// What a header block says, apart from the name.
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) size: u64,
    /// Where the full name is in the kept bytes.
    pub(super) path: Range<usize>,
}

pub(super) enum Kind {
    File,
    Pax,
    GnuLongName,
}

impl BlockReader {
    pub(super) const fn new() -> BlockReader {
        BlockReader {
            filled: 0,
            sum: 0,
            all_zero: true,
        }
    }

    /// How many bytes are missing.
    pub(super) fn missing(&self) -> u64 {
        BLOCK_LEN.saturating_sub(u64::from(self.filled))
    }

    /// Takes the next bytes of the block, at most [`missing`](BlockReader::missing). `kept` has [`KEPT_LEN`] bytes.
    pub(super) fn push(&mut self, bytes: &[u8], kept: &mut [u8]) {
        let start = usize::from(self.filled);
        let end = start + bytes.len();
        self.all_zero &= bytes.iter().all(|&byte| byte == 0);
        for (at, &byte) in (start..).zip(bytes) {
            let counted = if (148..156).contains(&at) { b' ' } else { byte };
            self.sum += u32::from(counted);
        }
        for (field, kept_at) in FIELDS {
            let from = field.start.max(start);
            let to = field.end.min(end);
            if from < to
                && let Some(source) = bytes.get(from - start..to - start)
                && let Some(target) = kept.get_mut(kept_at + from - field.start..kept_at + to - field.start)
            {
                target.copy_from_slice(source);
            }
        }
        self.filled = u16::try_from(end).unwrap_or(u16::MAX);
    }

    /// Reads a block of which nothing is missing.
    pub(super) fn finish(&self, kept: &mut [u8]) -> Result<Block, TarFault> {
        if self.all_zero {
            return Ok(Block::Zero);
        }
        let field = |range: Range<usize>| kept.get(range).unwrap_or(&[]);
        let gnu = match field(MAGIC) {
            b"ustar\x0000" => false,
            b"ustar  \0" => true,
            _ => return Err(TarFault::Magic),
        };
        if octal(field(CHECKSUM)) != Some(u64::from(self.sum)) {
            return Err(TarFault::HeaderChecksum);
        }
        let size = octal(field(SIZE)).ok_or(TarFault::Size)?;
        let kind = match kept.get(TYPE) {
            Some(b'0' | b'\0') => Kind::File,
            Some(b'x') => Kind::Pax,
            Some(b'L') => Kind::GnuLongName,
            other => return Err(TarFault::EntryType(other.copied().unwrap_or(0))),
        };
        let name_end = NAME.start + text_len(field(NAME));
        // GNU tar keeps times in the place of the prefix.
        let prefix_len = if gnu { 0 } else { text_len(field(PREFIX)) };
        let path = if prefix_len == 0 {
            NAME.start..name_end
        } else {
            let start = SLASH.saturating_sub(prefix_len);
            kept.copy_within(..prefix_len, start);
            if let Some(slash) = kept.get_mut(SLASH) {
                *slash = b'/';
            }
            start..name_end
        };
        Ok(Block::Header(Header { kind, size, path }))
    }
}

/// Length of a text field: up to the first NUL, or all of it.
fn text_len(field: &[u8]) -> usize {
    field.iter().position(|&byte| byte == 0).unwrap_or(field.len())
}

/// A number field: octal digits, then nothing but blanks and NUL bytes, at least one.
fn octal(field: &[u8]) -> Option<u64> {
    let end = field.iter().position(|byte| !(b'0'..=b'7').contains(byte))?;
    let (digits, terminator) = field.split_at_checked(end)?;
    if digits.is_empty() || terminator.iter().any(|byte| !matches!(byte, b' ' | b'\0')) {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(8)?.checked_add(u64::from(digit - b'0'))
    })
}

/// What PAX headers and long names say about the entry that follows.
pub(super) struct Pax<'t> {
    pub(super) path: Option<&'t [u8]>,
    pub(super) size: Option<u64>,
}

/// Reads the records `LEN KEY=VALUE\n` of a PAX header.
pub(super) fn pax(mut rest: &[u8]) -> Result<Pax<'_>, TarFault> {
    let mut found = Pax { path: None, size: None };
    while !rest.is_empty() {
        let (key, value, after) = pax_record(rest).ok_or(TarFault::PaxRecord)?;
        rest = after;
        match key {
            b"path" => {
                if value.is_empty() {
                    return Err(TarFault::PaxRecord);
                }
                if found.path.replace(value).is_some() {
                    return Err(TarFault::ExtensionTwice);
                }
            }
            b"size" => {
                let size = decimal(value).ok_or(TarFault::PaxRecord)?;
                if found.size.replace(size).is_some() {
                    return Err(TarFault::ExtensionTwice);
                }
            }
            // Owner, times, comments: nothing that a client uses.
            key if key.starts_with(b"GNU.sparse.") => return Err(TarFault::Sparse),
            _ => {}
        }
    }
    Ok(found)
}

fn pax_record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = text.iter().position(|&byte| byte == b' ')?;
    let len = usize::try_from(decimal(text.get(..blank)?)?).ok()?;
    let (record, after) = text.split_at_checked(len)?;
    let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (body.get(..equals)?, body.get(equals + 1..)?);
    (!key.is_empty() && !key.contains(&0) && !value.contains(&0)).then_some((key, value, after))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number.checked_mul(10)?.checked_add(u64::from(byte - b'0')))?
    })
}

/// The name in the data of a GNU long name entry: NUL at the end, none inside.
pub(super) fn long_name(data: &[u8]) -> Result<&[u8], TarFault> {
    match data.strip_suffix(b"\0") {
        Some(name) if !name.is_empty() && !name.contains(&0) => Ok(name),
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
            (b"77777777777\0", Some(0o77777777777)),
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
