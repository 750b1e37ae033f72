//! What a deployment costs: records written to flash, and connections (budgets of the design).

use std::collections::BTreeMap;

use mender::storage::RecordKey;
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Mode, Status};

use crate::support::{
    Bench, Board, DAY, DEVICE_TYPE, Ended, HOUR, Site, Written, app, artifact, firmware, once, small_file,
};

/// Bytes and number of the records.
fn sum(written: &[Written]) -> (usize, usize) {
    (written.iter().map(|record| record.len).sum(), written.len())
}

/// Only what a deployment needs: no log, no key.
fn assert_no_log(written: &[Written]) {
    for record in written {
        match record.key {
            RecordKey::Deployment | RecordKey::State | RecordKey::Installed => {}
            RecordKey::DeviceKey | RecordKey::Log(_) => panic!("{record:?}"),
        }
    }
}

#[test]
fn a_rebooting_deployment_writes_little() {
    for mode in [Mode::Oss, Mode::Enterprise] {
        let mut board = Board::accepted(mode);
        board.device.clear_events();
        let offered = once(Site::idle, |site| _ = site.deploy(artifact(2)), Site::over);
        assert_eq!(board.run(HOUR, offered), Ended::Reached);
        assert!(board.has_event("Finished(Success)"));
        let written = board.written.lock().unwrap().clone();
        assert_no_log(&written);
        let (bytes, items) = sum(&written);
        println!("rebooting deployment: {bytes} bytes in {items} items: {written:?}");
        assert!(bytes <= 450 && items <= 6, "{bytes} bytes in {items} items");
    }
}

#[test]
fn a_deployment_without_reboot_writes_less() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.flash.reset_counters();
    bench.device.clear_events();
    let offered = once(Site::idle, |site| _ = site.deploy(app()), Site::over);
    assert_eq!(bench.run(HOUR, offered), Ended::Reached);
    let (bytes, items) = sum(&bench.written());
    println!(
        "deployment without reboot: {bytes} bytes in {items} items, {} bytes of flash with the storage's own",
        bench.flash.counters().bytes_written
    );
    assert!(bytes <= 350 && items <= 5, "{bytes} bytes in {items} items");
    assert_eq!(bench.flash.counters().erases, 0);
}

/// A deployment that is the first thing to be offered after a start may be what restarted the device: a try is counted.
#[test]
fn a_deployment_that_is_offered_first_of_all_writes_one_state_more() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.deploy(app());
    bench.run_to_end();
    let (bytes, items) = sum(&bench.written());
    assert!(bytes <= 357 && items <= 6, "{bytes} bytes in {items} items");
    assert_eq!(bench.written()[0].key, RecordKey::State);
}

#[test]
fn a_rolled_back_deployment_writes_its_log_too() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.script().failing.insert("verify_reboot");
    bench.deploy(firmware());
    bench.run_to_end();
    let (bytes, items) = sum(&bench.written());
    println!("rolled back deployment: {bytes} bytes in {items} items");
    assert!(bytes <= 450 && items <= 10, "{bytes} bytes in {items} items");
}

#[test]
fn asking_and_reporting_inventory_writes_nothing() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.inventory_interval = Some(HOUR);
    bench.device.set_inventory("uptime", "1");
    bench.flash.reset_counters();
    bench.run(30 * DAY, |_| false);
    assert_eq!(sum(&bench.written()), (0, 0));
    assert_eq!(bench.flash.counters().bytes_written, 0);
}

#[test]
fn a_deployment_without_reboot_needs_two_connections() {
    for mode in [Mode::Oss, Mode::Enterprise] {
        let mut bench = Bench::accepted(mode);
        let artifact = ArtifactWriter::new("release-2", DEVICE_TYPE)
            .payload_type("app")
            .file("app.bin", &small_file(50_000))
            .write();
        let deployment = bench.deploy(artifact);
        let before = bench.network.traffic();
        // All of it: login, poll, download, reports, and the inventory with the new name.
        let ended = bench.run(HOUR, |site| {
            site.inventory("artifact_name").as_deref() == Some("release-2")
                && Site::over(site)
                && !site.device.network_is_up()
        });
        assert_eq!(ended, Ended::Reached);
        assert_eq!(bench.status(&deployment), Some(Status::Success));
        let after = bench.network.traffic();
        let (server, host) = (
            after.server_connections - before.server_connections,
            after.artifact_connections - before.artifact_connections,
        );
        let mut requests = BTreeMap::new();
        for request in mender_testkit::network::lock(&bench.server).requests() {
            *requests.entry(request.method.clone()).or_insert(0) += 1;
        }
        println!("{mode:?}: {server} connections to the server, {host} to the artifact's host, requests {requests:?}");
        assert_eq!((server, host), (1, 1), "{mode:?}");
        // Few packets: each request is written in pieces of the client's window, and sent as one.
        let requests: usize = requests.values().sum();
        let (writes, sent) = (after.writes - before.writes, after.sent_bytes - before.sent_bytes);
        println!("{requests} requests of {sent} bytes in {writes} writes");
        assert_eq!(after.flushes - before.flushes, requests, "{mode:?}");
        assert!(
            writes as u64 <= sent / 256 + requests as u64,
            "{mode:?}: {writes} writes of {sent} bytes"
        );
        assert!(requests <= 11, "{mode:?}: {requests} requests");
    }
}

#[test]
fn a_long_request_is_sent_as_one() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    let before = bench.network.traffic();
    // The login, which has the key and the signature, and a poll with a token.
    let poll = |site: &Site| !site.requests(crate::support::NEXT_V2).is_empty();
    assert_eq!(bench.run(HOUR, poll), Ended::Reached);
    let after = bench.network.traffic();
    let sent = after.sent_bytes - before.sent_bytes;
    println!(
        "login and poll: {sent} bytes in {} writes",
        after.writes - before.writes
    );
    assert!(sent > 1500);
    assert_eq!(after.flushes - before.flushes, 2);
    assert!((after.writes - before.writes) as u64 <= sent / 256 + 2);
}
