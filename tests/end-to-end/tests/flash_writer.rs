//! `update_module::FlashWriter` and `now` on the kit's flash: each write unit, chunks of any length, and whatever stops a writer.

use std::cell::Cell;
use std::future::{Future, pending};
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embassy_futures::block_on;
use mender::embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use mender::update_module::{Failure, FlashWriteError, FlashWriter, now};
use mender_testkit::flash::{CutAt, FlashError, PowerCut, SimFlash};

const SECTOR: usize = 128;
const SECTORS: usize = 8;
/// What was there before.
const OLD: u8 = 0x11;

type Written = Result<(), FlashWriteError<FlashError>>;

/// A chip that is full of something else.
fn used<const UNIT: usize>() -> SimFlash<UNIT, SECTOR> {
    SimFlash::from_bytes(&[OLD; SECTOR * SECTORS])
}

/// A stream in which each place can be told.
fn stream(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8 & 0x7f).collect()
}

async fn write_all<F: NorFlash>(
    flash: &mut F,
    mut writer: FlashWriter,
    data: &[u8],
    chunk_len: usize,
) -> Result<(), FlashWriteError<F::Error>> {
    for chunk in data.chunks(chunk_len) {
        writer.write(flash, chunk).await?;
    }
    writer.finish(flash).await
}

/// What the chip must hold then: whole sectors are erased, the stream is in its place, all else is as it was.
fn expected(start: usize, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![OLD; SECTOR * SECTORS];
    if !data.is_empty() {
        let sectors = start / SECTOR * SECTOR..(start + data.len()).next_multiple_of(SECTOR);
        bytes[sectors].fill(0xff);
        bytes[start..start + data.len()].copy_from_slice(data);
    }
    bytes
}

fn streams_arrive<const UNIT: usize>() {
    for start in [0, 32, SECTOR, 2 * SECTOR + 96] {
        for len in (0..70).chain([127, 128, 129, 300, 5 * SECTOR]) {
            for chunk_len in [1, 3, 31, 32, 33, 64, 1000] {
                let what = format!("unit {UNIT}, {len} bytes at {start} in chunks of {chunk_len}");
                let mut flash = used::<UNIT>();
                let data = stream(len);
                let writer = FlashWriter::new::<SimFlash<UNIT, SECTOR>>(start as u32..(SECTOR * SECTORS) as u32);
                let written = block_on(write_all(&mut flash, writer, &data, chunk_len));
                assert_eq!(written, Ok(()), "{what}");
                assert_eq!(flash.violations(), [], "{what}");
                assert!(flash.to_bytes() == expected(start, &data), "{what}");
                assert!(flash.sector_erases().iter().all(|erases| *erases <= 1), "{what}");
                // Each byte once, and the last unit filled up: no more.
                let written = flash.counters().bytes_written as usize;
                assert_eq!(written, len.next_multiple_of(UNIT), "{what}");
            }
        }
    }
}

#[test]
fn streams_of_any_length_arrive_in_chunks_of_any_length_on_each_write_unit() {
    streams_arrive::<1>();
    streams_arrive::<2>();
    streams_arrive::<4>();
    streams_arrive::<8>();
    streams_arrive::<16>();
    streams_arrive::<32>();
}

#[test]
fn large_chunks_are_written_at_once() {
    let mut flash = used::<4>();
    let writer = FlashWriter::new::<SimFlash<4, SECTOR>>(0..1024);
    block_on(write_all(&mut flash, writer, &stream(1002), 501)).unwrap();
    // Of each chunk its words, and the one that is of both; the last one filled up.
    assert!(flash.counters().writes <= 5, "{:?}", flash.counters());
}

#[test]
fn what_is_too_long_changes_nothing_behind_the_range_and_ends_the_writer() {
    for (len, chunk_len) in [(200, 200), (100, 7), (97, 1), (128, 96)] {
        let mut flash = used::<4>();
        let mut writer = FlashWriter::new::<SimFlash<4, SECTOR>>(0..96);
        let mut refused = Ok(());
        for chunk in stream(len).chunks(chunk_len) {
            let was_refused = refused.is_err();
            refused = block_on(writer.write(&mut flash, chunk));
            if was_refused {
                assert_eq!(refused, Err(FlashWriteError::Unfinished));
            }
        }
        let finished: Written = block_on(writer.finish(&mut flash));
        assert!(finished.is_err(), "{len} in {chunk_len}: {refused:?}, {finished:?}");
        assert!(flash.to_bytes()[96..128].iter().all(|byte| [0xff, OLD].contains(byte)));
        assert!(flash.to_bytes()[128..].iter().all(|byte| *byte == OLD));
    }
}

#[test]
fn a_range_is_filled_to_its_end() {
    let mut flash = used::<8>();
    let writer = FlashWriter::new::<SimFlash<8, SECTOR>>(32..96);
    assert_eq!(block_on(write_all(&mut flash, writer, &stream(64), 9)), Ok(()));
    let mut flash = used::<8>();
    let writer = FlashWriter::new::<SimFlash<8, SECTOR>>(32..96);
    let written = block_on(write_all(&mut flash, writer, &stream(65), 9));
    assert_eq!(written, Err(FlashWriteError::TooLong));
}

#[test]
fn what_is_held_can_be_looked_at_before_anything_is_erased() {
    let data = stream(100);
    for chunk_len in [1, 20, 31, 32, 33, 100] {
        let mut flash = used::<4>();
        let mut writer = FlashWriter::new::<SimFlash<4, SECTOR>>(0..1024);
        let mut looked = false;
        for (at, chunk) in data.chunks(chunk_len).enumerate() {
            let mut chunk = chunk;
            if !looked {
                chunk = writer.hold(chunk);
                assert_eq!(writer.held().is_some(), (at + 1) * chunk_len >= 32);
                assert_eq!(flash.operations(), 0);
                let Some(held) = writer.held() else { continue };
                assert_eq!(held, &data[..32]);
                looked = true;
            }
            block_on(writer.write(&mut flash, chunk)).unwrap();
            assert_eq!(writer.held(), None);
        }
        block_on(writer.finish(&mut flash)).unwrap();
        assert!(flash.to_bytes() == expected(0, &data));
    }
}

#[test]
fn filling_in_the_place_of_finish_is_the_same_of_a_stream_that_is_no_shorter_than_what_is_held() {
    for len in 32..70 {
        let mut flash = used::<8>();
        let mut writer = FlashWriter::new::<SimFlash<8, SECTOR>>(0..1024);
        block_on(writer.write(&mut flash, &stream(len))).unwrap();
        let filling = writer.filling();
        block_on(writer.write(&mut flash, filling)).unwrap();
        assert!(flash.to_bytes() == expected(0, &stream(len)));
    }
}

#[test]
fn larger_sectors_and_a_tail_that_was_erased_beforehand() {
    let mut flash = used::<4>();
    block_on(NorFlash::erase(&mut flash, 512, 640)).unwrap();
    flash.reset_counters();
    let writer = FlashWriter::new::<SimFlash<4, SECTOR>>(0..640)
        .with_sectors(2 * SECTOR as u32)
        .erased_from(512);
    block_on(write_all(&mut flash, writer, &stream(600), 50)).unwrap();
    assert_eq!(flash.sector_erases()[..6], [1, 1, 1, 1, 0, 0]);
    assert_eq!(flash.to_bytes()[..600], stream(600));

    // None is a mistake, but no endless loop.
    let writer = FlashWriter::new::<SimFlash<4, SECTOR>>(0..640).with_sectors(0);
    let refused = block_on(write_all(&mut flash, writer, &stream(600), 50));
    assert!(matches!(refused, Err(FlashWriteError::Flash(_))), "{refused:?}");
}

#[test]
fn after_a_power_cut_anywhere_a_new_writer_writes_all_of_it() {
    let data = stream(400);
    let begin = || FlashWriter::new::<SimFlash<4, SECTOR>>(32..1024);
    let mut flash = used::<4>();
    block_on(write_all(&mut flash, begin(), &data, 37)).unwrap();
    let operations = flash.operations();
    assert!(operations > 15, "{operations}");
    for operation in 1..=operations {
        for at in [CutAt::Before, CutAt::Within { seed: operation }, CutAt::After] {
            let mut flash = used::<4>();
            flash.cut_power(PowerCut { operation, at });
            let mut writer = begin();
            let cut = data
                .chunks(37)
                .find_map(|chunk| block_on(writer.write(&mut flash, chunk)).err());
            if let Some(error) = cut {
                assert_eq!(error, FlashWriteError::Flash(FlashError::PowerLost));
                // It does not know what came of that, so it does nothing more.
                let operations = flash.operations();
                flash.restore_power();
                for chunk in [&data[..1], &data[..64]] {
                    let refused: Written = block_on(writer.write(&mut flash, chunk));
                    assert_eq!(refused, Err(FlashWriteError::Unfinished));
                }
                let refused: Written = block_on(writer.finish(&mut flash));
                assert_eq!(refused, Err(FlashWriteError::Unfinished));
                assert_eq!(flash.operations(), operations);
            }
            flash.restore_power();
            block_on(write_all(&mut flash, begin(), &data, 400)).unwrap();
            assert!(flash.to_bytes() == expected(32, &data), "{operation} {at:?}");
            assert_eq!(flash.violations(), []);
        }
    }
}

/// A flash whose writes never come back once it is told so.
struct Slow(SimFlash<4, SECTOR>, Rc<Cell<bool>>);

impl ErrorType for Slow {
    type Error = FlashError;
}

impl ReadNorFlash for Slow {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        if self.1.get() {
            pending::<()>().await;
        }
        self.0.read_now(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Slow {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.0.erase_now(Range { start: from, end: to })
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.write_now(offset, bytes)?;
        if self.1.get() {
            pending::<()>().await;
        }
        Ok(())
    }
}

#[test]
fn a_write_that_was_dropped_ends_the_writer() {
    let is_slow = Rc::new(Cell::new(false));
    let mut flash = Slow(used(), Rc::clone(&is_slow));
    let mut writer = FlashWriter::new::<Slow>(0..1024);
    let data = stream(40);
    block_on(writer.write(&mut flash, &data)).unwrap();
    is_slow.set(true);
    {
        let dropped = pin!(writer.write(&mut flash, &data));
        assert!(matches!(
            dropped.poll(&mut Context::from_waker(Waker::noop())),
            Poll::Pending
        ));
    }
    is_slow.set(false);
    let refused: Written = block_on(writer.write(&mut flash, &stream(4)));
    assert_eq!(refused, Err(FlashWriteError::Unfinished));
    assert_eq!(block_on(writer.finish(&mut flash)), Err(FlashWriteError::Unfinished));
    assert_eq!(flash.0.violations(), []);
}

#[test]
fn an_error_becomes_a_failure_that_says_why() {
    let text = |error: FlashWriteError<FlashError>| {
        let shown = error.to_string();
        (shown, Failure::from(error).to_string())
    };
    let too_long = "more came than fits into the flash".to_owned();
    assert_eq!(text(FlashWriteError::TooLong), (too_long.clone(), too_long));
    let (shown, failure) = text(FlashWriteError::Flash(FlashError::PowerLost));
    assert_eq!(shown, "the flash failed: PowerLost");
    // As `?` of the driver's own.
    assert_eq!(failure, Failure::from(FlashError::PowerLost).to_string());
    let (shown, failure) = text(FlashWriteError::Unfinished);
    assert_eq!(shown, failure);
}

#[test]
fn what_need_not_wait_is_there_now_and_what_must_is_not_waited_for() {
    let is_slow = Rc::new(Cell::new(false));
    let mut flash = Slow(used(), Rc::clone(&is_slow));
    let mut bytes = [0; 4];
    assert_eq!(now(flash.read(0, &mut bytes)), Some(Ok(())));
    assert_eq!(bytes, [OLD; 4]);
    is_slow.set(true);
    assert_eq!(now(flash.read(0, &mut bytes)), None);
    is_slow.set(false);
    assert_eq!(
        now(async { flash.read(4, &mut bytes).await.map(|()| bytes[0]) }),
        Some(Ok(OLD))
    );
}
