//! A download after a restart: how far the one before has come, by its marks. They share the sector of the record. Depends on the download
//! and all below it.

use ::embassy_boot::AlignedBuffer;
use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::File;

use super::error::{Partition, Stop};
use super::flash::{Io, Partitions};
use super::layout::ALIGN;
use crate::hasher::{HASH_LEN, Hash, Hasher};
use crate::marks::Marks;
use crate::record::{RECORD_LEN, Record};

const DFU: Partition = Partition::Dfu;
const _: () = assert!(HASH_LEN == ALIGN, "the hash is a whole number of write units");

impl<A: NorFlash, D: NorFlash, S: NorFlash, const BUFFER: usize> Partitions<A, D, S, BUFFER> {
    /// Finds out how much of the file with this length and hash is in DFU. `None`: there can be no marks, as the file needs their place.
    pub(super) async fn find(&mut self, len: u32, hash: &Hash) -> Result<Option<Marks>, Stop> {
        let (start, unit) = (self.erased_before(), D::READ_SIZE.max(D::WRITE_SIZE) as u32);
        let room = self.layout.record_offset().saturating_sub(start);
        if len > start {
            return Ok(None);
        }
        let Some(mut marks) = Marks::new(start, room, unit, D::ERASE_SIZE as u32, len) else {
            return Ok(None);
        };
        // What was received as a whole may have decayed since, and would be refused again.
        let mut record = Record::NONE;
        let is_whole = {
            let mut bytes = [0; RECORD_LEN];
            self.record(DFU, &mut bytes).await?;
            record.read(&bytes, self.layout.record_offset())
        };
        if is_whole && self.hash(DFU, 0, record.image_len).await? != record.image {
            return Ok(Some(marks));
        }
        let mut part = 0;
        while let Some((offset, len)) = marks.part(part) {
            self.io(DFU, Io::Read, offset, offset.saturating_add(len)).await?;
            let bytes = self.buffer.0.get(..len as usize).unwrap_or_default();
            if !marks.take(part, bytes, hash) {
                break;
            }
            part += 1;
        }
        Ok(Some(marks))
    }

    /// Brings in so many bytes of the file, from DFU.
    pub(super) async fn go_on(
        &mut self,
        in_flash: u32,
        file: &mut File<'_, '_>,
        hash: &mut Hasher,
    ) -> Result<(), Stop> {
        let mut at = 0_u32;
        while at < in_flash {
            let end = in_flash.min(at.saturating_add(BUFFER as u32));
            self.io(DFU, Io::Read, at, end).await?;
            let bytes = self.buffer.0.get(..end.saturating_sub(at) as usize).unwrap_or_default();
            file.have(bytes);
            hash.update(bytes);
            at = end;
        }
        Ok(())
    }

    /// Marks what has been written, up to this offset in DFU. Leaves the buffer alone: it holds what is to be written.
    pub(super) async fn write_marks(&mut self, marks: &mut Marks, written: u32, hash: &Hash) -> Result<(), Stop> {
        let aligned = AlignedBuffer(*hash);
        while let Some((offset, len)) = marks.due(written) {
            let bytes = aligned.0.get(..len as usize).unwrap_or_default();
            let done = self.dfu.write(offset, bytes).await;
            done.map_err(|error| Stop::flash(DFU, &error))?;
        }
        Ok(())
    }
}
