//! The board: power on, bootloader, firmware with the client, reset, and again. Between two boots everything but the
//! flash's file is dropped.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use mender::adapters::tokio::TokioNet;
use mender::client::{Client, Config, Resources};
use mender::net::Connector;
use mender::storage::{FlashRange, FlashStorage};
use mender::tls::{Roots, TlsConnector, TlsMemory};
use mender_modules::delta::Memory;
use mender_modules::mcuboot::ZephyrImage;
use mender_testkit::bootloader::{BootOutcome, SwapType};
use mender_testkit::device::ResetLine;
use mender_testkit::image::{ImageInfo, Version};

use crate::authority;
use crate::chip::{self, Chip, LAYOUT, RECORDS, SLOT0, SLOT1};
use crate::device::{BoardClock, BoardDevice, Notes};
use crate::firmware::{Firmware, WithPatches};
use crate::link::Slow;
use crate::release::show;
use crate::terminal::{Terminal, Who};

/// What a board with a small Wi-Fi chip has.
const BYTES_PER_SECOND: u32 = 512 * 1024;

/// What a boot started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The firmware that runs.
    pub version: Version,
    /// What the bootloader did before.
    pub swapped: SwapType,
}

/// The board.
#[derive(Debug)]
pub struct Board {
    pub server_url: String,
    /// The root that vouches for the server, with TLS.
    pub root: Option<Vec<u8>>,
    pub device_type: String,
    /// The artifact name before any update.
    pub artifact_name: String,
    /// The image whose self-test fails.
    pub faulty_hash: [u8; 32],
    pub chip: Rc<Chip>,
    pub terminal: Rc<Terminal>,
    pub notes: Rc<Notes>,
    /// All boots so far.
    pub boots: RefCell<Vec<Boot>>,
}

impl Board {
    /// Switches the board on. It runs until the future is dropped: power off.
    ///
    /// # Errors
    ///
    /// What stops a board for good: nothing to boot, flash that fails, a client without a key.
    pub async fn run(&self) -> Result<Infallible, Box<dyn Error>> {
        loop {
            self.boot().await?;
        }
    }

    /// One boot, until the firmware resets the board.
    async fn boot(&self) -> Result<(), Box<dyn Error>> {
        let link = Slow {
            connector: TokioNet::new(),
            bytes_per_second: BYTES_PER_SECOND,
        };
        let Some(root) = &self.root else {
            return Box::pin(self.boot_with(link)).await;
        };
        let roots = [root.as_slice()];
        let mut memory: Box<TlsMemory> = Box::default();
        let tls = TlsConnector::new(link, &mut memory, authority::random(), Roots::same(&roots))?;
        Box::pin(self.boot_with(tls)).await
    }

    async fn boot_with(&self, network: impl Connector) -> Result<(), Box<dyn Error>> {
        let flash = self.chip.power_on()?;
        let outcome = chip::bootloader().boot(&flash)?;
        let version = outcome.ran.ok_or("the bootloader finds nothing to start")?;
        self.boots.borrow_mut().push(Boot {
            version,
            swapped: outcome.swapped,
        });
        self.announce(outcome, version);

        let running = ImageInfo::parse(&flash.partition(SLOT0).to_bytes())
            .map_err(|error| format!("slot 0 after the bootloader started it: {error:?}"))?;
        let reset = ResetLine::new();
        let line = reset.clone();
        let image = ZephyrImage::new(LAYOUT, flash.partition(SLOT0), flash.partition(SLOT1), move || {
            line.pull()
        })?;
        let mut memory: Box<Memory> = Box::default();
        let module = Firmware {
            image: image.taking_patches(&mut memory),
            healthy: running.hash != self.faulty_hash,
            terminal: Rc::clone(&self.terminal),
        };
        let device = BoardDevice {
            firmware_version: show(version),
            reset: reset.clone(),
            terminal: Rc::clone(&self.terminal),
            notes: Rc::clone(&self.notes),
        };
        // A few seconds instead of a few days.
        let config = Config {
            artifact_name: &self.artifact_name,
            update_poll_interval: Duration::from_secs(1),
            retry_first: Duration::from_millis(250),
            retry_cap: Duration::from_secs(1),
            restart_timeout: Duration::from_secs(5),
            ..Config::new(&self.server_url, &self.device_type)
        };
        let storage = FlashStorage::new(
            flash.partition(RECORDS),
            const { FlashRange::new(0..RECORDS.end - RECORDS.start) },
        )?;
        let mut resources: Box<Resources> = Box::default();
        let mut client = Client::new(
            config,
            device,
            network,
            storage,
            BoardClock::start(),
            authority::random(),
            (WithPatches(module),),
            &mut resources,
        )?;
        tokio::select! {
            ended = client.run() => Err(match ended {
                Ok(()) => "the client came to an end by itself".into(),
                Err(error) => error.into(),
            }),
            () = reset.pulled() => Ok(()),
        }
    }

    fn announce(&self, outcome: BootOutcome, version: Version) {
        let version = show(version);
        let what = match outcome.swapped {
            SwapType::None => format!("starts {version} from slot 0"),
            SwapType::Test => format!("swaps the slots and starts {version}, for a test: it has to confirm itself"),
            SwapType::Permanent => format!("swaps the slots for good and starts {version}"),
            SwapType::Revert => format!("nobody confirmed: swaps the slots back and starts {version}"),
        };
        self.terminal.say(Who::Bootloader, what);
    }
}
