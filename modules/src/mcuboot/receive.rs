//! The download: one file into slot 1. Depends on the flash and all below it.

use embedded_storage_async::nor_flash::NorFlash;
#[cfg(feature = "resume")]
use mender::update_module::PayloadError;
use mender::update_module::{FlashWriteError, FlashWriter, Payload};

use super::decide::Op;
use super::error::{Fault, Numbers, Stop};
use super::flash::Slots;
use super::image::{HEADER_LEN, Header};
use super::mode::Mode;
use super::mode::sealed::Kind;
use super::slot::Slot;
use super::version::Version;
use crate::content::{Bytes, Content};
#[cfg(feature = "resume")]
use crate::marks::Marks;

/// What a download refuses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) refuse_downgrades: bool,
    pub(super) refuse_same_image: bool,
    pub(super) compare_builds: bool,
    pub(super) address: Option<u32>,
}

const _: () = assert!(HEADER_LEN == FlashWriter::HELD_LEN, "the header is what is held back");

impl<P: NorFlash, S: NorFlash, const BUFFER: usize, M: Mode> Slots<P, S, BUFFER, M> {
    /// Writes the payload's only file to slot 1, verifies it, and marks it as received.
    pub(super) async fn receive<C: Content>(
        &mut self,
        payload: &mut Payload<'_>,
        options: &Options,
        content: &mut C,
    ) -> Result<(), Stop> {
        content.begin(&payload.artifact())?;
        let mut last = None;
        while let Some(mut file) = payload.next_file().await? {
            if last.is_some() {
                return Err(Stop::SecondFile);
            }
            self.try_perform(Op::MayReceive).await?;
            let room = self.geometry.room;
            let len = content.image_len(file.len());
            let (file_len, more) = (len as u32, (len >> 32) as u32);
            if more > 0 || file_len > room {
                return Err(Stop::Image(self.numbers.too_large((file_len, more), room)));
            }
            if let Some(len) = content.old_len(self.geometry.primary_len)? {
                content.check_old(&self.hash(Slot::Primary, 0, len).await?)?;
            }

            // Chunks may be of any length, so the header may come in pieces. Nothing is erased before it has been checked.
            let mut writer = self.writer(0);
            let (mut checked, mut started) = (false, false);
            // As long as the file is what slot 0 holds nothing needs to be written: slot 0 is the copy. `equal` bytes are the same;
            // once they are not all, they are copied from there up to this length. The header is held back.
            let mut same = options.refuse_same_image;
            let (mut equal, mut copied) = (HEADER_LEN as u32, HEADER_LEN as u32);
            #[cfg(feature = "resume")]
            let mut marks = match file.sha256() {
                // A patch begins anew: where it is in the image only its decoder knows.
                Some(hash) if !content.is_made() => self.find(file_len, hash).await?,
                Some(_) | None => None,
            };
            #[cfg(feature = "resume")]
            if let Some(in_flash) = marks.as_ref().and_then(Marks::in_flash) {
                self.go_on(in_flash, &mut file, &mut writer, options).await?;
                (checked, same) = (true, false);
            }
            loop {
                #[cfg(feature = "resume")]
                if let (Some(marks), Some(hash), true) = (&mut marks, file.sha256(), started) {
                    self.mark(marks, writer.written(), hash).await?;
                }
                let chunk = file.next_chunk().await;
                #[cfg(feature = "resume")]
                if let (Err(PayloadError::Artifact), Some(_), true) = (&chunk, &marks, started) {
                    // What is in slot 1 is not the file.
                    self.forget(file_len).await?;
                }
                let chunk = chunk?;
                let is_last = chunk.is_none();
                let mut input = match chunk {
                    Some(bytes) => bytes,
                    None => {
                        content.finish()?;
                        if !checked {
                            return Err(Stop::Image(Fault::NotAnImage));
                        }
                        writer.filling()
                    }
                };
                while let Some(bytes) = content.next(&mut input)? {
                    #[cfg_attr(
                        not(feature = "delta"),
                        expect(clippy::infallible_destructuring_match, reason = "patches are the other case")
                    )]
                    let mut data = match bytes {
                        Bytes::Given(data) => data,
                        #[cfg(feature = "delta")]
                        Bytes::Made(len, from) => {
                            let made = content.made(len);
                            if let Some(from) = from {
                                self.add_running(from, made).await?;
                            }
                            made
                        }
                    };
                    if !checked {
                        data = writer.hold(data);
                        let Some(header) = writer.held() else { continue };
                        self.read(Slot::Primary, 0, HEADER_LEN as u32).await?;
                        same &= self.check_header(header, file_len, options)?;
                        checked = true;
                    }
                    loop {
                        if !same && !started {
                            self.try_perform(Op::Prepare(file_len)).await?;
                            started = true;
                        }
                        let (offset, len) = if same {
                            (equal, data.len() as u32)
                        } else {
                            (copied, equal.saturating_sub(copied))
                        };
                        let mut piece = data;
                        let mut read_len = 0;
                        if len > 0 {
                            read_len = self.read(Slot::Primary, offset, len).await?.len();
                            piece = Self::read_at(&self.buffer, offset, read_len);
                        }
                        if !same {
                            let written = writer.write(&mut self.secondary, piece).await;
                            self.is_written(written)?;
                            copied = copied.saturating_add(read_len as u32);
                        } else if let Some(later) = data.strip_prefix(piece) {
                            data = later;
                            equal = equal.saturating_add(read_len as u32);
                        } else {
                            same = false;
                            continue;
                        }
                        if len == 0 {
                            break;
                        }
                    }
                }
                if is_last {
                    break;
                }
            }
            let (op, slot, start) = if same {
                (Op::Same(file_len), Slot::Primary, 0)
            } else {
                (Op::Received(file_len), Slot::Secondary, self.geometry.image_offset)
            };
            if content.is_made() {
                content.check_new(&self.hash(slot, start, file_len).await?)?;
            }
            last = Some(op);
        }
        self.try_perform(last.ok_or(Stop::NoFile)?).await
    }

    /// Refuses an image by its header, and gives whether slot 0, whose header is in the buffer, has the same.
    pub(super) fn check_header(&mut self, header: &[u8], file_len: u32, options: &Options) -> Result<bool, Stop> {
        let parts = Header::check(header, self.geometry.room, &mut self.numbers).map_err(Stop::Image)?;
        parts
            .check_address(options.address, &mut self.numbers)
            .map_err(Stop::Image)?;
        if parts.least_len() > file_len {
            return Err(Stop::Image(Fault::Truncated));
        }
        // Without a header that can be read there is nothing to compare with.
        if let Ok(running) = Header::check(&self.buffer, self.geometry.primary_len, &mut { Numbers::NONE }) {
            let (running, offered) = (running.version, parts.version);
            self.numbers.versions(running, offered);
            check_version(M::KIND, running, offered, options)?;
        }
        Ok(self.buffer.starts_with(header))
    }

    /// Writes the image, from this byte on.
    pub(super) fn writer(&self, from: u32) -> FlashWriter {
        let start = self.geometry.image_offset;
        // The last unit may stick out by its filling.
        let end = start.saturating_add(self.geometry.room.next_multiple_of(S::WRITE_SIZE as u32));
        let last = self.geometry.last_sector(Slot::Secondary);
        FlashWriter::new::<S>(start.saturating_add(from)..end)
            .with_sectors(self.geometry.sector_len)
            .erased_from(last)
    }

    fn is_written(&mut self, written: Result<(), FlashWriteError<S::Error>>) -> Result<(), Stop> {
        match written {
            Ok(()) => Ok(()),
            Err(FlashWriteError::Flash(error)) => Err(self.numbers.flash(Slot::Secondary, &error)),
            // More came than was announced. The first error ends the download.
            Err(FlashWriteError::TooLong | FlashWriteError::Unfinished) => {
                let room = self.geometry.room;
                Err(Stop::Image(self.numbers.too_large((room.saturating_add(1), 0), room)))
            }
        }
    }
}

/// Refuses versions as the mode and the module's options demand.
fn check_version(kind: Kind, running: Version, offered: Version, options: &Options) -> Result<(), Stop> {
    let builds = options.compare_builds;
    if kind == Kind::Xip && offered.compared(builds) <= running.compared(builds) {
        return Err(Stop::NotNewer);
    }
    if options.refuse_downgrades && offered < running {
        return Err(Stop::Downgrade);
    }
    Ok(())
}
