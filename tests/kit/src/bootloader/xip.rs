//! Direct-xip with revert: the image with the higher version runs where it is. One that was chosen before and has not
//! confirmed itself since, or that has no good magic, is erased, and the other slot's turn comes.

use alloc::vec;

use super::check::{Verdict, bootable};
use super::run::Run;
use super::trailer::{Flag, Magic, SwapType};
use super::{BootOutcome, Mcuboot, read};
use crate::flash::{FlashError, SimFlash};
use crate::image::{Version, header_version};

impl Mcuboot {
    pub(super) fn boot_in_place<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
        outcome: &mut BootOutcome,
    ) -> Result<(), FlashError> {
        let mut left = vec![(0, &self.layout.slot0), (1, &self.layout.slot1)];
        loop {
            // The build number does not count; of two equal ones the first slot's is taken.
            let mut newest: Option<(usize, Version)> = None;
            for (place, (_, range)) in left.iter().enumerate() {
                let Some(version) = header_version(&read(flash, range)?) else {
                    continue;
                };
                let version = Version { build: 0, ..version };
                if newest.is_none_or(|(_, other)| version > other) {
                    newest = Some((place, version));
                }
            }
            let Some((place, _)) = newest else {
                return Ok(());
            };
            let (slot, range) = left.remove(place);
            let content = read(flash, range)?;
            let room = content.len().saturating_sub(self.cells().swap_info() as usize);
            let trailer = self.trailer(&content);
            let chosen_before = trailer.copy_done == Flag::Set;
            if trailer.magic != Magic::Good || (chosen_before && trailer.image_ok != Flag::Set) {
                outcome.refused = true;
                flash.erase_now(range.clone())?;
                continue;
            }
            let run = Run {
                boot: self,
                flash,
                swap_type: SwapType::None,
            };
            // bootutil tries to write a torn cell too and does not mind if it fails.
            if trailer.copy_done == Flag::Unset {
                match run.write_cell(range.end, self.cells().copy_done(), &[1]) {
                    Ok(()) => {}
                    Err(FlashError::PowerLost) => return Err(FlashError::PowerLost),
                    Err(_) => {}
                }
            }
            match self.check(&content, room) {
                Verdict::Good => {
                    outcome.ran = bootable(&content);
                    outcome.slot = slot;
                    return Ok(());
                }
                Verdict::NotBootable | Verdict::Bad => {
                    outcome.refused = true;
                    flash.erase_now(range.clone())?;
                }
            }
        }
    }
}
