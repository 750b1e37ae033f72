//! Both slots, otadata and the buffer: the only place that reads and writes flash. Depends on all that is pure.

use embassy_futures::yield_now;
use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};

use super::decide::{Bootloader, Facts, Need, Op, Step, decide};
use super::error::{Partition, Stop};
use super::otadata::{CRC, ENTRY_LEN, Entries, Entry, SECTOR, Slot, sector};
use crate::hasher::{Hash, Hasher};
use crate::record::{RECORD_LEN, Record};

/// The largest read and write unit.
pub(super) const UNIT: u32 = 4;

/// An operation changes otadata at most so often: an entry to fall back on, one that is withdrawn, a request.
const MAX_CHANGES: u8 = 4;

/// One flash operation, on bytes of the buffer, but for an erase.
#[derive(Clone, Copy)]
pub(super) enum Io {
    Read,
    Write,
    Erase,
}

/// Aligned as drivers demand: esp-storage copies through the stack otherwise.
#[repr(align(4))]
pub(super) struct Buffer<const LEN: usize>(pub(super) [u8; LEN]);

/// The partitions of a device.
pub(super) struct Partitions<S, O, const BUFFER: usize> {
    pub(super) ota_0: S,
    pub(super) ota_1: S,
    pub(super) otadata: O,
    pub(super) running: Slot,
    pub(super) bootloader: Bootloader,
    /// Lengths of the slots.
    pub(super) lens: [u32; 2],
    /// What was read last, or is to be written.
    pub(super) buffer: Buffer<BUFFER>,
}

impl<S: NorFlash, O: MultiwriteNorFlash, const BUFFER: usize> Partitions<S, O, BUFFER> {
    fn slot(&self, part: Partition) -> Slot {
        match part {
            Partition::Running | Partition::Otadata => self.running,
            Partition::Other => self.running.other(),
        }
    }

    /// Of a slot.
    pub(super) fn len(&self, part: Partition) -> u32 {
        let [ota_0, ota_1] = self.lens;
        match self.slot(part) {
            Slot::Ota0 => ota_0,
            Slot::Ota1 => ota_1,
        }
    }

    /// Where the record of a slot is, and how long an image can be: all but the last sector.
    pub(super) fn room(&self, part: Partition) -> u32 {
        self.len(part).saturating_sub(SECTOR)
    }

    pub(super) async fn io(&mut self, part: Partition, io: Io, offset: u32, len: u32) -> Result<(), Stop> {
        let slot = self.slot(part);
        // Callers stay below the length of the buffer.
        let bytes = self.buffer.0.get_mut(..len as usize).unwrap_or_default();
        let flash = match slot {
            Slot::Ota0 => &mut self.ota_0,
            Slot::Ota1 => &mut self.ota_1,
        };
        match io {
            Io::Read => flash.read(offset, bytes).await,
            Io::Write => flash.write(offset, bytes).await,
            Io::Erase => flash.erase(offset, offset.saturating_add(len)).await,
        }
        .map_err(|error| Stop::flash(part, &error))
    }

    pub(super) async fn entries(&mut self) -> Result<Entries, Stop> {
        let mut bytes = Buffer([0; ENTRY_LEN]);
        let mut entries = [Entry::read(&bytes.0); 2];
        for (index, entry) in entries.iter_mut().enumerate() {
            if let Err(error) = self.otadata.read(sector(index), &mut bytes.0).await {
                return Err(Stop::flash(Partition::Otadata, &error));
            }
            *entry = Entry::read(&bytes.0);
        }
        Ok(Entries(entries))
    }

    /// Makes an entry none: at once with its last word, so that whatever the erase leaves when it is cut has no right checksum. Then
    /// writes another one there, if it is wanted, its last word last: until that is whole there is none.
    async fn change(&mut self, index: usize, entry: Option<(u32, u32)>) -> Result<(), Stop> {
        let start = sector(index);
        let mut bytes = Buffer([0; ENTRY_LEN]);
        for step in 0..4_u8 {
            if step == 2 {
                let Some((seq, state)) = entry else { break };
                Entry::write(seq, state, &mut bytes.0);
            }
            let (before, last) = bytes.0.split_at(CRC as usize);
            let (at, piece) = if step == 2 {
                (start, before)
            } else {
                (start.saturating_add(CRC), last)
            };
            let done = if step == 1 {
                self.otadata.erase(start, start.saturating_add(SECTOR)).await
            } else {
                self.otadata.write(at, piece).await
            };
            done.map_err(|error| Stop::flash(Partition::Otadata, &error))?;
        }
        Ok(())
    }

    /// The hash of the first bytes of a slot. Up to 3 bytes behind the range are read too.
    pub(super) async fn hash(&mut self, part: Partition, len: u32) -> Result<Hash, Stop> {
        let mut hash = Hasher::new();
        let (mut offset, mut left) = (0_u32, len);
        while left > 0 {
            let now = left.min(BUFFER as u32);
            self.io(part, Io::Read, offset, now.next_multiple_of(UNIT)).await?;
            // A whole slot takes long, and a driver for internal flash never waits: others get their turn here.
            yield_now().await;
            hash.update(self.buffer.0.get(..now as usize).unwrap_or_default());
            offset = offset.saturating_add(now);
            left -= now;
        }
        Ok(hash.finish())
    }

    /// Finds out a fact.
    async fn find(&mut self, need: Need) -> Result<bool, Stop> {
        let part = need.part();
        let room = self.room(part);
        self.io(part, Io::Read, room, RECORD_LEN as u32).await?;
        let mut record = Record::NONE;
        let bytes = self.buffer.0.first_chunk();
        if !bytes.is_some_and(|bytes| record.read(bytes, room)) {
            return Ok(false);
        }
        let mut is_image = need == Need::Whole;
        loop {
            let (part, len, wanted) = if is_image {
                (part, record.image_len, &record.image)
            } else {
                let replaced = part.opposite();
                (replaced, self.len(replaced), &record.previous)
            };
            if self.hash(part, len).await? != *wanted {
                return Ok(false);
            }
            if is_image || need == Need::Replaced {
                return Ok(true);
            }
            is_image = true;
        }
    }

    /// Does what an operation takes.
    pub(super) async fn perform(&mut self, op: Op) -> Result<(), Stop> {
        let mut facts = Facts::new(self.running, self.bootloader);
        while let Some(need) = self.advance(op, &mut facts).await? {
            let holds = self.find(need).await?;
            facts.found(need, holds);
        }
        Ok(())
    }

    /// Makes the changes that an operation takes, until a fact is needed.
    pub(super) async fn advance(&mut self, op: Op, facts: &mut Facts) -> Result<Option<Need>, Stop> {
        // Flash that does not keep a change would be asked for it for ever.
        let mut changes = 0_u8;
        loop {
            facts.entries = self.entries().await?;
            let (index, entry, stop) = match decide(op, facts) {
                Ok(Step::Done) => return Ok(None),
                Ok(Step::Refuse(stop)) => return Err(stop),
                Ok(Step::Put {
                    index,
                    seq,
                    state,
                    stop,
                }) => (index, Some((seq, state)), stop),
                Ok(Step::Withdraw(index)) => (index, None, None),
                Err(need) => return Ok(Some(need)),
            };
            changes += 1;
            if changes > MAX_CHANGES {
                return Err(Stop::NotKept(Partition::Otadata));
            }
            self.change(index, entry).await?;
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
    }
}
