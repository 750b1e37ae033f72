//! Writes to trailers: requests, their withdrawal, the confirmation, the way back. In each the magic comes last, so that
//! half of one is none.

use embedded_storage_async::nor_flash::NorFlash;

use super::image::Image;
use super::mode::Mode;
use super::mode::sealed::Kind;
use super::trailer::{Cell, ERASED, Flag, Magic, MagicArea, PERMANENT, RAN, REVERT, SET, TEST, magic_offset};
use super::{Error, Failed, ImageFault, Restart, ZephyrImage, flash};

/// What is asked of the bootloader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Run the image in slot 1, and go back at the boot after unless it confirms itself.
    Test,
    /// Run the image in slot 1 for good.
    Permanent,
}

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize, M: Mode> ZephyrImage<P, S, R, BUFFER, M> {
    /// Requests an image that is in slot 1, however it got there. For recovery tools; a deployment uses
    /// [`request_swap`](ZephyrImage::request_swap).
    ///
    /// Verifies the image, erases what the trailer holds, and the first sector in swap using offset if there is another
    /// image's header, then writes the request.
    ///
    /// # Errors
    ///
    /// [`Error::RunningUnconfirmed`], [`Error::Damaged`], [`Error::NotKept`] or the flash's.
    pub async fn request(&mut self, request: Request) -> Result<(), Failed<P, S>> {
        self.refuse_while_under_test().await?;
        self.confirm_before_overwriting().await?;
        let start = self.layout.image_offset();
        let image = self
            .verify_secondary(start, self.layout.max_image_len())
            .await?
            .map_err(Error::Damaged)?;
        if start > 0 && self.starts_with_a_header().await? {
            self.secondary.erase(0, start).await.map_err(Error::SecondaryFlash)?;
        }
        let cells: &[(Cell, u8)] = match (M::KIND, request) {
            (Kind::Xip, Request::Test) => &[],
            (Kind::Xip, Request::Permanent) => &[(Cell::CopyDone, SET), (Cell::ImageOk, SET)],
            (Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite, Request::Test) => &[(Cell::SwapInfo, TEST)],
            (Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite, Request::Permanent) => {
                &[(Cell::SwapInfo, PERMANENT), (Cell::ImageOk, SET)]
            }
        };
        self.write_request(cells, start, &image, Error::Damaged).await
    }

    /// Sets image_ok of the running image if its trailer allows it, as MCUboot's `boot_set_confirmed()`: without a magic there
    /// is nothing to confirm (in direct-xip nothing that would start again). [`confirm`](ZephyrImage::confirm) makes sure first that the right image runs.
    ///
    /// # Errors
    ///
    /// [`Error::Unconfirmable`], [`Error::NotKept`] or the flash's.
    pub async fn confirm_running(&mut self) -> Result<(), Failed<P, S>> {
        let cells = self.primary_cells().await?;
        match (cells.magic(), cells.image_ok()) {
            (Magic::Unset, _) if M::KIND == Kind::Xip => return Err(Error::Unconfirmable),
            (Magic::Unset, _) | (Magic::Good, Flag::Set) => return Ok(()),
            (Magic::Good, Flag::Unset) => {}
            (Magic::Good, Flag::Bad) | (Magic::Bad, _) => return Err(Error::Unconfirmable),
        }
        let image_ok = self.layout.primary_cells_offset() + Cell::ImageOk.offset(self.layout.max_align);
        flash::write_cell(&mut self.primary, image_ok, SET)
            .await
            .map_err(Error::PrimaryFlash)?;
        match self.primary_cells().await?.image_ok() {
            Flag::Set => Ok(()),
            Flag::Unset | Flag::Bad => Err(Error::NotKept { slot: 0 }),
        }
    }

    /// Overwrite-only, before the running image is confirmed: leaves a mark in slot 1 if nothing else there will tell later
    /// that its image came to run. Until the confirmation the unconfirmed image in slot 0 tells, so that a power cut may come
    /// anywhere.
    pub(super) async fn mark_that_it_ran(&mut self) -> Result<(), Failed<P, S>> {
        if M::KIND != Kind::Overwrite
            || self.left_in_secondary().await?.is_some()
            || self.secondary_cells().await?.swap_info() == RAN
        {
            return Ok(());
        }
        // The bootloader has done so, but it may have been cut short.
        self.erase_secondary_cells().await?;
        let mark = self.layout.secondary_cells_offset() + Cell::SwapInfo.offset(self.layout.max_align);
        flash::write_cell(&mut self.secondary, mark, RAN)
            .await
            .map_err(Error::SecondaryFlash)?;
        if self.secondary_cells().await?.swap_info() == RAN {
            Ok(())
        } else {
            Err(Error::NotKept { slot: 1 })
        }
    }

    /// Overwrite-only: after the update an unconfirmed image in slot 0 is the new one, so the old one must not be.
    pub(super) async fn confirm_before_overwriting(&mut self) -> Result<(), Failed<P, S>> {
        if M::KIND != Kind::Overwrite {
            return Ok(());
        }
        match self.confirm_running().await {
            // It does not look like one that was just installed either.
            Err(Error::Unconfirmable) => Ok(()),
            other => other,
        }
    }

    /// Whether slot 1 begins as an image does.
    async fn starts_with_a_header(&mut self) -> Result<bool, Failed<P, S>> {
        let mut start = [0; 4];
        flash::read(&mut self.secondary, 0, &mut start)
            .await
            .map_err(Error::SecondaryFlash)?;
        Ok(u32::from_le_bytes(start) == super::image::MAGIC)
    }

    /// Sees to it that the next boot goes back from an image that was confirmed, or cannot be.
    pub(super) async fn request_way_back(&mut self) -> Result<(), Failed<P, S>> {
        let old = match M::KIND {
            Kind::Overwrite => return Err(Error::NoWayBack),
            Kind::Move | Kind::Offset | Kind::Scratch | Kind::Xip => self.require_way_back().await?,
        };
        let cells = match M::KIND {
            Kind::Move | Kind::Scratch | Kind::Overwrite => [(Cell::SwapInfo, PERMANENT), (Cell::ImageOk, SET)],
            // A permanent request would be one for the image at the second sector, and the bootloader would erase the
            // slot because there is one at the first.
            Kind::Offset => [(Cell::SwapInfo, REVERT), (Cell::CopyDone, SET)],
            Kind::Xip => return self.drop_own_trailer().await,
        };
        let now = self.secondary_cells().await?;
        if now.magic() == Magic::Good && cells.iter().all(|(cell, value)| now.value(*cell) == *value) {
            return Ok(());
        }
        self.write_request(&cells, 0, &old, Error::CannotGoBack).await
    }

    /// Direct-xip: without a magic the bootloader erases the running image and takes the other one.
    async fn drop_own_trailer(&mut self) -> Result<(), Failed<P, S>> {
        let cells = self.primary_cells().await?;
        match (cells.magic(), cells.copy_done(), cells.image_ok()) {
            // The next boot erases it anyhow.
            (Magic::Unset | Magic::Bad, _, _) | (Magic::Good, Flag::Set, Flag::Unset | Flag::Bad) => return Ok(()),
            (Magic::Good, _, _) => {}
        }
        let own = self
            .verify_primary(self.layout.max_running_len())
            .await?
            .map_err(Error::CannotGoBack)?;
        let last = self.layout.primary_len.saturating_sub(self.layout.sector_len);
        if own.len > last {
            return Err(Error::CannotGoBack(ImageFault::SharesTrailer));
        }
        self.primary
            .erase(last, self.layout.primary_len)
            .await
            .map_err(Error::PrimaryFlash)?;
        match self.primary_cells().await?.magic() {
            Magic::Unset => Ok(()),
            Magic::Good | Magic::Bad => Err(Error::NotKept { slot: 0 }),
        }
    }

    /// Writes a request for `image`, which starts at `start`, into slot 1's trailer.
    async fn write_request(
        &mut self,
        cells: &[(Cell, u8)],
        start: u32,
        image: &Image,
        shared: fn(ImageFault) -> Failed<P, S>,
    ) -> Result<(), Failed<P, S>> {
        if start.saturating_add(image.len) <= self.layout.secondary_last_sector() {
            // Erased even if it is blank: after a power cut, cells may read as erased and not be.
            self.erase_secondary_cells().await?;
        }
        // Otherwise the image's end is in the same sector, and what is there has to fit.
        let now = self.secondary_cells().await?;
        let asked = |cell: Cell| {
            let wanted = cells
                .iter()
                .find(|(other, _)| *other == cell)
                .map_or(ERASED, |(_, value)| *value);
            now.value(cell) == wanted
        };
        // swap_info decides nothing.
        if now.magic() == Magic::Good && asked(Cell::CopyDone) && asked(Cell::ImageOk) {
            return Ok(());
        }
        let fits = |cell: Cell| {
            let wanted = cells
                .iter()
                .find(|(other, _)| *other == cell)
                .map_or(ERASED, |(_, value)| *value);
            let value = now.value(cell);
            value == ERASED || value == wanted
        };
        if now.magic() != Magic::Unset || ![Cell::SwapInfo, Cell::CopyDone, Cell::ImageOk].into_iter().all(fits) {
            return Err(shared(ImageFault::SharesTrailer));
        }
        let offset = self.layout.secondary_cells_offset();
        for (cell, value) in cells {
            if now.value(*cell) == ERASED {
                flash::write_cell(&mut self.secondary, offset + cell.offset(self.layout.max_align), *value)
                    .await
                    .map_err(Error::SecondaryFlash)?;
            }
        }
        self.write_secondary_magic().await
    }

    /// Makes what was received harmless: first the image loses its header, then the trailer goes. A power cut between the
    /// two leaves at most a request without an image, which the bootloader drops, and never an intact image without its
    /// mark.
    pub(super) async fn withdraw(&mut self) -> Result<(), Failed<P, S>> {
        let start = self.layout.image_offset();
        self.secondary
            .erase(start, start.saturating_add(self.layout.sector_len))
            .await
            .map_err(Error::SecondaryFlash)?;
        self.erase_secondary_cells().await?;
        if self.secondary_cells().await?.is_blank() {
            Ok(())
        } else {
            Err(Error::NotKept { slot: 1 })
        }
    }

    async fn erase_secondary_cells(&mut self) -> Result<(), Failed<P, S>> {
        let last = self.layout.secondary_last_sector();
        self.secondary
            .erase(last, self.layout.secondary_len)
            .await
            .map_err(Error::SecondaryFlash)
    }

    /// The last step of a request.
    pub(super) async fn write_secondary_magic(&mut self) -> Result<(), Failed<P, S>> {
        let max_align = self.layout.max_align;
        let offset = self.layout.secondary_cells_offset() + magic_offset(max_align);
        self.secondary
            .write(offset, MagicArea::new(max_align).bytes())
            .await
            .map_err(Error::SecondaryFlash)?;
        match self.secondary_cells().await?.magic() {
            Magic::Good => Ok(()),
            Magic::Unset | Magic::Bad => Err(Error::NotKept { slot: 1 }),
        }
    }
}
