//! The download: one file into slot 1.

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::File;

use super::flash::{Target, WriteError, Writer};
use super::image::{HEADER_LEN, Header};
use super::mode::Mode;
use super::{Error, Failed, ImageFault, Restart, ZephyrImage, flash};

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize, M: Mode> ZephyrImage<P, S, R, BUFFER, M> {
    /// Writes one file to slot 1 and gives its length. Nothing is erased before its header has been checked.
    pub(super) async fn write_file(&mut self, file: &mut File<'_, '_>) -> Result<u32, Failed<P, S>> {
        let room = self.layout.max_image_len();
        let file_len = match u32::try_from(file.len()) {
            Ok(len) if len <= room => len,
            Ok(_) | Err(_) => return Err(Error::Image(ImageFault::TooLarge { len: file.len(), room })),
        };

        // Chunks may be of any length, so the header may come in pieces.
        let mut header = [0; HEADER_LEN];
        let mut have = 0;
        let mut data = loop {
            let Some(chunk) = file.next_chunk().await? else {
                return Err(Error::Image(ImageFault::NotAnImage));
            };
            let (now, later) = chunk.split_at(chunk.len().min(HEADER_LEN - have));
            for (to, from) in header.iter_mut().skip(have).zip(now) {
                *to = *from;
            }
            have += now.len();
            if have == HEADER_LEN {
                break later;
            }
        };
        let parts = Header::check(&header, room).map_err(Error::Image)?;
        parts.check_address(self.options.address).map_err(Error::Image)?;
        if parts.least_len() > file_len {
            return Err(Error::Image(ImageFault::Truncated));
        }
        self.refuse_version(parts.version).await?;

        // As long as the file is what slot 0 holds nothing needs to be written: slot 0 is the copy.
        let mut equal_len = HEADER_LEN as u32;
        if self.options.refuse_same_image && self.matches_primary(0, &header).await? {
            while self.matches_primary(equal_len, data).await? {
                equal_len = equal_len.saturating_add(data.len() as u32);
                match file.next_chunk().await? {
                    Some(chunk) => data = chunk,
                    None => {
                        return Err(match self.verify_primary(file_len).await? {
                            Ok(_) => Error::SameImage,
                            Err(fault) => Error::Image(fault),
                        });
                    }
                }
            }
        }

        self.confirm_before_overwriting().await?;
        // First of all a request that may still be there: it must not meet another image.
        let last = self.layout.secondary_last_sector();
        self.secondary
            .erase(last, self.layout.secondary_len)
            .await
            .map_err(Error::SecondaryFlash)?;
        let start = self.layout.image_offset();
        if start > 0 {
            // A header there would be taken for an image in the wrong place.
            self.secondary.erase(0, start).await.map_err(Error::SecondaryFlash)?;
        }
        self.erase_note(file_len).await?;
        let target = Target {
            start,
            room,
            sector_len: self.layout.sector_len,
            erased_sector: last,
        };
        let mut writer = Writer::new(&mut self.secondary, target);
        writer.push(&header).await.map_err(write_failed)?;
        let mut offset = HEADER_LEN as u32;
        while offset < equal_len {
            let len = BUFFER.min((equal_len - offset) as usize);
            let Some(piece) = self.buffer.get_mut(..len) else { break };
            flash::read(&mut self.primary, offset, piece)
                .await
                .map_err(Error::PrimaryFlash)?;
            writer.push(piece).await.map_err(write_failed)?;
            offset = offset.saturating_add(len as u32);
        }
        writer.push(data).await.map_err(write_failed)?;
        while let Some(chunk) = file.next_chunk().await? {
            writer.push(chunk).await.map_err(write_failed)?;
        }
        writer.flush().await.map_err(write_failed)?;
        Ok(file_len)
    }
}

fn write_failed<P, S>(error: WriteError<S>) -> Error<P, S> {
    match error {
        WriteError::Flash(error) => Error::SecondaryFlash(error),
        WriteError::TooLarge(fault) => Error::Image(fault),
    }
}
