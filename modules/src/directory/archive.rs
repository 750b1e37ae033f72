//! The archive: which entries are taken, and putting them on the disk.
//!
//! All rules are applied to the archive alone, before anything is written: entries are unpacked into an empty folder, so what
//! is there is known. No entry is ever written through a link.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::string::{String, ToString};
use std::time::{Duration, SystemTime};
use std::vec;
use std::vec::Vec;

use tar::{Archive, EntryType};

use super::{EntryFault, Error, Refusal};
use crate::DiskError;
use crate::disk::{Disk, Owner};

/// What a path of the archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A folder that entries are in, without one of its own so far.
    ImpliedFolder,
    Folder,
    File,
    Link,
}

/// An entry that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    /// Relative to the folder; empty for the folder itself.
    path: PathBuf,
    kind: Kind,
    mode: u32,
    owner: Option<Owner>,
    modified: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    /// A folder without an entry.
    ImpliedFolder,
    File,
    Link(PathBuf),
    HardLink(PathBuf),
}

/// Checks every entry, and that all of the archive can be read.
pub(super) fn check(archive: &Path) -> Result<(), Error> {
    walk(archive, &mut |_, content| {
        io::copy(content, &mut io::sink()).map(drop).map_err(damaged)
    })
}

/// Puts all entries into `folder`, which is there, empty and closed to others, and brings them to the disk. Owner and mode are
/// those of the folder itself, unless the archive says it; it gets them last.
pub(super) fn unpack(archive: &Path, folder: &Path, disk: &Disk, owner: Option<Owner>, mode: u32) -> Result<(), Error> {
    let mut folders = Vec::new();
    walk(archive, &mut |item, content| {
        let path = folder.join(&item.path);
        match &item.kind {
            Kind::Folder | Kind::ImpliedFolder => {
                if item.kind == Kind::ImpliedFolder || (!item.path.as_os_str().is_empty() && !is_folder(&path)) {
                    disk.make_folder(&path)?;
                }
                // Later: a folder may be closed to writing, and its entries are still to come.
                folders.push(item.clone());
            }
            Kind::File => {
                let mut file = disk.create(&path)?;
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let len = content.read(&mut buffer).map_err(damaged)?;
                    match buffer.get(..len) {
                        None | Some([]) => break,
                        Some(data) => file.write(data)?,
                    }
                }
                set_properties(disk, &path, item)?;
                if let Some(time) = item.modified {
                    file.set_modified(time)?;
                }
                file.sync()?;
            }
            Kind::Link(target) => {
                disk.symlink(target, &path)?;
                if let Some(owner) = item.owner {
                    disk.set_owner(&path, owner)?;
                }
            }
            Kind::HardLink(file) => disk.link(&folder.join(file), &path)?,
        }
        Ok(())
    })?;
    if !folders.iter().any(|item| item.path.as_os_str().is_empty()) {
        folders.push(Item {
            path: PathBuf::new(),
            kind: Kind::Folder,
            mode,
            owner,
            modified: None,
        });
    }
    // Inner folders first.
    folders.sort_by(|a, b| b.path.cmp(&a.path));
    for item in &folders {
        let path = folder.join(&item.path);
        // One that its owner cannot read cannot be opened afterwards.
        let open = disk.open_folder(&path)?;
        if item.kind != Kind::ImpliedFolder {
            set_properties(disk, &path, item)?;
        }
        open.sync()?;
    }
    Ok(())
}

/// Links are not followed.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|there| there.is_dir())
}

/// Owner, as far as this process may, and permissions. Those to run as somebody else only with their owner.
fn set_properties(disk: &Disk, path: &Path, item: &Item) -> Result<(), DiskError> {
    let owned = match item.owner {
        Some(owner) => disk.set_owner(path, owner)?,
        None => false,
    };
    disk.set_mode(path, if owned { item.mode } else { item.mode & 0o777 })
}

/// Calls `visit` for every entry that passes the rules, in order; folders that have no entry come before what is in them.
fn walk(archive: &Path, visit: &mut dyn FnMut(&Item, &mut dyn Read) -> Result<(), Error>) -> Result<(), Error> {
    let file = File::open(archive)
        .map_err(DiskError::at("open", archive))
        .map_err(Error::Disk)?;
    let mut archive = Archive::new(file);
    let mut seen = BTreeMap::from([(PathBuf::new(), Seen::ImpliedFolder)]);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let header = entry.header();
        let kind = header.entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let shown = String::from_utf8_lossy(&entry.path_bytes()).to_string();
        let refuse = |fault| {
            let path = shown.clone();
            Error::Refused(Refusal::Entry { fault, path })
        };
        let path = entry.path().map_err(|_| refuse(EntryFault::Path))?;
        let path = inner_path(&path).ok_or_else(|| refuse(EntryFault::Path))?;
        let mut item = Item {
            mode: header.mode().map_err(damaged)? & 0o7777,
            owner: owner(header),
            modified: header
                .mtime()
                .ok()
                .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))),
            kind: Kind::Folder,
            path,
        };
        for parent in implied(&item.path, &seen).map_err(refuse)? {
            seen.insert(parent.path.clone(), Seen::ImpliedFolder);
            visit(&parent, &mut io::empty())?;
        }
        let target = entry.link_name().map_err(|_| refuse(EntryFault::Link))?;
        let (now, kind) = match (kind, target) {
            (EntryType::Directory, _) => (Seen::Folder, Kind::Folder),
            (EntryType::Regular | EntryType::Continuous, _) => (Seen::File, Kind::File),
            (EntryType::Symlink, Some(target)) if stays_inside(&target, &item.path) => {
                (Seen::Link, Kind::Link(target.into_owned()))
            }
            (EntryType::Symlink, _) => return Err(refuse(EntryFault::Link)),
            (EntryType::Link, Some(target)) => match inner_path(&target) {
                Some(target) if seen.get(&target) == Some(&Seen::File) => (Seen::File, Kind::HardLink(target)),
                Some(_) | None => return Err(refuse(EntryFault::HardLink)),
            },
            (EntryType::Link, None) => return Err(refuse(EntryFault::HardLink)),
            (_, _) => return Err(refuse(EntryFault::Kind)),
        };
        match (seen.get(&item.path), now) {
            (None, _) | (Some(Seen::ImpliedFolder), Seen::Folder) => {}
            (Some(Seen::ImpliedFolder | Seen::Folder | Seen::File | Seen::Link), _) => {
                return Err(refuse(EntryFault::Twice));
            }
        }
        seen.insert(item.path.clone(), now);
        item.kind = kind;
        visit(&item, &mut entry)?;
    }
    Ok(())
}

fn owner(header: &tar::Header) -> Option<Owner> {
    Some(Owner {
        uid: u32::try_from(header.uid().ok()?).ok()?,
        gid: u32::try_from(header.gid().ok()?).ok()?,
    })
}

/// A path without any part but names; `./a//b/` is `a/b`.
fn inner_path(path: &Path) -> Option<PathBuf> {
    let mut inner = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inner.push(name),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => return None,
        }
    }
    let has_nul = |name: &OsStr| name.as_encoded_bytes().contains(&0);
    (!path.as_os_str().is_empty() && !has_nul(path.as_os_str())).then_some(inner)
}

/// The folders above `path` that have no entry yet, outer ones first.
fn implied(path: &Path, seen: &BTreeMap<PathBuf, Seen>) -> Result<Vec<Item>, EntryFault> {
    let mut missing = Vec::new();
    for parent in path.ancestors().skip(1) {
        match seen.get(parent) {
            Some(Seen::Folder | Seen::ImpliedFolder) => break,
            Some(Seen::File | Seen::Link) => return Err(EntryFault::Parent),
            None => missing.push(Item {
                path: parent.into(),
                kind: Kind::ImpliedFolder,
                mode: 0o755,
                owner: None,
                modified: None,
            }),
        }
    }
    missing.reverse();
    Ok(missing)
}

/// Whether a link at `path` with that target stays inside, whatever other links are there.
///
/// It may go up only at its beginning, no further than to the folder itself: there the way leads through real folders, as entries
/// are never below links. A `..` behind a name could follow another link first, and then go up from wherever that leads.
fn stays_inside(target: &Path, path: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    let mut down = false;
    for part in target.components() {
        match part {
            Component::Normal(_) => down = true,
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(less) if !down => depth = less,
                Some(_) | None => return false,
            },
            Component::Prefix(_) | Component::RootDir => return false,
        }
    }
    !target.as_os_str().is_empty() && !target.as_os_str().as_encoded_bytes().contains(&0)
}

fn damaged(error: io::Error) -> Error {
    Error::Refused(Refusal::Archive(error))
}
