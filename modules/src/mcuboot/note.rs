//! The note: the new image's hash in a sector of slot 1 that no swap touches, so that it can be told later which of the two
//! images runs, whatever became of the trailers.

use embedded_storage_async::nor_flash::NorFlash;

use super::image::{self, HASH_LEN, Hash, Image, VerifyError};
use super::layout::MAX_ALIGN;
use super::mode::Mode;
use super::trailer::ERASED;
use super::{Error, Failed, Restart, ZephyrImage, flash};

const TAG: [u8; 16] = *b"mender new image";
const LEN: usize = TAG.len() + HASH_LEN as usize;
const MAX_LEN: usize = LEN.next_multiple_of(MAX_ALIGN);

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize, M: Mode> ZephyrImage<P, S, R, BUFFER, M> {
    /// Erases the note of an earlier update, unless an image of this length will be written over it.
    pub(super) async fn erase_note(&mut self, file_len: u32) -> Result<(), Failed<P, S>> {
        match self.layout.note_offset() {
            Some(offset) if self.layout.image_end(file_len) <= offset => self
                .secondary
                .erase(offset, offset.saturating_add(self.layout.sector_len))
                .await
                .map_err(Error::SecondaryFlash),
            Some(_) | None => Ok(()),
        }
    }

    /// Notes the hash of the image that was received in a file of this length. There is no note if the file or the old image
    /// reaches into its sector, or if both images are the same.
    pub(super) async fn write_note(&mut self, new: &Image, file_len: u32) -> Result<(), Failed<P, S>> {
        let (Some(offset), Some((old_hash, old_len))) = (self.layout.note_offset(), self.stated_primary().await?)
        else {
            return Ok(());
        };
        let used = self.layout.image_end(file_len).max(self.layout.image_end(old_len));
        if used > offset || old_hash == new.hash {
            return Ok(());
        }
        let mut bytes = [ERASED; MAX_LEN];
        for (to, from) in bytes.iter_mut().zip(TAG.iter().chain(&new.hash)) {
            *to = *from;
        }
        let len = LEN.next_multiple_of(S::WRITE_SIZE);
        let bytes = bytes.get(..len).unwrap_or(&bytes);
        self.secondary
            .write(offset, bytes)
            .await
            .map_err(Error::SecondaryFlash)?;
        match self.read_note(offset).await? {
            Some(hash) if hash == new.hash => Ok(()),
            Some(_) | None => Err(Error::NotKept { slot: 1 }),
        }
    }

    /// Whether slot 0 holds the image of the note, if there is a note.
    pub(super) async fn note_is_of_primary(&mut self) -> Result<Option<bool>, Failed<P, S>> {
        let Some(offset) = self.layout.note_offset() else {
            return Ok(None);
        };
        let Some(noted) = self.read_note(offset).await? else {
            return Ok(None);
        };
        // The image runs, so what it states is true.
        let own = self.stated_primary().await?;
        Ok(own.map(|(hash, _)| hash == noted))
    }

    async fn read_note(&mut self, offset: u32) -> Result<Option<Hash>, Failed<P, S>> {
        let mut tag = TAG;
        let mut hash = Hash::default();
        flash::read(&mut self.secondary, offset, &mut tag)
            .await
            .map_err(Error::SecondaryFlash)?;
        flash::read(&mut self.secondary, offset.saturating_add(TAG.len() as u32), &mut hash)
            .await
            .map_err(Error::SecondaryFlash)?;
        Ok((tag == TAG).then_some(hash))
    }

    /// Hash and length of slot 0's image, as it states them.
    pub(super) async fn stated_primary(&mut self) -> Result<Option<(Hash, u32)>, Failed<P, S>> {
        match image::stated(&mut self.primary, self.layout.primary_len).await {
            Ok(stated) => Ok(Some(stated)),
            Err(VerifyError::Fault(_)) => Ok(None),
            Err(VerifyError::Flash(error)) => Err(Error::PrimaryFlash(error)),
        }
    }
}
