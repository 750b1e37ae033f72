//! When the client wants the network: up before it talks, down when it has nothing to say. All devices of these tests have
//! a radio that is off until `network_up` and after `network_down`, so every other test checks the first half.

use std::time::Duration;

use mender_testkit::server::{Effect, Ending, Fault, Mode, Status};

use crate::support::{Bench, DAY, Ended, HOUR, INVENTORY, MINUTE, NEXT_V1, NEXT_V2, Site, app, firmware, status_path};

#[test]
fn the_network_is_down_while_there_is_nothing_to_say() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.run(10 * MINUTE, |_| false);
    assert!(!bench.device.network_is_up());
}

#[test]
fn updates_and_inventory_share_the_network() {
    let mut bench = Bench::accepted(Mode::Oss);
    // Both at the same time, again and again; the inventory takes longer than the poll.
    bench.config.inventory_interval = Some(30 * MINUTE);
    bench.device.set_inventory("uptime", "1");
    let slow = Effect::Delay(Duration::from_secs(20));
    bench.inject(Fault::new(slow).on_path(INVENTORY).always());
    let failed = bench.network.traffic().failed_connections;
    bench.run(DAY, |_| false);
    assert_eq!(bench.network.traffic().failed_connections, failed);
    assert!(bench.requests(NEXT_V1).len() >= 45);
    assert!(bench.requests(INVENTORY).len() >= 45);
    assert!(
        bench
            .requests(INVENTORY)
            .iter()
            .all(|request| request.status == Some(200))
    );
}

#[test]
fn an_inventory_of_its_own_time_brings_the_network_up() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.update_poll_interval = DAY;
    bench.config.inventory_interval = Some(HOUR);
    bench.device.set_inventory("uptime", "1");
    let failed = bench.network.traffic().failed_connections;
    bench.run(10 * HOUR, |_| false);
    assert!(bench.requests(INVENTORY).len() >= 10);
    assert_eq!(bench.network.traffic().failed_connections, failed);
    assert!(!bench.device.network_is_up());
}

#[test]
fn the_network_is_down_between_tries_to_deliver_a_verdict() {
    for artifact in [app(), firmware()] {
        let reports = if artifact == app() { 3 } else { 4 };
        let mut bench = Bench::accepted(Mode::Oss);
        let deployment = bench.deploy(artifact);
        let fault = Fault::new(Effect::Status(500)).on_path(&status_path(&deployment));
        bench.inject(fault.after(reports).times(12));
        let seen_down = std::cell::Cell::new(0);
        let ended = bench.run(DAY, |site| {
            if !site.device.network_is_up() && site.requests(&status_path(&deployment)).len() > 5 {
                seen_down.set(seen_down.get() + 1);
            }
            Site::over(site)
        });
        assert_eq!(ended, Ended::Reached);
        assert!(seen_down.get() > 0);
        assert_eq!(bench.status(&deployment), Some(Status::Success));
    }
}

#[test]
fn a_server_that_does_not_answer_is_asked_again_after_the_timeout() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    bench.inject(Fault::new(Effect::Delay(HOUR)).on_path(NEXT_V2).times(2));
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    assert_eq!(Site::gaps(&bench.requests(NEXT_V2)), [60, 60]);
}

#[test]
fn a_download_that_stalls_is_resumed_after_the_timeout() {
    for len in [0, 1000] {
        let (mut bench, stall) = (
            Bench::accepted(Mode::Oss),
            Effect::CutBody {
                len,
                ending: Ending::KeepAlive,
            },
        );
        let deployment = bench.deploy(app());
        bench.inject(Fault::new(stall).on_downloads());
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Success));
        let gaps = Site::gaps(&bench.downloads());
        // The timeout and the pause before a retry.
        assert!(gaps.len() == 1 && (60 + 45..=60 + 61).contains(&gaps[0]), "{gaps:?}");
    }
}

#[test]
fn a_server_that_stalls_within_an_answer_is_asked_again() {
    let mut bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(app());
    let stall = Effect::CutBody {
        len: 100,
        ending: Ending::KeepAlive,
    };
    bench.inject(Fault::new(stall).on_path(NEXT_V1).times(2));
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    bench.assert_clean();
}

#[test]
fn a_server_that_closes_after_each_answer_is_served() {
    let mut bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(firmware());
    bench.inject(Fault::new(Effect::NoContentLength).on_api().always());
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    bench.assert_clean();
}

#[test]
fn a_whole_update_over_a_network_of_single_bytes() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    let deployment = bench.deploy(firmware());
    bench.network.set_packet_len(1);
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
}
