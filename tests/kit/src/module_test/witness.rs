//! What happens in a deployment, written down; and what is made to happen: the module's adapter, the device.

use std::cell::RefCell;

use mender::UpdateModule;
use mender::client::{Device, Event};
use mender::deployment::State;
use mender::update_module::{CallbackState, Descriptor, Failure, Payload};

use super::board::{Board, Seen, shown};
use super::scenario::{Callback, Disturbance, Scenario, Times, What, When};
use super::violation::Broken;
use crate::network::{SharedServer, lock};
use crate::server::{DeploymentId, Effect, Fault};
use crate::time::VirtualClock;

/// The path of status reports.
const REPORTS: &str = "/api/devices/v1/deployments/device/deployments/";

/// What has happened so far, and where the deployment stands.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) events: Vec<String>,
    pub(super) state: Option<State>,
    pub(super) callback: Option<Callback>,
    /// The module is at work right now.
    pub(super) in_callback: bool,
    /// `install` has begun, or would have if the module listed it.
    pub(super) installing: bool,
    /// The server had nothing to do, since this was last set to `false`.
    pub(super) idle: bool,
    pub(super) inventory_sent: bool,
    pub(super) broken: Option<Broken>,
    /// Which disturbances have struck.
    struck: Vec<bool>,
}

/// What all parts of one simulated device share for one deployment.
pub(super) struct Stage<'t, const WRITE: usize, const SECTOR: usize> {
    pub(super) board: Board<WRITE, SECTOR>,
    pub(super) clock: VirtualClock,
    pub(super) server: SharedServer,
    pub(super) trace: RefCell<Trace>,
    /// What goes wrong; `None` from when nothing more may.
    pub(super) scenario: RefCell<Option<&'t Scenario>>,
    pub(super) deployment: RefCell<DeploymentId>,
    pub(super) look: &'t dyn Fn(&Board<WRITE, SECTOR>) -> Box<dyn Seen>,
    pub(super) old: &'t dyn Seen,
}

impl<const WRITE: usize, const SECTOR: usize> Stage<'_, WRITE, SECTOR> {
    pub(super) fn note(&self, event: impl Into<String>) {
        let at = self.clock.elapsed().as_secs_f64();
        let line = format!("{at:>10.1} s  {}", event.into());
        self.trace.borrow_mut().events.push(line);
    }

    pub(super) fn break_off(&self, broken: Broken) {
        self.trace.borrow_mut().broken.get_or_insert(broken);
    }

    /// Nothing may be active before `install`.
    pub(super) fn check_not_active(&self, runs: &dyn Seen) {
        if !self.trace.borrow().installing && !runs.is(self.old) {
            self.break_off(Broken::ActiveTooEarly {
                runs: shown(runs),
                expected: shown(self.old),
            });
        }
    }

    /// What the scenario has for this callback.
    fn disturbance(&self, callback: Callback) -> Option<(When, What)> {
        let scenario = (*self.scenario.borrow())?;
        let mut trace = self.trace.borrow_mut();
        trace.struck.resize(scenario.disturbances.len(), false);
        for (disturbance, struck) in scenario.disturbances.iter().zip(&mut trace.struck) {
            if let Disturbance::Callback {
                callback: on,
                when,
                what,
                times,
            } = disturbance
                && *on == callback
                && (*times == Times::Always || !*struck)
            {
                *struck = true;
                return Some((*when, *what));
            }
        }
        None
    }

    /// The deployment enters a state: operator and server do their part.
    fn entered(&self, state: State) {
        {
            let mut trace = self.trace.borrow_mut();
            trace.state = Some(state);
            // A rollback may come without an install, but from here on it is the module's business what is active.
            trace.installing |= !matches!(state, State::Download | State::Install);
        }
        let Some(scenario) = *self.scenario.borrow() else {
            return;
        };
        let mut server = lock(&self.server);
        for disturbance in &scenario.disturbances {
            match disturbance {
                Disturbance::Abort { entering } if *entering == state => {
                    server.abort(&self.deployment.borrow(), self.clock.date());
                }
                Disturbance::RefuseCommit if state == State::Commit => {
                    server.inject(Fault::new(Effect::Status(400)).on_path(REPORTS).on_method("PUT"));
                }
                Disturbance::RefuseCommit => server.clear_faults(),
                Disturbance::DamagePayload | Disturbance::BreakDownload
                    if matches!(state, State::Cleanup | State::Failure) =>
                {
                    server.clear_faults();
                }
                Disturbance::Abort { .. }
                | Disturbance::DamagePayload
                | Disturbance::BreakDownload
                | Disturbance::Callback { .. } => {}
            }
        }
    }
}

/// The device of the client under test.
pub(super) struct Witness<'s, 't, const WRITE: usize, const SECTOR: usize>(pub(super) &'s Stage<'t, WRITE, SECTOR>);

/// The identity of the simulated device.
pub(super) const MAC: &str = "02:00:5e:10:00:01";

impl<const WRITE: usize, const SECTOR: usize> Device for Witness<'_, '_, WRITE, SECTOR> {
    fn identity(&self) -> &[(&str, &str)] {
        &[("mac", MAC)]
    }

    async fn restart(&self) {
        // The client does this when a module's restart did not come.
        self.0.break_off(Broken::NoRestart);
    }

    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Progress { .. } => {}
            Event::NoUpdate => {
                self.0.trace.borrow_mut().idle = true;
                self.0.note("the server has no update");
            }
            Event::InventorySent { .. } => {
                self.0.trace.borrow_mut().inventory_sent = true;
                self.0.note("inventory sent");
            }
            Event::Entered(state) => {
                self.0.note(format!("state {}", state.name()));
                self.0.entered(state);
            }
            Event::Offered { artifact_name, .. } => self.0.note(format!("the server offers {artifact_name}")),
            Event::Resumed { state, .. } => self.0.note(format!("the deployment goes on in {}", state.name())),
            Event::Status { status, stored: true } => self.0.note(format!("reported: {status}")),
            Event::Status { status, stored: false } => self.0.note(format!("reported, but not taken: {status}")),
            other => self.0.note(format!("{other:?}")),
        }
    }
}

/// The module under test, with an eye on each call and a hand in some.
pub(super) struct Adapter<'s, 't, M, const WRITE: usize, const SECTOR: usize> {
    pub(super) module: M,
    pub(super) stage: &'s Stage<'t, WRITE, SECTOR>,
}

impl<M: UpdateModule, const WRITE: usize, const SECTOR: usize> Adapter<'_, '_, M, WRITE, SECTOR> {
    /// Before the module's own code; an error takes its place.
    async fn before(&mut self, callback: Callback, disturbance: Option<(When, What)>) -> Result<(), Failure> {
        if callback == Callback::State(CallbackState::Install) {
            self.stage.check_not_active(&*(self.stage.look)(&self.stage.board));
            self.stage.trace.borrow_mut().installing = true;
        }
        {
            let mut trace = self.stage.trace.borrow_mut();
            trace.callback = Some(callback);
            trace.in_callback = true;
        }
        self.stage.note(format!("callback {callback}"));
        match disturbance {
            Some((When::AtOnce, what)) => self.strike(callback, what).await,
            Some((When::AtEnd, _)) | None => Ok(()),
        }
    }

    /// After it.
    async fn after(
        &mut self,
        callback: Callback,
        result: Result<(), Failure>,
        disturbance: Option<(When, What)>,
    ) -> Result<(), Failure> {
        if let Err(failure) = &result {
            self.stage.note(format!("callback {callback} failed: {failure}"));
        }
        if let Some(error) = self.stage.board.broken_rule() {
            self.stage.break_off(Broken::Flash(error));
        }
        if self.stage.board.reset().is_pulled() {
            // The board restarts; no code runs any more.
            std::future::pending::<()>().await;
        }
        let result = match disturbance {
            Some((When::AtEnd, what)) if result.is_ok() => self.strike(callback, what).await,
            Some(_) | None => result,
        };
        self.stage.trace.borrow_mut().in_callback = false;
        result
    }

    async fn strike(&mut self, callback: Callback, what: What) -> Result<(), Failure> {
        match what {
            What::Fail => {
                self.stage.note(format!("callback {callback} fails on purpose"));
                Err(Failure::new("failed on purpose"))
            }
            What::Reset => {
                self.stage.note("reset on purpose");
                self.stage.board.reset().pull();
                std::future::pending().await
            }
        }
    }
}

impl<M: UpdateModule, const WRITE: usize, const SECTOR: usize> UpdateModule for Adapter<'_, '_, M, WRITE, SECTOR> {
    const DESCRIPTOR: Descriptor = M::DESCRIPTOR;

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        let disturbance = self.stage.disturbance(Callback::Download);
        let result = match self.before(Callback::Download, disturbance).await {
            Ok(()) => self.module.download(payload).await,
            Err(failure) => Err(failure),
        };
        self.after(Callback::Download, result, disturbance).await
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        let callback = Callback::State(state);
        let disturbance = self.stage.disturbance(callback);
        let result = match self.before(callback, disturbance).await {
            Ok(()) => self.module.call(state).await,
            Err(failure) => Err(failure),
        };
        self.after(callback, result, disturbance).await
    }
}
