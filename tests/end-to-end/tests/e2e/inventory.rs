//! Inventory (device API, section 7; behaviour of clients, section 9).

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::network::lock;
use mender_testkit::server::{Effect, Fault, Mode, Status};

use crate::support::{Bench, DAY, Ended, HOUR, INVENTORY, MINUTE, NEXT_V1, Site, Sizes, app, firmware, small_file};

fn methods(bench: &Bench) -> Vec<String> {
    bench
        .requests(INVENTORY)
        .into_iter()
        .map(|request| request.method)
        .collect()
}

fn reports(count: usize) -> impl Fn(&Site) -> bool {
    move |site| site.requests(INVENTORY).len() == count
}

#[test]
fn the_first_report_replaces_and_later_ones_add() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.inventory_interval = Some(HOUR);
    bench.device.set_inventory("uptime", "1");
    assert_eq!(bench.run(5 * HOUR, reports(3)), Ended::Reached);
    assert_eq!(methods(&bench), ["PUT", "PATCH", "PATCH"]);
    assert_eq!(Site::gaps(&bench.requests(INVENTORY)), [3600, 3600]);
    assert_eq!(bench.inventory("device_type").as_deref(), Some("sim-board"));
    assert_eq!(bench.inventory("uptime").as_deref(), Some("1"));
    // Each start replaces again, so that attributes of old firmware disappear.
    bench.clear_records();
    bench.run(MINUTE, |_| false);
    assert_eq!(methods(&bench), ["PUT"]);
}

#[test]
fn a_first_report_that_failed_is_repeated_as_such() {
    for effect in [
        Effect::Status(500),
        Effect::LoseRequest,
        Effect::TooManyRequests { retry_after_secs: 200 },
    ] {
        let mut bench = Bench::new(Mode::Oss);
        bench.auto_accept();
        // Lost requests are repeated in place, five times.
        bench.inject(Fault::new(effect.clone()).on_path(INVENTORY).times(6));
        let ended = bench.run(HOUR, |site| site.inventory("device_type").is_some());
        assert_eq!(ended, Ended::Reached, "{effect:?}");
        assert!(methods(&bench).iter().all(|method| method == "PUT"), "{effect:?}");
        if let Effect::TooManyRequests { .. } = effect {
            assert!(Site::gaps(&bench.requests(INVENTORY)).iter().all(|gap| *gap >= 200));
        }
    }
}

#[test]
fn a_report_that_is_refused_for_good_waits_for_the_interval() {
    for status in [400, 403, 413] {
        let mut bench = Bench::new(Mode::Oss);
        bench.auto_accept();
        bench.config.inventory_interval = Some(6 * HOUR);
        bench.inject(Fault::new(Effect::Status(status)).on_path(INVENTORY));
        assert_eq!(bench.run(DAY, reports(2)), Ended::Reached);
        assert_eq!(methods(&bench), ["PUT", "PUT"], "{status}");
        assert_eq!(Site::gaps(&bench.requests(INVENTORY)), [6 * 3600], "{status}");
    }
}

#[test]
fn nothing_that_changes_is_nothing_to_send() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.inventory_interval = Some(HOUR);
    bench.run(DAY, |_| false);
    assert_eq!(methods(&bench), ["PUT"]);
}

#[test]
fn without_an_interval_only_the_start_is_reported() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.inventory_interval = None;
    bench.device.set_inventory("uptime", "1");
    bench.run(30 * DAY, |_| false);
    assert_eq!(methods(&bench), ["PUT"]);
}

#[test]
fn nothing_is_sent_before_the_server_knows_the_device() {
    let mut bench = Bench::new(Mode::Oss);
    bench.run(HOUR, |_| false);
    assert!(methods(&bench).is_empty());
}

/// Weakness 25 of mender-mcu.
#[test]
fn new_software_is_reported_at_once_without_a_restart() {
    for artifact in [app(), firmware()] {
        let mut bench = Bench::accepted(Mode::Oss);
        let deployment = bench.deploy(artifact);
        let ended = bench.run(5 * MINUTE, |site| {
            site.inventory("artifact_name").as_deref() == Some("release-2")
        });
        assert_eq!(ended, Ended::Reached);
        bench.run(2 * MINUTE, |_| false);
        assert_eq!(bench.status(&deployment), Some(Status::Success));
        let versions = ["rootfs-image.app.version", "rootfs-image.firmware.version"];
        assert!(
            versions
                .iter()
                .any(|name| bench.inventory(name).as_deref() == Some("release-2"))
        );
        assert!(methods(&bench).iter().all(|method| method == "PUT"));
    }
}

#[test]
fn the_old_name_is_not_reported_by_new_software() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.deploy(firmware());
    let boots = bench.boots;
    // From the second boot on, the first report is of the new software.
    let seen = std::cell::Cell::new(0);
    let ended = bench.run(HOUR, |site| {
        if site.boots > boots + 1 && site.requests(INVENTORY).len() > seen.get() {
            assert_eq!(site.inventory("artifact_name").as_deref(), Some("release-2"));
            return true;
        }
        if site.boots == boots + 1 {
            seen.set(site.requests(INVENTORY).len());
        }
        false
    });
    assert_eq!(ended, Ended::Reached);
}

#[test]
fn what_does_not_fit_is_left_out() {
    let mut bench = Bench::new(Mode::Oss);
    bench.auto_accept();
    bench.device.set_inventory("first", "1");
    let long: &'static str = Box::leak("x".repeat(1000).into_boxed_str());
    bench.device.set_inventory("too long", long);
    bench.device.set_inventory("last", "2");
    assert_eq!(
        bench.run(HOUR, |site| site.inventory("first").is_some()),
        Ended::Reached
    );
    assert_eq!(bench.inventory("last").as_deref(), Some("2"));
    assert_eq!(bench.inventory("too long"), None);
    assert_eq!(methods(&bench), ["PUT"]);
}

#[test]
fn a_report_is_not_cut_at_64_kib_whatever_memory_there_is() {
    let mut bench = Bench::new(Mode::Oss);
    bench.auto_accept();
    bench.sizes = Sizes::Large;
    bench.device.set_inventory("first", "1");
    for (name, len) in [("long", 60_000), ("too long", 70_000)] {
        bench
            .device
            .set_inventory(name, Box::leak("x".repeat(len).into_boxed_str()));
    }
    bench.device.set_inventory("last", "2");
    assert_eq!(
        bench.run(HOUR, |site| site.inventory("first").is_some()),
        Ended::Reached
    );
    assert_eq!(bench.inventory("long").map(|long| long.len()), Some(60_000));
    assert_eq!(bench.inventory("too long"), None);
    assert_eq!(bench.inventory("last").as_deref(), Some("2"));
    assert_eq!(methods(&bench), ["PUT"]);
}

#[test]
fn inventory_goes_on_while_an_artifact_trickles_in() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.inventory_interval = Some(MINUTE);
    bench.device.set_inventory("uptime", "1");
    let artifact = ArtifactWriter::new("release-2", "sim-board")
        .payload_type("app")
        .file("app.bin", &small_file(20_000))
        .write();
    let deployment = bench.deploy(artifact);
    // Slow, but an answer of the server takes less than the network timeout.
    bench.network.set_packet_len(50);
    bench.network.set_pace(std::time::Duration::from_secs(1));
    assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    let began = bench.downloads()[0].time;
    let ended = {
        let id = bench.id();
        let server = lock(&bench.server);
        server.device_deployment(&deployment, &id).unwrap().reports[1].time
    };
    let between = bench
        .requests(INVENTORY)
        .iter()
        .filter(|request| request.time > began && request.time < ended)
        .count();
    let minutes = (ended.since_epoch() - began.since_epoch()).as_secs() / 60;
    assert!(minutes > 5, "{minutes}");
    assert!(between as u64 >= minutes / 3, "{between} reports in {minutes} minutes");
    assert_eq!(bench.downloads().len(), 1);
    assert_eq!(bench.requests(NEXT_V1).len(), 1);
}

/// The memory that a report is written into is the artifact's from the moment on when that is complete: whatever of the report is
/// not sent then is not sent from there.
#[test]
fn a_report_that_an_artifacts_end_overtakes_is_made_anew() {
    let mut connections = Vec::new();
    for second in 0..40 {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.device.set_inventory("uptime", "1");
        let artifact = ArtifactWriter::new("release-2", "sim-board")
            .payload_type("app")
            .file("app.bin", &small_file(200))
            .write();
        let deployment = bench.deploy(artifact);
        let asked = core::cell::Cell::new(false);
        let ended = bench.run(DAY, |site| {
            if let Some(first) = site.downloads().first() {
                site.network.set_packet_len(500);
                site.network.set_pace(std::time::Duration::from_secs(1));
                let since = site.clock.date().since_epoch() - first.time.since_epoch();
                if since.as_secs() >= second && !asked.replace(true) {
                    site.handle.send_inventory();
                }
            }
            Site::over(site)
        });
        assert_eq!(ended, Ended::Reached);
        assert_eq!(bench.status(&deployment), Some(Status::Success));
        let statuses: Vec<_> = bench.requests(INVENTORY).iter().map(|request| request.status).collect();
        assert!(
            statuses.iter().all(|status| *status == Some(200)),
            "asked after {second} s: {statuses:?}"
        );
        connections.push(bench.network.traffic().server_connections);
        bench.assert_clean();
    }
    let fewest = connections.iter().min();
    assert!(
        connections.iter().max() > fewest,
        "no report was under way at the artifact's end"
    );
}
