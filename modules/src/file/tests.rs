//! Deployments that are cut short at every step. What the module does in one go is tested from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mender::deployment::{Action, Event};
use mender::update_module::CallbackState;

use super::SingleFile;
use crate::disk::crashes::{Case, Release, Tree, at_every_step, succeeds, tree};

const NEW: &[u8] = b"the new content, in several chunks";

const NEXT: &[u8] = b"the content after that";

fn files(root: &Path, release: Release, folder: &str) -> Vec<(&'static str, Vec<u8>)> {
    let content = match release {
        Release::First => NEW,
        Release::Next => NEXT,
    };
    let folder = root.join(folder).into_os_string().into_encoded_bytes();
    vec![
        ("dest_dir", folder),
        ("filename", b"app.conf\n".into()),
        ("permissions", b"640\n".into()),
        ("app.conf", content.into()),
    ]
}

/// The disk loses what was downloaded.
fn is_damaged(work: &Path, action: Action, event: Event) -> Event {
    if action == Action::StoreDeployment {
        fs::write(work.join("ready/content"), "something else").unwrap();
    }
    event
}

fn install_fails(_: &Path, action: Action, event: Event) -> Event {
    if action == Action::Call(CallbackState::Install) {
        return Event::Failed;
    }
    event
}

fn with_old(root: &Path) {
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/app.conf"), "the old content").unwrap();
    fs::set_permissions(root.join("etc/app.conf"), fs::Permissions::from_mode(0o604)).unwrap();
    fs::write(root.join("etc/other.conf"), "not touched").unwrap();
}

fn without_old(root: &Path) {
    fs::create_dir(root.join("etc")).unwrap();
}

fn nothing(_: &Path) {}

fn is_new(root: &Path, mut before: Tree) {
    before.insert("etc/app.conf".into(), (0o640, NEW.into()));
    let now = tree(root);
    assert_eq!(now, before);
}

fn is_new_in_new_folders(root: &Path, before: Tree) {
    assert_eq!(before, Tree::new());
    assert_eq!(fs::read(root.join("a/b/app.conf")).unwrap(), NEW);
    assert_eq!(tree(root).len(), 3);
}

/// In chunks of more than a part of a download.
fn long_files(root: &Path, release: Release) -> Vec<(&'static str, Vec<u8>)> {
    let mut files = files(root, release, "etc");
    let (_, content) = files.last_mut().unwrap();
    content.resize(5000, b'.');
    files
}

fn is_new_and_long(root: &Path, mut before: Tree) {
    let mut content = Vec::from(NEW);
    content.resize(5000, b'.');
    before.insert("etc/app.conf".into(), (0o640, content));
    assert_eq!(tree(root), before);
}

const CASE: Case<SingleFile> = Case {
    start: SingleFile::on,
    before: with_old,
    files: |root, release| files(root, release, "etc"),
    answer: succeeds,
    links: true,
    after: is_new,
    succeeds: true,
};

const WITHOUT_LINKS: Case<SingleFile> = Case { links: false, ..CASE };

const WITHOUT_OLD: Case<SingleFile> = Case {
    before: without_old,
    ..CASE
};

const IN_NEW_FOLDERS: Case<SingleFile> = Case {
    before: nothing,
    files: |root, release| files(root, release, "a/b"),
    after: is_new_in_new_folders,
    ..CASE
};

/// With a download that goes on where it was.
const LONG: Case<SingleFile> = Case {
    files: long_files,
    after: is_new_and_long,
    ..CASE
};

at_every_step! {
    of_a_long_file: LONG,
    of_a_success: CASE,
    of_a_success_without_hard_links: WITHOUT_LINKS,
    of_a_success_without_an_old_file: WITHOUT_OLD,
    of_a_success_in_new_folders: IN_NEW_FOLDERS,
    of_a_rollback: CASE.rolled_back(),
    of_a_rollback_without_hard_links: WITHOUT_LINKS.rolled_back(),
    of_a_rollback_without_an_old_file: WITHOUT_OLD.rolled_back(),
    of_a_rollback_in_new_folders: IN_NEW_FOLDERS.rolled_back(),
    of_an_install_that_fails: CASE.fails(install_fails),
    of_an_install_that_finds_a_damaged_download: CASE.fails(is_damaged),
}

#[test]
fn every_flow() {
    CASE.passes_every_flow();
}

#[test]
fn every_flow_of_a_long_file() {
    LONG.passes_every_flow();
}

#[test]
fn every_flow_without_hard_links() {
    WITHOUT_LINKS.passes_every_flow();
}

#[test]
fn every_flow_in_new_folders() {
    IN_NEW_FOLDERS.passes_every_flow();
}
