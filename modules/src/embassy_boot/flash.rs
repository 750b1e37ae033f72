//! The three partitions and the buffer: the only place that reads and writes flash. Depends on all that is pure.

use core::future::poll_fn;
use core::pin::pin;

use ::embassy_boot::AlignedBuffer;
use embassy_futures::yield_now;
use embedded_storage_async::nor_flash::NorFlash;

use super::decide::{DONE, ERASED, Facts, Mark, Need, NextBoot, Op, Step, Word, decide, next_boot};
use super::error::{Partition, Stop};
use super::layout::{ALIGN, Layout};
use crate::apart::poll_apart;
use crate::hasher::{Hash, Hasher};
use crate::record::{RECORD_LEN, Record};

/// The partitions of a device.
pub(super) struct Partitions<A, D, S, const BUFFER: usize> {
    pub(super) layout: Layout,
    pub(super) active: A,
    pub(super) dfu: D,
    pub(super) state: S,
    /// What was read last, or is to be written; aligned as drivers may demand.
    pub(super) buffer: AlignedBuffer<BUFFER>,
}

/// One flash operation, on bytes of the buffer.
#[derive(Clone, Copy)]
pub(super) enum Io {
    Read,
    Write,
    /// To this offset.
    Erase,
}

impl<A: NorFlash, D: NorFlash, S: NorFlash, const BUFFER: usize> Partitions<A, D, S, BUFFER> {
    pub(super) async fn io(&mut self, part: Partition, io: Io, offset: u32, end: u32) -> Result<(), Stop> {
        let len = end.saturating_sub(offset) as usize;
        // Callers stay below the length of the buffer.
        let bytes = self.buffer.0.get_mut(..len).unwrap_or_default();
        match part {
            // ACTIVE is only read.
            Partition::Active => match self.active.read(offset, bytes).await {
                Ok(()) => Ok(()),
                Err(error) => Err(Stop::flash(part, &error)),
            },
            Partition::Dfu => match io {
                Io::Read => self.dfu.read(offset, bytes).await,
                Io::Write => self.dfu.write(offset, bytes).await,
                Io::Erase => self.dfu.erase(offset, end).await,
            }
            .map_err(|error| Stop::flash(part, &error)),
            Partition::State => match io {
                Io::Read => self.state.read(offset, bytes).await,
                Io::Write => self.state.write(offset, bytes).await,
                Io::Erase => self.state.erase(offset, end).await,
            }
            .map_err(|error| Stop::flash(part, &error)),
        }
    }

    /// One of the words of STATE that the bootloader counts in; read with what the read unit demands around it.
    pub(super) async fn word(&mut self, index: u32) -> Result<Word, Stop> {
        let unit = S::READ_SIZE.max(S::WRITE_SIZE) as u32;
        let offset = index.saturating_mul(self.layout.word_len);
        let skip = offset % unit;
        let start = offset - skip;
        self.io(Partition::State, Io::Read, start, start.saturating_add(unit))
            .await?;
        let skip = skip as usize;
        Ok(Word::of(
            self.buffer.0.get(skip..skip + S::WRITE_SIZE).unwrap_or_default(),
        ))
    }

    async fn write_word(&mut self, index: u32, byte: u8) -> Result<(), Stop> {
        let len = self.layout.word_len;
        self.buffer.0.iter_mut().take(len as usize).for_each(|to| *to = byte);
        let offset = index.saturating_mul(len);
        self.io(Partition::State, Io::Write, offset, offset.saturating_add(len))
            .await
    }

    pub(super) async fn next_boot(&mut self) -> Result<NextBoot, Stop> {
        let layout = self.layout;
        let mut index = 0;
        loop {
            if let Some(next) = next_boot(index, self.word(index).await?, &layout) {
                return Ok(next);
            }
            index += 1;
        }
    }

    /// Writes STATE anew. See "Limits" in the documentation of the parent module for what a torn erase can do.
    ///
    /// An erase only sets bits, so it can tear "revert" and "boot" into "swap", a request of steps that were never done.
    /// Therefore the second word says first that the progress is not valid, as embassy-boot has it, wherever the first one
    /// can become "swap". Any other is erased, or what an earlier torn erase has left: there chips with error correction
    /// can refuse a write, and there is nothing to protect.
    ///
    /// A second word of one byte can be erased before the first is. But flash that is written by the byte lets bits be
    /// cleared at any time: there the first one is made zero beforehand, and a "swap" is over with a single write.
    async fn mark(&mut self, mark: Mark) -> Result<(), Stop> {
        let first = self.word(0).await?;
        if !mark.is_there(first) {
            if first.can_become_swap() {
                if S::WRITE_SIZE == 1 {
                    self.write_word(0, DONE).await?;
                }
                if self.word(1).await?.is(ERASED) {
                    self.write_word(1, DONE).await?;
                }
            }
            self.io(Partition::State, Io::Erase, 0, self.layout.state_len).await?;
            let (mut index, end, magic) = mark.words(&self.layout);
            loop {
                let (at, byte) = if index < end { (index, DONE) } else { (0, magic) };
                self.write_word(at, byte).await?;
                if at == 0 {
                    break;
                }
                index += 1;
            }
        }
        if mark.leads_to(self.next_boot().await?) {
            Ok(())
        } else {
            Err(Stop::NotKept(Partition::State))
        }
    }

    /// Reads the bytes where a record may be.
    pub(super) async fn record(&mut self, part: Partition, bytes: &mut [u8; RECORD_LEN]) -> Result<(), Stop> {
        let mut offset = self.layout.record_offset();
        for piece in bytes.as_chunks_mut::<ALIGN>().0 {
            let end = offset.saturating_add(ALIGN as u32);
            self.io(part, Io::Read, offset, end).await?;
            for (to, from) in piece.iter_mut().zip(&self.buffer.0) {
                *to = *from;
            }
            offset = end;
        }
        Ok(())
    }

    /// Whether a range has this hash. `offset` is a multiple of [`ALIGN`]; up to `ALIGN - 1` bytes behind the range are read too.
    pub(super) async fn hash(&mut self, part: Partition, offset: u32, len: u32) -> Result<Hash, Stop> {
        let mut hash = Hasher::new();
        let (mut offset, mut left) = (offset, len);
        while left > 0 {
            let now = left.min(BUFFER as u32);
            let end = offset.saturating_add(now.next_multiple_of(ALIGN as u32));
            self.io(part, Io::Read, offset, end).await?;
            // A whole partition takes long, and a driver for internal flash never waits: others get their turn here.
            yield_now().await;
            hash.update(self.buffer.0.get(..now as usize).unwrap_or_default());
            offset = offset.saturating_add(now);
            left -= now;
        }
        Ok(hash.finish())
    }

    /// Adds to these bytes, modulo 256, those of the image that runs, from an offset on. The buffer is left alone: it holds what is to
    /// be written.
    #[cfg(feature = "delta")]
    pub(super) async fn add_running(&mut self, from: u32, bytes: &mut [u8]) -> Result<(), Stop> {
        let mut old = AlignedBuffer([0; ALIGN]);
        let (mut from, mut rest) = (from, bytes);
        while !rest.is_empty() {
            let skip = from as usize % ALIGN;
            let start = from - skip as u32;
            let read = self.active.read(start, &mut old.0).await;
            read.map_err(|error| Stop::flash(Partition::Active, &error))?;
            let (now, later) = rest.split_at_mut(rest.len().min(ALIGN - skip));
            for (byte, old) in now.iter_mut().zip(old.0.iter().skip(skip)) {
                *byte = byte.wrapping_add(*old);
            }
            // If there is more, all that was read was taken.
            from = start.saturating_add(ALIGN as u32);
            rest = later;
        }
        Ok(())
    }

    /// Does what an operation takes.
    pub(super) async fn perform(&mut self, op: Op) -> Result<(), Stop> {
        let mut facts = Facts {
            next: self.next_boot().await?,
            record: Record::NONE,
            received: None,
            swapped: None,
            active: None,
        };
        loop {
            let (mark, stop) = match decide(op, &facts) {
                Ok(Step::Done) => return Ok(()),
                Ok(Step::Refuse(stop)) => return Err(stop),
                Ok(Step::Mark(mark)) => (mark, None),
                Ok(Step::MarkAndRefuse(mark, stop)) => (mark, Some(stop)),
                Err(need) => {
                    let mut holds = true;
                    if let Some(part) = need.record() {
                        let room = self.layout.record_offset();
                        let mut bytes = [0; RECORD_LEN];
                        self.record(part, &mut bytes).await?;
                        holds = facts.record.read(&bytes, room);
                    }
                    if holds {
                        let (part, offset, len) = need.range(op, &facts.record, &self.layout);
                        holds = self.hash(part, offset, len).await? == *need.hash(op, &facts.record);
                    }
                    match need {
                        Need::Received => facts.received = Some(holds),
                        Need::Swapped => facts.swapped = Some(holds),
                        Need::Active => facts.active = Some(holds),
                    }
                    continue;
                }
            };
            let mut marks = pin!(self.mark(mark));
            poll_fn(|cx| poll_apart(marks.as_mut(), cx)).await?;
            return stop.map_or(Ok(()), Err);
        }
    }
}
