//! The moments named in the module's documentation under "Limits", in which power cuts are not judged. Each is recognised by
//! what the cut has left in the trailers.

use mender_testkit::bootloader::{Flag, Magic, Mcuboot, Mode, SwapType, Trailer};
use mender_testkit::module_test::Board;

fn trailers<const WRITE: usize, const SECTOR: usize>(
    mcuboot: &Mcuboot,
    board: &Board<WRITE, SECTOR>,
) -> (Trailer, Trailer) {
    let layout = mcuboot.layout();
    let of = |slot: &std::ops::Range<u32>| mcuboot.trailer(&board.flash(slot.clone()).to_bytes());
    (of(&layout.slot0), of(&layout.slot1))
}

/// On its way back, the bootloader forgets that it is on one.
pub fn bootloader_forgets<const WRITE: usize, const SECTOR: usize>(
    mcuboot: &Mcuboot,
    board: &Board<WRITE, SECTOR>,
) -> bool {
    let (slot0, slot1) = trailers(mcuboot, board);
    let torn_request = slot1.magic == Magic::Good && slot1.swap_type != SwapType::Test;
    match mcuboot.mode() {
        // The torn erase of a permanent request has made one of a test of it.
        Mode::Move | Mode::Scratch { .. } => {
            let way_back = matches!(slot0.swap_type, SwapType::Permanent | SwapType::Revert)
                && slot0.magic == Magic::Good
                && slot0.copy_done == Flag::Unset;
            way_back && torn_request && slot1.image_ok == Flag::Unset
        }
        // The torn erase of a request to revert has made one of a test of it, with an image in the wrong place.
        Mode::Offset => torn_request && (slot1.image_ok, slot1.copy_done) == (Flag::Unset, Flag::Unset),
        Mode::Overwrite { .. } | Mode::DirectXip => false,
    }
}

/// The last write of a test swap was torn: the image is not seen to be under test, and does not revert. Firmware that runs
/// asks for its own way back; firmware that does not run cannot.
pub fn bootloader_does_not_revert<const WRITE: usize, const SECTOR: usize>(
    mcuboot: &Mcuboot,
    board: &Board<WRITE, SECTOR>,
) -> bool {
    let (slot0, slot1) = trailers(mcuboot, board);
    let not_under_test =
        |slot: &Trailer| slot.magic == Magic::Good && slot.image_ok == Flag::Unset && slot.copy_done == Flag::Bad;
    match mcuboot.mode() {
        Mode::Move | Mode::Offset | Mode::Scratch { .. } => not_under_test(&slot0),
        Mode::DirectXip => not_under_test(&slot0) || not_under_test(&slot1),
        Mode::Overwrite { .. } => false,
    }
}
