//! What happens in a deployment, written down; and what is made to happen: the module's adapter, the device.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mender::UpdateModule;
use mender::client::{Device, Event};
use mender::deployment::State;
use mender::update_module::{CallbackState, Descriptor, Failure, Payload};

use super::board::{Board, Seen, Shown};
use super::scenario::{Callback, Disturbance, Scenario, Times, What, When};
use super::violation::Broken;
use crate::network::{SharedServer, SimNetwork, lock};
use crate::server::{DeploymentId, Effect, Fault};
use crate::time::VirtualClock;

/// The path of status reports.
const REPORTS: &str = "/api/devices/v1/deployments/device/deployments/";

/// What has happened so far, and where the deployment stands.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// `None` where nobody reads them.
    pub(super) events: Option<Vec<String>>,
    pub(super) state: Option<State>,
    pub(super) callback: Option<Callback>,
    /// The module is at work right now.
    pub(super) in_callback: bool,
    /// The deployment is over: cuts do not count any more.
    pub(super) over: bool,
    /// The server had nothing to do, since this was last set to `false`.
    pub(super) idle: bool,
    pub(super) inventory_sent: bool,
    pub(super) broken: Option<Broken>,
    pub(super) progress: Progress,
    /// What the firmware has done since it started.
    pub(super) footprint: Footprint,
}

/// What of the past matters for what is to come, beside the board and the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Progress {
    /// `install` has begun, or would have if the module listed it.
    pub(super) installing: bool,
    /// Which disturbances have struck: a bit each.
    pub(super) struck: u32,
    /// Server or network are being kept from their work.
    pub(super) hindered: bool,
}

/// Where in one run of the firmware a disturbance could have struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    /// The callbacks that were called: a bit each.
    callbacks: u16,
    /// The states that were entered: a bit each.
    states: u16,
    /// One has struck.
    pub(super) disturbed: bool,
}

impl Footprint {
    const fn of_callback(callback: Callback) -> u16 {
        match callback {
            Callback::Download => 1,
            Callback::State(state) => 2 << state as u16,
        }
    }

    const fn has(self, state: State) -> bool {
        self.states & 1 << state as u16 != 0
    }
}

impl Trace {
    /// One that nobody reads.
    pub(super) fn shared() -> Arc<Mutex<Trace>> {
        Arc::default()
    }

    /// One whose events are kept.
    pub(super) fn telling() -> Arc<Mutex<Trace>> {
        Arc::new(Mutex::new(Trace {
            events: Some(Vec::new()),
            ..Trace::default()
        }))
    }
}

/// What all parts of one simulated device share for one deployment.
pub(super) struct Stage<'t, const WRITE: usize, const SECTOR: usize> {
    pub(super) board: Board<WRITE, SECTOR>,
    pub(super) clock: VirtualClock,
    pub(super) network: SimNetwork,
    pub(super) server: SharedServer,
    pub(super) trace: Arc<Mutex<Trace>>,
    /// What goes wrong; `None` from when nothing more may.
    pub(super) scenario: RefCell<Option<&'t Scenario>>,
    pub(super) deployment: RefCell<DeploymentId>,
    pub(super) look: &'t dyn Fn(&Board<WRITE, SECTOR>) -> Box<dyn Seen>,
    pub(super) old: &'t dyn Seen,
}

/// Locks a trace, also after a callback that held it has panicked.
pub(super) fn read(trace: &Mutex<Trace>) -> MutexGuard<'_, Trace> {
    trace.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<const WRITE: usize, const SECTOR: usize> Stage<'_, WRITE, SECTOR> {
    pub(super) fn trace(&self) -> MutexGuard<'_, Trace> {
        read(&self.trace)
    }

    /// Text is made of it only where somebody reads it.
    pub(super) fn note(&self, event: impl fmt::Display) {
        if self.trace().events.is_none() {
            return;
        }
        let line = format!("{:>10.1} s  {event}", self.clock.elapsed().as_secs_f64());
        if let Some(events) = &mut self.trace().events {
            events.push(line);
        }
    }

    pub(super) fn break_off(&self, broken: Broken) {
        self.trace().broken.get_or_insert(broken);
    }

    /// Nothing may be active before `install`.
    pub(super) fn check_not_active(&self, runs: &dyn Seen) {
        if !self.trace().progress.installing && !runs.is(self.old) {
            self.break_off(Broken::ActiveTooEarly {
                runs: Shown(runs).to_string(),
                expected: Shown(self.old).to_string(),
            });
        }
    }

    /// Whether the scenario would have done something in a run of the firmware that left this footprint.
    pub(super) fn would_disturb(&self, footprint: Footprint) -> bool {
        let Some(scenario) = *self.scenario.borrow() else {
            return false;
        };
        let progress = self.trace().progress;
        let strikes = |(place, disturbance): (usize, &Disturbance)| match disturbance {
            Disturbance::Callback { callback, times, .. } => {
                footprint.callbacks & Footprint::of_callback(*callback) != 0
                    && (*times == Times::Always || progress.struck & 1 << place == 0)
            }
            Disturbance::Abort { entering } => footprint.has(*entering),
            Disturbance::RefuseCommit | Disturbance::LoseServer => footprint.has(State::Commit),
            Disturbance::DamagePayload | Disturbance::BreakDownload => {
                footprint.has(State::Cleanup) || footprint.has(State::Failure)
            }
            // It does not come to a run of the firmware then.
            Disturbance::DeadFirmware { .. } => false,
        };
        // What hinders is taken away at the next state, whichever that is.
        progress.hindered || scenario.disturbances.iter().enumerate().any(strikes)
    }

    /// What the scenario has for this callback.
    fn disturbance(&self, callback: Callback) -> Option<(When, What)> {
        let mut trace = self.trace();
        trace.footprint.callbacks |= Footprint::of_callback(callback);
        let scenario = (*self.scenario.borrow())?;
        for (place, disturbance) in scenario.disturbances.iter().enumerate() {
            if let Disturbance::Callback {
                callback: on,
                when,
                what,
                times,
            } = disturbance
                && *on == callback
                && (*times == Times::Always || trace.progress.struck & 1 << place == 0)
            {
                trace.progress.struck |= 1 << place;
                trace.footprint.disturbed = true;
                return Some((*when, *what));
            }
        }
        None
    }

    /// The deployment enters a state: operator and server do their part.
    fn entered(&self, state: State) {
        let mut trace = self.trace();
        trace.state = Some(state);
        trace.footprint.states |= 1 << state as u16;
        // A rollback may come without an install, but from here on it is the module's business what is active.
        trace.progress.installing |= !matches!(state, State::Download | State::Install);
        let Some(scenario) = *self.scenario.borrow() else {
            return;
        };
        let mut server = lock(&self.server);
        let hindered = trace.progress.hindered;
        let mut act = |what: &str, hindered: bool| {
            self.network.add_to_history(what);
            trace.footprint.disturbed = true;
            trace.progress.hindered = hindered;
        };
        for disturbance in &scenario.disturbances {
            match disturbance {
                Disturbance::Abort { entering } if *entering == state => {
                    act("aborted", false);
                    server.abort(&self.deployment.borrow(), self.clock.date());
                }
                Disturbance::RefuseCommit if state == State::Commit => {
                    act("refuses", true);
                    server.inject(Fault::new(Effect::Status(400)).on_path(REPORTS).on_method("PUT"));
                }
                Disturbance::LoseServer if state == State::Commit => {
                    act("lost", true);
                    server.inject(Fault::new(Effect::LoseRequest).always());
                }
                Disturbance::RefuseCommit | Disturbance::LoseServer if hindered => {
                    act("works", false);
                    server.clear_faults();
                }
                Disturbance::DamagePayload | Disturbance::BreakDownload
                    if matches!(state, State::Cleanup | State::Failure) =>
                {
                    act("works", false);
                    server.clear_faults();
                }
                Disturbance::Abort { .. }
                | Disturbance::RefuseCommit
                | Disturbance::LoseServer
                | Disturbance::DamagePayload
                | Disturbance::BreakDownload
                | Disturbance::DeadFirmware { .. }
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
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        [("mac", MAC)]
    }

    async fn restart(&self) {
        // The client does this when a module's restart did not come.
        self.0.break_off(Broken::NoRestart);
    }

    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Progress { .. } => {}
            Event::NoUpdate => {
                self.0.trace().idle = true;
                self.0.note("the server has no update");
            }
            Event::InventorySent { .. } => {
                self.0.trace().inventory_sent = true;
                self.0.note("inventory sent");
            }
            Event::Entered(state) => {
                self.0.note(format_args!("state {}", state.name()));
                self.0.entered(state);
            }
            Event::Offered { artifact_name, .. } => self.0.note(format_args!("the server offers {artifact_name}")),
            Event::Resumed { state, .. } => self.0.note(format_args!("the deployment goes on in {}", state.name())),
            Event::Status { status, stored: true } => self.0.note(format_args!("reported: {status}")),
            Event::Status { status, stored: false } => self.0.note(format_args!("reported, but not taken: {status}")),
            other => self.0.note(format_args!("{other:?}")),
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
            self.stage.trace().progress.installing = true;
        }
        {
            let mut trace = self.stage.trace();
            trace.callback = Some(callback);
            trace.in_callback = true;
        }
        self.stage.note(format_args!("callback {callback}"));
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
            self.stage.note(format_args!("callback {callback} failed: {failure}"));
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
        self.stage.trace().in_callback = false;
        result
    }

    async fn strike(&mut self, callback: Callback, what: What) -> Result<(), Failure> {
        match what {
            What::Fail => {
                self.stage.note(format_args!("callback {callback} fails on purpose"));
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
