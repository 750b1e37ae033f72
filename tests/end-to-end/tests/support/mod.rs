//! A simulated board with an MCUboot firmware that runs the real client, boot after boot, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use embassy_futures::select::{Either3, select3};
use mender::client::{Client, Config, Resources};
use mender::storage::{FlashRange, FlashScratch, FlashStorage};
use mender::update_module;
use mender::update_module::{Failure, Payload};
use mender_modules::mcuboot::{Layout, SwapMove, ZephyrImage};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::bootloader::{Layout as BootLayout, Mcuboot};
use mender_testkit::device::{ResetLine, SeededRng, SimDevice};
use mender_testkit::flash::{Partition, SimFlash};
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::network::{SharedServer, SimNetwork, lock};
use mender_testkit::server::{DeploymentId, DeviceId, Mode, Server, Settings, Status};
use mender_testkit::time::{Run, VirtualClock};

pub const WRITE: usize = 8;
pub const SECTOR: usize = 4096;
const STORAGE: std::ops::Range<u32> = 0..0x2000;
const SLOT0: std::ops::Range<u32> = 0x2000..0x2_2000;
const SLOT1: std::ops::Range<u32> = 0x2_2000..0x4_2000;
pub const MAC: &str = "02:00:5e:10:00:01";
pub const DEVICE_TYPE: &str = "sim-board";

const LAYOUT: Layout<SwapMove> = Layout {
    mode: SwapMove,
    primary_len: SLOT0.end - SLOT0.start,
    secondary_len: SLOT1.end - SLOT1.start,
    sector_len: SECTOR as u32,
    write_len: WRITE as u32,
    max_align: 8,
    max_img_sectors: 128,
}
.checked();

type Slot = Partition<WRITE, SECTOR>;

/// The board's firmware brings the bundled module and adds a check of its own.
#[update_module(
    artifact_type = "zephyr-image",
    requires_reboot,
    supports_rollback,
    on(
        download = download,
        install = install,
        reboot | rollback_reboot = restart,
        verify_reboot = verify,
        commit = commit,
        cleanup | failure = discard,
        rollback = rollback,
        rollback_verify_reboot = check_reverted,
    )
)]
pub struct Firmware<R: mender_modules::Restart> {
    image: ZephyrImage<Slot, Slot, R>,
    healthy: bool,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl<R: mender_modules::Restart> Firmware<R> {
    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.note("download");
        self.image.write_slot(payload).await.map_err(Failure::new)
    }

    async fn install(&mut self) -> Result<(), Failure> {
        self.note("install");
        self.image.request_swap().await.map_err(Failure::new)
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        self.note("restart");
        self.image.restart().await.map_err(Failure::new)
    }

    async fn verify(&mut self) -> Result<(), Failure> {
        self.note("verify_reboot");
        if !self.healthy {
            return Err(Failure::new("the sensor does not answer"));
        }
        self.image.check_swapped().await.map_err(Failure::new)
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.note("commit");
        self.image.confirm().await.map_err(Failure::new)
    }

    async fn rollback(&mut self) -> Result<(), Failure> {
        self.note("rollback");
        self.image.request_revert().await.map_err(Failure::new)
    }

    async fn check_reverted(&mut self) -> Result<(), Failure> {
        self.note("rollback_verify_reboot");
        self.image.check_reverted().await.map_err(Failure::new)
    }

    async fn discard(&mut self) -> Result<(), Failure> {
        self.note("discard");
        self.image.discard().await.map_err(Failure::new)
    }
}

/// A board, its server and the network between them.
pub struct Board {
    pub clock: VirtualClock,
    pub server: SharedServer,
    pub network: SimNetwork,
    pub device: SimDevice,
    pub flash: SimFlash<WRITE, SECTOR>,
    pub config: Config<'static>,
    /// Major versions of firmware that fails its own check.
    pub unhealthy: Vec<u8>,
    /// What the module was called for.
    pub calls: Arc<Mutex<Vec<&'static str>>>,
    /// Boots so far.
    pub boots: u32,
    bootloader: Mcuboot,
}

/// Why a run of the board ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What was waited for is so.
    Reached,
    /// It did not come within the given time.
    TimeUp,
    /// The power was cut; the board is off.
    PowerLost,
}

pub fn version(major: u8) -> Version {
    Version {
        major,
        minor: 0,
        revision: 0,
        build: 0,
    }
}

pub fn image(major: u8) -> Vec<u8> {
    ImageBuilder::new(version(major)).body_len(60_000).build()
}

/// An artifact with firmware of this major version, named `release-N`.
pub fn artifact(major: u8) -> Vec<u8> {
    ArtifactWriter::new(&format!("release-{major}"), DEVICE_TYPE)
        .payload_type("zephyr-image")
        .file("zephyr.signed.bin", &image(major))
        .write()
}

impl Board {
    /// A board with firmware 1.0.0, unknown to a server of this kind.
    pub fn new(mode: Mode) -> Board {
        let clock = VirtualClock::new();
        let server: SharedServer = Arc::new(Mutex::new(Server::new(Settings {
            mode,
            ..Settings::default()
        })));
        let flash = SimFlash::new(0x4_2000 / SECTOR);
        flash.patch(SLOT0.start, &image(1));
        Board {
            network: SimNetwork::new(Arc::clone(&server), clock.clone()),
            clock,
            server,
            device: SimDevice::new(MAC),
            flash,
            config: Config {
                artifact_name: "release-1",
                update_poll_interval: Duration::from_secs(1800),
                ..Config::new("http://mender.test:8080", DEVICE_TYPE)
            },
            unhealthy: Vec::new(),
            calls: Arc::default(),
            boots: 0,
            bootloader: Mcuboot::new(BootLayout {
                slot0: SLOT0,
                slot1: SLOT1,
                max_img_sectors: 128,
            }),
        }
    }

    /// A board that the server has accepted and that runs.
    pub fn accepted(mode: Mode) -> Board {
        let mut board = Board::new(mode);
        lock(&board.server).settings_mut().auto_accept = true;
        let ended = board.run(Duration::from_secs(60), |board| {
            board.device.events().iter().any(|event| event == "NoUpdate")
        });
        assert_eq!(ended, Ended::Reached);
        board
    }

    pub fn id(&self) -> DeviceId {
        lock(&self.server)
            .find_device("mac", MAC)
            .expect("the device has registered")
            .id()
            .clone()
    }

    /// Stores an artifact and deploys it to the board.
    pub fn deploy(&self, artifact: Vec<u8>) -> DeploymentId {
        let device = self.id();
        let now = self.clock.date();
        let mut server = lock(&self.server);
        let id = server.add_artifact(artifact, now).expect("a good artifact");
        let name = server.artifact(&id).unwrap().info().name.clone();
        server.deploy(&name, &[device], now).expect("a good deployment")
    }

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

    pub fn log(&self, deployment: &DeploymentId) -> Vec<String> {
        let id = self.id();
        lock(&self.server)
            .device_deployment(deployment, &id)
            .and_then(|deployment| deployment.log.clone())
            .unwrap_or_default()
            .into_iter()
            .map(|line| format!("{} {}", line.level, line.message))
            .collect()
    }

    /// What the server's inventory says.
    pub fn inventory(&self, name: &str) -> Option<String> {
        let id = self.id();
        let server = lock(&self.server);
        let value = server.inventory(&id)?.value(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    pub fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }

    pub fn finished(deployment: &DeploymentId) -> impl Fn(&Board) -> bool {
        let deployment = deployment.clone();
        move |board| board.status(&deployment).is_some_and(Status::is_final)
    }

    /// The firmware that the bootloader would start now.
    pub fn version_that_runs(&self) -> u8 {
        self.bootloader
            .boot(&self.flash)
            .expect("power is on")
            .ran
            .expect("the board boots")
            .major
    }

    /// Switches the board on and lets it run, restarts included, until `reached` or for so long.
    pub fn run(&mut self, limit: Duration, reached: impl Fn(&Board) -> bool) -> Ended {
        let end = self.clock.elapsed() + limit;
        loop {
            self.boots += 1;
            let boot = match self.bootloader.boot(&self.flash) {
                Ok(boot) => boot,
                Err(_) => return Ended::PowerLost,
            };
            let runs = boot.ran.expect("something boots");
            let reset = ResetLine::new();
            let line = reset.clone();
            let module = Firmware {
                image: ZephyrImage::new(
                    LAYOUT,
                    self.flash.partition(SLOT0),
                    self.flash.partition(SLOT1),
                    move || line.pull(),
                )
                .expect("the layout fits the flash"),
                healthy: !self.unhealthy.contains(&runs.major),
                calls: Arc::clone(&self.calls),
            };
            let mut scratch = FlashScratch::<512>::new();
            let storage = FlashStorage::new(
                self.flash.partition(STORAGE),
                const { FlashRange::new(0..STORAGE.end) },
                scratch.as_mut(),
            )
            .expect("the range is in the flash");
            let mut resources: Box<Resources> = Box::new(Resources::new());
            let mut client = Client::new(
                self.config,
                self.device.clone(),
                self.network.clone(),
                storage,
                self.clock.clone(),
                SeededRng::new(u64::from(self.boots)),
                (module,),
                &mut resources,
            )
            .expect("the configuration is good");
            let this = &*self;
            let watch = async {
                while !reached(this) && this.flash.power_is_on() {
                    this.clock.wait(Duration::from_millis(100)).await;
                }
            };
            let left = end.saturating_sub(self.clock.elapsed());
            match self.clock.run(left, select3(client.run(), reset.pulled(), watch)) {
                Run::Done(Either3::First(result)) => {
                    if self.flash.power_is_on() {
                        panic!("the client came back: {result:?}");
                    }
                    return Ended::PowerLost;
                }
                Run::Done(Either3::Second(())) => {}
                Run::Done(Either3::Third(())) => {
                    return if self.flash.power_is_on() {
                        Ended::Reached
                    } else {
                        Ended::PowerLost
                    };
                }
                Run::TimeUp => return Ended::TimeUp,
                Run::Stalled => panic!("everything waits for ever"),
            }
        }
    }
}
