//! Where things go: the root that no destination may leave, and the work folder.
//!
//! ```text
//! work/incoming/   what a download is writing, or wrote until a restart, and what is on its way out
//! work/ready/      a complete download; `plan` says what it is
//! work/journal     an install has begun; says what was there before
//! ```

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::vec::Vec;

use super::journal::Lines;
use super::partial;
use super::steps::look;
use super::{Disk, DiskError, Failed, PathFault};

#[derive(Debug)]
pub struct Places {
    root: PathBuf,
    work: PathBuf,
    pub(crate) disk: Disk,
}

/// A folder below the root, without symbolic links in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    base: PathBuf,
    /// Folders below that are not there yet.
    missing: Vec<OsString>,
}

impl Place {
    pub(crate) fn path(&self) -> PathBuf {
        let mut path = self.base.clone();
        path.extend(&self.missing);
        path
    }

    /// How many folders must be made.
    pub(crate) fn missing(&self) -> usize {
        self.missing.len()
    }
}

/// The text of a payload file that holds one line.
pub(crate) fn line(content: &[u8]) -> Result<&str, PathFault> {
    let text = core::str::from_utf8(content).map_err(|_| PathFault::NotOneLine)?;
    let text = text.trim_end_matches('\n');
    if text.is_empty() || text.contains(|c: char| c.is_control()) {
        return Err(PathFault::NotOneLine);
    }
    Ok(text)
}

/// A name without any path.
pub(crate) fn name(text: &str) -> Result<&str, PathFault> {
    let mut parts = Path::new(text).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == text => Ok(text),
        (_, _) => Err(PathFault::NotAName),
    }
}

impl Places {
    pub(crate) fn new(work: PathBuf, root: PathBuf) -> Places {
        Places {
            root,
            work,
            disk: Disk::default(),
        }
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.work.join("incoming")
    }

    pub(crate) fn ready(&self) -> PathBuf {
        self.work.join("ready")
    }

    /// Finds a folder that an artifact names. All symbolic links on the way are resolved here, so later steps meet none.
    pub(crate) fn resolve(&self, folder: &str) -> Result<Place, Failed> {
        // Without a `/` or `/.` at its end, by which a link there would be followed.
        let folder: PathBuf = Path::new(folder).components().collect();
        let folder = folder.as_path();
        if !folder.has_root() {
            return Err(Failed::Folder(PathFault::NotAbsolute));
        }
        if folder.components().any(|part| part == Component::ParentDir) {
            return Err(Failed::Folder(PathFault::Climbs));
        }
        let canonical = |path: &Path| {
            fs::canonicalize(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failed::Folder(PathFault::NotAFolder),
                _ => Failed::Disk(DiskError::at("look at", path)(error)),
            })
        };
        let root = fs::canonicalize(&self.root)
            .map_err(DiskError::at("look at", &self.root))
            .map_err(Failed::Disk)?;
        let mut missing = Vec::new();
        let mut there = folder;
        let base = loop {
            match fs::symlink_metadata(there) {
                Ok(_) => break canonical(there)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                    return Err(Failed::Folder(PathFault::NotAFolder));
                }
                Err(error) => return Err(Failed::Disk(DiskError::at("look at", there)(error))),
            }
            match (there.file_name(), there.parent()) {
                (Some(name), Some(parent)) => {
                    missing.push(name.to_os_string());
                    there = parent;
                }
                (_, _) => return Err(Failed::Folder(PathFault::NotAFolder)),
            }
        };
        missing.reverse();
        if !base.starts_with(&root) {
            return Err(Failed::Folder(PathFault::OutsideRoot));
        }
        if !base.is_dir() {
            return Err(Failed::Folder(PathFault::NotAFolder));
        }
        let place = Place { base, missing };
        if place.path().starts_with(canonical(&self.work)?) {
            return Err(Failed::Folder(PathFault::Work));
        }
        Ok(place)
    }

    /// Refuses to replace a folder that holds the root or the work folder.
    pub(crate) fn may_replace(&self, folder: &Path) -> Result<(), Failed> {
        let canonical = |path: &Path| {
            fs::canonicalize(path)
                .map_err(DiskError::at("look at", path))
                .map_err(Failed::Disk)
        };
        if canonical(&self.root)?.starts_with(folder) {
            return Err(Failed::Folder(PathFault::Root));
        }
        let work = canonical(&self.work)?;
        if work.starts_with(folder) || folder.starts_with(work) {
            return Err(Failed::Folder(PathFault::Work));
        }
        Ok(())
    }

    /// Makes the folders of a place that are missing.
    pub(crate) fn make(&self, place: &Place) -> Result<PathBuf, DiskError> {
        let mut path = place.base.clone();
        for name in &place.missing {
            let parent = path.clone();
            path.push(name);
            self.disk.make_folder(&path)?;
            // Its mode is that of any new folder.
            self.disk.sync_folder(&parent)?;
        }
        Ok(path)
    }

    /// Removes the last `count` folders of a path, as far as they are empty.
    pub(crate) fn unmake(&self, path: &Path, count: usize) -> Result<(), DiskError> {
        for folder in path.ancestors().take(count) {
            if !self.disk.remove_empty_folder(folder)? {
                break;
            }
        }
        for folder in path.ancestors().take_while(|_| count > 0) {
            if look(folder)?.is_some() {
                return self.disk.sync_folder(folder);
            }
        }
        Ok(())
    }

    /// A folder `incoming`, and no complete download. What an earlier one has received stays in that folder, as far as that is known; also
    /// of one that came to its end, if the power went before anybody heard of it.
    pub(crate) fn begin_download(&self) -> Result<PathBuf, DiskError> {
        self.disk.make_folders(&self.work)?;
        self.open_download()?;
        let incoming = self.incoming();
        if !partial::is_begun(&incoming) {
            self.disk.remove_tree(&incoming)?;
            self.disk.make_folder(&incoming)?;
        }
        Ok(incoming)
    }

    /// Makes the complete download, if there is one, one that is not.
    fn open_download(&self) -> Result<(), DiskError> {
        let (incoming, ready) = (self.incoming(), self.ready());
        if look(&ready)?.is_some() {
            self.disk.remove_tree(&incoming)?;
            self.disk.rename(&ready, &incoming)?;
            self.disk.sync_folder(&self.work)?;
        }
        Ok(())
    }

    /// Makes what is in `incoming` the complete download, described by `plan`.
    pub(crate) fn end_download(&self, plan: &Lines) -> Result<(), DiskError> {
        let incoming = self.incoming();
        let path = incoming.join("plan");
        // Of a download that was cut short here, or while it was removed.
        if look(&path)?.is_some() {
            self.disk.remove_file(&path)?;
        }
        self.disk.write(&path, plan.text().as_bytes())?;
        self.disk.sync_folder(&incoming)?;
        self.disk.rename(&incoming, &self.ready())?;
        self.disk.sync_folder(&self.work)
    }

    /// Removes a download, complete or not.
    pub(crate) fn drop_download(&self) -> Result<(), DiskError> {
        // So that half of one is never taken for a whole.
        self.open_download()?;
        self.disk.remove_tree(&self.incoming())
    }

    /// Removes a download that is of no use to a next one either, for certain.
    pub(crate) fn forget_download(&self) -> Result<(), DiskError> {
        self.disk.remove_tree(&self.incoming())?;
        self.disk.sync_folder(&self.work)
    }

    /// The plan of the complete download, if there is one. One that cannot be read counts as none.
    pub(crate) fn plan(&self, title: &str) -> Result<Option<Lines>, DiskError> {
        let content = read(&self.ready().join("plan"))?;
        Ok(content.and_then(|content| Lines::parse(&content, title)))
    }

    /// The journal, if there is one. It gets its name when it is whole, so one that cannot be read says that something is wrong.
    pub(crate) fn journal(&self, title: &str) -> Result<Option<Lines>, Failed> {
        let Some(content) = read(&self.work.join("journal"))? else {
            return Ok(None);
        };
        Lines::parse(&content, title).map(Some).ok_or(Failed::JournalDamaged)
    }

    pub(crate) fn write_journal(&self, journal: &Lines) -> Result<(), DiskError> {
        let (new, path) = (self.work.join("journal.new"), self.work.join("journal"));
        self.disk.remove_file(&new)?;
        self.disk.write(&new, journal.text().as_bytes())?;
        self.disk.rename(&new, &path)?;
        self.disk.sync_folder(&self.work)
    }

    pub(crate) fn drop_journal(&self) -> Result<(), DiskError> {
        let (new, path) = (self.work.join("journal.new"), self.work.join("journal"));
        if look(&new)?.is_some() {
            self.disk.remove_file(&new)?;
        }
        if look(&path)?.is_some() {
            self.disk.remove_file(&path)?;
            self.disk.sync_folder(&self.work)?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::at("read", path)(error)),
    }
}
