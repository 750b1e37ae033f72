//! The download: one file into the other slot, and its record. Depends on the flash and all below it.

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};
#[cfg(feature = "resume")]
use mender::update_module::PayloadError;
use mender::update_module::{File, Payload};

use super::decide::{Facts, Op};
use super::error::{ImageFault, Partition, Stop};
use super::flash::{Io, Partitions, UNIT};
use super::image::{Identity, START_LEN, Walk};
use super::otadata::SECTOR;
use crate::hasher::{HASH_LEN, Hash, Hasher};
#[cfg(feature = "resume")]
use crate::marks::Marks;
use crate::record::{RECORD_LEN, Record};

const OTHER: Partition = Partition::Other;
const ERASED_WORD: &[u8; UNIT as usize] = &[0xff; UNIT as usize];

impl<S: NorFlash, O: MultiwriteNorFlash, const BUFFER: usize> Partitions<S, O, BUFFER> {
    /// Writes the payload's only file to the other slot, checks it as the bootloader will, by reading it back, and writes its record.
    /// `len` becomes that of the file.
    pub(super) async fn receive(&mut self, payload: &mut Payload<'_>, len: &mut u64) -> Result<(), Stop> {
        let Some(mut file) = payload.next_file().await? else {
            return Err(Stop::NoFile);
        };
        *len = file.len();
        let image_len = match u32::try_from(file.len()) {
            Ok(len) if len < START_LEN as u32 => return Err(ImageFault::NoImage.into()),
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
        let mut len = image_len;
        // The whole file as it came, then the image by its own hash, which stands behind it.
        loop {
            let found = self.hash(OTHER, len).await?;
            if len == hash_at {
                self.io(OTHER, Io::Read, len, HASH_LEN as u32).await?;
                if !self.buffer.0.starts_with(&found) {
                    return Err(ImageFault::Hash.into());
                }
                break;
            }
            if found != new.image {
                // So that no mark says otherwise.
                #[cfg(feature = "resume")]
                self.io(OTHER, Io::Erase, self.room(OTHER), SECTOR).await?;
                return Err(Stop::NotKept(OTHER));
            }
            len = hash_at;
        }
        let start = self.room(OTHER);
        if let Some(record) = self.buffer.0.first_chunk_mut() {
            new.write(record);
        }
        for io in [Io::Write, Io::Read] {
            self.io(OTHER, io, start, RECORD_LEN as u32).await?;
        }
        let mut record = [0; RECORD_LEN];
        new.write(&mut record);
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
        #[cfg(feature = "resume")]
        let mut marks = match file.sha256() {
            Some(of_file) => self.find_marks(file.len() as u32, of_file, &own, walk).await?,
            None => None,
        };
        let mut hash = Hasher::new();
        let (mut written, mut have) = (0_u32, 0_usize);
        #[cfg(feature = "resume")]
        if let Some(in_flash) = marks.as_ref().and_then(Marks::in_flash) {
            self.go_on(in_flash, file, &mut hash).await?;
            written = in_flash;
        }
        let mut erased = written;
        let mut is_bare = false;
        loop {
            #[cfg(feature = "resume")]
            if let (Some(marks), Some(of_file), true) = (&mut marks, file.sha256(), is_bare) {
                self.write_marks(marks, written, of_file).await?;
            }
            let chunk = file.next_chunk().await;
            #[cfg(feature = "resume")]
            if let (Err(PayloadError::Artifact), true) = (&chunk, is_bare) {
                // What is in the slot is not the file: no mark must say otherwise.
                self.io(OTHER, Io::Erase, room, SECTOR).await?;
            }
            let chunk = chunk?;
            let is_last = chunk.is_none();
            if let Some(data) = chunk {
                hash.update(data);
            }
            // What is missing of the last word.
            let filling = || {
                ERASED_WORD
                    .get(..have.wrapping_neg() % UNIT as usize)
                    .unwrap_or_default()
            };
            let mut data = chunk.unwrap_or_else(filling);
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
                    // The file is not shorter.
                    own.accepts(&self.identity()?)?;
                }
                for word in self.buffer.0.get(..have).unwrap_or_default().as_chunks().0 {
                    walk.word(*word)?;
                }
                let end = written.saturating_add(have as u32);
                if end > room {
                    // More came than was announced.
                    return Err(Stop::TooLarge);
                }
                if !is_bare {
                    // Needs no fact, and leaves the buffer alone.
                    let mut facts = Facts::new(self.running, self.bootloader);
                    self.advance(Op::Prepare, &mut facts).await?;
                }
                // All in one place: each place that waits takes code.
                while written < end {
                    let (io, start, len) = if !is_bare {
                        (Io::Erase, room, SECTOR)
                    } else if erased < end {
                        (Io::Erase, erased, SECTOR)
                    } else {
                        (Io::Write, written, have as u32)
                    };
                    self.io(OTHER, io, start, len).await?;
                    match io {
                        Io::Erase if is_bare => erased = erased.saturating_add(SECTOR),
                        Io::Erase => is_bare = true,
                        Io::Write | Io::Read => written = end,
                    }
                }
                have = 0;
                if is_last {
                    return Ok(hash.finish());
                }
            }
        }
    }

    /// Of the image whose first bytes are in the buffer.
    pub(super) fn identity(&self) -> Result<Identity, ImageFault> {
        Identity::read(self.buffer.0.first_chunk().ok_or(ImageFault::NoImage)?)
    }
}
