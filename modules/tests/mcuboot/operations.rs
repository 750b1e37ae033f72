//! The single flash operations and their order: requests against the writes of bootutil, erases against the write position.

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage_async::nor_flash::NorFlashErrorKind;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use mender::update_module::PayloadError;
use mender_modules::mcuboot::{
    DirectXip, Error, NextBoot, Overwrite, Request, SwapMove, SwapOffset, SwapScratch, ZephyrImage,
};
use mender_testkit::bootloader::{self, SwapType};
use mender_testkit::flash::{CutAt, Partition, PowerCut};
use mender_testkit::image::ImageBuilder;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, TestMode, V1, V2, V3, download, image, without_marks};
use crate::golden::{device, file};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Erase { slot: u8, from: u32, to: u32 },
    Write { slot: u8, offset: u32, bytes: Vec<u8> },
}

type Log = Rc<RefCell<Vec<Operation>>>;

/// Writes down what is done to a slot.
struct Recorder<F> {
    flash: F,
    slot: u8,
    log: Log,
}

impl<F: ErrorType> ErrorType for Recorder<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for Recorder<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.flash.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for Recorder<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        let slot = self.slot;
        self.log.borrow_mut().push(Operation::Erase { slot, from, to });
        self.flash.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let (slot, bytes_written) = (self.slot, bytes.to_vec());
        let operation = Operation::Write {
            slot,
            offset,
            bytes: bytes_written,
        };
        self.log.borrow_mut().push(operation);
        self.flash.write(offset, bytes).await
    }
}

type Recorded<const WRITE: usize, const SECTOR: usize, M> =
    ZephyrImage<Recorder<Partition<WRITE, SECTOR>>, Recorder<Partition<WRITE, SECTOR>>, fn(), 64, M>;

/// The module with the log of what it does; slots by their numbers in flash, whichever runs.
fn recorded<const WRITE: usize, const SECTOR: usize, M: TestMode>(
    device: &Device<WRITE, SECTOR, M>,
) -> (Recorded<WRITE, SECTOR, M>, Log) {
    let log = Log::default();
    let (running, other) = device.slots();
    let number = device.running.get();
    let slot = |range, slot| Recorder {
        flash: device.flash.partition(range),
        slot,
        log: log.clone(),
    };
    let module = ZephyrImage::with_buffer(
        device.layout(),
        slot(running, number),
        slot(other, 1 - number),
        (|| ()) as fn(),
    );
    (module.unwrap(), log)
}

/// The table of a folder: what bootutil writes in each call. The module writes the same, the magic last, into a sector that
/// it has erased.
fn writes_of<const WRITE: usize, M: TestMode>(folder: &str) -> usize {
    let text = String::from_utf8(file(&format!("{folder}/app_writes.tsv"))).unwrap();
    let mut calls: Vec<((String, String), Vec<Operation>)> = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [start, call, _, "write", slot, offset, _, len, hex] = fields[..] else {
            panic!("{line}")
        };
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        assert_eq!(bytes.len(), len.parse::<usize>().unwrap());
        let write = Operation::Write {
            slot: slot.parse().unwrap(),
            offset: offset.parse().unwrap(),
            bytes,
        };
        let key = (start.to_string(), call.to_string());
        match calls.last_mut() {
            Some((last, writes)) if *last == key => writes.push(write),
            _ => calls.push((key, vec![write])),
        }
    }
    for ((start, call), mut wanted) in calls.clone() {
        let case = format!("{folder}: {call} from {start}");
        let device = device::<WRITE, M>(folder, &start);
        if call == "set-next 1 1 1" {
            device.running.set(1);
        }
        let (mut module, log) = recorded(&device);
        let is_request = match call.as_str() {
            "set-pending test" | "set-next 1 0 0" => {
                block_on(module.request(Request::Test)).unwrap();
                true
            }
            "set-pending perm" | "set-next 1 0 1" => {
                block_on(module.request(Request::Permanent)).unwrap();
                true
            }
            "set-confirmed" | "set-next 1 1 1" => {
                block_on(module.confirm_running()).unwrap();
                false
            }
            other => panic!("{other}"),
        };
        let mut done = log.take();
        if is_request {
            let end = device.layout().secondary_len;
            let erase = Operation::Erase {
                slot: 1,
                from: end - 4096,
                to: end,
            };
            assert_eq!(done.remove(0), erase, "{case}");
            let Some(Operation::Write { offset, bytes, .. }) = done.last() else {
                panic!("{case}: {done:?}")
            };
            assert_eq!(offset + bytes.len() as u32, end, "{case}: the magic comes last");
        }
        done.sort();
        wanted.sort();
        assert_eq!(done, wanted, "{case}");
    }
    calls.len()
}

#[test]
fn a_request_is_bootutils_writes_with_the_magic_last() {
    let mut seen = writes_of::<8, SwapMove>("move-a8");
    seen += writes_of::<4, SwapMove>("move-a4");
    seen += writes_of::<1, SwapMove>("move-a1");
    seen += writes_of::<16, SwapMove>("move-a16");
    seen += writes_of::<32, SwapMove>("move-a32");
    seen += writes_of::<4, SwapMove>("move-a4-max16");
    seen += writes_of::<8, SwapOffset>("offset-a8");
    seen += writes_of::<16, SwapOffset>("offset-a16");
    seen += writes_of::<4, SwapOffset>("offset-a4-equal-slots");
    seen += writes_of::<8, SwapScratch>("scratch-a8");
    seen += writes_of::<8, Overwrite>("overwrite-fast-a8");
    seen += writes_of::<32, Overwrite>("overwrite-fast-a32");
    seen += writes_of::<4, Overwrite>("overwrite-a4");
    seen += writes_of::<8, DirectXip>("xip-revert-a8");
    assert!(seen > 60, "{seen}");
}

/// Every sector is erased by itself, and only when the next write begins in it or reaches into it; data are written in order,
/// each byte once.
fn erases_follow_the_data<const WRITE: usize, M: TestMode>(chunk_len: usize) {
    let device = Device::<WRITE, 512, M>::updated();
    let file = ImageBuilder::new(V2).body_len(3000).build();
    let (mut module, log) = recorded(&device);
    let source = MemoryPayload::new("zephyr-image", chunk_len).file("app.bin", file.clone());
    download(&mut module, source).unwrap();
    let log = log.take();
    let case = format!("{:?}, {WRITE}, chunks of {chunk_len}", M::default());

    let start = if M::SLOT1_SECTORS == 17 { 512 } else { 0 };
    let end = (start + file.len()).next_multiple_of(WRITE);
    let (mut erased, mut written) = (start, start);
    let marks = device.layout().secondary_len - 1024 + 64;
    let is_mark = |operation: &&Operation| matches!(operation, Operation::Write { offset, .. } if *offset == marks || (marks + 32..marks + 448).contains(offset));
    let mut data = log
        .iter()
        .filter(|operation| !is_mark(operation))
        .skip_while(|operation| {
            // What must go before the data: the trailer, the first sector, the note.
            !matches!(operation, Operation::Erase { from, .. } if *from as usize == start)
        });
    while written < end {
        match data.next().expect("more data") {
            Operation::Erase { from, to, .. } => {
                assert_eq!((*from as usize, *to as usize), (erased, erased + 512), "{case}");
                // A write that comes in one piece may need more than one sector.
                let needed = (written + chunk_len.max(32)).next_multiple_of(WRITE).min(end);
                assert!(erased < needed, "{case}: {from:#x} is erased, but {written:#x} is next");
                erased += 512;
            }
            Operation::Write { offset, bytes, .. } => {
                assert_eq!(*offset as usize, written, "{case}");
                written += bytes.len();
                assert!(written <= erased, "{case}");
                assert!(erased - written < 512, "{case}: no sector ahead of its data");
            }
        }
    }
    assert!(
        data.all(|operation| matches!(operation, Operation::Write { .. })),
        "{case}"
    );
    let slots: Vec<u8> = log
        .iter()
        .map(|operation| match operation {
            Operation::Erase { slot, .. } | Operation::Write { slot, .. } => *slot,
        })
        .collect();
    assert!(slots.iter().all(|slot| *slot != device.running.get()), "{case}");
}

#[test]
fn sectors_are_erased_just_ahead_of_the_data() {
    for chunk_len in [1, 31, 100, 512, 513, 2000, 5000] {
        erases_follow_the_data::<1, SwapMove>(chunk_len);
        erases_follow_the_data::<8, SwapOffset>(chunk_len);
        erases_follow_the_data::<4, SwapScratch>(chunk_len);
        erases_follow_the_data::<16, Overwrite>(chunk_len);
        erases_follow_the_data::<32, DirectXip>(chunk_len);
    }
}

/// A download that breaks: all that came is in flash but for less than a write unit, and what it did not reach has its old
/// content.
fn breaks<const WRITE: usize, M: TestMode>(at: usize) {
    let device = Device::<WRITE, 512, M>::updated();
    let (_, other) = device.slots();
    let old = vec![0x5a; (other.end - other.start) as usize];
    device.flash.patch(other.start, &old);
    let file = ImageBuilder::new(V2).body_len(3000).build();
    let source = MemoryPayload::new("zephyr-image", 70)
        .file("app.bin", file.clone())
        .breaks_after(at, PayloadError::Connection);
    assert_eq!(
        download(&mut device.module(), source),
        Err(Error::Payload(PayloadError::Connection))
    );
    let case = format!("{:?}, {WRITE}, broken at {at}", M::default());
    let is_offset = M::SLOT1_SECTORS == 17;
    let goes_on = cfg!(feature = "resume") && *device.boot.mode() != bootloader::Mode::DirectXip;
    let has_note = M::REVERTS && *device.boot.mode() != bootloader::Mode::DirectXip;
    let start = if is_offset { 512 } else { 0 };
    let written = start + at / WRITE * WRITE;
    let mut slot = device.flash.to_bytes()[other.start as usize..other.end as usize].to_vec();
    without_marks(&mut slot, 512, WRITE);
    assert!(slot[start..written] == file[..written - start], "{case}");
    let erased_to = written.next_multiple_of(512);
    assert!(slot[written..erased_to].iter().all(|byte| *byte == 0xff), "{case}");
    // The trailer is shorter than a sector here.
    let (last, note) = (slot.len() - 512, slot.len() - 1024);
    for (sector, bytes) in slot.chunks(512).enumerate() {
        let at = sector * 512;
        let is_erased = bytes.iter().all(|byte| *byte == 0xff);
        let must_be = at == last || ((goes_on || has_note) && at == note) || (is_offset && at == 0);
        if must_be {
            assert!(is_erased, "{case}: sector {sector}");
        } else if at >= erased_to {
            assert!(bytes.iter().all(|byte| *byte == 0x5a), "{case}: sector {sector}");
        }
    }
    assert_eq!(device.boots().ran, Some(V1), "{case}");
}

#[test]
fn a_broken_download_erases_no_more_than_it_writes() {
    for at in (32..3000).step_by(97).chain([33, 511, 512, 513, 1024, 3071]) {
        breaks::<1, SwapMove>(at);
        breaks::<8, SwapMove>(at);
        breaks::<8, SwapOffset>(at);
        breaks::<8, Overwrite>(at);
        breaks::<32, DirectXip>(at);
    }
}

/// An older request must not meet the new image: it goes first, and at no later moment there is one.
fn old_request_goes_first<const WRITE: usize, M: TestMode>() {
    let start = Device::<WRITE, 512, M>::updated();
    start.install(V2);
    let before = block_on(start.module().inspect()).unwrap().next;
    assert_ne!(before, NextBoot::Unchanged);

    let device = start.copy();
    let (mut module, log) = recorded(&device);
    let source = || MemoryPayload::new("zephyr-image", 600).file("app.bin", image(V3));
    device.flash.reset_counters();
    download(&mut module, source()).unwrap();
    let operations = device.flash.operations();
    let end = device.layout().secondary_len;
    let erase = |operation: &Operation| matches!(operation, Operation::Erase { from, to, .. } if (*from, *to) == (end - 512, end));
    let first_of_other = log.borrow().iter().position(|operation| match operation {
        Operation::Erase { slot, .. } | Operation::Write { slot, .. } => *slot != device.running.get(),
    });
    assert!(erase(&log.borrow()[first_of_other.unwrap()]));

    for operation in 1..=operations {
        for at in [CutAt::Before, CutAt::After, CutAt::Within { seed: operation }] {
            let device = start.copy();
            device.flash.cut_power(PowerCut { operation, at });
            let broken = download(&mut device.module(), source());
            assert!(
                matches!(
                    broken,
                    Err(Error::Flash {
                        slot: 1,
                        kind: NorFlashErrorKind::Other
                    })
                ),
                "{broken:?}"
            );
            assert!(!device.flash.power_is_on());
            device.flash.restore_power();
            let outcome = device.boots();
            // Until the first erase is done the old request stands, with its own image.
            let may_swap = operation == 1 && at != CutAt::After;
            let ran = outcome.ran.unwrap();
            assert!(ran == V1 || (may_swap && ran == V2), "{operation}, {at:?}: {outcome:?}");
            assert!(may_swap || outcome.swapped == SwapType::None, "{operation}, {at:?}");
        }
    }
}

#[test]
fn an_old_request_goes_before_anything_else() {
    old_request_goes_first::<8, SwapMove>();
    old_request_goes_first::<8, SwapOffset>();
    old_request_goes_first::<8, SwapScratch>();
    old_request_goes_first::<8, Overwrite>();
    old_request_goes_first::<8, DirectXip>();
}

/// bootutil keeps the first request; the module makes it what was asked for last.
#[test]
fn a_request_replaces_another() {
    fn check<const WRITE: usize, M: TestMode>(folder: &str) {
        for (start, request, end) in [
            ("02-pending-test", Request::Permanent, "06-pending-perm"),
            ("06-pending-perm", Request::Test, "02-pending-test"),
        ] {
            let device = device::<WRITE, M>(folder, start);
            block_on(device.module().request(request)).unwrap();
            assert!(
                device.flash.to_bytes() == file(&format!("{folder}/{end}.bin.gz")),
                "{folder}: {start}, {request:?}"
            );
            assert_eq!(device.flash.violations(), []);
        }
    }
    check::<8, SwapMove>("move-a8");
    check::<1, SwapMove>("move-a1");
    check::<32, SwapMove>("move-a32");
    check::<16, SwapOffset>("offset-a16");
    check::<8, SwapScratch>("scratch-a8");
    check::<8, Overwrite>("overwrite-fast-a8");
}
