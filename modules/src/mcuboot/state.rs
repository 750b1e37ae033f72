//! What runs, as far as flash tells, and the changes to slot 1's trailer. The rules and their reasons are in the
//! documentation of the parent module, "Which image runs?".

use embedded_storage_async::nor_flash::NorFlash;

use super::trailer::REVERT;
use super::{
    Cells, Error, Failed, Flag, Hash, IMAGE_OK, ImageFault, MAGIC, MAGIC_AT, Magic, OldRuns, PERMANENT, Restart, SET,
    SWAP_INFO, TEST, VerifyError, ZephyrImage, flash, image,
};

/// The image that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    Old(OldRuns),
    New(NewRuns),
}

/// How firmly the new image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewRuns {
    /// The next boot reverts it.
    UnderTest,
    /// It stays.
    Confirmed,
    /// It stays, although it is not confirmed: a cell of slot 0's trailer was torn by a power cut.
    Unconfirmable,
}

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize> ZephyrImage<P, S, R, BUFFER> {
    pub(super) async fn running(&mut self) -> Result<Running, Failed<P, S>> {
        let secondary = self.secondary_cells().await?;
        if secondary.swap_info() == TEST {
            return Ok(Running::Old(match secondary.magic() {
                Magic::Good => OldRuns::Pending,
                Magic::Unset | Magic::Bad => OldRuns::NotRequested,
            }));
        }
        let primary = self.primary_cells().await?;
        let new = match (primary.magic(), primary.copy_done(), primary.image_ok()) {
            (Magic::Good, Flag::Set, Flag::Unset) => return Ok(Running::New(NewRuns::UnderTest)),
            (Magic::Good, Flag::Set | Flag::Bad, Flag::Set) => NewRuns::Confirmed,
            (Magic::Good, Flag::Set | Flag::Bad, Flag::Bad) | (Magic::Good, Flag::Bad, Flag::Unset) => {
                NewRuns::Unconfirmable
            }
            (Magic::Good, Flag::Unset, _) | (Magic::Unset | Magic::Bad, _, _) => {
                return Ok(Running::Old(OldRuns::NotSwapped));
            }
        };
        match primary.swap_info() {
            PERMANENT | REVERT => return Ok(Running::Old(OldRuns::Reverted)),
            TEST => {}
            _ => return Ok(Running::Old(OldRuns::NotSwapped)),
        }
        Ok(match self.verify_secondary(self.layout.max_image_len()).await? {
            Ok(_) => Running::New(new),
            Err(_) => Running::Old(OldRuns::Refused),
        })
    }

    /// The next boot reverts the running image to the one in slot 1, which therefore must stay.
    pub(super) async fn refuse_while_under_test(&mut self) -> Result<(), Failed<P, S>> {
        let cells = self.primary_cells().await?;
        match (cells.magic(), cells.copy_done(), cells.image_ok()) {
            (Magic::Good, Flag::Set, Flag::Unset) => Err(Error::RunningUnconfirmed),
            (Magic::Good | Magic::Unset | Magic::Bad, _, _) => Ok(()),
        }
    }

    pub(super) async fn require_way_back(&mut self) -> Result<(), Failed<P, S>> {
        let old = self.verify_secondary(self.layout.max_image_len()).await?;
        old.map(drop).map_err(Error::CannotGoBack)
    }

    /// Requests that the slots change places for good. Only while slot 1 holds the old image.
    pub(super) async fn request_swap_back(&mut self) -> Result<(), Failed<P, S>> {
        self.require_way_back().await?;
        let cells = self.secondary_cells().await?;
        if let (Magic::Good, Flag::Set) = (cells.magic(), cells.image_ok()) {
            return Ok(());
        }
        // Erased even if it is blank: after a power cut, cells may read as erased and not be.
        self.erase_secondary_cells().await?;
        let offset = self.layout.secondary_cells_offset();
        for (cell, value) in [(SWAP_INFO, PERMANENT), (IMAGE_OK, SET)] {
            flash::write_cell(&mut self.secondary, offset + cell, value)
                .await
                .map_err(Error::SecondaryFlash)?;
        }
        self.write_secondary_magic().await
    }

    /// Makes what was received harmless: first the image loses its header, then the trailer goes. A power cut between the
    /// two leaves at most a request without an image, which the bootloader drops, and never an intact image without its
    /// mark.
    pub(super) async fn withdraw(&mut self) -> Result<(), Failed<P, S>> {
        self.secondary
            .erase(0, self.layout.sector_len)
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
        let offset = self.layout.secondary_cells_offset() + MAGIC_AT;
        self.secondary
            .write(offset, &MAGIC)
            .await
            .map_err(Error::SecondaryFlash)?;
        match self.secondary_cells().await?.magic() {
            Magic::Good => Ok(()),
            Magic::Unset | Magic::Bad => Err(Error::NotKept { slot: 1 }),
        }
    }

    pub(super) async fn primary_cells(&mut self) -> Result<Cells, Failed<P, S>> {
        let mut cells = Cells([0; _]);
        let offset = self.layout.primary_cells_offset();
        flash::read(&mut self.primary, offset, &mut cells.0)
            .await
            .map_err(Error::PrimaryFlash)?;
        Ok(cells)
    }

    pub(super) async fn secondary_cells(&mut self) -> Result<Cells, Failed<P, S>> {
        let mut cells = Cells([0; _]);
        let offset = self.layout.secondary_cells_offset();
        flash::read(&mut self.secondary, offset, &mut cells.0)
            .await
            .map_err(Error::SecondaryFlash)?;
        Ok(cells)
    }

    /// The hash of the image in slot 1, or what is wrong with it.
    pub(super) async fn verify_secondary(&mut self, room: u32) -> Result<Result<Hash, ImageFault>, Failed<P, S>> {
        match image::verify(&mut self.secondary, room, &mut self.buffer).await {
            Ok(hash) => Ok(Ok(hash)),
            Err(VerifyError::Fault(fault)) => Ok(Err(fault)),
            Err(VerifyError::Flash(error)) => Err(Error::SecondaryFlash(error)),
        }
    }
}
