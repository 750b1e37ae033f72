//! The machine alone: mender-mcu's flows, where each state resumes, and every path through failures and power cuts.

extern crate std;

use std::collections::HashSet;
use std::vec;
use std::vec::Vec;

use super::super::record::{self, DeploymentNumber, StateRecord};
use super::*;
use crate::update_module::CallbackState;

const NO_REBOOT: Traits = Traits {
    requires_reboot: false,
    supports_rollback: false,
};
const ROLLBACK_ONLY: Traits = Traits {
    requires_reboot: false,
    supports_rollback: true,
};
const REBOOT_ONLY: Traits = Traits {
    requires_reboot: true,
    supports_rollback: false,
};
const REBOOT_AND_ROLLBACK: Traits = Traits {
    requires_reboot: true,
    supports_rollback: true,
};

/// One run: name, module, what fails, where the device restarts by itself, and what is expected.
type Case = (
    &'static str,
    Traits,
    Vec<Option<CallbackState>>,
    Option<State>,
    Vec<Option<CallbackState>>,
    Verdict,
);

/// What a run shows: the calls of the module (`None`: the download), restarts left out, and the verdict.
type Flow = (Vec<Option<CallbackState>>, Verdict);

/// Runs a deployment; the given callbacks fail each time (`None`: the download), and the device restarts by itself the
/// first time it enters `restart_in`.
fn flow(module: Traits, limit: u8, failing: &[Option<CallbackState>], mut restart_in: Option<State>) -> Flow {
    let number = DeploymentNumber::new(1);
    let mut calls = Vec::new();
    let mut written: Option<StateRecord> = None;
    let mut deployment_written = false;
    let mut installed = DeploymentNumber::new(0);
    let mut machine = Machine::start(module, limit);
    for _ in 0..1000 {
        // mender-mcu's test restarts the device when it reads that a state was entered and stored.
        let restart = restart_in == Some(machine.state())
            && !matches!(machine.action(), Action::StoreDeployment | Action::StoreState(_));
        if restart || machine.action() == Action::AwaitRestart {
            if restart {
                restart_in = None;
            }
            assert!(deployment_written);
            let stored = record::stored(number, installed, written.map(Ok));
            machine = Machine::resume(stored, module, limit).expect("a deployment is under way");
            continue;
        }
        let event = match machine.action() {
            Action::End(verdict) => return (calls, verdict),
            Action::Call(callback) => {
                calls.push(Some(callback));
                if failing.contains(&Some(callback)) {
                    Event::Failed
                } else {
                    Event::Done
                }
            }
            Action::Download => {
                calls.push(None);
                if failing.contains(&None) {
                    Event::Failed
                } else {
                    Event::Done
                }
            }
            Action::StoreState(state) => {
                written = Some(StateRecord {
                    number,
                    state,
                    transitions: machine.transitions(),
                });
                Event::Done
            }
            Action::StoreDeployment => {
                deployment_written = true;
                Event::Done
            }
            Action::StoreInstalled => {
                installed = number;
                Event::Done
            }
            Action::Report(_)
            | Action::CommitGate
            | Action::MarkInconsistent
            | Action::ReportVerdict(_)
            | Action::Deliver(_)
            | Action::UploadLog
            | Action::AwaitRestart => Event::Done,
        };
        machine.handle(event);
    }
    panic!("the deployment does not end");
}

/// The flows of mender-mcu's integration tests (tests/integration/tests/test_state_machine.py there).
#[test]
fn the_flows_of_mender_mcu_hold() {
    use CallbackState::*;
    use Verdict::{Failure as Failed, Success};
    let d = None;
    let s = Some;
    let both = REBOOT_AND_ROLLBACK;
    let rolled_back = [
        s(Rollback),
        s(RollbackReboot),
        s(RollbackVerifyReboot),
        s(Failure),
        s(Cleanup),
    ];
    let to_verify = [d, s(Install), s(Reboot), s(VerifyReboot)];
    let to_commit = [d, s(Install), s(Reboot), s(VerifyReboot), s(Commit)];
    let cases: [Case; 10] = [
        (
            "success_no_reboot",
            NO_REBOOT,
            vec![],
            None,
            vec![d, s(Install), s(Commit), s(Cleanup)],
            Success,
        ),
        (
            "success_reboot",
            both,
            vec![],
            None,
            [&to_commit[..], &[s(Cleanup)]].concat(),
            Success,
        ),
        (
            "fail_verify_reboot",
            both,
            vec![s(VerifyReboot)],
            None,
            [&to_verify[..], &rolled_back].concat(),
            Failed,
        ),
        (
            "fail_commit",
            both,
            vec![s(Commit)],
            None,
            [&to_commit[..], &rolled_back].concat(),
            Failed,
        ),
        (
            "fail_commit_no_rollback",
            REBOOT_ONLY,
            vec![s(Commit)],
            None,
            [&to_commit[..], &[s(Failure), s(Cleanup)]].concat(),
            Failed,
        ),
        ("fail_download", both, vec![d], None, vec![d, s(Cleanup)], Failed),
        (
            "fail_install",
            both,
            vec![s(Install)],
            None,
            vec![d, s(Install), s(Failure), s(Cleanup)],
            Failed,
        ),
        (
            "fail_commit_rollback",
            both,
            vec![s(Commit), s(Rollback)],
            None,
            [&to_commit[..], &[s(Rollback), s(Failure), s(Cleanup)]].concat(),
            Failed,
        ),
        (
            "spontaneous_reboot_install",
            both,
            vec![],
            Some(State::Install),
            vec![d, s(Failure), s(Cleanup)],
            Failed,
        ),
        (
            "spontaneous_reboot_commit",
            both,
            vec![],
            Some(State::Commit),
            [&to_verify[..], &rolled_back].concat(),
            Failed,
        ),
    ];
    for (name, module, failing, restart_in, calls, verdict) in cases {
        assert_eq!(flow(module, 12, &failing, restart_in), (calls, verdict), "{name}");
    }
}

/// The eleventh flow, "fail_rollback_verify_reboot": the rollback is tried until the limit, then `failure` runs.
#[test]
fn a_rollback_that_never_succeeds_ends_at_the_limit() {
    use CallbackState::*;
    let failing = [Some(VerifyReboot), Some(RollbackVerifyReboot)];
    for limit in [12, DEFAULT_TRANSITION_LIMIT] {
        let (calls, verdict) = flow(REBOOT_AND_ROLLBACK, limit, &failing, None);
        assert_eq!(verdict, Verdict::Failure);
        assert_eq!(calls[calls.len() - 2..], [Some(Failure), Some(Cleanup)]);
        let tries = calls.iter().filter(|c| **c == Some(RollbackVerifyReboot)).count();
        assert!(
            (2..=usize::from(limit)).contains(&tries),
            "{tries} tries with limit {limit}"
        );
    }
}

#[test]
fn rollback_without_reboot_restarts_nothing() {
    use CallbackState::*;
    assert_eq!(
        flow(ROLLBACK_ONLY, 28, &[Some(Commit)], None),
        (
            vec![
                None,
                Some(Install),
                Some(Commit),
                Some(Rollback),
                Some(Failure),
                Some(Cleanup)
            ],
            Verdict::Failure
        )
    );
}

/// A device whose bootloader swaps on request and reverts what was not confirmed, as a module sees it, and its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct World {
    runs_new: bool,
    confirmed: bool,
    request: Option<Request>,
    name: Name,
    deployment_record: bool,
    state_record: Option<(StoredState, u8)>,
    installed: bool,
    /// It is stored that the module's `install` is called.
    touched: bool,
    /// What the server has.
    verdict: Option<Verdict>,
    storage_failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    Test,
    Back,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Old,
    New,
    Inconsistent,
}

impl World {
    fn boot(&mut self) {
        match self.request.take() {
            Some(Request::Test) => (self.runs_new, self.confirmed) = (true, false),
            Some(Request::Back) => (self.runs_new, self.confirmed) = (false, true),
            None if self.runs_new && !self.confirmed => (self.runs_new, self.confirmed) = (false, true),
            None => {}
        }
    }

    fn call(&mut self, module: Traits, callback: CallbackState) -> Event {
        let answer = |good: bool| if good { Event::Done } else { Event::Failed };
        if !module.requires_reboot {
            match callback {
                CallbackState::Install => self.runs_new = true,
                CallbackState::Rollback | CallbackState::Failure => self.runs_new = false,
                CallbackState::Commit => self.confirmed = true,
                _ => {}
            }
            return Event::Done;
        }
        match callback {
            CallbackState::Install => self.request = Some(Request::Test),
            CallbackState::Reboot | CallbackState::RollbackReboot | CallbackState::Cleanup => {}
            CallbackState::VerifyReboot => return answer(self.runs_new),
            CallbackState::Commit => self.confirmed = true,
            CallbackState::Rollback => {
                self.request = (self.runs_new && self.confirmed).then_some(Request::Back);
            }
            CallbackState::RollbackVerifyReboot => return answer(!self.runs_new),
            CallbackState::Failure => self.request = None,
        }
        Event::Done
    }

    fn stored(&self) -> Stored {
        let number = DeploymentNumber::new(1);
        let installed = DeploymentNumber::new(u32::from(self.installed));
        let state = self.state_record.map(|(state, transitions)| {
            Ok(StateRecord {
                number,
                state,
                transitions,
            })
        });
        record::stored(number, installed, state)
    }

    /// What the server is told must be so.
    fn told(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Success => assert!(
                self.runs_new && self.confirmed && self.name == Name::New,
                "success reported, but {self:?}"
            ),
            Verdict::Failure => assert!(
                self.name == Name::Inconsistent || (!self.runs_new && self.name == Name::Old),
                "failure reported, but {self:?}"
            ),
        }
        // Storage that refuses a failure's record forgets it: the deployment then goes on after a restart, and what is
        // reported in the end is right all the same.
        assert!(
            self.storage_failed || self.verdict.is_none_or(|v| v == verdict),
            "two verdicts: {self:?}"
        );
        self.verdict = Some(verdict);
    }
}

/// Everything that can follow from here by one action: it works, it fails without effect, it works but is said to have
/// failed, power is lost before it or after it.
fn successors(module: Traits, limit: u8, machine: &Machine, world: &World) -> Vec<(Option<Machine>, World)> {
    let mut out = Vec::new();
    let mut after = *world;
    let action = machine.action();
    let mut go_on = |world: World, event: Event| {
        let mut next = machine.clone();
        next.handle(event);
        out.push((Some(next), world));
    };
    let mut refused = *world;
    refused.storage_failed = true;
    match action {
        Action::End(_) => return out,
        Action::Report(_) | Action::CommitGate => {
            go_on(*world, Event::Done);
            go_on(*world, Event::Failed);
            go_on(*world, Event::Aborted);
        }
        Action::Download => {
            go_on(*world, Event::Done);
            go_on(*world, Event::Failed);
        }
        Action::StoreDeployment => {
            after.deployment_record = true;
            go_on(after, Event::Done);
            go_on(refused, Event::Failed);
        }
        Action::StoreState(state) => {
            after.state_record = Some((state, machine.transitions()));
            after.touched |= matches!(state, StoredState::Install | StoredState::Reboot);
            go_on(after, Event::Done);
            go_on(refused, Event::Failed);
        }
        Action::StoreInstalled => {
            (after.installed, after.name) = (true, Name::New);
            go_on(after, Event::Done);
            go_on(refused, Event::Failed);
        }
        Action::MarkInconsistent => {
            assert!(
                world.touched || world.storage_failed || machine.transitions() > limit,
                "nothing is active before `install`, but the name is marked: {world:?}"
            );
            after.name = Name::Inconsistent;
            go_on(after, Event::Done);
        }
        Action::Call(callback) => {
            let effect = after.call(module, callback);
            go_on(after, effect);
            // `failure` that fails without having done its work leaves a swap requested; it says so in the log.
            if callback != CallbackState::Failure {
                go_on(*world, Event::Failed);
            }
            go_on(after, Event::Failed);
        }
        Action::ReportVerdict(verdict) | Action::Deliver(verdict) => {
            after.told(verdict);
            go_on(after, Event::Done);
            go_on(after, Event::Aborted);
            go_on(*world, Event::Failed);
            go_on(after, Event::Failed);
        }
        Action::UploadLog => go_on(*world, Event::Done),
        Action::AwaitRestart => {}
    }
    for mut world in [*world, after] {
        world.boot();
        let machine = if world.deployment_record {
            Machine::resume(world.stored(), module, limit)
        } else {
            None
        };
        out.push((machine, world));
    }
    out
}

/// Walks through every state that machine, storage and device can reach together.
fn explore(module: Traits, limit: u8) -> usize {
    let start = World {
        runs_new: false,
        confirmed: true,
        request: None,
        name: Name::Old,
        deployment_record: false,
        state_record: None,
        installed: false,
        touched: false,
        verdict: None,
        storage_failed: false,
    };
    let mut seen = HashSet::new();
    let mut open = vec![(Some(Machine::start(module, limit)), start)];
    let mut ends = HashSet::new();
    while let Some((machine, world)) = open.pop() {
        if !seen.insert((machine.clone(), world)) {
            continue;
        }
        let Some(machine) = machine else { continue };
        if let Action::End(verdict) = machine.action() {
            ends.insert(verdict);
        }
        open.extend(successors(module, limit, &machine, &world));
    }
    assert_eq!(ends.len(), 2, "both verdicts can be reached");
    seen.len()
}

#[test]
fn no_path_reports_what_is_not_so() {
    assert!(explore(REBOOT_AND_ROLLBACK, 9) > 1000);
    assert!(explore(REBOOT_ONLY, 9) > 500);
    assert!(explore(ROLLBACK_ONLY, 9) > 500);
    assert!(explore(NO_REBOOT, 9) > 200);
}

#[test]
fn a_callback_that_restarts_the_device_each_time_meets_the_limit() {
    for culprit in CallbackState::ALL {
        for failing in [
            None,
            Some(CallbackState::Install),
            Some(CallbackState::VerifyReboot),
            Some(CallbackState::Commit),
        ] {
            let limit = DEFAULT_TRANSITION_LIMIT;
            let number = DeploymentNumber::new(1);
            let (mut written, mut installed) = (None, DeploymentNumber::new(0));
            let mut machine = Machine::start(REBOOT_AND_ROLLBACK, limit);
            let mut restarts = 0;
            loop {
                let restart = match machine.action() {
                    Action::End(_) => break,
                    Action::AwaitRestart => true,
                    Action::Call(callback) => callback == culprit,
                    _ => false,
                };
                if restart {
                    restarts += 1;
                    assert!(restarts <= 2 * usize::from(limit), "{culprit:?} restarts for ever");
                    let stored = record::stored(number, installed, written.map(Ok));
                    machine = Machine::resume(stored, REBOOT_AND_ROLLBACK, limit).expect("under way");
                    continue;
                }
                let mut event = Event::Done;
                match machine.action() {
                    Action::StoreState(state) => {
                        written = Some(StateRecord {
                            number,
                            state,
                            transitions: machine.transitions(),
                        });
                    }
                    Action::StoreInstalled => installed = number,
                    Action::Call(callback) if failing == Some(callback) => event = Event::Failed,
                    _ => {}
                }
                machine.handle(event);
            }
        }
    }
}

#[test]
fn an_unreadable_state_is_rolled_back_and_reported() {
    let machine = Machine::resume(Stored::Unreadable, REBOOT_AND_ROLLBACK, 28).expect("under way");
    assert_eq!(machine.state(), State::Rollback);
    let mut machine = Machine::resume(Stored::Unreadable, NO_REBOOT, 28).expect("under way");
    machine.handle(Event::Done);
    assert_eq!(
        machine.action(),
        Action::StoreState(StoredState::Failure(Software::Inconsistent))
    );
}
