//! Every pause of the client: the radio is down, the inventory goes on, and what other tasks ask for is heard.

use std::cell::Cell;
use std::time::Duration;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{DeploymentId, Effect, Fault, Mode, Status};

use crate::support::{
    Bench, DAY, DEVICE_TYPE, Ended, HOUR, INVENTORY, MINUTE, NEXT_V1, Site, app, firmware, log_path, once, small_file,
    status_path,
};

/// Where the client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    PollInterval,
    PollRetry,
    NetworkDown,
    DownloadRetry,
    /// Before a commit without a restart.
    Gate,
    /// Before a commit after a restart.
    GateAfterRestart,
    Verdict,
    LogUpload,
    Restart,
}

impl Pause {
    const ALL: [Pause; 9] = [
        Pause::PollInterval,
        Pause::PollRetry,
        Pause::NetworkDown,
        Pause::DownloadRetry,
        Pause::Gate,
        Pause::GateAfterRestart,
        Pause::Verdict,
        Pause::LogUpload,
        Pause::Restart,
    ];

    /// A device that will come there, and stay for hours.
    fn bench(self) -> (Bench, Option<DeploymentId>) {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.config.update_poll_interval = 4 * HOUR;
        bench.config.network_retry = 4 * HOUR;
        bench.config.commit_timeout = 3 * DAY;
        bench.config.restart_timeout = 4 * HOUR;
        let busy = || {
            Fault::new(Effect::TooManyRequests {
                retry_after_secs: 24 * 3600,
            })
            .always()
        };
        let deployment = match self {
            Pause::PollInterval | Pause::PollRetry | Pause::NetworkDown => None,
            Pause::DownloadRetry | Pause::Gate | Pause::Verdict => Some(bench.deploy(app())),
            Pause::GateAfterRestart | Pause::LogUpload | Pause::Restart => Some(bench.deploy(firmware())),
        };
        let reports = deployment.as_ref().map(status_path).unwrap_or_default();
        match self {
            Pause::PollInterval => {}
            // The first poll passes, so that the server knows the device.
            Pause::PollRetry => bench.inject(busy().on_path(NEXT_V1).after(1)),
            Pause::NetworkDown => {}
            Pause::DownloadRetry => bench.inject(busy().on_downloads()),
            Pause::Gate => bench.inject(busy().on_path(&reports).after(2)),
            Pause::GateAfterRestart => bench.inject(busy().on_path(&reports).after(3)),
            Pause::Verdict => bench.inject(busy().on_path(&reports).after(3)),
            Pause::LogUpload => {
                bench.script().failing.insert("install");
                bench.inject(busy().on_path(&log_path(deployment.as_ref().unwrap())));
            }
            Pause::Restart => bench.script().broken_restart = true,
        }
        (bench, deployment)
    }

    /// Requests of the kind that the client waits with.
    fn tries(self, site: &Site, deployment: Option<&DeploymentId>) -> usize {
        match self {
            Pause::PollInterval | Pause::PollRetry => site.requests(NEXT_V1).len(),
            Pause::NetworkDown => site.device.network_tries() as usize,
            Pause::DownloadRetry => site.downloads().len(),
            Pause::Gate | Pause::GateAfterRestart | Pause::Verdict => {
                site.requests(&status_path(deployment.unwrap())).len()
            }
            Pause::LogUpload => site.requests(&log_path(deployment.unwrap())).len(),
            Pause::Restart => usize::from(site.has_event("AwaitingRestart")),
        }
    }

    /// So many have been made when the client waits.
    fn tries_before(self) -> usize {
        match self {
            Pause::PollInterval | Pause::DownloadRetry | Pause::LogUpload | Pause::Restart => 1,
            Pause::PollRetry => 2,
            Pause::NetworkDown => 0,
            Pause::Gate => 3,
            Pause::GateAfterRestart | Pause::Verdict => 4,
        }
    }

    /// Whether the client waits there.
    fn is_reached(self, deployment: Option<DeploymentId>) -> impl Fn(&Site) -> bool {
        let down_since = Cell::new(None);
        move |site| match self {
            Pause::NetworkDown => {
                // It goes away when all is done, and is missed at the next poll.
                if down_since.get().is_none() && Site::idle(site) && !site.device.network_is_up() {
                    site.device.fail_network(1_000_000);
                    down_since.set(Some(site.device.network_tries()));
                }
                down_since
                    .get()
                    .is_some_and(|tries| site.device.network_tries() > tries)
            }
            Pause::PollInterval
            | Pause::PollRetry
            | Pause::DownloadRetry
            | Pause::Gate
            | Pause::GateAfterRestart
            | Pause::Verdict
            | Pause::LogUpload
            | Pause::Restart => {
                self.tries(site, deployment.as_ref()) >= self.tries_before()
                    && !site.device.network_is_up()
                    && (deployment.is_some() || Site::idle(site) || self == Pause::PollRetry)
            }
        }
    }
}

/// Runs to the pause and does something there; then until `then`, for `limit` at most. Time since it was done.
fn act_in(
    pause: Pause,
    bench: &mut Bench,
    deployment: Option<&DeploymentId>,
    act: impl Fn(&Site),
    limit: Duration,
    then: impl Fn(&Site) -> bool,
) -> (Ended, Duration) {
    let acted = Cell::new(None);
    let ended = bench.run(
        2 * DAY,
        once(
            pause.is_reached(deployment.cloned()),
            |site| {
                acted.set(Some(site.clock.elapsed()));
                act(site);
            },
            |site| acted.get().is_some_and(|acted| site.clock.elapsed() > acted + limit) || then(site),
        ),
    );
    let acted = acted
        .get()
        .unwrap_or_else(|| panic!("{pause:?} was not reached: {ended:?}"));
    (ended, bench.clock.elapsed() - acted)
}

const SOON: Duration = Duration::from_secs(2);

#[test]
fn the_radio_is_down_in_every_pause() {
    for pause in Pause::ALL {
        let (mut bench, deployment) = pause.bench();
        let was_up = Cell::new(false);
        let wake = HOUR;
        act_in(
            pause,
            &mut bench,
            deployment.as_ref(),
            |_| {},
            wake,
            |site| {
                was_up.set(was_up.get() || site.device.network_is_up());
                was_up.get()
            },
        );
        assert!(!was_up.get(), "{pause:?}");
    }
}

#[test]
fn an_asked_for_update_ends_every_pause() {
    for pause in Pause::ALL {
        let (mut bench, deployment) = pause.bench();
        let deployment = deployment.as_ref();
        let before = Cell::new(0);
        let (_, took) = act_in(
            pause,
            &mut bench,
            deployment,
            |site| {
                before.set(pause.tries(site, deployment));
                site.handle.check_for_update();
            },
            HOUR,
            |site| pause.tries(site, deployment) > before.get(),
        );
        println!("{pause:?}: tried again after {took:?}");
        match pause {
            // It does not come sooner by asking.
            Pause::Restart => assert!(took >= HOUR, "{took:?}"),
            Pause::PollInterval
            | Pause::PollRetry
            | Pause::NetworkDown
            | Pause::DownloadRetry
            | Pause::Gate
            | Pause::GateAfterRestart
            | Pause::Verdict
            | Pause::LogUpload => assert!(took < SOON, "{pause:?}: {took:?}"),
        }
        // Another poll would end the deployment on the server.
        if deployment.is_some() {
            assert_eq!(bench.requests(NEXT_V1).len(), 1, "{pause:?}");
        }
    }
}

#[test]
fn an_asked_for_inventory_is_sent_in_every_pause_but_before_a_commit() {
    for pause in Pause::ALL {
        let (mut bench, deployment) = pause.bench();
        let deployment = deployment.as_ref();
        bench.device.set_inventory("uptime", "1");
        let reports = |site: &Site| match pause {
            Pause::NetworkDown => site.device.network_tries() as usize,
            Pause::PollInterval
            | Pause::PollRetry
            | Pause::DownloadRetry
            | Pause::Gate
            | Pause::GateAfterRestart
            | Pause::Verdict
            | Pause::LogUpload
            | Pause::Restart => site.requests(INVENTORY).len(),
        };
        let before = Cell::new(0);
        let (_, took) = act_in(
            pause,
            &mut bench,
            deployment,
            |site| {
                before.set(reports(site));
                site.handle.send_inventory();
            },
            HOUR,
            |site| reports(site) > before.get(),
        );
        println!("{pause:?}: sent after {took:?}");
        match pause {
            Pause::Gate | Pause::GateAfterRestart => assert!(took >= HOUR, "{took:?}"),
            Pause::PollInterval
            | Pause::PollRetry
            | Pause::NetworkDown
            | Pause::DownloadRetry
            | Pause::Verdict
            | Pause::LogUpload
            | Pause::Restart => assert!(took < SOON, "{pause:?}: {took:?}"),
        }
    }
}

#[test]
fn the_inventory_goes_on_in_every_pause_but_before_a_commit() {
    for pause in Pause::ALL {
        let (mut bench, deployment) = pause.bench();
        let deployment = deployment.as_ref();
        bench.config.inventory_interval = Some(MINUTE);
        bench.device.set_inventory("uptime", "1");
        let before = Cell::new(0);
        act_in(
            pause,
            &mut bench,
            deployment,
            |site| before.set(site.requests(INVENTORY).len()),
            30 * MINUTE,
            |_| false,
        );
        let sent = bench.requests(INVENTORY).len() - before.get();
        match pause {
            Pause::Gate | Pause::GateAfterRestart | Pause::NetworkDown => assert_eq!(sent, 0, "{pause:?}"),
            Pause::PollInterval
            | Pause::PollRetry
            | Pause::DownloadRetry
            | Pause::Verdict
            | Pause::LogUpload
            | Pause::Restart => assert!((28..=31).contains(&sent), "{pause:?}: {sent}"),
        }
    }
}

/// How a deployment must end that was stopped in this pause.
fn truth(pause: Pause, restarts: bool) -> Option<Status> {
    match pause {
        Pause::PollInterval | Pause::PollRetry | Pause::NetworkDown => None,
        Pause::DownloadRetry | Pause::Verdict | Pause::Restart => Some(Status::Success),
        Pause::LogUpload => Some(Status::Failure),
        // A restart reverts what was not confirmed. Without one the next run looks at what runs, and asks again.
        Pause::Gate | Pause::GateAfterRestart if restarts => Some(Status::Failure),
        Pause::Gate | Pause::GateAfterRestart => Some(Status::Success),
    }
}

#[test]
fn a_stop_is_heard_in_every_pause_and_the_next_run_ends_in_the_truth() {
    for pause in Pause::ALL {
        for restarts in [false, true] {
            let (mut bench, deployment) = pause.bench();
            let deployment = deployment.as_ref();
            let (ended, took) = act_in(
                pause,
                &mut bench,
                deployment,
                |site| site.handle.stop(),
                HOUR,
                |_| false,
            );
            assert_eq!(ended, Ended::Stopped, "{pause:?}");
            assert!(took < SOON, "{pause:?}: {took:?}");
            assert!(!bench.device.network_is_up(), "{pause:?}");
            bench.clear_faults();
            bench.device.fail_network(0);
            bench.script().broken_restart = false;
            bench.script().failing.clear();
            // Whoever waits for a restart gets one.
            bench.goes_on = !restarts && pause != Pause::Restart;
            bench.device.clear_events();
            let what = format!("{pause:?}, restarts: {restarts}");
            let Some(deployment) = deployment else {
                assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached, "{what}");
                continue;
            };
            assert_eq!(bench.run(HOUR, Site::over), Ended::Reached, "{what}");
            let status = bench.status(deployment);
            println!("{what}: {status:?} {:?} {:?}", bench.calls(), bench.log(deployment));
            assert_eq!(status, truth(pause, restarts), "{what}: {:?}", bench.log(deployment));
            let reboots = match pause {
                Pause::GateAfterRestart | Pause::LogUpload | Pause::Restart => true,
                Pause::PollInterval
                | Pause::PollRetry
                | Pause::NetworkDown
                | Pause::DownloadRetry
                | Pause::Gate
                | Pause::Verdict => false,
            };
            if reboots {
                assert_eq!(bench.script().runs_new, status == Some(Status::Success), "{what}");
            }
            bench.assert_clean();
        }
    }
}

/// A download of 400 pieces, one a second.
fn trickling() -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    let artifact = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("app")
        .file("app.bin", &small_file(20_000))
        .write();
    let deployment = bench.deploy(artifact);
    bench.network.set_packet_len(50);
    (bench, deployment)
}

/// In the middle of it. The network is slow from its first request on.
fn within(site: &Site) -> bool {
    let slow = Duration::from_secs(1);
    match site.downloads().first() {
        Some(first) => {
            site.network.set_pace(slow);
            site.clock.date().since_epoch() > first.time.since_epoch() + 3 * MINUTE
        }
        None => false,
    }
}

#[test]
fn an_inventory_is_sent_between_two_blocks() {
    let (mut bench, deployment) = trickling();
    bench.device.set_inventory("uptime", "1");
    let at = Cell::new((Duration::ZERO, 0));
    let sent = |site: &Site| site.requests(INVENTORY).len();
    let ask = once(
        within,
        |site| {
            at.set((site.clock.elapsed(), sent(site)));
            site.handle.send_inventory();
        },
        |site| sent(site) > at.get().1,
    );
    assert_eq!(bench.run(DAY, ask), Ended::Reached);
    // The piece that is awaited, and one read of each kind.
    let took = bench.clock.elapsed() - at.get().0;
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(bench.status(&deployment), Some(Status::Downloading));
}

#[test]
fn an_update_asked_for_between_two_blocks_is_looked_for_as_soon_as_the_deployment_is_over() {
    let (mut bench, deployment) = trickling();
    let over = Cell::new(None);
    let ask = once(
        within,
        |site| site.handle.check_for_update(),
        |site| {
            if Site::over(site) && over.get().is_none() {
                over.set(Some(site.clock.elapsed()));
                site.network.set_pace(Duration::ZERO);
            }
            site.requests(NEXT_V1).len() == 2
        },
    );
    assert_eq!(bench.run(DAY, ask), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    assert!(bench.clock.elapsed() - over.get().unwrap() < Duration::from_secs(30));
    assert_eq!(bench.downloads().len(), 1);
}

#[test]
fn a_stop_between_two_blocks_takes_effect_at_once() {
    for (silent, latest) in [(false, 1), (true, 0)] {
        let (mut bench, deployment) = trickling();
        let asked = Cell::new(Duration::ZERO);
        let stop = once(
            within,
            |site| {
                if silent {
                    // No more comes: a read would wait for the network timeout.
                    site.network.set_pace(DAY);
                }
                asked.set(site.clock.elapsed());
                site.handle.stop();
            },
            |_| false,
        );
        assert_eq!(bench.run(DAY, stop), Ended::Stopped);
        let took = bench.clock.elapsed() - asked.get();
        assert!(took <= Duration::from_secs(latest), "{took:?}");
        assert!(!bench.device.network_is_up());
        assert_eq!(bench.status(&deployment), Some(Status::Downloading));
        // The download begins anew.
        bench.network.set_pace(Duration::ZERO);
        bench.goes_on = true;
        assert_eq!(bench.run(HOUR, Site::over), Ended::Reached);
        assert_eq!(bench.status(&deployment), Some(Status::Success));
        assert_eq!(bench.downloads().len(), 2);
        assert_eq!(bench.log_messages(&deployment), None);
        bench.assert_clean();
    }
}

/// A device that sleeps between two pieces of a download, say, is none that a download restarts each time.
#[test]
fn stops_in_a_download_are_not_counted_as_restarts() {
    let (mut bench, deployment) = trickling();
    for time in 0..40 {
        let ended = bench.run(DAY, once(within, |site| site.handle.stop(), |_| false));
        assert_eq!(ended, Ended::Stopped, "{time}: {:?}", bench.device.events());
        bench.network.set_pace(Duration::ZERO);
        bench.clear_records();
    }
    assert_eq!(bench.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(
        bench.status(&deployment),
        Some(Status::Success),
        "{:?}",
        bench.log(&deployment)
    );
}
