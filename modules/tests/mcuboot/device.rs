//! A device with two slots: simulated flash, bootloader model, and the module as the firmware has it.

use std::cell::Cell;
use std::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::Payload;
use mender_modules::mcuboot::{
    DirectXip, Error, Layout, Mode, Overwrite, SwapMove, SwapOffset, SwapScratch, ZephyrImage,
};
use mender_testkit::bootloader::{self, BootOutcome, Flag, Magic, Mcuboot, Trailer};
use mender_testkit::flash::{FlashError, Partition, SimFlash};
use mender_testkit::image::{ImageBuilder, ImageInfo, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

pub type Failed = Error;

pub const V1: Version = Version::new(1, 0, 0);
pub const V2: Version = Version::new(2, 0, 0);
pub const V3: Version = Version::new(3, 0, 0);

/// A mode of the module and the same one of the bootloader model.
pub trait TestMode: Mode + Default {
    /// Sectors of slot 1; slot 0 has 16.
    const SLOT1_SECTORS: u32 = 16;

    fn of_bootloader(scratch: Range<u32>) -> bootloader::Mode;
}

impl TestMode for SwapMove {
    fn of_bootloader(_: Range<u32>) -> bootloader::Mode {
        bootloader::Mode::Move
    }
}

impl TestMode for SwapOffset {
    const SLOT1_SECTORS: u32 = 17;

    fn of_bootloader(_: Range<u32>) -> bootloader::Mode {
        bootloader::Mode::Offset
    }
}

impl TestMode for SwapScratch {
    fn of_bootloader(scratch: Range<u32>) -> bootloader::Mode {
        bootloader::Mode::Scratch { scratch }
    }
}

impl TestMode for Overwrite {
    fn of_bootloader(_: Range<u32>) -> bootloader::Mode {
        bootloader::Mode::Overwrite { fast: true }
    }
}

impl TestMode for DirectXip {
    fn of_bootloader(_: Range<u32>) -> bootloader::Mode {
        bootloader::Mode::DirectXip
    }
}

/// A chip with slot 0 of 16 sectors, slot 1 and a scratch area of two; a guard sector before each slot and at the end.
#[derive(Clone)]
pub struct Device<const WRITE: usize, const SECTOR: usize, M = SwapMove> {
    pub flash: SimFlash<WRITE, SECTOR>,
    pub boot: Mcuboot,
    /// The slot that the firmware runs from.
    pub running: Cell<u8>,
    pub mode: M,
    /// The images that it gets.
    pub image: fn(Version) -> Vec<u8>,
}

/// A device small enough for thousands of updates.
pub type Small = Device<8, 512, SwapMove>;

pub type Module<const WRITE: usize, const SECTOR: usize, M = SwapMove> =
    ZephyrImage<Partition<WRITE, SECTOR>, Partition<WRITE, SECTOR>, fn(), 64, M>;

impl<const WRITE: usize, const SECTOR: usize, M: TestMode> Device<WRITE, SECTOR, M> {
    /// Blank flash.
    pub fn blank() -> Self {
        let sector = SECTOR as u32;
        let scratch = 18 + M::SLOT1_SECTORS;
        Device {
            flash: SimFlash::new(scratch as usize + 3),
            boot: Mcuboot::new(bootloader::Layout {
                slot0: sector..17 * sector,
                slot1: 18 * sector..scratch * sector,
                max_img_sectors: M::SLOT1_SECTORS.max(16),
            })
            .with_mode(M::of_bootloader(scratch * sector..(scratch + 2) * sector))
            .with_max_align((WRITE as u32).max(8)),
            running: Cell::new(0),
            mode: M::default(),
            image,
        }
    }

    /// An image in slot 0 as a programmer leaves it: without a trailer, in direct-xip with one.
    pub fn program(&self, image: &[u8]) {
        let slot0 = &self.boot.layout().slot0;
        self.flash.patch(slot0.start, image);
        if *self.boot.mode() == bootloader::Mode::DirectXip {
            let max_align = self.boot.max_align();
            let image_ok = 16u32.next_multiple_of(max_align) + max_align;
            self.flash.patch(slot0.end - image_ok, &[1]);
            self.flash.patch(slot0.end - 16, &bootloader::magic(max_align));
        }
    }

    /// Version 1 runs as a programmer left it.
    pub fn factory() -> Self {
        Self::blank().into_factory()
    }

    /// Version 1 runs, installed and confirmed by an update: slot 0's trailer looks as after the next update.
    pub fn updated() -> Self {
        Self::blank().into_updated()
    }

    /// Version 1 runs after an update to version 2 was reverted.
    pub fn reverted() -> Self {
        Self::blank().into_reverted()
    }

    /// The version in what is called version 2: of the same image again it is version 1.
    pub fn new_version(&self) -> Version {
        ImageInfo::parse(&(self.image)(V2)).unwrap().version
    }

    /// A blank device becomes one as [`factory`](Device::factory) gives it.
    pub fn into_factory(self) -> Self {
        self.program(&(self.image)(V1));
        assert_eq!(self.boots().ran, Some(V1));
        self
    }

    pub fn into_updated(self) -> Self {
        self.program(&(self.image)(Version::new(0, 9, 0)));
        assert!(self.boots().ran.is_some());
        self.install(V1);
        assert_eq!(self.boots().ran, Some(V1));
        block_on(self.module().confirm()).unwrap();
        self
    }

    pub fn into_reverted(self) -> Self {
        let device = self.into_updated();
        device.install(V2);
        assert!(device.boots().ran.is_some());
        assert_eq!(device.boots().ran, Some(V1));
        device
    }

    /// Another device with the same flash content.
    pub fn copy(&self) -> Self {
        Device {
            flash: SimFlash::from_bytes(&self.flash.to_bytes()),
            ..self.clone()
        }
    }

    pub fn layout(&self) -> Layout<M> {
        let layout = self.boot.layout();
        let (running, other) = self.slots();
        Layout {
            mode: self.mode,
            primary_len: running.end - running.start,
            secondary_len: other.end - other.start,
            sector_len: SECTOR as u32,
            write_len: WRITE as u32,
            max_align: self.boot.max_align(),
            max_img_sectors: layout.max_img_sectors,
        }
    }

    /// The slot that runs and the other one.
    pub fn slots(&self) -> (Range<u32>, Range<u32>) {
        let layout = self.boot.layout();
        if self.running.get() == 0 {
            (layout.slot0.clone(), layout.slot1.clone())
        } else {
            (layout.slot1.clone(), layout.slot0.clone())
        }
    }

    /// The module after a start of the firmware: it knows nothing but the flash.
    pub fn module(&self) -> Module<WRITE, SECTOR, M> {
        let (running, other) = self.slots();
        let (primary, secondary) = (self.flash.partition(running), self.flash.partition(other));
        ZephyrImage::with_buffer(self.layout(), primary, secondary, (|| ()) as fn()).unwrap()
    }

    pub fn boots(&self) -> BootOutcome {
        self.try_boot().unwrap()
    }

    pub fn try_boot(&self) -> Result<BootOutcome, FlashError> {
        let outcome = self.boot.boot(&self.flash)?;
        self.running.set(outcome.slot);
        Ok(outcome)
    }

    /// Downloads one file in one go.
    pub fn download(&self, file: &[u8]) -> Result<(), Failed> {
        download(
            &mut self.module(),
            MemoryPayload::new("zephyr-image", 1000).file("app.bin", file),
        )
    }

    /// Downloads and requests this version.
    pub fn install(&self, version: Version) {
        let mut module = self.module();
        let source = MemoryPayload::new("zephyr-image", 1000).file("app.bin", (self.image)(version));
        download(&mut module, source).unwrap();
        block_on(module.request_swap()).unwrap();
    }

    pub fn slot(&self, slot: u8) -> Vec<u8> {
        let layout = self.boot.layout();
        let range = if slot == 0 { &layout.slot0 } else { &layout.slot1 };
        self.flash.to_bytes()[range.start as usize..range.end as usize].to_vec()
    }

    pub fn trailer(&self, slot: u8) -> Trailer {
        self.boot.trailer(&self.slot(slot))
    }

    /// The bootloader would not do anything but run what runs.
    pub fn is_settled(&self) -> bool {
        match self.boot.mode() {
            bootloader::Mode::DirectXip => {
                let own = self.trailer(self.running.get());
                (own.magic, own.image_ok) == (Magic::Good, Flag::Set)
            }
            _ => self.boot.decision(&self.flash).unwrap() == bootloader::SwapType::None,
        }
    }

    /// Version of the intact image in a slot; in slot 1 also at the second sector, if swap using offset looks there.
    pub fn version(&self, slot: u8) -> Option<Version> {
        let bytes = self.slot(slot);
        let at = |start: usize| {
            let image = ImageInfo::parse(&bytes[start..]).ok()?;
            image.hash_is_right(&bytes[start..]).then_some(image.version)
        };
        let offset = *self.boot.mode() == bootloader::Mode::Offset && slot == 1;
        at(0).or_else(|| at(SECTOR).filter(|_| offset))
    }
}

pub fn download<P: NorFlash, S: NorFlash, R: mender_modules::Restart, const N: usize, M: Mode>(
    module: &mut ZephyrImage<P, S, R, N, M>,
    mut source: MemoryPayload,
) -> Result<(), Error> {
    block_on(module.write_slot(&mut Payload::new(&mut source)))
}

/// An image of about two and a half small sectors; version 2 is longer than version 1.
pub fn image(version: Version) -> Vec<u8> {
    ImageBuilder::new(version)
        .body_len(1200 + 300 * usize::from(version.major))
        .build()
}

/// Takes what a download leaves for one after a restart for erased: in the sector below the trailer, behind the note, the hash of the
/// file and marks, each of them the first bytes of the hash.
pub fn without_marks(bytes: &mut [u8], sector_len: usize, write_len: usize) {
    let mark_len = write_len.max(4);
    for sector in bytes.chunks_mut(sector_len) {
        let (before, marked) = sector.split_at_mut(64);
        let (hash, marks) = marked.split_at(32);
        let first = &hash[..mark_len];
        if before[48..].iter().all(|byte| *byte == 0xff) && marks.starts_with(first) && first != vec![0xff; mark_len] {
            for mark in marks.chunks(mark_len) {
                assert!(mark == first || mark.iter().all(|byte| *byte == 0xff), "{mark:x?}");
            }
            marked.fill(0xff);
        }
    }
}
