//! The changes of the disk, one function each.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::vec;
use std::vec::Vec;

use sha2::{Digest, Sha256};

use super::DiskError;

/// The disk. In tests a handle onto it can end the program at any step; cloning gives the same handle.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    #[cfg(test)]
    pub(crate) witness: super::witness::Witness,
}

/// What a folder or file gets besides its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Disk {
    /// Every change goes through here.
    fn step<T>(&self, step: impl FnOnce() -> Step, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        #[cfg(test)]
        return self.witness.step(step(), change);
        #[cfg(not(test))]
        {
            let _ = step;
            change()
        }
    }

    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.step(|| Step::MakeFolder(path.into()), || fs::create_dir(path))
            .map_err(DiskError::at("make folder", path))
    }

    /// A folder that nobody else can reach into.
    pub(crate) fn make_private_folder(&self, path: &Path) -> Result<(), DiskError> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        #[cfg(not(unix))]
        builder.recursive(false);
        self.step(|| Step::MakeFolder(path.into()), || builder.create(path))
            .map_err(DiskError::at("make folder", path))
    }

    /// A folder with all that are missing above it, each brought to the disk.
    pub(crate) fn make_folders(&self, path: &Path) -> Result<(), DiskError> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let is_there = look(path)?.is_some();
        if !is_there {
            if let Some(parent) = parent {
                self.make_folders(parent)?;
            }
            self.make_folder(path)?;
        }
        match parent.map(|parent| self.sync_folder(parent)) {
            // Who made one that is there may not have come to this, if it was this program; in a folder that it may not read it
            // was somebody else.
            Some(Err(error)) if is_there && error.is_denied() => Ok(()),
            Some(synced) => synced,
            None => Ok(()),
        }
    }

    /// A new file, readable by the owner only. Never opens what is there, nor follows a link.
    pub(crate) fn create(&self, path: &Path) -> Result<NewFile, DiskError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        self.step(|| Step::Create(path.into()), || options.open(path))
            .map(|file| NewFile {
                disk: self.clone(),
                path: path.into(),
                file,
            })
            .map_err(DiskError::at("create", path))
    }

    /// A file that is there, to be written at its end.
    pub(crate) fn open_end(&self, path: &Path) -> Result<NewFile, DiskError> {
        let file = OpenOptions::new().append(true).open(path);
        Ok(NewFile {
            disk: self.clone(),
            path: path.into(),
            file: file.map_err(DiskError::at("open", path))?,
        })
    }

    /// A whole file, brought to the disk.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        let mut file = self.create(path)?;
        file.write(content)?;
        file.sync()
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.step(|| Step::Rename(from.into(), to.into()), || fs::rename(from, to))
            .map_err(DiskError::at("rename", from))
    }

    /// A second name for a file.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.step(|| Step::Link(from.into(), to.into()), || fs::hard_link(from, to))
            .map_err(DiskError::at("link", from))
    }

    pub(crate) fn symlink(&self, target: &Path, at: &Path) -> Result<(), DiskError> {
        #[cfg(unix)]
        let make = || std::os::unix::fs::symlink(target, at);
        #[cfg(not(unix))]
        let make = || {
            let _ = target;
            Err(io::ErrorKind::Unsupported.into())
        };
        self.step(|| Step::Symlink(at.into()), make)
            .map_err(DiskError::at("make symbolic link", at))
    }

    pub(crate) fn set_mode(&self, path: &Path, mode: u32) -> Result<(), DiskError> {
        #[cfg(unix)]
        let set = || fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let set = || {
            let _ = mode;
            Ok(())
        };
        self.step(|| Step::Set(path.into()), set)
            .map_err(DiskError::at("set permissions", path))
    }

    /// Gives a file to its owner; `false` if this process may not. Links are not followed.
    pub(crate) fn set_owner(&self, path: &Path, owner: Owner) -> Result<bool, DiskError> {
        #[cfg(unix)]
        {
            let now = fs::symlink_metadata(path).map_err(DiskError::at("look at", path))?;
            if owner_of(&now) == Some(owner) {
                return Ok(true);
            }
            let set = || std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid));
            match self.step(|| Step::Set(path.into()), set) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
                Err(error) => Err(DiskError::at("set owner", path)(error)),
            }
        }
        #[cfg(not(unix))]
        {
            let _ = (path, owner.uid, owner.gid);
            Ok(false)
        }
    }

    /// Brings a folder to the disk: the names in it, its permissions and its owner.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.open_folder(path)?.sync()
    }

    /// For a folder that may be closed to its owner before it is synced.
    pub(crate) fn open_folder(&self, path: &Path) -> Result<OpenFolder, DiskError> {
        // Windows syncs by itself and cannot open folders.
        let open = cfg!(unix).then(|| File::open(path)).transpose();
        Ok(OpenFolder {
            disk: self.clone(),
            path: path.into(),
            folder: open.map_err(DiskError::at("open", path))?,
        })
    }

    /// Removes a file or link; none there is well too.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        let removed = self.step(|| Step::Remove(path.into()), || fs::remove_file(path));
        ignore_missing(removed).map_err(DiskError::at("remove", path))
    }

    /// Removes a folder if it is empty; says whether it is gone.
    pub(crate) fn remove_empty_folder(&self, path: &Path) -> Result<bool, DiskError> {
        let removed = self.step(|| Step::Remove(path.into()), || fs::remove_dir(path));
        match removed {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            removed => ignore_missing(removed)
                .map(|()| true)
                .map_err(DiskError::at("remove", path)),
        }
    }

    /// Removes a folder and all in it; none there is well too. Links are removed, not followed.
    pub(crate) fn remove_tree(&self, path: &Path) -> Result<(), DiskError> {
        let remove = || {
            // A file or link under that name is none of ours, but in the way all the same.
            match fs::symlink_metadata(path)? {
                there if there.is_dir() => match fs::remove_dir_all(path) {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        open_up(path);
                        fs::remove_dir_all(path)
                    }
                    removed => removed,
                },
                _ => fs::remove_file(path),
            }
        };
        let removed = self.step(|| Step::RemoveTree(path.into()), remove);
        ignore_missing(removed).map_err(DiskError::at("remove", path))
    }
}

/// Lets the owner into all folders below, as far as this process may: who is not root cannot empty a closed one.
fn open_up(folder: &Path) {
    // What this cannot do, the removal reports.
    #[cfg(unix)]
    let _ = fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A folder that can be synced.
#[derive(Debug)]
pub(crate) struct OpenFolder {
    disk: Disk,
    path: PathBuf,
    folder: Option<File>,
}

impl OpenFolder {
    pub(crate) fn sync(self) -> Result<(), DiskError> {
        let sync = || match &self.folder {
            // Tests check the order of steps; waiting for a real disk adds nothing there.
            Some(folder) if !cfg!(test) => folder.sync_all(),
            Some(_) | None => Ok(()),
        };
        self.disk
            .step(|| Step::Sync(self.path.clone()), sync)
            .map_err(DiskError::at("sync", &self.path))
    }
}

/// A file that is being written, at its end.
#[derive(Debug)]
pub(crate) struct NewFile {
    disk: Disk,
    path: PathBuf,
    file: File,
}

impl NewFile {
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), DiskError> {
        let step = || Step::Write(self.path.clone(), data.into());
        self.disk
            .step(step, || self.file.write_all(data))
            .map_err(DiskError::at("write", &self.path))
    }

    pub(crate) fn set_modified(&mut self, time: std::time::SystemTime) -> Result<(), DiskError> {
        self.disk
            .step(|| Step::Set(self.path.clone()), || self.file.set_modified(time))
            .map_err(DiskError::at("set time", &self.path))
    }

    pub(crate) fn len(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata().map_err(DiskError::at("look at", &self.path))?;
        Ok(metadata.len())
    }

    /// Takes its end away.
    pub(crate) fn shorten(&mut self, len: u64) -> Result<(), DiskError> {
        self.disk
            .step(|| Step::Shorten(self.path.clone()), || self.file.set_len(len))
            .map_err(DiskError::at("shorten", &self.path))
    }

    /// Brings what was written so far to the disk.
    pub(crate) fn sync_content(&mut self) -> Result<(), DiskError> {
        let sync = || if cfg!(test) { Ok(()) } else { self.file.sync_data() };
        self.disk
            .step(|| Step::Sync(self.path.clone()), sync)
            .map_err(DiskError::at("sync", &self.path))
    }

    /// Brings the content to the disk.
    pub(crate) fn sync(self) -> Result<(), DiskError> {
        let sync = || if cfg!(test) { Ok(()) } else { self.file.sync_all() };
        self.disk
            .step(|| Step::Sync(self.path.clone()), sync)
            .map_err(DiskError::at("sync", &self.path))
    }

    /// Takes the content from another file and gives its hash.
    pub(crate) fn copy_from(&mut self, from: &Path) -> Result<[u8; 32], DiskError> {
        let mut source = File::open(from).map_err(DiskError::at("open", from))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let len = source.read(&mut buffer).map_err(DiskError::at("read", from))?;
            match buffer.get(..len) {
                None | Some([]) => return Ok(hash.finalize().into()),
                Some(data) => {
                    hash.update(data);
                    self.write(data)?;
                }
            }
        }
    }
}

/// The permission bits.
pub(crate) fn mode_of(metadata: &fs::Metadata) -> Option<u32> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777);
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

pub(crate) fn owner_of(metadata: &fs::Metadata) -> Option<Owner> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some(Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
        })
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

/// The hash of a file.
pub(crate) fn hash_of(path: &Path) -> Result<[u8; 32], DiskError> {
    let mut file = File::open(path).map_err(DiskError::at("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = file.read(&mut buffer).map_err(DiskError::at("read", path))?;
        match buffer.get(..len) {
            None | Some([]) => return Ok(hash.finalize().into()),
            Some(data) => hash.update(data),
        }
    }
}

/// What is there: `None` for nothing, and links are not followed.
pub(crate) fn look(path: &Path) -> Result<Option<fs::Metadata>, DiskError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::at("look at", path)(error)),
    }
}

/// One change of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    MakeFolder(PathBuf),
    Create(PathBuf),
    /// At the end of a file.
    Write(PathBuf, Vec<u8>),
    Shorten(PathBuf),
    /// Of a file or folder.
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Symlink(PathBuf),
    /// Permissions, owner or time.
    Set(PathBuf),
    Remove(PathBuf),
    RemoveTree(PathBuf),
}
