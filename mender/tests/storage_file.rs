//! Records as files.
#![cfg(feature = "std")]

use std::fs;
use std::path::{Path, PathBuf};

use mender::storage::{FileStorage, ReadError, RecordKey, Storage, WriteError};
use pollster::block_on;

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("mender-storage-file-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(folder: &Path, key: RecordKey) -> Result<Option<Vec<u8>>, String> {
    let mut buffer = [0; 256];
    block_on(FileStorage::new(folder).unwrap().read(key, &mut buffer))
        .map(|len| len.map(|len| buffer[..len].to_vec()))
        .map_err(|error| error.to_string())
}

#[test]
fn records_survive_and_stay_apart() {
    let folder = Folder::new("apart");
    let mut storage = FileStorage::new(folder.0.join("deeper")).unwrap();
    let folder = folder.0.join("deeper");
    for key in RecordKey::all() {
        assert_eq!(read(&folder, key), Ok(None));
        block_on(storage.write(key, &[key.number(); 5])).unwrap();
    }
    block_on(storage.write(RecordKey::State, b"")).unwrap();
    block_on(storage.remove(RecordKey::Deployment)).unwrap();
    block_on(storage.remove(RecordKey::Deployment)).unwrap();
    for key in RecordKey::all() {
        let expected = match key {
            RecordKey::State => Some(vec![]),
            RecordKey::Deployment => None,
            RecordKey::DeviceKey | RecordKey::Installed | RecordKey::Log(_) => Some(vec![key.number(); 5]),
        };
        assert_eq!(read(&folder, key), Ok(expected), "{key:?}");
    }
    block_on(storage.erase_all()).unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn every_damage_is_noticed() {
    let folder = Folder::new("damage");
    let mut storage = FileStorage::new(&folder.0).unwrap();
    block_on(storage.write(RecordKey::State, b"state")).unwrap();
    let path = folder.0.join("record-4");
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(
            block_on(storage.read(RecordKey::State, &mut [0; 9]))
                .unwrap_err()
                .to_string(),
            "a stored record is damaged"
        );
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(
            block_on(storage.read(RecordKey::State, &mut [0; 9])),
            Err(ReadError::Corrupt)
        ));
    }
    // Another record's file is no record either.
    fs::write(folder.0.join("record-3"), &whole).unwrap();
    assert!(matches!(
        block_on(storage.read(RecordKey::Deployment, &mut [0; 9])),
        Err(ReadError::Corrupt)
    ));
    block_on(storage.write(RecordKey::State, b"again")).unwrap();
    assert_eq!(read(&folder.0, RecordKey::State), Ok(Some(b"again".to_vec())));
}

/// A power cut leaves the new file whole or in part beside the old one; only the rename makes it count.
#[test]
fn a_file_that_was_not_renamed_does_not_count() {
    let folder = Folder::new("cut");
    let mut storage = FileStorage::new(&folder.0).unwrap();
    block_on(storage.write(RecordKey::State, b"new")).unwrap();
    let new = fs::read(folder.0.join("record-4")).unwrap();
    block_on(storage.write(RecordKey::State, b"old")).unwrap();
    for cut in 0..=new.len() {
        fs::write(folder.0.join("record-4.new"), &new[..cut]).unwrap();
        assert_eq!(read(&folder.0, RecordKey::State), Ok(Some(b"old".to_vec())));
    }
    block_on(storage.write(RecordKey::State, b"newer")).unwrap();
    assert_eq!(read(&folder.0, RecordKey::State), Ok(Some(b"newer".to_vec())));
    assert!(!folder.0.join("record-4.new").exists());
}

#[test]
fn limits_are_told() {
    let folder = Folder::new("limits");
    let mut storage = FileStorage::new(&folder.0).unwrap();
    block_on(storage.write(RecordKey::State, &[1; 10])).unwrap();
    assert!(matches!(
        block_on(storage.read(RecordKey::State, &mut [0; 9])),
        Err(ReadError::TooSmall { needed: 10 })
    ));
    let error = block_on(storage.write(RecordKey::State, &vec![0; (1 << 20) + 1]));
    assert!(matches!(error, Err(WriteError::TooLong { max_len: 0x10_0000 })));
    fs::remove_dir_all(&folder.0).unwrap();
    let error = block_on(storage.write(RecordKey::State, b"x")).unwrap_err();
    assert!(error.to_string().contains("record-4.new"), "{error}");
    assert!(FileStorage::new("/dev/null/folder").is_err());
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_and_no_link_is_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::new("link");
    let mut storage = FileStorage::new(&folder.0).unwrap();
    let outside = folder.0.join("outside");
    fs::write(&outside, b"untouched").unwrap();
    symlink(&outside, folder.0.join("record-1.new")).unwrap();
    symlink(&outside, folder.0.join("record-1")).unwrap();
    block_on(storage.write(RecordKey::DeviceKey, b"secret")).unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    assert_eq!(read(&folder.0, RecordKey::DeviceKey), Ok(Some(b"secret".to_vec())));
    let mode = fs::metadata(folder.0.join("record-1")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
