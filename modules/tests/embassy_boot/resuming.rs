//! A download after a restart goes on where the one before has ended: how much comes again, and when nothing of it may be used.

use std::ops::Range;

use mender::update_module::Payload;
use mender_modules::embassy_boot::Error;
use mender_testkit::flash::SimFlash;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, PAGES, SECTOR, image};
use crate::support_resuming::{Resumes, another, broken_at, damaged, every_cut, goes_on, receive};

/// Versions 2 and 3 as the tests for all modules have them: the longest of the images, of four sectors and a half, and another one.
fn file(version: u8) -> Vec<u8> {
    image(match version {
        1 => 1,
        2 => 4,
        _ => 3,
    })
}

impl<const WRITE: usize> Resumes<WRITE, SECTOR> for Device<WRITE> {
    const TYPE: &'static str = "embassy-boot-image";
    /// The module's buffer.
    const BLOCK_LEN: usize = 64;
    const CHUNK_LEN: usize = 100;
    /// The sector of record and marks.
    const ERASES_AROUND: usize = 1;

    fn updated() -> Self {
        Device::updated()
    }

    fn copy(&self) -> Self {
        self.copy()
    }

    fn flash(&self) -> &SimFlash<WRITE, SECTOR> {
        &self.flash
    }

    fn file(version: u8) -> Vec<u8> {
        file(version)
    }

    fn downloads(&self, source: &mut MemoryPayload) -> Result<(), String> {
        let done = block_on(self.module().write_dfu(&mut Payload::new(source)));
        done.map_err(|error| error.to_string())
    }

    fn boots(&mut self) -> Option<u8> {
        Device::boots(self).unwrap();
        (1..=3).find(|version| self.active().to_bytes().starts_with(&file(*version)))
    }

    fn installs(&self, version: u8, case: &str) {
        let mut device = self.clone();
        assert_eq!(tries(&mut device), Some(version), "{case}");
        let mut tested = device.copy();
        assert_eq!(Resumes::boots(&mut tested), Some(1), "{case}");
        block_on(tested.module().check_reverted()).unwrap();
        block_on(device.module().confirm()).unwrap();
        assert_eq!(Resumes::boots(&mut device), Some(version), "{case}");
    }

    fn offset(&self, at: u32) -> u32 {
        self.dfu().range().start + at
    }

    /// The erase, what may be written of a chunk, the hash and the mark.
    fn weak(_of_last: bool) -> Range<u64> {
        1..7
    }
}

fn payload(file: &[u8]) -> MemoryPayload {
    <Device<4>>::payload(file)
}

/// Starts the image that was received; what runs.
fn tries<const WRITE: usize>(device: &mut Device<WRITE>) -> Option<u8> {
    block_on(device.module().request_swap()).unwrap();
    let runs = Resumes::boots(device);
    block_on(device.module().check_swapped()).unwrap();
    runs
}

/// With write units of 1 to 16 bytes.
macro_rules! each {
    ($check:ident $(, $argument:expr)*) => {
        $check::<1, SECTOR, Device<1>>($($argument),*);
        $check::<4, SECTOR, Device<4>>($($argument),*);
        $check::<8, SECTOR, Device<8>>($($argument),*);
        $check::<16, SECTOR, Device<16>>($($argument),*);
    };
}

#[test]
fn a_download_goes_on_where_the_last_one_broke() {
    for at in (0..file(2).len()).step_by(93).chain([511, 512, 513, 2047, 2048, 2304]) {
        each!(goes_on, at);
    }
}

#[test]
fn after_every_power_cut_little_comes_again() {
    each!(every_cut, "embassy-boot");
}

#[test]
fn another_file_begins_anew() {
    each!(another);
}

#[test]
fn damaged_bytes_are_found_and_then_forgotten() {
    each!(damaged);
}

/// After a swap DFU holds the old image, one page up. After it was swapped back, it holds what was received: that counts.
#[test]
fn marks_of_an_image_that_was_swapped_away_do_not_count() {
    let mut device: Device<8> = broken_at(2000);
    receive(&device, payload(&file(2))).0.unwrap();
    let mut received = device.copy();
    device.installs(2, "received");
    let whole = file(2).len();
    assert_eq!(receive(&device, payload(&file(2))), (Ok(()), whole));
    assert_eq!(tries(&mut device), Some(2));
    assert_eq!(device.flash.violations(), []);

    tries(&mut received);
    assert_eq!(Resumes::boots(&mut received), Some(1));
    assert_eq!(receive(&received, payload(&file(2))), (Ok(()), whole % SECTOR));
    received.installs(2, "received again");
}

/// What was received as a whole and has decayed since is not trusted a second time.
#[test]
fn a_whole_image_that_decays_begins_anew() {
    let device: Device<4> = Device::updated();
    receive(&device, payload(&file(2))).0.unwrap();
    device.flash.patch(device.offset(1000), &[0xff, 0xff]);
    assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
    assert_eq!(receive(&device, payload(&file(2))), (Ok(()), file(2).len()));
    device.installs(2, "decayed");
}

/// A file that needs the sector of the marks has none.
#[test]
fn a_file_as_large_as_the_partition_begins_anew() {
    let end = PAGES as usize * SECTOR;
    for (len, goes_on) in [(end - SECTOR, true), (end - SECTOR + 1, false), (end - 96, false)] {
        let mut device: Device<4> = Device::updated();
        let mut file = file(2);
        file.resize(len, 0x25);
        let source = payload(&file).breaks_after(2100, mender::update_module::PayloadError::Connection);
        assert!(receive(&device, source).0.is_err());
        let came = if goes_on { len - 2048 } else { len };
        assert_eq!(receive(&device, payload(&file)), (Ok(()), came), "{len} bytes");
        assert_eq!(tries(&mut device), Some(2));
        assert_eq!(device.flash.violations(), [], "{len} bytes");
    }
}
