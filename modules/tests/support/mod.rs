//! Drives a module as the client does, with the client's own state machine, through restarts at any place.
//!
//! What the client keeps in storage is kept in variables here: only the module's own steps are cut.

use std::fmt::Write;

use mender::deployment::{Action, DEFAULT_TRANSITION_LIMIT, Event, Machine, Stored, StoredState, Traits, Verdict};
use mender::update_module::{CallbackState, Payload, UpdateModule};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

/// What a module runs on, and what happens to it.
pub trait Surroundings {
    /// The module.
    type Module: UpdateModule;

    /// The program starts: the module knows nothing but what is stored.
    fn start(&mut self) -> Self::Module;

    /// The program ends and will start again, because it wanted so or because it is [down](Surroundings::is_down). `false`: this
    /// run is beyond what can be tested.
    fn restart(&mut self) -> bool;

    /// Whether the program was cut short; nothing that it did since counts.
    fn is_down(&self) -> bool;

    /// What the server offers.
    fn payload(&self) -> MemoryPayload;

    /// What becomes of an action that went like this.
    fn answer(&mut self, action: Action, event: Event) -> Event {
        let _ = action;
        event
    }
}

/// How a deployment ended.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub inconsistent: bool,
    /// The module's states in order, with the texts of their errors.
    pub log: String,
}

impl Outcome {
    /// Whether success was reported.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.verdict == Verdict::Success
    }
}

#[derive(Default)]
struct Storage {
    deployment: bool,
    state: Option<(StoredState, u8)>,
    committed: bool,
    inconsistent: bool,
}

impl Storage {
    fn resume(&self, traits: Traits) -> Option<Machine> {
        let stored = match self.state {
            None if !self.deployment => return Some(Machine::start(traits, DEFAULT_TRANSITION_LIMIT)),
            None => Stored::Downloaded,
            Some((StoredState::Commit, transitions)) if self.committed => Stored::Committed { transitions },
            Some((state, transitions)) => Stored::State { state, transitions },
        };
        Machine::resume(stored, traits, DEFAULT_TRANSITION_LIMIT)
    }
}

/// One deployment to its end; `None` if [`Surroundings::restart`] gave it up.
pub fn deploy<S: Surroundings>(surroundings: &mut S) -> Option<Outcome> {
    let mut storage = Storage::default();
    let mut log = String::new();
    for _ in 0..80 {
        let mut module = surroundings.start();
        if let Some(verdict) = run(surroundings, &mut module, &mut storage, &mut log) {
            let inconsistent = storage.inconsistent;
            return Some(Outcome {
                verdict,
                inconsistent,
                log,
            });
        }
        log += "(start) ";
        if !surroundings.restart() {
            return None;
        }
    }
    panic!("no end: {log}");
}

/// Until the end, or `None` for a restart.
fn run<S: Surroundings>(
    surroundings: &mut S,
    module: &mut S::Module,
    storage: &mut Storage,
    log: &mut String,
) -> Option<Verdict> {
    let table = S::Module::DESCRIPTOR;
    let traits = Traits {
        requires_reboot: table.requires_reboot,
        supports_rollback: table.supports_rollback,
    };
    let mut machine = storage.resume(traits).expect("an ended deployment is not started");
    loop {
        let action = machine.action();
        let done = match action {
            Action::End(verdict) => return Some(verdict),
            Action::AwaitRestart => return None,
            Action::Download => {
                let mut source = surroundings.payload();
                let mut payload = Payload::new(&mut source);
                let result = block_on(async {
                    module.download(&mut payload).await?;
                    Ok(payload.finish().await?)
                });
                note(log, "download", result)
            }
            Action::Call(state) if table.states.contains(state) => {
                note(log, state.name(), block_on(module.call(state)))
            }
            Action::StoreDeployment => {
                storage.deployment = true;
                true
            }
            Action::StoreState(state) => {
                storage.state = Some((state, machine.transitions()));
                true
            }
            Action::StoreInstalled => {
                storage.committed = true;
                true
            }
            Action::MarkInconsistent => {
                storage.inconsistent = true;
                true
            }
            Action::Call(
                CallbackState::Install
                | CallbackState::Reboot
                | CallbackState::VerifyReboot
                | CallbackState::Commit
                | CallbackState::Cleanup
                | CallbackState::Rollback
                | CallbackState::RollbackReboot
                | CallbackState::RollbackVerifyReboot
                | CallbackState::Failure,
            )
            | Action::Report(_)
            | Action::CommitGate
            | Action::ReportVerdict(_)
            | Action::Deliver(_)
            | Action::UploadLog => true,
        };
        if surroundings.is_down() {
            return None;
        }
        let event = if done { Event::Done } else { Event::Failed };
        machine.handle(surroundings.answer(action, event));
    }
}

fn note(log: &mut String, name: &str, result: Result<(), mender::update_module::Failure>) -> bool {
    *log += name;
    if let Err(failure) = &result {
        write!(log, " ({failure})").expect("a string takes all");
    }
    log.push(' ');
    result.is_ok()
}
