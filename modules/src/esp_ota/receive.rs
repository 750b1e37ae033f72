//! The download: one file into the other slot, and its record. Depends on the flash and all below it.

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};
use mender::update_module::{File, Payload};

use super::decide::Op;
use super::error::{ImageFault, Partition, Stop};
use super::flash::{Io, Partitions, UNIT};
use super::image::{Identity, START_LEN, Walk};
use super::otadata::SECTOR;
use crate::hasher::{HASH_LEN, Hash, Hasher};
use crate::record::{RECORD_LEN, Record};

const OTHER: Partition = Partition::Other;
const ERASED: u8 = 0xff;

impl<S: NorFlash, O: MultiwriteNorFlash, const BUFFER: usize> Partitions<S, O, BUFFER> {
    /// Writes the payload's only file to the other slot, checks it as the bootloader will, by reading it back, and writes its record.
    /// `len` becomes that of the file.
    pub(super) async fn receive(&mut self, payload: &mut Payload<'_>, len: &mut u64) -> Result<(), Stop> {
        let Some(mut file) = payload.next_file().await? else {
            return Err(Stop::NoFile);
        };
        *len = file.len();
        let image_len = match u32::try_from(file.len()) {
            Ok(len) if len <= self.room(OTHER) => len,
            Ok(_) | Err(_) => return Err(Stop::TooLarge),
        };
        let mut new = Record {
            image_len,
            ..Record::NONE
        };
        let mut walk = Walk::new();
        new.previous = self.hash(Partition::Running, self.len(Partition::Running)).await?;
        new.image = self.write_file(&mut file, &mut walk).await?;
        if payload.next_file().await?.is_some() {
            return Err(Stop::SecondFile);
        }
        let hash_at = walk.finish(image_len)?;
        if self.hash(OTHER, image_len).await? != new.image {
            return Err(Stop::NotKept(OTHER));
        }
        let own = self.hash(OTHER, hash_at).await?;
        self.io(OTHER, Io::Read, hash_at, hash_at.saturating_add(HASH_LEN as u32))
            .await?;
        if !self.buffer.0.starts_with(&own) {
            return Err(ImageFault::Hash.into());
        }
        let mut record = [0; RECORD_LEN];
        new.write(&mut record);
        let start = self.room(OTHER);
        let end = start.saturating_add(RECORD_LEN as u32);
        for io in [Io::Write, Io::Read] {
            if let Io::Write = io {
                for (to, from) in self.buffer.0.iter_mut().zip(&record) {
                    *to = *from;
                }
            }
            self.io(OTHER, io, start, end).await?;
        }
        if self.buffer.0.starts_with(&record) {
            Ok(())
        } else {
            Err(Stop::NotKept(OTHER))
        }
    }

    /// Writes one file to the other slot, and gives the hash of what came.
    ///
    /// Only when the start of the file is that of an image which may follow the running one, anything is changed. Then otadata is made
    /// to start the running image whatever happens, and the record's sector is erased, so that none of an earlier update is there while
    /// the image is not whole; each sector of the image just before its first byte is written.
    async fn write_file(&mut self, file: &mut File<'_, '_>, walk: &mut Walk) -> Result<Hash, Stop> {
        self.io(Partition::Running, Io::Read, 0, START_LEN as u32).await?;
        // What runs is an image, or nothing here is as it was said.
        let own = self.identity().map_err(|_| Stop::NotKept(Partition::Running))?;
        let room = self.room(OTHER);
        let mut hash = Hasher::new();
        let (mut written, mut erased, mut have) = (0_u32, 0_u32, 0);
        loop {
            let chunk = file.next_chunk().await?;
            let is_last = chunk.is_none();
            let mut data = chunk.unwrap_or_default();
            hash.update(data);
            loop {
                let (now, later) = data.split_at(data.len().min(BUFFER - have));
                for (to, from) in self.buffer.0.iter_mut().skip(have).zip(now) {
                    *to = *from;
                }
                have += now.len();
                data = later;
                if !is_last && have < BUFFER {
                    break;
                }
                if written == 0 {
                    if have < START_LEN {
                        return Err(ImageFault::NoImage.into());
                    }
                    own.accepts(&self.identity()?)?;
                }
                let whole = have.next_multiple_of(UNIT as usize);
                let filling = self.buffer.0.iter_mut().take(whole).skip(have);
                filling.for_each(|byte| *byte = ERASED);
                for word in self.buffer.0.get(..whole).unwrap_or_default().as_chunks().0 {
                    walk.word(*word)?;
                }
                let end = written.saturating_add(whole as u32);
                if end > room {
                    // More came than was announced.
                    return Err(Stop::TooLarge);
                }
                if written == 0 {
                    // Leaves the buffer alone.
                    self.perform(Op::Prepare).await?;
                    self.io(OTHER, Io::Erase, room, room.saturating_add(SECTOR)).await?;
                }
                while erased < end {
                    let start = erased;
                    erased = start.saturating_add(SECTOR);
                    self.io(OTHER, Io::Erase, start, erased).await?;
                }
                if whole > 0 {
                    self.io(OTHER, Io::Write, written, end).await?;
                }
                written = end;
                have = 0;
                if is_last {
                    return Ok(hash.finish());
                }
            }
        }
    }

    /// Of the image whose first bytes are in the buffer.
    fn identity(&self) -> Result<Identity, ImageFault> {
        Identity::read(self.buffer.0.first_chunk().ok_or(ImageFault::NoImage)?)
    }
}
