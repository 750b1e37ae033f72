//! A download after a restart: how far the one before has come, by its marks. They share the sector of the record. Depends on the download
//! and all below it.

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};
use mender::update_module::File;

use super::error::{Partition, Stop};
use super::flash::{Buffer, Io, Partitions, UNIT};
use super::image::{Identity, START_LEN, Walk};
use super::otadata::{SECTOR, Slot};
use crate::hasher::{HASH_LEN, Hash, Hasher};
use crate::marks::Marks;
use crate::record::{RECORD_LEN, Record};

const OTHER: Partition = Partition::Other;
const _: () = assert!(
    RECORD_LEN.is_multiple_of(UNIT as usize) && HASH_LEN.is_multiple_of(UNIT as usize),
    "the hash is a whole number of write units"
);

impl<S: NorFlash, O: MultiwriteNorFlash, const BUFFER: usize> Partitions<S, O, BUFFER> {
    /// Finds out how much of the file with this length and hash is in the other slot, and walks through that.
    ///
    /// Nothing is, if what is there is no image that may follow `own`, which runs: then it has been overwritten since.
    pub(super) async fn find_marks(
        &mut self,
        len: u32,
        hash: &Hash,
        own: &Identity,
        walk: &mut Walk,
    ) -> Result<Option<Marks>, Stop> {
        let room = self.room(OTHER);
        let start = room.saturating_add(RECORD_LEN as u32);
        let beside = SECTOR.saturating_sub(RECORD_LEN as u32);
        let Some(mut marks) = Marks::new(start, beside, UNIT, SECTOR, len) else {
            return Ok(None);
        };
        // What was received as a whole may have decayed since, and would be refused again.
        self.io(OTHER, Io::Read, room, RECORD_LEN as u32).await?;
        let mut record = Record::NONE;
        let bytes = self.buffer.0.first_chunk();
        if bytes.is_some_and(|bytes| record.read(bytes, room))
            && self.hash(OTHER, record.image_len).await? != record.image
        {
            return Ok(Some(marks));
        }
        let mut part = 0;
        while let Some((offset, len)) = marks.part(part) {
            self.io(OTHER, Io::Read, offset, len).await?;
            let bytes = self.buffer.0.get(..len as usize).unwrap_or_default();
            if !marks.take(part, bytes, hash) {
                return Ok(Some(marks));
            }
            part += 1;
        }
        self.io(OTHER, Io::Read, 0, START_LEN as u32).await?;
        let mut is_image = self.identity().is_ok_and(|new| own.accepts(&new).is_ok());
        let in_flash = marks.in_flash().unwrap_or_default();
        let mut at = 0;
        while is_image && at < in_flash {
            let words = self.piece(at, in_flash).await?.as_chunks().0;
            is_image = words.iter().all(|word| walk.word(*word).is_ok());
            at = at.saturating_add(BUFFER as u32);
        }
        if !is_image {
            marks.none_found();
            *walk = Walk::new();
        }
        Ok(Some(marks))
    }

    /// Brings in so many bytes of the file, from the other slot.
    pub(super) async fn go_on(
        &mut self,
        in_flash: u32,
        file: &mut File<'_, '_>,
        hash: &mut Hasher,
    ) -> Result<(), Stop> {
        let mut at = 0;
        while at < in_flash {
            let bytes = self.piece(at, in_flash).await?;
            file.have(bytes);
            hash.update(bytes);
            at = at.saturating_add(BUFFER as u32);
        }
        Ok(())
    }

    /// A buffer full of the other slot, from here on, but nothing behind `end`.
    async fn piece(&mut self, at: u32, end: u32) -> Result<&[u8], Stop> {
        let len = end.saturating_sub(at).min(BUFFER as u32);
        self.io(OTHER, Io::Read, at, len).await?;
        Ok(self.buffer.0.get(..len as usize).unwrap_or_default())
    }

    /// Marks what has been written, up to this offset in the other slot. Leaves the buffer alone: it holds what is to be written.
    pub(super) async fn write_marks(&mut self, marks: &mut Marks, written: u32, hash: &Hash) -> Result<(), Stop> {
        let aligned = Buffer(*hash);
        while let Some((offset, len)) = marks.due(written) {
            let bytes = aligned.0.get(..len as usize).unwrap_or_default();
            let flash = match self.running.other() {
                Slot::Ota0 => &mut self.ota_0,
                Slot::Ota1 => &mut self.ota_1,
            };
            let done = flash.write(offset, bytes).await;
            done.map_err(|error| Stop::flash(OTHER, &error))?;
        }
        Ok(())
    }
}
