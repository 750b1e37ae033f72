//! A download after a restart goes on where the one before has ended: how much comes again, and when nothing of it may be used.

use std::ops::Range;

use mender::update_module::{Payload, PayloadError};
use mender_modules::mcuboot::{DirectXip, Error, Overwrite, SwapMove, SwapOffset, SwapScratch};
use mender_testkit::flash::{CutAt, PowerCut, SimFlash};
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, TestMode, V1, V2, V3};
use crate::support_resuming::{Resumes, another, broken_at, damaged, every_cut, goes_on, receive};

const SECTOR: usize = 512;

type Chip<const WRITE: usize, M> = Device<WRITE, SECTOR, M>;

/// Of six sectors and a half.
fn file(version: Version) -> Vec<u8> {
    let mut file = ImageBuilder::new(version).body_len(3000).build();
    // Whatever follows the image belongs to the file.
    file.resize(6 * SECTOR + SECTOR / 2, 0xa5);
    file
}

fn payload(file: &[u8]) -> MemoryPayload {
    Chip::<8, SwapMove>::payload(file)
}

const VERSIONS: [Version; 3] = [V1, V2, V3];

/// With swap using offset the image begins one sector further up.
const fn has_offset<M: TestMode>() -> bool {
    M::SLOT1_SECTORS == 17
}

impl<const WRITE: usize, M: TestMode> Resumes<WRITE, SECTOR> for Chip<WRITE, M> {
    const TYPE: &'static str = "zephyr-image";
    /// The first bytes are held back until the header is whole, and less than a unit later on.
    const BLOCK_LEN: usize = WRITE;
    const CHUNK_LEN: usize = 100;
    /// Trailer and marks, and with offset the first sector.
    const ERASES_AROUND: usize = if has_offset::<M>() { 3 } else { 2 };

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
        file(VERSIONS[usize::from(version) - 1])
    }

    fn downloads(&self, source: &mut MemoryPayload) -> Result<(), String> {
        let done = block_on(self.module().write_slot(&mut Payload::new(source)));
        done.map_err(|error| error.to_string())
    }

    fn boots(&mut self) -> Option<u8> {
        let ran = Device::boots(self).ran;
        (1..=3).find(|version| Some(VERSIONS[usize::from(*version) - 1]) == ran)
    }

    fn installs(&self, version: u8, case: &str) {
        is_installed(self, VERSIONS[usize::from(version) - 1], case);
    }

    fn offset(&self, at: u32) -> u32 {
        let (_, slot) = self.slots();
        let start = if has_offset::<M>() { SECTOR as u32 } else { 0 };
        slot.start + start + at
    }

    /// What is erased around the image, and what is written behind that. Behind the mark of what was received stands the note, and without
    /// it there is none.
    fn weak(of_last: bool) -> Range<u64> {
        let erases = Self::ERASES_AROUND as u64;
        if of_last { 1..erases + 6 } else { erases..erases + 6 }
    }
}

/// The image of the file is in slot 1, is installed, and can be gone back from.
fn is_installed<const WRITE: usize, M: TestMode>(device: &Chip<WRITE, M>, version: Version, case: &str) {
    block_on(device.module().request_swap()).unwrap();
    assert_eq!(device.boots().ran, Some(version), "{case}");
    block_on(device.module().check_swapped()).unwrap();
    if M::REVERTS {
        let tested = device.copy();
        assert_eq!(tested.boots().ran, Some(V1), "{case}");
        block_on(tested.module().check_reverted()).unwrap();
    }
    block_on(device.module().confirm()).unwrap();
    assert_eq!(device.boots().ran, Some(version), "{case}");
    assert_eq!(device.flash.violations(), [], "{case}");
}

/// In every mode that can, with units of 1 to 32 bytes.
macro_rules! each {
    ($check:ident $(, $argument:expr)*) => {
        $check::<1, SwapMove>($($argument),*);
        $check::<8, SwapMove>($($argument),*);
        $check::<32, SwapMove>($($argument),*);
        $check::<8, SwapOffset>($($argument),*);
        $check::<16, SwapScratch>($($argument),*);
        $check::<4, Overwrite>($($argument),*);
    };
}

fn goes_on_at<const WRITE: usize, M: TestMode>(at: usize) {
    goes_on::<WRITE, SECTOR, Chip<WRITE, M>>(at);
}

#[test]
fn a_download_goes_on_where_the_last_one_broke() {
    for at in (0..file(V2).len()).step_by(93).chain([511, 512, 513, 3071, 3072, 3327]) {
        each!(goes_on_at, at);
    }
}

fn cut_everywhere<const WRITE: usize, M: TestMode>() {
    every_cut::<WRITE, SECTOR, Chip<WRITE, M>>(&format!("{:?}, {WRITE}", M::default()));
}

#[test]
fn after_every_power_cut_little_comes_again() {
    each!(cut_everywhere);
}

fn another_file<const WRITE: usize, M: TestMode>() {
    another::<WRITE, SECTOR, Chip<WRITE, M>>();
}

#[test]
fn another_file_begins_anew() {
    each!(another_file);
}

fn damaged_bytes<const WRITE: usize, M: TestMode>() {
    damaged::<WRITE, SECTOR, Chip<WRITE, M>>();
}

#[test]
fn damaged_bytes_are_found_and_then_forgotten() {
    each!(damaged_bytes);
}

/// Slot 1 holds the old image after an update, and nothing of the marks counts any more.
fn updated<const WRITE: usize, M: TestMode>() {
    let case = format!("{:?}, {WRITE}", M::default());
    let device = broken_at::<WRITE, SECTOR, Chip<WRITE, M>>(2000);
    receive(&device, payload(&file(V2))).0.unwrap();
    let received = device.copy();
    is_installed(&device, V2, &case);
    let (done, came) = receive(&device, payload(&file(V2)));
    assert_eq!((done, came), (Ok(()), file(V2).len()), "{case}");

    // Withdrawn: the header is gone.
    let mut module = received.module();
    block_on(module.discard()).unwrap();
    let (done, came) = receive(&received, payload(&file(V2)));
    assert_eq!((done, came), (Ok(()), file(V2).len()), "{case}");
}

#[test]
fn marks_of_an_update_that_is_over_do_not_count() {
    each!(updated);
}

/// What was withdrawn by an erase that was cut has its marks still, and perhaps its header, but is not whole.
fn half_withdrawn<const WRITE: usize, M: TestMode>() {
    for seed in 0..40 {
        let case = format!("{:?}, {WRITE}, {seed}", M::default());
        let device = Chip::<WRITE, M>::updated();
        receive(&device, payload(&file(V2))).0.unwrap();
        device.flash.reset_counters();
        let at = CutAt::Within { seed };
        device.flash.cut_power(PowerCut { operation: 1, at });
        assert!(block_on(device.module().discard()).is_err(), "{case}");
        device.flash.restore_power();
        receive(&device, payload(&file(V2))).0.unwrap();
        is_installed(&device, V2, &case);
    }
}

#[test]
fn what_was_half_withdrawn_begins_anew() {
    each!(half_withdrawn);
}

/// What is refused by its header is refused after a restart too: what runs may be another version by then.
#[test]
fn the_header_is_checked_again() {
    let device = broken_at::<8, SECTOR, Chip<8, SwapMove>>(2000);
    let mut module = device.module().refusing_downgrades();
    device.program(&file(V3));
    let mut source = payload(&file(V2));
    let refused = block_on(module.write_slot(&mut Payload::new(&mut source)));
    assert!(matches!(refused, Err(Error::Downgrade { .. })), "{refused:?}");
    assert_eq!(source.handed_out(), 0);
}

/// In direct-xip the bootloader erases what is not a whole image.
#[test]
fn in_place_all_comes_again() {
    let device = broken_at::<8, SECTOR, Chip<8, DirectXip>>(2000);
    assert_eq!(receive(&device, payload(&file(V2))), (Ok(()), file(V2).len()));
}

/// A file that needs the sector of the marks has none.
#[test]
fn a_file_as_large_as_the_slot_begins_anew() {
    let device = Chip::<8, Overwrite>::updated();
    let room = device.layout().max_image_len() as usize;
    let mut file = file(V2);
    file.resize(room, 0xa5);
    let source = payload(&file).breaks_after(5000, PayloadError::Connection);
    assert!(receive(&device, source).0.is_err());
    assert_eq!(receive(&device, payload(&file)), (Ok(()), file.len()));
    is_installed(&device, V2, "largest");
}
