//! The names of the entries, each in its archive. Compared literally: `./version` is not `version`.
//!
//! Rules: spec of the artifact format, sections 1, 6, 7 and 8.

use super::error::Error;
use super::fault::{Archive, Entry, Feature, FileFault};
use super::manifest::{Files, is_file_name, is_plain};
use super::packed::{Formats, Packed};

/// A name that the format knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) entry: Entry,
    /// Of a payload file: where it is in the list of files.
    pub(super) at: usize,
    /// Of an inner archive.
    #[cfg(feature = "gzip")]
    pub(super) packed: Packed,
}

/// The names of an archive that are always the same, and what they are; nothing is known of what augments an artifact.
type Known = [(&'static [u8], Option<Entry>)];

static OUTER: [(&[u8], Option<Entry>); 4] = [
    (b"version", Some(Entry::Version)),
    (b"manifest", Some(Entry::Manifest)),
    (b"manifest.sig", Some(Entry::Signature)),
    (b"manifest-augment", None),
];

/// Archives, which may be compressed.
static INNER: [(&[u8], Option<Entry>); 3] = [
    (b"header.tar", Some(Entry::Header)),
    (b"data/0000.tar", Some(Entry::Payload)),
    (b"header-augment.tar", None),
];

static HEADER: [(&[u8], Option<Entry>); 3] = [
    (b"header-info", Some(Entry::HeaderInfo)),
    (b"headers/0000/type-info", Some(Entry::TypeInfo)),
    (b"headers/0000/meta-data", Some(Entry::MetaData)),
];

/// What the entry `path` of `archive` is.
pub(super) fn resolve(archive: Archive, path: &[u8], files: Files<'_>, formats: Formats) -> Result<Name, Error> {
    let known: &Known = match archive {
        Archive::Artifact => &OUTER,
        Archive::Header => &HEADER,
        Archive::Payload => {
            return match files.find(path) {
                Some(file) => Ok(Name {
                    entry: Entry::File,
                    at: file.at,
                    #[cfg(feature = "gzip")]
                    packed: Packed::No,
                }),
                None if is_file_name(path) => Err(Error::File(FileFault::NotListed)),
                None => Err(Error::File(FileFault::Name)),
            };
        }
    };
    #[cfg(feature = "gzip")]
    let mut found_packed = Packed::No;
    let mut found = known.iter().find(|(name, _)| *name == path);
    if archive == Archive::Artifact && found.is_none() {
        for inner in &INNER {
            if let Some(packed) = path.strip_prefix(inner.0).and_then(Packed::of) {
                // A packed archive that cannot be unpacked is refused for that, whatever it is.
                if let Some(feature) = packed.missing(formats) {
                    return Err(Error::NotSupported(feature));
                }
                found = Some(inner);
                #[cfg(feature = "gzip")]
                {
                    found_packed = packed;
                }
            }
        }
    }
    let entry = match found {
        Some((_, Some(entry))) => *entry,
        Some((_, None)) => return Err(Error::NotSupported(Feature::Augmented)),
        None if archive == Archive::Header && path.strip_prefix(b"scripts/").is_some_and(is_script_name) => {
            Entry::Script
        }
        None => return Err(Error::UnknownEntry(archive)),
    };
    Ok(Name {
        entry,
        at: 0,
        #[cfg(feature = "gzip")]
        packed: found_packed,
    })
}

/// Scripts are skipped, never stored, so it is enough that the name is one and has no directory.
fn is_script_name(name: &[u8]) -> bool {
    is_plain(name) && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'/')
}
