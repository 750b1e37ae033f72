//! `mender::adapters::flash`: parts of one chip, at the same time, on the kit's flash.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embassy_futures::join::join;
use embedded_storage::nor_flash as blocking;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError as _, NorFlashErrorKind, ReadNorFlash};
use mender::adapters::flash::{PartitionError, PartitionFault, SharedAsyncFlash, SharedFlash};
use mender::storage::{FlashRange, FlashStorage, RecordKey, Storage as _};
use mender_testkit::flash::{FlashError, SimFlash};
use pollster::block_on;

const PAGE: usize = 4096;
type Sim = SimFlash<4, PAGE>;

/// The kit's flash with blocking calls.
struct Blocking(Sim);

impl ErrorType for Blocking {
    type Error = FlashError;
}

impl blocking::ReadNorFlash for Blocking {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.0.read_now(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl blocking::NorFlash for Blocking {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.0.erase_now(from..to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.write_now(offset, bytes)
    }
}

/// What every kind of partition does.
async fn keeps_to_itself<F: NorFlash<Error = PartitionFault<FlashError>>>(sim: &Sim, mut middle: F) {
    let len = middle.capacity() as u32;
    assert_eq!(len, 2 * PAGE as u32);
    sim.patch(0, &[0x11; 4 * PAGE]);
    let before = sim.to_bytes();

    let beyond = Err(PartitionFault::OutOfBounds);
    assert_eq!(middle.read(len, &mut [0]).await, beyond);
    assert_eq!(middle.read(len - 1, &mut [0; 2]).await, beyond);
    assert_eq!(middle.read(u32::MAX, &mut [0; 2]).await, beyond);
    assert_eq!(middle.write(len, &[0; 4]).await, beyond);
    assert_eq!(middle.write(len - 4, &[0; 8]).await, beyond);
    assert_eq!(middle.erase(0, len + PAGE as u32).await, beyond);
    assert_eq!(middle.erase(len, 0).await, beyond);
    assert_eq!(
        PartitionFault::<FlashError>::OutOfBounds.kind(),
        NorFlashErrorKind::OutOfBounds
    );
    assert_eq!(sim.to_bytes(), before, "nothing has happened");
    // What is within the part but against the chip's rules is for the driver to say.
    let refused = middle.erase(0, 100).await.unwrap_err();
    assert_eq!(refused.kind(), NorFlashErrorKind::NotAligned, "{refused:?}");
    let refused = middle.write(2, &[0; 4]).await.unwrap_err();
    assert_eq!(refused.kind(), NorFlashErrorKind::NotAligned, "{refused:?}");

    middle.read(len, &mut []).await.unwrap();
    middle.erase(0, 0).await.unwrap();
    middle.erase(0, len).await.unwrap();
    middle.write(0, &[1, 2, 3, 4]).await.unwrap();
    middle.write(len - 4, &[5, 6, 7, 8]).await.unwrap();
    let mut read = [0; 4];
    middle.read(len - 4, &mut read).await.unwrap();
    assert_eq!(read, [5, 6, 7, 8]);

    let mut expected = vec![0x11; PAGE];
    expected.extend([1, 2, 3, 4]);
    expected.extend(vec![0xff; 2 * PAGE - 8]);
    expected.extend([5, 6, 7, 8]);
    expected.extend(vec![0x11; PAGE]);
    assert_eq!(sim.to_bytes(), expected);
}

#[test]
fn a_partition_is_its_range_and_nothing_else() {
    let sim = Sim::new(4);
    let shared = SharedFlash::new(Blocking(sim.clone()));
    let range = PAGE as u32..3 * PAGE as u32;
    block_on(keeps_to_itself(&sim, shared.partition(range.clone()).unwrap()));
    assert_eq!(shared.with(|flash| flash.0.len()), Some(4 * PAGE));
    let shared = SharedAsyncFlash::new(sim.clone());
    block_on(keeps_to_itself(&sim, shared.partition(range).unwrap()));
}

#[test]
fn ranges_that_do_not_fit_are_refused() {
    let sim = Sim::new(4);
    let (shared, other) = (SharedFlash::new(Blocking(sim.clone())), SharedAsyncFlash::new(sim));
    let page = PAGE as u32;
    let unaligned = PartitionError::Unaligned { erase_len: PAGE };
    let beyond = PartitionError::BeyondFlash { capacity: 4 * PAGE };
    for (range, error) in [
        (0..100, unaligned),
        (4..page, unaligned),
        (page..0, unaligned),
        (0..5 * page, beyond),
        (0xffff_f000..0xffff_f000, beyond),
    ] {
        assert_eq!(shared.partition(range.clone()).unwrap_err(), error);
        assert_eq!(other.partition(range).unwrap_err(), error);
    }
    assert_eq!(
        unaligned.to_string(),
        "the partition is not made of whole pages of 4096 bytes"
    );
    assert!(shared.partition(0..0).is_ok());
    assert!(shared.partition(0..4 * page).is_ok());
}

/// Polls both in turn, for so many times.
fn take_turns(one: impl Future, other: impl Future, times: usize) {
    let both = pin!(join(one, other));
    let mut both = both;
    for _ in 0..times {
        if both.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
    }
    panic!("not ready after {times} polls");
}

#[test]
fn storage_and_a_slot_are_used_at_the_same_time() {
    let sim = Sim::new(8);
    let page = PAGE as u32;
    let shared = SharedFlash::new(Blocking(sim.clone()));
    let records = shared.partition(0..2 * page).unwrap();
    let mut slot = shared.partition(2 * page..8 * page).unwrap();
    let mut storage = FlashStorage::new(records, const { FlashRange::new(0..0x2000) }).unwrap();
    let write_slot = async {
        slot.erase(0, 6 * page).await.unwrap();
        for at in 0..6 {
            slot.write(at * page, &[at as u8; PAGE]).await.unwrap();
        }
    };
    let write_records = async {
        for round in 0..500_u32 {
            storage
                .write(RecordKey::Deployment, &round.to_le_bytes())
                .await
                .unwrap();
        }
        let mut read = [0; 4];
        let len = storage.read(RecordKey::Deployment, &mut read).await.unwrap();
        assert_eq!((len, u32::from_le_bytes(read)), (Some(4), 499));
    };
    take_turns(write_slot, write_records, 1000);
    for at in 0..6 {
        assert_eq!(sim.to_bytes()[(2 + at) * PAGE..][..PAGE], [at as u8; PAGE]);
    }
    assert_eq!(sim.violations(), []);
}

#[test]
fn others_have_their_turn_between_the_pages_of_an_erase() {
    let sim = Sim::new(8);
    let shared = SharedFlash::new(Blocking(sim.clone()));
    let mut part = shared.partition(0..8 * PAGE as u32).unwrap();
    let erase = pin!(part.erase(0, 8 * PAGE as u32));
    let mut erase = erase;
    let cx = &mut Context::from_waker(Waker::noop());
    for pages in 1..8 {
        assert!(erase.as_mut().poll(cx).is_pending());
        assert_eq!(sim.counters().erases, pages);
    }
    assert_eq!(erase.as_mut().poll(cx), Poll::Ready(Ok(())));
    assert_eq!(sim.counters().erases, 8);
}

#[test]
fn a_driver_that_is_called_from_within_itself_says_so() {
    let shared = SharedFlash::new(Blocking(Sim::new(2)));
    let mut part = shared.partition(0..PAGE as u32).unwrap();
    let nested = shared.with(|_| {
        assert_eq!(shared.with(|_| ()), None);
        assert_eq!(shared.partition(0..0x1000).err(), Some(PartitionError::InUse));
        block_on(part.read(0, &mut [0]))
    });
    assert_eq!(nested, Some(Err(PartitionFault::InUse)));
    assert_eq!(block_on(part.read(0, &mut [0])), Ok(()));
}

/// An async driver that takes two polls for each call.
struct Slow {
    sim: Sim,
    busy: Rc<Cell<bool>>,
}

impl Slow {
    async fn work(&self) {
        assert!(!self.busy.replace(true), "one call at a time");
        embassy_futures::yield_now().await;
        self.busy.set(false);
    }
}

impl ErrorType for Slow {
    type Error = FlashError;
}

impl ReadNorFlash for Slow {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.work().await;
        self.sim.read_now(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.sim.len()
    }
}

impl NorFlash for Slow {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.work().await;
        self.sim.erase_now(from..to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.work().await;
        self.sim.write_now(offset, bytes)
    }
}

#[test]
fn partitions_of_an_async_driver_wait_for_each_other() {
    let sim = Sim::new(2);
    let busy = Rc::new(Cell::new(false));
    let shared = SharedAsyncFlash::new(Slow { sim: sim.clone(), busy });
    let page = PAGE as u32;
    let fill = async |range: std::ops::Range<u32>, byte: u8| {
        let mut part = shared.partition(range).unwrap();
        part.erase(0, page).await.unwrap();
        for at in 0..100 {
            part.write(at * 4, &[byte; 4]).await.unwrap();
        }
        let mut read = [0; 400];
        part.read(0, &mut read).await.unwrap();
        assert_eq!(read, [byte; 400]);
    };
    take_turns(fill(0..page, 1), fill(page..2 * page, 2), 1000);
    assert_eq!(sim.violations(), []);
}
