//! The download: one file into DFU, and its record. Depends on the flash and all below it.

use embedded_storage_async::nor_flash::NorFlash;
#[cfg(feature = "resume")]
use mender::update_module::PayloadError;
use mender::update_module::{File, Payload};

use super::decide::{ERASED, NextBoot, Word};
use super::error::{Partition, Stop};
use super::flash::{Io, Partitions};
use super::layout::ALIGN;
use crate::content::{Bytes, Content};
use crate::hasher::{Hash, Hasher};
#[cfg(feature = "resume")]
use crate::marks::Marks;
use crate::record::{RECORD_LEN, Record};

const DFU: Partition = Partition::Dfu;

impl<A: NorFlash, D: NorFlash, S: NorFlash, const BUFFER: usize> Partitions<A, D, S, BUFFER> {
    /// Writes the payload's only file to DFU, verifies it by reading it back, and writes its record. `len` becomes that of the
    /// image.
    pub(super) async fn receive<C: Content>(
        &mut self,
        payload: &mut Payload<'_>,
        len: &mut u64,
        content: &mut C,
    ) -> Result<(), Stop> {
        content.begin(&payload.artifact())?;
        let Some(mut file) = payload.next_file().await? else {
            return Err(Stop::NoFile);
        };
        // The last word, which nobody writes: on such flash nothing that STATE says is understood.
        let last = self.layout.state_len / self.layout.word_len;
        if self.word(last.saturating_sub(1)).await?.is(0) {
            return Err(Stop::ErasesToZero(Partition::State));
        }
        match self.next_boot().await? {
            NextBoot::Stays { .. } => {}
            NextBoot::Swaps | NextBoot::Reverts => return Err(Stop::RunningUnconfirmed),
        }
        let room = self.layout.record_offset();
        *len = content.image_len(file.len());
        let image_len = match u32::try_from(*len) {
            Ok(0) => return Err(Stop::Empty),
            Ok(len) if len <= room => len,
            Ok(_) | Err(_) => return Err(Stop::TooLarge),
        };
        if let Some(old_len) = content.old_len(self.layout.active_len)? {
            content.check_old(&self.hash(Partition::Active, 0, old_len).await?)?;
        }
        let previous = self.hash(Partition::Active, 0, self.layout.active_len).await?;
        let image = self.write_file(&mut file, content).await?;
        if payload.next_file().await?.is_some() {
            return Err(Stop::SecondFile);
        }
        content.check_new(&image)?;
        if self.hash(DFU, 0, image_len).await? != image {
            // So that no mark says otherwise.
            #[cfg(feature = "resume")]
            self.make_bare().await?;
            return Err(Stop::NotKept(DFU));
        }
        let mut record = [0; RECORD_LEN];
        let new = Record {
            image_len,
            image,
            previous,
        };
        new.write(&mut record);
        self.write_record(&record).await
    }

    /// Writes the image of one file to DFU, and gives its hash. The record's place is erased first, so that none of an earlier
    /// update is there while the image is not whole; each sector of the image just before its first byte is written.
    async fn write_file<C: Content>(&mut self, file: &mut File<'_, '_>, content: &mut C) -> Result<Hash, Stop> {
        let sector_len = D::ERASE_SIZE as u32;
        let (room, erased_before) = (self.layout.record_offset(), self.erased_before());
        #[cfg(feature = "resume")]
        let mut marks = match file.sha256() {
            // A patch begins anew: where it is in the image only its decoder knows.
            Some(of_file) if !content.is_made() => self.find(file.len() as u32, of_file).await?,
            Some(_) | None => None,
        };
        let mut hash = Hasher::new();
        let (mut written, mut have) = (0_u32, 0);
        #[cfg(feature = "resume")]
        if let Some(in_flash) = marks.as_ref().and_then(Marks::in_flash) {
            self.go_on(in_flash, file, &mut hash).await?;
            written = in_flash;
        }
        let mut next_sector = written;
        let mut is_bare = false;
        loop {
            #[cfg(feature = "resume")]
            if let (Some(marks), Some(of_file), true) = (&mut marks, file.sha256(), is_bare) {
                self.write_marks(marks, written, of_file).await?;
            }
            let chunk = file.next_chunk().await;
            #[cfg(feature = "resume")]
            if let (Err(PayloadError::Artifact), Some(_), true) = (&chunk, &marks, is_bare) {
                // What is in DFU is not the file.
                self.make_bare().await?;
            }
            let chunk = chunk?;
            if !is_bare {
                self.make_bare().await?;
                is_bare = true;
            }
            let is_last = chunk.is_none();
            if is_last {
                content.finish()?;
            }
            let mut input = chunk.unwrap_or_default();
            loop {
                let bytes = content.next(&mut input)?;
                let ends = bytes.is_none();
                if ends && !is_last {
                    break;
                }
                let mut data = match bytes {
                    None => &[],
                    Some(Bytes::Given(data)) => data,
                    #[cfg(feature = "delta")]
                    Some(Bytes::Made(len, from)) => {
                        let made = content.made(len);
                        if let Some(from) = from {
                            self.add_running(from, made).await?;
                        }
                        made
                    }
                };
                hash.update(data);
                loop {
                    let (now, later) = data.split_at(data.len().min(BUFFER - have));
                    for (to, from) in self.buffer.0.iter_mut().skip(have).zip(now) {
                        *to = *from;
                    }
                    have += now.len();
                    data = later;
                    if ends {
                        let end = have.next_multiple_of(D::WRITE_SIZE);
                        self.buffer
                            .0
                            .iter_mut()
                            .take(end)
                            .skip(have)
                            .for_each(|filling| *filling = ERASED);
                        have = end;
                    } else if have < BUFFER {
                        break;
                    }
                    let end = written.saturating_add(have as u32);
                    if end > room {
                        // More came than was announced.
                        return Err(Stop::TooLarge);
                    }
                    while written < end {
                        let erases = next_sector < end.min(erased_before);
                        let (io, start, until) = if erases {
                            (Io::Erase, next_sector, next_sector.saturating_add(sector_len))
                        } else {
                            (Io::Write, written, end)
                        };
                        self.io(DFU, io, start, until).await?;
                        if erases {
                            next_sector = until;
                        } else {
                            written = end;
                        }
                    }
                    have = 0;
                    if ends {
                        return Ok(hash.finish());
                    }
                }
            }
        }
    }

    /// From here on DFU is erased for the record.
    pub(super) fn erased_before(&self) -> u32 {
        let room = self.layout.record_offset();
        room - room % D::ERASE_SIZE as u32
    }

    /// Erases the record's place, and sees whether it was done.
    async fn make_bare(&mut self) -> Result<(), Stop> {
        let (room, end) = (self.layout.record_offset(), self.layout.active_len);
        self.io(DFU, Io::Erase, self.erased_before(), end).await?;
        self.io(DFU, Io::Read, room, room.saturating_add(ALIGN as u32)).await?;
        let erased = Word::of(self.buffer.0.get(..ALIGN).unwrap_or_default());
        if erased.is(ERASED) {
            Ok(())
        } else if erased.is(0) {
            Err(Stop::ErasesToZero(DFU))
        } else {
            Err(Stop::NotKept(DFU))
        }
    }

    /// Writes a record, and sees whether it was kept.
    async fn write_record(&mut self, record: &[u8; RECORD_LEN]) -> Result<(), Stop> {
        for io in [Io::Write, Io::Read] {
            let mut offset = self.layout.record_offset();
            for piece in record.chunks(BUFFER) {
                if let Io::Write = io {
                    for (to, from) in self.buffer.0.iter_mut().zip(piece) {
                        *to = *from;
                    }
                }
                let end = offset.saturating_add(piece.len() as u32);
                self.io(DFU, io, offset, end).await?;
                if !self.buffer.0.starts_with(piece) {
                    return Err(Stop::NotKept(DFU));
                }
                offset = end;
            }
        }
        Ok(())
    }
}
