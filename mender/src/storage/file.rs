//! Records as files in a folder, for hosts.

extern crate std;

use core::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use sha2::{Digest, Sha256};

use super::{ReadError, RecordKey, Storage, WriteError};

const CHECKSUM_LEN: usize = 32;
/// Longer files are none of ours. Keeps a foreign file from filling the memory.
const RECORD_MAX_LEN: usize = 1 << 20;

/// What the file system reported, and for which file.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl core::error::Error for FileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl FileError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> FileError {
        |source| FileError {
            path: path.into(),
            source,
        }
    }
}

/// Records in a folder, one file each: `record-<number>`, readable by the owner only.
///
/// A file is the SHA-256 of the record's number and content, then the content. It is written beside, as `record-<number>.new`,
/// brought to the disk and renamed; so a reader sees the old or the new file. No other name in the folder, and nothing
/// outside of it, is ever touched. One process at a time may use a folder.
///
/// The futures block while the disk works.
#[derive(Debug)]
pub struct FileStorage {
    folder: PathBuf,
}

impl FileStorage {
    /// Records in `folder`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`FileError`] if it can be neither made nor opened.
    pub fn new(folder: impl Into<PathBuf>) -> Result<FileStorage, FileError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(FileError::at(&folder))?;
        let storage = FileStorage { folder };
        storage.sync_folder()?;
        Ok(storage)
    }

    fn path(&self, key: RecordKey, end: &str) -> PathBuf {
        let mut name = String::from("record-");
        // Writing into a string does not fail.
        let _ = fmt::write(&mut name, format_args!("{}{end}", key.number()));
        self.folder.join(name)
    }

    /// Makes a rename or removal durable. Windows brings them to the disk by itself and cannot open folders.
    fn sync_folder(&self) -> Result<(), FileError> {
        if cfg!(unix) {
            File::open(&self.folder)
                .and_then(|folder| folder.sync_all())
                .map_err(FileError::at(&self.folder))?;
        }
        Ok(())
    }

    fn load(&self, key: RecordKey) -> Result<Option<Vec<u8>>, ReadError<FileError>> {
        let path = self.path(key, "");
        let read = fs::metadata(&path).and_then(|metadata| {
            if metadata.len() > (CHECKSUM_LEN + RECORD_MAX_LEN) as u64 {
                return Ok(Vec::new());
            }
            fs::read(&path)
        });
        let content = match read {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ReadError::Backend(FileError::at(&path)(error))),
        };
        let (stored, record) = content.split_at_checked(CHECKSUM_LEN).ok_or(ReadError::Corrupt)?;
        if stored != checksum(key, record) {
            return Err(ReadError::Corrupt);
        }
        Ok(Some(record.into()))
    }

    fn replace(&self, key: RecordKey, record: &[u8]) -> Result<(), FileError> {
        let (path, new_path) = (self.path(key, ""), self.path(key, ".new"));
        remove_if_there(&new_path)?;
        let mut options = OpenOptions::new();
        // Never through a link that somebody has left there.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(&new_path)
            .and_then(|mut file| {
                file.write_all(&checksum(key, record))?;
                file.write_all(record)?;
                file.sync_all()
            })
            .map_err(FileError::at(&new_path))?;
        fs::rename(&new_path, &path).map_err(FileError::at(&path))?;
        self.sync_folder()
    }
}

fn checksum(key: RecordKey, record: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hash = Sha256::new();
    hash.update([key.number()]);
    hash.update(record);
    hash.finalize().into()
}

fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::at(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Storage for FileStorage {
    type Error = FileError;

    async fn read(&mut self, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, ReadError<FileError>> {
        let Some(record) = self.load(key)? else {
            return Ok(None);
        };
        let needed = record.len();
        buffer
            .get_mut(..needed)
            .ok_or(ReadError::TooSmall { needed })?
            .copy_from_slice(&record);
        Ok(Some(needed))
    }

    async fn write(&mut self, key: RecordKey, record: &[u8]) -> Result<(), WriteError<FileError>> {
        if record.len() > RECORD_MAX_LEN {
            return Err(WriteError::TooLong {
                max_len: RECORD_MAX_LEN,
            });
        }
        self.replace(key, record).map_err(WriteError::Backend)
    }

    async fn remove(&mut self, key: RecordKey) -> Result<(), WriteError<FileError>> {
        let removed = remove_if_there(&self.path(key, ".new"))
            .and_then(|()| remove_if_there(&self.path(key, "")))
            .and_then(|()| self.sync_folder());
        removed.map_err(WriteError::Backend)
    }
}
