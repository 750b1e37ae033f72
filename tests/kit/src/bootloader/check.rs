//! What the bootloader demands of an image, and what it does to one that it refuses.

use super::{BootOutcome, Mcuboot, Mode};
use crate::flash::{FlashError, SimFlash};
use crate::image::{
    FLAG_NON_BOOTABLE, FLAGS_COMPRESSED, FLAGS_ENCRYPTED, HEADER_LEN, ImageInfo, Sizes, Version, header_version,
};

pub(super) enum Verdict {
    Good,
    /// Nothing that is meant to boot: no header at all, or the non-bootable flag.
    NotBootable,
    Bad,
}

/// Version of the image at the start of `bytes`, if it can be executed.
pub(super) fn bootable(bytes: &[u8]) -> Option<Version> {
    ImageInfo::parse(bytes)
        .ok()
        .filter(|image| image.hash_is_right(bytes) && image.flags & FLAG_NON_BOOTABLE == 0)
        .map(|image| image.version)
}

/// Length of the image in a slot, as far as its sizes can be followed.
pub(super) fn image_len(slot: &[u8]) -> Option<u32> {
    Sizes::read(slot).ok().and_then(|sizes| u32::try_from(sizes.len).ok())
}

impl Mcuboot {
    /// Checks an image that starts with `bytes`; more may follow it.
    pub(super) fn check(&self, bytes: &[u8], room: usize) -> Verdict {
        if bytes[..HEADER_LEN].iter().all(|b| *b == 0xff) {
            return Verdict::NotBootable;
        }
        let flags = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
        if header_version(bytes).is_some() && flags & FLAG_NON_BOOTABLE != 0 {
            return Verdict::NotBootable;
        }
        match ImageInfo::parse(bytes) {
            Ok(image)
                if image.len <= room
                    && image.flags & (FLAGS_ENCRYPTED | FLAGS_COMPRESSED) == 0
                    && image.hash_is_right(bytes)
                    && !self.refused.contains(&image.version) =>
            {
                Verdict::Good
            }
            Ok(_) | Err(_) => Verdict::Bad,
        }
    }

    /// Whether slot 1 may be installed; if not, does to it what bootutil does.
    pub(super) fn accept<const WRITE: usize, const SECTOR: usize>(
        &self,
        flash: &SimFlash<WRITE, SECTOR>,
        verdict: Verdict,
        outcome: &mut BootOutcome,
    ) -> Result<bool, FlashError> {
        match verdict {
            Verdict::Good => return Ok(true),
            Verdict::NotBootable => match self.mode {
                Mode::Overwrite { .. } | Mode::DirectXip => {}
                Mode::Move | Mode::Offset | Mode::Scratch { .. } => self.erase_trailer(flash, &self.layout.slot1)?,
            },
            Verdict::Bad => flash.erase_now(self.layout.slot1.clone())?,
        }
        outcome.refused = true;
        Ok(false)
    }
}
