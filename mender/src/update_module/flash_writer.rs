//! Writes a stream of bytes to flash as it comes, for modules of all kinds. Depends on `embedded-storage-async`, and on the failure
//! that its error becomes.

use core::fmt;
use core::ops::Range;

use embedded_storage_async::nor_flash::{NorFlash, NorFlashError};

use super::failure::Failure;
use crate::text::{Describe, Text};

/// The largest write unit.
const MAX_UNIT: usize = 32;
const ERASED: u8 = 0xff;

/// Writes a stream to flash as it comes, in chunks of any length: for a module's `download`. Erases each sector just before its first
/// byte is written, and no sector twice; writes whole write units, and holds back what is less.
///
/// ```
/// use mender::embedded_storage_async::nor_flash::NorFlash;
/// use mender::update_module;
/// use mender::update_module::{Failure, FlashWriter, Payload};
///
/// #[update_module(artifact_type = "table", on(download = receive))]
/// struct Table<F: NorFlash> {
///     flash: F,
/// }
///
/// impl<F: NorFlash> Table<F> {
///     async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
///         let mut file = payload.next_file().await?.ok_or(Failure::of("no file"))?;
///         let mut writer = FlashWriter::new::<F>(0..0x4000);
///         while let Some(chunk) = file.next_chunk().await? {
///             writer.write(&mut self.flash, chunk).await?;
///         }
///         writer.finish(&mut self.flash).await?;
///         Ok(())
///     }
/// }
/// ```
///
/// The flash is lent to each call, so that a module can look at another part of it in between. It must be the same one in all of them.
///
/// # What is in flash after a power cut
///
/// The front of the stream, up to some sector; in that one anything, torn words and a torn erase included; behind it what was there before.
/// Nothing says how far it came, and a torn word can read as a whole one. So a stream is begun again by a new writer, which erases all that
/// it writes anew. What says that the stream is complete is the module's matter: a word that is written after
/// [`finish`](FlashWriter::finish), and is erased before, or at the latest with, the first byte. With the range's start behind that word, in
/// the same sector, the writer itself does so: it erases whole sectors.
///
/// # Cancellation
///
/// A call that is dropped, or fails, leaves the same in flash. The writer cannot go on after it, as it has taken a part of the chunk: each
/// further call is refused with [`Unfinished`](FlashWriteError::Unfinished). Begin again with a new one.
#[derive(Clone, Debug)]
pub struct FlashWriter {
    /// All before is in flash. [`BROKEN`] while that is not known.
    written: u32,
    /// All before was erased; a multiple of the sector length.
    erased: u32,
    sector_len: u32,
    /// From here on all was erased beforehand.
    erased_from: u32,
    /// To here bytes may be written.
    end: u32,
    block: Block,
}

/// No offset: nothing fits behind it.
const BROKEN: u32 = u32::MAX;

/// Bytes that wait for more of them.
#[derive(Clone, Copy, Debug)]
struct Block {
    bytes: [u8; MAX_UNIT],
    len: u8,
    /// So many are wanted.
    full: u8,
}

impl Block {
    /// Waits for `full` bytes, at most [`MAX_UNIT`].
    const fn new(full: usize) -> Block {
        Block {
            bytes: [ERASED; MAX_UNIT],
            len: 0,
            full: full as u8,
        }
    }

    const fn missing(&self) -> usize {
        self.full.saturating_sub(self.len) as usize
    }

    /// Takes bytes until it is full, and gives those that it has not taken.
    fn fill<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        let (now, later) = data.split_at(self.missing().min(data.len()));
        for (to, from) in self.bytes.iter_mut().skip(usize::from(self.len)).zip(now) {
            *to = *from;
        }
        // At most 32.
        self.len += now.len() as u8;
        later
    }

    /// What is wanted, once it is full.
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.full)).unwrap_or(&self.bytes)
    }
}

/// Why a stream was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashWriteError<E> {
    /// The driver's error.
    Flash(E),
    /// More came than fits into the range. Nothing was erased or written beyond it.
    TooLong,
    /// An earlier call failed or was dropped: begin again with a new writer.
    Unfinished,
}

impl<E> FlashWriteError<E> {
    /// What it says beside the driver's error.
    const fn text(&self) -> &'static str {
        match self {
            FlashWriteError::Flash(_) => "the flash failed",
            FlashWriteError::TooLong => "more came than fits into the flash",
            FlashWriteError::Unfinished => "the writer of the flash has failed before",
        }
    }
}

impl<E: fmt::Debug> fmt::Display for FlashWriteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            FlashWriteError::Flash(error) => write!(f, ": {error:?}"),
            FlashWriteError::TooLong | FlashWriteError::Unfinished => Ok(()),
        }
    }
}

/// Without the driver's error, and without `core::fmt`.
impl<E> Describe for FlashWriteError<E> {
    fn describe(&self, out: &mut Text<'_>) {
        out.push(self.text());
    }
}

impl<E: fmt::Debug> core::error::Error for FlashWriteError<E> {}

/// So that `?` takes it, as it takes a driver's error.
impl<E: NorFlashError> From<FlashWriteError<E>> for Failure {
    fn from(error: FlashWriteError<E>) -> Failure {
        match error {
            FlashWriteError::Flash(error) => Failure::debug(error),
            FlashWriteError::TooLong | FlashWriteError::Unfinished => Failure::of(&error),
        }
    }
}

impl FlashWriter {
    /// So many bytes at the front of the stream are held back until all of them came, and can be looked at before anything is erased: see
    /// [`held`](FlashWriter::held).
    pub const HELD_LEN: usize = MAX_UNIT;

    /// Writes to this range of a flash of the type `F`, in offsets of the flash.
    ///
    /// It begins at a multiple of the write unit. If that is within a sector, all of this sector is erased. Where it ends matters for
    /// [`TooLong`](FlashWriteError::TooLong) only; the driver says what is beyond the end of the flash.
    ///
    /// Does not compile with a flash whose write unit is none of 1, 2, 4, 8, 16 and 32 bytes.
    pub const fn new<F: NorFlash>(range: Range<u32>) -> FlashWriter {
        const {
            assert!(
                F::WRITE_SIZE != 0 && MAX_UNIT.is_multiple_of(F::WRITE_SIZE),
                "the flash must have a write unit of 1, 2, 4, 8, 16 or 32 bytes"
            );
            assert!(
                F::ERASE_SIZE != 0 && F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE),
                "the flash must have an erase unit of whole write units"
            );
        }
        FlashWriter {
            written: range.start,
            erased: range.start - range.start % F::ERASE_SIZE as u32,
            sector_len: F::ERASE_SIZE as u32,
            erased_from: u32::MAX,
            end: if range.end < BROKEN { range.end } else { BROKEN - 1 },
            block: Block::new(MAX_UNIT),
        }
    }

    /// Erases so much at once in the place of the flash's erase unit: a multiple of it, as some flash erases larger blocks faster. The range
    /// begins at a multiple of it.
    #[must_use]
    pub const fn with_sectors(mut self, sector_len: u32) -> FlashWriter {
        self.sector_len = if sector_len == 0 { 1 } else { sector_len };
        self
    }

    /// Erases nothing from this offset on, a multiple of the sector length: it was erased beforehand.
    #[must_use]
    pub const fn erased_from(mut self, offset: u32) -> FlashWriter {
        self.erased_from = offset;
        self
    }

    /// Takes what is missing of the first [`HELD_LEN`](FlashWriter::HELD_LEN) bytes of the stream, erases and writes nothing, and gives what
    /// is behind them. To be called before the first [`write`](FlashWriter::write), if at all.
    ///
    /// ```
    /// # use mender::embedded_storage_async::nor_flash::NorFlash;
    /// # use mender::update_module::{Failure, File, FlashWriter};
    /// # async fn receive<F: NorFlash>(flash: &mut F, file: &mut File<'_, '_>) -> Result<(), Failure> {
    /// let mut writer = FlashWriter::new::<F>(0..0x4000);
    /// let mut checked = false;
    /// while let Some(mut chunk) = file.next_chunk().await? {
    ///     if !checked {
    ///         chunk = writer.hold(chunk);
    ///         let Some(header) = writer.held() else { continue };
    ///         if !header.starts_with(b"FONT") {
    ///             return Err(Failure::of("this is no font")); // and the old one is still there
    ///         }
    ///         checked = true;
    ///     }
    ///     writer.write(flash, chunk).await?;
    /// }
    /// if !checked {
    ///     return Err(Failure::of("this is shorter than any font"));
    /// }
    /// # Ok(writer.finish(flash).await?)
    /// # }
    /// ```
    pub fn hold<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        self.block.fill(data)
    }

    /// The first [`HELD_LEN`](FlashWriter::HELD_LEN) bytes of the stream, once all of them were taken and none was written.
    pub fn held(&self) -> Option<&[u8]> {
        (self.block.missing() == 0).then(|| self.block.bytes())
    }

    /// The offset in flash before which all is written; of use after a call that has succeeded only. For a module that goes on after a
    /// restart, with [`File::have`](super::File::have): it may count the whole sectors before this offset as written, once it has noted so
    /// in flash.
    pub const fn written(&self) -> u32 {
        self.written
    }

    /// Writes what comes next. What is less than a write unit, and at the start less than [`HELD_LEN`](FlashWriter::HELD_LEN), waits for more.
    ///
    /// Slices of `data` are given to the driver as they are, at whatever address.
    ///
    /// # Errors
    ///
    /// [`FlashWriteError`].
    pub async fn write<F: NorFlash>(&mut self, flash: &mut F, data: &[u8]) -> Result<(), FlashWriteError<F::Error>> {
        if self.written == BROKEN {
            return Err(FlashWriteError::Unfinished);
        }
        let mut data = data;
        loop {
            if self.block.len > 0 {
                data = self.block.fill(data);
            }
            let waiting = self.block.missing() == 0;
            let whole = data.len() / F::WRITE_SIZE * F::WRITE_SIZE;
            let (now, later) = data.split_at(whole);
            let run = if waiting {
                self.block.bytes()
            } else if self.block.len == 0 && !now.is_empty() {
                data = later;
                now
            } else {
                self.block.fill(data);
                return Ok(());
            };
            // Until the run is written, however this ends.
            let start = core::mem::replace(&mut self.written, BROKEN);
            let end = match start.checked_add(run.len() as u32) {
                Some(end) if end <= self.end => end,
                Some(_) | None => return Err(FlashWriteError::TooLong),
            };
            while self.erased < end.min(self.erased_from) {
                let next = self.erased.saturating_add(self.sector_len);
                flash.erase(self.erased, next).await.map_err(FlashWriteError::Flash)?;
                self.erased = next;
            }
            flash.write(start, run).await.map_err(FlashWriteError::Flash)?;
            self.written = end;
            if waiting {
                self.block = Block::new(F::WRITE_SIZE);
            }
        }
    }

    /// Erased bytes that fill up the last unit, for who writes them by [`write`](FlashWriter::write) in the place of
    /// [`finish`](FlashWriter::finish). A stream that is shorter is filled up to [`HELD_LEN`](FlashWriter::HELD_LEN).
    pub fn filling(&self) -> &'static [u8] {
        let missing = if self.block.len == 0 { 0 } else { self.block.missing() };
        const { &[ERASED; MAX_UNIT] }.get(..missing).unwrap_or_default()
    }

    /// Writes what still waits, filled up by erased bytes to a whole write unit. Of an empty stream nothing is erased or written.
    ///
    /// # Errors
    ///
    /// [`FlashWriteError`].
    pub async fn finish<F: NorFlash>(mut self, flash: &mut F) -> Result<(), FlashWriteError<F::Error>> {
        let unit = F::WRITE_SIZE as u8;
        if self.block.len > 0 {
            // A stream that is shorter than what is held back at the start waits for more than a unit.
            self.block.full = self.block.len.div_ceil(unit).saturating_mul(unit);
        }
        let filling = self.filling();
        self.write(flash, filling).await
    }
}
