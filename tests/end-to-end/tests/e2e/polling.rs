//! Asking for a deployment (device API, section 4; behaviour of clients, sections 2 and 4), and the client's handle.

use std::time::Duration;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::network::lock;
use mender_testkit::server::{Effect, Fault, Mode, Status};

use crate::support::{
    Bench, DAY, Ended, HOUR, INVENTORY, MINUTE, NEXT_V1, NEXT_V2, Site, app, firmware, once, small_file, status_path,
};

fn next(mode: Mode) -> &'static str {
    match mode {
        Mode::Oss => NEXT_V1,
        Mode::Enterprise => NEXT_V2,
    }
}

#[test]
fn the_open_source_server_is_asked_by_v1_at_once_and_v2_is_tried_once_a_day() {
    let mut bench = Bench::accepted(Mode::Oss);
    assert_eq!(bench.run(2 * DAY + HOUR, |_| false), Ended::TimeUp);
    let (v2, v1) = (bench.requests(NEXT_V2), bench.requests(NEXT_V1));
    assert!(v2.iter().all(|poll| poll.method == "POST" && poll.status == Some(404)));
    assert!(v1.iter().all(|poll| poll.method == "GET" && poll.status == Some(204)));
    let gaps = Site::gaps(&v2);
    assert_eq!(gaps.len(), 2);
    assert!(gaps.iter().all(|gap| (24 * 3600..25 * 3600).contains(gap)), "{gaps:?}");
    for poll in &v2 {
        assert!(
            v1.iter()
                .any(|v1| v1.time.since_epoch().abs_diff(poll.time.since_epoch()).as_millis() < 100)
        );
    }
    assert!(Site::gaps(&v1).iter().all(|gap| *gap == 1800));
}

#[test]
fn the_enterprise_server_gets_all_provides() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    bench.deploy(app());
    bench.run_to_end();
    let second = ArtifactWriter::new("release-3", "sim-board")
        .payload_type("app")
        .depends("rootfs-image.app.version", "release-2")
        .file("app.bin", b"3")
        .write();
    let deployment = bench.deploy(second);
    bench.run_to_end();
    let id = bench.id();
    let server = lock(&bench.server);
    let on_device = server.device_deployment(&deployment, &id).unwrap();
    let poll = on_device.poll.as_ref().unwrap();
    assert_eq!(
        (poll.artifact_name.as_str(), poll.device_type.as_str()),
        ("release-2", "sim-board")
    );
    let provides: Vec<_> = poll.provides.as_ref().unwrap().iter().collect();
    assert_eq!(
        provides
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect::<Vec<_>>(),
        [
            ("artifact_name", "release-2"),
            ("rootfs-image.app.version", "release-2")
        ]
    );
    assert_eq!(on_device.status, Status::Success);
    assert!(server.requests().iter().all(|request| request.path() != NEXT_V1));
}

#[test]
fn names_with_any_characters_arrive_unharmed() {
    for mode in [Mode::Oss, Mode::Enterprise] {
        let mut bench = Bench::new(mode);
        bench.config.artifact_name = "release 1&x=ü+%2F/?#\"";
        bench.config.device_type = "board a/b&c=d+\u{20ac}";
        bench.auto_accept();
        bench.settle();
        let artifact = ArtifactWriter::new("release & 2", bench.config.device_type)
            .payload_type("app")
            .file("a_b-1.2.bin", b"new")
            .write();
        let deployment = bench.deploy(artifact);
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Success));
        let id = bench.id();
        let server = lock(&bench.server);
        let on_device = server.device_deployment(&deployment, &id).unwrap();
        let poll = on_device.poll.as_ref().unwrap();
        assert_eq!(poll.artifact_name, "release 1&x=ü+%2F/?#\"");
        assert_eq!(poll.device_type, "board a/b&c=d+\u{20ac}");
    }
}

#[test]
fn a_network_that_is_not_up_yet_is_tried_after_seconds() {
    let mut bench = Bench::new(Mode::Oss);
    bench.auto_accept();
    bench.device.fail_network(3);
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    // 10, 20 and 40 seconds, each less up to a quarter.
    let secs = bench.clock.elapsed().as_secs();
    assert!((52..=71).contains(&secs), "{secs}");
}

#[test]
fn a_failing_server_is_asked_with_backoff_and_then_as_usual() {
    for effect in [
        Effect::Status(500),
        Effect::BareStatus(503),
        Effect::NoContentLength,
        Effect::Body(br#"{"id":"#.to_vec()),
        Effect::Body(br#"{"id":"1","artifact":{"artifact_name":"x","source":{"uri":7}}}"#.to_vec()),
        Effect::Body(vec![b' '; 5000]),
    ] {
        let mut bench = Bench::accepted(Mode::Oss);
        let deployment = bench.deploy(app());
        bench.inject(Fault::new(effect.clone()).on_path(NEXT_V1).times(3));
        assert_eq!(bench.run(HOUR, Site::over), Ended::Reached, "{effect:?}");
        assert_eq!(bench.status(&deployment), Some(Status::Success), "{effect:?}");
        if effect == Effect::NoContentLength {
            continue;
        }
        // The OSS route is kept while the server fails.
        assert_eq!(bench.requests(NEXT_V2).len(), 1, "{effect:?}");
        let gaps = Site::gaps(&bench.requests(NEXT_V1));
        assert_eq!(gaps.len(), 3, "{effect:?}");
        for (gap, most) in gaps.iter().zip([60, 120, 240]) {
            assert!((most * 3 / 4..=most + 1).contains(gap), "{effect:?}: {gaps:?}");
        }
    }
}

#[test]
fn a_success_resets_the_backoff() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    let failing = || Fault::new(Effect::Status(503)).on_path(NEXT_V2);
    bench.inject(failing().times(3));
    bench.inject(failing().after(4).times(2));
    assert_eq!(
        bench.run(2 * HOUR, |site| site.requests(NEXT_V2).len() == 8),
        Ended::Reached
    );
    let gaps = Site::gaps(&bench.requests(NEXT_V2));
    for (gap, most) in gaps.iter().zip([60, 120, 240, 1800, 60, 120, 1800]) {
        assert!((most * 3 / 4..=most + 1).contains(gap), "{gaps:?}");
    }
}

#[test]
fn retry_after_is_honoured() {
    for mode in [Mode::Oss, Mode::Enterprise] {
        let mut bench = Bench::accepted(mode);
        let busy = Effect::TooManyRequests { retry_after_secs: 2500 };
        bench.inject(Fault::new(busy).on_path(next(mode)));
        assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
        let gaps = Site::gaps(&bench.requests(next(mode)));
        assert!(matches!(gaps[..], [gap] if Site::is_as_asked(2500, gap)), "{gaps:?}");
    }
}

#[test]
fn a_server_that_is_gone_for_hours_is_found_again_within_minutes() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.network.set_up(false);
    let before = bench.network.traffic().failed_connections;
    let start = bench.clock.elapsed();
    let back = once(
        move |site: &Site| site.clock.elapsed() > start + 6 * HOUR,
        |site| site.network.set_up(true),
        Site::idle,
    );
    assert_eq!(bench.run(7 * HOUR, back), Ended::Reached);
    assert!(bench.clock.elapsed() < start + 6 * HOUR + 20 * MINUTE);
    // Five tries each time, a quarter of nine minutes taken off at most.
    let tries = bench.network.traffic().failed_connections - before;
    assert!((150..=300).contains(&tries), "{tries}");
}

#[test]
fn a_conflict_waits_for_the_next_interval() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    bench.inject(Fault::new(Effect::Status(409)).on_path(NEXT_V2));
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    assert_eq!(Site::gaps(&bench.requests(NEXT_V2)), [1800]);
}

/// Polling with the new name before the server has the `success` makes it a `failure` (device API, section 4.4).
#[test]
fn nothing_is_polled_while_a_verdict_is_owed() {
    for mode in [Mode::Oss, Mode::Enterprise] {
        for effect in [
            Effect::LoseRequest,
            Effect::Status(503),
            Effect::Status(500),
            Effect::BareStatus(502),
            Effect::TooManyRequests { retry_after_secs: 700 },
            Effect::BareStatus(401),
        ] {
            for artifact in [app(), firmware()] {
                let reboots = artifact != app();
                let mut bench = Bench::accepted(mode);
                let deployment = bench.deploy(artifact);
                // Progress reports pass: three without, four with a reboot.
                let fault = Fault::new(effect.clone()).on_path(&status_path(&deployment));
                bench.inject(fault.after(if reboots { 4 } else { 3 }).times(30));
                bench.handle.check_for_update();
                let ended = bench.run(2 * DAY, Site::finished(&deployment));
                assert_eq!(ended, Ended::Reached, "{effect:?}");
                assert_eq!(bench.status(&deployment), Some(Status::Success), "{effect:?}");
                let polls = bench.requests(next(mode));
                assert_eq!(polls.len(), 1, "{effect:?}: {polls:?}");
                // And after it the polls say the new name.
                assert_eq!(bench.run(DAY, Site::idle), Ended::Reached);
                assert_eq!(bench.status(&deployment), Some(Status::Success));
                bench.assert_clean();
            }
        }
    }
}

#[test]
fn retry_after_is_honoured_for_the_verdict() {
    let mut bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(app());
    let path = status_path(&deployment);
    let busy = Effect::TooManyRequests { retry_after_secs: 700 };
    bench.inject(Fault::new(busy).on_path(&path).after(3).times(2));
    bench.run_to_end();
    let reports = bench.requests(&path);
    let gaps = Site::gaps(&reports);
    assert!(
        gaps[gaps.len() - 2..].iter().all(|gap| Site::is_as_asked(700, *gap)),
        "{gaps:?}"
    );
}

#[test]
fn the_handle_asks_for_an_update_at_once() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    let press = once(
        Site::idle,
        |site| site.handle.check_for_update(),
        |site| site.requests(NEXT_V2).len() == 2,
    );
    assert_eq!(bench.run(MINUTE, press), Ended::Reached);
}

#[test]
fn the_handle_ends_a_pause_between_retries() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    let busy = Effect::TooManyRequests { retry_after_secs: 3000 };
    bench.inject(Fault::new(busy).on_path(NEXT_V2));
    let press = once(
        |site| site.requests(NEXT_V2).len() == 1,
        |site| site.handle.check_for_update(),
        Site::idle,
    );
    assert_eq!(bench.run(MINUTE, press), Ended::Reached);
}

#[test]
fn the_handle_sends_the_inventory() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.device.set_inventory("temperature", "21");
    let sent = |site: &Site| site.requests(INVENTORY).len();
    let press = once(
        move |site| Site::idle(site) && sent(site) == 1,
        |site| {
            site.device.set_inventory("temperature", "22");
            site.handle.send_inventory();
        },
        |site| site.inventory("temperature").as_deref() == Some("22"),
    );
    assert_eq!(bench.run(HOUR, press), Ended::Reached);
    assert_eq!(bench.requests(INVENTORY)[1].method, "PATCH");
    assert!(bench.clock.elapsed() < 5 * MINUTE);
}

#[test]
fn the_handle_stops_the_client_between_two_pieces_of_work() {
    let mut bench = Bench::accepted(Mode::Oss);
    let stop = once(Site::idle, |site| site.handle.stop(), |_| false);
    assert_eq!(bench.run(MINUTE, stop), Ended::Stopped);
    // A deployment whose artifact has come goes on to its end first.
    let deployment = bench.deploy(app());
    let stop = once(
        |site| site.has_event("Entered(Install)"),
        |site| site.handle.stop(),
        |_| false,
    );
    assert_eq!(bench.run(HOUR, stop), Ended::Stopped);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
}

#[test]
fn the_handle_works_while_a_verdict_is_owed() {
    let mut bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(app());
    let lost = Fault::new(Effect::Status(503)).on_path(&status_path(&deployment));
    bench.inject(lost.after(3).always());
    assert_eq!(bench.run(2 * HOUR, |_| false), Ended::TimeUp);
    let booted = bench.clock.elapsed();
    let pressed = std::cell::Cell::new(booted);
    let press = once(
        |site| site.clock.elapsed() > booted + 30 * MINUTE,
        |site| {
            site.clear_faults();
            pressed.set(site.clock.elapsed());
            site.handle.check_for_update();
        },
        Site::finished(&deployment),
    );
    assert_eq!(bench.run(HOUR, press), Ended::Reached);
    assert!(bench.clock.elapsed() - pressed.get() < Duration::from_secs(2));
    assert_eq!(bench.status(&deployment), Some(Status::Success));
}

#[test]
fn the_client_can_be_stopped_while_a_verdict_is_owed() {
    let mut bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(app());
    let path = status_path(&deployment);
    bench.inject(Fault::new(Effect::Status(503)).on_path(&path).after(3).always());
    let stop = once(
        move |site| site.requests(&path).len() == 8,
        |site| site.handle.stop(),
        |_| false,
    );
    assert_eq!(bench.run(DAY, stop), Ended::Stopped);
    // Nothing is lost by that.
    bench.clear_faults();
    assert_eq!(bench.run(HOUR, Site::finished(&deployment)), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
}

#[test]
fn deployments_that_wait_come_one_after_the_other() {
    let mut bench = Bench::accepted(Mode::Oss);
    let release = |name: &str| {
        ArtifactWriter::new(name, "sim-board")
            .payload_type("app")
            .file("app.bin", &small_file(100))
            .write()
    };
    let deployments: Vec<_> = ["a", "b", "c"].map(|name| bench.deploy(release(name))).into();
    let last = deployments[2].clone();
    assert_eq!(bench.run(10 * MINUTE, Site::finished(&last)), Ended::Reached);
    for deployment in &deployments {
        assert_eq!(bench.status(deployment), Some(Status::Success));
    }
}
