//! What all tests share: a server, a device and the network between them ([`Site`]), and the two devices that are built
//! on it.

mod bench;
mod board;
mod lacking;
mod script;
mod storage;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embassy_futures::select::{Either, select};
use mender::client::{Client, Config, Handle, Resources, RunError};
use mender::storage::Storage;
use mender::update_module::ModuleSet;
use mender_testkit::device::{ResetLine, SeededRng, SimDevice};
use mender_testkit::network::{SharedServer, SimNetwork, lock};
use mender_testkit::server::{
    DeploymentId, DeviceId, Endpoint, Fault, LogMessage, Mode, RequestRecord, Server, Settings, Status,
};
use mender_testkit::time::{Run, VirtualClock};

pub use bench::{Bench, app, firmware, small_file};
pub use board::{Board, SLOT1, artifact};
pub use lacking::run_lacking;
pub use script::{Crash, Flash};
pub use storage::{Failing, Op, Written};

pub const MAC: &str = "02:00:5e:10:00:01";
pub const DEVICE_TYPE: &str = "sim-board";
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

pub const AUTH: &str = "/api/devices/v1/authentication/auth_requests";
pub const NEXT_V1: &str = "/api/devices/v1/deployments/device/deployments/next";
pub const NEXT_V2: &str = "/api/devices/v2/deployments/device/deployments/next";
pub const INVENTORY: &str = "/api/devices/v1/inventory/device/attributes";

/// Path of a deployment's status reports.
pub fn status_path(deployment: &DeploymentId) -> String {
    format!("/api/devices/v1/deployments/device/deployments/{deployment}/status")
}

/// Path of a deployment's log.
pub fn log_path(deployment: &DeploymentId) -> String {
    format!("/api/devices/v1/deployments/device/deployments/{deployment}/log")
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What was waited for is so.
    Reached,
    /// It did not come within the given time.
    TimeUp,
    /// The power was cut; the device is off.
    PowerLost,
    /// The client came back, as its handle asked.
    Stopped,
    /// The client came back, because there is no device key.
    GaveUp,
    /// Its future was dropped, as the test asked.
    Dropped,
}

/// What is done to the future of a run, poll by poll. It counts over all runs of a device.
#[derive(Debug, Default)]
pub struct Polls {
    pub count: Cell<usize>,
    /// Before this poll the future is dropped, once.
    pub drop_at: Cell<Option<usize>>,
    /// And the same client runs again.
    pub run_again: Cell<bool>,
    /// Before this poll the client is asked to stop, once.
    pub stop_at: Cell<Option<usize>>,
}

impl Polls {
    /// Whether this is the poll; it is not again.
    fn take(&self, at: &Cell<Option<usize>>) -> bool {
        let is_now = at.get() == Some(self.count.get());
        if is_now {
            at.set(None);
        }
        is_now
    }
}

/// A server, a device that knows it, and the network between them.
pub struct Site {
    pub clock: VirtualClock,
    pub polls: Polls,
    pub server: SharedServer,
    pub network: SimNetwork,
    pub device: SimDevice,
    pub config: Config<'static>,
    pub handle: Arc<Handle>,
    /// The device's reset line.
    pub reset: ResetLine,
    /// Boots so far.
    pub boots: u32,
    /// The client's memory.
    pub sizes: Sizes,
}

/// How long the buffers of the client are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// `Resources`
    Usual,
    /// `Resources<2048, 4096>`
    Long,
    /// `Resources<4096, 4096>`
    Longer,
    /// `Resources` with 256 KiB for artifact headers and inventory reports.
    Large,
    /// `Resources` with so long a window for gzip.
    Window4096,
    Window32768,
}

impl Site {
    pub fn new(mode: Mode) -> Site {
        let clock = VirtualClock::new();
        let server: SharedServer = Arc::new(Mutex::new(Server::new(Settings {
            mode,
            ..Settings::default()
        })));
        let network = SimNetwork::new(Arc::clone(&server), clock.clone());
        let reset = ResetLine::new();
        Site {
            device: SimDevice::new(MAC)
                .with_radio(network.clone())
                .with_reset(reset.clone()),
            network,
            clock,
            polls: Polls::default(),
            server,
            config: Config {
                artifact_name: "release-1",
                update_poll_interval: Duration::from_secs(1800),
                ..Config::new("http://mender.test:8080", DEVICE_TYPE)
            },
            handle: Arc::default(),
            reset,
            boots: 0,
            sizes: Sizes::Usual,
        }
    }

    pub fn id(&self) -> DeviceId {
        lock(&self.server)
            .find_device("mac", MAC)
            .expect("the device has registered")
            .id()
            .clone()
    }

    pub fn accept(&self) {
        let (id, now) = (self.id(), self.clock.date());
        assert!(lock(&self.server).accept_device(&id, now));
    }

    pub fn reject(&self) {
        let (id, now) = (self.id(), self.clock.date());
        assert!(lock(&self.server).reject_device(&id, now));
    }

    /// Stores an artifact and deploys it to the device.
    pub fn deploy(&self, artifact: Vec<u8>) -> DeploymentId {
        let device = self.id();
        let now = self.clock.date();
        let mut server = lock(&self.server);
        let id = server.add_artifact(artifact, now).expect("a good artifact");
        let name = server.artifact(&id).unwrap().info().name.clone();
        server.deploy(&name, &[device], now).expect("a good deployment")
    }

    pub fn abort(&self, deployment: &DeploymentId) {
        let now = self.clock.date();
        assert!(lock(&self.server).abort(deployment, now));
    }

    pub fn inject(&self, fault: Fault) {
        lock(&self.server).inject(fault);
    }

    pub fn clear_faults(&self) {
        lock(&self.server).clear_faults();
    }

    /// The statuses that the server took, immediate repetitions left out.
    pub fn statuses(&self, deployment: &DeploymentId) -> Vec<Status> {
        let id = self.id();
        lock(&self.server)
            .device_deployment(deployment, &id)
            .map(|deployment| deployment.statuses())
            .unwrap_or_default()
    }

    pub fn status(&self, deployment: &DeploymentId) -> Option<Status> {
        let id = self.id();
        lock(&self.server)
            .device_deployment(deployment, &id)
            .map(|deployment| deployment.status)
    }

    pub fn log_messages(&self, deployment: &DeploymentId) -> Option<Vec<LogMessage>> {
        let id = self.id();
        lock(&self.server).device_deployment(deployment, &id)?.log.clone()
    }

    pub fn log(&self, deployment: &DeploymentId) -> Vec<String> {
        self.log_messages(deployment)
            .unwrap_or_default()
            .into_iter()
            .map(|line| format!("{} {}", line.level, line.message))
            .collect()
    }

    /// What the server's inventory says.
    pub fn inventory(&self, name: &str) -> Option<String> {
        let server = lock(&self.server);
        let id = server.find_device("mac", MAC)?.id();
        let value = server.inventory(id)?.value(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// The requests for a path that begins like this.
    pub fn requests(&self, path: &str) -> Vec<RequestRecord> {
        lock(&self.server)
            .requests()
            .iter()
            .filter(|request| request.path().starts_with(path))
            .cloned()
            .collect()
    }

    /// The requests for artifacts.
    pub fn downloads(&self) -> Vec<RequestRecord> {
        lock(&self.server)
            .requests()
            .iter()
            .filter(|request| request.endpoint == Endpoint::Storage)
            .cloned()
            .collect()
    }

    /// Whole seconds between one request of these and the next.
    pub fn gaps(requests: &[RequestRecord]) -> Vec<u64> {
        requests
            .windows(2)
            .map(|pair| (pair[1].time.since_epoch() - pair[0].time.since_epoch()).as_secs())
            .collect()
    }

    /// Whether a pause is what `Retry-After` asked for: no shorter, and longer by a quarter or nine minutes at most, which spreads
    /// those that were asked for the same.
    pub fn is_as_asked(asked: u64, secs: u64) -> bool {
        (asked..=asked + 1 + (asked / 4).min(540)).contains(&secs)
    }

    pub fn clear_records(&self) {
        lock(&self.server).clear_records();
        self.device.clear_events();
    }

    /// No well-made client does what the server has noted.
    pub fn assert_clean(&self) {
        assert_eq!(lock(&self.server).violations(), []);
    }

    pub fn has_event(&self, event: &str) -> bool {
        self.device.events().iter().any(|known| known == event)
    }

    /// The client has asked for an update, got none, and told nothing since.
    pub fn idle(site: &Site) -> bool {
        site.device.events().last().is_some_and(|event| event == "NoUpdate")
    }

    /// The server has the deployment's outcome.
    pub fn finished(deployment: &DeploymentId) -> impl Fn(&Site) -> bool + use<> {
        let deployment = deployment.clone();
        move |site| site.status(&deployment).is_some_and(Status::is_final)
    }

    /// The client has brought a deployment to its end and delivered the outcome.
    pub fn over(site: &Site) -> bool {
        site.device.events().iter().any(|event| event.starts_with("Finished"))
    }

    /// One boot of the device: `None` if it was reset.
    fn boot<S: Storage, M: ModuleSet>(
        &mut self,
        storage: S,
        modules: M,
        end: Duration,
        power: impl Fn() -> bool,
        reached: impl Fn(&Site) -> bool,
    ) -> Option<Ended> {
        match self.sizes {
            Sizes::Usual => self.boot_with(
                Resources::<1024, 2048>::with_lengths(),
                storage,
                modules,
                end,
                power,
                reached,
            ),
            Sizes::Long => self.boot_with(
                Resources::<2048, 4096>::with_lengths(),
                storage,
                modules,
                end,
                power,
                reached,
            ),
            Sizes::Longer => self.boot_with(
                Resources::<4096, 4096>::with_lengths(),
                storage,
                modules,
                end,
                power,
                reached,
            ),
            Sizes::Large => {
                let resources = Resources::<1024, 2048, 512, { 256 * 1024 }>::with_lengths();
                self.boot_with(resources, storage, modules, end, power, reached)
            }
            Sizes::Window4096 => {
                let resources = Resources::<1024, 2048, 512, 2048, 4096>::with_lengths();
                self.boot_with(resources, storage, modules, end, power, reached)
            }
            Sizes::Window32768 => {
                let resources = Resources::<1024, 2048, 512, 2048, 32768>::with_lengths();
                self.boot_with(resources, storage, modules, end, power, reached)
            }
        }
    }

    fn boot_with<
        S: Storage,
        M: ModuleSet,
        const TOKEN: usize,
        const LINK: usize,
        const ARTIFACT: usize,
        const WINDOW: usize,
    >(
        &mut self,
        mut resources: Resources<TOKEN, LINK, 512, ARTIFACT, WINDOW>,
        storage: S,
        modules: M,
        end: Duration,
        power: impl Fn() -> bool,
        reached: impl Fn(&Site) -> bool,
    ) -> Option<Ended> {
        self.boots += 1;
        assert!(self.boots < 200, "the device restarts for ever");
        self.network.set_radio(false);
        let mut client = Client::new(
            self.config,
            self.device.clone(),
            self.network.clone(),
            storage,
            self.clock.clone(),
            SeededRng::new(u64::from(self.boots)),
            modules,
            &mut resources,
        )
        .expect("the configuration is good");
        let handle = Arc::clone(&self.handle);
        let left = end.saturating_sub(self.clock.elapsed());
        let this = &*self;
        let polls = &self.polls;
        let run = loop {
            let work = async {
                let mut work = pin!(select(client.run_with(&handle), this.reset.pulled()));
                poll_fn(|cx| {
                    polls.count.set(polls.count.get() + 1);
                    if polls.take(&polls.stop_at) {
                        handle.stop();
                    }
                    if polls.take(&polls.drop_at) {
                        return Poll::Ready(None);
                    }
                    let waker = Waker::from(Arc::new(Stranger(cx.waker().clone())));
                    work.as_mut().poll(&mut Context::from_waker(&waker)).map(Some)
                })
                .await
            };
            match self.clock.run_until(left, work, || !power() || reached(this)) {
                Run::Done(Some(None)) if polls.run_again.take() => {}
                Run::Done(Some(None)) => return Some(Ended::Dropped),
                Run::Done(Some(Some(output))) => break Run::Done(Some(output)),
                Run::Done(None) => break Run::Done(None),
                Run::TimeUp => break Run::TimeUp,
                Run::Stalled => break Run::Stalled,
            }
        };
        if !power() {
            return Some(Ended::PowerLost);
        }
        match run {
            Run::Done(Some(Either::First(result))) => match result {
                Ok(()) => Some(Ended::Stopped),
                Err(RunError::Read(_) | RunError::Write(_) | RunError::Key(_)) => Some(Ended::GaveUp),
            },
            Run::Done(Some(Either::Second(()))) => None,
            Run::Done(None) => Some(Ended::Reached),
            Run::TimeUp => Some(Ended::TimeUp),
            Run::Stalled => panic!("everything waits for ever"),
        }
    }
}

/// A waker that knows no other one of its task, as `Waker::will_wake` allows: whoever wakes the one from the last poll because another
/// has come, is polled for ever.
struct Stranger(Waker);

impl Wake for Stranger {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// For `run`: as soon as `when` is so, `act` is done, once; the run ends when `then` is so after that.
pub fn once(when: impl Fn(&Site) -> bool, act: impl Fn(&Site), then: impl Fn(&Site) -> bool) -> impl Fn(&Site) -> bool {
    let done = Cell::new(false);
    move |site| {
        if done.get() {
            return then(site);
        }
        if when(site) {
            done.set(true);
            act(site);
        }
        false
    }
}
