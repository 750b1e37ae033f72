//! A download after a restart: how far the one before has come, by its marks. Depends on the download and all below it.

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::{File, FlashWriter};

use super::change::NOTE_LEN;
use super::error::{Numbers, Stop};
use super::flash::{Io, Slots};
use super::image::{Examiner, HEADER_LEN, Header};
use super::mode::Mode;
use super::receive::Options;
use super::slot::Slot;
use super::trailer::{MAX_ALIGN, Magic, blank, put};
use crate::hasher::{HASH_LEN, Hash};
use crate::marks::Marks;

/// Where the marks begin in their sector.
const BEHIND_NOTE: u32 = NOTE_LEN.next_multiple_of(MAX_ALIGN as u32);
const _: () = assert!(
    HASH_LEN.is_multiple_of(MAX_ALIGN),
    "the hash is a whole number of write units"
);

impl<P: NorFlash, S: NorFlash, const BUFFER: usize, M: Mode> Slots<P, S, BUFFER, M> {
    /// Finds out how much of the file with this length and hash is in slot 1 for certain. `None`: there can be no marks.
    pub(super) async fn find(&mut self, file_len: u32, hash: &Hash) -> Result<Option<Marks>, Stop> {
        let (start, room) = (self.geometry.image_offset, self.geometry.room);
        let sector_len = self.geometry.sector_len;
        // They share the sector with the note.
        let Some(sector) = self.geometry.below_trailer(file_len) else {
            return Ok(None);
        };
        let (marks, beside) = (
            sector.saturating_add(BEHIND_NOTE),
            sector_len.saturating_sub(BEHIND_NOTE),
        );
        let Some(mut marks) = Marks::new(marks, beside, S::WRITE_SIZE as u32, sector_len, file_len) else {
            return Ok(None);
        };
        let cells = self.cells(Slot::Secondary).await?;
        let mut may_be = cells.magic() == Magic::Unset && cells.flags_are_blank();
        let mut step = 0_u32;
        while may_be {
            let part = step.saturating_sub(2);
            let (offset, len) = match step {
                0 => (start, HEADER_LEN as u32),
                1 => (sector, HEADER_LEN as u32),
                _ => match marks.part(part) {
                    Some(range) => range,
                    None => break,
                },
            };
            let bytes = self.read(Slot::Secondary, offset, len).await?;
            may_be = match step {
                // Withdrawn, or refused by the bootloader: it goes first.
                0 => Header::check(bytes, room, &mut { Numbers::NONE }).is_ok(),
                // The note follows the mark of what was received. Without that there was a swap since.
                1 => !cells.is_blank() || blank(bytes),
                _ => marks.take(part, bytes, hash),
            };
            step += 1;
        }
        // What was received as a whole may have been withdrawn since, by an erase that was cut.
        if may_be && !cells.is_blank() {
            let mut examiner = Examiner::new(room, true);
            may_be = self.examine(Slot::Secondary, start, &mut examiner).await?.is_ok();
        }
        if !may_be {
            marks.none_found();
        }
        Ok(Some(marks))
    }

    /// Brings in so many bytes of the file, from slot 1, if its header is still one to be taken. What follows is written behind them; what
    /// was written around the image may have been torn, so before that all is erased that is erased in the beginning.
    pub(super) async fn go_on(
        &mut self,
        in_flash: u32,
        file: &mut File<'_, '_>,
        writer: &mut FlashWriter,
        options: &Options,
    ) -> Result<(), Stop> {
        let start = self.geometry.image_offset;
        writer.hold(self.read(Slot::Secondary, start, HEADER_LEN as u32).await?);
        if let Some(header) = writer.held() {
            self.read(Slot::Primary, 0, HEADER_LEN as u32).await?;
            // It was found to be short enough for its file before it was written.
            self.check_header(header, u32::MAX, options)?;
        }
        let mut at = 0;
        while at < in_flash {
            let bytes = self
                .read(Slot::Secondary, start.saturating_add(at), in_flash - at)
                .await?;
            file.have(bytes);
            at = at.saturating_add(bytes.len() as u32);
        }
        *writer = self.writer(in_flash);
        Ok(())
    }

    /// Marks what has been written, up to this offset in slot 1.
    pub(super) async fn mark(&mut self, marks: &mut Marks, written: u32, hash: &Hash) -> Result<(), Stop> {
        let written = written.saturating_sub(self.geometry.image_offset);
        while let Some((offset, len)) = marks.due(written) {
            put(hash, 0, len, &mut self.buffer);
            self.io(Slot::Secondary, Io::Write, offset, offset.saturating_add(len))
                .await?;
        }
        Ok(())
    }

    /// Makes the marks none.
    pub(super) async fn forget(&mut self, file_len: u32) -> Result<(), Stop> {
        let Some(sector) = self.geometry.below_trailer(file_len) else {
            return Ok(());
        };
        let end = sector.saturating_add(self.geometry.sector_len);
        self.erase(Slot::Secondary, sector, end).await
    }
}
