//! An artifact taken apart into entries and put together again, with all lengths and checksums right.

use std::collections::BTreeMap;

use crate::mutate::Change;
use crate::sha256;

const BLOCK: usize = 512;
const SIZE: core::ops::Range<usize> = 124..136;
const CHECKSUM: core::ops::Range<usize> = 148..156;
const LONG_NAME: u8 = b'L';

/// A tar archive, and what is behind its last entry.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    entries: Vec<Entry>,
    behind: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Entry {
    header: [u8; BLOCK],
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Archive(Archive),
}

impl Archive {
    /// Takes apart what can be.
    pub fn read(bytes: &[u8]) -> Archive {
        let mut archive = Archive::default();
        let mut rest = bytes;
        while let Some((header, after)) = rest.split_first_chunk::<BLOCK>() {
            if header[0] == 0 {
                break;
            }
            let size = core::str::from_utf8(&header[SIZE])
                .ok()
                .map(|text| text.trim_matches(['\0', ' ']));
            let size = size.and_then(|text| usize::from_str_radix(text, 8).ok()).unwrap_or(0);
            let data = &after[..size.min(after.len())];
            let content = match name(header) {
                "header.tar" | "data/0000.tar" => Content::Archive(Archive::read(data)),
                _ => Content::Bytes(data.to_vec()),
            };
            archive.entries.push(Entry {
                header: *header,
                content,
            });
            rest = after.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
        }
        archive.behind = rest.to_vec();
        archive
    }

    /// The bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in &self.entries {
            let data = entry.content.bytes();
            let mut header = entry.header;
            header[SIZE].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
            header[CHECKSUM].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            bytes.extend(header);
            bytes.extend(data);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.extend(&self.behind);
        bytes
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries, those of archives within included.
    pub fn count(&self) -> usize {
        let inner = |entry: &Entry| match &entry.content {
            Content::Bytes(_) => 0,
            Content::Archive(archive) => archive.count(),
        };
        self.entries.iter().map(|entry| 1 + inner(entry)).sum()
    }

    /// Changes the data of the entry of this number.
    pub fn change_data(&mut self, at: usize, change: Change<'_>) {
        self.with(at, &mut |entries, index| match &mut entries[index].content {
            Content::Bytes(bytes) => change(bytes),
            Content::Archive(archive) => change(&mut archive.behind),
        });
    }

    /// Changes the header of the entry of this number.
    pub fn change_header(&mut self, at: usize, change: Change<'_>) {
        self.with(at, &mut |entries, index| {
            let mut bytes = entries[index].header.to_vec();
            change(&mut bytes);
            bytes.resize(BLOCK, 0);
            entries[index].header.copy_from_slice(&bytes);
        });
    }

    /// The entry of this number comes twice, or not at all.
    pub fn repeat_or_remove(&mut self, at: usize, repeat: bool) {
        self.with(at, &mut |entries, index| {
            let entry = entries[index].clone();
            if repeat {
                entries.push(entry);
            } else {
                entries.remove(index);
            }
        });
    }

    fn with(&mut self, mut at: usize, act: &mut dyn FnMut(&mut Vec<Entry>, usize)) {
        for index in 0..self.entries.len() {
            if at == 0 {
                return act(&mut self.entries, index);
            }
            at -= 1;
            if let Content::Archive(archive) = &mut self.entries[index].content {
                let count = archive.count();
                if at < count {
                    return archive.with(at, act);
                }
                at -= count;
            }
        }
    }

    /// Puts the digests of what is there into the lines of the manifest.
    pub fn renew_manifest(&mut self) {
        let mut digests = BTreeMap::new();
        self.digests("", &mut digests);
        for entry in &mut self.entries {
            if let ("manifest", Content::Bytes(bytes)) = (name(&entry.header), &mut entry.content) {
                for line in bytes.split_mut(|byte| *byte == b'\n') {
                    let Some((digest, name)) = line.split_at_mut_checked(64) else {
                        continue;
                    };
                    let name = name.get(2..).unwrap_or_default();
                    if let Some(right) = digests.get(name) {
                        digest.copy_from_slice(right.as_bytes());
                    }
                }
            }
        }
    }

    fn digests(&self, folder: &str, digests: &mut BTreeMap<Vec<u8>, String>) {
        let mut long_name = None;
        for entry in &self.entries {
            let data = entry.content.bytes();
            let long = long_name.take();
            if entry.header[156] == LONG_NAME {
                long_name = Some(data.split(|byte| *byte == 0).next().unwrap_or_default().to_vec());
                continue;
            }
            let own = long.unwrap_or_else(|| name(&entry.header).as_bytes().to_vec());
            let digest = sha256(&data).iter().map(|byte| format!("{byte:02x}")).collect();
            digests.insert([folder.as_bytes(), &own].concat(), digest);
            if let ("data/0000.tar", Content::Archive(archive)) = (name(&entry.header), &entry.content) {
                archive.digests("data/0000/", digests);
            }
        }
    }
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Archive(archive) => archive.write(),
        }
    }
}

fn name(header: &[u8; BLOCK]) -> &str {
    let name = header[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    core::str::from_utf8(name).unwrap_or_default()
}
