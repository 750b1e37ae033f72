//! The state machine, driven by the real client: mender-mcu's flows, and a loss of power in every callback.

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Mode, Status};

use crate::support::{Bench, Crash, DAY, DEVICE_TYPE, Ended, Failing, HOUR, Site, small_file};

fn artifact(payload_type: &str) -> Vec<u8> {
    ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type(payload_type)
        .file("file", &small_file(700))
        .write()
}

/// Runs a deployment to its end; the callbacks made, and what the server was told.
fn flow(payload_type: &str, failing: &[&'static str], crash: Option<(&'static str, Crash)>) -> (Bench, Status) {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.script().failing = failing.iter().copied().collect();
    bench.script().crash = crash;
    let deployment = bench.deploy(artifact(payload_type));
    let what = format!("{payload_type} {failing:?} {crash:?}");
    bench.device.clear_events();
    assert_eq!(bench.run(DAY, Site::over), Ended::Reached, "{what}");
    let status = bench.status(&deployment).unwrap();
    bench.assert_clean();
    assert_eq!(bench.script().crash, None, "{what}: the callback never came");
    (bench, status)
}

const TO_VERIFY: [&str; 4] = ["download", "install", "reboot", "verify_reboot"];
const ROLLED_BACK: [&str; 5] = [
    "rollback",
    "rollback_reboot",
    "rollback_verify_reboot",
    "failure",
    "cleanup",
];

/// Name, payload type, failing callbacks, loss of power; the callbacks and the status that follow.
type Flow<'a> = (
    &'a str,
    &'a str,
    &'a [&'static str],
    Option<(&'static str, Crash)>,
    Vec<&'a str>,
    Status,
);

/// The flows of mender-mcu's integration tests (tests/integration/tests/test_state_machine.py there).
#[test]
fn the_flows_of_mender_mcu() {
    let flows: [Flow; 10] = [
        (
            "success_no_reboot",
            "app",
            &[],
            None,
            vec!["download", "install", "commit", "cleanup"],
            Status::Success,
        ),
        (
            "success_reboot",
            "firmware",
            &[],
            None,
            [&TO_VERIFY[..], &["commit", "cleanup"]].concat(),
            Status::Success,
        ),
        (
            "fail_verify_reboot",
            "firmware",
            &["verify_reboot"],
            None,
            [&TO_VERIFY[..], &ROLLED_BACK].concat(),
            Status::Failure,
        ),
        (
            "fail_commit",
            "firmware",
            &["commit"],
            None,
            [&TO_VERIFY[..], &["commit"], &ROLLED_BACK].concat(),
            Status::Failure,
        ),
        (
            "fail_commit_no_rollback",
            "firmware-forward",
            &["commit"],
            None,
            [&TO_VERIFY[..], &["commit", "failure", "cleanup"]].concat(),
            Status::Failure,
        ),
        (
            "fail_download",
            "firmware",
            &["download"],
            None,
            vec!["download", "cleanup"],
            Status::Failure,
        ),
        (
            "fail_install",
            "firmware",
            &["install"],
            None,
            vec!["download", "install", "failure", "cleanup"],
            Status::Failure,
        ),
        (
            "fail_commit_rollback",
            "firmware",
            &["commit", "rollback"],
            None,
            [&TO_VERIFY[..], &["commit", "rollback", "failure", "cleanup"]].concat(),
            Status::Failure,
        ),
        (
            "spontaneous_reboot_install",
            "firmware",
            &[],
            // Before the module has asked for the swap: the old software is found.
            Some(("install", Crash::Before)),
            vec![
                "download",
                "install",
                "verify_reboot",
                "rollback",
                "rollback_reboot",
                "rollback_verify_reboot",
                "failure",
                "cleanup",
            ],
            Status::Failure,
        ),
        (
            "spontaneous_reboot_commit",
            "firmware",
            &[],
            Some(("commit", Crash::Before)),
            [&TO_VERIFY[..], &["commit"], &ROLLED_BACK].concat(),
            Status::Failure,
        ),
    ];
    for (name, payload_type, failing, crash, calls, status) in flows {
        let (bench, told) = flow(payload_type, failing, crash);
        assert_eq!(
            (bench.calls(), told),
            (calls.iter().map(|call| (*call).to_owned()).collect(), status),
            "{name}"
        );
    }
}

/// The eleventh: the rollback is tried until the limit of transitions, then `failure` runs.
#[test]
fn a_rollback_that_never_succeeds_ends_at_the_limit() {
    let (bench, status) = flow("firmware", &["verify_reboot", "rollback_verify_reboot"], None);
    assert_eq!(status, Status::Failure);
    let calls = bench.calls();
    assert_eq!(calls[calls.len() - 2..], ["failure", "cleanup"]);
    let tries = calls.iter().filter(|call| *call == "rollback_verify_reboot").count();
    assert!((5..=28).contains(&tries), "{tries}");
}

/// The twelfth: a callback that restarts the device each time it is called does not do so for ever.
#[test]
fn a_callback_that_resets_the_device_each_time_meets_the_limit() {
    for state in [
        "commit",
        "verify_reboot",
        "rollback_verify_reboot",
        "failure",
        "cleanup",
    ] {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.script().resetting.insert(state);
        if state != "commit" && state != "cleanup" {
            bench.script().failing.insert("commit");
        }
        let deployment = bench.deploy(artifact("firmware"));
        bench.device.clear_events();
        assert_eq!(bench.run(DAY, Site::over), Ended::Reached, "{state}");
        let status = bench.status(&deployment).unwrap();
        let expected = if state == "cleanup" {
            Status::Success
        } else {
            Status::Failure
        };
        assert_eq!(status, expected, "{state}");
        assert!(bench.boots < 40, "{state}: {} boots", bench.boots);
    }
}

/// Success was reported and the new software runs and has its name; or failure, and the old one does, or the name says
/// that nobody knows.
fn assert_true(bench: &mut Bench, status: Status, what: &str) {
    bench.settle();
    let name = bench.inventory("artifact_name").unwrap();
    let runs_new = bench.script().runs_new;
    match status {
        Status::Success => assert_eq!((runs_new, name.as_str()), (true, "release-2"), "{what}"),
        Status::Failure if name.ends_with("_INCONSISTENT") => {}
        Status::Failure => assert_eq!((runs_new, name.as_str()), (false, "release-1"), "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn power_lost_in_any_callback() {
    let (mut successes, mut failures) = (0, 0);
    for (payload_type, states) in [
        ("app", &["download", "install", "commit", "cleanup"][..]),
        ("app-back", &["download", "install", "commit", "cleanup"]),
        (
            "firmware-forward",
            &["download", "install", "reboot", "verify_reboot", "commit", "cleanup"],
        ),
        (
            "firmware",
            &["download", "install", "reboot", "verify_reboot", "commit", "cleanup"],
        ),
    ] {
        for &state in states {
            for at in [Crash::Before, Crash::After] {
                let what = format!("{payload_type}: {at:?} {state}");
                let (mut bench, status) = flow(payload_type, &[], Some((state, at)));
                assert_true(&mut bench, status, &what);
                match status {
                    Status::Success => successes += 1,
                    _ => failures += 1,
                }
                // Before anything of the new software is in use, and after it was committed, a cut costs nothing.
                if state == "download" || state == "cleanup" {
                    assert_eq!(status, Status::Success, "{what}");
                }
            }
        }
    }
    println!("{successes} updates succeeded, {failures} failed and say so");
}

/// A restart between the download and `install`: nothing is active yet, so nothing has to be rolled back, and a module that
/// cannot roll back leaves no doubt about what runs. A second restart, after the failure is stored, changes nothing.
#[test]
fn a_restart_before_install_needs_no_way_back() {
    for payload_type in ["app", "app-back", "firmware-forward", "firmware"] {
        for restarts in 1..=2 {
            let mut bench = Bench::accepted(Mode::Oss);
            let deployment = bench.deploy(artifact(payload_type));
            let reported = |status| {
                let deployment = deployment.clone();
                move |site: &Site| site.statuses(&deployment).contains(&status)
            };
            bench.device.clear_events();
            assert_eq!(bench.run(HOUR, reported(Status::Installing)), Ended::Reached);
            assert_eq!(bench.calls(), ["download"], "{payload_type}");
            if restarts == 2 {
                assert_eq!(bench.run(HOUR, reported(Status::Failure)), Ended::Reached);
            }
            assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
            assert_eq!(bench.status(&deployment), Some(Status::Failure), "{payload_type}");
            bench.settle();
            assert_eq!(
                bench.inventory("artifact_name").as_deref(),
                Some("release-1"),
                "{payload_type}"
            );
            assert!(!bench.script().runs_new);
        }
    }
}

#[test]
fn power_lost_while_a_deployment_fails() {
    for (payload_type, failing, states) in [
        ("app", "commit", &["failure", "cleanup"][..]),
        ("app-back", "commit", &["rollback", "failure", "cleanup"]),
        ("firmware-forward", "commit", &["failure", "cleanup"]),
        ("firmware", "commit", &ROLLED_BACK),
        ("firmware", "verify_reboot", &ROLLED_BACK),
        ("firmware", "install", &["failure", "cleanup"]),
    ] {
        for &state in states {
            for at in [Crash::Before, Crash::After] {
                let what = format!("{payload_type}, failing {failing}: {at:?} {state}");
                let (mut bench, status) = flow(payload_type, &[failing], Some((state, at)));
                assert_eq!(status, Status::Failure, "{what}");
                bench.script().failing.clear();
                assert_true(&mut bench, status, &what);
            }
        }
    }
}

/// The failure was reported before, and nothing of the deployment was stored: the device has nothing left to do.
#[test]
fn power_lost_while_a_failed_download_is_cleaned_up() {
    for at in [Crash::Before, Crash::After] {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.script().failing.insert("download");
        bench.script().crash = Some(("cleanup", at));
        let deployment = bench.deploy(artifact("firmware"));
        bench.settle();
        assert_eq!(bench.script().crash, None);
        assert_true(&mut bench, Status::Failure, "cleanup");
        assert_eq!(bench.status(&deployment), Some(Status::Failure));
    }
}

/// A record that cannot be written, once or from then on: what is told stays true, and it ends.
#[test]
fn storage_that_fails() {
    let mut statuses = [0, 0];
    for payload_type in ["app", "app-back", "firmware-forward", "firmware"] {
        for number in 0..7 {
            for failing in [Failing::Only(number), Failing::From(number)] {
                let what = format!("{payload_type} {failing:?}");
                let mut bench = Bench::accepted(Mode::Oss);
                bench.failing = failing;
                let deployment = bench.deploy(artifact(payload_type));
                bench.device.clear_events();
                assert_eq!(bench.run(DAY, Site::over), Ended::Reached, "{what}");
                let status = bench.status(&deployment).unwrap();
                statuses[usize::from(status == Status::Success)] += 1;
                if let Failing::Only(_) = failing {
                    bench.failing = Failing::None;
                    assert_true(&mut bench, status, &what);
                } else {
                    // What storage has kept of it is not what was told; the software is.
                    let runs_new = bench.script().runs_new;
                    let no_way_back = payload_type == "app" || payload_type == "firmware-forward";
                    assert!(runs_new == (status == Status::Success) || no_way_back, "{what}");
                }
                bench.assert_clean();
            }
        }
    }
    println!("{} updates failed, {} succeeded", statuses[0], statuses[1]);
}
