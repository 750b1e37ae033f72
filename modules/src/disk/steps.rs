//! The changes of the disk, one function each.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::vec;

use sha2::{Digest, Sha256};

use super::DiskError;

/// The disk. In tests a handle onto it can end the program at any step; cloning gives the same handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) stop: Stop,
}

/// What a folder or file gets besides its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Disk {
    /// `false`: the program ends at this step.
    fn step(&self, step: impl FnOnce() -> Step) -> io::Result<()> {
        #[cfg(test)]
        return self.stop.step(step());
        #[cfg(not(test))]
        {
            let _ = step;
            Ok(())
        }
    }

    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.step(|| Step::MakeFolder(path.into()))
            .and_then(|()| fs::create_dir(path))
            .map_err(DiskError::at("make folder", path))
    }

    pub(crate) fn make_folders(&self, path: &Path) -> Result<(), DiskError> {
        self.step(|| Step::MakeFolder(path.into()))
            .and_then(|()| fs::create_dir_all(path))
            .map_err(DiskError::at("make folder", path))
    }

    /// A new file, readable by the owner only. Never opens what is there, nor follows a link.
    pub(crate) fn create(&self, path: &Path) -> Result<NewFile, DiskError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        self.step(|| Step::Create(path.into()))
            .and_then(|()| options.open(path))
            .map(|file| NewFile {
                disk: self.clone(),
                path: path.into(),
                file,
            })
            .map_err(DiskError::at("create", path))
    }

    /// A whole file, brought to the disk.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        let mut file = self.create(path)?;
        file.write(content)?;
        file.sync()
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.step(|| Step::Rename(from.into(), to.into()))
            .and_then(|()| fs::rename(from, to))
            .map_err(DiskError::at("rename", from))
    }

    /// A second name for a file.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        #[cfg(test)]
        if self.stop.has_no_links() {
            return Err(DiskError::at("link", from)(io::ErrorKind::Unsupported.into()));
        }
        self.step(|| Step::Link(to.into()))
            .and_then(|()| fs::hard_link(from, to))
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
        self.step(|| Step::Link(at.into()))
            .and_then(|()| make())
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
        self.step(|| Step::SetMode(path.into()))
            .and_then(|()| set())
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
            let result = self.step(|| Step::SetOwner(path.into())).and_then(|()| set());
            match result {
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

    /// Brings the names in a folder to the disk. Windows does so by itself and cannot open folders.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        let sync = || {
            // Tests that end the program at every step check the order of steps; waiting for a real disk adds nothing there.
            if cfg!(unix) && !cfg!(test) {
                File::open(path)?.sync_all()
            } else {
                Ok(())
            }
        };
        self.step(|| Step::SyncFolder(path.into()))
            .and_then(|()| sync())
            .map_err(DiskError::at("sync", path))
    }

    /// Removes a file or link; none there is well too.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        let removed = self
            .step(|| Step::Remove(path.into()))
            .and_then(|()| fs::remove_file(path));
        ignore_missing(removed).map_err(DiskError::at("remove", path))
    }

    /// Removes a folder if it is empty; says whether it is gone.
    pub(crate) fn remove_empty_folder(&self, path: &Path) -> Result<bool, DiskError> {
        let removed = self
            .step(|| Step::Remove(path.into()))
            .and_then(|()| fs::remove_dir(path));
        match removed {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            removed => ignore_missing(removed)
                .map(|()| true)
                .map_err(DiskError::at("remove", path)),
        }
    }

    /// Removes a folder and all in it; none there is well too. Links are removed, not followed.
    pub(crate) fn remove_tree(&self, path: &Path) -> Result<(), DiskError> {
        let removed = self.step(|| Step::RemoveTree(path.into())).and_then(|()| {
            // A file or link under that name is none of ours, but in the way all the same.
            match fs::symlink_metadata(path)? {
                there if there.is_dir() => fs::remove_dir_all(path),
                _ => fs::remove_file(path),
            }
        });
        ignore_missing(removed).map_err(DiskError::at("remove", path))
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct NewFile {
    disk: Disk,
    path: PathBuf,
    file: File,
}

impl NewFile {
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), DiskError> {
        let step = self.disk.step(|| Step::Write(self.path.clone()));
        #[cfg(test)]
        if step.is_err() {
            // Half of it is there when the program ends.
            let _ = self.file.write_all(data.get(..data.len() / 2).unwrap_or_default());
        }
        step.and_then(|()| self.file.write_all(data))
            .map_err(DiskError::at("write", &self.path))
    }

    pub(crate) fn set_modified(&mut self, time: std::time::SystemTime) -> Result<(), DiskError> {
        self.file
            .set_modified(time)
            .map_err(DiskError::at("set time", &self.path))
    }

    /// Brings the content to the disk.
    pub(crate) fn sync(self) -> Result<(), DiskError> {
        self.disk
            .step(|| Step::Sync(self.path.clone()))
            .and_then(|()| if cfg!(test) { Ok(()) } else { self.file.sync_all() })
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
    Write(PathBuf),
    Sync(PathBuf),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf),
    SetMode(PathBuf),
    SetOwner(PathBuf),
    Remove(PathBuf),
    RemoveTree(PathBuf),
}

#[cfg(test)]
pub(crate) use stop::Stop;

#[cfg(test)]
mod stop {
    use std::fs;
    use std::io;
    use std::path::Path;
    use std::sync::{Arc, Mutex, MutexGuard};

    use super::Step;

    /// Ends the program at a chosen step: that step and all later ones fail.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Stop(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        log: Vec<Step>,
        /// Steps that still succeed.
        left: Option<usize>,
        down: bool,
        no_links: bool,
    }

    impl Stop {
        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap()
        }

        pub(crate) fn at(&self, step: usize) {
            self.state().left = Some(step);
        }

        pub(crate) fn restart(&self) {
            let mut state = self.state();
            state.down = false;
            state.left = None;
        }

        pub(crate) fn is_down(&self) -> bool {
            self.state().down
        }

        pub(crate) fn steps(&self) -> Vec<Step> {
            self.state().log.clone()
        }

        pub(crate) fn without_links(&self) {
            self.state().no_links = true;
        }

        pub(crate) fn has_no_links(&self) -> bool {
            self.state().no_links
        }

        pub(super) fn step(&self, step: Step) -> io::Result<()> {
            let mut state = self.state();
            let already = state.down;
            match &mut state.left {
                Some(0) => state.down = true,
                Some(left) => *left -= 1,
                None => {}
            }
            if state.down {
                if let (false, Step::RemoveTree(path)) = (already, &step) {
                    remove_some(path);
                }
                return Err(io::Error::other("the program has ended"));
            }
            state.log.push(step);
            Ok(())
        }
    }

    /// Every second file: how far the removal of a folder came.
    fn remove_some(path: &Path) {
        let Ok(entries) = fs::read_dir(path) else {
            return;
        };
        for (index, entry) in entries.flatten().enumerate() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_some(&entry.path());
            } else if index % 2 == 0 {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
