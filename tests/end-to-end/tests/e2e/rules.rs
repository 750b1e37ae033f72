//! Rules of the behaviour of clients that are no table: when the first requests come, what an artifact may depend on and change, what
//! an observer hears, the defaults. `tests/CONFORMANCE.md` says which other tests hold which rule.

use std::time::Duration;

use mender::api::auth::Tier;
use mender::client::Config;
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Effect, Fault, Mode, Status};

use crate::support::{Bench, DEVICE_TYPE, Ended, HOUR, INVENTORY, NEXT_V1, NEXT_V2, Site, app, firmware, status_path};

/// Right after the start, without a pause before it.
#[test]
fn the_first_poll_and_inventory_come_at_once() {
    let mut bench = Bench::new(Mode::Enterprise);
    bench.auto_accept();
    let began = bench.clock.elapsed();
    let done = |site: &Site| !site.requests(NEXT_V2).is_empty() && !site.requests(INVENTORY).is_empty();
    assert_eq!(bench.run(HOUR, done), Ended::Reached);
    assert!(bench.clock.elapsed() - began < Duration::from_secs(5));
}

/// A list of values is "any of", and so are names and groups; several keys are "all of". (Weakness 21 of mender-mcu.)
#[test]
fn depends_are_any_of_their_values_and_all_of_their_keys() {
    let base = |name: &str| {
        ArtifactWriter::new(name, DEVICE_TYPE)
            .payload_type("app")
            .file("file", name.as_bytes())
    };
    let next = || base("release-3");
    let cases = [
        (true, next().depends_name("release-1").depends_name("release-2")),
        (false, next().depends_name("release-1").depends_name("release-0")),
        (true, next().depends_group("alpha").depends_group("beta")),
        (false, next().depends_group("alpha").depends_group("gamma")),
        (true, next().depends_any("sensor", &["6", "7"])),
        (true, next().depends_any("sensor", &["7", "8"])),
        (false, next().depends_any("sensor", &["6", "8"])),
        (
            true,
            next()
                .depends_any("sensor", &["6", "7"])
                .depends_any("radio", &["1", "2"]),
        ),
        (
            false,
            next()
                .depends_any("sensor", &["6", "7"])
                .depends_any("radio", &["2", "3"]),
        ),
        (
            false,
            next()
                .depends_any("sensor", &["6", "7"])
                .depends_any("display", &["1", "2"]),
        ),
        (
            true,
            ArtifactWriter::new("release-3", "another-board")
                .device_type(DEVICE_TYPE)
                .device_type("a-third")
                .payload_type("app")
                .file("file", b"3"),
        ),
    ];
    for (number, (fits, artifact)) in cases.into_iter().enumerate() {
        // This server does not choose by what an artifact depends on: the device does.
        let mut bench = Bench::accepted(Mode::Oss);
        bench.deploy(
            base("release-2")
                .group("beta")
                .provides("sensor", "7")
                .provides("radio", "1")
                .write(),
        );
        bench.run_to_end();
        bench.script().calls.clear();
        let deployment = bench.deploy(artifact.write());
        bench.run_to_end();
        let (status, name, calls) = if fits {
            (Status::Success, "release-3", "download install commit cleanup")
        } else {
            (Status::Failure, "release-2", "")
        };
        assert_eq!(bench.status(&deployment), Some(status), "case {number}");
        // Of what does not fit nothing is written.
        assert_eq!(bench.calls().join(" "), calls, "case {number}");
        bench.settle();
        assert_eq!(bench.inventory("artifact_name").as_deref(), Some(name), "case {number}");
    }
}

/// Provides come and go with the commit, not before, and not at all if it fails. (Weakness 17 of mender-mcu.)
#[test]
fn what_a_failed_deployment_clears_stays() {
    for (kind, failing) in [
        ("app-back", "install"),
        ("app-back", "commit"),
        ("firmware", "verify_reboot"),
        ("firmware", "commit"),
    ] {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.deploy(
            ArtifactWriter::new("release-2", DEVICE_TYPE)
                .payload_type(kind)
                .group("beta")
                .provides("sensor.a", "1")
                .file("file", b"2")
                .write(),
        );
        bench.run_to_end();
        bench.script().failing.insert(failing);
        let deployment = bench.deploy(
            ArtifactWriter::new("release-3", DEVICE_TYPE)
                .payload_type(kind)
                .group("gamma")
                .clears("*")
                .provides("sensor.b", "2")
                .file("file", b"3")
                .write(),
        );
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Failure), "{kind} {failing}");
        bench.settle();
        assert_eq!(
            bench.inventory("artifact_name").as_deref(),
            Some("release-2"),
            "{kind} {failing}"
        );
        for (key, value) in [
            ("artifact_group", Some("beta")),
            ("sensor.a", Some("1")),
            ("sensor.b", None),
        ] {
            assert_eq!(bench.inventory(key).as_deref(), value, "{kind} {failing}: {key}");
        }
    }
}

/// mender-mcu's, as far as both have the setting.
#[test]
fn the_defaults_are_those_of_mender_mcu() {
    let config = Config::new("https://mender.test", DEVICE_TYPE);
    let seconds = |interval: Duration| interval.as_secs();
    assert_eq!(seconds(config.update_poll_interval), 604_800);
    assert_eq!(config.inventory_interval.map(seconds), Some(604_800));
    assert_eq!((seconds(config.retry_first), seconds(config.retry_cap)), (60, 540));
    assert_eq!(seconds(config.network_timeout), 60);
    assert_eq!(config.transition_limit, 28);
    assert_eq!(config.artifact_name, "unknown");
    assert_eq!(config.tier, Tier::Micro);
}

/// Only Mender's 404, or 405, says that there is no version 2; anything else is the end of this poll.
#[test]
fn no_other_answer_leads_to_the_other_version() {
    for status in [400, 401, 403, 409, 429, 500, 502, 503] {
        let mut bench = Bench::accepted(Mode::Enterprise);
        bench.inject(Fault::new(Effect::Status(status)).on_path(NEXT_V2).times(2));
        assert_eq!(bench.run(3 * HOUR, Site::idle), Ended::Reached, "{status}");
        assert_eq!(bench.requests(NEXT_V2).len(), 3, "{status}");
        assert_eq!(bench.requests(NEXT_V1).len(), 0, "{status}");
    }
}

/// The events that begin like this.
fn events(bench: &Bench, kind: &str) -> Vec<String> {
    let events = bench.device.events();
    events.into_iter().filter(|event| event.starts_with(kind)).collect()
}

/// mender-mcu's callback `deployment_status`: each report, whether the server has it or not.
#[test]
fn an_observer_hears_of_each_report() {
    let mut bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(firmware());
    let path = status_path(&deployment);
    bench.inject(Fault::new(Effect::Status(400)).on_path(&path).after(1));
    bench.run_to_end();
    let heard: Vec<_> = [
        ("Downloading", true),
        ("Installing", false),
        ("Rebooting", true),
        ("Installing", true),
        ("Success", true),
    ]
    .map(|(status, stored)| format!("Status {{ status: {status}, stored: {stored} }}"))
    .into();
    assert_eq!(events(&bench, "Status"), heard);
}

/// The states have mender-mcu's names, and are told when they begin.
#[test]
fn an_observer_hears_of_each_state() {
    let states = |words: &str| -> Vec<String> { words.split(' ').map(|state| format!("Entered({state})")).collect() };
    for (artifact, failing, expected) in [
        (app(), "", "Download Install Commit Cleanup"),
        // This one is told, though the module's `failure` is not called.
        (app(), "download", "Download Failure Cleanup"),
        (app(), "commit", "Download Install Commit Rollback Failure Cleanup"),
        (firmware(), "", "Download Install Reboot VerifyReboot Commit Cleanup"),
        (firmware(), "install", "Download Install Failure Cleanup"),
        (
            firmware(),
            "commit",
            "Download Install Reboot VerifyReboot Commit Rollback RollbackReboot RollbackVerifyReboot Failure Cleanup",
        ),
    ] {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.script().failing.insert(failing);
        bench.deploy(artifact);
        bench.run_to_end();
        assert_eq!(events(&bench, "Entered"), states(expected), "failing {failing}");
    }
}
