//! The names of the entries, each in its archive. Compared literally: `./version` is not `version`.
//!
//! Rules: spec of the artifact format, sections 1, 6, 7 and 8.

use super::error::Error;
use super::fault::{Archive, Entry, Feature, FileFault};
use super::manifest::{Files, Packed, is_file_name, is_plain};

/// A name that the format knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) entry: Entry,
    /// Of a payload file: where it is in the list of files.
    pub(super) at: usize,
}

/// What the entry `path` of `archive` is.
pub(super) fn resolve(archive: Archive, path: &[u8], files: Files<'_>) -> Result<Name, Error> {
    let mut at = 0;
    let entry = match archive {
        Archive::Artifact => outer(path)?,
        Archive::Header => match path {
            b"header-info" => Entry::HeaderInfo,
            b"headers/0000/type-info" => Entry::TypeInfo,
            b"headers/0000/meta-data" => Entry::MetaData,
            _ if path.strip_prefix(b"scripts/").is_some_and(is_script_name) => Entry::Script,
            _ => return Err(Error::UnknownEntry(archive)),
        },
        Archive::Payload => match files.find(path) {
            Some(file) => {
                at = file.at;
                Entry::File
            }
            None if is_file_name(path) => return Err(Error::File(FileFault::NotListed)),
            None => return Err(Error::File(FileFault::Name)),
        },
    };
    Ok(Name { entry, at })
}

fn outer(path: &[u8]) -> Result<Entry, Error> {
    let augmented = Error::NotSupported(Feature::Augmented);
    Ok(match path {
        b"version" => Entry::Version,
        b"manifest" => Entry::Manifest,
        b"manifest.sig" => Entry::Signature,
        b"manifest-augment" => return Err(augmented),
        _ => {
            // An augmenting header is told by its compression, if it has one, like every other archive.
            for (name, entry) in [
                (&b"header.tar"[..], Some(Entry::Header)),
                (b"data/0000.tar", Some(Entry::Payload)),
                (b"header-augment.tar", None),
            ] {
                match path.strip_prefix(name).and_then(Packed::of) {
                    Some(Packed::No) => return entry.ok_or(augmented),
                    Some(Packed::With(feature)) => return Err(Error::NotSupported(feature)),
                    None => {}
                }
            }
            return Err(Error::UnknownEntry(Archive::Artifact));
        }
    })
}

/// Scripts are skipped, never stored, so it is enough that the name is one and has no directory.
fn is_script_name(name: &[u8]) -> bool {
    is_plain(name) && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'/')
}
