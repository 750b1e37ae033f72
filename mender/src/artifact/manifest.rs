//! The manifest: text in, a compact list of payload files out, in the same bytes.
//!
//! Rules: spec of the artifact format, section 4. What is stored per file:
//!
//! ```text
//! +----------+--------------+-------------+------+
//! | seen: u8 | name len: u8 | SHA-256: 32 | name |
//! +----------+--------------+-------------+------+
//! ```

use super::error::{Error, Feature, ManifestFault};
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
    let mut version = None;
    let mut header = None;
    let mut compression = None;
    let mut read_at = 0;
    let mut files_len = 0;
    let mut files = 0_u16;
    let mut number = 0_u16;
    while read_at < text.len() {
        number = number.saturating_add(1);
        let fail = |fault| Error::Manifest { line: number, fault };
        let rest = text.get(read_at..).unwrap_or(&[]);
        let len = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or(fail(ManifestFault::Unterminated))?;
        let line = rest.get(..len).unwrap_or(&[]);
        let digest = line
            .get(..DIGEST_LEN)
            .and_then(hex)
            .ok_or(fail(ManifestFault::Digest))?;
        let name = match line.get(DIGEST_LEN..) {
            Some([b' ', b' ', name @ ..]) if name.first() != Some(&b' ') => name,
            // One digit too many is a fault of the checksum, not of what separates it from the name.
            Some([byte, ..]) if byte.is_ascii_alphanumeric() => return Err(fail(ManifestFault::Digest)),
            Some(_) | None => return Err(fail(ManifestFault::Separator)),
        };
        let header_compression = match name {
            b"header.tar" => Some(None),
            b"header.tar.gz" => Some(Some(Feature::Gzip)),
            b"header.tar.xz" => Some(Some(Feature::Xz)),
            b"header.tar.zst" => Some(Some(Feature::Zstd)),
            _ => None,
        };
        if name == b"version" {
            if version.replace(digest).is_some() {
                return Err(fail(ManifestFault::NameTwice));
            }
        } else if let Some(feature) = header_compression {
            if header.replace(digest).is_some() {
                return Err(fail(ManifestFault::TwoHeaders));
            }
            compression = feature;
        } else {
            let name = name
                .strip_prefix(FILE_PREFIX)
                .filter(|name| is_file_name(name))
                .ok_or(fail(ManifestFault::Name))?;
            let too_long = Error::Limit {
                limit: Limit::Name,
                allowed: u64::from(limits.name_len),
                needed: name.len() as u64,
            };
            let name_len = u8::try_from(name.len()).map_err(|_| too_long)?;
            if name_len > limits.name_len {
                return Err(too_long);
            }
            files = files.saturating_add(1);
            if files > limits.files {
                return Err(Error::Limit {
                    limit: Limit::Files,
                    allowed: u64::from(limits.files),
                    needed: u64::from(files),
                });
            }
            let stored = Files(text.get(..files_len).unwrap_or(&[]));
            if stored.find(name).is_some() {
                return Err(fail(ManifestFault::NameTwice));
            }
            // The list never catches up with the text: a line has 77 bytes besides the name, an entry 34.
            let name_at = read_at + DIGEST_LEN + 2 + FILE_PREFIX.len();
            text.copy_within(name_at..name_at + usize::from(name_len), files_len + HEADER_LEN);
            if let Some([seen, stored_len, stored_digest @ ..]) = text.get_mut(files_len..files_len + HEADER_LEN) {
                *seen = 0;
                *stored_len = name_len;
                stored_digest.copy_from_slice(&digest);
            }
            files_len += HEADER_LEN + usize::from(name_len);
        }
        read_at += len + 1;
    }
    let fail = |fault| Error::Manifest { line: 0, fault };
    let version = version.ok_or(fail(ManifestFault::NoVersion))?;
    let header = header.ok_or(fail(ManifestFault::NoHeader))?;
    match compression {
        Some(feature) => Err(Error::NotSupported(feature)),
        None => Ok(Manifest {
            files_len,
            version,
            header,
        }),
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
    !name.is_empty()
        && name != b"."
        && name != b".."
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b','))
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
