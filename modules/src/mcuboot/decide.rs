//! What runs, and what to do about it: every decision after a download, as a function of facts. Pure; depends on errors, images,
//! layout, modes, trailer and changes. The rules and their reasons are in the documentation of the parent module, "Which image
//! runs?".
//!
//! [`decide`] is called with the facts that are known. It gives the next step, or names the fact that it needs. So a fact that
//! costs much, such as a hash, is found out only where it decides.

use super::change::{Change, Request, Values, request};
use super::error::{Fault, OldRuns, Stop};
use super::image::HASH_LEN;
use super::layout::Geometry;
use super::mode::sealed::Kind;
use super::slot::Slot;
use super::trailer::{CELLS, Cells, ERASED, Flag, Magic, PERMANENT, RAN, REVERT, SET, TEST};
use crate::hasher::Hash;

/// What is asked for: the steps of a download beside the data, and one for each state after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// May slot 1 be overwritten?
    MayReceive,
    /// Makes room for a file of this length.
    Prepare(u32),
    /// All of a file of this length was what slot 0 holds.
    Same(u32),
    /// Verifies what came in a file of this length, and marks it as received.
    Received(u32),
    Install,
    CheckSwapped,
    Confirm,
    Revert,
    CheckReverted,
    Discard,
}

/// What is known of an image.
pub(super) struct Known {
    /// What it is, or what is wrong with it; `None`: nothing was found out.
    pub(super) checked: Option<Result<(), Fault>>,
    pub(super) len: u32,
}

impl Known {
    pub(super) const NOTHING: Known = Known { checked: None, len: 0 };

    /// What is wrong with it.
    fn fault(&self, need: Need) -> Result<Option<Fault>, Need> {
        match self.checked {
            Some(checked) => Ok(checked.err()),
            None => Err(need),
        }
    }
}

/// As much of a hash as tells images of one device apart.
pub(super) type Fingerprint = [u8; 8];

/// The first bytes of a hash.
pub(super) fn fingerprint(hash: &Hash) -> Fingerprint {
    hash.first_chunk().copied().unwrap_or_default()
}

/// What is known. Everything but the first three is found out when it is needed.
pub(super) struct Facts {
    pub(super) primary: Cells,
    pub(super) secondary: Cells,
    /// What this run of the firmware has received.
    pub(super) received: Option<Fingerprint>,
    /// The image in slot 1 that matters: the new one before a swap, the old one after it.
    pub(super) image: Known,
    /// The image in slot 0. If it was not hashed, it is what it states; the image runs, so that is true.
    pub(super) own: Known,
    /// Both are the same, as far as their hashes tell.
    pub(super) same: bool,
    /// The hash of the first.
    pub(super) hash: Hash,
    /// Whether slot 0 holds the image of the note, if there is a note; known with its image.
    pub(super) note: Option<bool>,
    /// Overwrite-only: what slot 0 and slot 1 hold where [`left_in_secondary`] says.
    pub(super) left: [Option<Fingerprint>; 2],
}

impl Facts {
    /// Before anything was looked at.
    pub(super) fn new(received: Option<Fingerprint>) -> Facts {
        Facts {
            primary: Cells::NONE,
            secondary: Cells::NONE,
            received,
            image: Known::NOTHING,
            own: Known::NOTHING,
            same: false,
            hash: Hash::default(),
            note: None,
            left: [None; 2],
        }
    }

    /// Takes what a slot holds of the image that was copied.
    pub(super) const fn has_left(&mut self, slot: Slot, hash: Fingerprint) {
        let [own, other] = &mut self.left;
        match slot {
            Slot::Primary => *own = Some(hash),
            Slot::Secondary => *other = Some(hash),
        }
    }

    /// Takes what a trailer says.
    pub(super) const fn saw(&mut self, slot: Slot, cells: Cells) {
        match slot {
            Slot::Primary => self.primary = cells,
            Slot::Secondary => self.secondary = cells,
        }
    }
}

/// A fact that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Image,
    /// The image in slot 0, as it states it, and what the note says of it.
    Own,
    /// The same, hashed.
    OwnHashed,
    /// What a slot holds of the image that was copied from slot 1 to slot 0.
    Left(Slot),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    Refuse(Stop),
    Change(Change, Then),
}

/// What follows a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Done,
    /// The next decision.
    Again,
    /// Before any decision.
    LookAtPrimary,
}

/// The image that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Old(OldRuns),
    New(NewRuns),
}

/// How firmly the new image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewRuns {
    /// It waits for its confirmation. The next boot reverts it, if the mode can.
    UnderTest,
    /// It stays.
    Confirmed,
    /// It cannot be confirmed: a cell of its trailer was torn by a power cut.
    Unconfirmable,
}

impl From<Stop> for Step {
    fn from(stop: Stop) -> Step {
        Step::Refuse(stop)
    }
}

/// The next step of an operation.
#[inline(never)]
pub(super) fn decide(kind: Kind, op: Op, facts: &Facts, geometry: &Geometry) -> Result<Step, Need> {
    let reverts = kind != Kind::Overwrite;
    let runs = match op {
        Op::MayReceive | Op::Prepare(_) | Op::Same(_) | Op::Received(_) => return receive(kind, op, facts, geometry),
        Op::Install => return install(kind, facts),
        Op::Discard => return discard(kind, facts, geometry),
        Op::CheckSwapped | Op::Confirm | Op::Revert | Op::CheckReverted => running(kind, facts, geometry)?,
    };
    Ok(match (op, runs) {
        (Op::Confirm, Running::New(NewRuns::UnderTest)) => match mark_that_it_ran(kind, facts, geometry)? {
            Some(change) => Step::Change(change, Then::Again),
            None => confirm(kind, facts.primary),
        },
        (Op::CheckSwapped | Op::Revert, Running::New(NewRuns::UnderTest)) if reverts => match no_way_back(kind, facts)?
        {
            None => Step::Done,
            Some(fault) => Stop::CannotGoBack(fault).into(),
        },
        (Op::CheckSwapped, Running::New(NewRuns::UnderTest)) | (Op::Confirm, Running::New(NewRuns::Confirmed)) => {
            Step::Done
        }
        (Op::CheckSwapped, Running::New(NewRuns::Confirmed)) => Stop::AlreadyConfirmed.into(),
        (Op::CheckSwapped | Op::Confirm, Running::New(NewRuns::Unconfirmable)) => Stop::Unconfirmable.into(),
        (Op::CheckSwapped | Op::Confirm, Running::Old(why)) => Stop::OldRuns(why).into(),
        (Op::Revert, Running::New(_)) => request_way_back(kind, facts, geometry)?,
        (Op::CheckReverted, Running::New(NewRuns::Confirmed | NewRuns::Unconfirmable)) if reverts => {
            match request_way_back(kind, facts, geometry)? {
                // Sooner or later it is asked for.
                Step::Done => Stop::NewRuns.into(),
                Step::Refuse(stop) => Step::Refuse(stop),
                Step::Change(change, _) => Step::Change(change, Then::Again),
            }
        }
        (Op::CheckReverted, Running::New(_)) => Stop::NewRuns.into(),
        (Op::Revert, Running::Old(OldRuns::Pending)) => Step::Change(Change::withdraw(), Then::Done),
        (Op::CheckReverted, Running::Old(why @ OldRuns::Pending)) => Stop::OldRuns(why).into(),
        // Without this the next boot would bring the new image back.
        (Op::Revert | Op::CheckReverted, Running::Old(OldRuns::Unsettled)) => confirm(kind, facts.primary),
        // Without a magic there is no request; the mark stays, so that the states to come know what runs.
        (
            Op::Revert | Op::CheckReverted,
            Running::Old(
                OldRuns::NotRequested | OldRuns::Refused | OldRuns::Erased | OldRuns::Reverted | OldRuns::NotSwapped,
            ),
        )
        | (
            Op::MayReceive | Op::Prepare(_) | Op::Same(_) | Op::Received(_) | Op::Install | Op::Discard,
            Running::Old(_) | Running::New(_),
        ) => Step::Done,
    })
}

/// Where an image begins that an operation asks for, and how long it may be.
pub(super) fn place_of(op: Op, slot: Slot, thorough: bool, geometry: &Geometry) -> (u32, u32) {
    match (slot, op) {
        (Slot::Secondary, Op::Received(len)) => (geometry.image_offset, len),
        (Slot::Secondary, Op::Install) => (geometry.image_offset, geometry.room),
        (Slot::Secondary, _) => (0, geometry.room),
        (Slot::Primary, Op::Same(len)) => (0, len),
        (Slot::Primary, _) if thorough => (0, geometry.running_room),
        (Slot::Primary, _) => (0, geometry.primary_len),
    }
}

/// Whether slot 1 may be all there is to go back to.
pub(super) fn may_go_back(kind: Kind, primary: Cells) -> bool {
    match kind {
        Kind::Move | Kind::Offset | Kind::Scratch => primary.under_test(),
        // Anything but a confirmed image is erased when it is the only one left.
        Kind::Xip => (primary.magic(), primary.image_ok()) != (Magic::Good, Flag::Set),
        Kind::Overwrite => false,
    }
}

/// Sets image_ok of the running image if its trailer allows it.
pub(super) fn confirm(kind: Kind, primary: Cells) -> Step {
    match (primary.magic(), primary.image_ok()) {
        // It would not start again.
        (Magic::Unset, _) if kind == Kind::Xip => Stop::Unconfirmable.into(),
        (Magic::Unset, _) | (Magic::Good, Flag::Set) => Step::Done,
        (Magic::Good, Flag::Unset) => Step::Change(Change::confirm(), Then::Done),
        (Magic::Good, Flag::Bad) | (Magic::Bad, _) => Stop::Unconfirmable.into(),
    }
}

fn receive(kind: Kind, op: Op, facts: &Facts, geometry: &Geometry) -> Result<Step, Need> {
    let primary = facts.primary;
    Ok(match op {
        // What the flags say is unknown, then.
        Op::MayReceive if primary.magic() == Magic::Good && primary.is_zeroed() => {
            Stop::ErasesToZero(Slot::Primary).into()
        }
        Op::MayReceive if may_go_back(kind, primary) => Stop::RunningUnconfirmed.into(),
        Op::Prepare(len) => match confirm_before_overwriting(kind, primary) {
            Some(change) => Step::Change(change, Then::Again),
            None => Step::Change(Change::prepare(geometry, len), Then::Done),
        },
        Op::Same(_) => match facts.own.fault(Need::OwnHashed)? {
            None => Stop::SameImage.into(),
            Some(fault) => Stop::Image(fault).into(),
        },
        Op::Received(len) => {
            if let Some(fault) = facts.image.fault(Need::Image)? {
                return Ok(Stop::Image(fault).into());
            }
            // There is no note if the file or the old image needs its sector, or if both images are the same.
            let mut is_noted = geometry.note(kind, len).is_some();
            if is_noted {
                let fault = facts.own.fault(Need::Own)?;
                is_noted = fault.is_none() && !facts.same && geometry.note(kind, facts.own.len).is_some();
            }
            match kind {
                Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite => {
                    Step::Change(Change::note(is_noted, [TEST, ERASED, ERASED]), Then::Done)
                }
                Kind::Xip => Step::Done,
            }
        }
        Op::MayReceive
        | Op::Install
        | Op::CheckSwapped
        | Op::Confirm
        | Op::Revert
        | Op::CheckReverted
        | Op::Discard => Step::Done,
    })
}

/// Overwrite-only: after the update an unconfirmed image in slot 0 is the new one, so the old one must not be.
pub(super) fn confirm_before_overwriting(kind: Kind, primary: Cells) -> Option<Change> {
    match (kind, confirm(kind, primary)) {
        (Kind::Overwrite, Step::Change(change, _)) => Some(change),
        // One that cannot be confirmed does not look like one that was just installed either.
        (Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite | Kind::Xip, _) => None,
    }
}

fn install(kind: Kind, facts: &Facts) -> Result<Step, Need> {
    let cells = facts.secondary;
    let marked = match kind {
        Kind::Move | Kind::Offset | Kind::Scratch | Kind::Overwrite => cells.swap_info() == TEST,
        // There is no place for a mark: only the run of the firmware that received the image knows.
        Kind::Xip => facts.received.is_some() && cells.swap_info() == ERASED,
    };
    if may_go_back(kind, facts.primary) {
        return Ok(Stop::RunningUnconfirmed.into());
    }
    // Any other cell that is not erased would make another request of it.
    if cells.magic() == Magic::Bad || !marked || !cells.flags_are_blank() {
        return Ok(Stop::NotReceived.into());
    }
    let fault = facts.image.fault(Need::Image)?;
    let is_another = |received| received != fingerprint(&facts.hash);
    Ok(match fault {
        Some(fault) => Stop::Damaged(fault).into(),
        None if facts.received.is_some_and(is_another) => Stop::Damaged(Fault::WrongHash).into(),
        None if cells.magic() == Magic::Good => Step::Done,
        None => Step::Change(Change::write_magic([ERASED; CELLS]), Then::Done),
    })
}

fn discard(kind: Kind, facts: &Facts, geometry: &Geometry) -> Result<Step, Need> {
    let cells = facts.secondary;
    let never_ran = match kind {
        Kind::Move | Kind::Offset | Kind::Scratch => cells.swap_info() == TEST,
        // Nothing in slot 1 is of use any more, not even what a torn erase left of a request. The mark of an image that came
        // to run was written to an erased sector.
        Kind::Overwrite => !cells.is_blank() && cells.swap_info() != RAN,
        Kind::Xip => matches!(
            running(kind, facts, geometry)?,
            Running::Old(OldRuns::Pending | OldRuns::NotRequested)
        ),
    };
    Ok(if never_ran {
        Step::Change(Change::withdraw(), Then::Done)
    } else {
        Step::Done
    })
}

fn running(kind: Kind, facts: &Facts, geometry: &Geometry) -> Result<Running, Need> {
    match kind {
        Kind::Move | Kind::Offset | Kind::Scratch => running_of_swap(facts),
        Kind::Overwrite => running_of_overwrite(facts, geometry),
        Kind::Xip => running_in_place(facts),
    }
}

/// A new image that no boot has looked at.
fn waiting(secondary: Cells) -> Running {
    Running::Old(match secondary.magic() {
        Magic::Good => OldRuns::Pending,
        Magic::Unset | Magic::Bad => OldRuns::NotRequested,
    })
}

fn running_of_swap(facts: &Facts) -> Result<Running, Need> {
    let (primary, secondary) = (facts.primary, facts.secondary);
    if secondary.swap_info() == TEST {
        return Ok(waiting(secondary));
    }
    let state = (primary.magic(), primary.copy_done(), primary.image_ok());
    facts.own.fault(Need::Own)?;
    let noted = facts.note;
    if noted == Some(false) {
        return Ok(Running::Old(match (state, primary.swap_info()) {
            ((Magic::Good, Flag::Set, Flag::Unset), _) => OldRuns::Unsettled,
            ((Magic::Good, _, _), PERMANENT | REVERT) => OldRuns::Reverted,
            ((Magic::Good, _, _), TEST) => OldRuns::Refused,
            ((Magic::Good | Magic::Unset | Magic::Bad, _, _), _) => OldRuns::NotSwapped,
        }));
    }
    if primary.under_test() {
        return Ok(Running::New(NewRuns::UnderTest));
    }
    if noted == Some(true) {
        return Ok(Running::New(match state {
            (Magic::Good, _, Flag::Set) => NewRuns::Confirmed,
            (Magic::Good | Magic::Unset | Magic::Bad, _, _) => NewRuns::Unconfirmable,
        }));
    }
    let new = match state {
        (Magic::Good, Flag::Set | Flag::Bad, Flag::Set) => NewRuns::Confirmed,
        (Magic::Good, Flag::Set | Flag::Bad, Flag::Bad | Flag::Unset) => NewRuns::Unconfirmable,
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
    Ok(match facts.image.fault(Need::Image)? {
        None => Running::New(new),
        Some(_) => Running::Old(OldRuns::Refused),
    })
}

fn running_of_overwrite(facts: &Facts, geometry: &Geometry) -> Result<Running, Need> {
    let (primary, secondary) = (facts.primary, facts.secondary);
    if (primary.magic(), primary.image_ok()) == (Magic::Good, Flag::Unset) {
        return Ok(Running::New(NewRuns::UnderTest));
    }
    if facts.image.fault(Need::Image)?.is_none() {
        return Ok(waiting(secondary));
    }
    let came_to_run = primary.magic() == Magic::Good
        && (secondary.swap_info() == RAN || {
            facts.own.fault(Need::Own)?;
            left_in_secondary(&facts.own, geometry).is_some() && {
                let [own, other] = facts.left;
                own.ok_or(Need::Left(Slot::Primary))? == other.ok_or(Need::Left(Slot::Secondary))?
            }
        });
    Ok(if came_to_run {
        Running::New(NewRuns::Confirmed)
    } else {
        Running::Old(OldRuns::Refused)
    })
}

fn running_in_place(facts: &Facts) -> Result<Running, Need> {
    let (own, other) = (facts.primary, facts.secondary);
    if own.under_test() {
        return Ok(Running::New(NewRuns::UnderTest));
    }
    if (own.magic(), own.image_ok()) != (Magic::Good, Flag::Set) {
        return Ok(Running::New(NewRuns::Unconfirmable));
    }
    let intact = facts.image.fault(Need::Image)?.is_none();
    Ok(match (intact, other.magic(), other.image_ok()) {
        // Only an image that runs sets its own image_ok, and it does not run any more.
        (true, Magic::Good, Flag::Set) => Running::New(NewRuns::Confirmed),
        (true, Magic::Good | Magic::Unset | Magic::Bad, _) => waiting(other),
        (false, _, _) => Running::Old(OldRuns::Erased),
    })
}

/// Overwrite-only: the part of slot 0's image that is in slot 1 too, if it came from there, as start and end: all but the first
/// and the last sector. The bootloader erases these two after it has copied the image, but all of a slot that it refuses. `None`
/// if the rest is too little to be told from erased flash.
pub(super) fn left_in_secondary(own: &Known, geometry: &Geometry) -> Option<(u32, u32)> {
    if own.checked != Some(Ok(())) {
        return None;
    }
    let len = own.len;
    let (start, end) = (geometry.sector_len, len.min(geometry.last_sector(Slot::Secondary)));
    // An image ends with a hash or a signature, of which a few bytes may be 0xff.
    (start.saturating_add(HASH_LEN) <= end).then_some((start, end))
}

/// Overwrite-only, before the running image is confirmed: leaves a mark in slot 1 if nothing else there will tell later
/// that its image came to run. Until the confirmation the unconfirmed image in slot 0 tells, so that a power cut may come
/// anywhere.
fn mark_that_it_ran(kind: Kind, facts: &Facts, geometry: &Geometry) -> Result<Option<Change>, Need> {
    if kind != Kind::Overwrite || facts.secondary.swap_info() == RAN {
        return Ok(None);
    }
    facts.own.fault(Need::Own)?;
    Ok(left_in_secondary(&facts.own, geometry).is_none().then_some(
        // The bootloader has erased it, but it may have been cut short.
        Change::erase(Slot::Secondary, [RAN, ERASED, ERASED]),
    ))
}

/// Why the old image is not intact, or the bootloader would not run it.
fn no_way_back(kind: Kind, facts: &Facts) -> Result<Option<Fault>, Need> {
    let fault = facts.image.fault(Need::Image)?;
    let cells = facts.secondary;
    Ok(match fault {
        None if kind == Kind::Xip && (cells.magic(), cells.image_ok()) != (Magic::Good, Flag::Set) => {
            Some(Fault::NotConfirmed)
        }
        None | Some(_) => fault,
    })
}

/// Sees to it that the next boot goes back from an image that was confirmed, or cannot be.
fn request_way_back(kind: Kind, facts: &Facts, geometry: &Geometry) -> Result<Step, Need> {
    if kind == Kind::Overwrite {
        return Ok(Stop::NoWayBack.into());
    }
    if let Some(fault) = no_way_back(kind, facts)? {
        return Ok(Stop::CannotGoBack(fault).into());
    }
    let values: Values = match kind {
        Kind::Move | Kind::Scratch | Kind::Overwrite => [PERMANENT, ERASED, SET],
        // A permanent request would be one for the image at the second sector, and the bootloader would erase the
        // slot because there is one at the first.
        Kind::Offset => [REVERT, SET, ERASED],
        Kind::Xip => return drop_own_trailer(facts, geometry),
    };
    let now = facts.secondary;
    let mut asked = values.iter().zip(&now.values).filter(|(wanted, _)| **wanted != ERASED);
    if now.magic() == Magic::Good && asked.all(|(wanted, value)| wanted == value) {
        return Ok(Step::Done);
    }
    Ok(match request(values, facts.image.len, geometry, now) {
        Request::There => Step::Done,
        Request::Write(change) => Step::Change(change, Then::Done),
        Request::Shared => Stop::CannotGoBack(Fault::SharesTrailer).into(),
    })
}

/// Direct-xip: without a magic the bootloader erases the running image and takes the other one.
fn drop_own_trailer(facts: &Facts, geometry: &Geometry) -> Result<Step, Need> {
    let cells = facts.primary;
    match (cells.magic(), cells.copy_done(), cells.image_ok()) {
        // The next boot erases it anyhow.
        (Magic::Unset | Magic::Bad, _, _) | (Magic::Good, Flag::Set, Flag::Unset | Flag::Bad) => {
            return Ok(Step::Done);
        }
        (Magic::Good, _, _) => {}
    }
    Ok(match facts.own.fault(Need::OwnHashed)? {
        None if facts.own.len <= geometry.last_sector(Slot::Primary) => {
            Step::Change(Change::erase(Slot::Primary, [ERASED; CELLS]), Then::Done)
        }
        None => Stop::CannotGoBack(Fault::SharesTrailer).into(),
        Some(fault) => Stop::CannotGoBack(fault).into(),
    })
}
