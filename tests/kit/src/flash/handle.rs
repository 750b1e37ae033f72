//! Handles onto a chip.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use embedded_storage_async::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, ReadNorFlash};

use super::chip::{Chip, Counters, FlashError, Rewrites};
use super::power::{Observer, Operation, PowerCut, PowerSupply};

/// A handle onto a whole chip with a write unit of `WRITE` bytes and sectors of `SECTOR` bytes.
///
/// Cloning gives another handle onto the same chip.
#[derive(Clone, Debug)]
pub struct SimFlash<const WRITE: usize, const SECTOR: usize> {
    supply: PowerSupply,
}

impl<const WRITE: usize, const SECTOR: usize> SimFlash<WRITE, SECTOR> {
    /// A chip with that many sectors, all erased, power on.
    pub fn new(sectors: usize) -> Self {
        const {
            assert!(
                WRITE > 0 && SECTOR.is_multiple_of(WRITE),
                "a sector must consist of whole write units"
            );
        }
        Self::of(Chip::new(WRITE, SECTOR, sectors))
    }

    fn of(chip: Chip) -> Self {
        SimFlash {
            supply: PowerSupply {
                chip: Arc::new(Mutex::new(chip)),
            },
        }
    }

    /// A chip with this content: a whole number of sectors. A word that is not all `0xff` counts as written.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        assert!(
            bytes.len().is_multiple_of(SECTOR),
            "the content must be a whole number of sectors"
        );
        let flash = Self::new(bytes.len() / SECTOR);
        flash.load(bytes);
        flash
    }

    /// A chip that keeps its content in a file: loads it, or creates it erased. Every change is written through
    /// before the operation returns, so the content survives the process, however it ends.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or has another length than the chip.
    pub fn open(path: impl AsRef<Path>, sectors: usize) -> io::Result<Self> {
        let flash = Self::new(sectors);
        flash.chip().attach(path.as_ref())?;
        Ok(flash)
    }

    fn chip(&self) -> MutexGuard<'_, Chip> {
        self.supply.chip()
    }

    /// Chooses what a second write to a word does.
    pub fn set_rewrites(&self, rewrites: Rewrites) {
        self.chip().rewrites = rewrites;
    }

    /// Chooses a range in which words of zeros may be written over anything in spite of [`Rewrites::Refuse`], as flash with
    /// error correction allows. embassy-boot needs this in its state partition.
    pub fn allow_zeros_over(&self, range: Range<u32>) {
        self.chip().zeros_over = range;
    }

    /// A handle onto a range of the chip, in bytes; both ends at sector borders.
    pub fn partition(&self, range: Range<u32>) -> Partition<WRITE, SECTOR> {
        let aligned = |offset: u32| (offset as usize).is_multiple_of(SECTOR);
        assert!(
            aligned(range.start) && aligned(range.end),
            "{range:?} does not end at sector borders"
        );
        assert!(
            range.start <= range.end && range.end as usize <= self.len(),
            "{range:?} is not a range of the chip"
        );
        Partition {
            flash: self.clone(),
            start: range.start,
            len: range.end - range.start,
        }
    }

    /// The chip's size in bytes.
    pub fn len(&self) -> usize {
        self.chip().cells().len()
    }

    /// Whether the chip has no sector at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the whole content, power or not.
    pub fn to_bytes(&self) -> Vec<u8> {
        let chip = self.chip();
        chip.cells().to_vec(0..chip.cells().len())
    }

    /// Replaces the whole content, as a programmer would: neither counted nor cut, and not written to a file.
    pub fn load(&self, bytes: &[u8]) {
        self.chip().load(bytes);
    }

    /// Replaces part of the content likewise.
    pub fn patch(&self, offset: u32, bytes: &[u8]) {
        let mut content = self.to_bytes();
        content[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
        self.load(&content);
    }

    /// Whether all bytes of a range are erased.
    pub fn is_blank(&self, range: Range<u32>) -> bool {
        self.chip().cells().is_blank(range.start as usize..range.end as usize)
    }

    /// Reads, as [`ReadNorFlash::read`] without waiting.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn read_now(&self, offset: u32, out: &mut [u8]) -> Result<(), FlashError> {
        self.chip().read(offset, out)
    }

    /// Writes, as [`NorFlash::write`] without waiting.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn write_now(&self, offset: u32, data: &[u8]) -> Result<(), FlashError> {
        self.supply.perform(|chip| chip.write(offset, data))
    }

    /// Erases sectors, as [`NorFlash::erase`] without waiting.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn erase_now(&self, range: Range<u32>) -> Result<(), FlashError> {
        let sectors = self.chip().sectors_to_erase(range.start, range.end)?;
        for start in sectors {
            self.supply.perform(|chip| chip.erase_sector(start))?;
        }
        Ok(())
    }

    /// Schedules a power cut; it replaces one that was scheduled before.
    pub fn cut_power(&self, cut: PowerCut) {
        self.chip().schedule(cut);
    }

    /// Takes the power away at once.
    pub fn switch_off(&self) {
        self.chip().switch_off();
    }

    /// Puts the power on, and forgets a scheduled cut. Whoever used the flash must start again from its content.
    pub fn restore_power(&self) {
        self.chip().restore_power();
    }

    /// Whether a scheduled cut has not happened yet, or none is scheduled.
    pub fn power_is_on(&self) -> bool {
        self.chip().power_is_on()
    }

    /// Number of writes and sector erases since the counters were reset: the operations at which power can be cut.
    pub fn operations(&self) -> u64 {
        self.chip().operations()
    }

    /// The counters since their reset.
    pub fn counters(&self) -> Counters {
        self.chip().counters
    }

    /// How often each sector was erased since the counters were reset.
    pub fn sector_erases(&self) -> Vec<u32> {
        self.chip().sector_erases.clone()
    }

    /// Sets all counters to 0.
    pub fn reset_counters(&self) {
        self.chip().reset_counters();
    }

    /// What the last scheduled cut struck, if it has happened.
    pub fn cut_operation(&self) -> Option<Operation> {
        self.chip().cut_operation
    }

    /// Another chip in the same state: content, and which words count as written. Its power is on, no cut is scheduled,
    /// its counters are at 0, and it has no file.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.chip().fork())
    }

    /// Whether the asynchronous operations never return when the power is lost, instead of failing with
    /// [`FlashError::PowerLost`]: as on a real device, no code runs without power. Off unless set.
    pub fn set_halting(&self, halts: bool) {
        self.chip().halts = halts;
    }

    /// The power supply, for what else hangs on it.
    pub(crate) fn power_supply(&self) -> PowerSupply {
        self.supply.clone()
    }

    /// Takes over what another chip and all else on its power supply hold, and puts the power on. Counters and violations
    /// stay.
    pub(crate) fn take_over(&self, other: &Self) {
        let other = other.chip().fork();
        self.chip().take_over(other);
    }

    /// A number that differs between chips in different states, all else on their power supplies included, and is equal between
    /// chips in the same.
    pub(crate) fn digest(&self) -> u64 {
        self.chip().digest()
    }

    /// Has every operation announced to an observer, or to nobody any more.
    pub(crate) fn observe(&self, observer: Option<Observer>) {
        self.chip().observer = observer;
    }

    /// Forgets the violations but for the first ones.
    pub(crate) fn forget_violations_after(&self, first: usize) {
        self.chip().violations.truncate(first);
    }

    /// An asynchronous operation that has failed.
    async fn or_halt(&self, error: FlashError) -> FlashError {
        if let FlashError::PowerLost = error
            && self.chip().halts
        {
            std::future::pending::<()>().await;
        }
        error
    }

    /// Every operation that was refused because the caller broke a rule, in order.
    pub fn violations(&self) -> Vec<FlashError> {
        self.chip().violations.clone()
    }
}

impl<const WRITE: usize, const SECTOR: usize> ErrorType for SimFlash<WRITE, SECTOR> {
    type Error = FlashError;
}

impl<const WRITE: usize, const SECTOR: usize> ReadNorFlash for SimFlash<WRITE, SECTOR> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        match self.read_now(offset, bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.or_halt(error).await),
        }
    }

    fn capacity(&self) -> usize {
        self.len()
    }
}

impl<const WRITE: usize, const SECTOR: usize> NorFlash for SimFlash<WRITE, SECTOR> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        match self.erase_now(from..to) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.or_halt(error).await),
        }
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        match self.write_now(offset, bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.or_halt(error).await),
        }
    }
}

/// A handle onto a range of a chip; offsets count from the start of the range.
#[derive(Clone, Debug)]
pub struct Partition<const WRITE: usize, const SECTOR: usize> {
    flash: SimFlash<WRITE, SECTOR>,
    start: u32,
    len: u32,
}

impl<const WRITE: usize, const SECTOR: usize> Partition<WRITE, SECTOR> {
    /// The chip.
    pub fn flash(&self) -> &SimFlash<WRITE, SECTOR> {
        &self.flash
    }

    /// Where the partition is on the chip.
    pub fn range(&self) -> Range<u32> {
        self.start..self.start + self.len
    }

    /// A copy of the content, power or not.
    pub fn to_bytes(&self) -> Vec<u8> {
        let range = self.range();
        self.flash
            .chip()
            .cells()
            .to_vec(range.start as usize..range.end as usize)
    }

    fn place(&self, offset: u32, len: usize) -> Result<u32, FlashError> {
        match u32::try_from(len).ok().and_then(|len| offset.checked_add(len)) {
            Some(end) if end <= self.len => Ok(self.start + offset),
            Some(_) | None => self.flash.chip().out_of_bounds(offset, len),
        }
    }
}

impl<const WRITE: usize, const SECTOR: usize> ErrorType for Partition<WRITE, SECTOR> {
    type Error = FlashError;
}

impl<const WRITE: usize, const SECTOR: usize> ReadNorFlash for Partition<WRITE, SECTOR> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let offset = self.place(offset, bytes.len())?;
        self.flash.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.len as usize
    }
}

impl<const WRITE: usize, const SECTOR: usize> NorFlash for Partition<WRITE, SECTOR> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.saturating_sub(from);
        let start = self.place(from, len as usize)?;
        self.flash.erase(start, start + len).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let offset = self.place(offset, bytes.len())?;
        self.flash.write(offset, bytes).await
    }
}

/// On a chip with [`Rewrites::ClearBits`]; any other refuses the second write, and records it.
impl<const WRITE: usize, const SECTOR: usize> MultiwriteNorFlash for Partition<WRITE, SECTOR> {}
