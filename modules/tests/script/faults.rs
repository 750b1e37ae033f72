//! Programs that do not do what they should.

use std::fs;
use std::time::{Duration, Instant};

use mender::update_module::{CallbackState, ModuleSet};

use crate::rig::{Device, LONG, MODULE, Rig, is_running, write_program};

/// For calls that take too long. All others must come to their end in it, on a busy machine too.
const SHORT: Duration = Duration::from_secs(2);

/// After a download; the body is run in `ArtifactCommit`.
fn ready(rig: &Rig, body: &str) -> Device {
    rig.module(MODULE, &format!("if test \"$1\" = ArtifactCommit; then\n{body}\nfi"));
    let mut device = rig.start();
    device.download(&rig.payload(&[])).unwrap();
    device
}

#[track_caller]
fn commit_fails(rig: &Rig, body: &str, text: &str) {
    let mut device = ready(rig, body);
    let failure = device.call(CallbackState::Commit).unwrap_err();
    assert_eq!(
        failure.as_str(),
        format!("ArtifactCommit: {text} (update module a-module)")
    );
}

#[test]
fn how_a_program_ended_is_told() {
    commit_fails(&Rig::new(), "exit 3", "exit status 3");
    commit_fails(&Rig::new(), "kill -SEGV $$", "killed by signal 11");
}

#[test]
fn a_program_that_cannot_be_started_fails() {
    for text in ["#!/no/such/interpreter\n", "\x7fELF and nothing more"] {
        let rig = Rig::new();
        write_program(&rig.settings.modules.join(MODULE), text);
        let mut device = rig.start();
        let failure = device.download(&rig.payload(&[])).unwrap_err();
        let begin = "ProvidePayloadFileSizes: cannot be started: ";
        assert!(failure.as_str().starts_with(begin), "{failure}");
    }
    let rig = Rig::with_module("");
    let mut device = rig.start();
    device.download(&rig.payload(&[])).unwrap();
    fs::remove_file(rig.settings.modules.join(MODULE)).unwrap();
    let failure = device.call(CallbackState::Rollback).unwrap_err();
    assert!(
        failure.as_str().contains("cannot be started: No such file"),
        "{failure}"
    );
}

/// The process numbers in a file.
fn numbers(rig: &Rig, name: &str) -> Vec<String> {
    rig.read(name).split_whitespace().map(String::from).collect()
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
    let mut rig = Rig::new();
    rig.settings.timeout = SHORT;
    let body = "sleep 1000 & echo $! >\"$AT/ids\"; echo $$ >>\"$AT/ids\"; echo begun; wait";
    commit_fails(&rig, body, "killed after 2 s");
    let ids = numbers(&rig, "ids");
    assert_eq!(ids.len(), 2);
    assert_eq!(ids.iter().find(|id| is_running(id)), None);
    assert_eq!(rig.notes.take(), ["a-module ArtifactCommit: begun"]);
}

#[test]
fn a_program_that_does_not_want_to_end_is_killed() {
    let mut rig = Rig::new();
    rig.settings.timeout = SHORT;
    rig.settings.grace = Duration::from_millis(300);
    let body = "trap 'echo no' TERM; echo $$ >\"$AT/ids\"; while :; do sleep 0.05; done";
    commit_fails(&rig, body, "killed after 2 s");
    assert_eq!(numbers(&rig, "ids").iter().find(|id| is_running(id)), None);
    // It was asked first.
    assert!(rig.notes.take().contains(&"a-module ArtifactCommit: no".to_owned()));
}

#[test]
fn what_ignores_the_signal_ends_with_its_leader() {
    let mut rig = Rig::new();
    rig.settings.timeout = SHORT;
    let body = "(trap '' TERM; exec sleep 1000) & echo $! >\"$AT/ids\"; sleep 0.1; exec sleep 1000";
    let begin = Instant::now();
    commit_fails(&rig, body, "killed after 2 s");
    assert!(begin.elapsed() < LONG);
    let ids = numbers(&rig, "ids");
    // It takes the kernel a moment to end what is not waited for here.
    let end = Instant::now() + LONG;
    while ids.iter().any(|id| is_running(id)) {
        assert!(Instant::now() < end);
    }
}

#[test]
fn whoever_holds_the_output_open_is_not_waited_for() {
    let rig = Rig::new();
    // A service, say, that the module starts; it lives on.
    let mut device = ready(&rig, "sleep 1000 & echo $! >\"$AT/ids\"; seq 5000; printf last");
    let begin = Instant::now();
    device.call(CallbackState::Commit).unwrap();
    assert!(begin.elapsed() < LONG);
    let notes = rig.notes.take();
    assert_eq!(notes.len(), 5001);
    assert_eq!(notes[4999], "a-module ArtifactCommit: 5000");
    assert_eq!(notes[5000], "a-module ArtifactCommit: last");
    let [id] = numbers(&rig, "ids").try_into().unwrap();
    assert!(is_running(&id));
    assert!(std::process::Command::new("kill").arg(id).status().unwrap().success());
}

#[test]
fn whatever_a_program_writes_comes_as_lines_of_bounded_length() {
    let rig = Rig::new();
    let mut device = ready(
        &rig,
        r#"head -c 3000000 /dev/zero | tr '\0' x; echo; printf 'a\377b\n' >&2; echo out; printf rest >&2"#,
    );
    device.call(CallbackState::Commit).unwrap();
    let mut notes = rig.notes.take();
    notes.sort();
    let long = format!("a-module ArtifactCommit: {}...", "x".repeat(1024));
    assert_eq!(
        notes,
        [
            "a-module ArtifactCommit (stderr): a\u{fffd}b",
            "a-module ArtifactCommit (stderr): rest",
            "a-module ArtifactCommit: out",
            &long,
        ]
    );
}

#[test]
fn an_answer_without_an_end_is_bounded_and_its_errors_are_lines() {
    let rig = Rig::with_module("test \"$1\" != SupportsRollback || { echo why >&2; exec timeout 1 yes; }");
    let mut device = rig.start();
    let failure = device.download(&rig.payload(&[])).unwrap_err();
    assert_eq!(
        failure.as_str(),
        "SupportsRollback: exit status 124 (update module a-module)"
    );
    assert_eq!(rig.notes.take(), ["a-module SupportsRollback (stderr): why"]);
}

#[test]
fn a_client_that_is_dropped_ends_what_it_began() {
    let rig = Rig::new();
    let mut device = ready(
        &rig,
        "(trap '' TERM; exec sleep 1000) & echo $! $$ >\"$AT/ids.new\"; mv \"$AT/ids.new\" \"$AT/ids\"; wait",
    );
    let module = device.index(MODULE);
    let ids = device.runtime.block_on(async {
        let mut call = Box::pin(device.scripts.call(module, CallbackState::Commit));
        loop {
            let pause = tokio::time::sleep(Duration::from_millis(10));
            assert!(
                tokio::time::timeout(Duration::from_millis(10), &mut call)
                    .await
                    .is_err()
            );
            pause.await;
            if rig.at().join("ids").exists() {
                return numbers(&rig, "ids");
            }
        }
    });
    let end = Instant::now() + LONG;
    while ids.iter().any(|id| is_running(id)) {
        assert!(Instant::now() < end);
    }
}
