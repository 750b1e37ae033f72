//! A device with ESP-IDF's partitions: simulated flash, the bootloader's model, and the module as the firmware has it.

use embedded_storage_async::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, ReadNorFlash};
use mender::update_module::Payload;
use mender_modules::esp_ota::{Bootloader, Error, EspOta, EspOtaImage, Slot};
use mender_testkit::esp_idf::{EspApp, EspIdf, EspImage, OtaEntry};
use mender_testkit::flash::{FlashError, Partition, Rewrites, SimFlash};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

pub const SECTOR: usize = 4096;
/// Sectors of a slot; the last is for the record.
pub const SLOT: u32 = 3;
const SECTOR_LEN: u32 = SECTOR as u32;
pub const CHIP: u16 = 5;

pub type Flash = SimFlash<4, SECTOR>;
pub type Module<R> = EspOta<Part, Part, R, EspOtaImage, 256>;

/// A partition of a chip whose words can be written more than once, with esp-storage's units.
#[derive(Clone)]
pub struct Part(pub Partition<4, SECTOR>);

impl ErrorType for Part {
    type Error = FlashError;
}

impl ReadNorFlash for Part {
    const READ_SIZE: usize = 4;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        assert!(
            offset.is_multiple_of(4) && bytes.len().is_multiple_of(4),
            "{offset}, {} bytes",
            bytes.len()
        );
        // esp-storage takes 4 KiB of stack otherwise.
        assert!(bytes.as_ptr().addr().is_multiple_of(4), "the buffer is not aligned");
        self.0.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl NorFlash for Part {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        assert!(to - from <= SECTOR_LEN, "sector by sector");
        self.0.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        assert!(bytes.as_ptr().addr().is_multiple_of(4), "the buffer is not aligned");
        self.0.write(offset, bytes).await
    }
}

impl MultiwriteNorFlash for Part {}

/// Where everything is; `factory` behind the slots.
pub fn bootloader(rollback: bool, factory: bool) -> EspIdf {
    let at = |from: u32, sectors: u32| from * SECTOR_LEN..(from + sectors) * SECTOR_LEN;
    EspIdf {
        rollback,
        chip: CHIP,
        otadata: at(0, 2),
        slots: [at(2, SLOT), at(2 + SLOT, SLOT)],
        factory: factory.then(|| at(2 + 2 * SLOT, SLOT)),
    }
}

pub const SECTORS: usize = 2 + 2 * SLOT as usize;

/// Longer than a sector, and different in every part from version to version.
pub fn image(version: u8) -> Vec<u8> {
    let len = 4000 + 400 * usize::from(version);
    let data = (0..len).map(|at| (at as u8 ^ (at >> 8) as u8).wrapping_mul(7).wrapping_add(version * 50));
    EspImage::new([data.collect(), vec![version; 8]]).to_bytes()
}

/// The version in a slot, if it is whole.
pub fn version(content: &[u8]) -> Option<u8> {
    (1..=3).find(|version| content.starts_with(&image(*version)))
}

pub fn parts(flash: &Flash) -> ([Part; 2], Part) {
    let map = bootloader(false, false);
    let part = |range| Part(flash.partition(range));
    (map.slots.map(part), part(map.otadata))
}

pub fn module<R: mender_modules::Restart>(flash: &Flash, running: Slot, how: Bootloader, restart: R) -> Module<R> {
    let (slots, otadata) = parts(flash);
    Module::new(slots, otadata, running, how, restart).expect("partitions for the bootloader")
}

/// One of the two, as the bootloader's model numbers them.
pub fn slot(app: EspApp) -> Option<Slot> {
    match app {
        EspApp::Ota(0) => Some(Slot::Ota0),
        EspApp::Ota(_) => Some(Slot::Ota1),
        EspApp::Factory => None,
    }
}

#[derive(Clone)]
pub struct Device {
    pub flash: Flash,
    pub how: Bootloader,
    pub running: Slot,
}

impl Device {
    /// Version 1 in `ota_0`, otadata erased, as espflash leaves it; booted.
    pub fn factory(how: Bootloader) -> Device {
        let flash = Flash::new(SECTORS);
        flash.set_rewrites(Rewrites::ClearBits);
        flash.patch(bootloader(false, false).slots[0].start, &image(1));
        let mut device = Device {
            flash,
            how,
            running: Slot::Ota0,
        };
        device.boots();
        assert_eq!(device.runs(), Some(1));
        device
    }

    pub fn map(&self) -> EspIdf {
        bootloader(self.how == Bootloader::Reverts, false)
    }

    pub fn boots(&mut self) {
        let app = self.map().boot(&self.flash).unwrap().expect("something boots");
        self.running = slot(app).expect("there is no factory app");
    }

    pub fn runs(&self) -> Option<u8> {
        let (slots, _) = parts(&self.flash);
        version(&slots[self.running as usize].0.to_bytes())
    }

    pub fn module(&self) -> Module<fn()> {
        module(&self.flash, self.running, self.how, || ())
    }

    pub fn entries(&self) -> [OtaEntry; 2] {
        self.map().entries(&self.flash).unwrap()
    }

    /// Puts an entry there, whatever was.
    pub fn set_entry(&self, index: u32, bytes: &[u8; 32]) {
        self.flash.patch(index * SECTOR_LEN, bytes);
    }

    pub fn download(&self, file: &[u8]) -> Result<(), Error> {
        download(
            &mut self.module(),
            MemoryPayload::new("esp-ota-image", 600).file("app.bin", file),
        )
    }

    pub fn requests(&mut self, version: u8) {
        self.download(&image(version)).unwrap();
        block_on(self.module().request()).unwrap();
    }

    pub fn updates_to(&mut self, version: u8) {
        self.requests(version);
        self.boots();
        assert_eq!(self.runs(), Some(version));
        block_on(self.module().check_runs()).unwrap();
    }
}

pub fn download<R: mender_modules::Restart>(module: &mut Module<R>, mut source: MemoryPayload) -> Result<(), Error> {
    block_on(module.write_slot(&mut Payload::new(&mut source)))
}
