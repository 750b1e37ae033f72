//! An update module of one's own: a calibration table, renewed without a restart.
//!
//! The table has two pages of flash. The one with the higher number is in use; an update fills the other one, and takes it into use with the last word
//! that it writes. Who goes back erases it again. Each page:
//!
//! ```text
//! 0   number of the table, and its complement   written by install
//! 32  length and checksum of the table          written last by download
//! 64  the table
//! ```
//!
//! A download erases the page of the table before the last one, so two good tables are there only between an install and the next download:
//! *if there are two, the newer one is of the last deployment*, and that is the one which a rollback erases. It can do so again and again.
//!
//! There must be a table to go back to: the factory writes the first one, see [`image`].
#![no_std]

mod page;

use core::fmt;

use mender::embedded_storage_async::nor_flash::NorFlash;
use mender::update_module;
use mender::update_module::{FlashWriteError, FlashWriter, Payload, PayloadError};

use page::{Head, Sum};
pub use page::{SLOT, TABLE_OFFSET, image};

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which one; each update has a higher number.
    pub number: u32,
    /// Its length in bytes.
    pub len: u32,
    /// Its CRC-32.
    pub sum: u32,
    page: u32,
}

/// Why a table could not be read or renewed.
#[derive(Debug)]
pub enum Error {
    /// The flash failed.
    Flash,
    /// There is no good table.
    NoTable,
    /// The artifact has no file, or more than one.
    NotOneFile,
    /// The table is empty or longer than a page has room.
    Length,
    /// The table in use has the highest number there is.
    Numbers,
    /// What was received is not complete, or was damaged since.
    NotReceived,
    /// The payload ended early.
    Payload(PayloadError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Flash => f.write_str("the flash failed"),
            Error::NoTable => f.write_str("there is no good table"),
            Error::NotOneFile => f.write_str("the artifact must have one file"),
            Error::Length => f.write_str("the table is empty or too long"),
            Error::Numbers => f.write_str("no table can have a higher number"),
            Error::NotReceived => f.write_str("the new table is not complete"),
            Error::Payload(error) => error.fmt(f),
        }
    }
}

impl<E> From<FlashWriteError<E>> for Error {
    fn from(error: FlashWriteError<E>) -> Error {
        match error {
            FlashWriteError::Flash(_) => Error::Flash,
            FlashWriteError::TooLong => Error::Length,
            FlashWriteError::Unfinished => Error::NotReceived,
        }
    }
}

/// The module: takes artifacts of the type `calibration-table` with one file.
#[update_module(
    artifact_type = "calibration-table",
    supports_rollback,
    on(download = receive, install = take, rollback = go_back)
)]
#[derive(Debug)]
pub struct Calibration<F: NorFlash> {
    flash: F,
}

impl<F: NorFlash> Calibration<F> {
    /// On two pages of flash.
    pub fn new(flash: F) -> Calibration<F> {
        const {
            assert!(SLOT.is_multiple_of(F::WRITE_SIZE) && SLOT.is_multiple_of(F::READ_SIZE));
            assert!(F::ERASE_SIZE > TABLE_OFFSET);
        }
        Calibration { flash }
    }

    const PAGE: u32 = F::ERASE_SIZE as u32;
    const ROOM: u32 = Self::PAGE - TABLE_OFFSET as u32;

    /// The table that is in use.
    ///
    /// # Errors
    ///
    /// [`Error::NoTable`], [`Error::Flash`].
    pub async fn active(&mut self) -> Result<Table, Error> {
        let (first, second) = (self.table(0).await?, self.table(1).await?);
        // The later one, if both are good.
        first
            .into_iter()
            .chain(second)
            .max_by_key(|table| table.number)
            .ok_or(Error::NoTable)
    }

    /// The table in a page, if it is good and in use.
    async fn table(&mut self, page: u32) -> Result<Option<Table>, Error> {
        let Some(number) = page::number(&self.slot(page, 0).await?) else {
            return Ok(None);
        };
        let head = self.received(page).await?;
        Ok(head.map(|Head { len, sum }| Table { number, len, sum, page }))
    }

    /// What was received completely in a page.
    async fn received(&mut self, page: u32) -> Result<Option<Head>, Error> {
        let head = Head::read(&self.slot(page, SLOT as u32).await?);
        if !(1..=Self::ROOM).contains(&head.len) {
            return Ok(None);
        }
        let mut sum = Sum::new();
        let mut at = 0;
        while at < head.len {
            let slot = self.slot(page, TABLE_OFFSET as u32 + at).await?;
            let now = (head.len - at).min(SLOT as u32);
            sum.update(&slot[..now as usize]);
            at += now;
        }
        Ok((sum.value() == head.sum).then_some(head))
    }

    async fn slot(&mut self, page: u32, offset: u32) -> Result<[u8; SLOT], Error> {
        let mut slot = [0; SLOT];
        let at = page * Self::PAGE + offset;
        self.flash.read(at, &mut slot).await.map_err(|_| Error::Flash)?;
        Ok(slot)
    }

    async fn write(&mut self, page: u32, offset: u32, slot: &[u8; SLOT]) -> Result<(), Error> {
        let at = page * Self::PAGE + offset;
        self.flash.write(at, slot).await.map_err(|_| Error::Flash)
    }

    async fn erase(&mut self, page: u32) -> Result<(), Error> {
        let start = page * Self::PAGE;
        self.flash
            .erase(start, start + Self::PAGE)
            .await
            .map_err(|_| Error::Flash)
    }

    /// Download: fills the page that is not in use.
    async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Error> {
        let other = 1 - self.active().await?.page;
        let mut file = payload
            .next_file()
            .await
            .map_err(Error::Payload)?
            .ok_or(Error::NotOneFile)?;
        let start = other * Self::PAGE;
        // Behind number and head, which are in the first sector: erased before anything is written.
        let mut writer = FlashWriter::new::<F>(start + TABLE_OFFSET as u32..start + Self::PAGE);
        let (mut len, mut sum) = (0, Sum::new());
        while let Some(chunk) = file.next_chunk().await.map_err(Error::Payload)? {
            sum.update(chunk);
            writer.write(&mut self.flash, chunk).await?;
            // What is longer than a page was refused.
            len += chunk.len() as u32;
        }
        writer.finish(&mut self.flash).await?;
        if payload.next_file().await.map_err(Error::Payload)?.is_some() {
            return Err(Error::NotOneFile);
        }
        if len == 0 {
            return Err(Error::Length);
        }
        let head = Head { len, sum: sum.value() };
        self.write(other, SLOT as u32, &head.write()).await
    }

    /// Install: the new table's number is the last that is written.
    async fn take(&mut self) -> Result<(), Error> {
        let active = self.active().await?;
        let other = 1 - active.page;
        if self.table(other).await?.is_some() {
            // Before a restart.
            return Ok(());
        }
        if self.received(other).await?.is_none() {
            return Err(Error::NotReceived);
        }
        let next = active.number.checked_add(1).ok_or(Error::Numbers)?;
        self.write(other, 0, &page::numbered(next)).await
    }

    /// Rollback: if there are two good tables, the newer one is this deployment's.
    async fn go_back(&mut self) -> Result<(), Error> {
        let active = self.active().await?;
        match self.table(1 - active.page).await? {
            Some(_) => self.erase(active.page).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use embassy_futures::block_on;
    use mender::embedded_storage_async::nor_flash::NorFlash;
    use mender_testkit::flash::SimFlash;

    use super::*;

    const PAGE: u32 = 4096;

    /// The next one would begin anew with 0, and the old table would be taken for the newer one.
    #[test]
    fn no_table_follows_the_one_with_the_highest_number() {
        let mut flash = SimFlash::<4, 4096>::new(2).partition(0..2 * PAGE);
        let table = [1; SLOT];
        image(u32::MAX, &table, |offset, bytes| {
            block_on(flash.write(offset as u32, bytes)).expect("a new chip is erased");
        });
        // As a download leaves it: all but the number.
        image(0, &table, |offset, bytes| {
            if offset > 0 {
                block_on(flash.write(PAGE + offset as u32, bytes)).expect("a new chip is erased");
            }
        });
        let mut calibration = Calibration::new(flash);
        assert!(matches!(block_on(calibration.take()), Err(Error::Numbers)));
        let active = block_on(calibration.active()).map(|table| table.number);
        assert!(matches!(active, Ok(u32::MAX)));
    }
}
