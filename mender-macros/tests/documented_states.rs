//! The table of states in the attribute's documentation, held against the client's state machine: every cell that says what
//! follows names just the states that do follow, over all kinds of modules.

use std::collections::BTreeSet;

use mender::deployment::{Action, Event, Machine, Stored, StoredState, Traits};
use mender::update_module::CallbackState;

const DOCUMENTATION: &str = include_str!("../src/lib.rs");
const LIMIT: u8 = 100;

/// A deployment on its way to a callback, and what storage knows of it.
#[derive(Clone)]
struct Deployment {
    machine: Machine,
    module: Traits,
    downloaded: bool,
    stored: Option<StoredState>,
    committed: bool,
}

impl Deployment {
    fn start(module: Traits) -> Deployment {
        Deployment {
            machine: Machine::start(module, LIMIT),
            module,
            downloaded: false,
            stored: None,
            committed: false,
        }
    }

    fn restart(&mut self) -> bool {
        let stored = match self.stored {
            None if !self.downloaded => return false,
            None => Stored::Downloaded,
            Some(StoredState::Commit) if self.committed => Stored::Committed { transitions: 0 },
            Some(state) => Stored::State { state, transitions: 0 },
        };
        match Machine::resume(stored, self.module, LIMIT) {
            Some(machine) => self.machine = machine,
            None => return false,
        }
        true
    }

    /// Goes on until a module's method is due, and gives the state's name; `None` at the end.
    fn next_call(&mut self) -> Option<&'static str> {
        loop {
            match self.machine.action() {
                Action::Download => return Some("download"),
                Action::Call(state) => return Some(state.name()),
                Action::End(_) => return None,
                Action::StoreDeployment => self.downloaded = true,
                Action::StoreState(state) => self.stored = Some(state),
                Action::StoreInstalled => self.committed = true,
                Action::AwaitRestart => {
                    assert!(self.restart());
                    continue;
                }
                Action::Report(_)
                | Action::CommitGate
                | Action::MarkInconsistent
                | Action::ReportVerdict(_)
                | Action::Deliver(_)
                | Action::UploadLog => {}
            }
            self.machine.handle(Event::Done);
        }
    }

    fn after(mut self, event: Event) -> Option<&'static str> {
        self.machine.handle(event);
        self.next_call()
    }

    fn after_power_cut(mut self) -> Option<&'static str> {
        if self.restart() {
            self.next_call()
        } else {
            Some("download")
        }
    }
}

/// Every deployment that stands at `state`: with and without a reboot, and whatever may have failed before.
fn deployments_at(state: &str, supports_rollback: bool) -> Vec<Deployment> {
    let mut found = Vec::new();
    for requires_reboot in [false, true] {
        let module = Traits {
            requires_reboot,
            supports_rollback,
        };
        let failures = [None, Some("download")]
            .into_iter()
            .chain(CallbackState::ALL.map(|s| Some(s.name())));
        for failing in failures {
            let mut deployment = Deployment::start(module);
            for _ in 0..20 {
                match deployment.next_call() {
                    None => break,
                    Some(name) if name == state => {
                        found.push(deployment);
                        break;
                    }
                    Some(name) => {
                        let event = if failing == Some(name) {
                            Event::Failed
                        } else {
                            Event::Done
                        };
                        deployment.machine.handle(event);
                    }
                }
            }
        }
    }
    found
}

/// The state names in a cell.
fn names_in(cell: &str) -> BTreeSet<&str> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| is_state(word))
        .collect()
}

fn is_state(word: &str) -> bool {
    word == "download" || CallbackState::ALL.iter().any(|state| state.name() == word)
}

#[test]
fn the_table_of_states_says_what_the_client_does() {
    let mut documented = Vec::new();
    for line in DOCUMENTATION.lines() {
        let Some(row) = line.strip_prefix("/// | `") else {
            continue;
        };
        let cells: Vec<&str> = row.split(" | ").collect();
        let [state, _, ok, err, cut] = cells[..] else { continue };
        let state = state.trim_end_matches('`');
        if !is_state(state) {
            continue;
        }
        documented.push(state);
        let deployments = deployments_at(state, true);
        assert!(!deployments.is_empty(), "{state} is never reached");
        type Next = fn(Deployment) -> Option<&'static str>;
        let columns: [(&str, &str, Next); 3] = [
            ("after `Ok`", ok, |deployment| deployment.after(Event::Done)),
            ("after `Err`", err, |deployment| deployment.after(Event::Failed)),
            ("after a power cut", cut, Deployment::after_power_cut),
        ];
        for (column, cell, next) in columns {
            let real: BTreeSet<&str> = deployments.iter().cloned().filter_map(next).collect();
            assert_eq!(names_in(cell), real, "{state}, {column}: {cell}");
        }
    }
    let mut all = vec!["download"];
    all.extend(CallbackState::ALL.map(CallbackState::name));
    assert_eq!(documented.len(), all.len(), "{documented:?}");
    assert!(all.iter().all(|state| documented.contains(state)));
}

/// The sentence below the table.
#[test]
fn without_support_for_it_a_rollback_is_a_failure() {
    assert!(DOCUMENTATION.contains("Without `supports_rollback` nothing is called where the table says `rollback`"));
    for state in CallbackState::ALL.map(CallbackState::name) {
        for deployment in deployments_at(state, false) {
            let next = [
                deployment.clone().after(Event::Done),
                deployment.clone().after(Event::Failed),
                deployment.after_power_cut(),
            ];
            assert!(
                next.into_iter().flatten().all(|name| !name.starts_with("rollback")),
                "{state}: {next:?}"
            );
        }
    }
    let failing_commit = deployments_at("commit", false).swap_remove(0);
    assert_eq!(failing_commit.after(Event::Failed), Some("failure"));
}

#[test]
fn the_table_of_arguments_lists_every_argument() {
    for argument in [
        "artifact_type",
        "on",
        "requires_reboot",
        "supports_rollback",
        "no_payload",
        "crate",
    ] {
        assert!(
            DOCUMENTATION.contains(&format!("/// | `{argument}")),
            "`{argument}` is not documented"
        );
    }
}
