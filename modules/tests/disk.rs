//! `single-file` and `directory` where the surroundings change during an update, deny something, or set traps, and a download of a folder
//! that is cut short. What the modules do in one go, and which names they refuse, is in `file.rs` and `directory.rs`.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mender::update_module::{Payload, PayloadError};
use mender_modules::directory::{self, Directory, EntryFault};
use mender_modules::file::{self, SingleFile};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use tar::EntryType;
use tempfile::TempDir;

const OTHER: u32 = 65534;

struct Device(TempDir);

impl Device {
    fn new() -> Device {
        let device = Device(TempDir::new().unwrap());
        fs::create_dir_all(device.path("opt")).unwrap();
        device
    }

    /// Below the root.
    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join("root").join(path)
    }

    fn work(&self, path: &str) -> PathBuf {
        self.0.path().join("work").join(path)
    }

    fn directory(&self) -> Directory {
        Directory::new(self.work(""), self.path(""))
    }

    fn file(&self) -> SingleFile {
        SingleFile::new(self.work(""), self.path(""))
    }

    fn receives_folder(&self, folder: &str, archive: Vec<u8>) -> Result<(), directory::Error> {
        let mut source = MemoryPayload::new("directory", 4000)
            .file("dest_dir", self.path(folder).to_str().unwrap())
            .file("update.tar", archive);
        block_on(self.directory().receive(&mut Payload::new(&mut source)))
    }

    /// `app` with new content.
    fn receives_file(&self, folder: &str) -> Result<(), file::Error> {
        let mut source = MemoryPayload::new("single-file", 4000)
            .file("dest_dir", format!("{}{folder}", self.path("").display()))
            .file("filename", "app")
            .file("app", "new content");
        block_on(self.file().receive(&mut Payload::new(&mut source)))
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// Nothing of an update is left beside a destination in `folder`.
    fn is_tidy(&self, folder: &str) -> bool {
        fs::read_dir(self.path(folder))
            .unwrap()
            .all(|entry| !entry.unwrap().file_name().to_str().unwrap().starts_with(".mender"))
    }
}

fn own_uid() -> u32 {
    fs::metadata("/proc/self").unwrap().uid()
}

/// An archive of these, which belong to this process.
fn archive(entries: &[(&str, EntryType, u32)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, mode) in entries {
        let content: &[u8] = if *kind == EntryType::Regular { b"new" } else { b"" };
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        header.set_uid(own_uid().into());
        header.set_gid(own_uid().into());
        if *kind == EntryType::GNUSparse {
            header.as_gnu_mut().unwrap().set_real_size(0);
        }
        tar.append_data(&mut header, path, content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn small_archive() -> Vec<u8> {
    archive(&[("new", EntryType::Regular, 0o644)])
}

/// The journal says where the new one went, whatever the names on the way mean now.
#[test]
fn a_way_that_leads_through_the_destination() {
    for rolled_back in [true, false] {
        let device = Device::new();
        fs::create_dir(device.path("opt/app")).unwrap();
        fs::write(device.path("opt/app/old"), "old").unwrap();
        symlink("..", device.path("opt/app/up")).unwrap();
        device.receives_folder("opt/app/up/app", small_archive()).unwrap();
        block_on(device.directory().replace()).unwrap();
        assert_eq!(device.read("opt/app/new").as_deref(), Some("new"));
        if rolled_back {
            block_on(device.directory().restore()).unwrap();
        }
        block_on(device.directory().tidy()).unwrap();
        assert_eq!(device.path("opt/app/old").exists(), rolled_back);
        assert_eq!(device.path("opt/app/new").exists(), !rolled_back);
        assert!(device.is_tidy("opt"));
    }
}

#[test]
fn a_link_on_the_way_that_the_new_software_turns() {
    let device = Device::new();
    for version in ["v1", "v2"] {
        fs::create_dir_all(device.path("opt").join(version).join("etc")).unwrap();
        fs::write(device.path("opt").join(version).join("etc/app"), version).unwrap();
    }
    let turn = |to| {
        let _ = fs::remove_file(device.path("opt/current"));
        symlink(to, device.path("opt/current")).unwrap();
    };
    turn("v1");
    device.receives_folder("opt/current/etc", small_archive()).unwrap();
    block_on(device.directory().replace()).unwrap();
    turn("v2");
    block_on(device.directory().restore()).unwrap();
    block_on(device.directory().tidy()).unwrap();
    assert_eq!(device.read("opt/v1/etc/app").as_deref(), Some("v1"));
    assert_eq!(device.read("opt/v2/etc/app").as_deref(), Some("v2"));

    turn("v1");
    device.receives_file("opt/current/etc").unwrap();
    block_on(device.file().replace()).unwrap();
    assert_eq!(device.read("opt/v1/etc/app").as_deref(), Some("new content"));
    turn("v2");
    block_on(device.file().restore()).unwrap();
    block_on(device.file().tidy()).unwrap();
    assert_eq!(device.read("opt/v1/etc/app").as_deref(), Some("v1"));
    assert!(device.is_tidy("opt/v1/etc") && device.is_tidy("opt/v1"));
}

/// Where a link has taken the place of a folder on the way, what is there now is not what was replaced.
#[test]
fn a_way_that_has_become_another() {
    let device = Device::new();
    fs::create_dir(device.path("opt/etc")).unwrap();
    fs::write(device.path("opt/etc/app"), "old content").unwrap();
    device.receives_file("opt/etc").unwrap();
    block_on(device.file().replace()).unwrap();
    fs::rename(device.path("opt/etc"), device.path("opt/etc2")).unwrap();
    symlink("etc2", device.path("opt/etc")).unwrap();
    let error = block_on(device.file().restore()).unwrap_err();
    assert!(matches!(error, file::Error::Folder(_)), "{error}");
    fs::remove_file(device.path("opt/etc")).unwrap();
    fs::rename(device.path("opt/etc2"), device.path("opt/etc")).unwrap();
    block_on(device.file().restore()).unwrap();
    assert_eq!(device.read("opt/etc/app").as_deref(), Some("old content"));
}

#[test]
fn a_link_to_nowhere_is_no_missing_folder_whatever_follows_it() {
    for end in ["", "/", "/.", "//", "/./"] {
        let device = Device::new();
        symlink("nowhere", device.path("dangling")).unwrap();
        let error = device.receives_file(&format!("dangling{end}")).unwrap_err();
        assert!(matches!(error, file::Error::Folder(_)), "{end:?}: {error}");
    }
}

/// An install that was cut short is undone before it is done again, so that the backup stays that of the old one.
#[test]
fn install_called_again() {
    let device = Device::new();
    fs::write(device.path("opt/app"), "old content").unwrap();
    device.receives_file("opt").unwrap();
    block_on(device.file().replace()).unwrap();
    block_on(device.file().replace()).unwrap();
    assert_eq!(device.read("opt/app").as_deref(), Some("new content"));
    block_on(device.file().restore()).unwrap();
    assert_eq!(device.read("opt/app").as_deref(), Some("old content"));

    let device = Device::new();
    fs::create_dir(device.path("opt/app")).unwrap();
    device.receives_folder("opt/app", small_archive()).unwrap();
    block_on(device.directory().replace()).unwrap();
    block_on(device.directory().replace()).unwrap();
    assert!(device.path("opt/app/new").exists());
    block_on(device.directory().restore()).unwrap();
    assert!(!device.path("opt/app/new").exists() && device.path("opt/app").exists());
}

/// Until the new one is whole the destination is its owner's, who may change it.
#[test]
fn what_changes_before_anything_was_replaced_stays() {
    let device = Device::new();
    fs::write(device.path("opt/app"), "old content").unwrap();
    device.receives_file("opt").unwrap();
    fs::write(device.work("ready/content"), "damaged").unwrap();
    block_on(device.file().replace()).unwrap_err();
    fs::write(device.path("opt/app"), "settings, saved meanwhile").unwrap();
    block_on(device.file().restore()).unwrap();
    block_on(device.file().tidy()).unwrap();
    assert_eq!(device.read("opt/app").as_deref(), Some("settings, saved meanwhile"));

    // There was no folder, and it is not the module's that is there now.
    device.receives_folder("opt/data", small_archive()).unwrap();
    fs::write(device.work("ready/update.tar"), "damaged").unwrap();
    block_on(device.directory().replace()).unwrap_err();
    fs::create_dir(device.path("opt/data")).unwrap();
    fs::write(device.path("opt/data/kept"), "of the application").unwrap();
    block_on(device.directory().restore()).unwrap();
    block_on(device.directory().tidy()).unwrap();
    assert_eq!(device.read("opt/data/kept").as_deref(), Some("of the application"));
    assert!(device.is_tidy("opt"));
}

#[test]
fn a_damaged_journal_is_no_missing_one() {
    let device = Device::new();
    fs::write(device.path("opt/app"), "old content").unwrap();
    for damage in [("journal 1", "journal 0"), ("built", "build"), ("end\n", "")] {
        device.receives_file("opt").unwrap();
        block_on(device.file().replace()).unwrap();
        let journal = fs::read_to_string(device.work("journal")).unwrap();
        assert!(journal.contains(damage.0), "{journal}");
        fs::write(device.work("journal"), journal.replace(damage.0, damage.1)).unwrap();
        let error = block_on(device.file().restore()).unwrap_err();
        assert!(matches!(error, file::Error::JournalDamaged), "{error}");
        assert!(block_on(device.file().tidy()).is_err());
    }
    // The next update is not kept away.
    device.receives_file("opt").unwrap();
    block_on(device.file().replace()).unwrap();
    block_on(device.file().restore()).unwrap();
    block_on(device.file().tidy()).unwrap();
    assert!(device.is_tidy("opt"));
}

/// The only copy of the old one is not removed, and the way back is tried again.
#[test]
fn cleanup_after_a_rollback_that_failed() {
    let device = Device::new();
    fs::write(device.path("opt/app"), "old content").unwrap();
    device.receives_file("opt").unwrap();
    block_on(device.file().replace()).unwrap();
    fs::remove_file(device.path("opt/app")).unwrap();
    fs::create_dir(device.path("opt/app")).unwrap();
    block_on(device.file().restore()).unwrap_err();
    block_on(device.file().tidy()).unwrap_err();
    fs::remove_dir(device.path("opt/app")).unwrap();
    block_on(device.file().tidy()).unwrap();
    assert_eq!(device.read("opt/app").as_deref(), Some("old content"));
    assert!(device.is_tidy("opt"));
}

/// As a power cut between the two renames leaves it, if the rollback does not come to run.
#[test]
fn cleanup_does_not_remove_a_folder_that_is_nowhere_else() {
    for next in ["cleanup", "the next download"] {
        let device = Device::new();
        fs::create_dir(device.path("opt/app")).unwrap();
        fs::write(device.path("opt/app/old"), "old").unwrap();
        device.receives_folder("opt/app", small_archive()).unwrap();
        block_on(device.directory().replace()).unwrap();
        fs::rename(device.path("opt/app"), device.path("opt/.mender-directory.new")).unwrap();
        if next == "cleanup" {
            block_on(device.directory().tidy()).unwrap();
        } else {
            device.receives_folder("opt/other", small_archive()).unwrap();
        }
        assert_eq!(device.read("opt/app/old").as_deref(), Some("old"), "{next}");
        assert!(device.is_tidy("opt"));
    }
}

/// A right to run as its owner is not handed to a file of somebody else.
#[test]
fn set_user_id_is_not_inherited_from_another_owner() {
    if own_uid() != 0 {
        return;
    }
    for (owner, mode) in [(OTHER, 0o755), (0, 0o4755)] {
        let device = Device::new();
        fs::write(device.path("opt/app"), "old content").unwrap();
        chown(device.path("opt/app"), Some(owner), Some(owner)).unwrap();
        fs::set_permissions(device.path("opt/app"), fs::Permissions::from_mode(0o4755)).unwrap();
        device.receives_file("opt").unwrap();
        block_on(device.file().replace()).unwrap();
        let there = fs::metadata(device.path("opt/app")).unwrap();
        assert_eq!((there.uid(), there.permissions().mode() & 0o7777), (0, mode));
    }
}

/// While it is being filled, the new folder is closed to the owner of the old one, who could lead root elsewhere.
#[test]
fn nobody_else_can_reach_into_what_is_unpacked() {
    let device = Device::new();
    fs::create_dir(device.path("opt/app")).unwrap();
    fs::set_permissions(device.path("opt/app"), fs::Permissions::from_mode(0o777)).unwrap();
    if own_uid() == 0 {
        chown(device.path("opt/app"), Some(OTHER), Some(OTHER)).unwrap();
    }
    // The second entry fails, so that what is there while entries are written can be seen.
    let too_long = "n".repeat(256);
    let entries = [("a", EntryType::Regular, 0o644), (&too_long, EntryType::Regular, 0o644)];
    device.receives_folder("opt/app", archive(&entries)).unwrap();
    block_on(device.directory().replace()).unwrap_err();
    let new = fs::metadata(device.path("opt/.mender-directory.new")).unwrap();
    assert_eq!((new.uid(), new.permissions().mode() & 0o7777), (own_uid(), 0o700));
    // In the end it is what the old one was.
    block_on(device.directory().restore()).unwrap();
    let old = fs::metadata(device.path("opt/app")).unwrap();
    device.receives_folder("opt/app", small_archive()).unwrap();
    block_on(device.directory().replace()).unwrap();
    let new = fs::metadata(device.path("opt/app")).unwrap();
    assert_eq!((new.uid(), new.gid(), new.mode()), (old.uid(), old.gid(), old.mode()));
}

/// A small archive could fill the disk.
#[test]
fn sparse_files_are_refused() {
    let device = Device::new();
    let error = device
        .receives_folder("opt/app", archive(&[("holes", EntryType::GNUSparse, 0o644)]))
        .unwrap_err();
    let fault = matches!(
        error,
        directory::Error::Refused(directory::Refusal::Entry {
            fault: EntryFault::Kind,
            ..
        })
    );
    assert!(fault, "{error}");
}

/// Runs a test again as a user who is not root, if this is root; whether it did.
fn as_somebody_else(test: &str) -> bool {
    if own_uid() != 0 {
        return false;
    }
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // Where the tests are built nobody else may look.
    let program = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args(["--exact", test, "--nocapture"])
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .uid(OTHER)
        .gid(OTHER)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

fn close(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
}

/// Who is not root cannot empty a folder that is closed to writing without opening it.
#[test]
fn closed_folders() {
    if as_somebody_else("closed_folders") {
        return;
    }
    let closed = [
        ("ro/", EntryType::Directory, 0o555),
        ("ro/x", EntryType::Regular, 0o444),
    ];
    for rolled_back in [true, false] {
        let device = Device::new();
        fs::create_dir_all(device.path("opt/app/ro")).unwrap();
        fs::write(device.path("opt/app/ro/old"), "old").unwrap();
        close(&device.path("opt/app/ro"));
        close(&device.path("opt/app"));
        device.receives_folder("opt/app", archive(&closed)).unwrap();
        block_on(device.directory().replace()).unwrap();
        assert_eq!(device.read("opt/app/ro/x").as_deref(), Some("new"));
        let mode = |path: &str| fs::metadata(device.path(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("opt/app"), mode("opt/app/ro")), (0o555, 0o555));
        if rolled_back {
            block_on(device.directory().restore()).unwrap();
            assert_eq!(device.read("opt/app/ro/old").as_deref(), Some("old"));
            assert_eq!((mode("opt/app"), mode("opt/app/ro")), (0o555, 0o555));
        }
        block_on(device.directory().tidy()).unwrap();
        assert!(device.is_tidy("opt"));
        device.receives_folder("opt/other", small_archive()).unwrap();
        // So that the test's folder can be removed.
        for folder in ["opt/app", "opt/app/ro"] {
            fs::set_permissions(device.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// Leftovers that cannot be removed are in the way of updates to the same destination only.
#[test]
fn leftovers_that_cannot_be_removed() {
    if as_somebody_else("leftovers_that_cannot_be_removed") {
        return;
    }
    let device = Device::new();
    fs::create_dir(device.path("opt/app")).unwrap();
    device.receives_folder("opt/app", small_archive()).unwrap();
    block_on(device.directory().replace()).unwrap();
    close(&device.path("opt"));
    block_on(device.directory().tidy()).unwrap_err();
    fs::create_dir(device.path("srv")).unwrap();
    device.receives_folder("srv/app", small_archive()).unwrap();
    block_on(device.directory().replace()).unwrap();
    block_on(device.directory().tidy()).unwrap();
    assert!(device.path("srv/app/new").exists() && device.is_tidy("srv"));
    fs::set_permissions(device.path("opt"), fs::Permissions::from_mode(0o755)).unwrap();
    device.receives_folder("opt/app", small_archive()).unwrap();
    block_on(device.directory().replace()).unwrap();
    block_on(device.directory().tidy()).unwrap();
    assert!(device.is_tidy("opt"));
}

/// Of a folder the archive goes on, and is unpacked when all of it is there.
#[test]
fn a_download_of_a_folder_goes_on_after_a_restart() {
    let device = Device::new();
    let folder = device.path("opt/app");
    let content: Vec<u8> = (0..2_500_000).map(|at| (at / 3 * 89) as u8).collect();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, "app", &*content).unwrap();
    let archive = tar.into_inner().unwrap();
    let source = || {
        MemoryPayload::new("directory", 64 * 1024)
            .file("dest_dir", folder.to_str().unwrap())
            .file("update.tar", &*archive)
    };
    let mut broken = source().breaks_after(2_300_000, PayloadError::Connection);
    assert!(block_on(device.directory().receive(&mut Payload::new(&mut broken))).is_err());
    let mut again = source();
    block_on(device.directory().receive(&mut Payload::new(&mut again))).unwrap();
    let around = folder.as_os_str().len();
    assert_eq!(again.handed_out() - around, archive.len() - (2 << 20));
    block_on(device.directory().replace()).unwrap();
    block_on(device.directory().tidy()).unwrap();
    assert!(fs::read(folder.join("app")).unwrap() == content);
    assert_eq!(fs::read_dir(device.work("")).unwrap().count(), 0);
}
