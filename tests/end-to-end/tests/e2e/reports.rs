//! Status reports, the commit gate, aborts and the deployment log (device API, sections 5, 6 and 10; behaviour of
//! clients, sections 5 to 8).

use std::time::Duration;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::network::lock;
use mender_testkit::server::{DeploymentId, Effect, Fault, Mode, Status};

use crate::support::{
    AUTH, Bench, DAY, DEVICE_TYPE, Ended, HOUR, MINUTE, NEXT_V1, Site, app, firmware, log_path, once, small_file,
    status_path,
};

/// Success was reported and the new software runs, or failure and the old one does.
fn assert_true_verdict(bench: &Bench, deployment: &DeploymentId, what: &str) {
    let runs_new = bench.script().runs_new;
    match bench.status(deployment) {
        Some(Status::Success) => assert!(runs_new, "{what}: success, but the old software runs"),
        Some(Status::Failure) => assert!(!runs_new, "{what}: failure, but the new software runs"),
        other => panic!("{what}: {other:?}"),
    }
}

fn deployed(artifact: Vec<u8>) -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(artifact);
    (bench, deployment)
}

/// `firmware()`, or `app()`.
fn artifact(reboots: bool) -> Vec<u8> {
    if reboots { firmware() } else { app() }
}

/// Progress reports before the verdict.
fn progress(reboots: bool) -> u32 {
    if reboots { 4 } else { 3 }
}

#[test]
fn each_status_is_reported_once_and_in_order() {
    use Status::{Downloading, Installing, Rebooting, Success};
    for (reboots, expected) in [
        (true, &[Downloading, Installing, Rebooting, Installing, Success][..]),
        (false, &[Downloading, Installing, Installing, Success]),
    ] {
        let (mut bench, deployment) = deployed(artifact(reboots));
        bench.run_to_end();
        let id = bench.id();
        let server = lock(&bench.server);
        let reports = &server.device_deployment(&deployment, &id).unwrap().reports;
        assert_eq!(reports.iter().map(|report| report.status).collect::<Vec<_>>(), expected);
        drop(server);
        assert_eq!(bench.log_messages(&deployment), None);
        bench.assert_clean();
    }
}

#[test]
fn a_report_that_goes_wrong_once_does_no_harm() {
    for reboots in [false, true] {
        for report in 0..=progress(reboots) {
            for effect in [
                Effect::LoseRequest,
                Effect::LoseAnswer,
                Effect::Status(500),
                Effect::BareStatus(503),
                Effect::TooManyRequests { retry_after_secs: 45 },
                Effect::BareStatus(401),
                Effect::Status(400),
            ] {
                let what = format!("report {report} of {}: {effect:?}", progress(reboots));
                let (mut bench, deployment) = deployed(artifact(reboots));
                let fault = Fault::new(effect.clone()).on_path(&status_path(&deployment));
                bench.inject(fault.after(report));
                assert_eq!(bench.run(HOUR, Site::over), Ended::Reached, "{what}");
                // A gateway's 400 at the gate means that the new software cannot report.
                let gate = report + 1 == progress(reboots) && effect == Effect::Status(400);
                let expected = if gate { Status::Failure } else { Status::Success };
                assert_eq!(bench.status(&deployment), Some(expected), "{what}");
                if reboots {
                    assert_true_verdict(&bench, &deployment, &what);
                }
                bench.assert_clean();
            }
        }
    }
}

#[test]
fn reports_that_go_wrong_for_hours_do_no_harm() {
    for reboots in [false, true] {
        for report in 0..=progress(reboots) {
            for effect in [
                Effect::LoseRequest,
                Effect::LoseAnswer,
                Effect::Status(500),
                Effect::TooManyRequests { retry_after_secs: 45 },
            ] {
                let what = format!("from report {report} of {} on: {effect:?}", progress(reboots));
                let (mut bench, deployment) = deployed(artifact(reboots));
                let fault = Fault::new(effect.clone()).on_path(&status_path(&deployment));
                bench.inject(fault.after(report).always());
                assert_eq!(bench.run(3 * HOUR, Site::over), Ended::TimeUp, "{what}");
                bench.clear_faults();
                assert_eq!(bench.run(HOUR, Site::over), Ended::Reached, "{what}");
                if reboots || report == progress(reboots) {
                    assert_true_verdict(&bench, &deployment, &what);
                }
                // What lost answers brought before the faults ended is not the order that the server watches.
                if effect != Effect::LoseAnswer {
                    bench.assert_clean();
                }
            }
        }
    }
}

#[test]
fn a_server_that_refuses_every_report_does_not_keep_a_device_from_other_updates() {
    for status in [400, 404, 409, 413] {
        let (mut bench, deployment) = deployed(app());
        bench.inject(
            Fault::new(Effect::Status(status))
                .on_path(&status_path(&deployment))
                .always(),
        );
        bench.run(DAY, |site| site.requests(NEXT_V1).len() >= 2);
        assert!(bench.requests(NEXT_V1).len() >= 2, "{status}");
    }
}

/// Aborts when the server has taken so many reports.
fn abort_after(reports: usize, deployment: &DeploymentId) -> impl Fn(&Site) -> bool + use<> {
    let (deployment, id) = (deployment.clone(), deployment.clone());
    once(
        move |site| {
            let device = site.id();
            let server = lock(&site.server);
            server
                .device_deployment(&deployment, &device)
                .is_some_and(|on_device| on_device.reports.len() == reports)
        },
        move |site| site.abort(&id),
        Site::over,
    )
}

#[test]
fn an_abort_is_heard_at_every_report() {
    let rolled_back = [
        "rollback",
        "rollback_reboot",
        "rollback_verify_reboot",
        "failure",
        "cleanup",
    ];
    let cases: [(bool, usize, Vec<&str>); 8] = [
        (false, 0, vec![]),
        (true, 0, vec![]),
        (false, 1, vec!["download", "failure", "cleanup"]),
        (true, 1, vec!["download", "failure", "cleanup"]),
        // Installed, and no way back: `failure` is the module's last word.
        (false, 2, vec!["download", "install", "failure", "cleanup"]),
        (true, 2, [&["download", "install"][..], &rolled_back].concat()),
        (
            true,
            3,
            [&["download", "install", "reboot", "verify_reboot"][..], &rolled_back].concat(),
        ),
        // Too late.
        (
            true,
            4,
            vec!["download", "install", "reboot", "verify_reboot", "commit", "cleanup"],
        ),
    ];
    for (reboots, reports, calls) in cases {
        let (mut bench, deployment) = deployed(artifact(reboots));
        let ended = bench.run(HOUR, abort_after(reports, &deployment));
        assert_eq!(ended, Ended::Reached, "{reboots} {reports}");
        assert_eq!(bench.calls(), calls, "{reboots} {reports}");
        assert_eq!(bench.status(&deployment), Some(Status::Aborted));
        assert_eq!(bench.log_messages(&deployment), None, "no log after an abort");
        if reboots {
            assert_eq!(bench.script().runs_new, reports == 4);
        }
        // The device is ready for the next one.
        bench.device.clear_events();
        assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    }
}

#[test]
fn an_aborted_install_without_a_way_back_marks_the_name() {
    let (mut bench, deployment) = deployed(app());
    assert_eq!(bench.run(HOUR, abort_after(2, &deployment)), Ended::Reached);
    bench.settle();
    assert_eq!(
        bench.inventory("artifact_name").as_deref(),
        Some("release-2_INCONSISTENT")
    );
    // The provides are those of the artifact too.
    let version = |bench: &Bench| bench.inventory("rootfs-image.app.version");
    assert_eq!(version(&bench).as_deref(), Some("release-2"));
    let release = |name: &str| {
        ArtifactWriter::new(name, DEVICE_TYPE)
            .payload_type("app")
            .file("app.bin", &small_file(100))
            .write()
    };
    bench.device.clear_events();
    let third = bench.deploy(release("release-3"));
    assert_eq!(bench.run(HOUR, abort_after(2, &third)), Ended::Reached);
    bench.settle();
    assert_eq!(
        bench.inventory("artifact_name").as_deref(),
        Some("release-3_INCONSISTENT")
    );
    assert_eq!(version(&bench).as_deref(), Some("release-3"));
    // The next success is the end of it.
    bench.device.clear_events();
    let fourth = bench.deploy(release("release-4"));
    bench.run_to_end();
    assert_eq!(bench.status(&fourth), Some(Status::Success));
    bench.settle();
    assert_eq!(bench.inventory("artifact_name").as_deref(), Some("release-4"));
    assert_eq!(version(&bench).as_deref(), Some("release-4"));
}

#[test]
fn a_deployment_that_the_server_does_not_know_is_not_reported_further() {
    for report in 0..4 {
        let (mut bench, deployment) = deployed(firmware());
        let path = status_path(&deployment);
        bench.inject(Fault::new(Effect::Status(404)).on_path(&path).after(report).always());
        assert_eq!(bench.run(HOUR, Site::over), Ended::Reached, "{report}");
        assert!(!bench.script().runs_new, "{report}");
        // The progress report, and the failure, answered 404 too.
        assert_eq!(bench.requests(&path).len(), report as usize + 2, "{report}");
        assert_eq!(bench.requests(&log_path(&deployment)).len(), 0);
    }
}

#[test]
fn success_is_delivered_after_ten_hours_and_a_restart() {
    let (mut bench, deployment) = deployed(firmware());
    let path = status_path(&deployment);
    bench.inject(Fault::new(Effect::LoseRequest).on_path(&path).after(4).always());
    for _ in 0..2 {
        assert_eq!(bench.run(5 * HOUR, |_| false), Ended::TimeUp);
    }
    assert_eq!(bench.status(&deployment), Some(Status::Installing));
    assert_eq!(bench.requests(NEXT_V1).len(), 1);
    assert!(bench.script().runs_new);
    bench.clear_faults();
    assert_eq!(bench.run(10 * MINUTE, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    bench.assert_clean();
}

/// Takes the network away for so long, from the first callback of the new software on.
fn outage(length: Duration) -> impl Fn(&Site) -> bool {
    let began = std::cell::Cell::new(None);
    move |site| {
        if began.get().is_none() && site.has_event("Entered(VerifyReboot)") {
            began.set(Some(site.clock.elapsed()));
        }
        let down = began.get().is_some_and(|began| site.clock.elapsed() < began + length);
        site.network.set_up(!down);
        Site::over(site)
    }
}

#[test]
fn the_commit_gate_outlasts_an_outage() {
    for minutes in [1, 10, 20] {
        let (mut bench, deployment) = deployed(firmware());
        assert_eq!(bench.run(HOUR, outage(minutes * MINUTE)), Ended::Reached);
        assert_eq!(bench.status(&deployment), Some(Status::Success), "{minutes}");
        // A fresh login after the restart, before the report.
        assert_eq!(bench.requests(AUTH).len(), 2);
    }
}

#[test]
fn software_that_never_reaches_the_server_is_rolled_back() {
    let (mut bench, deployment) = deployed(firmware());
    assert_eq!(bench.run(DAY, outage(5 * HOUR)), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
    assert!(!bench.script().runs_new);
    assert!(
        bench
            .log(&deployment)
            .contains(&"error the new software could not report to the server in time".to_owned())
    );
}

#[test]
fn the_gate_waits_only_seconds_for_a_network_that_comes_up() {
    let (mut bench, deployment) = deployed(firmware());
    let slow = once(
        |site| site.has_event("Entered(VerifyReboot)"),
        |site| site.device.fail_network(2),
        Site::over,
    );
    let began = bench.clock.elapsed();
    assert_eq!(bench.run(HOUR, slow), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    assert!(bench.clock.elapsed() - began < Duration::from_secs(30));
}

#[test]
fn a_device_that_is_rejected_at_the_gate_is_rolled_back_and_says_so_later() {
    let (mut bench, deployment) = deployed(firmware());
    let reject = once(|site| site.has_event("Entered(VerifyReboot)"), Site::reject, |_| false);
    assert_eq!(bench.run(3 * HOUR, reject), Ended::TimeUp);
    assert!(!bench.script().runs_new);
    assert_eq!(bench.status(&deployment), Some(Status::Rebooting));
    bench.accept();
    assert_eq!(bench.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
}

#[test]
fn the_log_of_a_failure_is_sent_with_levels_and_times() {
    let (mut bench, deployment) = deployed(firmware());
    // A warning: a report that was lost. An error: the module's.
    bench.inject(Fault::new(Effect::Status(500)).on_path(&status_path(&deployment)));
    bench.script().failing.insert("commit");
    let began = bench.clock.date().unix_secs();
    bench.run_to_end();
    let log = bench.log_messages(&deployment).expect("a log");
    let lines: Vec<_> = log
        .iter()
        .map(|line| (line.level.as_str(), line.message.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("warning", "downloading could not be reported"),
            ("error", "commit: scripted to fail in commit")
        ]
    );
    let now = bench.clock.date().unix_secs();
    for line in &log {
        let time = u64::try_from(line.timestamp.unix_secs).unwrap();
        assert!((began..=now).contains(&time), "{line:?}");
    }
    assert_eq!(bench.requests(&log_path(&deployment)).len(), 1);
}

#[test]
fn a_log_upload_is_repeated_a_few_times() {
    for (effect, failures, tries) in [
        (Effect::Status(503), 2, 3),
        (Effect::LoseAnswer, 1, 2),
        (Effect::Status(500), 1000, 3),
        (Effect::Status(413), 1000, 1),
    ] {
        let (mut bench, deployment) = deployed(firmware());
        bench.script().failing.insert("install");
        let path = log_path(&deployment);
        bench.inject(Fault::new(effect.clone()).on_path(&path).times(failures));
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Failure));
        assert_eq!(bench.requests(&path).len(), tries, "{effect:?}");
        assert_eq!(bench.log_messages(&deployment).is_some(), failures < 10, "{effect:?}");
    }
}

#[test]
fn a_log_holds_nothing_of_earlier_deployments() {
    let (mut bench, first) = deployed(firmware());
    bench.script().failing.insert("download");
    bench.run_to_end();
    assert_eq!(bench.log(&first), ["error download: scripted to fail in download"]);
    // The device restarts, and the next deployment does before it has anything to say.
    bench.script().failing = ["verify_reboot"].into();
    let second = bench.deploy(
        ArtifactWriter::new("release-3", DEVICE_TYPE)
            .payload_type("firmware")
            .file("f", b"3")
            .write(),
    );
    bench.run_to_end();
    assert_eq!(
        bench.log(&second),
        ["error verify_reboot: scripted to fail in verify_reboot"]
    );
}

#[test]
fn a_log_that_is_too_long_keeps_its_last_entries() {
    // What the device provides takes memory that the log would have.
    let (mut bench, _) = deployed(
        ArtifactWriter::new("release-0", DEVICE_TYPE)
            .payload_type("app")
            .provides("notes", &"x".repeat(300))
            .file("f", b"0")
            .write(),
    );
    bench.run_to_end();
    let deployment = bench.deploy(firmware());
    bench.script().failing = ["commit", "rollback_verify_reboot"].into();
    bench.run_to_end();
    let log = bench.log_messages(&deployment).expect("a log");
    let lines: Vec<_> = log.iter().map(|line| line.message.as_str()).collect();
    let (first, kept) = lines.split_first().unwrap();
    let missing = first
        .strip_suffix(" earlier entries left out: the log is full")
        .unwrap();
    assert!(missing.parse::<usize>().unwrap() > 0 && kept.len() > 5);
    let last = "rollback_verify_reboot: scripted to fail in rollback_verify_reboot";
    assert!(
        kept.iter().all(|line| *line == last),
        "the commit's failure was long before"
    );
}

#[test]
fn a_module_whose_restart_does_not_happen_is_helped() {
    let (mut bench, deployment) = deployed(firmware());
    bench.script().broken_restart = true;
    bench.run_to_end();
    assert_eq!(bench.device.restarts(), 1);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
}
