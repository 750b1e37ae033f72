//! Deployments whose program ends at every step. What the module does in one go is tested from outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mender::deployment::{Action, Event};
use mender_testkit::payload::MemoryPayload;

use super::Directory;
use crate::disk::crashes::{Case, Tree, tree};

fn archive() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, content: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        match link {
            Some(link) => tar.append_link(&mut header, path, link).unwrap(),
            None => tar.append_data(&mut header, path, content).unwrap(),
        }
    };
    add("./", tar::EntryType::Directory, 0o750, b"", None);
    add("./bin/", tar::EntryType::Directory, 0o755, b"", None);
    add("./bin/app", tar::EntryType::Regular, 0o755, b"new program", None);
    add("./bin/alias", tar::EntryType::Symlink, 0o777, b"", Some("app"));
    add("./data/deep/x", tar::EntryType::Regular, 0o600, &[7; 3000], None);
    tar.into_inner().unwrap()
}

fn payload(root: &Path, folder: &str) -> MemoryPayload {
    MemoryPayload::new("directory", 1500)
        .file("dest_dir", root.join(folder).to_str().unwrap())
        .file("update.tar", archive())
}

fn with_old(root: &Path) {
    fs::create_dir_all(root.join("opt/app/lib")).unwrap();
    fs::write(root.join("opt/app/program"), "old program").unwrap();
    fs::write(root.join("opt/app/lib/a"), "old library").unwrap();
    symlink("lib/a", root.join("opt/app/link")).unwrap();
    fs::set_permissions(root.join("opt/app"), fs::Permissions::from_mode(0o711)).unwrap();
    fs::write(root.join("opt/other"), "not touched").unwrap();
}

fn without_old(root: &Path) {
    fs::create_dir(root.join("opt")).unwrap();
    fs::write(root.join("opt/other"), "not touched").unwrap();
}

fn is_new(root: &Path, _: Tree) {
    assert_eq!(fs::read(root.join("opt/other")).unwrap(), b"not touched");
    let names: Vec<_> = tree(&root.join("opt")).into_keys().collect();
    let wanted = [
        "app",
        "app/bin",
        "app/bin/alias",
        "app/bin/app",
        "app/data",
        "app/data/deep",
        "app/data/deep/x",
        "other",
    ];
    assert_eq!(names, wanted.map(std::path::PathBuf::from));
    let app = tree(&root.join("opt/app"));
    assert_eq!(app[Path::new("bin/app")], (0o755, b"new program".to_vec()));
    assert_eq!(app[Path::new("bin/alias")].1, b"app");
    assert_eq!(app[Path::new("data/deep/x")], (0o600, vec![7; 3000]));
    assert_eq!(tree(root)[Path::new("opt/app")].0, 0o750);
}

fn succeeds(_: &Path, _: Action, event: Event) -> Event {
    event
}

/// The new software does not reach the server.
fn is_not_committed(_: &Path, action: Action, event: Event) -> Event {
    if action == Action::CommitGate {
        Event::Failed
    } else {
        event
    }
}

/// The disk loses what was downloaded.
fn is_damaged(work: &Path, action: Action, event: Event) -> Event {
    if action == Action::StoreDeployment {
        let mut archive = archive();
        archive[700] ^= 1;
        fs::write(work.join("ready/update.tar"), archive).unwrap();
    }
    event
}

const CASE: Case<Directory> = Case {
    start: Directory::on,
    before: with_old,
    payload: |root| payload(root, "opt/app"),
    answer: succeeds,
    links: true,
    after: is_new,
    succeeds: true,
};

#[test]
fn an_end_anywhere_in_a_success() {
    CASE.ends_everywhere();
}

#[test]
fn an_end_anywhere_in_a_success_without_an_old_folder() {
    Case {
        before: without_old,
        ..CASE
    }
    .ends_everywhere();
}

#[test]
fn an_end_anywhere_in_a_rollback() {
    Case {
        answer: is_not_committed,
        succeeds: false,
        ..CASE
    }
    .ends_everywhere();
}

#[test]
fn an_end_anywhere_in_a_rollback_without_an_old_folder() {
    Case {
        before: without_old,
        answer: is_not_committed,
        succeeds: false,
        ..CASE
    }
    .ends_everywhere();
}

#[test]
fn an_end_anywhere_in_a_rollback_of_new_folders() {
    Case {
        before: |_| {},
        payload: |root| payload(root, "a/b/app"),
        answer: is_not_committed,
        succeeds: false,
        ..CASE
    }
    .ends_everywhere();
}

#[test]
fn an_end_anywhere_in_an_install_that_fails() {
    Case {
        answer: is_damaged,
        succeeds: false,
        ..CASE
    }
    .ends_everywhere();
}
