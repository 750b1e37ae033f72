//! Firmware in two slots, with a bootloader that tries new firmware once: correct, and with flaws.

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module;
use mender::update_module::{Failure, Payload};
use mender_testkit::device::ResetLine;
use mender_testkit::flash::{FlashError, Partition};
use mender_testkit::module_test::{Board, ModuleTest, Runs};

use crate::cell::{self, Cell};

pub const LEN: usize = 3000;

/// Bits of the cell: which slot is confirmed; the other one is to be tried; it is being tried; the other one holds what
/// ran before this deployment.
const SLOT: u32 = 1;
const REQUESTED: u32 = 2;
const TRIED: u32 = 4;
const FRESH: u32 = 8;
/// The request is one for good: of [`Flaw::RequestsForGood`] only.
const FOR_GOOD: u32 = 16;

/// What a module does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    ActivatesInDownload,
    ForgetsErase,
    ErasesOnlyIfTheFirstWordIsWritten,
    CommitsNothing,
    ConfirmsInInstall,
    DropsOldInCommit,
    FailureUndoesNothing,
    RollsBackNothing,
    DoesNotRestart,
    Panics,
    RequestsForGood,
    KnowsOneSlot,
    KeepsWhatItHas,
}

#[update_module(
    artifact_type = "slots",
    requires_reboot,
    supports_rollback,
    on(
        download = download,
        install = install,
        reboot | rollback_reboot = restart,
        verify_reboot = verify,
        commit = commit,
        cleanup = cleanup,
        rollback = rollback,
        rollback_verify_reboot = verify_rollback,
        failure = failure,
    )
)]
pub struct Slots<F: NorFlash> {
    pub cell: Cell<F>,
    pub slots: [F; 2],
    pub reset: ResetLine,
    pub flaw: Flaw,
}

fn flash(error: impl core::fmt::Debug) -> Failure {
    Failure::new(format_args!("{error:?}"))
}

impl<F: NorFlash> Slots<F> {
    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        let state = self.cell.get().await.map_err(flash)?;
        if state & TRIED != 0 {
            return Err(Failure::new("the running firmware is not confirmed"));
        }
        // What an earlier deployment may have left.
        let confirmed = state & SLOT;
        self.cell.set(confirmed).await.map_err(flash)?;
        let slot = &mut self.slots[match self.flaw {
            Flaw::KnowsOneSlot => 1,
            _ => 1 - confirmed as usize,
        }];
        // Written last, when all was right.
        let mark = LEN.next_multiple_of(F::WRITE_SIZE) as u32;
        if self.flaw == Flaw::KeepsWhatItHas {
            let mut marked = [0xff; 4];
            slot.read(mark, &mut marked).await.map_err(flash)?;
            if marked == [0; 4] {
                return Ok(payload.finish().await?);
            }
        }
        let mut first = [0; 4];
        slot.read(0, &mut first).await.map_err(flash)?;
        let erases = match self.flaw {
            Flaw::ForgetsErase => false,
            Flaw::ErasesOnlyIfTheFirstWordIsWritten => first != [0xff; 4],
            _ => true,
        };
        if erases {
            slot.erase(0, slot.capacity() as u32).await.map_err(flash)?;
        }
        let mut file = payload
            .next_file()
            .await?
            .ok_or_else(|| Failure::new("the artifact has no file"))?;
        let mut offset = 0;
        let mut rest = Vec::new();
        while let Some(chunk) = file.next_chunk().await? {
            rest.extend_from_slice(chunk);
            let whole = rest.len() / F::WRITE_SIZE * F::WRITE_SIZE;
            slot.write(offset, &rest[..whole]).await.map_err(flash)?;
            offset += whole as u32;
            rest.drain(..whole);
        }
        if !rest.is_empty() {
            rest.resize(F::WRITE_SIZE, 0xff);
            slot.write(offset, &rest).await.map_err(flash)?;
        }
        if self.flaw == Flaw::KeepsWhatItHas {
            slot.write(mark, &[0; 4]).await.map_err(flash)?;
        }
        if self.flaw == Flaw::ActivatesInDownload {
            self.cell.set(1 - confirmed).await.map_err(flash)?;
        }
        Ok(())
    }

    async fn install(&mut self) -> Result<(), Failure> {
        let confirmed = self.cell.get().await.map_err(flash)? & SLOT;
        let state = match self.flaw {
            Flaw::ConfirmsInInstall => (1 - confirmed) | FRESH,
            Flaw::RequestsForGood => confirmed | REQUESTED | FOR_GOOD,
            _ => confirmed | REQUESTED,
        };
        self.cell.set(state).await.map_err(flash)
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        if self.flaw != Flaw::DoesNotRestart {
            self.reset.pull();
        }
        Ok(())
    }

    async fn verify(&mut self) -> Result<(), Failure> {
        assert!(self.flaw != Flaw::Panics, "a module that panics");
        let state = self.cell.get().await.map_err(flash)?;
        let swapped_for_good = self.flaw == Flaw::RequestsForGood && state & FRESH != 0;
        if self.flaw == Flaw::ConfirmsInInstall || swapped_for_good || state & TRIED != 0 {
            Ok(())
        } else {
            Err(Failure::new("the new firmware was not started"))
        }
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        let state = self.cell.get().await.map_err(flash)?;
        let old = (state & SLOT) as usize;
        match self.flaw {
            Flaw::CommitsNothing | Flaw::ConfirmsInInstall | Flaw::RequestsForGood => return Ok(()),
            _ => {}
        }
        self.cell.set((1 - (state & SLOT)) | FRESH).await.map_err(flash)?;
        if self.flaw == Flaw::DropsOldInCommit {
            let slot = &mut self.slots[old];
            slot.erase(0, slot.capacity() as u32).await.map_err(flash)?;
        }
        Ok(())
    }

    async fn cleanup(&mut self) -> Result<(), Failure> {
        let state = self.cell.get().await.map_err(flash)?;
        self.cell.set(state & !FRESH).await.map_err(flash)
    }

    async fn rollback(&mut self) -> Result<(), Failure> {
        if self.flaw == Flaw::RollsBackNothing {
            return Ok(());
        }
        let state = self.cell.get().await.map_err(flash)?;
        let confirmed = if state & FRESH != 0 {
            1 - (state & SLOT)
        } else {
            state & SLOT
        };
        self.cell.set(confirmed).await.map_err(flash)
    }

    async fn verify_rollback(&mut self) -> Result<(), Failure> {
        if self.cell.get().await.map_err(flash)? & (REQUESTED | TRIED | FRESH) == 0 {
            Ok(())
        } else {
            if self.flaw == Flaw::RequestsForGood {
                self.rollback().await?;
            }
            Err(Failure::new("the new firmware runs"))
        }
    }

    async fn failure(&mut self) -> Result<(), Failure> {
        if self.flaw == Flaw::FailureUndoesNothing {
            return Ok(());
        }
        let state = self.cell.get().await.map_err(flash)?;
        if state & (REQUESTED | TRIED) == REQUESTED {
            self.cell.set(state & SLOT).await.map_err(flash)?;
        }
        Ok(())
    }
}

fn cell_of<const W: usize, const S: usize>(board: &Board<W, S>) -> Partition<W, S> {
    board.flash(0..2 * S as u32)
}

fn slot_of<const W: usize, const S: usize>(board: &Board<W, S>, slot: u32) -> Partition<W, S> {
    let len = LEN.next_multiple_of(S) as u32;
    let start = 2 * S as u32 + slot * len;
    board.flash(start..start + len)
}

/// Tries what is to be tried, once, and goes back to what is confirmed after that.
pub fn boot<const W: usize, const S: usize>(board: &Board<W, S>) -> Result<(), FlashError> {
    let cell = cell_of(board);
    let state = cell::read(&cell);
    if state & TRIED != 0 {
        cell::write(board.chip(), &cell, state & SLOT)
    } else if state & FOR_GOOD != 0 {
        cell::write(board.chip(), &cell, (1 - (state & SLOT)) | FRESH)
    } else if state & REQUESTED != 0 {
        cell::write(board.chip(), &cell, state & SLOT | TRIED)
    } else {
        Ok(())
    }
}

pub fn firmware(version: u8) -> Vec<u8> {
    (0..LEN).map(|at| (at as u8).wrapping_mul(version) ^ version).collect()
}

fn runs<const W: usize, const S: usize>(board: &Board<W, S>) -> Runs {
    let state = cell::read(&cell_of(board));
    let slot = if state & TRIED != 0 {
        1 - (state & SLOT)
    } else {
        state & SLOT
    };
    let content = slot_of(board, slot).to_bytes();
    if content[..LEN] == firmware(1) {
        Runs::Old
    } else if content[..LEN] == firmware(2) {
        Runs::New
    } else if content[..LEN] == firmware(3) {
        Runs::Next
    } else {
        Runs::Neither
    }
}

/// The test of the module with a flaw, on any chip.
pub fn test<const W: usize, const S: usize>(flaw: Flaw) -> ModuleTest<Slots<Partition<W, S>>, W, S> {
    ModuleTest::<_, W, S>::on_chip(move |board: &Board<W, S>| Slots {
        cell: Cell::new(cell_of(board)),
        slots: [slot_of(board, 0), slot_of(board, 1)],
        reset: board.reset(),
        flaw,
    })
    .factory(|board| board.chip().patch(slot_of(board, 0).range().start, &firmware(1)))
    .boot(boot)
    .runs(runs)
    .payload(firmware(2))
    .next_payload(firmware(3))
}
