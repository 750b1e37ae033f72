//! A device with the partitions of embassy-boot: simulated flash, the real bootloader, and the module as the firmware has it.

use embassy_boot::{BootError, BootLoader, BootLoaderConfig, FirmwareUpdaterConfig, State};
use mender::update_module::Payload;
use mender_modules::embassy_boot::{EmbassyBoot, EmbassyBootImage, Error};
use mender_testkit::flash::{Partition, Rewrites, SimFlash};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::area::Area;

/// Pages of ACTIVE; DFU has one more.
pub const PAGES: u32 = 6;
pub const SECTOR: usize = 512;

pub type Flash<const WRITE: usize> = Partition<WRITE, SECTOR>;
pub type Module<const WRITE: usize> = EmbassyBoot<Flash<WRITE>, Flash<WRITE>, Flash<WRITE>, fn(), EmbassyBootImage, 64>;

/// What STATE asks of the next boot, read by other means than the module's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    None,
    Swap { steps: u32 },
}

impl Request {
    /// Of the content of STATE, written in units of so many bytes.
    pub fn of(state: &[u8], word_len: usize) -> Request {
        let mut words = state.chunks(word_len);
        let mut next = || words.next().expect("STATE is longer");
        if next().iter().any(|byte| *byte != 0xf0) || next().iter().any(|byte| *byte != 0xff) {
            return Request::None;
        }
        let steps = words.take_while(|word| !word.contains(&0xff)).count() as u32;
        Request::Swap { steps }
    }
}

#[derive(Clone)]
pub struct Device<const WRITE: usize> {
    pub flash: SimFlash<WRITE, SECTOR>,
}

impl<const WRITE: usize> Device<WRITE> {
    /// Version 1 runs as a programmer left it, STATE is erased.
    pub fn factory() -> Self {
        let flash = SimFlash::new(2 * PAGES as usize + 5);
        // embassy-boot presupposes it: it writes a torn step once more.
        flash.set_rewrites(Rewrites::ClearBits);
        let device = Device { flash };
        device.active().flash().patch(device.active().range().start, &image(1));
        device
    }

    /// Version 1 runs, installed and confirmed by an update.
    pub fn updated() -> Self {
        let device = Self::factory();
        device.flash.patch(device.active().range().start, &image(9));
        device.updates_to(1);
        block_on(device.module().confirm()).unwrap();
        device
    }

    /// Version 1 runs after an update to version 2 was reverted.
    pub fn reverted() -> Self {
        let device = Self::updated();
        device.updates_to(2);
        device.boots().unwrap();
        assert_eq!(device.runs(), Some(1));
        device
    }

    /// Another device with the same flash content.
    pub fn copy(&self) -> Self {
        let flash = SimFlash::from_bytes(&self.flash.to_bytes());
        flash.set_rewrites(Rewrites::ClearBits);
        Device { flash }
    }

    fn pages(&self, from: u32, to: u32) -> Flash<WRITE> {
        self.flash.partition(from * SECTOR as u32..to * SECTOR as u32)
    }

    // A guard sector between the partitions.
    pub fn active(&self) -> Flash<WRITE> {
        self.pages(1, PAGES + 1)
    }

    pub fn dfu(&self) -> Flash<WRITE> {
        self.pages(PAGES + 2, 2 * PAGES + 3)
    }

    pub fn state(&self) -> Flash<WRITE> {
        self.pages(2 * PAGES + 4, 2 * PAGES + 5)
    }

    /// The module after a start of the firmware: it knows nothing but the flash.
    pub fn module(&self) -> Module<WRITE> {
        let config = FirmwareUpdaterConfig {
            dfu: self.dfu(),
            state: self.state(),
        };
        EmbassyBoot::new(config, self.active(), (|| ()) as fn()).unwrap()
    }

    /// One run of the bootloader.
    pub fn boots(&self) -> Result<State, BootError> {
        let mut boot = BootLoader::new(BootLoaderConfig {
            active: bootable(self.active()),
            dfu: bootable(self.dfu()),
            state: bootable(self.state()),
        });
        boot.prepare_boot(&mut [0; SECTOR])
    }

    pub fn download(&self, image: &[u8]) -> Result<(), Error> {
        let source = MemoryPayload::new("embassy-boot-image", 100).file("app.bin", image);
        download(&mut self.module(), source)
    }

    /// Downloads, requests, boots and checks.
    pub fn updates_to(&self, version: u8) {
        self.download(&image(version)).unwrap();
        block_on(self.module().request_swap()).unwrap();
        self.boots().unwrap();
        assert_eq!(self.runs(), Some(version));
        block_on(self.module().check_swapped()).unwrap();
    }

    /// The version of the whole image in ACTIVE: what runs.
    pub fn runs(&self) -> Option<u8> {
        let active = self.active().to_bytes();
        (1..10).find(|version| active.starts_with(&image(*version)))
    }

    /// Where the record of an image is in ACTIVE and DFU.
    pub fn record(&self) -> u32 {
        PAGES * SECTOR as u32 - 96
    }
}

fn bootable<const WRITE: usize>(partition: Flash<WRITE>) -> Area<WRITE, SECTOR, SECTOR> {
    Area(partition)
}

pub fn download<const WRITE: usize>(module: &mut Module<WRITE>, mut source: MemoryPayload) -> Result<(), Error> {
    block_on(module.write_dfu(&mut Payload::new(&mut source)))
}

/// Bytes that differ everywhere from version to version, no erased ones among them; each version has another length.
pub fn image(version: u8) -> Vec<u8> {
    let len = 1101 + 301 * usize::from(version % 5);
    (0..len)
        .map(|at| (at as u8 ^ (at >> 8) as u8).wrapping_mul(5).wrapping_add(version * 16) & 0x7f)
        .collect()
}
