//! Deployments whose program ends at every step. What the module does in one go is tested from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mender::deployment::{Action, Event};
use mender::update_module::CallbackState;
use mender_testkit::payload::MemoryPayload;

use super::SingleFile;
use crate::disk::crashes::{Case, Tree, tree};

const NEW: &[u8] = b"the new content, in several chunks";

fn payload(root: &Path, folder: &str) -> MemoryPayload {
    let folder = root.join(folder);
    MemoryPayload::new("single-file", 10)
        .file("dest_dir", folder.to_str().unwrap())
        .file("filename", "app.conf\n")
        .file("permissions", "640\n")
        .file("app.conf", NEW)
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

const CASE: Case<SingleFile> = Case {
    start: SingleFile::on,
    before: with_old,
    payload: |root| payload(root, "etc"),
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
fn an_end_anywhere_in_a_success_without_hard_links() {
    Case { links: false, ..CASE }.ends_everywhere();
}

#[test]
fn an_end_anywhere_in_a_success_without_an_old_file() {
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
fn an_end_anywhere_in_a_rollback_without_hard_links() {
    Case {
        answer: is_not_committed,
        succeeds: false,
        links: false,
        ..CASE
    }
    .ends_everywhere();
}

#[test]
fn an_end_anywhere_in_a_rollback_without_an_old_file() {
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
    let case = Case {
        before: nothing,
        payload: |root| payload(root, "a/b"),
        after: is_new_in_new_folders,
        ..CASE
    };
    case.ends_everywhere();
    Case {
        answer: is_not_committed,
        succeeds: false,
        ..case
    }
    .ends_everywhere();
}

#[test]
fn an_end_anywhere_in_an_install_that_fails() {
    for answer in [is_damaged, install_fails] {
        Case {
            answer,
            succeeds: false,
            ..CASE
        }
        .ends_everywhere();
    }
}
