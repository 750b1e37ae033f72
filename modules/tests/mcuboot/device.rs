//! A device with two slots: simulated flash, bootloader model, and the module as the firmware has it.

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::Payload;
use mender_modules::mcuboot::{Error, Layout, ZephyrImage};
use mender_testkit::bootloader::{self, BootOutcome, Mcuboot, Trailer};
use mender_testkit::flash::{FlashError, Partition, SimFlash};
use mender_testkit::image::{ImageBuilder, ImageInfo, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

pub type Failed = Error<FlashError, FlashError>;

pub const V1: Version = Version::new(1, 0, 0);
pub const V2: Version = Version::new(2, 0, 0);
pub const V3: Version = Version::new(3, 0, 0);

/// Where the slots are: behind a guard sector each, 16 sectors long.
#[derive(Clone)]
pub struct Device<const WRITE: usize, const SECTOR: usize> {
    pub flash: SimFlash<WRITE, SECTOR>,
    pub boot: Mcuboot,
}

/// A device small enough for thousands of updates.
pub type Small = Device<8, 512>;

pub type Module<const WRITE: usize, const SECTOR: usize> =
    ZephyrImage<Partition<WRITE, SECTOR>, Partition<WRITE, SECTOR>, fn(), 64>;

impl<const WRITE: usize, const SECTOR: usize> Device<WRITE, SECTOR> {
    /// Blank flash.
    pub fn blank() -> Self {
        let sector = SECTOR as u32;
        Device {
            flash: SimFlash::new(35),
            boot: Mcuboot::new(bootloader::Layout {
                slot0: sector..17 * sector,
                slot1: 18 * sector..34 * sector,
                max_img_sectors: 16,
            }),
        }
    }

    /// Version 1 runs as a programmer left it, without a trailer.
    pub fn factory() -> Self {
        let device = Self::blank();
        device.flash.patch(SECTOR as u32, &image(V1));
        assert_eq!(device.boots().ran, Some(V1));
        device
    }

    /// Version 1 runs, installed and confirmed by an update: slot 0's trailer looks as after the next update.
    pub fn updated() -> Self {
        let device = Self::blank();
        device.flash.patch(SECTOR as u32, &image(Version::new(0, 9, 0)));
        device.download(&image(V1)).unwrap();
        block_on(device.module().request_swap()).unwrap();
        assert_eq!(device.boots().ran, Some(V1));
        block_on(device.module().confirm()).unwrap();
        device
    }

    /// Version 1 runs after an update to version 2 was reverted.
    pub fn reverted() -> Self {
        let device = Self::updated();
        device.download(&image(V2)).unwrap();
        block_on(device.module().request_swap()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        assert_eq!(device.boots().ran, Some(V1));
        device
    }

    /// Another device with the same flash content.
    pub fn copy(&self) -> Self {
        Device {
            flash: SimFlash::from_bytes(&self.flash.to_bytes()),
            boot: self.boot.clone(),
        }
    }

    pub fn layout(&self) -> Layout {
        let layout = self.boot.layout();
        Layout {
            primary_len: layout.slot0.end - layout.slot0.start,
            secondary_len: layout.slot1.end - layout.slot1.start,
            sector_len: SECTOR as u32,
            write_len: WRITE as u32,
            max_img_sectors: layout.max_img_sectors,
        }
    }

    /// The module after a start of the firmware: it knows nothing but the flash.
    pub fn module(&self) -> Module<WRITE, SECTOR> {
        let layout = self.boot.layout();
        let slot0 = self.flash.partition(layout.slot0.clone());
        let slot1 = self.flash.partition(layout.slot1.clone());
        ZephyrImage::new(self.layout(), slot0, slot1, (|| ()) as fn()).unwrap()
    }

    pub fn boots(&self) -> BootOutcome {
        self.boot.boot(&self.flash).unwrap()
    }

    /// Downloads one file in one go.
    pub fn download(&self, file: &[u8]) -> Result<(), Failed> {
        download(
            &mut self.module(),
            MemoryPayload::new("zephyr-image", 1000).file("app.bin", file),
        )
    }

    pub fn slot(&self, slot: u8) -> Vec<u8> {
        let layout = self.boot.layout();
        let range = if slot == 0 { &layout.slot0 } else { &layout.slot1 };
        self.flash.to_bytes()[range.start as usize..range.end as usize].to_vec()
    }

    pub fn trailer(&self, slot: u8) -> Trailer {
        Trailer::read(&self.slot(slot))
    }

    /// Version of the intact image in a slot.
    pub fn version(&self, slot: u8) -> Option<Version> {
        let bytes = self.slot(slot);
        let image = ImageInfo::parse(&bytes).ok()?;
        image.hash_is_right(&bytes).then_some(image.version)
    }
}

pub fn download<P: NorFlash, S: NorFlash, R: mender_modules::Restart, const N: usize>(
    module: &mut ZephyrImage<P, S, R, N>,
    mut source: MemoryPayload,
) -> Result<(), Error<P::Error, S::Error>> {
    block_on(module.write_slot(&mut Payload::new(&mut source)))
}

/// An image of about two and a half small sectors; version 2 is longer than version 1.
pub fn image(version: Version) -> Vec<u8> {
    ImageBuilder::new(version)
        .body_len(1200 + 300 * usize::from(version.major))
        .build()
}
