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
use mender::storage::{FlashRange, FlashScratch, FlashStorage};

use super::ModuleTest;
use super::board::{Board, Seen, shown};
use super::case::Case;
use super::judge::{Judge, Judged};
use super::scenario::{Disturbance, Scenario};
use super::violation::{Broken, CutMade, SHOWN_EVENTS, Violation};
use super::witness::{Adapter, MAC, Stage, Trace, Witness};
use crate::device::SeededRng;
use crate::flash::{FlashError, Partition, PowerCut};
use crate::network::{SharedServer, SimNetwork, lock};
use crate::server::{DeploymentId, DeviceId, Effect, Ending, Fault, Server, Settings};
use crate::time::{Run, VirtualClock};

pub(super) const DEVICE_TYPE: &str = "sim-board";
pub(super) const OLD_NAME: &str = "release-1";
pub(super) const NEW_NAME: &str = "release-2";

/// In this much virtual time, without a restart, everything must have happened.
const LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// And within so many boots.
const MOST_BOOTS: u32 = 200;

const CONFIG: Config<'static> = Config {
    artifact_name: OLD_NAME,
    update_poll_interval: Duration::from_secs(3600),
    inventory_interval: None,
    download_retries: 2,
    ..Config::new("http://mender.test:8080", DEVICE_TYPE)
};

/// A board and a server that know each other, with a deployment waiting. Copied for each case.
pub(super) struct Bench<const WRITE: usize, const SECTOR: usize> {
    board: Board<WRITE, SECTOR>,
    server: Server,
    elapsed: Duration,
    deployment: DeploymentId,
    pub(super) device: DeviceId,
    /// Where the payload's data are in the artifact.
    pub(super) payload_at: Option<usize>,
    pub(super) old: Box<dyn Seen>,
}

/// How a case went.
#[derive(Debug)]
pub(super) struct Played {
    /// Flash operations until the deployment was over.
    pub(super) operations: u64,
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
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Stop {
        Stop::Broken(broken)
    }
}

/// What a run needs to know, and counts.
pub(super) struct Player<'t, 's, M, const WRITE: usize, const SECTOR: usize> {
    test: &'t ModuleTest<M, WRITE, SECTOR>,
    pub(super) stage: &'s Stage<'t, WRITE, SECTOR>,
    network: SimNetwork,
    pub(super) planned: VecDeque<PowerCut>,
    pub(super) current: Option<PowerCut>,
    pub(super) made: Vec<CutMade>,
    resets: u64,
    /// What ran at each boot after the deployment.
    pub(super) seen: Option<Vec<Box<dyn Seen>>>,
}

impl<M: UpdateModule, const WRITE: usize, const SECTOR: usize> Player<'_, '_, M, WRITE, SECTOR> {
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
            let trace = self.stage.trace.borrow();
            self.made.push(CutMade {
                cut,
                operation: chip.cut_operation(),
                state: trace
                    .state
                    .map_or("before the deployment", |state| state.name())
                    .to_owned(),
                callback: trace.callback.filter(|_| trace.in_callback),
            });
        }
        self.stage.note("the power is cut");
        self.stage.trace.borrow_mut().in_callback = false;
        if (self.test.excuse)(&self.stage.board) {
            return Err(Stop::Excused);
        }
        chip.restore_power();
        self.plan_next_cut();
        Ok(())
    }

    /// Boots, until nothing cuts it.
    pub(super) fn power_up(&mut self) -> Result<(), Stop> {
        let board = &self.stage.board;
        loop {
            if !board.chip().power_is_on() {
                self.power_returns()?;
            }
            board.count_boot();
            if board.boots() > MOST_BOOTS {
                return Err(Broken::Endless.into());
            }
            match (self.test.boot)(board) {
                Ok(()) if board.chip().power_is_on() => break,
                Ok(()) | Err(FlashError::PowerLost) => {}
                Err(error) => return Err(Broken::Bootloader(error).into()),
            }
        }
        let runs = (self.stage.look)(board);
        let boots = board.boots();
        self.stage.note(format!("boot {boots}, what runs: {}", shown(&*runs)));
        self.stage.check_not_active(&*runs);
        if let Some(seen) = &mut self.seen {
            seen.push(runs);
        }
        self.broken()
    }

    fn broken(&self) -> Result<(), Stop> {
        match self.stage.trace.borrow_mut().broken.take() {
            Some(broken) => Err(broken.into()),
            None => Ok(()),
        }
    }

    /// Lets the board run, boot after boot, until the trace says so.
    pub(super) fn run(&mut self, reached: impl Fn(&Trace) -> bool) -> Result<(), Stop> {
        loop {
            self.power_up()?;
            let boot = catch_unwind(AssertUnwindSafe(|| self.boot(&reached)));
            // What the module saw is worth more than how the run ended.
            self.broken()?;
            match boot {
                Ok(Run::Done(Either3::First(()))) if self.stage.board.chip().power_is_on() => {
                    return Err(Broken::Endless.into());
                }
                Ok(Run::Done(Either3::First(()))) => {}
                Ok(Run::Done(Either3::Second(()))) => {
                    self.resets += 1;
                    self.stage.trace.borrow_mut().in_callback = false;
                    self.stage.note("reset");
                }
                Ok(Run::Done(Either3::Third(()))) => {
                    if self.stage.board.chip().power_is_on() {
                        return Ok(());
                    }
                }
                Ok(Run::TimeUp | Run::Stalled) => return Err(Broken::Endless.into()),
                Err(panic) => {
                    let text = panic
                        .downcast_ref::<String>()
                        .cloned()
                        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                        .unwrap_or_default();
                    return Err(Broken::Panic(text).into());
                }
            }
        }
    }

    /// One run of the firmware.
    fn boot(&self, reached: impl Fn(&Trace) -> bool) -> Run<Either3<(), (), ()>> {
        let stage = self.stage;
        let module = Adapter {
            module: (self.test.make)(&stage.board),
            stage,
        };
        let mut scratch = FlashScratch::<512>::new();
        let storage = client_storage(&stage.board, &mut scratch);
        let mut resources: Box<Resources> = Box::default();
        let mut client = Client::new(
            CONFIG,
            Witness(stage),
            self.network.clone(),
            storage,
            stage.clock.clone(),
            SeededRng::new(self.test.seed ^ u64::from(stage.board.boots())),
            (module,),
            &mut resources,
        )
        .expect("the configuration is good");
        // Asked whenever anything has moved; it needs no waker of its own.
        let watch = poll_fn(|_| {
            let trace = stage.trace.borrow();
            if trace.broken.is_some() || !stage.board.chip().power_is_on() || reached(&trace) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let firmware = async {
            if let Err(error) = client.run().await {
                stage.note(format!("the client ends: {error}"));
            }
        };
        let reset = stage.board.reset();
        stage.clock.run(LIMIT, select3(firmware, reset.pulled(), watch))
    }

    pub(super) fn forget_events_of_the_client(&self) {
        let mut trace = self.stage.trace.borrow_mut();
        trace.idle = false;
        trace.inventory_sent = false;
    }
}

impl<M: UpdateModule, const WRITE: usize, const SECTOR: usize> ModuleTest<M, WRITE, SECTOR> {
    /// Brings a new board into service, and deploys the new software to it.
    pub(super) fn prepare(&self) -> Result<Bench<WRITE, SECTOR>, Box<Violation>> {
        let board = Board::new(self.sectors);
        (self.factory)(&board);
        board.chip().reset_counters();
        let mut server = Server::new(Settings {
            auto_accept: true,
            ..Settings::default()
        });
        server.settings_mut().record_limit = 64;
        let server: SharedServer = Arc::new(Mutex::new(server));
        let clock = VirtualClock::new();
        if let Err(error) = (self.boot)(&board) {
            panic!("the bootloader hook fails on the board as it left the factory: {error}");
        }
        let old = (self.look)(&board);
        let stage = Stage {
            board,
            clock: clock.clone(),
            server: Arc::clone(&server),
            trace: Trace::default().into(),
            scenario: None.into(),
            deployment: DeploymentId::from(String::new()).into(),
            look: &*self.look,
            old: &*old,
        };
        let mut player = Player {
            test: self,
            stage: &stage,
            network: SimNetwork::new(Arc::clone(&server), clock.clone()),
            planned: VecDeque::new(),
            current: None,
            made: Vec::new(),
            resets: 0,
            seen: None,
        };
        let registered = player.run(|trace| trace.idle && trace.inventory_sent);
        if let Err(Stop::Broken(broken)) = registered {
            return Err(self.violation(broken, Case::of(&Scenario::registration(), &[]), &stage, Vec::new()));
        }
        let artifact = self.artifact_bytes();
        let payload_at = last_payload_byte(&artifact);
        let device = lock(&server)
            .find_device("mac", MAC)
            .map(|device| device.id().clone())
            .expect("the device has registered");
        let deployment = {
            let now = clock.date();
            let mut server = lock(&server);
            server.add_artifact(artifact, now).expect("a good artifact");
            server
                .deploy(NEW_NAME, std::slice::from_ref(&device), now)
                .expect("a good deployment")
        };
        let server = lock(&server).clone();
        Ok(Bench {
            board: stage.board.fork(),
            server,
            elapsed: clock.elapsed(),
            deployment,
            device,
            payload_at,
            old,
        })
    }

    /// Plays one case from the bench's state and judges it. `new`: what the new software looks like, if that is known.
    pub(super) fn play(
        &self,
        bench: &Bench<WRITE, SECTOR>,
        scenario: &Scenario,
        cuts: &[PowerCut],
        new: Option<&dyn Seen>,
    ) -> Result<Played, Box<Violation>> {
        self.play_then(bench, scenario, cuts, new, true, |_, played| played)
    }

    /// A board that has been through a failed deployment, with the same update waiting again. `None` if it did not get back
    /// to the old software.
    pub(super) fn wear(
        &self,
        bench: &Bench<WRITE, SECTOR>,
        scenario: &Scenario,
    ) -> Result<Option<Bench<WRITE, SECTOR>>, Box<Violation>> {
        self.play_then(bench, scenario, &[], None, false, |stage, played| {
            if !played.old_runs {
                return None;
            }
            let mut server = lock(&stage.server).clone();
            let devices = std::slice::from_ref(&bench.device);
            let deployment = server
                .deploy(NEW_NAME, devices, stage.clock.date())
                .expect("the artifact is there");
            stage.board.chip().reset_counters();
            Some(Bench {
                board: stage.board.fork(),
                server,
                elapsed: stage.clock.elapsed(),
                deployment,
                device: bench.device.clone(),
                payload_at: bench.payload_at,
                old: (self.look)(&stage.board),
            })
        })
    }

    fn play_then<T>(
        &self,
        bench: &Bench<WRITE, SECTOR>,
        scenario: &Scenario,
        cuts: &[PowerCut],
        new: Option<&dyn Seen>,
        once_more: bool,
        then: impl FnOnce(&Stage<'_, WRITE, SECTOR>, Played) -> T,
    ) -> Result<T, Box<Violation>> {
        let clock = VirtualClock::starting_at(bench.elapsed);
        let server: SharedServer = Arc::new(Mutex::new(bench.server.clone()));
        bench.disturb_download(&server, scenario);
        let stage = Stage {
            board: bench.board.fork(),
            clock: clock.clone(),
            server: Arc::clone(&server),
            trace: Trace::default().into(),
            scenario: Some(scenario).into(),
            deployment: bench.deployment.clone().into(),
            look: &*self.look,
            old: &*bench.old,
        };
        let mut player = Player {
            test: self,
            stage: &stage,
            network: SimNetwork::new(server, clock),
            planned: cuts.iter().copied().collect(),
            current: None,
            made: Vec::new(),
            resets: 0,
            seen: None,
        };
        player.plan_next_cut();
        let judge = Judge {
            bench,
            scenario,
            new,
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
            Err(Stop::Broken(broken)) => {
                return Err(self.violation(broken, Case::of(scenario, cuts), &stage, made));
            }
        };
        let played = Played {
            operations: judged.operations,
            deployments: judged.deployments,
            cuts: made.len() as u64,
            resets,
            excused: judged.excused,
            new: judged.new,
            old_runs: judged.old_runs,
            events: stage.trace.borrow().events.clone(),
        };
        Ok(then(&stage, played))
    }

    fn violation(
        &self,
        broken: Broken,
        case: Case,
        stage: &Stage<'_, WRITE, SECTOR>,
        cuts: Vec<CutMade>,
    ) -> Box<Violation> {
        let trace = stage.trace.borrow();
        let skipped = trace.events.len().saturating_sub(SHOWN_EVENTS);
        Box::new(Violation {
            broken,
            case,
            cuts,
            state: trace.state.map(|state| state.name().to_owned()),
            callback: trace.callback,
            events: trace.events.get(skipped..).unwrap_or_default().to_vec(),
            test: std::thread::current()
                .name()
                .filter(|name| *name != "main")
                .map(str::to_owned),
        })
    }
}

impl<const WRITE: usize, const SECTOR: usize> Bench<WRITE, SECTOR> {
    /// What a scenario does to downloads.
    fn disturb_download(&self, server: &SharedServer, scenario: &Scenario) {
        let Some(offset) = self.payload_at else { return };
        let mut server = lock(server);
        for disturbance in &scenario.disturbances {
            match disturbance {
                Disturbance::DamagePayload => {
                    server.inject(Fault::new(Effect::FlipBit { offset }).on_downloads().always());
                }
                Disturbance::BreakDownload => {
                    let cut = Effect::CutBody {
                        len: offset,
                        ending: Ending::Reset,
                    };
                    server.inject(Fault::new(cut).on_downloads());
                    server.inject(Fault::new(Effect::LoseAnswer).on_downloads().after(1).always());
                }
                Disturbance::Callback { .. } | Disturbance::Abort { .. } | Disturbance::RefuseCommit => {}
            }
        }
    }
}

/// The client's storage.
pub(super) fn client_storage<'s, const WRITE: usize, const SECTOR: usize>(
    board: &Board<WRITE, SECTOR>,
    scratch: &'s mut FlashScratch<512>,
) -> FlashStorage<'s, Partition<WRITE, SECTOR>> {
    let flash = board.storage();
    let range = FlashRange::try_new(0..flash.range().end - flash.range().start).expect("whole sectors");
    FlashStorage::new(flash, range, scratch.as_mut()).expect("the range is all of the flash")
}

/// Where the last byte of the artifact's payload is: the artifact is a tar whose last entry is a tar with the files.
fn last_payload_byte(artifact: &[u8]) -> Option<usize> {
    let mut outer = tar::Archive::new(artifact);
    let data = outer.entries().ok()?.filter_map(Result::ok).last()?;
    let (start, len) = (data.raw_file_position() as usize, data.size() as usize);
    let bytes = artifact.get(start..start + len)?;
    let mut inner = tar::Archive::new(bytes);
    let last = inner
        .entries()
        .ok()?
        .filter_map(Result::ok)
        .filter(|file| file.size() > 0)
        .last()?;
    Some(start + (last.raw_file_position() + last.size()) as usize - 1)
}
