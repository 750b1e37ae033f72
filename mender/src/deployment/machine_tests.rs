//! The machine alone: mender-mcu's flows, and where each state resumes.

extern crate std;

use std::vec;
use std::vec::Vec;

use super::super::record::{self, DeploymentNumber, StateRecord};
use super::super::step::Progress;
use super::*;
use crate::update_module::CallbackState;

pub(super) const NO_REBOOT: Traits = Traits {
    requires_reboot: false,
    supports_rollback: false,
};
pub(super) const ROLLBACK_ONLY: Traits = Traits {
    requires_reboot: false,
    supports_rollback: true,
};
pub(super) const REBOOT_ONLY: Traits = Traits {
    requires_reboot: true,
    supports_rollback: false,
};
pub(super) const REBOOT_AND_ROLLBACK: Traits = Traits {
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

/// The path of a module whose `install` says that a restart is needed, up to there.
fn up_to_reboot(module: Traits) -> Machine {
    let mut machine = Machine::start(module, 28);
    while machine.action() != Action::Call(CallbackState::Install) {
        machine.handle(Event::Done);
    }
    machine.answered(Late::NeedsReboot);
    machine
}

#[test]
fn a_restart_that_only_install_asks_for_is_stored_before_it_is_reported() {
    let mut machine = up_to_reboot(ROLLBACK_ONLY);
    assert_eq!(machine.state(), State::Reboot);
    assert_eq!(machine.action(), Action::StoreState(StoredState::Reboot));
    machine.handle(Event::Done);
    assert_eq!(machine.action(), Action::Report(Progress::Rebooting));
    // It was stored before `install` if the table says so.
    assert_eq!(
        up_to_reboot(REBOOT_AND_ROLLBACK).action(),
        Action::Report(Progress::Rebooting)
    );
}

#[test]
fn after_a_restart_in_place_the_module_verifies_at_once() {
    use CallbackState::{Reboot, RollbackReboot, RollbackVerifyReboot, VerifyReboot};
    let mut machine = up_to_reboot(ROLLBACK_ONLY);
    let until = |machine: &mut Machine, callback| {
        while machine.action() != Action::Call(callback) {
            assert_ne!(machine.action(), Action::AwaitRestart);
            machine.handle(Event::Done);
        }
    };
    until(&mut machine, Reboot);
    machine.answered(Late::Restarted);
    assert_eq!(machine.action(), Action::StoreState(StoredState::VerifyReboot));
    until(&mut machine, VerifyReboot);
    machine.handle(Event::Failed);
    until(&mut machine, RollbackReboot);
    machine.answered(Late::Restarted);
    assert_eq!(machine.action(), Action::StoreState(StoredState::RollbackVerifyReboot));
    until(&mut machine, RollbackVerifyReboot);
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
