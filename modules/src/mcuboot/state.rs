//! What runs, as far as flash tells. The rules and their reasons are in the documentation of the parent module, "Which
//! image runs?".

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;

use super::image::{self, HASH_LEN, HEADER_LEN, Header, Image, VerifyError, Version};
use super::mode::Mode;
use super::mode::sealed::Kind;
use super::trailer::{Cells, Flag, Magic, PERMANENT, RAN, REVERT, TEST};
use super::{Error, Failed, ImageFault, OldRuns, Restart, ZephyrImage, flash};

/// The image that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    Old(OldRuns),
    New(NewRuns),
}

/// How firmly the new image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewRuns {
    /// It waits for its confirmation. The next boot reverts it, if the mode can.
    UnderTest,
    /// It stays.
    Confirmed,
    /// It cannot be confirmed: a cell of its trailer was torn by a power cut.
    Unconfirmable,
}

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize, M: Mode> ZephyrImage<P, S, R, BUFFER, M> {
    pub(super) async fn running(&mut self) -> Result<Running, Failed<P, S>> {
        match M::KIND {
            Kind::Move | Kind::Offset | Kind::Scratch => self.running_of_swap().await,
            Kind::Overwrite => self.running_of_overwrite().await,
            Kind::Xip => self.running_in_place().await,
        }
    }

    async fn running_of_swap(&mut self) -> Result<Running, Failed<P, S>> {
        let secondary = self.secondary_cells().await?;
        if secondary.swap_info() == TEST {
            return Ok(Running::Old(match secondary.magic() {
                Magic::Good => OldRuns::Pending,
                Magic::Unset | Magic::Bad => OldRuns::NotRequested,
            }));
        }
        let primary = self.primary_cells().await?;
        let state = (primary.magic(), primary.copy_done(), primary.image_ok());
        match self.note_is_of_primary().await? {
            Some(true) => {
                return Ok(Running::New(match state {
                    (Magic::Good, Flag::Set, Flag::Unset) => NewRuns::UnderTest,
                    (Magic::Good, _, Flag::Set) => NewRuns::Confirmed,
                    (Magic::Good | Magic::Unset | Magic::Bad, _, _) => NewRuns::Unconfirmable,
                }));
            }
            Some(false) => {
                return Ok(Running::Old(match (state, primary.swap_info()) {
                    ((Magic::Good, Flag::Set, Flag::Unset), _) => OldRuns::Unsettled,
                    ((Magic::Good, _, _), PERMANENT | REVERT) => OldRuns::Reverted,
                    ((Magic::Good, _, _), TEST) => OldRuns::Refused,
                    ((Magic::Good | Magic::Unset | Magic::Bad, _, _), _) => OldRuns::NotSwapped,
                }));
            }
            None => {}
        }
        let new = match state {
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
        // A swap leaves the old image at the start of slot 1, in swap using offset too.
        Ok(match self.verify_secondary(0, self.layout.max_image_len()).await? {
            Ok(_) => Running::New(new),
            Err(_) => Running::Old(OldRuns::Refused),
        })
    }

    async fn running_of_overwrite(&mut self) -> Result<Running, Failed<P, S>> {
        let primary = self.primary_cells().await?;
        if let (Magic::Good, Flag::Unset) = (primary.magic(), primary.image_ok()) {
            return Ok(Running::New(NewRuns::UnderTest));
        }
        let secondary = self.secondary_cells().await?;
        if self.verify_secondary(0, self.layout.max_image_len()).await?.is_ok() {
            return Ok(Running::Old(match secondary.magic() {
                Magic::Good => OldRuns::Pending,
                Magic::Unset | Magic::Bad => OldRuns::NotRequested,
            }));
        }
        let came_to_run = primary.magic() == Magic::Good
            && (secondary.swap_info() == RAN || self.slots_agree_behind_header().await?);
        Ok(if came_to_run {
            Running::New(NewRuns::Confirmed)
        } else {
            Running::Old(OldRuns::Refused)
        })
    }

    /// Overwrite-only: the part of slot 0's image that is in slot 1 too, if it came from there: all but the first and the last
    /// sector. The bootloader erases these two after it has copied the image, but all of a slot that it refuses. `None` if
    /// the rest is too little to be told from erased flash.
    pub(super) async fn left_in_secondary(&mut self) -> Result<Option<Range<u32>>, Failed<P, S>> {
        // The image runs, so what it states is true.
        let Some((_, len)) = self.stated_primary().await? else {
            return Ok(None);
        };
        let (start, end) = (self.layout.sector_len, len.min(self.layout.secondary_last_sector()));
        // An image ends with a hash or a signature, of which a few bytes may be 0xff.
        Ok((start.saturating_add(HASH_LEN) <= end).then_some(start..end))
    }

    /// Overwrite-only: whether slot 1 still holds what the bootloader leaves of the image that it has copied to slot 0.
    async fn slots_agree_behind_header(&mut self) -> Result<bool, Failed<P, S>> {
        let Some(Range { start, end }) = self.left_in_secondary().await? else {
            return Ok(false);
        };
        let mut piece = [0; 32];
        let mut offset = start;
        while offset < end {
            let here = piece.len().min((end - offset) as usize);
            let Some(piece) = piece.get_mut(..here) else { break };
            flash::read(&mut self.secondary, offset, piece)
                .await
                .map_err(Error::SecondaryFlash)?;
            if !self.matches_primary(offset, piece).await? {
                return Ok(false);
            }
            offset = offset.saturating_add(here as u32);
        }
        Ok(true)
    }

    /// Whether slot 0 holds these bytes at this offset.
    pub(super) async fn matches_primary(&mut self, offset: u32, bytes: &[u8]) -> Result<bool, Failed<P, S>> {
        let mut offset = offset;
        for piece in bytes.chunks(BUFFER) {
            let Some(read) = self.buffer.get_mut(..piece.len()) else {
                return Ok(false);
            };
            flash::read(&mut self.primary, offset, read)
                .await
                .map_err(Error::PrimaryFlash)?;
            if read != piece {
                return Ok(false);
            }
            offset = offset.saturating_add(piece.len() as u32);
        }
        Ok(true)
    }

    async fn running_in_place(&mut self) -> Result<Running, Failed<P, S>> {
        let own = self.primary_cells().await?;
        match (own.magic(), own.copy_done(), own.image_ok()) {
            (Magic::Good, Flag::Set, Flag::Unset) => return Ok(Running::New(NewRuns::UnderTest)),
            (Magic::Good, _, Flag::Set) => {}
            (Magic::Good, _, Flag::Unset | Flag::Bad) | (Magic::Unset | Magic::Bad, _, _) => {
                return Ok(Running::New(NewRuns::Unconfirmable));
            }
        }
        let other = self.secondary_cells().await?;
        let intact = self.verify_secondary(0, self.layout.max_image_len()).await?.is_ok();
        Ok(match (intact, other.magic(), other.image_ok()) {
            // Only an image that runs sets its own image_ok, and it does not run any more.
            (true, Magic::Good, Flag::Set) => Running::New(NewRuns::Confirmed),
            (true, Magic::Good, Flag::Unset | Flag::Bad) => Running::Old(OldRuns::Pending),
            (true, Magic::Unset | Magic::Bad, _) => Running::Old(OldRuns::NotRequested),
            (false, _, _) => Running::Old(OldRuns::Erased),
        })
    }

    /// Refuses to overwrite the only image that the bootloader can go back to.
    pub(super) async fn refuse_while_under_test(&mut self) -> Result<(), Failed<P, S>> {
        let cells = self.primary_cells().await?;
        let state = (cells.magic(), cells.copy_done(), cells.image_ok());
        let may_go_back = match M::KIND {
            Kind::Move | Kind::Offset | Kind::Scratch => state == (Magic::Good, Flag::Set, Flag::Unset),
            // Anything but a confirmed image is erased when it is the only one left.
            Kind::Xip => !matches!(state, (Magic::Good, _, Flag::Set)),
            Kind::Overwrite => false,
        };
        if may_go_back {
            Err(Error::RunningUnconfirmed)
        } else {
            Ok(())
        }
    }

    /// Refuses versions as the mode and the module's options demand.
    pub(super) async fn refuse_version(&mut self, offered: Version) -> Result<(), Failed<P, S>> {
        if M::KIND != Kind::Xip && !self.options.refuse_downgrades {
            return Ok(());
        }
        let mut header = [0; HEADER_LEN];
        flash::read(&mut self.primary, 0, &mut header)
            .await
            .map_err(Error::PrimaryFlash)?;
        // Without a header that can be read there is nothing to compare with.
        let Ok(Header { version: running, .. }) = Header::check(&header, self.layout.primary_len) else {
            return Ok(());
        };
        let builds = self.options.compare_builds;
        if M::KIND == Kind::Xip && offered.compared(builds) <= running.compared(builds) {
            return Err(Error::NotNewer { running, offered });
        }
        if self.options.refuse_downgrades && offered < running {
            return Err(Error::Downgrade { running, offered });
        }
        Ok(())
    }

    /// The old image is intact, and the bootloader would run it. Gives what it is.
    pub(super) async fn require_way_back(&mut self) -> Result<Image, Failed<P, S>> {
        let room = self.layout.max_image_len();
        let old = self.verify_secondary(0, room).await?.map_err(Error::CannotGoBack)?;
        if M::KIND == Kind::Xip {
            let cells = self.secondary_cells().await?;
            if (cells.magic(), cells.image_ok()) != (Magic::Good, Flag::Set) {
                return Err(Error::CannotGoBack(ImageFault::NotConfirmed));
            }
        }
        Ok(old)
    }

    pub(super) async fn primary_cells(&mut self) -> Result<Cells, Failed<P, S>> {
        let mut cells = Cells::new(self.layout.max_align);
        let offset = self.layout.primary_cells_offset();
        flash::read(&mut self.primary, offset, cells.bytes_mut())
            .await
            .map_err(Error::PrimaryFlash)?;
        Ok(cells)
    }

    pub(super) async fn secondary_cells(&mut self) -> Result<Cells, Failed<P, S>> {
        let mut cells = Cells::new(self.layout.max_align);
        let offset = self.layout.secondary_cells_offset();
        flash::read(&mut self.secondary, offset, cells.bytes_mut())
            .await
            .map_err(Error::SecondaryFlash)?;
        Ok(cells)
    }

    /// The image at this offset of slot 1, or what is wrong with it.
    pub(super) async fn verify_secondary(
        &mut self,
        start: u32,
        room: u32,
    ) -> Result<Result<Image, ImageFault>, Failed<P, S>> {
        match image::verify(&mut self.secondary, start, room, &mut self.buffer).await {
            Ok(image) => Ok(Ok(image)),
            Err(VerifyError::Fault(fault)) => Ok(Err(fault)),
            Err(VerifyError::Flash(error)) => Err(Error::SecondaryFlash(error)),
        }
    }

    /// The image in slot 0, or what is wrong with it.
    pub(super) async fn verify_primary(&mut self, room: u32) -> Result<Result<Image, ImageFault>, Failed<P, S>> {
        match image::verify(&mut self.primary, 0, room, &mut self.buffer).await {
            Ok(image) => Ok(Ok(image)),
            Err(VerifyError::Fault(fault)) => Ok(Err(fault)),
            Err(VerifyError::Flash(error)) => Err(Error::PrimaryFlash(error)),
        }
    }
}
