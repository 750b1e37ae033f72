//! An artifact as the entries of its outer tar. What is not replaced stays as it was, byte for byte.

use std::fmt;
use std::io::{Cursor, Read};

const BLOCK_LEN: usize = 512;

/// Why a file is not the outer tar of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OuterError {
    /// It is no tar, or damaged.
    Tar(String),
    /// It has no such entry.
    Missing(&'static str),
    /// It has parts that are added later and are not signed..
    Augmented,
}

impl fmt::Display for OuterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OuterError::Tar(reason) => write!(f, "it is no artifact: {reason}"),
            OuterError::Missing(name) => write!(f, "it is no artifact: it has no {name}"),
            OuterError::Augmented => f.write_str("it is an augmented artifact, which no device takes"),
        }
    }
}

impl std::error::Error for OuterError {}

/// One entry.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    /// Header, extension headers, content and padding.
    blocks: Vec<u8>,
    content: Vec<u8>,
}

impl Entry {
    /// As the real writer writes what it makes in memory: no owner, no time.
    fn new(name: &str, content: Vec<u8>) -> Entry {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).expect("the names of the format are short");
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        let mut blocks = header.as_bytes().to_vec();
        append(&mut blocks, &content);
        Entry {
            name: name.to_owned(),
            blocks,
            content,
        }
    }
}

fn append(blocks: &mut Vec<u8>, content: &[u8]) {
    blocks.extend_from_slice(content);
    blocks.resize(blocks.len().next_multiple_of(BLOCK_LEN), 0);
}

/// An artifact.
#[derive(Clone, Debug)]
pub struct Outer {
    entries: Vec<Entry>,
}

impl Outer {
    /// The entries of an artifact.
    pub fn read(bytes: &[u8]) -> Result<Outer, OuterError> {
        let bad = |error: std::io::Error| OuterError::Tar(error.to_string());
        let mut entries = Vec::new();
        let mut blocks = Vec::new();
        for entry in tar::Archive::new(Cursor::new(bytes)).entries().map_err(bad)?.raw(true) {
            let mut entry = entry.map_err(bad)?;
            let kind = entry.header().entry_type();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            blocks.extend_from_slice(entry.header().as_bytes());
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(bad)?;
            append(&mut blocks, &content);
            // An extension belongs to the entry that follows.
            if matches!(kind, tar::EntryType::Regular | tar::EntryType::Continuous) {
                entries.push(Entry {
                    name,
                    blocks: std::mem::take(&mut blocks),
                    content,
                });
            }
        }
        let outer = Outer { entries };
        if outer.find("manifest-augment").is_some() || outer.find("header-augment").is_some() {
            return Err(OuterError::Augmented);
        }
        Ok(outer)
    }

    /// The whole artifact.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.entries.iter().flat_map(|entry| &entry.blocks).copied().collect();
        bytes.resize(bytes.len() + 2 * BLOCK_LEN, 0);
        bytes
    }

    fn find(&self, start: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| is(&entry.name, start))
    }

    /// Whole name and content of an entry: of that name, or with the suffix of a compression behind it.
    pub fn get(&self, name: &'static str) -> Result<(&str, &[u8]), OuterError> {
        let entry = self.find(name).ok_or(OuterError::Missing(name))?;
        Ok((&entry.name, &entry.content))
    }

    /// Whether there is such an entry.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Puts another one in the place of an entry.
    pub fn replace(&mut self, name: &str, new_name: &str, content: Vec<u8>) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| is(&entry.name, name)) {
            *entry = Entry::new(new_name, content);
        }
    }

    /// Puts an entry behind another one, or in the place of the one of its name.
    pub fn put_behind(&mut self, before: &str, name: &str, content: Vec<u8>) {
        self.entries.retain(|entry| entry.name != name);
        let behind = self.entries.iter().position(|entry| entry.name == before);
        let at = behind.map_or(self.entries.len(), |at| at + 1);
        self.entries.insert(at, Entry::new(name, content));
    }
}

/// Whether that is the name, or the name and the suffix of a compression.
fn is(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted)
        .is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('.'))
}
