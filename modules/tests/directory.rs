//! The module `directory` from outside: what it installs, and what it refuses.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mender::UpdateModule;
use mender::update_module::{CallbackState, FAILURE_TEXT_LEN, Payload, PayloadError};
use mender_modules::PathFault;
use mender_modules::directory::{Directory, EntryFault, Error, Refusal};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;
use tar::EntryType;
use tempfile::TempDir;

struct Device {
    folder: TempDir,
}

impl Device {
    fn new() -> Device {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("root/opt")).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        Device { folder }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn module(&self) -> Directory {
        Directory::new(self.path("var/work"), self.path("root"))
    }

    fn receive(&self, folder: &str, archive: Vec<u8>) -> Result<(), Error> {
        let mut source = MemoryPayload::new("directory", 4000)
            .file("dest_dir", folder)
            .file("update.tar", archive);
        block_on(self.module().receive(&mut Payload::new(&mut source)))
    }

    fn installs(&self, archive: Vec<u8>) -> PathBuf {
        let folder = self.path("root/opt/app");
        self.receive(folder.to_str().unwrap(), archive).unwrap();
        block_on(self.module().replace()).unwrap();
        block_on(self.module().tidy()).unwrap();
        folder
    }

    fn refuses(&self, archive: Vec<u8>) -> Error {
        let before = names(self.folder.path());
        let error = self
            .receive(self.path("root/opt/app").to_str().unwrap(), archive)
            .expect_err("refused");
        block_on(self.module().tidy()).unwrap();
        let mut after = names(self.folder.path());
        after.retain(|name| !name.starts_with("var"));
        assert_eq!(after, before, "{error}");
        assert!(matches!(block_on(self.module().replace()), Err(Error::NotReceived)));
        error
    }
}

/// All paths below a folder.
fn names(root: &Path) -> Vec<PathBuf> {
    fn collect(root: &Path, folder: &Path, names: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            names.push(path.strip_prefix(root).unwrap().into());
            if path.is_dir() && !path.is_symlink() {
                collect(root, &path, names);
            }
        }
    }
    let mut names = Vec::new();
    collect(root, root, &mut names);
    names.sort();
    names
}

/// An archive of raw entries: the crate that writes it must not be the one that refuses a path.
#[derive(Default)]
struct Raw(Vec<u8>);

impl Raw {
    fn entry(mut self, path: &[u8], kind: EntryType, link: &[u8], content: &[u8]) -> Raw {
        let mut header = tar::Header::new_ustar();
        let bytes = header.as_mut_bytes();
        bytes[..path.len()].copy_from_slice(path);
        bytes[157..157 + link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, content: &str) -> Raw {
        self.entry(path.as_bytes(), EntryType::Regular, b"", content.as_bytes())
    }

    fn folder(self, path: &str) -> Raw {
        self.entry(path.as_bytes(), EntryType::Directory, b"", b"")
    }

    fn link(self, path: &str, target: &str) -> Raw {
        self.entry(path.as_bytes(), EntryType::Symlink, target.as_bytes(), b"")
    }

    fn hard_link(self, path: &str, target: &str) -> Raw {
        self.entry(path.as_bytes(), EntryType::Link, target.as_bytes(), b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

#[test]
fn a_deployment() {
    let device = Device::new();
    let folder = device.path("root/opt/app");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("old"), "old content").unwrap();
    let inode = fs::metadata(&folder).unwrap().ino();
    let archive = Raw::default().file("./new", "new content").end();
    device.receive(folder.to_str().unwrap(), archive).unwrap();
    assert_eq!(
        names(&device.path("root/opt")).len(),
        2,
        "nothing is active before install"
    );
    let mut module = device.module();
    block_on(module.call(CallbackState::Install)).unwrap();
    assert_eq!(names(&folder), [Path::new("new")]);
    assert_eq!(fs::read(folder.join("new")).unwrap(), b"new content");
    // The very old folder comes back, not a copy.
    block_on(module.call(CallbackState::Rollback)).unwrap();
    assert_eq!(names(&folder), [Path::new("old")]);
    assert_eq!(fs::metadata(&folder).unwrap().ino(), inode);
    block_on(module.call(CallbackState::Cleanup)).unwrap();
    assert_eq!(names(&device.path("root/opt")).len(), 2);
    assert_eq!(names(&device.path("var/work")).len(), 0);
}

#[test]
fn what_tar_makes_is_unpacked() {
    let device = Device::new();
    let tree = device.path("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    let long = format!("{}/{}", "n".repeat(120), "m".repeat(120));
    fs::create_dir(tree.join("n".repeat(120))).unwrap();
    fs::write(tree.join(&long), "a long name").unwrap();
    fs::write(tree.join("a/file"), vec![5; 100_000]).unwrap();
    fs::write(tree.join("a/b/empty"), "").unwrap();
    fs::hard_link(tree.join("a/file"), tree.join("a/same")).unwrap();
    symlink("b/empty", tree.join("a/link")).unwrap();
    symlink("../a/b", tree.join("a/up")).unwrap();
    fs::set_permissions(tree.join("a/file"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o705)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    fs::File::options()
        .write(true)
        .open(tree.join("a/file"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    for format in ["gnu", "pax"] {
        let output = std::process::Command::new("tar")
            .arg("-C")
            .arg(&tree)
            .arg(format!("--format={format}"))
            .args(["-cf", "-", "."])
            .output()
            .expect("tar is installed");
        assert!(output.status.success());
        let folder = device.installs(output.stdout);
        assert_eq!(names(&folder), names(&tree), "{format}");
        assert_eq!(fs::read(folder.join("a/same")).unwrap(), vec![5; 100_000]);
        assert_eq!(fs::read(folder.join(&long)).unwrap(), b"a long name");
        assert_eq!(fs::read_link(folder.join("a/up")).unwrap(), Path::new("../a/b"));
        for path in ["", "a/file", "a/b"] {
            let mode = |root: &Path| fs::metadata(root.join(path)).unwrap().permissions().mode();
            assert_eq!(mode(&folder), mode(&tree), "{format} {path}");
        }
        let metadata = fs::metadata(folder.join("a/file")).unwrap();
        assert_eq!(metadata.modified().unwrap(), time);
        assert_eq!(metadata.ino(), fs::metadata(folder.join("a/same")).unwrap().ino());
        // So that it can be removed again by somebody who is not root.
        fs::set_permissions(folder.join("a/b"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn entries_that_are_refused() {
    let raw = Raw::default;
    let kind = |kind| raw().entry(b"x", kind, b"", b"");
    for (archive, fault) in [
        (raw().file("/etc/passwd", ""), EntryFault::Path),
        (raw().file("../x", ""), EntryFault::Path),
        (raw().file("a/../../x", ""), EntryFault::Path),
        (raw().folder(".."), EntryFault::Path),
        (raw().file("", ""), EntryFault::Path),
        (raw().file("x", "").file("./x", ""), EntryFault::Twice),
        (raw().file("x", "").folder("x"), EntryFault::Twice),
        (raw().file("d/x", "").file("d", ""), EntryFault::Twice),
        (raw().folder("d").link("d", "e"), EntryFault::Twice),
        (raw().file(".", ""), EntryFault::Twice),
        (raw().link("./", "x"), EntryFault::Twice),
        (raw().file("x", "").file("x/y", ""), EntryFault::Parent),
        (raw().link("l", "d").file("l/x", ""), EntryFault::Parent),
        (raw().folder("d").link("l", "d").folder("l/e"), EntryFault::Parent),
        (raw().link("l", "/etc"), EntryFault::Link),
        (raw().link("l", ".."), EntryFault::Link),
        (raw().link("d/l", "../.."), EntryFault::Link),
        (raw().link("d/l", "../../root/opt/app/d"), EntryFault::Link),
        (raw().link("l", "a/.."), EntryFault::Link),
        (raw().link("l", ""), EntryFault::Link),
        // Each stays inside by its letters; together they lead out.
        (
            raw().link("deep/a/b/up", "../../..").link("l", "deep/a/b/up/../.."),
            EntryFault::Link,
        ),
        (
            raw().link("d/up", "..").link("d/e/f/l", "../../up/.."),
            EntryFault::Link,
        ),
        (raw().hard_link("l", "x"), EntryFault::HardLink),
        (raw().hard_link("l", "/etc/passwd"), EntryFault::HardLink),
        (raw().hard_link("l", "../../x"), EntryFault::HardLink),
        (raw().link("s", "x").hard_link("l", "s"), EntryFault::HardLink),
        (raw().folder("d").hard_link("l", "d"), EntryFault::HardLink),
        (raw().hard_link("l", "l"), EntryFault::HardLink),
        (kind(EntryType::Char), EntryFault::Kind),
        (kind(EntryType::Block), EntryFault::Kind),
        (kind(EntryType::Fifo), EntryFault::Kind),
        (kind(EntryType::new(b'M')), EntryFault::Kind),
    ] {
        match Device::new().refuses(archive.end()) {
            Error::Refused(Refusal::Entry { fault: found, path }) => assert_eq!(found, fault, "{path}"),
            other => panic!("{fault:?}: {other}"),
        }
    }
}

#[test]
fn links_that_stay_inside() {
    let device = Device::new();
    let archive = Raw::default()
        .file("d/x", "content")
        .link("d/root", "..")
        .link("d/e/up", "../../d/x")
        .link("dangling", "not/there")
        .link("here", ".")
        .hard_link("d/y", "./d/x")
        .end();
    let folder = device.installs(archive);
    assert_eq!(fs::read(folder.join("d/e/up")).unwrap(), b"content");
    assert_eq!(
        fs::canonicalize(folder.join("d/root")).unwrap(),
        fs::canonicalize(&folder).unwrap()
    );
    assert_eq!(fs::read(folder.join("d/y")).unwrap(), b"content");
}

#[test]
fn archives_that_are_none() {
    let whole = Raw::default().file("a", &"x".repeat(3000)).file("b", "y").end();
    assert!(matches!(
        Device::new().refuses(vec![1; 2000]),
        Error::Refused(Refusal::Archive(_))
    ));
    for len in [100, 512, 1000, 3000] {
        let error = Device::new().refuses(whole[..len].into());
        assert!(matches!(error, Error::Refused(Refusal::Archive(_))), "{len}: {error}");
    }
    let mut damaged = whole;
    damaged[10] ^= 1;
    assert!(matches!(
        Device::new().refuses(damaged),
        Error::Refused(Refusal::Archive(_))
    ));
    // Nothing in it is a folder with nothing in it.
    assert_eq!(names(&Device::new().installs(vec![0; 1024])).len(), 0);
}

#[test]
fn no_destination_outside_of_the_root() {
    let device = Device::new();
    symlink(device.path("outside"), device.path("root/leads-out")).unwrap();
    symlink("opt", device.path("root/leads-in")).unwrap();
    fs::write(device.path("root/file"), "").unwrap();
    fs::create_dir_all(device.path("root/var/work")).unwrap();
    let root = device.path("root");
    let inside = |path: &str| format!("{}/{path}", root.display());
    let before = names(device.folder.path());
    let module = || Directory::new(device.path("root/var/work"), &root);
    for (folder, fault) in [
        ("/".to_owned(), PathFault::OutsideRoot),
        (device.path("outside").display().to_string(), PathFault::OutsideRoot),
        (root.display().to_string(), PathFault::Root),
        (inside("/"), PathFault::Root),
        (inside("."), PathFault::Root),
        (inside("../outside"), PathFault::Climbs),
        (inside("leads-out"), PathFault::OutsideRoot),
        (inside("leads-out/below"), PathFault::OutsideRoot),
        (inside("var"), PathFault::Work),
        (inside("var/work"), PathFault::Work),
        (inside("var/work/ready"), PathFault::Work),
        (inside("file"), PathFault::NotAFolder),
        (inside("file/below"), PathFault::NotAFolder),
        (inside("opt/.mender-directory.old"), PathFault::NotAName),
        ("opt".into(), PathFault::NotAbsolute),
        ("".into(), PathFault::NotOneLine),
    ] {
        let mut source = MemoryPayload::new("directory", 4000)
            .file("dest_dir", &*folder)
            .file("update.tar", Raw::default().file("x", "").end());
        match block_on(module().receive(&mut Payload::new(&mut source))) {
            Err(Error::Folder(found)) => assert_eq!(found, fault, "{folder}"),
            other => panic!("{folder}: {other:?}"),
        }
        block_on(module().tidy()).unwrap();
        assert_eq!(names(device.folder.path()), before, "{folder}");
    }
    // A link on the way is followed, one as the destination is not replaced.
    let archive = || Raw::default().file("x", "").end();
    assert!(matches!(
        device.receive(&inside("leads-in"), archive()),
        Err(Error::InTheWay)
    ));
    device.receive(&inside("leads-in/app"), archive()).unwrap();
    block_on(device.module().replace()).unwrap();
    assert!(device.path("root/opt/app/x").exists());
    assert!(device.path("root/leads-in").is_symlink());
}

#[test]
fn destinations_in_other_words() {
    for end in ["", "/", "//", "/.", "/\n"] {
        let device = Device::new();
        let folder = format!("{}{end}", device.path("root/opt/app").display());
        device.receive(&folder, Raw::default().file("x", "").end()).unwrap();
        block_on(device.module().replace()).unwrap();
        block_on(device.module().tidy()).unwrap();
        let wanted = ["opt", "opt/app", "opt/app/x"].map(PathBuf::from);
        assert_eq!(names(&device.path("root")), wanted, "{end:?}");
    }
}

/// Links that an update has installed are on the way of the next ones.
#[test]
fn links_of_an_earlier_update_lead_nowhere_else() {
    let device = Device::new();
    let app = device.installs(
        Raw::default()
            .file("d/x", "first")
            .link("in", "d")
            .link("d/up", "..")
            .link("nowhere", "not/there")
            .link("loop", "loop")
            .end(),
    );
    let archive = || Raw::default().file("y", "second").end();
    let below = |path: &str| format!("{}/{path}", app.display());
    let outside = names(&device.path("outside"));
    for (folder, lands) in [
        ("in/new", "d/new"),
        ("d/up/d/up/other", "other"),
        ("in/up/in/third", "d/third"),
    ] {
        device.receive(&below(folder), archive()).unwrap();
        block_on(device.module().replace()).unwrap();
        block_on(device.module().tidy()).unwrap();
        assert_eq!(fs::read(app.join(lands).join("y")).unwrap(), b"second", "{folder}");
    }
    for folder in ["nowhere/new", "loop/new", "in", "d/up"] {
        let error = device.receive(&below(folder), archive()).unwrap_err();
        let link = matches!(error, Error::InTheWay | Error::Folder(_) | Error::Disk(_));
        assert!(link, "{folder}: {error}");
    }
    // The way up is refused by its letters, wherever it would lead.
    let error = device.receive(&below("d/up/../../x"), archive()).unwrap_err();
    assert!(matches!(error, Error::Folder(PathFault::Climbs)), "{error}");
    // Names of the module's own, beside the next destination.
    for own in [".mender-directory.new", ".mender-directory.old"] {
        symlink("../../../outside", app.join(own)).unwrap();
    }
    device.receive(&below("d"), archive()).unwrap();
    block_on(device.module().replace()).unwrap();
    block_on(device.module().restore()).unwrap();
    block_on(device.module().tidy()).unwrap();
    assert_eq!(fs::read(app.join("d/x")).unwrap(), b"first");
    assert_eq!(names(&device.path("outside")), outside);
}

#[test]
fn names_that_the_file_system_does_not_have() {
    let device = Device::new();
    let folder = device.path("root/opt/app");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("old"), "old content").unwrap();
    let name = "n".repeat(256);
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    tar.append_data(&mut header, &name, &b"x"[..]).unwrap();
    device
        .receive(folder.to_str().unwrap(), tar.into_inner().unwrap())
        .unwrap();
    let error = block_on(device.module().replace()).unwrap_err();
    assert!(matches!(error, Error::Disk(_)), "{error}");
    block_on(device.module().restore()).unwrap();
    block_on(device.module().tidy()).unwrap();
    let wanted = ["app", "app/old"].map(PathBuf::from);
    assert_eq!(names(&device.path("root/opt")), wanted);
}

#[test]
fn a_rollback_without_an_old_folder_removes_the_new_one_and_no_other() {
    let device = Device::new();
    let app = device.path("root/new/folders/app");
    let archive = || Raw::default().file("x", "").end();
    device.receive(app.to_str().unwrap(), archive()).unwrap();
    block_on(device.module().replace()).unwrap();
    block_on(device.module().restore()).unwrap();
    block_on(device.module().tidy()).unwrap();
    assert_eq!(names(&device.path("root")), [Path::new("opt")]);
    device.receive(app.to_str().unwrap(), archive()).unwrap();
    block_on(device.module().replace()).unwrap();
    fs::write(device.path("root/new/other"), "").unwrap();
    block_on(device.module().restore()).unwrap();
    block_on(device.module().tidy()).unwrap();
    let wanted = ["new", "new/other", "opt"].map(PathBuf::from);
    assert_eq!(names(&device.path("root")), wanted);
}

#[test]
fn the_whole_disk_is_refused_even_if_it_is_the_root() {
    let device = Device::new();
    let mut module = Directory::new(device.path("work"), "/");
    for folder in ["/", "//", "/."] {
        let mut source = MemoryPayload::new("directory", 4000)
            .file("dest_dir", folder)
            .file("update.tar", Raw::default().end());
        let error = block_on(module.receive(&mut Payload::new(&mut source))).unwrap_err();
        assert!(matches!(error, Error::Folder(PathFault::Root)), "{error}");
    }
}

#[test]
fn payloads_that_are_none() {
    let device = Device::new();
    let archive = || Raw::default().file("x", "").end();
    let folder = device.path("root/opt/app").display().to_string();
    let new = || MemoryPayload::new("directory", 1000);
    let receive = |mut source: MemoryPayload| block_on(device.module().receive(&mut Payload::new(&mut source)));
    assert!(matches!(receive(new()), Err(Error::Missing("dest_dir"))));
    let source = new().file("dest_dir", &*folder);
    assert!(matches!(receive(source.clone()), Err(Error::Missing("update.tar"))));
    let source = source.file("update.tar", archive());
    assert!(matches!(
        receive(source.clone().file("third", "")),
        Err(Error::Unexpected)
    ));
    let twice = source.clone().file("update.tar", archive());
    assert!(matches!(receive(twice), Err(Error::Unexpected)));
    let twice = source.clone().file("dest_dir", "/");
    assert!(matches!(receive(twice), Err(Error::Unexpected)));
    let broken = source.breaks_after(600, PayloadError::Artifact);
    assert!(matches!(receive(broken), Err(Error::Payload(PayloadError::Artifact))));
    block_on(device.module().restore()).unwrap();
    block_on(device.module().tidy()).unwrap();
    assert_eq!(names(&device.path("root")), [Path::new("opt")]);
}

#[test]
fn a_lost_backup_is_noticed() {
    let device = Device::new();
    let folder = device.path("root/opt/app");
    fs::create_dir(&folder).unwrap();
    device
        .receive(folder.to_str().unwrap(), Raw::default().file("x", "").end())
        .unwrap();
    block_on(device.module().replace()).unwrap();
    fs::remove_dir(device.path("root/opt/.mender-directory.old")).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(block_on(device.module().restore()), Err(Error::BackupLost)));
}

#[test]
fn the_table_says_what_the_module_does() {
    let table = Directory::DESCRIPTOR;
    assert_eq!(table.artifact_type, "directory");
    assert!(!table.requires_reboot && table.supports_rollback);
}

#[test]
fn futures_are_send() {
    fn is_send(_: impl Send) {}
    let device = Device::new();
    let mut module = device.module();
    let mut source = MemoryPayload::new("directory", 1);
    is_send(module.receive(&mut Payload::new(&mut source)));
    is_send(module.replace());
    is_send(module.restore());
    is_send(module.tidy());
}

#[test]
fn display_texts_fit_into_a_failure() {
    let mut all = vec![
        Error::Payload(PayloadError::Artifact),
        Error::Missing("update.tar"),
        Error::Unexpected,
        Error::Folder(PathFault::NotAFolder),
        Error::InTheWay,
        Error::NotReceived,
        Error::Damaged,
        Error::BackupLost,
    ];
    for fault in [
        EntryFault::Path,
        EntryFault::Parent,
        EntryFault::Twice,
        EntryFault::Link,
        EntryFault::HardLink,
        EntryFault::Kind,
    ] {
        let path = "usr/bin/x".into();
        all.push(Error::Refused(Refusal::Entry { fault, path }));
    }
    for error in all {
        let text = error.to_string();
        assert!(text.len() <= FAILURE_TEXT_LEN, "{} bytes: {text}", text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    /// Whatever links an archive has: none of those that are installed leads out of the folder.
    #[test]
    fn no_link_leads_out(
        links in proptest::collection::vec(("([ab]/){0,3}[lmn]", "(\\.\\./){0,3}([ablmn]/){0,3}(\\.\\.|[ablmn])"), 1..6)
    ) {
        let device = Device::new();
        // What a link would find that leads out.
        for name in ["a", "b", "l", "m", "n", "a/a", "b/b"] {
            fs::create_dir_all(device.path("root/opt").join(name)).unwrap();
        }
        let mut raw = Raw::default().folder("a").folder("a/b").folder("b");
        for (path, target) in &links {
            raw = raw.link(path, target);
        }
        let folder = device.path("root/opt/app");
        if device.receive(folder.to_str().unwrap(), raw.end()).is_ok() {
            block_on(device.module().replace()).unwrap();
            let inside = fs::canonicalize(&folder).unwrap();
            for name in names(&folder) {
                if let Ok(leads) = fs::canonicalize(folder.join(&name)) {
                    prop_assert!(leads.starts_with(&inside), "{} leads to {}", name.display(), leads.display());
                }
            }
        }
    }

    /// Any bytes: no panic, and nothing outside of the work folder.
    #[test]
    fn any_bytes_are_survived(at in 0usize..2048, bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut archive = Raw::default().file("a", "x").link("l", "a").end();
        let end = (at + bytes.len()).min(archive.len());
        archive[at..end].copy_from_slice(&bytes[..end - at]);
        let device = Device::new();
        let before = names(&device.path("root"));
        let result = device.receive(device.path("root/opt/app").to_str().unwrap(), archive);
        prop_assert_eq!(names(&device.path("root")), before);
        if result.is_ok() {
            block_on(device.module().replace()).unwrap();
        }
    }
}
