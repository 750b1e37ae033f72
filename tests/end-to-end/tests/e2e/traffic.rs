//! How often a client asks, whatever goes wrong where: a fleet of them must not bring down a server that is in trouble, and a network
//! that is paid by the byte is not for asking. All places times all failures, each for a day; the intervals are the defaults, a week.

use std::time::Duration;

use mender_testkit::server::{DeploymentId, Effect, Fault, Mode, Response};

use crate::support::{AUTH, Bench, DAY, Ended, HOUR, INVENTORY, NEXT_V2, Site, app, firmware, log_path, status_path};

/// What does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Login,
    Poll,
    /// The first report of a deployment, and all others.
    Progress,
    /// The last report.
    Verdict,
    Log,
    Inventory,
    Link,
}

impl Place {
    const ALL: [Place; 7] = [
        Place::Login,
        Place::Poll,
        Place::Progress,
        Place::Verdict,
        Place::Log,
        Place::Inventory,
        Place::Link,
    ];

    /// A device for which this does not work, from now on.
    fn bench(self, effect: Effect) -> Bench {
        let mut bench = Bench::accepted(Mode::Enterprise);
        bench.config.update_poll_interval = 7 * DAY;
        bench.config.inventory_interval = Some(7 * DAY);
        let fault = Fault::new(effect).always();
        let deployment: Option<DeploymentId> = match self {
            Place::Login | Place::Poll | Place::Inventory => None,
            Place::Progress | Place::Verdict | Place::Link => Some(bench.deploy(app())),
            Place::Log => {
                bench.script().failing.insert("install");
                Some(bench.deploy(firmware()))
            }
        };
        let reports = deployment.as_ref().map(status_path).unwrap_or_default();
        bench.inject(match self {
            Place::Login => fault.on_path(AUTH),
            Place::Poll => fault.on_path(NEXT_V2),
            Place::Progress => fault.on_path(&reports),
            Place::Verdict => fault.on_path(&reports).after(3),
            Place::Log => fault.on_path(&log_path(deployment.as_ref().unwrap())),
            Place::Inventory => fault.on_path(INVENTORY),
            Place::Link => fault.on_downloads(),
        });
        bench
    }
}

/// How it does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The connection is reset before there is an answer.
    Reset,
    /// No answer comes.
    Silence,
    /// A status in an error body of Mender's.
    Mender(u16),
    /// A status of a gateway's.
    Bare(u16),
    /// 429 with `Retry-After`: ten minutes, a day.
    Busy(u32),
    /// A success with a body that is nonsense.
    Garbage,
}

impl Failure {
    const ALL: [Failure; 15] = [
        Failure::Reset,
        Failure::Silence,
        Failure::Mender(400),
        Failure::Mender(401),
        Failure::Mender(403),
        Failure::Mender(404),
        Failure::Mender(409),
        Failure::Mender(429),
        Failure::Mender(500),
        Failure::Bare(404),
        Failure::Bare(409),
        Failure::Bare(503),
        Failure::Busy(600),
        Failure::Busy(86_400),
        Failure::Garbage,
    ];

    fn effect(self) -> Effect {
        match self {
            Failure::Reset => Effect::LoseRequest,
            Failure::Silence => Effect::Delay(2 * DAY),
            Failure::Mender(status) => Effect::Status(status),
            Failure::Bare(status) => Effect::BareStatus(status),
            Failure::Busy(retry_after_secs) => Effect::TooManyRequests { retry_after_secs },
            Failure::Garbage => {
                let mut response = Response::empty(200).header("Content-Type", "text/html");
                response.body = b"<html>\xff\x00</html>".repeat(10);
                Effect::Answer(response)
            }
        }
    }

    /// Requests that one round may cost: tries in place, a login.
    fn requests_of_a_round(self) -> usize {
        match self {
            Failure::Reset | Failure::Silence => 5,
            // A login and the request, for each of both.
            Failure::Mender(401) => 2,
            Failure::Mender(_) | Failure::Bare(_) | Failure::Busy(_) | Failure::Garbage => 1,
        }
    }
}

/// Requests by hours, the connections that could not be opened among them.
fn by_hours(bench: &Bench, start: Duration) -> Vec<usize> {
    let mut hours = vec![0; 24];
    let start = bench.clock.date().since_epoch() - (bench.clock.elapsed() - start);
    for request in bench.requests("/") {
        let hour = (request.time.since_epoch() - start).as_secs() / HOUR.as_secs();
        hours[usize::try_from(hour).unwrap().min(23)] += 1;
    }
    hours
}

/// With the longest pause of nine minutes, less up to a quarter.
const ROUNDS_PER_HOUR: usize = 3600 / 405 + 1;
/// The first pauses are a minute, two and four.
const ROUNDS_OF_FIRST_HOUR: usize = ROUNDS_PER_HOUR + 3;
/// What a device asks at its start, everything going well: a login, a poll, the inventory, the five reports and the log of a
/// deployment, its artifact, a poll after it.
const USUAL: usize = 11;

#[test]
fn whatever_goes_wrong_wherever_a_client_asks_seldom() {
    let mut bad = Vec::new();
    for place in Place::ALL {
        for failure in Failure::ALL {
            let mut bench = place.bench(failure.effect());
            bench.written().clear();
            let (start, ups) = (bench.clock.elapsed(), bench.device.network_tries());
            assert_eq!(bench.run(DAY, |_| false), Ended::TimeUp);
            let hours = by_hours(&bench, start);
            let (first, later) = (hours[0], *hours[1..].iter().max().unwrap());
            let ups = (bench.device.network_tries() - ups) as usize;
            let written = bench.written().len();
            println!(
                "{place:?} {failure:?}: {first} in the first hour, then {later} at most, {} in all; network up {ups} times, {written} records",
                hours.iter().sum::<usize>()
            );
            let round = failure.requests_of_a_round();
            // The commit gate has a row of pauses of its own, before the verdict's.
            let rows = if place == Place::Progress { 2 } else { 1 };
            let most = match failure {
                Failure::Busy(86_400) => (USUAL + rows, 4),
                _ => (USUAL + rows * ROUNDS_OF_FIRST_HOUR * round, ROUNDS_PER_HOUR * round),
            };
            if first > most.0 || later > most.1 || ups > 24 * ROUNDS_PER_HOUR + 10 || written > 40 {
                bad.push(format!("{place:?} {failure:?}: {hours:?}, {ups}, {written}"));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

/// The same of the network: it fails, it hangs, it is up and leads nowhere; with and without a deployment under way.
#[test]
fn a_network_that_does_not_work_is_asked_seldom() {
    type Break = fn(&Site);
    let breaks: [(&str, Break); 3] = [
        ("fails", |site| site.device.fail_network(u32::MAX)),
        ("hangs", |site| site.device.hang_network(true)),
        ("leads nowhere", |site| site.network.set_up(false)),
    ];
    for (how, act) in breaks {
        for event in ["", "Entered(Download)", "Entered(Commit)", "Entered(Cleanup)"] {
            let mut bench = Bench::accepted(Mode::Enterprise);
            if !event.is_empty() {
                bench.deploy(app());
            }
            bench.config.update_poll_interval = 7 * DAY;
            let broken = std::cell::Cell::new(false);
            let seen = std::cell::Cell::new((0, 0, Duration::ZERO));
            let count = |site: &Site| {
                let failed = site.network.traffic().failed_connections;
                (site.device.network_tries() as usize, failed)
            };
            bench.run(2 * DAY, |site| {
                if !broken.get() && (event.is_empty() || site.has_event(event)) {
                    broken.set(true);
                    act(site);
                    // Of the hour after the first.
                    seen.set((0, 0, site.clock.elapsed() + HOUR));
                }
                let (ups, connects, since) = seen.get();
                if broken.get() && ups == 0 && site.clock.elapsed() >= since {
                    let (ups, connects) = count(site);
                    seen.set((ups, connects, since));
                }
                broken.get() && connects + ups > 0 && site.clock.elapsed() >= since + DAY
            });
            assert!(broken.get());
            let (ups, connects) = count(&bench);
            let before = seen.get();
            let (ups, connects) = (ups - before.0, connects - before.1);
            println!("{how}, {event}: network up {ups} times, {connects} connects in a day");
            // Polls, and the inventory beside them.
            assert!(ups <= 2 * 24 * ROUNDS_PER_HOUR, "{how} {event}: {ups}");
            assert!(connects <= 2 * 5 * 24 * ROUNDS_PER_HOUR, "{how} {event}: {connects}");
        }
    }
}
