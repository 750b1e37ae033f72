//! Writes a stream of bytes to flash as it comes, for the modules of all bootloaders. Depends on `embedded-storage-async` only.

use embedded_storage_async::nor_flash::NorFlash;

/// The largest write unit.
pub(crate) const MAX_UNIT: usize = 32;
const ERASED: u8 = 0xff;

/// Writes a stream to flash: erases each sector just before its first byte is written, and no sector twice. Holds
/// back less than one write unit.
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
pub(crate) struct Block {
    bytes: [u8; MAX_UNIT],
    len: usize,
    /// So many are wanted.
    full: usize,
}

impl Block {
    /// Waits for `full` bytes, at most [`MAX_UNIT`].
    pub(crate) const fn new(full: usize) -> Block {
        Block {
            bytes: [ERASED; MAX_UNIT],
            len: 0,
            full,
        }
    }

    /// Takes bytes until it is full, and gives those that it has not taken.
    pub(crate) fn fill<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        let missing = self.full.saturating_sub(self.len).min(data.len());
        let (now, later) = data.split_at(missing);
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(now) {
            *to = *from;
        }
        self.len += missing;
        later
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len == self.full
    }

    /// What is wanted, once it is full.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.full).unwrap_or(&self.bytes)
    }
}

/// Why a stream was not written.
pub(crate) enum WriteError<E> {
    Flash(E),
    /// More came than fits.
    TooLong,
}

impl Writer {
    /// Writes from `start` on, at most to `end`, both at the border of a sector; nothing from `erased_from` on is erased. What
    /// is in the block comes first.
    pub(crate) const fn new(start: u32, end: u32, sector_len: u32, erased_from: u32, block: Block) -> Writer {
        Writer {
            written: start,
            erased: start,
            sector_len,
            erased_from,
            end,
            block,
        }
    }

    /// Writes what comes next.
    pub(crate) async fn push<F: NorFlash>(&mut self, flash: &mut F, data: &[u8]) -> Result<(), WriteError<F::Error>> {
        let mut data = data;
        loop {
            if self.block.len > 0 {
                data = self.block.fill(data);
            }
            let waiting = self.block.is_full();
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
        let missing = match self.block.len {
            0 => 0,
            len => self.block.full.saturating_sub(len),
        };
        const { &[ERASED; MAX_UNIT] }.get(..missing).unwrap_or_default()
    }
}
