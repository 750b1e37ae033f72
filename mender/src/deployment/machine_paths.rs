//! The machine alone: every path through failures and power cuts, and whether what is reported is so.

extern crate std;

use std::collections::HashSet;
use std::vec;
use std::vec::Vec;

use super::super::record::{self, DeploymentNumber, StateRecord};
use super::tests::{NO_REBOOT, REBOOT_AND_ROLLBACK, REBOOT_ONLY, ROLLBACK_ONLY};
use super::*;
use crate::update_module::CallbackState;

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

/// How a module says what it is.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Before its `install`.
    at_first: Traits,
    /// Later, and after a restart of the client.
    really: Traits,
    /// What it restarts is not the device.
    in_place: bool,
}

impl Kind {
    /// The table says all.
    const fn table(module: Traits) -> Kind {
        Kind {
            at_first: module,
            really: module,
            in_place: false,
        }
    }

    /// Only `install` shows that a restart is needed.
    const fn late(module: Traits) -> Kind {
        Kind {
            at_first: Traits {
                requires_reboot: false,
                ..module
            },
            really: module,
            in_place: false,
        }
    }

    const fn in_place(self) -> Kind {
        Kind { in_place: true, ..self }
    }

    fn says(self, callback: CallbackState) -> Option<Late> {
        match callback {
            CallbackState::Install if self.really != self.at_first => Some(Late::NeedsReboot),
            CallbackState::Reboot | CallbackState::RollbackReboot if self.in_place => Some(Late::Restarted),
            _ => None,
        }
    }
}

/// Everything that can follow from here by one action: it works, it fails without effect, it works but is said to have
/// failed, power is lost before it or after it.
fn successors(kind: Kind, limit: u8, machine: &Machine, world: &World) -> Vec<(Option<Machine>, World)> {
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
            match after.call(kind.really, callback) {
                Event::Done => {
                    let mut restarted = after;
                    if kind.says(callback) == Some(Late::Restarted) {
                        restarted.boot();
                    }
                    let mut next = machine.clone();
                    match kind.says(callback) {
                        Some(late) => next.answered(late),
                        None => next.handle(Event::Done),
                    }
                    out.push((Some(next), restarted));
                }
                event @ (Event::Failed | Event::Aborted) => go_on(after, event),
            }
            let mut go_on = |world: World, event: Event| {
                let mut next = machine.clone();
                next.handle(event);
                out.push((Some(next), world));
            };
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
            Machine::resume(world.stored(), kind.really, limit)
        } else {
            None
        };
        out.push((machine, world));
    }
    out
}

/// Walks through every state that machine, storage and device can reach together.
fn explore(kind: Kind, limit: u8) -> usize {
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
    let mut open = vec![(Some(Machine::start(kind.at_first, limit)), start)];
    let mut ends = HashSet::new();
    while let Some((machine, world)) = open.pop() {
        if !seen.insert((machine.clone(), world)) {
            continue;
        }
        let Some(machine) = machine else { continue };
        if let Action::End(verdict) = machine.action() {
            ends.insert(verdict);
        }
        open.extend(successors(kind, limit, &machine, &world));
    }
    assert_eq!(ends.len(), 2, "both verdicts can be reached");
    seen.len()
}

#[test]
fn no_path_reports_what_is_not_so() {
    assert!(explore(Kind::table(REBOOT_AND_ROLLBACK), 9) > 1000);
    assert!(explore(Kind::table(REBOOT_ONLY), 9) > 500);
    assert!(explore(Kind::table(ROLLBACK_ONLY), 9) > 500);
    assert!(explore(Kind::table(NO_REBOOT), 9) > 200);
}

#[test]
fn no_path_reports_what_is_not_so_if_install_shows_that_a_restart_is_needed() {
    assert!(explore(Kind::late(REBOOT_AND_ROLLBACK), 9) > 1000);
    assert!(explore(Kind::late(REBOOT_ONLY), 9) > 500);
}

#[test]
fn no_path_reports_what_is_not_so_if_the_device_is_not_what_restarts() {
    for module in [REBOOT_AND_ROLLBACK, REBOOT_ONLY] {
        assert!(explore(Kind::table(module).in_place(), 9) > 500);
        assert!(explore(Kind::late(module).in_place(), 9) > 500);
    }
}
