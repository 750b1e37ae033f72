//! The folder that a module is called with: the protocol's file tree.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::string::String;

use mender::update_module::Payload;

use super::header::Texts;

/// What the tree says of the device.
#[derive(Debug)]
pub(super) struct Current<'c> {
    pub(super) artifact_name: &'c str,
    pub(super) artifact_group: &'c str,
    pub(super) device_type: &'c str,
}

/// Where the tree is.
#[derive(Debug)]
pub(super) struct Tree {
    path: PathBuf,
    /// What is to be removed; so half a tree is never taken for one.
    old: PathBuf,
}

impl Tree {
    pub(super) fn new(folder: &Path) -> Tree {
        Tree {
            path: folder.join("tree"),
            old: folder.join("tree.old"),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The module that it was made for; `None` if there is none, or not all of it.
    pub(super) fn module(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.path.join("header/payload_type")) {
            Ok(name) => Ok(Some(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes it. There must be none.
    pub(super) async fn make(&self, current: &Current<'_>, payload: &Payload<'_>) -> io::Result<()> {
        let (artifact, whole) = (payload.artifact(), payload.header());
        let texts = Texts::of(&artifact, whole.as_ref());
        let group = whole.and_then(|whole| whole.artifact_group()).unwrap_or("");
        let path = &self.path;
        let header = path.join("header");
        for folder in [path, &path.join("tmp"), &header] {
            make_folder(folder)?;
        }
        write(&path.join("version"), "3")?;
        write(&path.join("current_artifact_name"), current.artifact_name)?;
        write(&path.join("current_artifact_group"), current.artifact_group)?;
        write(&path.join("current_device_type"), current.device_type)?;
        write(&header.join("artifact_name"), artifact.name)?;
        write(&header.join("artifact_group"), group)?;
        write(&header.join("header-info"), &texts.header_info)?;
        write(&header.join("type-info"), &texts.type_info)?;
        // The word is what the Linux client writes where the artifact has none.
        write(&header.join("meta-data"), artifact.meta_data.unwrap_or("null"))?;
        // The last one: it says that the tree is whole.
        write(&header.join("payload_type"), artifact.payload_type)?;
        sync(path).await
    }

    /// Removes it and all that is in it; none there is well too.
    pub(super) async fn remove(&self) -> io::Result<()> {
        let (path, old) = (self.path.clone(), self.old.clone());
        let work = move || {
            remove(&old)?;
            match fs::rename(path, &old) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                renamed => renamed?,
            }
            remove(&old)
        };
        aside(work).await
    }
}

/// A folder for the owner alone, and those above it.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes a file, or a folder with all that is in it; none there is well too.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A new file for the owner alone.
pub(super) fn write(path: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(content.as_bytes())
}

/// Brings all of the file system to the disk that a folder is on: what a program wrote too.
pub(super) async fn sync(folder: &Path) -> io::Result<()> {
    let folder = PathBuf::from(folder);
    aside(move || Ok(rustix::fs::syncfs(File::open(folder)?)?)).await
}

/// What may take long is done by another thread.
async fn aside(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
