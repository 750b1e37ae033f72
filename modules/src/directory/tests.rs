//! Deployments that are cut short at every step. What the module does in one go is tested from outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mender::deployment::{Action, Event};

use super::Directory;
use crate::disk::crashes::{Case, Release, Tree, at_every_step, succeeds, tree};

fn archive(release: Release) -> Vec<u8> {
    let program: &[u8] = match release {
        Release::First => b"new program",
        Release::Next => b"the program after that",
    };
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
    add("./bin/app", tar::EntryType::Regular, 0o755, program, None);
    add("./bin/alias", tar::EntryType::Symlink, 0o777, b"", Some("app"));
    add("./data/deep/x", tar::EntryType::Regular, 0o600, &[7; 3000], None);
    tar.into_inner().unwrap()
}

fn files(root: &Path, release: Release, folder: &str) -> Vec<(&'static str, Vec<u8>)> {
    let folder = root.join(folder).into_os_string().into_encoded_bytes();
    vec![("dest_dir", folder), ("update.tar", archive(release))]
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

fn is_new_in_new_folders(root: &Path, before: Tree) {
    assert_eq!(before, Tree::new());
    assert_eq!(fs::read(root.join("a/b/app/bin/app")).unwrap(), b"new program");
    assert_eq!(tree(root).len(), 9);
}

/// The disk loses what was downloaded.
fn is_damaged(work: &Path, action: Action, event: Event) -> Event {
    if action == Action::StoreDeployment {
        let mut archive = archive(Release::First);
        archive[700] ^= 1;
        fs::write(work.join("ready/update.tar"), archive).unwrap();
    }
    event
}

const CASE: Case<Directory> = Case {
    start: Directory::on,
    before: with_old,
    files: |root, release| files(root, release, "opt/app"),
    answer: succeeds,
    links: true,
    after: is_new,
    succeeds: true,
};

const WITHOUT_OLD: Case<Directory> = Case {
    before: without_old,
    ..CASE
};

const IN_NEW_FOLDERS: Case<Directory> = Case {
    before: |_| {},
    files: |root, release| files(root, release, "a/b/app"),
    after: is_new_in_new_folders,
    ..CASE
};

at_every_step! {
    of_a_success: CASE,
    of_a_success_without_an_old_folder: WITHOUT_OLD,
    of_a_success_in_new_folders: IN_NEW_FOLDERS,
    of_a_rollback: CASE.rolled_back(),
    of_a_rollback_without_an_old_folder: WITHOUT_OLD.rolled_back(),
    of_a_rollback_in_new_folders: IN_NEW_FOLDERS.rolled_back(),
    of_an_install_that_finds_a_damaged_download: CASE.fails(is_damaged),
}

#[test]
fn every_flow() {
    CASE.passes_every_flow();
}

#[test]
fn every_flow_in_new_folders() {
    IN_NEW_FOLDERS.passes_every_flow();
}
