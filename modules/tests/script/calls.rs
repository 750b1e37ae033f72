//! Which state is which call, and what the module finds there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use mender::update_module::{CallbackState, Late, ModuleSet, Traits};

use crate::rig::{MODULE, Rig};

#[test]
fn the_tree_says_what_the_protocol_says() {
    let rig = Rig::with_module("");
    let mut device = rig.start();
    let payload = rig
        .payload(&[("one", b"1")])
        .artifact_name("release-1")
        .meta_data(r#"{"a": [1, "\u00e4"]}"#);
    device.download(&payload).unwrap();
    let mut found = BTreeMap::new();
    let mut folders = vec![rig.tree()];
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(rig.tree()).unwrap().to_str().unwrap().to_owned();
            let there = fs::metadata(&path).unwrap();
            if there.is_dir() {
                found.insert(name + "/", String::new());
                folders.push(path);
            } else {
                assert_eq!(there.permissions().mode() & 0o777, 0o600, "{name}");
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    let expected = [
        ("version", "3"),
        ("current_artifact_name", "release-0"),
        ("current_artifact_group", "beta"),
        ("current_device_type", "board-a"),
        ("header/", ""),
        ("header/artifact_name", "release-1"),
        ("header/artifact_group", ""),
        ("header/payload_type", MODULE),
        (
            "header/header-info",
            r#"{"payloads":[{"type":"a-module"}],"artifact_provides":{"artifact_name":"release-1"}}"#,
        ),
        ("header/type-info", r#"{"type":"a-module"}"#),
        ("header/meta-data", r#"{"a": [1, "\u00e4"]}"#),
        ("tmp/", ""),
        ("files/", ""),
        ("files/one", "1"),
    ];
    let expected = expected.map(|(name, content)| (name.to_owned(), content.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn a_module_is_called_with_state_and_tree_in_the_tree() {
    let rig = Rig::with_module(r#"echo "$# $1 $2 $(pwd) $PWD $(cat)" >"$AT/seen""#);
    let mut device = rig.start();
    device.download(&rig.payload(&[])).unwrap();
    let tree = rig.tree().to_str().unwrap().to_owned();
    for (state, name) in [
        (CallbackState::VerifyReboot, "ArtifactVerifyReboot"),
        (CallbackState::Commit, "ArtifactCommit"),
        (CallbackState::Rollback, "ArtifactRollback"),
        (CallbackState::RollbackVerifyReboot, "ArtifactVerifyRollbackReboot"),
        (CallbackState::Failure, "ArtifactFailure"),
        (CallbackState::Cleanup, "Cleanup"),
    ] {
        rig.calls();
        assert_eq!(device.call(state).unwrap(), None);
        assert_eq!(rig.calls(), [name]);
        assert_eq!(rig.read("seen").trim_end(), format!("2 {name} {tree} {tree} {tree}"));
    }
}

#[test]
fn a_module_gets_an_absolute_path() {
    let mut rig = Rig::with_module("test -d \"$2\" && echo \"$2\" >\"$AT/seen\"");
    let here = std::env::current_dir().unwrap();
    // As many steps up as there are folders down.
    let up = here.components().skip(1).map(|_| "../").collect::<String>();
    let relative = |path: &std::path::Path| up.clone() + path.to_str().unwrap().trim_start_matches('/');
    rig.settings.work = relative(&rig.settings.work).into();
    rig.settings.modules = relative(&rig.settings.modules).into();
    let mut device = rig.start();
    device.download(&rig.payload(&[])).unwrap();
    assert!(rig.read("seen").starts_with('/'), "{}", rig.read("seen"));
}

#[test]
fn every_state_is_called() {
    let rig = Rig::with_module("");
    let mut device = rig.start();
    let [table] = device.scripts.descriptors() else {
        panic!()
    };
    assert_eq!(table.artifact_type, MODULE);
    assert!(!table.requires_reboot && !table.supports_rollback);
    for state in CallbackState::ALL {
        assert!(table.states.contains(state), "{state:?}");
    }
}

#[test]
fn a_module_says_whether_it_can_roll_back() {
    for (answer, expected) in [
        ("echo Yes", true),
        ("echo No", false),
        (":", false),
        ("printf Yes", true),
    ] {
        let rig = Rig::with_module(&format!("test \"$1\" != SupportsRollback || {answer}"));
        let mut device = rig.start();
        let traits = device.download(&rig.payload(&[])).unwrap();
        let expected = Traits {
            requires_reboot: false,
            supports_rollback: expected,
        };
        assert_eq!(traits, expected, "{answer}");
    }
}

#[test]
fn a_module_says_after_its_install_whether_something_must_restart() {
    for (answer, expected) in [
        (":", None),
        ("echo", None),
        ("echo No", None),
        ("echo Yes", Some(Late::NeedsReboot)),
        ("echo Automatic", Some(Late::NeedsReboot)),
    ] {
        let rig = Rig::with_module(&format!("test \"$1\" != NeedsArtifactReboot || {answer}"));
        let mut device = rig.start();
        device.download(&rig.payload(&[])).unwrap();
        rig.calls();
        assert_eq!(device.call(CallbackState::Install).unwrap(), expected, "{answer}");
        assert_eq!(rig.calls(), ["ArtifactInstall", "NeedsArtifactReboot"]);
    }
}

#[test]
fn other_answers_are_errors() {
    for answer in [
        "yes",
        "YES",
        "Yes please",
        "Yes\\n\\n",
        "Yes\\nNo",
        "\\n\\n",
        "Automatic ",
    ] {
        let text = answer.replace("\\n", "\n");
        let text = text.strip_suffix('\n').unwrap_or(&text);
        for query in ["ProvidePayloadFileSizes", "SupportsRollback", "NeedsArtifactReboot"] {
            let rig = Rig::with_module(&format!("test \"$1\" != {query} || printf '{answer}'"));
            let mut device = rig.start();
            let downloaded = device.download(&rig.payload(&[]));
            let failure = match query {
                "NeedsArtifactReboot" => device.call(CallbackState::Install).unwrap_err(),
                _ => downloaded.unwrap_err(),
            };
            let expected = format!("{query}: answered {text:?} (update module a-module)");
            assert_eq!(failure.as_str(), expected);
        }
    }
    let rig = Rig::with_module("test \"$1\" != SupportsRollback || { echo Yes; exit 3; }");
    let failure = rig.start().download(&rig.payload(&[])).unwrap_err();
    assert_eq!(
        failure.as_str(),
        "SupportsRollback: exit status 3 (update module a-module)"
    );
}

/// Installed, with that answer to `NeedsArtifactReboot`.
fn installed(rig: &Rig, answer: &str) -> crate::rig::Device {
    rig.module(MODULE, &format!("test \"$1\" != NeedsArtifactReboot || echo {answer}"));
    let mut device = rig.start();
    device.download(&rig.payload(&[])).unwrap();
    device.call(CallbackState::Install).unwrap();
    rig.calls();
    device
}

#[test]
fn yes_means_that_the_module_restarts_what_must() {
    let rig = Rig::new();
    let mut device = installed(&rig, "Yes");
    for (state, name) in [
        (CallbackState::Reboot, "ArtifactReboot"),
        (CallbackState::RollbackReboot, "ArtifactRollbackReboot"),
    ] {
        assert_eq!(device.call(state).unwrap(), Some(Late::Restarted));
        assert_eq!(rig.calls(), [name]);
    }
}

#[test]
fn automatic_means_that_the_client_restarts_the_device() {
    let mut rig = Rig::new();
    let mark = rig.at().join("restarts");
    rig.settings.reboot = ["sh", "-c", "echo \"$1\" >>\"$0\"; echo bye"].map(Into::into).to_vec();
    rig.settings.reboot.extend([mark.into(), "now".into()]);
    let mut device = installed(&rig, "Automatic");
    for state in [CallbackState::Reboot, CallbackState::RollbackReboot] {
        // The client waits for its end.
        assert_eq!(device.call(state).unwrap(), None);
    }
    assert!(rig.calls().is_empty());
    assert_eq!(rig.read("restarts"), "now\nnow\n");
    assert_eq!(
        rig.notes.take(),
        ["a-module ArtifactReboot: bye", "a-module ArtifactRollbackReboot: bye"]
    );
}

#[test]
fn a_command_to_restart_that_fails_may_have_worked_all_the_same() {
    let mut rig = Rig::new();
    rig.settings.reboot = vec!["false".into()];
    let mut device = installed(&rig, "Automatic");
    assert_eq!(device.call(CallbackState::Reboot).unwrap(), None);
    assert_eq!(rig.notes.take(), ["the command to restart the device: exit status 1"]);
}

#[test]
fn a_command_to_restart_that_is_not_there_has_not() {
    for command in [vec!["/no/such/command".into()], vec![]] {
        let mut rig = Rig::new();
        rig.settings.reboot = command;
        let mut device = installed(&rig, "Automatic");
        let failure = device.call(CallbackState::Reboot).unwrap_err();
        let text = "ArtifactReboot: the command to restart the device cannot be started: ";
        assert!(failure.as_str().starts_with(text), "{failure}");
    }
}

#[test]
fn nothing_restarts_unasked() {
    let rig = Rig::new();
    let mut device = installed(&rig, "No");
    let failure = device.call(CallbackState::Reboot).unwrap_err();
    let text = "ArtifactReboot: the module asked for no reboot (update module a-module)";
    assert_eq!(failure.as_str(), text);
    assert!(rig.calls().is_empty());
}

#[test]
fn cleanup_removes_everything_whatever_the_module_says() {
    for body in [
        "",
        "test \"$1\" != Cleanup || exit 1",
        "test \"$1\" != Cleanup || rm -r \"$2\"",
    ] {
        let rig = Rig::with_module(body);
        let mut device = rig.start();
        device.download(&rig.payload(&[("one", b"1")])).unwrap();
        device.call(CallbackState::Install).unwrap();
        rig.calls();
        let cleaned = device.call(CallbackState::Cleanup);
        assert_eq!(cleaned.is_err(), body.ends_with("exit 1"));
        assert_eq!(rig.calls(), ["Cleanup"]);
        let left = fs::read_dir(rig.settings.work.join("payloads/0000")).unwrap();
        assert_eq!(left.count(), 0);
        // Again, after a restart that came before it was known to be done: there is nothing to be called for.
        device.call(CallbackState::Cleanup).unwrap();
        assert!(rig.calls().is_empty());
    }
}

#[test]
fn without_a_tree_nothing_but_cleanup_succeeds() {
    let rig = Rig::with_module("");
    let mut device = rig.start();
    for state in CallbackState::ALL {
        let called = device.call(state);
        match state {
            CallbackState::Cleanup => assert_eq!(called, Ok(None)),
            _ => {
                let failure = called.unwrap_err();
                assert!(failure.as_str().contains(": "), "{failure}");
            }
        }
    }
    assert!(rig.calls().is_empty());
}

/// Other than one that is not there: `Cleanup` is not left out in silence.
#[test]
fn a_tree_that_cannot_be_read_is_told() {
    let rig = Rig::with_module("");
    let mut device = rig.start();
    let spoil = || fs::write(rig.tree().join("header/payload_type"), b"\xff").unwrap();
    device.download(&rig.payload(&[])).unwrap();
    spoil();
    for (state, name) in [
        (CallbackState::Commit, "ArtifactCommit"),
        (CallbackState::Cleanup, "Cleanup"),
    ] {
        let failure = device.call(state).unwrap_err();
        let text = format!("{name}: file tree: stream did not contain valid UTF-8 (update module a-module)");
        assert_eq!(failure.as_str(), text);
    }
    assert!(!rig.tree().exists());
    device.download(&rig.payload(&[])).unwrap();
    spoil();
    device.download(&rig.payload(&[])).unwrap();
    assert_eq!(
        rig.notes.take(),
        ["an update that was cut: stream did not contain valid UTF-8"]
    );
}

#[test]
fn the_tree_of_one_module_is_not_given_to_another() {
    let rig = Rig::with_module("");
    rig.module("other", "");
    let mut device = rig.start();
    device.download(&rig.payload(&[])).unwrap();
    rig.calls();
    let other = device.index("other");
    for state in CallbackState::ALL
        .into_iter()
        .filter(|state| *state != CallbackState::Cleanup)
    {
        device.runtime.block_on(device.scripts.call(other, state)).unwrap_err();
    }
    assert!(rig.calls().is_empty());
}
