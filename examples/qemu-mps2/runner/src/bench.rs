//! A board on the network, with somebody who watches both and plays the operator. Depends on all but `story`, `rounds`, `measure`, `main`.

use std::error::Error;
use std::time::{Duration, Instant};

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{DeploymentId, DeviceId, Server, Status, Time};

use crate::emulator::Emulator;
use crate::factory::{Flash, Settings};
use crate::images::{Bootloader, Images};
use crate::site::Site;
use crate::terminal::Terminal;
use crate::watch::Watch;

/// The firmware's.
const DEVICE_TYPE: &str = "mps2-an386";
/// What the factory writes.
pub const FIRST_TABLE: [u8; 64] = [1; 64];
/// Much longer than anything takes.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How a bench is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What starts the firmware.
    pub bootloader: Bootloader,
    /// TLS, or not.
    pub tls: bool,
    /// The board measures cryptography.
    pub measures: bool,
    /// The board's time is counted in instructions: the same on each machine.
    pub counts: bool,
    /// Nothing is shown of what happens.
    pub quiet: bool,
}

/// Board and server.
#[derive(Debug)]
pub struct Bench {
    /// The programs.
    pub images: Images,
    /// What is on the network.
    pub site: Site,
    /// The board's flash.
    pub flash: Flash,
    /// What the board has said.
    pub watch: Watch,
    /// Where it is shown.
    pub terminal: Terminal,
    emulator: Option<Emulator>,
    counts: bool,
    /// Removed with the bench.
    _folder: tempfile::TempDir,
}

impl Bench {
    /// A new board, switched off, with the first release.
    ///
    /// # Errors
    ///
    /// Whatever cannot be started.
    pub fn new(setup: &Setup) -> Result<Bench, Box<dyn Error>> {
        crate::emulator::find()?;
        let terminal = Terminal::new(setup.quiet);
        terminal.say("runner", "builds bootloader and firmware; the first time takes minutes");
        let mut images = crate::images::build(setup.tls, &setup.bootloader)?;
        let site = Site::start(setup.tls)?;
        let folder = tempfile::Builder::new().prefix("qemu-mps2-").tempdir()?;
        // QEMU reads it at each start, and somebody may build another one meanwhile.
        let bootloader = folder.path().join("bootloader");
        std::fs::copy(&images.bootloader.elf, &bootloader)?;
        images.bootloader.elf = bootloader;
        let settings = Settings {
            server: &site.url,
            time: site.time,
            root: &site.root,
            measures: setup.measures,
        };
        let [first, _, _] = &images.releases;
        let flash = Flash::make(folder.path().join("flash"), &settings, first, &FIRST_TABLE)?;
        Ok(Bench {
            images,
            site,
            flash,
            watch: Watch::default(),
            terminal,
            emulator: None,
            counts: setup.counts,
            _folder: folder,
        })
    }

    /// Power on.
    ///
    /// # Errors
    ///
    /// QEMU cannot be started.
    pub fn switch_on(&mut self) -> Result<(), Box<dyn Error>> {
        self.terminal.say("runner", "switches the board on");
        // What it was told before is no longer so.
        self.watch.is_idle = false;
        self.emulator = Some(Emulator::start(&self.flash, &self.images.bootloader.elf, self.counts)?);
        Ok(())
    }

    /// Power off, without a warning.
    pub fn cut_power(&mut self) {
        if let Some(mut emulator) = self.emulator.take() {
            emulator.cut();
            // What it has said before, to the end of the pipe.
            while let Ok(Some(line)) = emulator.line(LIMIT) {
                self.heard(&line);
            }
        }
        self.terminal.progress(None);
    }

    fn heard(&mut self, line: &str) {
        if let Some(text) = self.watch.take(line) {
            self.terminal.say("board", text);
        }
        self.terminal.progress(self.watch.progress);
    }

    /// Listens to the board for this long.
    ///
    /// # Errors
    ///
    /// QEMU has ended.
    pub fn listen(&mut self, patience: Duration) -> Result<(), Box<dyn Error>> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Some(emulator) = &mut self.emulator else {
                return Err("the board is off".into());
            };
            match emulator.line(left)? {
                Some(line) => self.heard(&line),
                None => return Ok(()),
            }
        }
    }

    /// Listens until there is something to see on the server or of the board.
    ///
    /// # Errors
    ///
    /// It does not come, or the board does what it must not.
    pub fn until<T>(&mut self, what: &str, look: impl Fn(&Server, &Watch) -> Option<T>) -> Result<T, Box<dyn Error>> {
        let end = Instant::now() + LIMIT;
        loop {
            self.listen(LOOK_AGAIN)?;
            if let Some(fault) = self.watch.faults.first() {
                return Err(format!("the board: {fault}").into());
            }
            let found = look(&self.site.server.server(), &self.watch);
            if let Some(found) = found {
                return Ok(found);
            }
            if Instant::now() > end {
                return Err(format!("not within {} s: {what}", LIMIT.as_secs()).into());
            }
        }
    }

    /// Waits for the unknown device, and lets it in.
    ///
    /// # Errors
    ///
    /// It does not come.
    pub fn accept(&mut self) -> Result<DeviceId, Box<dyn Error>> {
        let device = self.until("a device asks", |server, _| server.pending_devices().first().cloned())?;
        self.terminal.say("server", "has a new device: pending");
        if !self.site.server.server().accept_device(&device, Time::now()) {
            return Err("the device cannot be accepted".into());
        }
        self.terminal.say("operator", "accepts it");
        self.until("the inventory comes", |server, watch| {
            (artifact_name(server, &device)? == "release-1" && watch.is_idle).then_some(())
        })?;
        Ok(device)
    }

    /// Uploads an artifact.
    ///
    /// # Errors
    ///
    /// The server does not take it.
    pub fn upload(&mut self, name: &str, payload_type: &str, file: &[u8]) -> Result<(), Box<dyn Error>> {
        let artifact = ArtifactWriter::new(name, DEVICE_TYPE)
            .payload_type(payload_type)
            .file("payload.bin", file)
            .write();
        self.terminal.say(
            "operator",
            format_args!("uploads {name}: {} KiB", artifact.len().div_ceil(1024)),
        );
        self.site.server.server().add_artifact(artifact, Time::now())?;
        Ok(())
    }

    /// Deploys an artifact.
    ///
    /// # Errors
    ///
    /// The server does not want it.
    pub fn deploy(&mut self, name: &str, device: &DeviceId) -> Result<DeploymentId, Box<dyn Error>> {
        self.terminal.say("operator", format_args!("deploys {name}"));
        self.watch.is_idle = false;
        let mut server = self.site.server.server();
        Ok(server.deploy(name, std::slice::from_ref(device), Time::now())?)
    }

    /// Waits until the board has heard of a deployment.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn begun(&mut self) -> Result<(), Box<dyn Error>> {
        self.until("the deployment is offered", |_, watch| {
            (watch.doing != "idle").then_some(())
        })
    }

    /// Waits until a deployment is over and the board has nothing to do any more.
    ///
    /// # Errors
    ///
    /// That does not come.
    pub fn outcome(&mut self, deployment: &DeploymentId, device: &DeviceId) -> Result<Status, Box<dyn Error>> {
        let status = self.until("the deployment is over", |server, watch| {
            let status = server.device_deployment(deployment, device)?.status;
            (status.is_final() && watch.is_idle).then_some(status)
        })?;
        self.terminal.say("server", format_args!("has recorded: {status}"));
        Ok(status)
    }
}

/// The artifact that the board runs, as far as the server was told.
pub fn artifact_name(server: &Server, device: &DeviceId) -> Option<String> {
    let value = server.inventory(device)?.value("artifact_name")?;
    value.as_str().map(str::to_owned)
}
