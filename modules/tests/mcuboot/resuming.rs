//! A download after a restart goes on where the one before has ended: how much comes again, and when nothing of it may be used.

use mender::update_module::{Payload, PayloadError};
use mender_modules::mcuboot::{DirectXip, Error, Overwrite, SwapMove, SwapOffset, SwapScratch};
use mender_testkit::flash::{CutAt, PowerCut};
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, TestMode, V1, V2, V3};

const SECTOR: usize = 512;
const CHUNK_LEN: usize = 100;

type Chip<const WRITE: usize, M> = Device<WRITE, SECTOR, M>;

/// Of six sectors and a half.
fn file(version: Version) -> Vec<u8> {
    let mut file = ImageBuilder::new(version).body_len(3000).build();
    // Whatever follows the image belongs to the file.
    file.resize(6 * SECTOR + SECTOR / 2, 0xa5);
    file
}

fn payload(file: &[u8]) -> MemoryPayload {
    MemoryPayload::new("zephyr-image", CHUNK_LEN).file("app.bin", file)
}

/// Downloads after a start of the firmware; how many bytes came.
fn receive<const WRITE: usize, M: TestMode>(
    device: &Chip<WRITE, M>,
    mut source: MemoryPayload,
) -> (Result<(), Error>, usize) {
    let mut module = device.module();
    let done = block_on(module.write_slot(&mut Payload::new(&mut source)));
    (done, source.handed_out())
}

/// A device on which a download broke after so many bytes.
fn broken_at<const WRITE: usize, M: TestMode>(at: usize) -> Chip<WRITE, M> {
    let device = Chip::<WRITE, M>::updated();
    let source = payload(&file(V2)).breaks_after(at, PayloadError::Connection);
    let broken = Err(Error::Payload(PayloadError::Connection));
    assert_eq!(receive(&device, source), (broken, at));
    device
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

fn goes_on<const WRITE: usize, M: TestMode>(at: usize) {
    let case = format!("{:?}, {WRITE}, broken at {at}", M::default());
    let device = broken_at::<WRITE, M>(at);
    device.flash.reset_counters();
    let (done, came) = receive(&device, payload(&file(V2)));
    done.unwrap();
    // The first bytes are held back until the header is whole, and less than a unit later on.
    let in_flash = (at / WRITE * WRITE) / SECTOR * SECTOR;
    assert_eq!(came, file(V2).len() - in_flash, "{case}");
    let erases = device.flash.counters().erases as usize;
    if in_flash > 0 {
        // Trailer and marks, and with offset the first sector.
        let around = if M::SLOT1_SECTORS == 17 { 3 } else { 2 };
        assert_eq!(
            erases,
            file(V2).len().div_ceil(SECTOR) - in_flash / SECTOR + around,
            "{case}"
        );
    }
    is_installed(&device, V2, &case);
}

#[test]
fn a_download_goes_on_where_the_last_one_broke() {
    for at in (0..file(V2).len()).step_by(93).chain([511, 512, 513, 3071, 3072, 3327]) {
        each!(goes_on, at);
    }
}

/// At most one sector comes again, and what had not been written when the power went. A second cut, while a download that goes on erases
/// its marks, costs all of them.
fn every_cut<const WRITE: usize, M: TestMode>() {
    let file = file(V2);
    let (mut again, mut lost, mut seeds) = (0, 0, 0..);
    let clean = Chip::<WRITE, M>::updated();
    clean.flash.reset_counters();
    receive(&clean, payload(&file)).0.unwrap();
    let operations = clean.flash.operations();
    for operation in 1..=operations {
        for at in [
            CutAt::Before,
            CutAt::After,
            CutAt::Within {
                seed: seeds.next().unwrap(),
            },
        ] {
            let case = format!("{:?}, {WRITE}, {at:?} {operation}", M::default());
            let device = Chip::<WRITE, M>::updated();
            device.flash.reset_counters();
            device.flash.cut_power(PowerCut { operation, at });
            let (broken, before) = receive(&device, payload(&file));
            assert!(matches!(broken, Err(Error::Flash { .. })), "{case}: {broken:?}");
            device.flash.restore_power();
            assert_eq!(device.boots().ran, Some(V1), "{case}");

            // And another one, early in what follows.
            let second = device.copy();
            second.flash.reset_counters();
            second.flash.cut_power(PowerCut {
                operation: 1 + operation % 7,
                at,
            });
            let (broken, _) = receive(&second, payload(&file));
            second.flash.restore_power();
            assert_eq!(second.boots().ran, Some(V1), "{case}");
            let (done, came) = receive(&second, payload(&file));
            done.unwrap();
            let most = file.len() - before + SECTOR + CHUNK_LEN + 32;
            if came > most {
                let erase = if M::SLOT1_SECTORS == 17 { 3 } else { 2 };
                // Behind the mark of what was received stands the note, and without it there is none.
                let from = if operation + 2 > operations { 1 } else { erase };
                assert!(
                    broken.is_err() && (from..erase + 6).contains(&(1 + operation % 7)),
                    "{case}: {came} after {before}"
                );
                lost += 1;
            }
            is_installed(&second, V2, &case);

            let (done, came) = receive(&device, payload(&file));
            done.unwrap();
            // What came when the last sector was begun: a chunk, and what is held back.
            let most = file.len() - before + SECTOR + CHUNK_LEN + 32;
            assert!(came <= most, "{case}: {came} after {before}");
            again = again.max(came + before - file.len());
            is_installed(&device, V2, &case);
        }
    }
    println!(
        "{:?}, {WRITE}: {operations} operations, at most {again} bytes again; after a second cut all of them {lost} times",
        M::default()
    );
}

#[test]
fn after_every_power_cut_little_comes_again() {
    each!(every_cut);
}

/// What was begun of another file is of no use, and is not there any more when something is erased behind it.
fn another<const WRITE: usize, M: TestMode>() {
    let case = format!("{:?}, {WRITE}", M::default());
    let device = broken_at::<WRITE, M>(2000);
    let (done, came) = receive(&device, payload(&file(V3)).breaks_after(1000, PayloadError::Connection));
    assert_eq!((done.is_err(), came), (true, 1000), "{case}");
    let (done, came) = receive(&device, payload(&file(V2)));
    assert_eq!((done, came), (Ok(()), file(V2).len()), "{case}");
    is_installed(&device, V2, &case);

    // Every cut while the room is made: the first file goes on from where it was, or from its beginning.
    let began = broken_at::<WRITE, M>(2000);
    for operation in 1..=8 {
        for at in [CutAt::Before, CutAt::After, CutAt::Within { seed: operation }] {
            let device = began.copy();
            device.flash.cut_power(PowerCut { operation, at });
            assert!(receive(&device, payload(&file(V3))).0.is_err());
            device.flash.restore_power();
            for version in [V2, V3] {
                let device = device.copy();
                receive(&device, payload(&file(version))).0.unwrap();
                is_installed(&device, version, &case);
            }
        }
    }
}

#[test]
fn another_file_begins_anew() {
    each!(another);
}

/// Slot 1 holds the old image after an update, and nothing of the marks counts any more.
fn updated<const WRITE: usize, M: TestMode>() {
    let case = format!("{:?}, {WRITE}", M::default());
    let device = broken_at::<WRITE, M>(2000);
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

/// Bytes in flash that are not the file's: the download fails, and the next one begins anew.
fn damaged<const WRITE: usize, M: TestMode>() {
    let case = format!("{:?}, {WRITE}", M::default());
    let device = broken_at::<WRITE, M>(2000);
    let (_, slot) = device.slots();
    let start = slot.start + if M::SLOT1_SECTORS == 17 { SECTOR as u32 } else { 0 };
    device.flash.patch(start + 700, &[0x11, 0x22]);
    let (done, _) = receive(&device, payload(&file(V2)));
    assert_eq!(done, Err(Error::Payload(PayloadError::Artifact)), "{case}");
    let (done, came) = receive(&device, payload(&file(V2)));
    assert_eq!((done, came), (Ok(()), file(V2).len()), "{case}");
    is_installed(&device, V2, &case);
}

#[test]
fn damaged_bytes_are_found_and_then_forgotten() {
    each!(damaged);
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
    let device = broken_at::<8, SwapMove>(2000);
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
    let device = broken_at::<8, DirectXip>(2000);
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
