//! Reads and writes of any place and length on flash that has units.

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;

use super::error::ImageFault;
use super::layout::MAX_ALIGN;
use super::trailer::ERASED;

/// Reads `out.len()` bytes at any offset. Needs a read unit of at most [`MAX_ALIGN`], and a readable range up to the
/// next multiple of it.
pub(super) async fn read<F: NorFlash>(slot: &mut F, offset: u32, out: &mut [u8]) -> Result<(), F::Error> {
    let unit = F::READ_SIZE;
    if unit <= 1 {
        return slot.read(offset, out).await;
    }
    let mut offset = offset;
    let mut out = out;
    while !out.is_empty() {
        let skip = offset as usize % unit;
        let whole = out.len() / unit * unit;
        if skip == 0 && whole > 0 {
            let (now, later) = out.split_at_mut(whole);
            slot.read(offset, now).await?;
            offset = offset.saturating_add(whole as u32);
            out = later;
        } else {
            let mut window = [0; MAX_ALIGN];
            let Some(read) = window.get_mut(..unit) else {
                return Ok(());
            };
            slot.read(offset.saturating_sub(skip as u32), read).await?;
            let here = out.len().min(unit - skip);
            let (now, later) = out.split_at_mut(here);
            for (to, from) in now.iter_mut().zip(read.iter().skip(skip)) {
                *to = *from;
            }
            offset = offset.saturating_add(here as u32);
            out = later;
        }
    }
    Ok(())
}

/// Writes one cell: the value, filled up with erased bytes to the write unit. `offset` is a multiple of the unit.
pub(super) async fn write_cell<F: NorFlash>(slot: &mut F, offset: u32, value: u8) -> Result<(), F::Error> {
    let mut cell = [ERASED; MAX_ALIGN];
    if let Some(first) = cell.first_mut() {
        *first = value;
    }
    match cell.get(..F::WRITE_SIZE) {
        Some(unit) => slot.write(offset, unit).await,
        None => slot.write(offset, &cell).await,
    }
}

/// Where a [`Writer`] may write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Start of the stream in the slot: at a sector border.
    pub(super) start: u32,
    /// Largest length of the stream.
    pub(super) room: u32,
    pub(super) sector_len: u32,
    /// This sector, given by its start, has been erased already.
    pub(super) erased_sector: u32,
}

/// Writes a stream to a slot: erases each sector just before its first byte is written, and no sector twice. Holds
/// back less than one write unit.
pub(super) struct Writer<'a, F> {
    slot: &'a mut F,
    target: Target,
    /// All before is in flash; a multiple of the write unit.
    written: u32,
    /// All before was erased; a multiple of the sector length.
    erased: u32,
    rest: [u8; MAX_ALIGN],
    rest_len: usize,
}

/// Why a [`Writer`] failed.
pub(super) enum WriteError<E> {
    Flash(E),
    TooLarge(ImageFault),
}

impl<'a, F: NorFlash> Writer<'a, F> {
    pub(super) fn new(slot: &'a mut F, target: Target) -> Writer<'a, F> {
        Writer {
            slot,
            target,
            written: target.start,
            erased: target.start,
            rest: [ERASED; MAX_ALIGN],
            rest_len: 0,
        }
    }

    pub(super) async fn push(&mut self, data: &[u8]) -> Result<(), WriteError<F::Error>> {
        let mut data = data;
        if self.rest_len > 0 {
            let missing = F::WRITE_SIZE.saturating_sub(self.rest_len).min(data.len());
            let (now, later) = data.split_at(missing);
            self.keep(now);
            data = later;
            if self.rest_len == F::WRITE_SIZE {
                self.flush().await?;
            }
        }
        let whole = data.len() / F::WRITE_SIZE * F::WRITE_SIZE;
        let (now, later) = data.split_at(whole);
        if !now.is_empty() {
            let range = self.advance(now.len()).await?;
            self.slot.write(range.start, now).await.map_err(WriteError::Flash)?;
            self.written = range.end;
        }
        self.keep(later);
        Ok(())
    }

    /// Writes the rest, filled up with erased bytes.
    pub(super) async fn flush(&mut self) -> Result<(), WriteError<F::Error>> {
        if self.rest_len == 0 {
            return Ok(());
        }
        let range = self.advance(F::WRITE_SIZE).await?;
        let block = self.rest;
        self.rest = [ERASED; MAX_ALIGN];
        self.rest_len = 0;
        if let Some(block) = block.get(..F::WRITE_SIZE) {
            self.slot.write(range.start, block).await.map_err(WriteError::Flash)?;
        }
        self.written = range.end;
        Ok(())
    }

    /// Keeps less than a write unit for later.
    fn keep(&mut self, data: &[u8]) {
        for (to, from) in self.rest.iter_mut().skip(self.rest_len).zip(data) {
            *to = *from;
        }
        self.rest_len = self.rest_len.saturating_add(data.len()).min(MAX_ALIGN);
    }

    /// The place of the next `len` bytes, erased.
    async fn advance(&mut self, len: usize) -> Result<Range<u32>, WriteError<F::Error>> {
        let Target {
            start,
            room,
            sector_len,
            erased_sector,
        } = self.target;
        let end = u64::from(self.written) + len as u64;
        // The last unit may stick out by its filling.
        let limit = u64::from(start) + u64::from(room.next_multiple_of(F::WRITE_SIZE as u32));
        let end = match u32::try_from(end) {
            Ok(offset) if end <= limit => offset,
            Ok(_) | Err(_) => {
                let len = end.saturating_sub(u64::from(start));
                return Err(WriteError::TooLarge(ImageFault::TooLarge { len, room }));
            }
        };
        while self.erased < end {
            let next = self.erased.saturating_add(sector_len);
            if self.erased != erased_sector {
                self.slot.erase(self.erased, next).await.map_err(WriteError::Flash)?;
            }
            self.erased = next;
        }
        Ok(self.written..end)
    }
}
