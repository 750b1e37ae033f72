//! The download: one file into slot 1. Depends on the flash and all below it.

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::Payload;

use super::decide::Op;
use super::error::{Fault, Numbers, Stop};
use super::flash::Slots;
use super::image::{HEADER_LEN, Header};
use super::mode::Mode;
use super::mode::sealed::Kind;
use super::slot::Slot;
use super::version::Version;
use crate::writer::{MAX_UNIT, WriteError, Writer};

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
    pub(super) async fn receive(&mut self, payload: &mut Payload<'_>, options: &Options) -> Result<(), Stop> {
        let Some(mut file) = payload.next_file().await? else {
            return Err(Stop::NoFile);
        };
        self.try_perform(Op::MayReceive).await?;
        let room = self.geometry.room;
        let (file_len, more) = (file.len() as u32, (file.len() >> 32) as u32);
        if more > 0 || file_len > room {
            return Err(Stop::Image(self.numbers.too_large((file_len, more), room)));
        }

        // Chunks may be of any length, so the header may come in pieces. Nothing is erased before it has been checked.
        let mut writer = self.writer();
        let (mut checked, mut started) = (false, false);
        // As long as the file is what slot 0 holds nothing needs to be written: slot 0 is the copy.
        let mut equal_len = 0;
        loop {
            let chunk = file.next_chunk().await?;
            let is_last = chunk.is_none();
            let mut data = chunk.unwrap_or_default();
            if !started && !is_last {
                if !checked {
                    data = writer.hold(data);
                    let Some(header) = writer.held() else { continue };
                    self.check_header(header, file_len, options).await?;
                    checked = true;
                }
                if options.refuse_same_image && self.goes_on_equal(&writer, &mut equal_len, data).await? {
                    continue;
                }
                self.try_perform(Op::Prepare(file_len)).await?;
                self.copy(&mut writer, equal_len).await?;
                started = true;
            }
            if is_last {
                data = writer.filling();
            }
            if started {
                let written = writer.push(&mut self.secondary, data).await;
                self.is_written(written)?;
            }
            if is_last {
                break;
            }
        }
        if !checked {
            return Err(Stop::Image(Fault::NotAnImage));
        }
        let op = if started {
            Op::Received(file_len)
        } else {
            Op::Same(file_len)
        };
        if payload.next_file().await?.is_some() {
            return Err(Stop::SecondFile);
        }
        self.try_perform(op).await
    }

    /// Refuses an image by its header.
    async fn check_header(&mut self, header: &[u8], file_len: u32, options: &Options) -> Result<(), Stop> {
        let parts = Header::check(header, self.geometry.room, &mut self.numbers).map_err(Stop::Image)?;
        parts
            .check_address(options.address, &mut self.numbers)
            .map_err(Stop::Image)?;
        if parts.least_len() > file_len {
            return Err(Stop::Image(Fault::Truncated));
        }
        if M::KIND != Kind::Xip && !options.refuse_downgrades {
            return Ok(());
        }
        let primary_len = self.geometry.primary_len;
        let running = self.read(Slot::Primary, 0, HEADER_LEN as u32).await?;
        // Without a header that can be read there is nothing to compare with.
        let Ok(running) = Header::check(running, primary_len, &mut Numbers::default()) else {
            return Ok(());
        };
        let (running, offered) = (running.version, parts.version);
        self.numbers.versions(running, offered);
        check_version(M::KIND, running, offered, options)
    }

    /// Whether slot 0 goes on with this data; `equal_len` bytes did before. It begins with what the writer holds.
    async fn goes_on_equal(&mut self, writer: &Writer, equal_len: &mut u32, data: &[u8]) -> Result<bool, Stop> {
        let header = writer.held().unwrap_or_default();
        let mut part = if *equal_len == 0 { header } else { data };
        loop {
            if !self.matches(Slot::Primary, *equal_len, part).await? {
                return Ok(false);
            }
            let was_header = *equal_len == 0;
            *equal_len = equal_len.saturating_add(part.len() as u32);
            if !was_header {
                return Ok(true);
            }
            part = data;
        }
    }

    /// Copies from slot 0 what was not written because it is there: so many bytes, of which the header is one part.
    async fn copy(&mut self, writer: &mut Writer, equal_len: u32) -> Result<(), Stop> {
        let mut offset = HEADER_LEN as u32;
        while offset < equal_len {
            let len = self.read(Slot::Primary, offset, equal_len - offset).await?.len();
            // The offset is a multiple of each read unit, so the bytes are at the start of the buffer.
            let piece = self.buffer.get(..len).unwrap_or_default();
            let written = writer.push(&mut self.secondary, piece).await;
            self.is_written(written)?;
            offset = offset.saturating_add(len as u32);
        }
        Ok(())
    }

    /// Writes the image.
    fn writer(&self) -> Writer {
        let start = self.geometry.image_offset(M::KIND);
        // The last unit may stick out by its filling.
        let end = start.saturating_add(self.geometry.room.next_multiple_of(S::WRITE_SIZE as u32));
        let last = self.geometry.last_sector(Slot::Secondary);
        Writer::new(start, end, self.geometry.sector_len, last)
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
