//! Whole deployments with one fault at each place where it can be: the run's future dropped or the client stopped at each poll, a
//! connection broken at each byte; and many faults together, by chance. However it goes, the deployment ends, and what the server was
//! told is so.
//!
//! `cargo test` takes a sample. `.ci/sweeps` takes all, and prints the figures: it sets `MENDER_SWEEPS=all`. A number there takes each
//! place of so many.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::device::SeededRng;
use mender_testkit::network::Break;
use mender_testkit::server::{DeploymentId, Effect, Ending, Fault, Mode, Response, Status};

use crate::support::{
    AUTH, Bench, DAY, DEVICE_TYPE, Ended, Failing, HOUR, INVENTORY, MINUTE, NEXT_V1, Op, Site, log_path, small_file,
    status_path,
};

/// The modules, and the callback that fails: the flows that differ.
const FLOWS: [(&str, &str); 10] = [
    ("app", ""),
    ("app", "install"),
    ("app-back", "commit"),
    ("firmware-forward", ""),
    ("firmware-forward", "verify_reboot"),
    ("firmware", ""),
    ("firmware", "download"),
    ("firmware", "install"),
    ("firmware", "verify_reboot"),
    ("firmware", "commit"),
];

/// A device of its own for each case.
fn bench(flow: (&str, &'static str)) -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    let (kind, failing) = flow;
    let artifact = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type(kind)
        .file("f", &small_file(1500))
        .write();
    let deployment = bench.deploy(artifact);
    bench.script().failing.insert(failing);
    bench.written().clear();
    bench.polls.count.set(0);
    bench.device.clear_events();
    (bench, deployment)
}

fn is_all() -> bool {
    std::env::var_os("MENDER_SWEEPS").is_some()
}

/// The numbers from 1 on, or in a sample some of them, others for each flow.
fn places(flow: usize, sample: usize) -> impl Iterator<Item = usize> {
    let step = match std::env::var("MENDER_SWEEPS") {
        Ok(step) => step.parse().unwrap_or(1),
        Err(_) => sample,
    };
    (1 + flow * step / FLOWS.len()..).step_by(step)
}

/// How runs ended.
#[derive(Debug, Default)]
struct Sum {
    cases: AtomicUsize,
    succeeded: AtomicUsize,
}

impl Sum {
    /// All faults are over: the deployment has to end, in the truth. `None`: not the deployment's verdict, but the truth all the same.
    fn judge(&self, bench: &mut Bench, deployment: &DeploymentId, what: impl Debug) {
        bench.clear_faults();
        bench.polls.drop_at.set(None);
        bench.polls.stop_at.set(None);
        let is_final = |site: &Site| site.status(deployment).is_some_and(Status::is_final);
        // A stop that was asked for before may still be heard.
        while bench.run(DAY, is_final) == Ended::Stopped {}
        while bench.run(2 * HOUR, |_| false) == Ended::Stopped {}
        let runs_new = bench.script().runs_new;
        let name = bench.inventory("artifact_name");
        let status = bench.status(deployment);
        let is_so = match (status, name.as_deref()) {
            (Some(Status::Success), Some("release-2")) => runs_new,
            (Some(Status::Failure), Some("release-1")) => !runs_new,
            (Some(Status::Failure), Some("release-2_INCONSISTENT" | "release-1_INCONSISTENT")) => true,
            (Some(_) | None, _) => false,
        };
        assert!(
            is_so,
            "{what:?}: {status:?}, new software runs: {runs_new}, name {name:?}\n{:?}\n{:?}",
            bench.calls(),
            bench.log(deployment)
        );
        self.cases.fetch_add(1, Ordering::Relaxed);
        self.succeeded
            .fetch_add(usize::from(status == Some(Status::Success)), Ordering::Relaxed);
    }

    fn print(&self, what: &str) {
        let (cases, succeeded) = (
            self.cases.load(Ordering::Relaxed),
            self.succeeded.load(Ordering::Relaxed),
        );
        println!("{what}: {cases} cases, {succeeded} of them successes, no bad end");
        assert!(cases > 0);
    }
}

/// Some flows at a time, on the machine's processors.
fn each_flow(check: impl Fn(usize, (&'static str, &'static str)) + Sync) {
    std::thread::scope(|scope| {
        for half in [0, 1] {
            let check = &check;
            scope.spawn(move || {
                for (number, flow) in FLOWS.iter().enumerate().filter(|(number, _)| number % 2 == half) {
                    check(number, *flow);
                }
            });
        }
    });
}

/// How it goes on after the future was dropped.
#[derive(Clone, Copy, Debug)]
enum After {
    /// The same client runs again.
    SameClient,
    /// The client is made again.
    NewClient,
    /// The device restarts.
    Restart,
}

#[test]
fn a_run_may_be_dropped_at_any_poll() {
    let sum = Sum::default();
    each_flow(|number, flow| {
        for after in [After::SameClient, After::NewClient, After::Restart] {
            for poll in places(number, 3) {
                let (mut bench, deployment) = bench(flow);
                bench.polls.drop_at.set(Some(poll));
                bench.polls.run_again.set(matches!(after, After::SameClient));
                let ended = bench.run(DAY, Site::over);
                if bench.polls.drop_at.get().is_some() {
                    // It was over before.
                    break;
                }
                if ended == Ended::Dropped {
                    bench.goes_on = matches!(after, After::NewClient);
                }
                sum.judge(&mut bench, &deployment, (flow, after, poll));
            }
        }
    });
    sum.print("dropped at a poll");
}

#[test]
fn a_client_may_be_stopped_at_any_poll() {
    let sum = Sum::default();
    each_flow(|number, flow| {
        for poll in places(number, 2) {
            let (mut bench, deployment) = bench(flow);
            bench.polls.stop_at.set(Some(poll));
            let ended = bench.run(DAY, |site| site.polls.stop_at.get().is_some() && Site::over(site));
            if bench.polls.stop_at.get().is_some() {
                break;
            }
            assert_eq!(ended, Ended::Stopped, "{flow:?}, poll {poll}");
            assert!(!bench.device.network_is_up(), "{flow:?}, poll {poll}");
            bench.goes_on = true;
            sum.judge(&mut bench, &deployment, (flow, poll));
        }
    });
    sum.print("stopped at a poll");
}

#[test]
fn a_connection_may_break_at_any_byte() {
    let sum = Sum::default();
    each_flow(|number, flow| {
        for how in [Break::Close, Break::Reset, Break::Stall] {
            for byte in places(number, 1409) {
                let (mut bench, deployment) = bench(flow);
                let before = bench.network.traffic();
                bench.network.break_after(byte as u64, how);
                bench.run(DAY, Site::over);
                let after = bench.network.traffic();
                let passed = after.sent_bytes + after.received_bytes - before.sent_bytes - before.received_bytes;
                if passed < byte as u64 {
                    break;
                }
                sum.judge(&mut bench, &deployment, (flow, how, byte));
                // A broken connection fails nothing.
                let expected = if flow.1.is_empty() {
                    Status::Success
                } else {
                    Status::Failure
                };
                assert_eq!(bench.status(&deployment), Some(expected), "{flow:?}, {how:?}, {byte}");
            }
        }
    });
    sum.print("broken at a byte");
}

/// Adds one to three faults to a run.
fn disturb(random: &mut SeededRng, bench: &mut Bench, deployment: &DeploymentId) -> Vec<String> {
    let mut what = Vec::new();
    for _ in 0..1 + random.below(3) {
        match random.below(7) {
            0 => {
                let poll = 1 + random.below(300);
                bench.polls.drop_at.set(Some(poll));
                what.push(format!("dropped at poll {poll}"));
            }
            1 => {
                let poll = 1 + random.below(300);
                bench.polls.stop_at.set(Some(poll));
                what.push(format!("stopped at poll {poll}"));
            }
            2 => {
                let (byte, how) = (
                    random.below(20_000),
                    random.one_of(&[Break::Close, Break::Reset, Break::Stall]),
                );
                bench.network.break_after(byte as u64, how);
                what.push(format!("{how:?} at byte {byte}"));
            }
            3 => {
                let failing = Failing::Some(random.below(14), 1 + random.below(6));
                bench.failing = failing;
                what.push(format!("writes {failing:?}"));
            }
            4 => {
                let (op, failing) = (
                    random.one_of(&[Op::Read, Op::Write, Op::Erase]),
                    Failing::Some(random.below(60), 1 + random.below(20)),
                );
                let mut faults = bench.faults();
                faults.flash.clear();
                faults.failing_flash = Some((op, failing));
                what.push(format!("flash {op:?} {failing:?}"));
            }
            _ => {
                let effect = match random.below(6) {
                    0 => Effect::Status(random.one_of(&[400, 401, 403, 404, 408, 409, 429, 500, 502, 503])),
                    1 => Effect::BareStatus(random.one_of(&[401, 403, 404, 409, 502])),
                    2 => Effect::TooManyRequests {
                        retry_after_secs: random.one_of(&[1, 60, 1700, 4000, 100_000]),
                    },
                    3 => Effect::Delay(random.one_of(&[MINUTE / 2, 2 * MINUTE, HOUR])),
                    4 => Effect::Answer(Response::bytes(200, "text/html", "<html>captive portal</html>")),
                    _ => Effect::CutBody {
                        len: random.below(4000),
                        ending: random.one_of(&[Ending::Close, Ending::Reset]),
                    },
                };
                let fault = Fault::new(effect.clone());
                let (path, fault) = match random.below(6) {
                    0 => ("poll", fault.on_path(NEXT_V1)),
                    1 => ("login", fault.on_path(AUTH)),
                    2 => ("inventory", fault.on_path(INVENTORY)),
                    3 => ("log", fault.on_path(&log_path(deployment))),
                    4 => ("download", fault.on_downloads()),
                    _ => ("status", fault.on_path(&status_path(deployment))),
                };
                let (after, times) = (random.below(4) as u32, 1 + random.below(20) as u32);
                bench.inject(fault.after(after).times(times));
                what.push(format!("{path}: {effect:?} after {after}, {times} times"));
            }
        }
    }
    what
}

/// A fault that is the deployment's end by right: the server said that it wants no verdict or refused it many times, or a gateway said
/// that it was taken. A bare 404 or 409 is none.
fn is_ended(what: &[String]) -> bool {
    let ends = [
        ": Status(400)",
        ": BareStatus(400)",
        ": Status(404)",
        ": Status(409)",
        ": Answer(",
    ];
    what.iter()
        .any(|fault| fault.starts_with("status: ") && ends.iter().any(|end| fault.contains(end)))
}

/// One case: `MENDER_SEED=N` runs it alone.
fn by_chance(seed: u64, sum: &Sum) {
    let mut random = SeededRng::new(seed);
    let flow = random.one_of(&FLOWS);
    let (mut bench, deployment) = bench(flow);
    let what = disturb(&mut random, &mut bench, &deployment);
    let replay = format!("MENDER_SEED={seed}: {flow:?}, {what:?}");
    let mut left = Duration::from_secs(3 * 24 * 3600);
    while !left.is_zero() {
        match bench.run(left.min(6 * HOUR), Site::over) {
            Ended::Reached => break,
            Ended::Stopped | Ended::Dropped | Ended::GaveUp => bench.goes_on = random.below(2) == 0,
            Ended::TimeUp | Ended::PowerLost => {}
        }
        left = left.saturating_sub(6 * HOUR);
    }
    bench.failing = Failing::None;
    bench.faults().failing_flash = None;
    if is_ended(&what) {
        return;
    }
    sum.judge(&mut bench, &deployment, replay);
}

#[test]
fn whatever_comes_together_the_truth_is_told() {
    let sum = Sum::default();
    if let Ok(seed) = std::env::var("MENDER_SEED") {
        return by_chance(seed.parse().expect("a number"), &sum);
    }
    let cases = if is_all() { 100_000 } else { 600 };
    std::thread::scope(|scope| {
        for half in [0, 1] {
            let sum = &sum;
            scope.spawn(move || {
                (0..cases)
                    .filter(|seed| seed % 2 == half)
                    .for_each(|seed| by_chance(seed, sum))
            });
        }
    });
    sum.print("faults by chance");
}
