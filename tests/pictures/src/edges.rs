//! The transitions of the state machine, found by playing it: whatever its actions are answered with, for all kinds of modules.

use std::collections::{BTreeMap, HashSet};

use mender::deployment::{Action, DEFAULT_TRANSITION_LIMIT, Event, Machine, Stored, StoredState};
use mender::update_module::{CallbackState, Traits};

/// How the machine comes from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// All went well.
    Well,
    /// Something failed, or the deployment was aborted.
    Failed,
    /// The device restarted, as it was asked to.
    Restarted,
    /// There were too many transitions, whatever happened.
    Limit,
}

/// For which modules a transition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// Some of those that require a reboot.
    pub with_reboot: bool,
    /// Some of those that do not.
    pub without_reboot: bool,
}

/// From where, to where: how, and for which modules.
pub type Edges = BTreeMap<(&'static str, &'static str), BTreeMap<Way, Modules>>;

/// All of them.
pub fn edges() -> Edges {
    let mut edges = Edges::new();
    for (requires_reboot, supports_rollback) in [(true, true), (true, false), (false, true), (false, false)] {
        let module = Traits {
            requires_reboot,
            supports_rollback,
        };
        let mut seen = HashSet::new();
        let mut open = vec![Machine::start(module, DEFAULT_TRANSITION_LIMIT)];
        while let Some(machine) = open.pop() {
            if !seen.insert(machine.clone()) {
                continue;
            }
            for (way, next) in successors(&machine, module) {
                if next.state() != machine.state() {
                    let ways = edges.entry((machine.state().name(), next.state().name())).or_default();
                    let modules = ways.entry(way).or_default();
                    modules.with_reboot |= requires_reboot;
                    modules.without_reboot |= !requires_reboot;
                }
                open.push(next);
            }
        }
    }
    edges
}

fn successors(machine: &Machine, module: Traits) -> Vec<(Way, Machine)> {
    let after = |way, event| {
        let mut next = machine.clone();
        next.handle(event);
        (way, next)
    };
    let (done, failed) = (after(Way::Well, Event::Done), after(Way::Failed, Event::Failed));
    let aborted = after(Way::Failed, Event::Aborted);
    let restarted = |state| {
        let transitions = machine.transitions();
        let next = Machine::resume(Stored::State { state, transitions }, module, DEFAULT_TRANSITION_LIMIT);
        next.map(|next| (Way::Restarted, next))
    };
    let mut successors = match machine.action() {
        Action::End(_) => Vec::new(),
        // Any event means that the restart did not come.
        Action::AwaitRestart => vec![(Way::Failed, done.1)],
        _ => vec![done, failed, aborted],
    };
    match machine.action() {
        Action::Call(CallbackState::Reboot) => successors.extend(restarted(StoredState::Reboot)),
        Action::Call(CallbackState::RollbackReboot) => successors.extend(restarted(StoredState::RollbackReboot)),
        _ => {}
    }
    for (way, next) in &mut successors {
        if next.transitions() >= DEFAULT_TRANSITION_LIMIT {
            *way = Way::Limit;
        }
    }
    successors
}
