//! The download: one file into slot 1. Depends on the flash and all below it.

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::Payload;

use super::change::Change;
use super::decide::{Fingerprint, Found, Step, confirm, may_go_back};
use super::error::{Fault, Numbers, Stop};
use super::flash::Slots;
use super::image::{Examiner, HEADER_LEN, Hash, Header};
use super::mode::Mode;
use super::mode::sealed::Kind;
use super::slot::Slot;
use super::trailer::{ERASED, Magic, TEST};
use super::version::Version;
use crate::writer::{Block, MAX_UNIT, WriteError, Writer};

/// What a download refuses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) refuse_downgrades: bool,
    pub(super) refuse_same_image: bool,
    pub(super) compare_builds: bool,
    pub(super) address: Option<u32>,
}

const _: () = assert!(HEADER_LEN == MAX_UNIT, "a header is a whole number of write units");

impl<P: NorFlash, S: NorFlash, const BUFFER: usize, M: Mode> Slots<P, S, BUFFER, M> {
    /// Writes the payload's only file to slot 1, verifies it, and marks it as received.
    pub(super) async fn receive(
        &mut self,
        payload: &mut Payload<'_>,
        options: &Options,
    ) -> Result<Fingerprint, Stop> {
        let room = self.geometry.room;
        let Some(mut file) = payload.next_file().await? else {
            return Err(Stop::NoFile);
        };
        self.refuse_while_under_test().await?;
        let file_len = match u32::try_from(file.len()) {
            Ok(len) if len <= room => len,
            Ok(_) | Err(_) => {
                let len = (file.len() as u32, (file.len() >> 32) as u32);
                return Err(Stop::Image(self.numbers.too_large(len, room)));
            }
        };

        // Chunks may be of any length, so the header may come in pieces. Nothing is erased before it has been checked.
        let mut header = Block::new(HEADER_LEN);
        let mut writer = None;
        // As long as the file is what slot 0 holds nothing needs to be written: slot 0 is the copy.
        let mut equal = options.refuse_same_image;
        let mut equal_len = 0;
        while let Some(chunk) = file.next_chunk().await? {
            let mut data = chunk;
            let writer = match &mut writer {
                Some(writer) => writer,
                None => {
                    if !header.is_full() {
                        data = header.fill(data);
                        if !header.is_full() {
                            continue;
                        }
                        let parts = Header::check(header.bytes(), room, &mut self.numbers).map_err(Stop::Image)?;
                        parts
                            .check_address(options.address, &mut self.numbers)
                            .map_err(Stop::Image)?;
                        if parts.least_len() > file_len {
                            return Err(Stop::Image(Fault::Truncated));
                        }
                        self.refuse_version(parts.version, options).await?;
                        if equal {
                            equal = self.matches(Slot::Primary, 0, header.bytes()).await?;
                            equal_len = HEADER_LEN as u32;
                        }
                    }
                    if equal {
                        equal = self.matches(Slot::Primary, equal_len, data).await?;
                        if equal {
                            equal_len = equal_len.saturating_add(data.len() as u32);
                            continue;
                        }
                    }
                    self.prepare(file_len).await?;
                    let new = writer.insert(self.writer(header));
                    let mut offset = HEADER_LEN as u32;
                    while offset < equal_len {
                        self.read(Slot::Primary, offset, equal_len - offset).await?;
                        // As `read` cuts it: whole blocks.
                        let len = (equal_len - offset).min(BUFFER as u32);
                        let piece = self.buffer.get(..len as usize).unwrap_or_default();
                        let written = new.push(&mut self.secondary, piece).await;
                        self.is_written(written)?;
                        offset = offset.saturating_add(len);
                    }
                    new
                }
            };
            let written = writer.push(&mut self.secondary, data).await;
            self.is_written(written)?;
        }
        let start = self.geometry.image_offset(M::KIND);
        let mut examiner = Examiner::new(file_len, true);
        match &mut writer {
            Some(writer) => {
                let written = writer.finish(&mut self.secondary).await;
                self.is_written(written)?;
            }
            None if header.is_full() => {
                let checked = self.examine(Slot::Primary, 0, &mut examiner).await?;
                return Err(checked.map_or_else(Stop::Image, |()| Stop::SameImage));
            }
            None => return Err(Stop::Image(Fault::NotAnImage)),
        }
        if payload.next_file().await?.is_some() {
            return Err(Stop::SecondFile);
        }
        self.examine(Slot::Secondary, start, &mut examiner)
            .await?
            .map_err(Stop::Image)?;
        self.note(&examiner.image.hash, file_len).await?;
        if M::KIND != Kind::Xip {
            self.change(Change::write(Slot::Secondary, [TEST, ERASED, ERASED])).await?;
        }
        Ok(Found::of(&examiner.image).fingerprint)
    }

    /// Refuses to overwrite the only image that the bootloader can go back to.
    pub(super) async fn refuse_while_under_test(&mut self) -> Result<(), Stop> {
        let cells = self.cells(Slot::Primary).await?;
        if cells.magic == Magic::Good && cells.zeroed {
            // What the flags say is unknown, then.
            Err(Stop::ErasesToZero(Slot::Primary))
        } else if may_go_back(M::KIND, &cells) {
            Err(Stop::RunningUnconfirmed)
        } else {
            Ok(())
        }
    }

    /// Refuses versions as the mode and the module's options demand.
    async fn refuse_version(&mut self, offered: Version, options: &Options) -> Result<(), Stop> {
        if M::KIND != Kind::Xip && !options.refuse_downgrades {
            return Ok(());
        }
        let primary_len = self.geometry.primary_len;
        let header = self.read(Slot::Primary, 0, HEADER_LEN as u32).await?;
        // Without a header that can be read there is nothing to compare with.
        let Ok(Header { version: running, .. }) = Header::check(header, primary_len, &mut Numbers::default()) else {
            return Ok(());
        };
        let builds = options.compare_builds;
        if M::KIND == Kind::Xip && offered.compared(builds) <= running.compared(builds) {
            self.numbers.versions(running, offered);
            return Err(Stop::NotNewer);
        }
        if options.refuse_downgrades && offered < running {
            self.numbers.versions(running, offered);
            return Err(Stop::Downgrade);
        }
        Ok(())
    }

    /// Erases all of slot 1 that is not erased as the image comes.
    async fn prepare(&mut self, file_len: u32) -> Result<(), Stop> {
        self.confirm_before_overwriting().await?;
        // First of all a request that may still be there: it must not meet another image.
        self.change(Change::erase(Slot::Secondary)).await?;
        let start = self.geometry.image_offset(M::KIND);
        if start > 0 {
            // A header there would be taken for an image in the wrong place.
            self.erase(Slot::Secondary, 0, start).await?;
        }
        // The note of an earlier update, unless the image will be written over it.
        match self.geometry.note(M::KIND, file_len) {
            Some(note) => {
                let end = note.saturating_add(self.geometry.sector_len);
                self.erase(Slot::Secondary, note, end).await
            }
            None => Ok(()),
        }
    }

    /// Overwrite-only: after the update an unconfirmed image in slot 0 is the new one, so the old one must not be.
    pub(super) async fn confirm_before_overwriting(&mut self) -> Result<(), Stop> {
        if M::KIND != Kind::Overwrite {
            return Ok(());
        }
        match confirm(M::KIND, &self.cells(Slot::Primary).await?) {
            Step::Change(change, _) => self.change(change).await.map(drop),
            // One that cannot be confirmed does not look like one that was just installed either.
            Step::Done | Step::Refuse(_) => Ok(()),
        }
    }

    /// Notes the hash of the image that was received in a file of this length. There is no note if the file or the old image
    /// reaches into its sector, or if both images are the same.
    async fn note(&mut self, new: &Hash, file_len: u32) -> Result<(), Stop> {
        let Some(offset) = self.geometry.note(M::KIND, file_len) else {
            return Ok(());
        };
        let mut old = Examiner::new(self.geometry.primary_len, false);
        let checked = self.examine(Slot::Primary, 0, &mut old).await?;
        let is_free = self.geometry.note(M::KIND, old.image.len).is_some();
        if checked.is_ok() && old.image.hash != *new && is_free {
            self.write_note(offset, new).await
        } else {
            Ok(())
        }
    }

    /// Writes the image, of which this is the header.
    fn writer(&self, header: Block) -> Writer {
        let start = self.geometry.image_offset(M::KIND);
        // The last unit may stick out by its filling.
        let end = start.saturating_add(self.geometry.room.next_multiple_of(S::WRITE_SIZE as u32));
        let last = self.geometry.last_sector(Slot::Secondary);
        Writer::new(start, end, self.geometry.sector_len, last, header)
    }

    fn is_written(&mut self, written: Result<(), WriteError<S::Error>>) -> Result<(), Stop> {
        match written {
            Ok(()) => Ok(()),
            Err(WriteError::Flash(error)) => Err(self.secondary_failed(error)),
            // More came than was announced.
            Err(WriteError::TooLong) => {
                let room = self.geometry.room;
                Err(Stop::Image(self.numbers.too_large((room.saturating_add(1), 0), room)))
            }
        }
    }
}
