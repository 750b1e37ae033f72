//! One deployment, boot after boot, through the real client.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use embassy_futures::select::{Either3, select3};
use mender::UpdateModule;
use mender::client::{Client, Config, Resources};
use mender::storage::{FlashRange, FlashStorage};

use super::ModuleTest;
use super::bench::{Bench, DEVICE_TYPE, Release};
use super::board::{Board, Seen, Shown};
use super::case::Case;
use super::judge::{Judge, Judged};
use super::memo::{Known, StateKey};
use super::scenario::{Disturbance, Ground, Scenario};
use super::violation::{Broken, CutMade, SHOWN_EVENTS, Violation};
use super::witness::{Adapter, Footprint, Stage, Trace, Witness};
use crate::device::SeededRng;
use crate::flash::{FlashError, Partition, PowerCut};
use crate::network::{SharedServer, SimNetwork};
use crate::time::{Run, VirtualClock};

/// In this much virtual time, without a restart, everything must have happened.
const LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// And within so many boots.
const MOST_BOOTS: u32 = 200;
/// After so long without a sign of life the watchdog of a dead firmware resets the board.
const WATCHDOG: Duration = Duration::from_secs(60);

const CONFIG: Config<'static> = Config {
    artifact_name: Release::Factory.name(),
    update_poll_interval: Duration::from_secs(3600),
    inventory_interval: None,
    download_retries: 2,
    ..Config::new("http://mender.test:8080", DEVICE_TYPE)
};

/// How a case went.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) deployments: u64,
    pub(super) cuts: u64,
    pub(super) resets: u64,
    pub(super) excused: bool,
    /// What ran after a success.
    pub(super) new: Option<Box<dyn Seen>>,
    /// The old software runs, and the device says so.
    old_runs: bool,
    pub(super) events: Vec<String>,
}

/// Why a run of the board ends before its goal.
pub(super) enum Stop {
    Broken(Broken),
    Excused,
    /// What is to come from here has been seen before, to a good end.
    Known,
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Stop {
        Stop::Broken(broken)
    }
}

/// Until what the board runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Goal {
    /// The server had nothing to do any more: the deployment is over.
    Idle,
    /// The inventory was sent too.
    Inventory,
}

impl Goal {
    fn is_reached(self, trace: &Trace) -> bool {
        match self {
            Goal::Idle => trace.idle,
            Goal::Inventory => trace.idle && trace.inventory_sent,
        }
    }
}

/// How a run of the firmware ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    Reset,
    PowerLost,
    Goal,
}

/// What a run needs to know, and counts.
pub(super) struct Player<'t, 's, M, const WRITE: usize, const SECTOR: usize> {
    pub(super) test: &'t ModuleTest<M, WRITE, SECTOR>,
    pub(super) stage: &'s Stage<'t, WRITE, SECTOR>,
    pub(super) planned: VecDeque<PowerCut>,
    pub(super) current: Option<PowerCut>,
    pub(super) made: Vec<CutMade>,
    pub(super) resets: u64,
    /// What ran at each boot after the deployment.
    pub(super) seen: Option<Vec<Box<dyn Seen>>>,
    /// What earlier runs have shown.
    pub(super) known: Option<Known<'t, WRITE, SECTOR>>,
    /// Where the firmware has started, until the deployment was over.
    pub(super) trail: Option<Vec<StateKey>>,
    pub(super) over: bool,
    /// This has been judged before: what counts is what the observer of the chip sees.
    pub(super) only_to_record: bool,
    /// How often the firmware was run.
    pub(super) boots: u64,
}

impl<'t, 's, M: UpdateModule, const WRITE: usize, const SECTOR: usize> Player<'t, 's, M, WRITE, SECTOR> {
    pub(super) fn new(test: &'t ModuleTest<M, WRITE, SECTOR>, stage: &'s Stage<'t, WRITE, SECTOR>) -> Self {
        Player {
            test,
            stage,
            planned: VecDeque::new(),
            current: None,
            made: Vec::new(),
            resets: 0,
            seen: None,
            known: None,
            trail: None,
            over: false,
            only_to_record: false,
            boots: 0,
        }
    }

    fn plan_next_cut(&mut self) {
        self.current = self.planned.pop_front();
        if let Some(cut) = self.current {
            self.stage.board.chip().cut_power(cut);
        }
    }

    /// After a cut: what it struck is written down, the power comes back.
    fn power_returns(&mut self) -> Result<(), Stop> {
        let chip = self.stage.board.chip();
        if let Some(cut) = self.current.take() {
            self.made
                .push(CutMade::of(cut, chip.cut_operation(), &self.stage.trace()));
        }
        self.stage.note("the power is cut");
        self.stage.trace().in_callback = false;
        if self.test.is_excused(*self.stage.scenario.borrow(), &self.stage.board) {
            return Err(Stop::Excused);
        }
        chip.restore_power();
        self.plan_next_cut();
        Ok(())
    }

    /// Boots, until nothing cuts it. What runs then.
    pub(super) fn power_up(&mut self) -> Result<Box<dyn Seen>, Stop> {
        let board = &self.stage.board;
        loop {
            if !board.chip().power_is_on() {
                self.power_returns()?;
            }
            board.count_boot();
            if board.boots() > MOST_BOOTS {
                return Err(Broken::Endless.into());
            }
            // Rules that the bootloader breaks, and gets along without, are not the module's: MCUboot tries to write cells
            // that a torn erase has left.
            let violations = board.chip().violations().len();
            board.set_booting(true);
            let booted = (self.test.boot)(board);
            board.chip().forget_violations_after(violations);
            match booted {
                Ok(()) if board.chip().power_is_on() => break,
                Ok(()) | Err(FlashError::PowerLost) => {}
                Err(error) => return Err(Broken::Bootloader(error).into()),
            }
        }
        board.set_booting(false);
        let runs = (self.stage.look)(board);
        let boots = board.boots();
        self.stage
            .note(format_args!("boot {boots}, what runs: {}", Shown(&*runs)));
        self.stage.check_not_active(&*runs);
        self.broken()?;
        Ok(runs)
    }

    /// Boots, for what runs after the deployment.
    pub(super) fn power_up_and_look(&mut self) -> Result<(), Stop> {
        let runs = self.power_up()?;
        if let Some(seen) = &mut self.seen {
            seen.push(runs);
        }
        Ok(())
    }

    fn broken(&self) -> Result<(), Stop> {
        match self.stage.trace().broken.take() {
            Some(broken) => Err(broken.into()),
            None => Ok(()),
        }
    }

    /// Lets the board run, boot after boot, until the goal is reached.
    pub(super) fn run(&mut self, goal: Goal) -> Result<(), Stop> {
        loop {
            let runs = self.power_up()?;
            let dead = self.dies(&*runs);
            if let Some(seen) = &mut self.seen {
                seen.push(runs);
            }
            if dead {
                continue;
            }
            match self.run_firmware(goal)? {
                RunEnd::Goal => return Ok(()),
                RunEnd::PowerLost => {}
                RunEnd::Reset => {
                    self.resets += 1;
                    self.stage.trace().in_callback = false;
                    self.stage.note("reset");
                }
            }
        }
    }

    /// Whether this software does not get as far as its client. If so, the board has been reset when this returns.
    fn dies(&mut self, runs: &dyn Seen) -> bool {
        let stage = self.stage;
        let hangs = (*stage.scenario.borrow()).and_then(|scenario| {
            scenario.disturbances.iter().find_map(|disturbance| match disturbance {
                Disturbance::DeadFirmware { hangs } => Some(*hangs),
                _ => None,
            })
        });
        let Some(hangs) = hangs.filter(|_| !runs.is(stage.old)) else {
            return false;
        };
        if hangs {
            stage.clock.jump_to(stage.clock.elapsed() + WATCHDOG);
            stage.note("nothing happens: the watchdog resets the board");
        } else {
            stage.note("a reset at once");
        }
        self.resets += 1;
        true
    }

    /// One run of the firmware, or what is known of it.
    fn run_firmware(&mut self, goal: Goal) -> Result<RunEnd, Stop> {
        let stage = self.stage;
        // A cut that is still to come makes each run one of its own.
        let known = self.known.filter(|_| self.current.is_none() && self.planned.is_empty());
        let Some(known) = known else {
            return self.really_run(goal);
        };
        let key = StateKey::of(stage, goal);
        if let Some(trail) = self.trail.as_mut().filter(|_| !self.over) {
            if known.ends_well(&key) {
                return Err(Stop::Known);
            }
            trail.push(key.clone());
        }
        if let Some(end) = known.replay(&key, stage) {
            return Ok(end);
        }
        stage.trace().footprint = Footprint::default();
        let end = self.really_run(goal)?;
        known.learn(&key, stage, end);
        Ok(end)
    }

    fn really_run(&mut self, goal: Goal) -> Result<RunEnd, Stop> {
        self.boots += 1;
        let run = catch_unwind(AssertUnwindSafe(|| self.firmware(goal)));
        // What the module saw is worth more than how the run ended.
        self.broken()?;
        let has_power = self.stage.board.chip().power_is_on();
        match run {
            Ok(Run::Done(Either3::First(()))) if has_power => Err(Broken::Endless.into()),
            Ok(Run::Done(Either3::First(()))) => Ok(RunEnd::PowerLost),
            Ok(Run::Done(Either3::Second(()))) => Ok(RunEnd::Reset),
            Ok(Run::Done(Either3::Third(()))) if has_power => Ok(RunEnd::Goal),
            Ok(Run::Done(Either3::Third(()))) => Ok(RunEnd::PowerLost),
            Ok(Run::TimeUp | Run::Stalled) => Err(Broken::Endless.into()),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default();
                Err(Broken::Panic(text).into())
            }
        }
    }

    fn firmware(&self, goal: Goal) -> Run<Either3<(), (), ()>> {
        let stage = self.stage;
        let module = Adapter {
            module: (self.test.make)(&stage.board),
            stage,
        };
        let storage = client_storage(&stage.board);
        let mut resources: Box<Resources> = Box::default();
        let mut client = Client::new(
            CONFIG,
            Witness(stage),
            stage.network.clone(),
            storage,
            stage.clock.clone(),
            // Not by the number of boots: equal states must have equal futures, however many boots led there.
            SeededRng::new(self.test.seed ^ stage.clock.elapsed().as_nanos() as u64),
            (module,),
            &mut resources,
        )
        .expect("the configuration is good");
        // Asked whenever anything has moved; it needs no waker of its own.
        let watch = poll_fn(|_| {
            let trace = stage.trace();
            if trace.broken.is_some() || !stage.board.chip().power_is_on() || goal.is_reached(&trace) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let firmware = async {
            if let Err(error) = client.run().await {
                stage.note(format_args!("the client ends: {error}"));
            }
        };
        let reset = stage.board.reset();
        stage.clock.run(LIMIT, select3(firmware, reset.pulled(), watch))
    }

    pub(super) fn forget_events_of_the_client(&self) {
        let mut trace = self.stage.trace();
        trace.idle = false;
        trace.inventory_sent = false;
    }
}

impl<M: UpdateModule, const WRITE: usize, const SECTOR: usize> ModuleTest<M, WRITE, SECTOR> {
    /// Plays one case from the bench's state, from its beginning, and judges it.
    pub(super) fn play(
        &self,
        bench: &Bench<WRITE, SECTOR>,
        scenario: &Scenario,
        cuts: &[PowerCut],
    ) -> Result<Played, Box<Violation>> {
        self.play_then(bench, scenario, cuts, true, |_, played| played)
    }

    /// A board that has been through this deployment, with another one waiting. `None` if the deployment did not end as it
    /// has to for that.
    pub(super) fn prepare(
        &self,
        ground: Ground,
        bench: &Bench<WRITE, SECTOR>,
        scenario: &Scenario,
    ) -> Result<Option<Bench<WRITE, SECTOR>>, Box<Violation>> {
        self.play_then(bench, scenario, &[], false, |stage, played| {
            let (from, _) = ground.releases();
            let is_there = match from {
                Release::Factory => played.old_runs,
                Release::First | Release::Next => played.new.is_some(),
            };
            if !is_there {
                return None;
            }
            stage.board.chip().reset_counters();
            Some(self.waiting(ground, stage, bench.device.clone()))
        })
    }

    /// The stage for a case that begins with the bench's state.
    pub(super) fn stage<'t>(
        &'t self,
        bench: &'t Bench<WRITE, SECTOR>,
        scenario: &'t Scenario,
        trace: Arc<Mutex<Trace>>,
    ) -> Stage<'t, WRITE, SECTOR> {
        let clock = VirtualClock::starting_at(bench.elapsed);
        let server: SharedServer = Arc::new(Mutex::new(bench.server.clone()));
        let stage = Stage {
            board: bench.board.fork(),
            network: SimNetwork::new(Arc::clone(&server), clock.clone()),
            clock,
            server,
            trace,
            scenario: Some(scenario).into(),
            deployment: bench.deployment.clone().into(),
            look: &*self.look,
            old: &*bench.old,
        };
        stage.network.add_to_history(bench.ground);
        bench.disturb_download(&stage, scenario);
        stage
    }

    fn play_then<T>(
        &self,
        bench: &Bench<WRITE, SECTOR>,
        scenario: &Scenario,
        cuts: &[PowerCut],
        once_more: bool,
        then: impl FnOnce(&Stage<'_, WRITE, SECTOR>, Played) -> T,
    ) -> Result<T, Box<Violation>> {
        let stage = self.stage(bench, scenario, Trace::telling());
        let mut player = Player::new(self, &stage);
        player.planned = cuts.iter().copied().collect();
        player.plan_next_cut();
        let judge = Judge {
            bench,
            scenario,
            one_way: !M::DESCRIPTOR.supports_rollback,
            once_more,
        };
        let result = judge.play(&mut player);
        let Player { made, resets, .. } = player;
        let judged = match result {
            Ok(judged) => judged,
            Err(Stop::Excused) => Judged {
                deployments: 1,
                excused: true,
                ..Judged::default()
            },
            // Nothing is known here.
            Err(Stop::Known) => Judged::default(),
            Err(Stop::Broken(broken)) => {
                return Err(self.violation(broken, Case::of(scenario, cuts), &stage, made));
            }
        };
        let played = Played {
            deployments: judged.deployments,
            cuts: made.len() as u64,
            resets,
            excused: judged.excused,
            new: judged.new,
            old_runs: judged.old_runs,
            events: stage.trace().events.clone().unwrap_or_default(),
        };
        Ok(then(&stage, played))
    }

    pub(super) fn violation(
        &self,
        broken: Broken,
        case: Case,
        stage: &Stage<'_, WRITE, SECTOR>,
        cuts: Vec<CutMade>,
    ) -> Box<Violation> {
        let of_case = |scenario: &Scenario| scenario.name == case.scenario;
        let ground = self.all_scenarios().into_iter().find(of_case).map(|found| found.ground);
        let is_second = match ground {
            Some(Ground::Updated | Ground::OtherFailed) => true,
            Some(Ground::New | Ground::Failed) | None => false,
        };
        let trace = stage.trace();
        let events = trace.events.as_deref().unwrap_or_default();
        let skipped = events.len().saturating_sub(SHOWN_EVENTS);
        Box::new(Violation {
            broken,
            case,
            cuts,
            state: trace.state.map(|state| state.name().to_owned()),
            callback: trace.callback,
            events: events.get(skipped..).unwrap_or_default().to_vec(),
            test: std::thread::current()
                .name()
                .filter(|name| *name != "main")
                .map(str::to_owned),
            next_is_made_up: is_second && self.next.is_none(),
        })
    }
}

/// The client's storage.
pub(super) fn client_storage<const WRITE: usize, const SECTOR: usize>(
    board: &Board<WRITE, SECTOR>,
) -> FlashStorage<Partition<WRITE, SECTOR>> {
    let flash = board.storage();
    let range = FlashRange::try_new(0..flash.range().end - flash.range().start).expect("whole sectors");
    FlashStorage::new(flash, range).expect("the range is all of the flash")
}
