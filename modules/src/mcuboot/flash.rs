//! Both slots and the buffer: the only place that reads and writes flash. Depends on all that is pure.

use core::marker::PhantomData;

use embedded_storage_async::nor_flash::NorFlash;

use super::change::{Action, Change, NotSo};
use super::decide::{Checked, Facts, Fingerprint, Need, Op, Refusal, Step, Then, decide, left_in_secondary};
use super::error::{Error, Failed};
use super::image::{Examiner, HASH_LEN, Hash};
use super::layout::{Geometry, Slot};
use super::mode::Mode;
use super::trailer::{CellReader, Cells, ERASED, MAX_ALIGN};

/// The slots of a device.
pub(super) struct Slots<P, S, const BUFFER: usize, M> {
    pub(super) geometry: Geometry,
    pub(super) primary: P,
    pub(super) secondary: S,
    /// What was read last, or is to be written.
    pub(super) buffer: [u8; BUFFER],
    pub(super) mode: PhantomData<M>,
}

/// One flash operation, on bytes of the buffer.
#[derive(Clone, Copy)]
enum Io {
    Read,
    Write,
    /// To this offset.
    Erase,
}

/// What the note begins with.
const TAG: [u8; 16] = *b"mender new image";
/// Tag and hash.
pub(super) const NOTE_LEN: usize = TAG.len() + HASH_LEN as usize;

impl<P: NorFlash, S: NorFlash, const BUFFER: usize, M: Mode> Slots<P, S, BUFFER, M> {
    /// For both slots. Powers of two, so a multiple of the larger is one of the smaller.
    const READ_UNIT: u32 = if P::READ_SIZE > S::READ_SIZE {
        P::READ_SIZE as u32
    } else {
        S::READ_SIZE as u32
    };

    async fn io(&mut self, slot: Slot, io: Io, offset: u32, end: u32) -> Result<(), Failed<P, S>> {
        let len = end.saturating_sub(offset) as usize;
        // Callers stay below the length of the buffer.
        let bytes = self.buffer.get_mut(..len).unwrap_or_default();
        match (slot, io) {
            (Slot::Primary, Io::Read) => self.primary.read(offset, bytes).await.map_err(Error::PrimaryFlash),
            (Slot::Primary, Io::Write) => self.primary.write(offset, bytes).await.map_err(Error::PrimaryFlash),
            (Slot::Primary, Io::Erase) => self.primary.erase(offset, end).await.map_err(Error::PrimaryFlash),
            (Slot::Secondary, Io::Read) => self.secondary.read(offset, bytes).await.map_err(Error::SecondaryFlash),
            (Slot::Secondary, Io::Write) => self.secondary.write(offset, bytes).await.map_err(Error::SecondaryFlash),
            (Slot::Secondary, Io::Erase) => self.secondary.erase(offset, end).await.map_err(Error::SecondaryFlash),
        }
    }

    /// Reads `len` bytes, or as many of them as the buffer holds beside what the read unit demands around them: at least 32.
    pub(super) async fn read(&mut self, slot: Slot, offset: u32, len: u32) -> Result<&[u8], Failed<P, S>> {
        let skip = offset % Self::READ_UNIT;
        let len = len.min((BUFFER as u32).saturating_sub(skip));
        let start = offset - skip;
        let end = offset.saturating_add(len).checked_next_multiple_of(Self::READ_UNIT);
        self.io(slot, Io::Read, start, end.unwrap_or(u32::MAX)).await?;
        let skip = skip as usize;
        Ok(self.buffer.get(skip..skip + len as usize).unwrap_or_default())
    }

    pub(super) async fn erase(&mut self, slot: Slot, from: u32, to: u32) -> Result<(), Failed<P, S>> {
        self.io(slot, Io::Erase, from, to).await
    }

    /// What the trailer of a slot says.
    pub(super) async fn cells(&mut self, slot: Slot) -> Result<Cells, Failed<P, S>> {
        let mut reader = CellReader::new(self.geometry.max_align);
        let cells = self.geometry.cells_offset(slot);
        loop {
            let (offset, len) = reader.wants();
            if len == 0 {
                return Ok(reader.cells());
            }
            reader.take(self.read(slot, cells.saturating_add(offset), len).await?);
        }
    }

    /// Looks at an image that starts at `start` and is at most `room` bytes long, `thorough` or not.
    pub(super) async fn examine(
        &mut self,
        slot: Slot,
        start: u32,
        room: u32,
        thorough: bool,
    ) -> Result<Checked, Failed<P, S>> {
        let mut examiner = Examiner::new(room, thorough);
        loop {
            let (offset, len) = examiner.wants();
            let bytes = self.read(slot, start.saturating_add(offset), len).await?;
            if let Some(known) = examiner.take(bytes).transpose() {
                return Ok(known);
            }
        }
    }

    /// Makes a change, and gives the trailer as it reads then.
    pub(super) async fn change(&mut self, change: Change) -> Result<Cells, Failed<P, S>> {
        let slot = change.slot;
        let unit = match slot {
            Slot::Primary => P::WRITE_SIZE,
            Slot::Secondary => S::WRITE_SIZE,
        };
        let mut step = 0;
        loop {
            match change.action(step, &self.geometry, unit as u32, &mut self.buffer) {
                None => {}
                Some(Action::Erase { from, to }) => self.io(slot, Io::Erase, from, to).await?,
                Some(Action::Write { offset, len }) => {
                    self.io(slot, Io::Write, offset, offset.saturating_add(len)).await?;
                }
                Some(Action::Check) => {
                    let now = self.cells(slot).await?;
                    match change.check(step, &now) {
                        Ok(()) => {}
                        Err(NotSo::ErasesToZero) => return Err(Error::ErasesToZero { slot: slot.number() }),
                        Err(NotSo::NotKept) => return Err(Error::NotKept { slot: slot.number() }),
                    }
                    if step == *Change::STEPS.end() {
                        return Ok(now);
                    }
                }
            }
            step += 1;
        }
    }

    /// Whether a slot holds these bytes at this offset.
    pub(super) async fn matches(&mut self, slot: Slot, offset: u32, bytes: &[u8]) -> Result<bool, Failed<P, S>> {
        let (mut offset, mut bytes) = (offset, bytes);
        while !bytes.is_empty() {
            let read = self.read(slot, offset, bytes.len() as u32).await?;
            let Some(later) = bytes.strip_prefix(read) else {
                return Ok(false);
            };
            offset = offset.saturating_add(read.len() as u32);
            bytes = later;
        }
        Ok(true)
    }

    /// The hash in the note, if there is one.
    async fn noted(&mut self, offset: u32) -> Result<Option<Hash>, Failed<P, S>> {
        let bytes = self.read(Slot::Secondary, offset, NOTE_LEN as u32).await?;
        Ok(bytes.strip_prefix(&TAG).and_then(|hash| hash.try_into().ok()))
    }

    /// Notes a hash.
    pub(super) async fn write_note(&mut self, offset: u32, hash: &Hash) -> Result<(), Failed<P, S>> {
        let len = NOTE_LEN.next_multiple_of(S::WRITE_SIZE);
        let bytes = TAG.iter().chain(hash).chain(&[ERASED; MAX_ALIGN]);
        for (to, from) in self.buffer.iter_mut().take(len).zip(bytes) {
            *to = *from;
        }
        self.io(Slot::Secondary, Io::Write, offset, offset.saturating_add(len as u32)).await?;
        if self.noted(offset).await? == Some(*hash) {
            Ok(())
        } else {
            Err(Error::NotKept { slot: 1 })
        }
    }

    /// Overwrite-only: whether slot 1 still holds what the bootloader leaves of slot 0's image.
    async fn slots_agree(&mut self, range: Option<(u32, u32)>) -> Result<bool, Failed<P, S>> {
        let Some((mut offset, end)) = range else {
            return Ok(false);
        };
        let mut piece = [0; HASH_LEN as usize];
        while offset < end {
            let here = (end - offset).min(piece.len() as u32);
            let piece = piece.get_mut(..here as usize).unwrap_or_default();
            let read = self.read(Slot::Secondary, offset, here).await?;
            for (to, from) in piece.iter_mut().zip(read) {
                *to = *from;
            }
            if !self.matches(Slot::Primary, offset, piece).await? {
                return Ok(false);
            }
            offset = offset.saturating_add(here);
        }
        Ok(true)
    }

    /// Does what an operation takes.
    pub(super) async fn perform(&mut self, op: Op, received: Option<Fingerprint>) -> Result<(), Failed<P, S>> {
        let secondary = self.cells(Slot::Secondary).await?;
        let primary = self.cells(Slot::Primary).await?;
        let mut facts = Facts {
            primary,
            secondary,
            received,
            image: None,
            own: None,
            note: None,
            agree: None,
        };
        loop {
            match decide(M::KIND, op, &facts, &self.geometry) {
                Ok(Step::Done) => return Ok(()),
                Ok(Step::Refuse(refusal)) => return Err(refused(refusal)),
                Ok(Step::Change(change, then)) => {
                    let now = self.change(change).await?;
                    match then {
                        Then::Done => return Ok(()),
                        Then::NewRuns => return Err(Error::NewRuns),
                        Then::Again => match change.slot {
                            Slot::Primary => facts.primary = now,
                            Slot::Secondary => facts.secondary = now,
                        },
                    }
                }
                Err(need) => self.find_out(need, op, &mut facts).await?,
            }
        }
    }

    /// Finds out one fact.
    async fn find_out(&mut self, need: Need, op: Op, facts: &mut Facts) -> Result<(), Failed<P, S>> {
        let Geometry {
            primary_len,
            running_room,
            room,
            image_offset,
            note,
            ..
        } = self.geometry;
        let (slot, start, room, thorough) = match need {
            Need::Image if op == Op::Install => (Slot::Secondary, image_offset, room, true),
            Need::Image => (Slot::Secondary, 0, room, true),
            Need::Own(true) => (Slot::Primary, 0, running_room, true),
            Need::Own(false) | Need::Note => (Slot::Primary, 0, primary_len, false),
            Need::Agree => {
                let range = facts.own.as_ref().and_then(|own| left_in_secondary(own, &self.geometry));
                facts.agree = Some(self.slots_agree(range).await?);
                return Ok(());
            }
        };
        let image = self.examine(slot, start, room, thorough).await?;
        match need {
            Need::Image => facts.image = Some(image),
            Need::Own(_) | Need::Agree => facts.own = Some(image),
            Need::Note => {
                let noted = match note {
                    Some(offset) => self.noted(offset).await?,
                    None => None,
                };
                facts.note = Some(match (noted, image) {
                    (Some(noted), Ok(own)) => Some(noted == own.hash),
                    (Some(_) | None, _) => None,
                });
            }
        }
        Ok(())
    }
}

/// A refusal as the public error.
pub(super) fn refused<P, S>(refusal: Refusal) -> Error<P, S> {
    match refusal {
        Refusal::RunningUnconfirmed => Error::RunningUnconfirmed,
        Refusal::NotReceived => Error::NotReceived,
        Refusal::Damaged(fault) => Error::Damaged(fault),
        Refusal::OldRuns(why) => Error::OldRuns(why),
        Refusal::AlreadyConfirmed => Error::AlreadyConfirmed,
        Refusal::Unconfirmable => Error::Unconfirmable,
        Refusal::CannotGoBack(fault) => Error::CannotGoBack(fault),
        Refusal::NoWayBack => Error::NoWayBack,
        Refusal::NewRuns => Error::NewRuns,
    }
}
