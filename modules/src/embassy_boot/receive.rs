//! The download: one file into DFU, and its record. Depends on the flash and all below it.

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::{File, Payload};
use sha2::{Digest, Sha256};

use super::decide::{ERASED, NextBoot, is};
use super::error::{Partition, Stop};
use super::flash::{Io, Partitions};
use super::record::{Hash, RECORD_LEN, Record};

impl<A: NorFlash, D: NorFlash, S: NorFlash, const BUFFER: usize> Partitions<A, D, S, BUFFER> {
    /// Writes the payload's only file to DFU, verifies it by reading it back, and writes its record. `len` becomes that of the
    /// file.
    pub(super) async fn receive(&mut self, payload: &mut Payload<'_>, len: &mut u64) -> Result<(), Stop> {
        let Some(mut file) = payload.next_file().await? else {
            return Err(Stop::NoFile);
        };
        // The last word, which nobody writes: on such flash nothing that STATE says was understood.
        let last = self.layout.state_len / self.layout.word_len;
        if is(self.word(last.saturating_sub(1)).await?, 0) {
            return Err(Stop::ErasesToZero(Partition::State));
        }
        match self.next_boot().await? {
            NextBoot::Stays { .. } => {}
            NextBoot::Swaps | NextBoot::Reverts => return Err(Stop::RunningUnconfirmed),
        }
        let room = self.layout.record_offset();
        *len = file.len();
        let image_len = match u32::try_from(file.len()) {
            Ok(0) => return Err(Stop::Empty),
            Ok(len) if len <= room => len,
            Ok(_) | Err(_) => return Err(Stop::TooLarge),
        };
        let previous = self.hash(Partition::Active, 0, self.layout.active_len).await?;
        let erased = self.erase_record().await?;
        let image = self.write_file(&mut file, erased).await?;
        if payload.next_file().await?.is_some() {
            return Err(Stop::SecondFile);
        }
        if self.hash(Partition::Dfu, 0, image_len).await? != image {
            return Err(Stop::NotKept(Partition::Dfu));
        }
        let record = Record {
            image_len,
            image,
            previous,
        };
        self.write_record(&record.to_bytes()).await
    }

    /// Erases the record's place, and gives its start. It comes first, so that none of an earlier update is there while the
    /// image is not whole. The image's own is erased as it comes.
    async fn erase_record(&mut self) -> Result<u32, Stop> {
        let (room, end) = (self.layout.record_offset(), self.layout.active_len);
        let start = room - room % D::ERASE_SIZE as u32;
        let part = Partition::Dfu;
        self.io(part, Io::Erase, start, end).await?;
        let bytes = self.record(part).await?;
        if is(&bytes, ERASED) {
            Ok(start)
        } else if is(&bytes, 0) {
            Err(Stop::ErasesToZero(part))
        } else {
            Err(Stop::NotKept(part))
        }
    }

    /// Writes one file to DFU, which is erased already from `erased` on, and gives the hash of what came.
    async fn write_file(&mut self, file: &mut File<'_, '_>, erased: u32) -> Result<Hash, Stop> {
        let mut hash = Sha256::new();
        let mut at = At {
            written: 0,
            next_sector: 0,
            erased,
        };
        let mut have = 0;
        while let Some(chunk) = file.next_chunk().await? {
            hash.update(chunk);
            let mut data = chunk;
            while !data.is_empty() {
                let (now, later) = data.split_at(data.len().min(BUFFER - have));
                for (to, from) in self.buffer.0.iter_mut().skip(have).zip(now) {
                    *to = *from;
                }
                have += now.len();
                data = later;
                if have == BUFFER {
                    self.write_block(&mut at, BUFFER).await?;
                    have = 0;
                }
            }
        }
        let end = have.next_multiple_of(D::WRITE_SIZE);
        if let Some(filling) = self.buffer.0.get_mut(have..end) {
            filling.fill(ERASED);
        }
        self.write_block(&mut at, end).await?;
        Ok(hash.finalize().into())
    }

    /// Writes what is in the buffer, and erases each sector just before its first byte is written.
    async fn write_block(&mut self, at: &mut At, len: usize) -> Result<(), Stop> {
        let (part, sector_len) = (Partition::Dfu, D::ERASE_SIZE as u32);
        let end = at.written.saturating_add(len as u32);
        // More comes than was announced.
        if end > self.layout.record_offset() {
            return Err(Stop::TooLarge);
        }
        while at.next_sector < end.min(at.erased) {
            let next = at.next_sector.saturating_add(sector_len);
            self.io(part, Io::Erase, at.next_sector, next).await?;
            at.next_sector = next;
        }
        if len > 0 {
            self.io(part, Io::Write, at.written, end).await?;
        }
        at.written = end;
        Ok(())
    }

    /// Writes a record, and sees whether it was kept.
    async fn write_record(&mut self, record: &[u8; RECORD_LEN]) -> Result<(), Stop> {
        let part = Partition::Dfu;
        let mut offset = self.layout.record_offset();
        for piece in record.chunks(BUFFER) {
            for (to, from) in self.buffer.0.iter_mut().zip(piece) {
                *to = *from;
            }
            let end = offset.saturating_add(piece.len() as u32);
            self.io(part, Io::Write, offset, end).await?;
            offset = end;
        }
        if self.record(part).await? == *record {
            Ok(())
        } else {
            Err(Stop::NotKept(part))
        }
    }
}

/// Where a stream is in DFU.
struct At {
    written: u32,
    /// The first sector that was not erased.
    next_sector: u32,
    /// All from here on was.
    erased: u32,
}
