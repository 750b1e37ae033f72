//! Writes a stream of bytes to flash as it comes, for the modules of all bootloaders. Depends on `embedded-storage-async` only.

use embedded_storage_async::nor_flash::NorFlash;

/// The largest write unit.
pub(crate) const MAX_UNIT: usize = 32;
const ERASED: u8 = 0xff;

/// Writes a stream to flash: erases each sector just before its first byte is written, and no sector twice. Holds
/// back less than one write unit, and at the start what the stream begins with.
pub(crate) struct Writer {
    /// All before is in flash.
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

/// Bytes that wait for more of them.
#[derive(Clone, Copy)]
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
pub(crate) enum WriteError<E> {
    Flash(E),
    /// More came than fits.
    TooLong,
}

impl Writer {
    /// Writes from `start` on, at most to `end`, both at the border of a sector; nothing from `erased_from` on is erased. The
    /// first [`MAX_UNIT`] bytes are held back.
    pub(crate) const fn new(start: u32, end: u32, sector_len: u32, erased_from: u32) -> Writer {
        Writer {
            written: start,
            erased: start,
            sector_len,
            erased_from,
            end,
            block: Block::new(MAX_UNIT),
        }
    }

    /// Takes the first [`MAX_UNIT`] bytes of the stream, writes nothing, and gives what is behind them.
    pub(crate) fn hold<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        self.block.fill(data)
    }

    /// These bytes, once all of them were taken.
    pub(crate) fn held(&self) -> Option<&[u8]> {
        (self.block.missing() == 0).then(|| self.block.bytes())
    }

    /// Writes what comes next.
    pub(crate) async fn push<F: NorFlash>(&mut self, flash: &mut F, data: &[u8]) -> Result<(), WriteError<F::Error>> {
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
            let end = match self.written.checked_add(run.len() as u32) {
                Some(end) if end <= self.end => end,
                Some(_) | None => return Err(WriteError::TooLong),
            };
            while self.erased < end.min(self.erased_from) {
                let next = self.erased.saturating_add(self.sector_len);
                flash.erase(self.erased, next).await.map_err(WriteError::Flash)?;
                self.erased = next;
            }
            flash.write(self.written, run).await.map_err(WriteError::Flash)?;
            self.written = end;
            if waiting {
                self.block = Block::new(F::WRITE_SIZE);
            }
        }
    }

    /// What is to be written last: erased bytes that fill up the last unit.
    pub(crate) fn filling(&self) -> &'static [u8] {
        let missing = if self.block.len == 0 { 0 } else { self.block.missing() };
        const { &[ERASED; MAX_UNIT] }.get(..missing).unwrap_or_default()
    }
}
