//! The moments named in the module's documentation under "Limits", in which power cuts are not judged. Each is recognised by
//! what the cut has left in the trailers.

use std::ops::Range;

use mender_testkit::bootloader::{Flag, Magic, Mcuboot, Mode, SwapType, Trailer};
use mender_testkit::image::header_version;
use mender_testkit::module_test::Board;

fn trailers<const WRITE: usize, const SECTOR: usize>(
    mcuboot: &Mcuboot,
    board: &Board<WRITE, SECTOR>,
) -> (Trailer, Trailer) {
    let layout = mcuboot.layout();
    let of = |slot: &Range<u32>| mcuboot.trailer(&board.flash(slot.clone()).to_bytes());
    (of(&layout.slot0), of(&layout.slot1))
}

/// On its way back, the bootloader forgets that it is on one.
pub fn bootloader_forgets<const WRITE: usize, const SECTOR: usize>(
    mcuboot: &Mcuboot,
    board: &Board<WRITE, SECTOR>,
) -> bool {
    let (slot0, slot1) = trailers(mcuboot, board);
    let torn_request = slot1.magic == Magic::Good && slot1.swap_type != SwapType::Test;
    // The torn erase of a permanent request has made one of a test of it.
    let way_back = matches!(slot0.swap_type, SwapType::Permanent | SwapType::Revert)
        && slot0.magic == Magic::Good
        && slot0.copy_done == Flag::Unset;
    let asked_to_stay = way_back && torn_request && slot1.image_ok == Flag::Unset;
    if has_no_note(mcuboot, board) && new_image_stays(mcuboot, board) {
        return true;
    }
    match mcuboot.mode() {
        Mode::Move => asked_to_stay,
        Mode::Scratch { scratch } => {
            let area = mcuboot.trailer(&board.flash(scratch.clone()).to_bytes());
            // The torn erase of the record of an earlier swap has left its progress; the one in the scratch area is torn too.
            let no_record = (slot0.magic, slot0.copy_done) == (Magic::Unset, Flag::Unset) && area.magic != Magic::Good;
            let progress = mcuboot.layout().slot0.end - mcuboot.trailer_len(WRITE as u32);
            let goes_on = no_record && !board.chip().is_blank(progress..progress + WRITE as u32);
            asked_to_stay || goes_on
        }
        // The torn erase of a request to revert has made one of a test of it, with an image in the wrong place.
        Mode::Offset => torn_request && (slot1.image_ok, slot1.copy_done) == (Flag::Unset, Flag::Unset),
        Mode::Overwrite { .. } | Mode::DirectXip => false,
    }
}

/// The image under test is there, but not seen to be under test, and does not revert. Firmware that runs asks for its own way
/// back; firmware that does not get as far cannot.
pub fn bootloader_does_not_revert<const WRITE: usize, const SECTOR: usize>(
    mcuboot: &Mcuboot,
    board: &Board<WRITE, SECTOR>,
) -> bool {
    let (slot0, slot1) = trailers(mcuboot, board);
    // The last write of the test swap was torn.
    let torn =
        |slot: &Trailer| slot.magic == Magic::Good && slot.image_ok == Flag::Unset && slot.copy_done == Flag::Bad;
    match mcuboot.mode() {
        Mode::Move | Mode::Offset | Mode::Scratch { .. } => torn(&slot0) || new_image_stays(mcuboot, board),
        Mode::DirectXip => torn(&slot0) || torn(&slot1),
        Mode::Overwrite { .. } => false,
    }
}

/// Swap modes: slot 0 begins with the new image, nothing asks it to leave, and no record of a revert is left, after two cuts.
fn new_image_stays<const WRITE: usize, const SECTOR: usize>(mcuboot: &Mcuboot, board: &Board<WRITE, SECTOR>) -> bool {
    let (slot0, slot1) = trailers(mcuboot, board);
    // A revert takes the images' first sectors last.
    let layout = mcuboot.layout();
    let version = |slot: &Range<u32>| header_version(&board.flash(slot.clone()).to_bytes());
    let new_is_in_slot0 = matches!(
        (version(&layout.slot0), version(&layout.slot1)),
        (Some(slot0), Some(slot1)) if slot0 > slot1
    );
    let record = match mcuboot.mode() {
        Mode::Move | Mode::Offset => slot0,
        Mode::Scratch { scratch } => {
            // What an erase has left of the scratch area's record counts in place of slot 0's.
            let area = mcuboot.trailer(&board.flash(scratch.clone()).to_bytes());
            if area.magic == Magic::Good { area } else { slot0 }
        }
        Mode::Overwrite { .. } | Mode::DirectXip => return false,
    };
    let leads_back = record.magic == Magic::Good && record.swap_type != SwapType::None;
    new_is_in_slot0 && slot1.magic != Magic::Good && !leads_back
}

/// The images are so large that the module has noted nothing, and takes one that stays so for the old one.
fn has_no_note<const WRITE: usize, const SECTOR: usize>(mcuboot: &Mcuboot, board: &Board<WRITE, SECTOR>) -> bool {
    let slot1 = board.flash(mcuboot.layout().slot1.clone()).to_bytes();
    !slot1
        .chunks(SECTOR)
        .any(|sector| sector.starts_with(b"mender new image"))
}
