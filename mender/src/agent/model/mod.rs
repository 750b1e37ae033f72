//! Everything that can happen: agent, machine, module, server, storage and resets together, walked through without a gap.
//!
//! An agent is asked what to do, and a [world](world) of records, software and a server answers in each way that it may. The walk
//! goes through all of them, from a poll that offers a deployment until it is over and the client polls again:
//!
//! | what | what may come of it |
//! |---|---|
//! | read, write | it works; once in a run it fails, without its effect or with it, and so does each try that follows at once |
//! | callback | it works, it fails without its effect or with it, it restarts the device |
//! | report | stored, aborted, unknown, refused, not now, not before some time, not without a new token, lost before or after the server acted |
//! | restart | it comes at once, a little later, or never |
//! | anything | power is lost before it, so also after it |
//!
//! What is checked:
//!
//! - Reported success ⇔ the new software runs, is committed and has its name; reported failure ⇔ the old software runs by the old
//!   name, or the name carries `_INCONSISTENT`. When the server takes a verdict, when it is over, and after one more restart.
//! - Every cycle has a pause of at least the shortest backoff, and from everywhere the end can be reached.
//!
//! | file | job |
//! |---|---|
//! | `device.rs` | the software and the modules |
//! | `server.rs` | requests, and their answers |
//! | `world.rs` | these two and the storage: what may come of what is asked for, and whether it is as it was said |
//! | `run.rs` | an agent in a world, step by step |
//! | `print.rs` | which runs are the same |
//! | `explore.rs` | the walk, and the graph that it gives |

extern crate std;

mod device;
mod explore;
mod print;
mod run;
mod server;
mod world;

use std::println;
use std::thread;
use std::vec::Vec;

use device::Kind;
use explore::{Explorer, Report};
use run::{After, Fixture, Run};
use world::{Answers, Asked, Bounds, Outcome, World};

use crate::deployment::{Software, State, StoredState, Verdict};
use crate::storage::RecordKey;
use crate::update_module::CallbackState;

/// Nothing goes wrong but downloads, and answers that lead to different ends.
const FAIR: Bounds = Bounds {
    faults: 0,
    resets: 0,
    answers: Answers::Few,
    failures: 0,
    downloads: true,
    culprit: None,
    limit: 12,
};

/// Some cases more, for those who have minutes.
fn is_long() -> bool {
    std::env::var_os("MENDER_LONG_TESTS").is_some()
}

/// Walks through everything from these worlds, for each kind of module on its own thread.
fn explore(kinds: &[Kind], bounds: Bounds, worlds: impl Fn(Kind) -> Vec<World> + Sync) -> Vec<Report> {
    thread::scope(|scope| {
        let worlds = &worlds;
        let explore = |kind: Kind| {
            let started = std::time::Instant::now();
            let explorer = Explorer::new(Fixture::new(kind, bounds.limit), bounds);
            let report = explorer.explore(worlds(kind));
            println!("{kind:?}: {report} [{:.1?}, {bounds:?}]", started.elapsed());
            report
        };
        let threads: Vec<_> = kinds.iter().map(|kind| scope.spawn(move || explore(*kind))).collect();
        let reports = threads.into_iter().map(thread::ScopedJoinHandle::join);
        reports
            .map(|report| report.expect("the walk comes to its end"))
            .collect()
    })
}

/// From a poll that offers a deployment.
fn from_a_poll(kinds: &[Kind], bounds: Bounds) -> Vec<Report> {
    explore(kinds, bounds, |kind| [World::new(kind, bounds)].into())
}

fn assert_no_lies(reports: &[Report]) {
    for report in reports {
        if let Some((fault, lie, _, way)) = report.lies.first() {
            panic!("{lie:?} after {fault:?}:\n{way}");
        }
    }
}

#[test]
fn what_is_reported_is_so_whatever_fails_and_wherever_power_is_lost() {
    let bounds = Bounds {
        resets: 2,
        failures: if is_long() { 3 } else { 2 },
        ..FAIR
    };
    assert_no_lies(&from_a_poll(&Kind::ALL, bounds));
}

#[test]
fn what_is_reported_is_so_whatever_the_server_answers() {
    let bounds = Bounds {
        answers: Answers::AllToReports,
        failures: u8::from(is_long()),
        ..FAIR
    };
    assert_no_lies(&from_a_poll(&Kind::ALL, bounds));
}

#[test]
fn a_server_that_refuses_logins_and_polls_is_asked_again() {
    let bounds = Bounds {
        answers: Answers::All,
        downloads: false,
        ..FAIR
    };
    assert_no_lies(&from_a_poll(&[Kind::NoPayload], bounds));
}

#[test]
fn what_is_reported_is_so_whichever_storage_operation_fails() {
    let bounds = Bounds {
        faults: 1,
        resets: 2,
        failures: u8::from(is_long()),
        ..FAIR
    };
    assert_no_lies(&from_a_poll(&Kind::ALL, bounds));
}

/// A callback fails and a storage operation too: what could not be undone must be marked, also if the mark could not be stored.
#[test]
fn what_is_reported_is_so_if_a_callback_and_a_storage_operation_fail() {
    let bounds = Bounds {
        faults: 1,
        resets: 1,
        failures: 1,
        ..FAIR
    };
    assert_no_lies(&from_a_poll(&Kind::ALL, bounds));
}

/// Everything at once: each answer, a storage operation that fails, and a loss of power.
#[test]
fn what_is_reported_is_so_whatever_comes_together() {
    let bounds = Bounds {
        faults: 1,
        resets: 1,
        answers: Answers::AllToReports,
        ..FAIR
    };
    let kinds = if is_long() { &Kind::ALL[..] } else { &[Kind::NoPayload] };
    assert_no_lies(&from_a_poll(kinds, bounds));
}

/// `install` fails, but has asked for the swap; that it failed cannot be stored; power is lost when the server has the failure. The
/// new software must not go on then.
#[test]
fn a_failed_install_that_cannot_be_stored_is_undone_before_it_is_reported() {
    for kind in [Kind::module(true, false), Kind::module(true, true)] {
        let bounds = Bounds {
            faults: 1,
            failures: 1,
            ..FAIR
        };
        let fixture = Fixture::new(kind, bounds.limit);
        let mut run = Run::boot(fixture, World::new(kind, bounds));
        let mut was_cut = false;
        let mut is_over = false;
        while !is_over {
            let after = run.step(|world, asked| {
                is_over = asked == Asked::Finished;
                let outcomes = world.outcomes(asked, FAIR);
                let is_failure = asked == Asked::Write(RecordKey::State) && world.entered == Some(State::Failure);
                Some(if asked == Asked::Call(CallbackState::Install) {
                    Outcome::Fails { after: true }
                } else if is_failure && !was_cut {
                    Outcome::Fails { after: false }
                } else if outcomes.contains(&Outcome::Restarts) {
                    Outcome::Restarts
                } else {
                    outcomes[0]
                })
            });
            let is_reported = run.world.server.verdict.is_some();
            if after == After::Reset || (is_reported && !was_cut) {
                was_cut |= is_reported;
                run.world.reset();
                run = Run::boot(fixture, run.world);
            }
        }
        assert!(was_cut);
        let name = run.own_name();
        run.world.check_end(&name);
        assert_eq!(run.world.lie, None, "{:?}", run.world);
    }
}

#[test]
fn a_callback_that_restarts_the_device_each_time_comes_to_an_end() {
    for culprit in CallbackState::ALL {
        let bounds = Bounds {
            culprit: Some(culprit),
            failures: 1,
            ..FAIR
        };
        let kinds = [
            Kind::module(false, true),
            Kind::module(true, false),
            Kind::module(true, true),
        ];
        assert_no_lies(&from_a_poll(&kinds, bounds));
    }
}

/// Records that no deployment leaves behind are no reason to stop, to restart for ever or to be silent. What is reported then is
/// only as good as they are.
#[test]
fn whatever_is_stored_at_the_start_it_comes_to_an_end() {
    const STATES: [StoredState; 14] = [
        StoredState::Idle,
        StoredState::Install,
        StoredState::Reboot,
        StoredState::VerifyReboot,
        StoredState::Commit,
        StoredState::Rollback,
        StoredState::RollbackReboot,
        StoredState::RollbackVerifyReboot,
        StoredState::Failure(Software::Untouched),
        StoredState::Failure(Software::Old),
        StoredState::Failure(Software::Inconsistent),
        StoredState::Owed(Verdict::Success),
        StoredState::Owed(Verdict::Failure),
        StoredState::Cleanup,
    ];
    let bounds = Bounds {
        faults: u8::from(is_long()),
        failures: 1,
        ..FAIR
    };
    explore(&Kind::ALL, bounds, |kind| {
        let states = STATES.into_iter().map(Some).chain([None]);
        let stored = states.flat_map(|state| [0, bounds.limit - 1, bounds.limit, u8::MAX].map(|count| (state, count)));
        let committed = stored.flat_map(|stored| [false, true].map(|committed| (stored, committed)));
        committed
            .flat_map(|((state, transitions), committed)| {
                let softwares = device::Software::all();
                softwares.map(move |software| World::stored(kind, bounds, software, state, transitions, committed))
            })
            .collect()
    });
}
