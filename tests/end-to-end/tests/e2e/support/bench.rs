//! A device with scripted modules and a little flash for the client's records: small and fast.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mender::storage::{FlashRange, FlashStorage, Storage};
use mender::update_module::ModuleSet;
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::device::ResetLine;
use mender_testkit::flash::SimFlash;
use mender_testkit::network::lock;
use mender_testkit::server::Mode;

use super::script::{Script, Scripted, SharedScript};
use super::storage::{Counting, Failing, Faults, Faulty, SharedFaults};
use super::{DEVICE_TYPE, Ended, HOUR, Site, Written};

const WRITE: usize = 8;
const SECTOR: usize = 4096;

/// See the [module](self).
pub struct Bench {
    site: Site,
    pub script: SharedScript,
    /// The client's records, and nothing else.
    pub flash: SimFlash<WRITE, SECTOR>,
    /// What the client wrote to its storage.
    pub written: Arc<Mutex<Vec<Written>>>,
    /// Which of the writes fail.
    pub failing: Failing,
    /// What else fails of storage, and what was read.
    pub faults: SharedFaults,
    /// The next run is the client's alone: the device goes on without a restart.
    pub goes_on: bool,
}

/// A small file with content of its own.
pub fn small_file(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// An artifact for the module that needs no reboot, `release-2`, with one small file.
pub fn app() -> Vec<u8> {
    ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("app")
        .file("app.bin", &small_file(3000))
        .write()
}

/// An artifact for the module that reboots and rolls back, `release-2`, with one small file.
pub fn firmware() -> Vec<u8> {
    ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("firmware")
        .file("firmware.bin", &small_file(3000))
        .write()
}

impl Bench {
    /// A device that the server does not know.
    pub fn new(mode: Mode) -> Bench {
        Bench {
            site: Site::new(mode),
            script: Arc::default(),
            flash: SimFlash::new(2),
            written: Arc::default(),
            failing: Failing::None,
            faults: Arc::default(),
            goes_on: false,
        }
    }

    /// A device that the server has accepted, that has sent its inventory and has nothing to do.
    pub fn accepted(mode: Mode) -> Bench {
        let mut bench = Bench::new(mode);
        bench.auto_accept();
        bench.settle();
        bench
    }

    /// The server accepts every device from now on.
    pub fn auto_accept(&self) {
        lock(&self.server).settings_mut().auto_accept = true;
    }

    /// Runs until the client has nothing to do, then forgets what was seen so far.
    pub fn settle(&mut self) {
        self.device.clear_events();
        let ended = self.run(HOUR, |site| {
            site.has_event("NoUpdate")
                && site
                    .device
                    .events()
                    .iter()
                    .any(|event| event.starts_with("InventorySent"))
        });
        assert_eq!(ended, Ended::Reached);
        self.clear_records();
        self.written().clear();
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub fn written(&self) -> MutexGuard<'_, Vec<Written>> {
        self.written.lock().unwrap()
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    pub fn calls(&self) -> Vec<String> {
        self.script().calls.clone()
    }

    /// The client's storage of one boot.
    fn storage(&self) -> impl Storage + use<> {
        Counting {
            storage: FlashStorage::new(
                Faulty {
                    flash: self.flash.partition(0..2 * SECTOR as u32),
                    faults: Arc::clone(&self.faults),
                },
                const { FlashRange::new(0..2 * SECTOR as u32) },
            )
            .expect("the range is in the flash"),
            written: Arc::clone(&self.written),
            failing: self.failing,
            faults: Arc::clone(&self.faults),
        }
    }

    /// As [`run`](Bench::run), with modules of the test's own.
    pub fn run_with<M: ModuleSet>(
        &mut self,
        limit: Duration,
        modules: impl Fn(&SharedScript, &ResetLine) -> M,
        reached: impl Fn(&Site) -> bool,
    ) -> Ended {
        let end = self.clock.elapsed() + limit;
        loop {
            self.script().boot();
            let storage = self.storage();
            let modules = modules(&self.script, &self.reset);
            let flash = self.flash.clone();
            if let Some(ended) = self.site.boot(storage, modules, end, || flash.power_is_on(), &reached) {
                return ended;
            }
        }
    }

    /// Switches the device on and lets it run, restarts included, until `reached` or for so long.
    pub fn run(&mut self, limit: Duration, reached: impl Fn(&Site) -> bool) -> Ended {
        let end = self.clock.elapsed() + limit;
        loop {
            if !std::mem::take(&mut self.goes_on) {
                self.script().boot();
            }
            let storage = self.storage();
            let flash = self.flash.clone();
            if self.script().bare {
                let app = (Scripted::<false, false>::new(&self.script, &self.reset),);
                let power = || flash.power_is_on();
                if let Some(ended) = self.site.boot(storage, app, end, power, &reached) {
                    return ended;
                }
                continue;
            }
            let (script, reset) = (Arc::clone(&self.script), self.reset.clone());
            let modules = (
                Scripted::<false, false>::new(&script, &reset),
                Scripted::<false, true>::new(&script, &reset),
                Scripted::<true, false>::new(&script, &reset),
                Scripted::<true, true>::new(&script, &reset),
            );
            if let Some(ended) = self.site.boot(storage, modules, end, || flash.power_is_on(), &reached) {
                return ended;
            }
        }
    }

    /// Runs until the deployment is over for the client too, the outcome delivered.
    pub fn run_to_end(&mut self) {
        self.device.clear_events();
        assert_eq!(self.run(HOUR, Site::over), Ended::Reached);
    }
}

impl Deref for Bench {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}
