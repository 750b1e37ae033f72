//! Both slots and the buffer: the only place that reads and writes flash. Depends on all that is pure.

use core::future::poll_fn;
use core::marker::PhantomData;
use core::pin::pin;

use embedded_storage_async::nor_flash::NorFlash;

use super::change::{Action, Change, NOTE_LEN, is_noted};
use super::decide::{
    Facts, Fingerprint, Known, Need, Op, Step, Then, decide, fingerprint, left_in_secondary, place_of,
};
use super::error::{Error, Fault, Numbers, Stop};
use super::image::Examiner;
use super::layout::Geometry;
use super::mode::Mode;
use super::slot::Slot;
use super::trailer::Cells;
use crate::apart::poll_apart;
use crate::hasher::Hash;

/// The slots of a device.
pub(super) struct Slots<P, S, const BUFFER: usize, M> {
    pub(super) geometry: Geometry,
    pub(super) primary: P,
    pub(super) secondary: S,
    /// What was read last, or is to be written.
    pub(super) buffer: [u8; BUFFER],
    pub(super) numbers: Numbers,
    /// What this run of the firmware has received; unknown after a restart.
    received: Option<Fingerprint>,
    mode: PhantomData<M>,
}

/// One flash operation, on bytes of the buffer.
#[derive(Clone, Copy)]
pub(super) enum Io {
    Read,
    Write,
    /// To this offset.
    Erase,
}

impl<P: NorFlash, S: NorFlash, const BUFFER: usize, M: Mode> Slots<P, S, BUFFER, M> {
    /// For both slots. Powers of two, so a multiple of the larger is one of the smaller.
    const READ_UNIT: u32 = if P::READ_SIZE > S::READ_SIZE {
        P::READ_SIZE as u32
    } else {
        S::READ_SIZE as u32
    };

    pub(super) fn new(geometry: Geometry, primary: P, secondary: S) -> Self {
        Slots {
            geometry,
            primary,
            secondary,
            buffer: [0; BUFFER],
            numbers: Numbers::NONE,
            received: None,
            mode: PhantomData,
        }
    }

    pub(super) async fn io(&mut self, slot: Slot, io: Io, offset: u32, end: u32) -> Result<(), Stop> {
        let len = end.saturating_sub(offset) as usize;
        // Callers stay below the length of the buffer.
        let bytes = self.buffer.get_mut(..len).unwrap_or_default();
        match slot {
            Slot::Primary => match io {
                Io::Read => self.primary.read(offset, bytes).await,
                Io::Write => self.primary.write(offset, bytes).await,
                Io::Erase => self.primary.erase(offset, end).await,
            }
            .map_err(|error| self.numbers.flash(slot, &error)),
            Slot::Secondary => match io {
                Io::Read => self.secondary.read(offset, bytes).await,
                Io::Write => self.secondary.write(offset, bytes).await,
                Io::Erase => self.secondary.erase(offset, end).await,
            }
            .map_err(|error| self.numbers.flash(slot, &error)),
        }
    }

    /// Reads `len` bytes, or as many of them as the buffer holds beside what the read unit demands around them: at least 32.
    pub(super) async fn read(&mut self, slot: Slot, offset: u32, len: u32) -> Result<&[u8], Stop> {
        let skip = offset % Self::READ_UNIT;
        let len = len.min((BUFFER as u32).saturating_sub(skip));
        let end = offset.saturating_add(len).checked_next_multiple_of(Self::READ_UNIT);
        self.io(slot, Io::Read, offset - skip, end.unwrap_or(u32::MAX)).await?;
        Ok(Self::read_at(&self.buffer, offset, len as usize))
    }

    /// What was read from this offset, so many bytes: again, as other fields are needed beside it.
    pub(super) fn read_at(buffer: &[u8; BUFFER], offset: u32, len: usize) -> &[u8] {
        let skip = (offset % Self::READ_UNIT) as usize;
        buffer.get(skip..skip + len).unwrap_or_default()
    }

    pub(super) async fn erase(&mut self, slot: Slot, from: u32, to: u32) -> Result<(), Stop> {
        self.io(slot, Io::Erase, from, to).await
    }

    /// What the trailer of a slot says.
    pub(super) async fn cells(&mut self, slot: Slot) -> Result<Cells, Stop> {
        let max_align = self.geometry.max_align.into();
        let mut cells = Cells::NONE;
        let mut offset = self.geometry.cells_offset(slot);
        for part in 0..Cells::PARTS {
            let len = Cells::part_len(part, max_align);
            cells.read(part, self.read(slot, offset, len).await?, max_align);
            offset = offset.saturating_add(len);
        }
        Ok(cells)
    }

    /// Looks at an image that starts at `start`.
    pub(super) async fn examine(
        &mut self,
        slot: Slot,
        start: u32,
        examiner: &mut Examiner,
    ) -> Result<Result<(), Fault>, Stop> {
        loop {
            let (offset, len) = examiner.wants();
            let offset = start.saturating_add(offset);
            let len = self.read(slot, offset, len).await?.len();
            let bytes = Self::read_at(&self.buffer, offset, len);
            match examiner.take(bytes, &mut self.numbers) {
                Ok(false) => {}
                Ok(true) => return Ok(Ok(())),
                Err(fault) => return Ok(Err(fault)),
            }
        }
    }

    /// The hash of so many bytes, whatever they are.
    pub(super) async fn hash(&mut self, slot: Slot, start: u32, len: u32) -> Result<Hash, Stop> {
        let mut examiner = Examiner::of_range(0, len);
        match self.examine(slot, start, &mut examiner).await? {
            // It finds nothing wrong with bytes.
            Ok(()) | Err(_) => Ok(examiner.image.hash),
        }
    }

    /// Adds to these bytes, modulo 256, those of the image that runs, from an offset on.
    #[cfg(feature = "delta")]
    pub(super) async fn add_running(&mut self, from: u32, bytes: &mut [u8]) -> Result<(), Stop> {
        let (mut from, mut rest) = (from, bytes);
        while !rest.is_empty() {
            let old = self.read(Slot::Primary, from, rest.len() as u32).await?;
            let (now, later) = rest.split_at_mut(old.len().min(rest.len()));
            for (byte, old) in now.iter_mut().zip(old) {
                *byte = byte.wrapping_add(*old);
            }
            from = from.saturating_add(now.len() as u32);
            rest = later;
        }
        Ok(())
    }

    /// Makes a change, and gives the trailer as it reads then. `note` is the hash to be noted.
    pub(super) async fn change(&mut self, change: Change, note: &Hash) -> Result<Cells, Stop> {
        let slot = change.slot;
        let unit = match slot {
            Slot::Primary => P::WRITE_SIZE,
            Slot::Secondary => S::WRITE_SIZE,
        };
        let mut place = 0;
        loop {
            let step = change.action(place, &self.geometry, unit as u32, note, &mut self.buffer);
            let io = match step {
                Some((Action::Nothing, ..)) => None,
                Some((Action::Erase, offset, len)) => Some((Io::Erase, offset, len)),
                Some((Action::Write, offset, len)) => Some((Io::Write, offset, len)),
                Some((Action::CheckNote, offset, len)) => {
                    let bytes = self.read(slot, offset, len).await?;
                    if is_noted(bytes, note) != Some(true) {
                        return Err(Stop::NotKept(slot));
                    }
                    None
                }
                Some((Action::Check, ..)) | None => {
                    let now = self.cells(slot).await?;
                    if step.is_none() {
                        return change.check(now).map(|()| now);
                    }
                    change.check_erased(now)?;
                    None
                }
            };
            if let Some((io, offset, len)) = io {
                self.io(slot, io, offset, offset.saturating_add(len)).await?;
            }
            place += 1;
        }
    }

    /// Does what an operation takes.
    pub(super) async fn perform(&mut self, op: Op) -> Result<(), Error> {
        match self.try_perform(op).await {
            Ok(()) => Ok(()),
            Err(stop) => Err(self.numbers.error(stop)),
        }
    }

    pub(super) async fn try_perform(&mut self, op: Op) -> Result<(), Stop> {
        let mut facts = Facts::new(self.received);
        match op {
            Op::MayReceive | Op::Discard => self.received = None,
            Op::Prepare(_)
            | Op::Same(_)
            | Op::Received(_)
            | Op::Install
            | Op::CheckSwapped
            | Op::Confirm
            | Op::Revert
            | Op::CheckReverted => {}
        }
        // Both trailers first. Changes give what a trailer says anyhow, so this takes no code of its own.
        let mut step = Ok(Step::Change(Change::look(Slot::Secondary), Then::LookAtPrimary));
        loop {
            let need = match step {
                Ok(Step::Done) => break,
                Ok(Step::Refuse(stop)) => return Err(stop),
                Ok(Step::Change(change, then)) => {
                    let now = {
                        let mut change = pin!(self.change(change, &facts.hash));
                        poll_fn(|cx| poll_apart(change.as_mut(), cx)).await?
                    };
                    facts.saw(change.slot, now);
                    step = match then {
                        Then::Done => break,
                        Then::Again => decide(M::KIND, op, &facts, &self.geometry),
                        Then::LookAtPrimary => Ok(Step::Change(Change::look(Slot::Primary), Then::Again)),
                    };
                    continue;
                }
                Err(need) => need,
            };
            let (slot, start, mut examiner) = match need {
                Need::Image => self.examiner(op, Slot::Secondary, true),
                Need::Own => self.examiner(op, Slot::Primary, false),
                Need::OwnHashed => self.examiner(op, Slot::Primary, true),
                Need::Left(slot) => {
                    let (from, to) = left_in_secondary(&facts.own, &self.geometry).unwrap_or_default();
                    (slot, 0, Examiner::of_range(from, to))
                }
            };
            let checked = self.examine(slot, start, &mut examiner).await?;
            let image = &examiner.image;
            let known = Known {
                checked: Some(checked),
                len: image.len,
            };
            match need {
                Need::Own | Need::OwnHashed => {
                    facts.own = known;
                    facts.same = facts.hash == image.hash;
                    if let (Ok(()), Some(offset)) = (checked, self.geometry.note(M::KIND, 0)) {
                        let note = self.read(Slot::Secondary, offset, NOTE_LEN).await?;
                        facts.note = is_noted(note, &examiner.image.hash);
                    }
                }
                Need::Image => {
                    facts.image = known;
                    facts.hash = image.hash;
                }
                Need::Left(slot) => facts.has_left(slot, fingerprint(&image.hash)),
            }
            step = decide(M::KIND, op, &facts, &self.geometry);
        }
        if let Op::Received(_) = op {
            self.received = Some(fingerprint(&facts.hash));
        }
        Ok(())
    }

    /// Slot, start and examiner of an image that an operation asks for.
    fn examiner(&self, op: Op, slot: Slot, thorough: bool) -> (Slot, u32, Examiner) {
        let (start, room) = place_of(op, slot, thorough, &self.geometry);
        (slot, start, Examiner::new(room, thorough))
    }
}
