//! Power cuts of one scenario. The scenario is played once; at each operation of the chip or a file, what a cut would leave
//! is set aside: the board, the server, the time. Each case then begins where its power comes back.
//!
//! Cuts that leave the same, to the last bit, are one case: usually a cut after an operation and the one before the next.
//! What is not played because its end is [known](super::memo) is no less certain than what is.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mender::UpdateModule;

use super::bench::Bench;
use super::board::Board;
use super::case::Case;
use super::judge::{Judge, Judged};
use super::memo::{Endings, Known, Legs, StateKey};
use super::play::{Player, Stop};
use super::scenario::Scenario;
use super::violation::{CutMade, Violation};
use super::witness::{Progress, Stage, Trace, read};
use super::{ModuleTest, Summary};
use crate::flash::{CutAt, Observer, PowerCut, Repeat};
use crate::network::{SharedServer, SimNetwork, lock};
use crate::server::Server;
use crate::time::VirtualClock;

/// A bench, and what is known of what follows from it.
pub(super) struct Site<const WRITE: usize, const SECTOR: usize> {
    pub(super) bench: Bench<WRITE, SECTOR>,
    pub(super) legs: Legs<WRITE, SECTOR>,
}

/// What a power cut leaves.
pub(super) struct Remains<const WRITE: usize, const SECTOR: usize> {
    board: Board<WRITE, SECTOR>,
    boots: u32,
    server: Arc<Server>,
    history: u64,
    elapsed: Duration,
    progress: Progress,
    /// The cut, and those before it.
    made: Vec<CutMade>,
}

impl<const WRITE: usize, const SECTOR: usize> Remains<WRITE, SECTOR> {
    fn cuts(&self) -> Vec<PowerCut> {
        self.made.iter().map(|made| made.cut).collect()
    }
}

/// How torn operations are torn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Within {
    pub(super) seed: u64,
    /// So many remains of each.
    pub(super) seeds: u64,
}

impl Within {
    /// The cuts at the operation with this number.
    fn ways(self, operation: u64) -> impl Iterator<Item = CutAt> {
        let within = (0..self.seeds).map(move |number| CutAt::Within {
            seed: (self.seed + number).wrapping_mul(1000).wrapping_add(operation),
        });
        [CutAt::Before].into_iter().chain(within).chain([CutAt::After])
    }
}

/// Which of the different remains are kept.
#[derive(Clone, Debug)]
pub(super) enum Keep {
    None,
    All,
    /// Those with these numbers, in the order in which they come.
    These(HashSet<usize>),
    /// One of them.
    One(Spread),
}

/// What the cuts of a run leave.
struct Tape<const WRITE: usize, const SECTOR: usize> {
    keep: Keep,
    kept: Vec<Remains<WRITE, SECTOR>>,
    /// What is not new.
    seen: HashSet<StateKey>,
    different: usize,
    repeated: u64,
    /// The server as it was last, by its history.
    server: Option<(u64, Arc<Server>)>,
}

/// Sets aside what cuts would leave, while it lives.
struct Recorder<'s, 't, const WRITE: usize, const SECTOR: usize> {
    stage: &'s Stage<'t, WRITE, SECTOR>,
    tape: Arc<Mutex<Tape<WRITE, SECTOR>>>,
}

impl<const WRITE: usize, const SECTOR: usize> Drop for Recorder<'_, '_, WRITE, SECTOR> {
    fn drop(&mut self) {
        self.stage.board.chip().observe(None);
    }
}

impl<'s, 't, const WRITE: usize, const SECTOR: usize> Recorder<'s, 't, WRITE, SECTOR> {
    fn new(stage: &'s Stage<'t, WRITE, SECTOR>, tape: Tape<WRITE, SECTOR>, made: &[CutMade], within: Within) -> Self {
        let tape = Arc::new(Mutex::new(tape));
        let scene = Scene {
            board: stage.board.clone(),
            server: Arc::clone(&stage.server),
            network: stage.network.clone(),
            clock: stage.clock.clone(),
            trace: Arc::clone(&stage.trace),
            made: made.to_vec(),
        };
        let into = Arc::clone(&tape);
        let observe = move |repeat: &Repeat<'_>| {
            let mut tape = into.lock().unwrap_or_else(PoisonError::into_inner);
            scene.set_aside(&mut tape, within, repeat);
        };
        stage.board.chip().observe(Some(Observer(Arc::new(observe))));
        Recorder { stage, tape }
    }

    fn take<T>(&self, what: impl FnOnce(&mut Tape<WRITE, SECTOR>) -> T) -> T {
        what(&mut self.tape.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The parts of a stage that change.
struct Scene<const WRITE: usize, const SECTOR: usize> {
    board: Board<WRITE, SECTOR>,
    server: SharedServer,
    network: SimNetwork,
    clock: VirtualClock,
    trace: Arc<Mutex<Trace>>,
    made: Vec<CutMade>,
}

impl<const WRITE: usize, const SECTOR: usize> Scene<WRITE, SECTOR> {
    /// An operation is about to happen.
    fn set_aside(&self, tape: &mut Tape<WRITE, SECTOR>, within: Within, repeat: &Repeat<'_>) {
        let trace = read(&self.trace);
        if trace.over {
            return;
        }
        let operation = self.board.chip().operations() + 1;
        for at in within.ways(operation) {
            let board = self.board.fork();
            board.chip().cut_power(PowerCut { operation: 1, at });
            repeat(&board.chip().power_supply());
            if board.chip().power_is_on() {
                // The chip refuses this operation: there is nothing to cut.
                return;
            }
            let struck = board.chip().cut_operation();
            board.chip().restore_power();
            let (history, elapsed) = (self.network.history(), self.clock.elapsed());
            let key = StateKey::without_power(board.digest(), history, elapsed, trace.progress);
            if !tape.seen.insert(key) {
                tape.repeated += 1;
                continue;
            }
            let number = tape.different;
            tape.different += 1;
            match &tape.keep {
                Keep::None => continue,
                Keep::These(numbers) if !numbers.contains(&number) => continue,
                Keep::All | Keep::These(_) => {}
                // Each with the same probability: it takes the place of the one before.
                Keep::One(spread) if spread.at(number as u64) % (number as u64 + 1) != 0 => continue,
                Keep::One(_) => tape.kept.clear(),
            }
            let server = match &tape.server {
                Some((then, server)) if *then == history => Arc::clone(server),
                Some(_) | None => {
                    let server = Arc::new(lock(&self.server).clone());
                    tape.server = Some((history, Arc::clone(&server)));
                    server
                }
            };
            let mut made = self.made.clone();
            made.push(CutMade::of(PowerCut { operation, at }, struck, &trace));
            tape.kept.push(Remains {
                board,
                boots: self.board.boots(),
                server,
                history,
                elapsed,
                progress: trace.progress,
                made,
            });
        }
    }
}

/// A run that was recorded.
pub(super) struct Recorded<const WRITE: usize, const SECTOR: usize> {
    pub(super) judged: Judged,
    /// How many different states the cuts of this run leave.
    pub(super) different: usize,
    /// Cuts that leave what an earlier one left.
    pub(super) repeated: u64,
    /// Those that were to be kept.
    pub(super) remains: Vec<Remains<WRITE, SECTOR>>,
}

/// Numbers without a pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread(pub(super) u64);

impl Spread {
    pub(super) fn at(self, place: u64) -> u64 {
        let mut z = (self.0 ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 32)
    }
}

/// The cuts of one scenario.
pub(super) struct Explorer<'e, M, const WRITE: usize, const SECTOR: usize> {
    test: &'e ModuleTest<M, WRITE, SECTOR>,
    site: &'e Site<WRITE, SECTOR>,
    scenario: &'e Scenario,
    within: Within,
    /// Ends that were seen.
    endings: Endings,
    /// Starts of the firmware from which on all cuts have been set aside.
    recorded: Endings,
    /// What a cut has left, in any run of this scenario.
    seen: HashSet<StateKey>,
}

impl<'e, M: UpdateModule, const WRITE: usize, const SECTOR: usize> Explorer<'e, M, WRITE, SECTOR> {
    pub(super) fn new(
        test: &'e ModuleTest<M, WRITE, SECTOR>,
        site: &'e Site<WRITE, SECTOR>,
        scenario: &'e Scenario,
        within: Within,
    ) -> Self {
        Explorer {
            test,
            site,
            scenario,
            within,
            endings: Endings::default(),
            recorded: Endings::default(),
            seen: HashSet::new(),
        }
    }

    fn tape(&mut self, keep: Keep) -> Tape<WRITE, SECTOR> {
        Tape {
            keep,
            kept: Vec::new(),
            seen: std::mem::take(&mut self.seen),
            different: 0,
            repeated: 0,
            server: None,
        }
    }

    fn judge(&self) -> Judge<'e, WRITE, SECTOR> {
        Judge {
            bench: &self.site.bench,
            scenario: self.scenario,
            one_way: !M::DESCRIPTOR.supports_rollback,
            once_more: true,
        }
    }

    /// Plays the scenario without a cut, and keeps what cuts would leave.
    pub(super) fn undisturbed(
        &mut self,
        keep: Keep,
        summary: &mut Summary,
    ) -> Result<Recorded<WRITE, SECTOR>, Box<Violation>> {
        let stage = self.test.stage(&self.site.bench, self.scenario, Trace::telling());
        let tape = self.tape(keep);
        let recorder = Recorder::new(&stage, tape, &[], self.within);
        let mut player = Player::new(self.test, &stage);
        let result = self.judge().play(&mut player);
        summary.resets += player.resets;
        let (recorded, seen) = recorder.take(|tape| {
            let seen = std::mem::take(&mut tape.seen);
            let recorded = Recorded {
                judged: Judged::default(),
                different: tape.different,
                repeated: tape.repeated,
                remains: std::mem::take(&mut tape.kept),
            };
            (recorded, seen)
        });
        self.seen = seen;
        match result {
            Ok(judged) => Ok(Recorded { judged, ..recorded }),
            Err(Stop::Broken(broken)) => {
                let case = Case::of(self.scenario, &[]);
                Err(self.test.violation(broken, case, &stage, Vec::new()))
            }
            // Neither happens without a cut and without anything known.
            Err(Stop::Excused | Stop::Known) => Ok(recorded),
        }
    }

    /// Lets the power come back, to the end of the deployment, and judges it. With `keep`, not that, but sets aside what
    /// second cuts would leave.
    pub(super) fn resume(
        &mut self,
        remains: &Remains<WRITE, SECTOR>,
        keep: Option<Keep>,
        summary: &mut Summary,
    ) -> Result<Vec<Remains<WRITE, SECTOR>>, Box<Violation>> {
        summary.cuts += 1;
        summary.second_cuts += u64::from(remains.made.len() > 1);
        summary.deployments += 1;
        if self.test.is_excused(Some(self.scenario), &remains.board) {
            summary.excused += 1;
            return Ok(Vec::new());
        }
        let bench = &self.site.bench;
        let board = remains.board.fork();
        board.set_boots(remains.boots);
        let clock = VirtualClock::starting_at(remains.elapsed);
        let server: SharedServer = Arc::new(Mutex::new((*remains.server).clone()));
        let stage = Stage {
            board,
            network: SimNetwork::new(Arc::clone(&server), clock.clone()),
            clock,
            server,
            trace: Trace::shared(),
            scenario: Some(self.scenario).into(),
            deployment: bench.deployment.clone().into(),
            look: &*self.test.look,
            old: &*bench.old,
        };
        stage.network.set_history(remains.history);
        stage.trace().progress = remains.progress;
        let tape = keep.map(|keep| self.tape(keep));
        let recorder = tape.map(|tape| Recorder::new(&stage, tape, &remains.made, self.within));
        let mut player = Player::new(self.test, &stage);
        player.made.clone_from(&remains.made);
        player.trail = Some(Vec::new());
        player.known = Some(match recorder {
            Some(_) => Known {
                endings: &self.recorded,
                legs: None,
            },
            None => Known {
                endings: &self.endings,
                legs: Some(&self.site.legs),
            },
        });
        player.only_to_record = recorder.is_some();
        let result = self.judge().play(&mut player);
        summary.resets += player.resets;
        summary.boots += player.boots;
        let trail = player.trail.take().unwrap_or_default();
        let mut kept = Vec::new();
        if let Some(recorder) = recorder {
            recorder.take(|tape| {
                kept = std::mem::take(&mut tape.kept);
                self.seen = std::mem::take(&mut tape.seen);
                summary.repeated += tape.repeated;
            });
            self.recorded.add(trail.clone());
        }
        match result {
            Ok(_) | Err(Stop::Known) => {
                self.endings.add(trail);
                Ok(kept)
            }
            Err(Stop::Excused) => {
                summary.excused += 1;
                Ok(kept)
            }
            Err(Stop::Broken(broken)) => Err(self.tell(&remains.cuts(), &broken)),
        }
    }

    /// The whole story of a case that went wrong, from its beginning.
    fn tell(&self, cuts: &[PowerCut], broken: &super::Broken) -> Box<Violation> {
        match self.test.play(&self.site.bench, self.scenario, cuts) {
            Err(violation) => violation,
            Ok(_) => panic!(
                "`{}` goes wrong ({broken}), but only if it is not played from its beginning: something that does not survive a \
                 restart has survived one, in the module, or in a closure of the test",
                Case::of(self.scenario, cuts)
            ),
        }
    }
}

#[cfg(test)]
#[path = "explore_tests.rs"]
mod tests;
