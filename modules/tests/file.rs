//! The module `single-file` from outside: what it installs, and what it refuses.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use mender::UpdateModule;
use mender::update_module::{CallbackState, FAILURE_TEXT_LEN, Payload, PayloadError};
use mender_modules::PathFault;
use mender_modules::file::{Error, Refusal, SingleFile};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use tempfile::TempDir;

struct Device {
    folder: TempDir,
}

impl Device {
    fn new() -> Device {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("root/etc")).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        Device { folder }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn module(&self) -> SingleFile {
        SingleFile::new(self.path("var/work"), self.path("root"))
    }

    fn payload(&self, folder: &str, name: &str) -> MemoryPayload {
        payload(self.path(folder).to_str().unwrap(), name)
    }

    fn receive(&self, mut source: MemoryPayload) -> Result<(), Error> {
        let result = block_on(self.module().receive(&mut Payload::new(&mut source)));
        if result.is_err() {
            block_on(self.module().tidy()).unwrap();
            assert_eq!(files(&self.path("var/work")), 0, "what was received is left");
        }
        result
    }

    /// All that is outside of the work folder.
    fn count(&self) -> usize {
        files(&self.path("root")) + files(&self.path("outside"))
    }
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                1 + files(&path)
            } else {
                1
            }
        })
        .sum()
}

fn payload(folder: &str, name: &str) -> MemoryPayload {
    MemoryPayload::new("single-file", 7)
        .file("dest_dir", folder)
        .file("filename", name)
        .file("permissions", "600")
        .file(name, "new content")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_deployment() {
    let device = Device::new();
    let target = device.path("root/etc/app.conf");
    fs::write(&target, "old content").unwrap();
    let inode = fs::metadata(&target).unwrap().ino();
    device.receive(device.payload("root/etc", "app.conf")).unwrap();
    assert_eq!(
        fs::read(&target).unwrap(),
        b"old content",
        "nothing is active before install"
    );
    assert_eq!(device.count(), 2);
    let mut module = device.module();
    block_on(module.call(CallbackState::Install)).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"new content");
    assert_eq!(mode(&target), 0o600);
    // The very old file comes back, not a copy.
    block_on(module.call(CallbackState::Rollback)).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"old content");
    assert_eq!(fs::metadata(&target).unwrap().ino(), inode);
    block_on(module.call(CallbackState::Cleanup)).unwrap();
    assert_eq!(device.count(), 2);
    assert_eq!(files(&device.path("var/work")), 0);
}

#[test]
fn files_of_the_payload_in_any_order() {
    let device = Device::new();
    let folder = device.path("root/etc/made/for/it");
    let source = MemoryPayload::new("single-file", 100)
        .file("hosts", "x".repeat(100_000))
        .file("filename", "hosts\n")
        .file("dest_dir", format!("{}/\n", folder.display()));
    device.receive(source).unwrap();
    block_on(device.module().replace()).unwrap();
    assert_eq!(fs::read(folder.join("hosts")).unwrap(), "x".repeat(100_000).as_bytes());
    block_on(device.module().tidy()).unwrap();
    assert_eq!(files(&folder), 1);
}

#[test]
fn permissions() {
    let device = Device::new();
    let target = device.path("root/etc/app");
    let with = |permissions: Option<&str>| {
        let source = MemoryPayload::new("single-file", 100)
            .file("dest_dir", device.path("root/etc").to_str().unwrap())
            .file("filename", "app");
        let source = match permissions {
            Some(permissions) => source.file("permissions", permissions),
            None => source,
        };
        device.receive(source.file("app", "new"))?;
        block_on(device.module().replace())?;
        block_on(device.module().tidy())?;
        Ok::<u32, Error>(mode(&target))
    };
    assert_eq!(with(None).unwrap(), 0o644);
    for (text, mode) in [("644", 0o644), ("0755\n", 0o755), ("4711", 0o4711), ("0", 0)] {
        assert_eq!(with(Some(text)).unwrap(), mode, "{text}");
    }
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(with(None).unwrap(), 0o640, "those of the old file");
    for text in ["", "888", "12345", "u+x", "-1", "+644", "6 4", "0x1", "64\n4"] {
        assert!(
            matches!(with(Some(text)), Err(Error::Refused(Refusal::Permissions))),
            "{text:?}"
        );
    }
}

#[test]
fn no_destination_outside_of_the_root() {
    let device = Device::new();
    symlink(device.path("outside"), device.path("root/leads-out")).unwrap();
    symlink("../outside", device.path("root/leads-out-too")).unwrap();
    symlink("nowhere", device.path("root/leads-nowhere")).unwrap();
    symlink("etc", device.path("root/leads-in")).unwrap();
    fs::create_dir_all(device.path("root/work-of-others")).unwrap();
    fs::write(device.path("root/file"), "").unwrap();
    let before = device.count();
    let outside = device.path("outside");
    let root = device.path("root");
    let inside = |path: &str| format!("{}/{path}", root.display());
    for (folder, fault) in [
        (outside.to_str().unwrap().to_owned(), PathFault::OutsideRoot),
        ("/".into(), PathFault::OutsideRoot),
        ("/nobody-has/such-a/folder".into(), PathFault::OutsideRoot),
        (format!("{}-beside", root.display()), PathFault::OutsideRoot),
        (inside("../outside"), PathFault::Climbs),
        (inside("etc/../.."), PathFault::Climbs),
        (inside("leads-out"), PathFault::OutsideRoot),
        (inside("leads-out/below"), PathFault::OutsideRoot),
        (inside("leads-out-too/new/folder"), PathFault::OutsideRoot),
        (inside("leads-nowhere"), PathFault::NotAFolder),
        (inside("leads-nowhere/below"), PathFault::NotAFolder),
        (inside("file"), PathFault::NotAFolder),
        (inside("file/below"), PathFault::NotAFolder),
        ("etc".into(), PathFault::NotAbsolute),
        ("../etc".into(), PathFault::NotAbsolute),
        (String::new(), PathFault::NotOneLine),
        (inside("etc\n/etc"), PathFault::NotOneLine),
        (inside("etc\0x"), PathFault::NotOneLine),
    ] {
        match device.receive(payload(&folder, "app")) {
            Err(Error::Folder(found)) => assert_eq!(found, fault, "{folder}"),
            other => panic!("{folder}: {other:?}"),
        }
        assert_eq!(device.count(), before, "{folder}");
    }
    // The link changes after the download.
    device.receive(device.payload("root/leads-in", "app")).unwrap();
    fs::remove_file(device.path("root/leads-in")).unwrap();
    symlink(device.path("outside"), device.path("root/leads-in")).unwrap();
    let error = block_on(device.module().replace()).unwrap_err();
    assert!(matches!(error, Error::Folder(PathFault::OutsideRoot)), "{error}");
    assert_eq!(device.count(), before);
}

#[test]
fn links_within_the_root_are_followed() {
    let device = Device::new();
    symlink("etc", device.path("root/leads-in")).unwrap();
    device.receive(device.payload("root/leads-in", "app")).unwrap();
    block_on(device.module().replace()).unwrap();
    assert_eq!(fs::read(device.path("root/etc/app")).unwrap(), b"new content");
}

#[test]
fn the_work_folder_is_no_destination() {
    let device = Device::new();
    let module = || SingleFile::new(device.path("root/work"), device.path("root"));
    for folder in ["root/work", "root/work/ready", "root/work/incoming"] {
        let mut source = device.payload(folder, "plan");
        let error = block_on(module().receive(&mut Payload::new(&mut source))).unwrap_err();
        assert!(matches!(error, Error::Folder(PathFault::Work)), "{error}");
    }
}

/// What an earlier update, of a folder for example, may have put where the module has its own files: taken away, not followed.
#[test]
fn links_with_the_names_of_the_module_are_not_followed() {
    let device = Device::new();
    let target = device.path("root/etc/app");
    let own = [".new", ".old", ".part"].map(|end| device.path(&format!("root/etc/.mender-single-file{end}")));
    for (has_old, goes_back) in [(false, false), (false, true), (true, false), (true, true)] {
        let _ = fs::remove_file(&target);
        if has_old {
            fs::write(&target, "old content").unwrap();
        }
        fs::write(device.path("outside/file"), "not ours").unwrap();
        for own in &own {
            symlink("../../outside/file", own).unwrap();
        }
        device.receive(device.payload("root/etc", "app")).unwrap();
        block_on(device.module().replace()).unwrap();
        assert!(fs::symlink_metadata(&target).unwrap().is_file());
        if goes_back {
            block_on(device.module().restore()).unwrap();
        }
        block_on(device.module().tidy()).unwrap();
        let content = fs::read_to_string(&target).ok();
        let wanted = match (goes_back, has_old) {
            (false, _) => Some("new content"),
            (true, true) => Some("old content"),
            (true, false) => None,
        };
        assert_eq!(content.as_deref(), wanted);
        assert!(own.iter().all(|own| fs::symlink_metadata(own).is_err()));
        assert_eq!(fs::read(device.path("outside/file")).unwrap(), b"not ours");
        assert_eq!(mode(&device.path("outside/file")) & 0o600, 0o600);
    }
}

#[test]
fn destinations_in_other_words() {
    let device = Device::new();
    let folder = device.path("root/etc");
    for (end, name) in [
        ("", "a"),
        ("/", "b"),
        ("//", "c"),
        ("/.", "d"),
        ("/./\n", "e"),
        ("\n\n", "f"),
    ] {
        let folder = format!("{}{end}", folder.display());
        device.receive(payload(&folder, name)).unwrap();
        block_on(device.module().replace()).unwrap();
        block_on(device.module().tidy()).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn names_as_long_as_the_file_system_has_them() {
    let device = Device::new();
    let long = "n".repeat(255);
    device.receive(device.payload("root/etc", &long)).unwrap();
    block_on(device.module().replace()).unwrap();
    block_on(device.module().tidy()).unwrap();
    assert_eq!(fs::read(device.path("root/etc").join(&long)).unwrap(), b"new content");
    let longer = "n".repeat(256);
    for (folder, name) in [("root/etc", &*longer), (&*format!("root/{longer}"), "app")] {
        let error = device.receive(device.payload(folder, name)).unwrap_err();
        assert!(matches!(error, Error::Disk(_)), "{error}");
        assert_eq!(device.count(), 2);
    }
}

#[test]
fn a_rollback_without_an_old_file_removes_the_new_one_and_no_other() {
    let device = Device::new();
    let folder = device.path("root/new/folders");
    device.receive(device.payload("root/new/folders", "app")).unwrap();
    block_on(device.module().replace()).unwrap();
    block_on(device.module().restore()).unwrap();
    assert_eq!(device.count(), 1);
    // Somebody else has put a file into the same folder, and another one in place of the new one.
    device.receive(device.payload("root/new/folders", "app")).unwrap();
    block_on(device.module().replace()).unwrap();
    fs::write(folder.join("other"), "").unwrap();
    fs::write(folder.join("app"), "not the new content").unwrap();
    block_on(device.module().restore()).unwrap();
    block_on(device.module().tidy()).unwrap();
    assert_eq!(fs::read(folder.join("app")).unwrap(), b"not the new content");
    assert_eq!(files(&folder), 2);
}

#[test]
fn names_are_plain() {
    let device = Device::new();
    for name in [
        "..",
        ".",
        "a/b",
        "/etc/passwd",
        "a/",
        "",
        "../x",
        ".mender-single-file.old",
    ] {
        let source = MemoryPayload::new("single-file", 100)
            .file("dest_dir", device.path("root/etc").to_str().unwrap())
            .file("filename", name)
            .file("app", "new");
        assert!(
            matches!(device.receive(source), Err(Error::Refused(Refusal::Name(_)))),
            "{name:?}"
        );
    }
    let long = "x".repeat(5000);
    let source = device.payload("root/etc", "app").file("filename", long);
    assert!(device.receive(source).is_err());
}

#[test]
fn destinations_that_are_no_files_stay() {
    let device = Device::new();
    fs::create_dir(device.path("root/etc/folder")).unwrap();
    symlink("../../outside/x", device.path("root/etc/link")).unwrap();
    for name in ["folder", "link"] {
        let error = device.receive(device.payload("root/etc", name)).unwrap_err();
        assert!(matches!(error, Error::InTheWay), "{error}");
    }
    // It became one after the download.
    device.receive(device.payload("root/etc", "late")).unwrap();
    symlink("../../outside/x", device.path("root/etc/late")).unwrap();
    assert!(matches!(block_on(device.module().replace()), Err(Error::InTheWay)));
    block_on(device.module().restore()).unwrap();
    block_on(device.module().tidy()).unwrap();
    assert!(device.path("root/etc/late").is_symlink());
    assert_eq!(files(&device.path("outside")), 0);
}

#[test]
fn payloads_that_are_none() {
    let device = Device::new();
    let folder = device.path("root/etc");
    let folder = folder.to_str().unwrap();
    let new = || MemoryPayload::new("single-file", 100);
    let missing = |source, what| match device.receive(source) {
        Err(Error::Missing(found)) => assert_eq!(found, what),
        other => panic!("{other:?}"),
    };
    missing(new(), "dest_dir");
    missing(new().file("dest_dir", folder).file("app", ""), "filename");
    missing(new().file("dest_dir", folder).file("filename", "app"), "the file");
    for source in [
        device.payload("root/etc", "app").file("second", ""),
        device.payload("root/etc", "app").file("dest_dir", "/"),
        device.payload("root/etc", "app").file("permissions", "777"),
        new().file("dest_dir", folder).file("filename", "app").file("other", ""),
    ] {
        assert!(matches!(device.receive(source), Err(Error::Unexpected)));
    }
    for place in [0, 5, 200] {
        let broken = device
            .payload("root/etc", "app")
            .breaks_after(place, PayloadError::Connection);
        assert!(matches!(
            device.receive(broken),
            Err(Error::Payload(PayloadError::Connection))
        ));
    }
    assert!(matches!(block_on(device.module().replace()), Err(Error::NotReceived)));
    block_on(device.module().restore()).unwrap();
    assert_eq!(device.count(), 1);
}

#[test]
fn a_lost_backup_is_noticed() {
    let device = Device::new();
    fs::write(device.path("root/etc/app"), "old content").unwrap();
    device.receive(device.payload("root/etc", "app")).unwrap();
    block_on(device.module().replace()).unwrap();
    fs::remove_file(device.path("root/etc/.mender-single-file.old")).unwrap();
    assert!(matches!(block_on(device.module().restore()), Err(Error::BackupLost)));
}

const MIB: usize = 1 << 20;

/// A download that broke and was not cleaned up, as a restart leaves it; and the one after it. How many bytes of the second came.
#[test]
fn a_download_goes_on_after_a_restart() {
    let content: Vec<u8> = (0..3 * MIB + 70_000).map(|at| (at / 3 * 89) as u8).collect();
    for (broken_at, comes_from) in [
        (0, 0),
        (MIB - 1, 0),
        (MIB + 64 * 1024, MIB),
        (3 * MIB - 1, 2 * MIB),
        (content.len(), 3 * MIB),
    ] {
        let device = Device::new();
        let folder = device.path("root/etc");
        let source = || {
            MemoryPayload::new("single-file", 64 * 1024)
                .file("dest_dir", folder.to_str().unwrap())
                .file("filename", "app")
                .file("app", &*content)
        };
        let around = folder.as_os_str().len() + "app".len();
        let mut broken = source().breaks_after(around + broken_at, PayloadError::Connection);
        assert!(block_on(device.module().receive(&mut Payload::new(&mut broken))).is_err());
        let mut again = source();
        block_on(device.module().receive(&mut Payload::new(&mut again))).unwrap();
        assert_eq!(again.handed_out() - around, content.len() - comes_from, "{broken_at}");
        block_on(device.module().replace()).unwrap();
        block_on(device.module().tidy()).unwrap();
        assert!(fs::read(folder.join("app")).unwrap() == content, "{broken_at}");
        assert_eq!(files(&device.path("var/work")), 0, "{broken_at}");
    }
}

#[test]
fn an_abandoned_update_leaves_nothing_behind() {
    let device = Device::new();
    fs::write(device.path("root/etc/app"), "old content").unwrap();
    device.receive(device.payload("root/etc", "app")).unwrap();
    block_on(device.module().replace()).unwrap();
    assert_eq!(device.count(), 3);
    // No cleanup, but another update.
    device.receive(device.payload("root/etc", "other")).unwrap();
    assert_eq!(device.count(), 2);
    assert_eq!(fs::read(device.path("root/etc/app")).unwrap(), b"new content");
}

#[test]
fn the_table_says_what_the_module_does() {
    let table = SingleFile::DESCRIPTOR;
    assert_eq!(table.artifact_type, "single-file");
    assert!(!table.requires_reboot && table.supports_rollback);
}

#[test]
fn futures_are_send() {
    fn is_send(_: impl Send) {}
    let device = Device::new();
    let mut module = device.module();
    let mut source = device.payload("root/etc", "app");
    is_send(module.receive(&mut Payload::new(&mut source)));
    is_send(module.replace());
    is_send(module.restore());
    is_send(module.tidy());
}

/// A reason is not cut off by a long path, as it comes first.
#[test]
fn display_texts_say_what_to_do() {
    let all = [
        Error::Payload(PayloadError::Artifact),
        Error::Missing("permissions"),
        Error::Unexpected,
        Error::Folder(PathFault::NotAFolder),
        Error::Folder(PathFault::Work),
        Error::Refused(Refusal::Name(PathFault::NotAName)),
        Error::Refused(Refusal::Permissions),
        Error::InTheWay,
        Error::NotReceived,
        Error::Damaged,
        Error::BackupLost,
    ];
    for error in all {
        let text = error.to_string();
        assert!(text.len() <= FAILURE_TEXT_LEN, "{} bytes: {text}", text.len());
    }
    let device = Device::new();
    let module = || SingleFile::new(device.path("var/work"), device.path("no-root"));
    let mut source = device.payload("root/etc", "app");
    let error = block_on(module().receive(&mut Payload::new(&mut source))).unwrap_err();
    assert!(matches!(&error, Error::Disk(error) if error.is_missing()), "{error}");
    assert!(error.to_string().starts_with("look at: No such file"), "{error}");
}
