//! What is known already, so that nothing is played twice.
//!
//! What a board does from the moment its firmware starts follows from what survives a restart (flash with its written words,
//! files), from the server, from the time, and from what the scenario still has in store; nothing else is handed to the
//! client or the module. The server follows from what it was at the beginning and from the requests since, with their
//! times: see [`SimNetwork::history`](crate::network::SimNetwork). A [`StateKey`] is all of this but the scenario. So:
//!
//! - two starts of the firmware with equal keys, in one scenario and with equal [`Progress`](super::witness::Progress),
//!   have the same future: if it was seen to end well, it is not played again ([`Known::ends_well`]). A power cut within
//!   a bootloader that finishes what it began, or within a download that begins anew, soon leads there;
//! - a single run of the firmware, from its start to the next reset, is the same in another scenario too, unless that
//!   has something in store for a callback or a state that was met in this run: then its end is taken from the memory
//!   ([`Known::replay`]). So the prefixes that scenarios share are played once.
//!
//! Flash, files and requests are compared by 64-bit digests.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::board::Board;
use super::play::{Goal, RunEnd};
use super::witness::{Footprint, Progress, Stage};
use crate::network::lock;
use crate::server::Server;

/// All that the future depends on, but the scenario.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StateKey {
    board: u64,
    server: u64,
    elapsed: Duration,
    progress: Progress,
    /// What the client has told already, and until what it runs.
    goal: (bool, bool, Option<Goal>),
}

impl StateKey {
    /// Of a firmware that is about to start.
    pub(super) fn of<const WRITE: usize, const SECTOR: usize>(
        stage: &Stage<'_, WRITE, SECTOR>,
        goal: Goal,
    ) -> StateKey {
        let trace = stage.trace();
        StateKey {
            board: stage.board.digest(),
            server: stage.network.history(),
            elapsed: stage.clock.elapsed(),
            progress: trace.progress,
            goal: (trace.idle, trace.inventory_sent, Some(goal)),
        }
    }

    /// Of a board that has no power.
    pub(super) fn without_power(board: u64, server: u64, elapsed: Duration, progress: Progress) -> StateKey {
        StateKey {
            board,
            server,
            elapsed,
            progress,
            goal: (false, false, None),
        }
    }

    /// The same for any scenario that does not interfere.
    fn of_any_scenario(&self) -> StateKey {
        StateKey {
            progress: Progress {
                installing: self.progress.installing,
                ..Progress::default()
            },
            ..self.clone()
        }
    }
}

/// How a run of the firmware in which no disturbance struck left everything.
struct Leg<const WRITE: usize, const SECTOR: usize> {
    board: Board<WRITE, SECTOR>,
    server: Arc<Server>,
    history: u64,
    elapsed: Duration,
    installing: bool,
    /// The deployment is over; the inventory was sent.
    told: (bool, bool),
    footprint: Footprint,
    end: RunEnd,
}

/// Runs of the firmware, of all scenarios that begin on one bench.
pub(super) struct Legs<const WRITE: usize, const SECTOR: usize>(RefCell<HashMap<StateKey, Leg<WRITE, SECTOR>>>);

impl<const WRITE: usize, const SECTOR: usize> Legs<WRITE, SECTOR> {
    pub(super) fn new() -> Self {
        Legs(RefCell::new(HashMap::new()))
    }
}

/// Starts of the firmware, in one scenario, that were followed to a good end.
#[derive(Default)]
pub(super) struct Endings(RefCell<HashSet<StateKey>>);

impl Endings {
    pub(super) fn add(&self, trail: Vec<StateKey>) {
        self.0.borrow_mut().extend(trail);
    }
}

/// What a player may look up.
pub(super) struct Known<'k, const WRITE: usize, const SECTOR: usize> {
    pub(super) endings: &'k Endings,
    /// `None` where each run of the firmware has to be seen.
    pub(super) legs: Option<&'k Legs<WRITE, SECTOR>>,
}

impl<const WRITE: usize, const SECTOR: usize> Clone for Known<'_, WRITE, SECTOR> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<const WRITE: usize, const SECTOR: usize> Copy for Known<'_, WRITE, SECTOR> {}

impl<const WRITE: usize, const SECTOR: usize> Known<'_, WRITE, SECTOR> {
    pub(super) fn ends_well(&self, key: &StateKey) -> bool {
        self.endings.0.borrow().contains(key)
    }

    /// Puts everything into the state in which a run of the firmware from here ends, if that is known.
    pub(super) fn replay(&self, key: &StateKey, stage: &Stage<'_, WRITE, SECTOR>) -> Option<RunEnd> {
        let legs = self.legs?.0.borrow();
        let leg = legs.get(&key.of_any_scenario())?;
        if stage.would_disturb(leg.footprint) {
            return None;
        }
        stage.board.take_over(&leg.board);
        lock(&stage.server).clone_from(&leg.server);
        stage.network.set_history(leg.history);
        stage.clock.jump_to(leg.elapsed);
        let mut trace = stage.trace();
        trace.progress.installing = leg.installing;
        (trace.idle, trace.inventory_sent) = leg.told;
        trace.in_callback = false;
        Some(leg.end)
    }

    /// Remembers a run of the firmware that has just ended.
    pub(super) fn learn(&self, key: &StateKey, stage: &Stage<'_, WRITE, SECTOR>, end: RunEnd) {
        let Some(legs) = self.legs else { return };
        let trace = stage.trace();
        if trace.footprint.disturbed || key.progress.hindered || end == RunEnd::PowerLost {
            return;
        }
        let leg = Leg {
            board: stage.board.fork(),
            server: Arc::new(lock(&stage.server).clone()),
            history: stage.network.history(),
            elapsed: stage.clock.elapsed(),
            installing: trace.progress.installing,
            told: (trace.idle, trace.inventory_sent),
            footprint: trace.footprint,
            end,
        };
        legs.0.borrow_mut().insert(key.of_any_scenario(), leg);
    }
}
