//! The names of the entries, each in its archive. Compared literally: `./version` is not `version`.
//!
//! Rules: spec of the artifact format, sections 1, 6, 7 and 8.

use super::error::{Archive, Entry, Error, Feature, FileFault};
use super::manifest::{Files, is_file_name};

/// A name that the format knows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    Version,
    Manifest,
    Signature,
    Header,
    Payload,
    HeaderInfo,
    Script,
    TypeInfo,
    MetaData,
    /// A payload file that the manifest lists.
    File {
        /// Where its entry is in the list of files.
        at: usize,
    },
}

impl Name {
    pub(super) fn as_entry(self) -> Entry {
        match self {
            Name::Version => Entry::Version,
            Name::Manifest => Entry::Manifest,
            Name::Signature => Entry::Signature,
            Name::Header => Entry::Header,
            Name::Payload => Entry::Payload,
            Name::HeaderInfo => Entry::HeaderInfo,
            Name::Script => Entry::Script,
            Name::TypeInfo => Entry::TypeInfo,
            Name::MetaData => Entry::MetaData,
            Name::File { .. } => Entry::File,
        }
    }
}

/// What the entry `path` of `archive` is.
pub(super) fn resolve(archive: Archive, path: &[u8], files: Files<'_>) -> Result<Name, Error> {
    let unknown = Err(Error::UnknownEntry(archive));
    match archive {
        Archive::Artifact => match path {
            b"version" => Ok(Name::Version),
            b"manifest" => Ok(Name::Manifest),
            b"manifest.sig" => Ok(Name::Signature),
            b"manifest-augment" => Err(Error::NotSupported(Feature::Augmented)),
            _ => {
                let (name, suffix) = if let Some(suffix) = path.strip_prefix(b"header.tar") {
                    (Ok(Name::Header), suffix)
                } else if let Some(suffix) = path.strip_prefix(b"data/0000.tar") {
                    (Ok(Name::Payload), suffix)
                } else if let Some(suffix) = path.strip_prefix(b"header-augment.tar") {
                    (Err(Error::NotSupported(Feature::Augmented)), suffix)
                } else {
                    return unknown;
                };
                match suffix {
                    b"" => name,
                    b".gz" => Err(Error::NotSupported(Feature::Gzip)),
                    b".xz" => Err(Error::NotSupported(Feature::Xz)),
                    b".zst" => Err(Error::NotSupported(Feature::Zstd)),
                    _ => unknown,
                }
            }
        },
        Archive::Header => match path {
            b"header-info" => Ok(Name::HeaderInfo),
            b"headers/0000/type-info" => Ok(Name::TypeInfo),
            b"headers/0000/meta-data" => Ok(Name::MetaData),
            _ => match path.strip_prefix(b"scripts/") {
                Some(script) if is_script_name(script) => Ok(Name::Script),
                Some(_) | None => unknown,
            },
        },
        Archive::Payload => match files.find(path) {
            Some(file) => Ok(Name::File { at: file.at }),
            None if is_file_name(path) => Err(Error::File(FileFault::NotListed)),
            None => Err(Error::File(FileFault::Name)),
        },
    }
}

/// Scripts are skipped, never stored, so it is enough that the name is one and has no directory.
fn is_script_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name != b"."
        && name != b".."
        && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'/')
}
