//! What never comes, comes late, or is somebody else's answer: how long that may hold the client, and what must not come of it.

use std::cell::Cell;
use std::time::Duration;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::network::lock;
use mender_testkit::server::{DeploymentId, Effect, Ending, Fault, Mode, Status};

use crate::support::{
    AUTH, Bench, DAY, DEVICE_TYPE, Ended, HOUR, INVENTORY, MINUTE, NEXT_V1, NEXT_V2, Site, app, firmware, log_path,
    once, small_file, status_path,
};

const SECOND: Duration = Duration::from_secs(1);

fn deployed(artifact: Vec<u8>) -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(artifact);
    (bench, deployment)
}

fn release(name: &str) -> Vec<u8> {
    ArtifactWriter::new(name, DEVICE_TYPE)
        .payload_type("app")
        .file("app.bin", &small_file(100))
        .write()
}

/// The whole network of a device hangs from `when` on: neither up nor down.
fn hangs_from(when: impl Fn(&Site) -> bool, then: impl Fn(&Site) -> bool) -> impl Fn(&Site) -> bool {
    once(when, |site| site.device.hang_network(true), then)
}

#[test]
fn new_software_whose_network_never_comes_up_is_rolled_back() {
    let (mut bench, deployment) = deployed(firmware());
    let hangs = hangs_from(
        |site| site.has_event("Entered(Reboot)"),
        |site| site.has_event("Entered(Rollback)"),
    );
    assert_eq!(bench.run(DAY, hangs), Ended::Reached);
    // The commit timeout, and one network timeout for each report on the way.
    let took = bench.clock.elapsed();
    assert!(took < 40 * MINUTE, "{took:?}");
    bench.run(HOUR, |_| false);
    assert!(!bench.script().runs_new);
    bench.device.hang_network(false);
    assert_eq!(bench.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
}

/// Each read gets a byte in time, and no answer would ever come to its end before the gate's.
#[test]
fn new_software_is_rolled_back_by_a_server_that_trickles() {
    let (mut bench, deployment) = deployed(firmware());
    let began = Cell::new(Duration::ZERO);
    let trickle = once(
        |site| site.has_event("Entered(Reboot)"),
        |site| {
            began.set(site.clock.elapsed());
            site.network.set_packet_len(1);
            site.network.set_pace(50 * SECOND);
        },
        |site| site.has_event("Entered(Rollback)"),
    );
    assert_eq!(bench.run(2 * DAY, trickle), Ended::Reached);
    let took = bench.clock.elapsed() - began.get();
    assert!(took < HOUR, "{took:?}");
    bench.network.set_pace(Duration::ZERO);
    assert_eq!(bench.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
}

#[test]
fn a_restart_that_never_comes_is_a_failure() {
    let (mut bench, deployment) = deployed(firmware());
    bench.script().broken_restart = true;
    bench.device.hang_restart();
    bench.run_to_end();
    // Forth and back.
    assert_eq!(bench.device.restarts(), 2);
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
    assert!(!bench.script().runs_new);
    // The module's, and the client's own.
    assert_eq!(bench.log(&deployment).len(), 4, "{:?}", bench.log(&deployment));
}

#[test]
fn a_stop_works_while_the_network_hangs() {
    // Before the first poll, and at the next; asked before, and while it hangs.
    for asked_before in [true, false] {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.device.hang_network(true);
        let start = bench.clock.elapsed();
        if asked_before {
            bench.handle.stop();
        }
        let tries = bench.device.network_tries();
        let asked = Cell::new(start);
        let stop = once(
            move |site| site.device.network_tries() > tries && site.clock.elapsed() > start + 10 * SECOND,
            |site| {
                asked.set(site.clock.elapsed());
                site.handle.stop();
            },
            |_| false,
        );
        assert_eq!(bench.run(HOUR, stop), Ended::Stopped, "{asked_before}");
        let took = bench.clock.elapsed() - asked.get();
        assert!(took < 2 * SECOND, "{asked_before}: {took:?}");
    }
    // A network that does not go down is no reason to stay either.
    let mut bench = Bench::accepted(Mode::Oss);
    let stop = once(
        |site| site.requests(NEXT_V1).len() == 1,
        |site| {
            site.device.hang_network(true);
            site.handle.stop();
        },
        |_| false,
    );
    let start = bench.clock.elapsed();
    assert_eq!(bench.run(HOUR, stop), Ended::Stopped);
    assert!(bench.clock.elapsed() - start < 2 * MINUTE);
}

#[test]
fn a_stop_ends_the_tries_in_place() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    bench.inject(Fault::new(Effect::Delay(HOUR)).on_path(NEXT_V2).always());
    let stop = once(
        |site| site.requests(NEXT_V2).len() == 1,
        |site| site.handle.stop(),
        |_| false,
    );
    assert_eq!(bench.run(HOUR, stop), Ended::Stopped);
    assert_eq!(bench.requests(NEXT_V2).len(), 1);
}

#[test]
fn a_network_that_hangs_for_the_inventory_holds_a_download_for_a_minute() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.inventory_interval = Some(MINUTE);
    bench.device.set_inventory("uptime", "1");
    let artifact = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("app")
        .file("app.bin", &small_file(20_000))
        .write();
    bench.deploy(artifact);
    bench.network.set_packet_len(50);
    // The API does not answer any more, then nothing can be reached for the time of one call.
    bench.inject(Fault::new(Effect::LoseRequest).on_path(INVENTORY).always());
    let slow = once(
        |site| !site.downloads().is_empty(),
        |site| {
            site.network.set_pace(SECOND);
            site.device.hang_network(true);
        },
        |site| site.has_event("Entered(Install)"),
    );
    let start = bench.clock.elapsed();
    assert_eq!(bench.run(DAY, slow), Ended::Reached);
    // 400 seconds of data; the inventory takes a timeout now and then, with growing pauses between.
    let took = bench.clock.elapsed() - start;
    assert!(took < 15 * MINUTE, "{took:?}");
    assert_eq!(bench.downloads().len(), 1);
}

#[test]
fn one_busy_answer_at_the_gate_does_not_roll_back() {
    for retry_after_secs in [1700, 1900, 3600, 24 * 3600] {
        let (mut bench, deployment) = deployed(firmware());
        let busy = Effect::TooManyRequests { retry_after_secs };
        bench.inject(Fault::new(busy).on_path(&status_path(&deployment)).after(3));
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Success), "{retry_after_secs}");
    }
}

#[test]
fn the_gate_tries_once_more_at_its_end() {
    for half_minutes in 40..=59 {
        let (mut bench, deployment) = deployed(firmware());
        let began = Cell::new(None);
        let outage = |site: &Site| {
            if began.get().is_none() && site.has_event("Entered(VerifyReboot)") {
                began.set(Some(site.clock.elapsed()));
            }
            let down = began
                .get()
                .is_some_and(|began| site.clock.elapsed() < began + half_minutes * MINUTE / 2);
            site.network.set_up(!down);
            Site::over(site)
        };
        assert_eq!(bench.run(2 * HOUR, outage), Ended::Reached);
        assert_eq!(bench.status(&deployment), Some(Status::Success), "{half_minutes}");
    }
}

fn assert_as_asked(gaps: &[u64], count: usize, asked: u64) {
    let all = gaps.iter().all(|gap| Site::is_as_asked(asked, *gap));
    assert!(all && gaps.len() == count, "{asked}: {gaps:?}");
}

/// A deployment keeps the device from all others: nobody can hold one for days.
#[test]
fn a_host_or_a_log_that_asks_for_a_day_gets_hours() {
    let busy = || {
        Fault::new(Effect::TooManyRequests {
            retry_after_secs: 86_400,
        })
    };
    let (mut bench, deployment) = deployed(app());
    bench.inject(busy().on_downloads().times(3));
    assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    assert_as_asked(&Site::gaps(&bench.downloads()), 3, 7200);

    let (mut bench, deployment) = deployed(firmware());
    bench.script().failing.insert("install");
    let path = log_path(&deployment);
    bench.inject(busy().on_path(&path).always());
    assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
    assert_as_asked(&Site::gaps(&bench.requests(&path)), 2, 7200);

    let (mut bench, deployment) = deployed(app());
    let path = status_path(&deployment);
    bench.inject(busy().on_path(&path).after(3).times(2));
    assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    let gaps = Site::gaps(&bench.requests(&path));
    assert_as_asked(&gaps[gaps.len() - 2..], 2, 7200);

    // Nothing else waits for a poll.
    let mut bench = Bench::accepted(Mode::Enterprise);
    bench.inject(busy().on_path(NEXT_V2));
    assert_eq!(
        bench.run(2 * DAY, |site| site.requests(NEXT_V2).len() == 2),
        Ended::Reached
    );
    assert_as_asked(&Site::gaps(&bench.requests(NEXT_V2)), 1, 86_400);
}

#[test]
fn a_link_that_is_lost_in_a_download_is_brought_up_again() {
    let (mut bench, deployment) = deployed(app());
    bench.network.set_packet_len(50);
    bench.network.set_pace(SECOND);
    let tries = Cell::new(0);
    let lost = once(
        |site| site.network.traffic().artifact_connections > 0,
        |site| {
            tries.set(site.device.network_tries());
            site.network.set_radio(false);
        },
        Site::over,
    );
    assert_eq!(bench.run(DAY, lost), Ended::Reached);
    assert_eq!(
        bench.status(&deployment),
        Some(Status::Success),
        "{:?}",
        bench.log(&deployment)
    );
    // At the first try: no connect had to fail before.
    assert_eq!(bench.network.traffic().failed_connections, 0);
    assert!(bench.device.network_tries() > tries.get());
}

/// All that were turned away at the same second do not come back as one.
#[test]
fn a_fleet_that_is_asked_to_wait_is_spread() {
    let back = |seed: u32| {
        let mut bench = Bench::accepted(Mode::Enterprise);
        // Seeds the client's random numbers.
        bench.boots = seed;
        let busy = Effect::TooManyRequests { retry_after_secs: 600 };
        bench.inject(Fault::new(busy).on_path(NEXT_V2));
        let start = bench.clock.elapsed();
        assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
        (bench.clock.elapsed() - start).as_secs()
    };
    let mut seconds: Vec<_> = (0..20).map(|device| back(device * 5)).collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert!(seconds.len() > 14 && seconds[0] >= 600, "{seconds:?}");
}

/// The link of a configuration deployment leads to the API's own host (device API, section 4.5).
#[test]
fn an_artifact_of_the_servers_own_is_got_from_the_server() {
    let mut bench = Bench::accepted(Mode::Oss);
    let (id, now) = (bench.id(), bench.clock.date());
    let deployment = lock(&bench.server).deploy_configuration(&id, now);
    let own = bench.network.traffic().server_connections;
    bench.device.clear_events();
    assert_eq!(bench.run(HOUR, Site::over), Ended::Reached);
    // There is no module for it.
    assert_eq!(
        bench.log(&deployment),
        ["error no update module for the payload type \"mender-configure\""]
    );
    let traffic = bench.network.traffic();
    assert_eq!((traffic.artifact_connections, traffic.failed_connections), (0, 0));
    assert_eq!(traffic.server_connections - own, 2);
}

#[test]
fn a_deployment_that_nobody_wants_to_hear_of_is_not_begun_every_minute() {
    for status in [404, 409] {
        let (mut bench, deployment) = deployed(app());
        let path = status_path(&deployment);
        bench.inject(Fault::new(Effect::Status(status)).on_path(&path).always());
        bench.written().clear();
        bench.run(2 * DAY, |_| false);
        let polls = Site::gaps(&bench.requests(NEXT_V1));
        for (gap, most) in polls.iter().zip([60, 120, 240, 480, 960]) {
            assert!((most * 3 / 4..=most + 2).contains(gap), "{status}: {polls:?}");
        }
        // Down to the interval of half an hour, less up to a quarter.
        assert!(
            polls[5..].iter().all(|gap| (1350..=1802).contains(gap)),
            "{status}: {polls:?}"
        );
        let written = bench.written().len();
        assert!(written <= 2 * polls.len() + 2, "{status}: {written} records");
    }
}

#[test]
fn a_network_that_fails_is_asked_more_and_more_seldom() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.device.fail_network(u32::MAX);
    let before = bench.device.network_tries();
    bench.run(DAY, |_| false);
    let tries = bench.device.network_tries() - before;
    // Once in nine minutes, less up to a quarter.
    assert!((160..=225).contains(&tries), "{tries}");
    // And within nine minutes when it is back.
    bench.device.fail_network(0);
    assert_eq!(bench.run(9 * MINUTE, Site::idle), Ended::Reached);
}

#[test]
fn one_missing_right_does_not_cost_an_interval() {
    for status in [403, 400] {
        let mut bench = Bench::accepted(Mode::Enterprise);
        bench.config.update_poll_interval = 7 * DAY;
        let deployment = bench.deploy(app());
        bench.inject(Fault::new(Effect::Status(status)).on_path(NEXT_V2));
        assert_eq!(bench.run(5 * MINUTE, Site::over), Ended::Reached);
        assert_eq!(bench.status(&deployment), Some(Status::Success), "{status}");
        // For ever: down to the interval.
        bench.inject(Fault::new(Effect::Status(status)).on_path(NEXT_V2).always());
        bench.clear_records();
        bench.run(60 * DAY, |_| false);
        let polls = bench.requests(NEXT_V2).len();
        assert!((15..=25).contains(&polls), "{status}: {polls}");
    }
}

#[test]
fn a_gateways_404_is_not_the_servers() {
    for code in [404, 409] {
        for reboots in [false, true] {
            for report in 0..=4 {
                let (mut bench, deployment) = deployed(if reboots { firmware() } else { app() });
                for effect in [
                    Effect::BareStatus(code),
                    Effect::Answer(html(code)),
                    Effect::Answer(json(code, br#"{"message":"no Route matched"}"#)),
                    Effect::Answer(json(code, br#"["error"]"#)),
                    Effect::Answer(json(code, br#"{"error":"cut of"#)),
                ] {
                    bench.inject(Fault::new(effect).on_path(&status_path(&deployment)).after(report));
                }
                let what = format!("{code}, report {report}, reboots: {reboots}");
                assert_eq!(bench.run(3 * HOUR, Site::over), Ended::Reached, "{what}");
                assert_eq!(bench.status(&deployment), Some(Status::Success), "{what}");
                bench.assert_clean();
            }
        }
    }
}

fn json(status: u16, body: &[u8]) -> mender_testkit::server::Response {
    let mut response = mender_testkit::server::Response::empty(status).header("Content-Type", "application/json");
    response.body = body.to_vec();
    response
}

fn html(status: u16) -> mender_testkit::server::Response {
    let mut response = mender_testkit::server::Response::empty(status).header("Content-Type", "text/html");
    response.body = b"<html><head><title>404</title></head></html>".repeat(100);
    response
}

/// Polling by another way is another request, which fails a deployment that is active (device API, section 4.4).
#[test]
fn a_gateways_404_does_not_change_the_way_of_polling() {
    for code in [404, 405] {
        let mut bench = Bench::accepted(Mode::Enterprise);
        let deployment = bench.deploy(release("release-2"));
        bench.device.clear_events();
        assert_eq!(bench.run(HOUR, |site| !site.downloads().is_empty()), Ended::Reached);
        bench.inject(Fault::new(Effect::BareStatus(code)).on_path(NEXT_V2));
        bench.device.clear_events();
        assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
        assert_eq!(bench.status(&deployment), Some(Status::Success));
        assert!(bench.requests(NEXT_V1).is_empty());
    }
}

/// An error of the server that comes in pieces, or in chunks, is the server's.
#[test]
fn the_servers_404_is_understood_however_it_comes() {
    for effect in [Effect::Chunked { chunk_len: 7 }, Effect::NoContentLength] {
        for packet_len in [1, 1460] {
            let mut bench = Bench::accepted(Mode::Oss);
            bench.network.set_packet_len(packet_len);
            bench.inject(Fault::new(effect.clone()).on_path(NEXT_V2).always());
            assert_eq!(bench.run(MINUTE, Site::idle), Ended::Reached, "{effect:?} {packet_len}");
            assert_eq!(bench.requests(NEXT_V2).len(), 1);
        }
    }
    // One that breaks off is asked for again, in place.
    let mut bench = Bench::accepted(Mode::Oss);
    for (after, ending) in [(0, Ending::Close), (1, Ending::Reset)] {
        bench.inject(
            Fault::new(Effect::CutBody { len: 9, ending })
                .on_path(NEXT_V2)
                .after(after),
        );
    }
    assert_eq!(bench.run(MINUTE, Site::idle), Ended::Reached);
    assert_eq!(bench.requests(NEXT_V2).len(), 3);
}

#[test]
fn a_device_that_is_a_new_one_to_the_server_reports_everything() {
    for refused in [false, true] {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.config.inventory_interval = Some(HOUR);
        bench.device.set_inventory("uptime", "1");
        let again = Cell::new(None);
        let ended = bench.run(
            DAY,
            once(
                |site| Site::idle(site) && site.inventory("device_type").is_some(),
                |site| {
                    lock(&site.server).settings_mut().auto_accept = !refused;
                    let (id, now) = (site.id(), site.clock.date());
                    assert!(lock(&site.server).decommission(&id, now));
                    site.handle.check_for_update();
                },
                |site| {
                    if again.get().is_none() && (!refused || site.has_event("Unauthorized(NotAccepted)")) {
                        if refused {
                            site.accept();
                        }
                        again.set(Some(site.clock.elapsed()));
                    }
                    site.inventory("artifact_name").as_deref() == Some("release-1")
                },
            ),
        );
        assert_eq!(ended, Ended::Reached, "{refused}");
        let took = bench.clock.elapsed() - again.get().unwrap();
        let within = if refused { 2 * MINUTE } else { HOUR + MINUTE };
        assert!(took < within, "{refused}: {took:?}");
    }
}

/// The token that was renewed for changes alone, which is all that the new record would ever have.
#[test]
fn changes_that_found_out_about_a_new_record_are_followed_by_everything() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.update_poll_interval = 7 * DAY;
    bench.config.inventory_interval = Some(HOUR);
    bench.device.set_inventory("uptime", "1");
    let decommission = once(
        |site| Site::idle(site) && site.inventory("device_type").is_some(),
        |site| {
            let (id, now) = (site.id(), site.clock.date());
            assert!(lock(&site.server).decommission(&id, now));
        },
        |site| site.inventory("artifact_name").is_some(),
    );
    assert_eq!(bench.run(DAY, decommission), Ended::Reached);
    let methods: Vec<_> = bench
        .requests(INVENTORY)
        .into_iter()
        .map(|request| request.method)
        .collect();
    // Refused, repeated with the new token, then all.
    assert_eq!(methods, ["PUT", "PATCH", "PATCH", "PUT"]);
}

#[test]
fn any_login_suffices_for_the_inventory() {
    for effect in [
        Effect::Status(500),
        Effect::BareStatus(404),
        Effect::LoseRequest,
        Effect::Delay(HOUR),
    ] {
        let (mut bench, deployment) = deployed(firmware());
        bench.script().failing.insert("install");
        let path = status_path(&deployment);
        bench.inject(Fault::new(effect.clone()).on_path(&path).after(2).always());
        bench.run(HOUR, |_| false);
        bench.clear_records();
        let ended = bench.run(HOUR, |site| !site.requests(INVENTORY).is_empty());
        assert_eq!(ended, Ended::Reached, "{effect:?}");
        assert_eq!(bench.requests(NEXT_V1), [], "{effect:?}");
        assert_eq!(bench.requests(AUTH).len(), 1, "{effect:?}");
    }
}

#[test]
fn a_server_that_stalls_for_the_inventory_delays_a_deployment_by_one_timeout() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.config.inventory_interval = Some(MINUTE);
    bench.device.set_inventory("uptime", "1");
    bench.inject(Fault::new(Effect::Delay(HOUR)).on_path(INVENTORY).always());
    let deployment = bench.deploy(firmware());
    let start = bench.clock.elapsed();
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    let took = bench.clock.elapsed() - start;
    assert!(took < 3 * MINUTE, "{took:?}");
}

/// At whatever point of a deployment that goes on after a restart the client is asked to stop: it begins no other.
#[test]
fn a_stop_in_a_resumed_deployment_begins_no_other() {
    for at in 0.. {
        let (mut bench, first) = deployed(firmware());
        let second = bench.deploy(release("release-3"));
        // So that there are many points.
        bench.network.set_packet_len(50);
        bench.network.set_pace(SECOND / 10);
        let (asked_after, looks) = (Cell::new(None), Cell::new(0));
        let ended = bench.run(HOUR, |site| {
            let resumed = site.device.events().iter().any(|event| event.starts_with("Resumed"));
            looks.set(looks.get() + u32::from(resumed));
            if looks.get() > at && asked_after.get().is_none() && !Site::over(site) {
                asked_after.set(Some(site.requests(NEXT_V1).len()));
                site.handle.stop();
            }
            asked_after.get().is_none() && Site::over(site)
        });
        let Some(polls) = asked_after.get() else {
            println!("asked at {at} points");
            assert!(at > 20, "{at}");
            break;
        };
        assert_eq!(ended, Ended::Stopped, "{at}");
        assert_eq!(
            bench.requests(NEXT_V1).len(),
            polls,
            "{at}: {:?}",
            bench.device.events()
        );
        bench.goes_on = true;
        assert_eq!(bench.run(HOUR, Site::finished(&second)), Ended::Reached, "{at}");
        assert_eq!(bench.status(&first), Some(Status::Success), "{at}");
        assert_eq!(bench.status(&second), Some(Status::Success), "{at}");
    }
}
