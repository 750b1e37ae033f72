//! A download after a restart goes on where the one before has ended: how much comes again, and when nothing of it may be used.

use std::ops::Range;

use mender::update_module::Payload;
use mender_modules::esp_ota::{Bootloader, Error, EspOta, EspOtaImage, Slot};
use mender_testkit::esp_idf::{EspIdf, EspImage};
use mender_testkit::flash::Rewrites;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{CHIP, Flash, Part, SECTOR, slot};
use crate::support_resuming::{Resumes, another, broken_at, damaged, every_cut, goes_on, receive};

const BUFFER: usize = 256;
/// Sectors of a slot.
const SECTORS: u32 = 8;
const SECTOR_LEN: u32 = SECTOR as u32;

/// Of five sectors and a half, with segments that begin and end anywhere.
fn file(version: u8) -> Vec<u8> {
    let data = |len: usize| -> Vec<u8> {
        let byte = |at: usize| (at as u8 ^ (at >> 8) as u8).wrapping_mul(7).wrapping_add(version * 50);
        (0..len).map(byte).collect()
    };
    EspImage::new([data(5000), vec![], data(9004), data(8000 + 16 * usize::from(version))]).to_bytes()
}

/// A device whose slots are longer than those of the other tests.
#[derive(Clone)]
struct Device {
    flash: Flash,
    running: Slot,
}

impl Device {
    fn module(&self) -> EspOta<Part, Part, fn(), EspOtaImage, BUFFER> {
        let part = |range| Part(self.flash.partition(range));
        let (slots, otadata) = (map().slots.map(part), part(map().otadata));
        EspOta::new(slots, otadata, self.running, Bootloader::Reverts, (|| ()) as fn()).unwrap()
    }

    /// The image that was received runs, and is not confirmed.
    fn tries(&mut self) -> Option<u8> {
        block_on(self.module().request()).unwrap();
        self.boots()
    }
}

impl Resumes<4, SECTOR> for Device {
    const TYPE: &'static str = "esp-ota-image";
    const BLOCK_LEN: usize = BUFFER;
    const CHUNK_LEN: usize = 600;
    /// The sector of record and marks.
    const ERASES_AROUND: usize = 1;

    fn updated() -> Device {
        let flash = Flash::new(2 + 2 * SECTORS as usize);
        flash.set_rewrites(Rewrites::ClearBits);
        let mut device = Device {
            flash,
            running: Slot::Ota0,
        };
        device.flash.patch(map().slots[0].start, &file(3));
        receive(&device, payload(&file(1))).0.unwrap();
        device.tries();
        block_on(device.module().confirm()).unwrap();
        assert_eq!(device.boots(), Some(1));
        device
    }

    fn copy(&self) -> Device {
        let flash = Flash::from_bytes(&self.flash.to_bytes());
        flash.set_rewrites(Rewrites::ClearBits);
        Device { flash, ..*self }
    }

    fn flash(&self) -> &Flash {
        &self.flash
    }

    fn file(version: u8) -> Vec<u8> {
        file(version)
    }

    fn downloads(&self, source: &mut MemoryPayload) -> Result<(), String> {
        let done = block_on(self.module().write_slot(&mut Payload::new(source)));
        done.map_err(|error| error.to_string())
    }

    fn boots(&mut self) -> Option<u8> {
        let app = map().boot(&self.flash).unwrap().expect("something boots");
        self.running = slot(app).expect("there is no factory app");
        let range = &map().slots[self.running as usize];
        let content = &self.flash.to_bytes()[range.start as usize..range.end as usize];
        (1..=3).find(|version| content.starts_with(&file(*version)))
    }

    fn installs(&self, version: u8, case: &str) {
        let mut device = self.clone();
        assert_eq!(device.tries(), Some(version), "{case}");
        block_on(device.module().check_runs()).unwrap();
        let mut tested = device.copy();
        assert_eq!(tested.boots(), Some(1), "{case}");
        block_on(tested.module().check_went_back()).unwrap();
        block_on(device.module().confirm()).unwrap();
        assert_eq!(device.boots(), Some(version), "{case}");
    }

    fn offset(&self, at: u32) -> u32 {
        map().slots[self.running.other() as usize].start + at
    }

    /// The erase, what may be written of a chunk with its sector, the hash and the mark.
    fn weak(_of_last: bool) -> Range<u64> {
        1..7
    }
}

fn map() -> EspIdf {
    let at = |from: u32, sectors: u32| from * SECTOR_LEN..(from + sectors) * SECTOR_LEN;
    EspIdf {
        rollback: true,
        chip: CHIP,
        otadata: at(0, 2),
        slots: [at(2, SECTORS), at(2 + SECTORS, SECTORS)],
        factory: None,
    }
}

fn payload(file: &[u8]) -> MemoryPayload {
    Device::payload(file)
}

fn begun() -> Device {
    broken_at(14_000)
}

#[test]
fn a_download_goes_on_where_the_last_one_broke() {
    for at in (0..file(2).len()).step_by(503).chain([4095, 4096, 4097, 8192, 20480]) {
        goes_on::<4, SECTOR, Device>(at);
    }
}

#[test]
fn after_every_power_cut_little_comes_again() {
    every_cut::<4, SECTOR, Device>("ESP-IDF");
}

#[test]
fn another_file_begins_anew() {
    another::<4, SECTOR, Device>();
}

#[test]
fn damaged_bytes_are_found_and_then_forgotten() {
    damaged::<4, SECTOR, Device>();
}

/// Nothing of use is erased while the running image is not confirmed, and its predecessor in the other slot was received with marks.
#[test]
fn the_way_back_of_an_unconfirmed_image_is_left_alone() {
    let mut device = Device::updated();
    receive(&device, payload(&file(2))).0.unwrap();
    assert_eq!(device.tries(), Some(2));
    device.flash.reset_counters();
    // Version 1 has its marks in the other slot.
    let (done, _) = receive(&device, payload(&file(1)));
    assert_eq!(done, Err(Error::RunningUnconfirmed.to_string()));
    assert_eq!(device.flash.operations(), 0);
    assert_eq!(device.boots(), Some(1));
}

/// What is in the other slot since an earlier update is not fetched again.
#[test]
fn the_predecessor_is_there_already() {
    let mut device = Device::updated();
    receive(&device, payload(&file(2))).0.unwrap();
    device.tries();
    block_on(device.module().confirm()).unwrap();
    let (done, came) = receive(&device, payload(&file(1)));
    assert_eq!((done, came), (Ok(()), file(1).len() % SECTOR));
    assert_eq!(device.tries(), Some(1));
    assert_eq!(device.flash.violations(), []);
}

/// What is no image any more, or one that may not follow, was overwritten by something else.
#[test]
fn what_is_no_image_begins_anew() {
    // The magic, the chip, the length of the first segment.
    for at in [0, 12, 28] {
        let device = begun();
        device.flash.patch(device.offset(at), &[0x11, 0x22]);
        let (done, came) = receive(&device, payload(&file(2)));
        assert_eq!((done, came), (Ok(()), file(2).len()), "{at}");
        device.installs(2, "overwritten");
    }
}

/// What was received as a whole and has decayed since is not trusted a second time.
#[test]
fn a_whole_image_that_decays_begins_anew() {
    let device = Device::updated();
    receive(&device, payload(&file(2))).0.unwrap();
    device.flash.patch(device.offset(9000), &[0x11, 0x22]);
    assert_eq!(block_on(device.module().request()), Err(Error::NotReceived));
    assert_eq!(receive(&device, payload(&file(2))), (Ok(()), file(2).len()));
    device.installs(2, "decayed");
}

/// Marks are the front of the hash, which is compared as a whole.
#[test]
fn marks_behind_another_hash_do_not_count() {
    let device = begun();
    // Behind the record in the slot's last sector.
    let hash = device.offset(SECTORS * SECTOR_LEN - SECTOR_LEN + 96);
    for at in 0..32 {
        let device = device.copy();
        let byte = device.flash.to_bytes()[(hash + at) as usize];
        device.flash.patch(hash + at, &[byte ^ 1]);
        let (done, came) = receive(&device, payload(&file(2)));
        assert_eq!((done, came), (Ok(()), file(2).len()), "byte {at}");
    }
    assert!(receive(&device, payload(&file(2))).1 < file(2).len());
}
