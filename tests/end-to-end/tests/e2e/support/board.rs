//! A simulated board with an MCUboot firmware that runs the real client, boot after boot.

use std::future::pending;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mender::storage::{FlashRange, FlashStorage};
use mender::update_module;
use mender::update_module::{Failure, Payload};
use mender_modules::mcuboot::{Layout, SwapMove, ZephyrImage};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::bootloader::{Layout as BootLayout, Mcuboot};
use mender_testkit::flash::{Partition, SimFlash};
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::network::lock;
use mender_testkit::server::Mode;

use super::storage::{Counting, Failing, Faults, Faulty, SharedFaults};
use super::{DEVICE_TYPE, Ended, MINUTE, Site, Written};

const WRITE: usize = 8;
const SECTOR: usize = 4096;
const STORAGE: std::ops::Range<u32> = 0..0x2000;
const SLOT0: std::ops::Range<u32> = 0x2000..0x2_2000;
pub const SLOT1: std::ops::Range<u32> = 0x2_2000..0x4_2000;

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
    flash: SimFlash<WRITE, SECTOR>,
    healthy: bool,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl<R: mender_modules::Restart> Firmware<R> {
    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.note("download");
        let written = self.image.write_slot(payload).await;
        if !self.flash.power_is_on() {
            // Nothing runs any more.
            pending::<()>().await;
        }
        written.map_err(Failure::new)
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

/// A board with flash and bootloader.
pub struct Board {
    site: Site,
    pub flash: SimFlash<WRITE, SECTOR>,
    /// Major versions of firmware that fails its own check.
    pub unhealthy: Vec<u8>,
    /// What the client wrote to its storage.
    pub written: Arc<Mutex<Vec<Written>>>,
    /// What fails of storage, and what was read.
    pub faults: SharedFaults,
    /// The firmware that the bootloader started last.
    pub runs: u8,
    calls: Arc<Mutex<Vec<&'static str>>>,
    bootloader: Mcuboot,
}

fn version(major: u8) -> Version {
    Version {
        major,
        minor: 0,
        revision: 0,
        build: 0,
    }
}

pub fn image(major: u8) -> Vec<u8> {
    ImageBuilder::new(version(major)).body_len(20_000).build()
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
        let flash = SimFlash::new(0x4_2000 / SECTOR);
        flash.patch(SLOT0.start, &image(1));
        Board {
            site: Site::new(mode),
            flash,
            unhealthy: Vec::new(),
            written: Arc::default(),
            faults: Arc::default(),
            runs: 0,
            calls: Arc::default(),
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
        assert_eq!(board.run(MINUTE, Site::idle), Ended::Reached);
        board.written.lock().unwrap().clear();
        board
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    pub fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
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
    pub fn run(&mut self, limit: Duration, reached: impl Fn(&Site) -> bool) -> Ended {
        let end = self.clock.elapsed() + limit;
        loop {
            let boot = match self.bootloader.boot(&self.flash) {
                Ok(boot) => boot,
                Err(_) => return Ended::PowerLost,
            };
            self.runs = boot.ran.expect("something boots").major;
            let line = self.reset.clone();
            let module = Firmware {
                image: ZephyrImage::new(
                    LAYOUT,
                    self.flash.partition(SLOT0),
                    self.flash.partition(SLOT1),
                    move || line.pull(),
                )
                .expect("the layout fits the flash"),
                flash: self.flash.clone(),
                healthy: !self.unhealthy.contains(&self.runs),
                calls: Arc::clone(&self.calls),
            };
            let storage = Counting {
                storage: FlashStorage::new(
                    Faulty {
                        flash: self.flash.partition(STORAGE),
                        faults: Arc::clone(&self.faults),
                    },
                    const { FlashRange::new(0..STORAGE.end) },
                )
                .expect("the range is in the flash"),
                written: Arc::clone(&self.written),
                failing: Failing::None,
                faults: Arc::clone(&self.faults),
            };
            let flash = self.flash.clone();
            if let Some(ended) = self
                .site
                .boot(storage, (module,), end, || flash.power_is_on(), &reached)
            {
                return ended;
            }
        }
    }
}

impl Deref for Board {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Board {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}
