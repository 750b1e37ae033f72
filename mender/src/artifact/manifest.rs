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
use super::fault::{Feature, ManifestFault};
use super::limits::{Limit, Limits};

const HEADER_LEN: usize = 34;
const DIGEST_LEN: usize = 64;
const FILE_PREFIX: &[u8] = b"data/0000/";

pub(super) type Sha256Sum = [u8; 32];

/// What a manifest says apart from the payload files.
pub(super) struct Manifest {
    /// Length of the stored list of files.
    pub(super) files_len: usize,
    pub(super) version: Sha256Sum,
    pub(super) header: Sha256Sum,
}

/// Checks the manifest in `text` and replaces it by the stored list of its files.
pub(super) fn compact(text: &mut [u8], limits: &Limits) -> Result<Manifest, Error> {
    let mut manifest = Manifest {
        files_len: 0,
        version: [0; 32],
        header: [0; 32],
    };
    let (mut has_version, mut has_header) = (false, false);
    let mut compression = None;
    let mut read_at = 0;
    let mut files = 0_u16;
    let mut number = 0_u16;
    while read_at < text.len() {
        number = number.saturating_add(1);
        let fail = |fault| Error::Manifest { line: number, fault };
        let rest = text.get(read_at..).unwrap_or(&[]);
        let len = rest.iter().position(|&byte| byte == b'\n');
        let len = len.ok_or(fail(ManifestFault::Unterminated))?;
        let (digits, name) = rest
            .get(..len)
            .and_then(|line| line.split_at_checked(DIGEST_LEN))
            .ok_or(fail(ManifestFault::Digest))?;
        let digest = hex(digits).ok_or(fail(ManifestFault::Digest))?;
        let name = match name {
            [b' ', b' ', name @ ..] if name.first() != Some(&b' ') => name,
            // One digit too many is a fault of the checksum, not of what separates it from the name.
            [byte, ..] if byte.is_ascii_alphanumeric() => return Err(fail(ManifestFault::Digest)),
            _ => return Err(fail(ManifestFault::Separator)),
        };
        if name == b"version" {
            if has_version {
                return Err(fail(ManifestFault::NameTwice));
            }
            has_version = true;
            manifest.version = digest;
        } else if let Some(packed) = name.strip_prefix(b"header.tar").and_then(Packed::of) {
            if has_header {
                return Err(fail(ManifestFault::TwoHeaders));
            }
            has_header = true;
            manifest.header = digest;
            compression = packed.feature();
        } else {
            let name = name
                .strip_prefix(FILE_PREFIX)
                .filter(|name| is_file_name(name))
                .ok_or(fail(ManifestFault::Name))?;
            let name_len = name.len();
            check(Limit::Name, limits.name_len.into(), name_len)?;
            files = files.saturating_add(1);
            check(Limit::Files, limits.files.into(), files.into())?;
            let files_len = manifest.files_len;
            let stored = Files(text.get(..files_len).unwrap_or(&[]));
            if stored.find(name).is_some() {
                return Err(fail(ManifestFault::NameTwice));
            }
            // The list never catches up with the text: a line has 77 bytes besides the name, an entry 34.
            let name_at = read_at + len - name_len;
            text.copy_within(name_at..name_at + name_len, files_len + HEADER_LEN);
            if let Some([seen, stored_len, stored_digest @ ..]) = text.get_mut(files_len..files_len + HEADER_LEN) {
                *seen = 0;
                // Not more than the limit, which is a `u8`.
                *stored_len = name_len as u8;
                stored_digest.copy_from_slice(&digest);
            }
            manifest.files_len = files_len + HEADER_LEN + name_len;
        }
        read_at += len + 1;
    }
    let fail = |fault| Err(Error::Manifest { line: 0, fault });
    if !has_version {
        return fail(ManifestFault::NoVersion);
    }
    if !has_header {
        return fail(ManifestFault::NoHeader);
    }
    match compression {
        Some(feature) => Err(Error::NotSupported(feature)),
        None => Ok(manifest),
    }
}

fn check(limit: Limit, allowed: u32, needed: usize) -> Result<(), Error> {
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    if needed <= allowed {
        return Ok(());
    }
    Err(Error::Limit { limit, allowed, needed })
}

/// What the suffix of an inner archive's name says.
#[derive(Clone, Copy)]
pub(super) enum Packed {
    No,
    With(Feature),
}

impl Packed {
    /// `None` for a suffix that the format does not know.
    pub(super) fn of(suffix: &[u8]) -> Option<Packed> {
        Some(match suffix {
            b"" => Packed::No,
            b".gz" => Packed::With(Feature::Gzip),
            b".xz" => Packed::With(Feature::Xz),
            b".zst" => Packed::With(Feature::Zstd),
            _ => return None,
        })
    }

    pub(super) fn feature(self) -> Option<Feature> {
        match self {
            Packed::No => None,
            Packed::With(feature) => Some(feature),
        }
    }
}

/// 64 lower-case hex digits: sums are compared as text by the reference reader, upper case never matches there.
fn hex(digits: &[u8]) -> Option<Sha256Sum> {
    let mut sum = [0; 32];
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    for (byte, &[high, low]) in sum.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
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

    pub(super) fn iter(self) -> impl Iterator<Item = ListedFile<'w>> {
        core::iter::successors(self.get(0), move |file| self.get(file.end))
    }

    pub(super) fn find(self, name: &[u8]) -> Option<ListedFile<'w>> {
        self.iter().find(|file| file.name == name)
    }
}

/// Notes that the file at `at` has begun.
pub(super) fn mark_seen(list: &mut [u8], at: usize) {
    if let Some(seen) = list.get_mut(at) {
        *seen = 1;
    }
}
