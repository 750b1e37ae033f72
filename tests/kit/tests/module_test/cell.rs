//! A number in flash that survives power cuts: what the sample modules keep their decisions in.

use embedded_storage_async::nor_flash::NorFlash;
use mender_testkit::flash::{FlashError, Partition, SimFlash};

const RECORD_LEN: usize = 16;

/// Two sectors of records, the valid one with the highest number counts. A record is number, value and the complement of
/// both: neither a torn write nor a torn erase makes one of what was none.
#[derive(Debug)]
pub struct Cell<F> {
    flash: F,
}

fn decode(record: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| record.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (number, value) = (word(0)?, word(4)?);
    (word(8)? == !number && word(12)? == !value).then_some((number, value))
}

fn encode(number: u32, value: u32) -> [u8; RECORD_LEN] {
    let mut record = [0; RECORD_LEN];
    for (place, word) in record.chunks_mut(4).zip([number, value, !number, !value]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    record
}

/// Where the present record is and what it says, in the content of both sectors.
fn present(content: &[u8]) -> Option<(usize, u32, u32)> {
    let records = content.chunks(RECORD_LEN).enumerate();
    records
        .filter_map(|(place, record)| decode(record).map(|(number, value)| (place * RECORD_LEN, number, value)))
        .max_by_key(|(_, number, _)| *number)
}

/// Where the next record goes, and whether its sector has to be erased first.
fn next(content: &[u8], sector_len: usize) -> (usize, Option<usize>) {
    let Some((at, _, _)) = present(content) else {
        return (0, Some(0));
    };
    let sector = at / sector_len;
    let end = (sector + 1) * sector_len;
    let is_blank = |place: &usize| content[*place..*place + RECORD_LEN].iter().all(|byte| *byte == 0xff);
    // Behind everything that was begun.
    let used = (at..end)
        .step_by(RECORD_LEN)
        .rfind(|place| !is_blank(place))
        .unwrap_or(at);
    if used + RECORD_LEN < end {
        (used + RECORD_LEN, None)
    } else {
        let other = (1 - sector) * sector_len;
        (other, Some(other))
    }
}

impl<F: NorFlash> Cell<F> {
    /// A cell in two sectors.
    pub fn new(flash: F) -> Cell<F> {
        Cell { flash }
    }

    async fn content(&mut self) -> Result<Vec<u8>, F::Error> {
        let mut content = vec![0; 2 * F::ERASE_SIZE];
        self.flash.read(0, &mut content).await?;
        Ok(content)
    }

    /// The value; 0 if none was ever set.
    pub async fn get(&mut self) -> Result<u32, F::Error> {
        Ok(present(&self.content().await?).map_or(0, |(_, _, value)| value))
    }

    /// Sets the value, in one write that is done or not done.
    pub async fn set(&mut self, value: u32) -> Result<(), F::Error> {
        let content = self.content().await?;
        let number = match present(&content) {
            Some((_, _, same)) if same == value => return Ok(()),
            Some((_, number, _)) => number + 1,
            None => 1,
        };
        let (at, erase) = next(&content, F::ERASE_SIZE);
        if let Some(sector) = erase {
            self.flash.erase(sector as u32, (sector + F::ERASE_SIZE) as u32).await?;
        }
        self.flash.write(at as u32, &encode(number, value)).await
    }
}

/// The value, as a bootloader or a test reads it.
pub fn read<const WRITE: usize, const SECTOR: usize>(cell: &Partition<WRITE, SECTOR>) -> u32 {
    present(&cell.to_bytes()).map_or(0, |(_, _, value)| value)
}

/// Sets the value as a bootloader does.
pub fn write<const WRITE: usize, const SECTOR: usize>(
    chip: &SimFlash<WRITE, SECTOR>,
    cell: &Partition<WRITE, SECTOR>,
    value: u32,
) -> Result<(), FlashError> {
    let content = cell.to_bytes();
    let number = present(&content).map_or(1, |(_, number, _)| number + 1);
    let (at, erase) = next(&content, SECTOR);
    let start = cell.range().start;
    if let Some(sector) = erase {
        let from = start + sector as u32;
        chip.erase_now(from..from + SECTOR as u32)?;
    }
    chip.write_now(start + at as u32, &encode(number, value))
}
