//! The manifest: text in, a compact list of payload files out, in the same bytes.
//!
//! Rules: spec of the artifact format, section 4. What is stored per file:
//!
//! ```text
//! +----------+--------------+-------------+------+
//! | seen: u8 | name len: u8 | SHA-256: 32 | name |
//! +----------+--------------+-------------+------+
//! ```

use super::error::Error;
use super::fault::ManifestFault;
use super::limits::{Limit, Limits};
use super::packed::{Formats, Packed};
use crate::shift::shift;

const HEADER_LEN: usize = 34;
const DIGEST_LEN: usize = 64;
const FILE_PREFIX: &[u8] = b"data/0000/";
const HEADER: &[u8] = b"header.tar";

pub(super) type Sha256Sum = [u8; 32];

/// What a manifest says apart from the payload files.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) version: Sha256Sum,
    pub(super) header: Sha256Sum,
    /// How the header is packed, by its name.
    #[cfg(feature = "gzip")]
    pub(super) header_packed: Packed,
}

/// Why a line is refused.
enum Refusal {
    Fault(ManifestFault),
    /// The limit was exceeded by a value of this size.
    Limit(Limit, usize),
}

/// A manifest that is being read, and overwritten by the list of its files from the beginning on.
struct Reader<'t> {
    text: &'t mut [u8],
    /// Where the next line begins.
    at: usize,
    /// Length of the list.
    files_len: usize,
    files: u16,
    has_version: bool,
    has_header: bool,
    packed: Packed,
}

/// Checks the manifest in `text` and replaces it by the stored list of its files, whose length is returned.
pub(super) fn compact(text: &mut [u8], limits: &Limits, formats: Formats, sums: &mut Sums) -> Result<usize, Error> {
    let mut reader = Reader {
        text,
        at: 0,
        files_len: 0,
        files: 0,
        has_version: false,
        has_header: false,
        packed: Packed::No,
    };
    let mut line = 0_u16;
    while reader.at < reader.text.len() {
        line = line.saturating_add(1);
        reader.line(limits, sums).map_err(|refusal| match refusal {
            Refusal::Fault(fault) => Error::Manifest { line, fault },
            Refusal::Limit(limit, needed) => Error::Limit {
                limit,
                allowed: u32::from(if limit == Limit::Name {
                    u16::from(limits.name_len)
                } else {
                    limits.files
                }),
                needed: u32::try_from(needed).unwrap_or(u32::MAX),
            },
        })?;
    }
    let fault = if !reader.has_version {
        ManifestFault::NoVersion
    } else if !reader.has_header {
        ManifestFault::NoHeader
    } else if let Some(feature) = reader.packed.missing(formats) {
        return Err(Error::NotSupported(feature));
    } else {
        #[cfg(feature = "gzip")]
        {
            sums.header_packed = reader.packed;
        }
        return Ok(reader.files_len);
    };
    Err(Error::Manifest { line: 0, fault })
}

impl Reader<'_> {
    fn line(&mut self, limits: &Limits, sums: &mut Sums) -> Result<(), Refusal> {
        let fail = |fault| Err(Refusal::Fault(fault));
        let start = self.at;
        let (list, rest) = self.text.split_at_mut(start.min(self.text.len()));
        let Some(len) = rest.iter().position(|&byte| byte == b'\n') else {
            return fail(ManifestFault::Unterminated);
        };
        self.at += len + 1;
        let line = rest.get_mut(..len).unwrap_or(&mut []);
        let (Some(digest), Some(after)) = (unhex(line), line.get(DIGEST_LEN..)) else {
            return fail(ManifestFault::Digest);
        };
        let name = match after {
            [b' ', b' ', name @ ..] if name.first() != Some(&b' ') => name,
            // One digit too many is a fault of the checksum, not of what separates it from the name.
            [byte, ..] if byte.is_ascii_alphanumeric() => return fail(ManifestFault::Digest),
            _ => return fail(ManifestFault::Separator),
        };
        let (sum, there, fault) = if name == b"version" {
            (&mut sums.version, &mut self.has_version, ManifestFault::NameTwice)
        } else if let Some(packed) = name.strip_prefix(HEADER).and_then(Packed::of) {
            self.packed = packed;
            (&mut sums.header, &mut self.has_header, ManifestFault::TwoHeaders)
        } else {
            let Some(name) = name.strip_prefix(FILE_PREFIX).filter(|name| is_file_name(name)) else {
                return fail(ManifestFault::Name);
            };
            let name_len = name.len();
            if name_len > usize::from(limits.name_len) {
                return Err(Refusal::Limit(Limit::Name, name_len));
            }
            self.files = self.files.saturating_add(1);
            if self.files > limits.files {
                return Err(Refusal::Limit(Limit::Files, usize::from(self.files)));
            }
            let files_len = self.files_len;
            if Files(list.get(..files_len).unwrap_or(&[])).find(name).is_some() {
                return fail(ManifestFault::NameTwice);
            }
            // The list never catches up with the text: a line has 77 bytes besides the name, an entry 34. The name's length
            // is not more than the limit, which is a `u8`.
            let name_start = start + len - name_len;
            shift(self.text, name_start, name_len, files_len + HEADER_LEN);
            if let Some([seen, stored_len, stored_digest @ ..]) = self.text.get_mut(files_len..files_len + HEADER_LEN) {
                *seen = 0;
                *stored_len = name_len as u8;
                stored_digest.copy_from_slice(&digest);
            }
            self.files_len = files_len + HEADER_LEN + name_len;
            return Ok(());
        };
        if *there {
            return fail(fault);
        }
        *there = true;
        *sum = digest;
        Ok(())
    }
}

/// The 64 lower-case hex digits at the beginning of `line`: sums are compared as text by the reference reader, upper case never
/// matches there.
fn unhex(line: &[u8]) -> Option<Sha256Sum> {
    let mut sum = [0; 32];
    for (at, byte) in line.get(..DIGEST_LEN)?.iter().enumerate() {
        let place = sum.get_mut(at / 2)?;
        *place = *place << 4 | digit(*byte)?;
    }
    Some(sum)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Whether a name can be a payload file's. The real writer's rule, `^[\w\-.,]+$`, lets `.` and `..` through.
pub(super) fn is_file_name(name: &[u8]) -> bool {
    is_plain(name)
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b','))
}

/// Whether a name is one, and not that of a directory.
pub(super) fn is_plain(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
}

/// The stored list of files.
#[derive(Clone, Copy)]
pub(super) struct Files<'w>(pub(super) &'w [u8]);

/// One file of the list.
pub(super) struct ListedFile<'w> {
    /// Where the entry begins in the list.
    pub(super) at: usize,
    pub(super) seen: bool,
    pub(super) digest: &'w [u8],
    pub(super) name: &'w [u8],
    end: usize,
}

impl<'w> Files<'w> {
    /// The entry that begins at `at`.
    pub(super) fn get(self, at: usize) -> Option<ListedFile<'w>> {
        let [seen, name_len, rest @ ..] = self.0.get(at..)? else {
            return None;
        };
        let (digest, rest) = rest.split_at_checked(32)?;
        let name = rest.get(..usize::from(*name_len))?;
        Some(ListedFile {
            at,
            seen: *seen != 0,
            digest,
            name,
            end: at + HEADER_LEN + name.len(),
        })
    }

    /// The first file with this name; without one, the first that has not begun.
    #[inline(never)]
    fn search(self, name: Option<&[u8]>) -> Option<ListedFile<'w>> {
        let mut at = 0;
        loop {
            let file = self.get(at)?;
            if name.map_or(!file.seen, |name| file.name == name) {
                return Some(file);
            }
            at = file.end;
        }
    }

    pub(super) fn find(self, name: &[u8]) -> Option<ListedFile<'w>> {
        self.search(Some(name))
    }

    /// A file that has not begun.
    pub(super) fn missing(self) -> Option<ListedFile<'w>> {
        self.search(None)
    }
}

/// Notes that the file at `at` has begun.
pub(super) fn mark_seen(list: &mut [u8], at: usize) {
    if let Some(seen) = list.get_mut(at) {
        *seen = 1;
    }
}
