//! What runs, as the content of flash proves, and what the next boot will do. The rules and their reasons are in the
//! documentation of the parent module, "Which image runs?".

use core::future::poll_fn;
use core::task::Poll;

use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};
use sha2::{Digest, Sha256};

use super::error::{Partition, flash, updater};
use super::record::{Hash, RECORD_LEN, Record};
use super::{ALIGN, EmbassyBoot, Error, ImageType, OldRuns};
use crate::Restart;

/// Values of the bytes of STATE's first word, from embassy-boot. Everything else is the state "boot".
const SWAP: u8 = 0xf0;
const REVERT: u8 = 0xc0;
const BOOT: u8 = 0xd0;
const DFU_DETACH: u8 = 0xe0;
const ERASED: u8 = 0xff;
/// What the bootloader writes for each step that is done, and for "the progress is not valid".
const DONE: u8 = !ERASED;

/// The image that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    Old(OldRuns),
    New(NewRuns, Record),
    /// A swap is complete, but what is in flash is not what the record says.
    WithoutWayBack,
}

/// How firmly the new image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewRuns {
    /// The next boot reverts it.
    UnderTest,
    /// The next boot leaves it.
    Kept,
}

/// What the bootloader does with STATE as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextBoot {
    /// Starts what is in ACTIVE.
    Stays { reverted: bool },
    /// Swaps, or goes on with it.
    Swaps,
    /// Swaps back.
    Reverts,
}

impl<A: NorFlash, D: NorFlash, S: NorFlash, R: Restart, T: ImageType, const BUFFER: usize>
    EmbassyBoot<A, D, S, R, T, BUFFER>
{
    pub(super) async fn running(&mut self) -> Result<Running, Error> {
        let next = self.next_boot().await?;
        if self.received().await?.is_some() {
            return Ok(Running::Old(match next {
                NextBoot::Stays { reverted: true } => OldRuns::Reverted,
                NextBoot::Stays { reverted: false } => OldRuns::NotRequested,
                NextBoot::Swaps | NextBoot::Reverts => OldRuns::Pending,
            }));
        }
        if let Some(record) = self.record_in_active().await? {
            let (page, len) = (self.layout.page_len, self.layout.active_len);
            let previous = hash(Partition::Dfu, &mut self.dfu, &mut self.buffer.0, page, len).await?;
            if previous == record.previous {
                return Ok(Running::New(
                    match next {
                        NextBoot::Reverts => NewRuns::UnderTest,
                        NextBoot::Stays { .. } | NextBoot::Swaps => NewRuns::Kept,
                    },
                    record,
                ));
            }
        }
        Ok(match next {
            NextBoot::Reverts => Running::WithoutWayBack,
            NextBoot::Stays { .. } | NextBoot::Swaps => Running::Old(OldRuns::NotReceived),
        })
    }

    /// The record of the intact image in DFU that was never swapped, or was swapped back.
    pub(super) async fn received(&mut self) -> Result<Option<Record>, Error> {
        let Some(record) = self.record_in_dfu().await? else {
            return Ok(None);
        };
        let image = hash(Partition::Dfu, &mut self.dfu, &mut self.buffer.0, 0, record.image_len);
        Ok((image.await? == record.image).then_some(record))
    }

    pub(super) async fn hash_active(&mut self, len: u32) -> Result<Hash, Error> {
        hash(Partition::Active, &mut self.active, &mut self.buffer.0, 0, len).await
    }

    pub(super) async fn record_in_dfu(&mut self) -> Result<Option<Record>, Error> {
        let mut bytes = [0; RECORD_LEN];
        let offset = self.layout.record_offset();
        self.dfu.read(offset, &mut bytes).await.map_err(flash(Partition::Dfu))?;
        Ok(Record::from_bytes(&bytes, offset))
    }

    async fn record_in_active(&mut self) -> Result<Option<Record>, Error> {
        let mut bytes = [0; RECORD_LEN];
        let offset = self.layout.record_offset();
        self.active
            .read(offset, &mut bytes)
            .await
            .map_err(flash(Partition::Active))?;
        Ok(Record::from_bytes(&bytes, offset))
    }

    pub(super) async fn next_boot(&mut self) -> Result<NextBoot, Error> {
        let magic = self.word(0).await?;
        let is = |byte: u8| magic.iter().all(|b| *b == byte);
        if !is(SWAP) {
            return Ok(NextBoot::Stays { reverted: is(REVERT) });
        }
        if self.word(1).await?.iter().any(|b| *b != ERASED) {
            // With an invalid progress the bootloader copies nothing and sets its state to "revert".
            return Ok(NextBoot::Stays { reverted: false });
        }
        for step in 0..self.layout.swap_steps() {
            // A step counts as done when no byte of its word is erased.
            if self.word(2 + step).await?.contains(&ERASED) {
                return Ok(NextBoot::Swaps);
            }
        }
        Ok(NextBoot::Reverts)
    }

    /// Requests a swap for the next boot.
    pub(super) async fn mark_updated(&mut self) -> Result<(), Error> {
        self.tidy_state().await?;
        let part = Partition::State;
        self.firmware_state().mark_updated().await.map_err(updater(part))?;
        match self.next_boot().await? {
            NextBoot::Swaps => Ok(()),
            NextBoot::Stays { .. } | NextBoot::Reverts => Err(Error::NotKept(part)),
        }
    }

    /// Makes the next boot leave everything as it is.
    ///
    /// embassy-boot's own way writes "boot" into an erased STATE, where a power cut may leave "swap" instead: a request to
    /// swap images that are swapped already. Behind a progress that is not valid that word makes the bootloader copy nothing.
    pub(super) async fn mark_booted(&mut self) -> Result<(), Error> {
        if !self.magic_is(BOOT).await? {
            self.clear_state().await?;
            self.write_word(1, DONE).await?;
            self.write_word(0, BOOT).await?;
        }
        match self.next_boot().await? {
            NextBoot::Stays { .. } => Ok(()),
            NextBoot::Swaps | NextBoot::Reverts => Err(Error::NotKept(Partition::State)),
        }
    }

    /// Makes the next boot swap back although the image was confirmed: leaves STATE as the bootloader does after a swap. The
    /// word that makes it one is written last.
    pub(super) async fn mark_swapped(&mut self) -> Result<(), Error> {
        self.clear_state().await?;
        for step in 0..self.layout.swap_steps() {
            self.write_word(2 + step, DONE).await?;
        }
        self.write_word(0, SWAP).await?;
        match self.next_boot().await? {
            NextBoot::Reverts => Ok(()),
            NextBoot::Stays { .. } | NextBoot::Swaps => Err(Error::NotKept(Partition::State)),
        }
    }

    /// Erases STATE. See "Limits" in the documentation of the parent module for what a torn erase can do.
    ///
    /// An erase only sets bits, so it can tear "revert" and "boot" into "swap", a request of steps that were never done.
    /// Therefore the second word says first that the progress is not valid, as embassy-boot has it, wherever the first one
    /// can become "swap". Any other is erased, or what an earlier torn erase has left: there chips with error correction
    /// can refuse a write, and there is nothing to protect.
    ///
    /// A second word of one byte can be erased before the first is. But flash that is written by the byte lets bits be
    /// cleared at any time: there the first one is made zero beforehand, and a "swap" is over with a single write.
    async fn clear_state(&mut self) -> Result<(), Error> {
        if self.word(0).await?.iter().all(|b| b & !SWAP == 0) {
            if S::WRITE_SIZE == 1 {
                self.write_word(0, DONE).await?;
            }
            if self.word(1).await?.iter().all(|b| *b == ERASED) {
                self.write_word(1, DONE).await?;
            }
        }
        self.erase_state().await
    }

    async fn magic_is(&mut self, byte: u8) -> Result<bool, Error> {
        Ok(self.word(0).await?.iter().all(|b| *b == byte))
    }

    /// A power cut within an erase leaves words that chips with error correction refuse to write. embassy-boot writes the second
    /// one before it erases, if it reads as erased; then everything but a tidy state is erased first. Only while no swap is
    /// pending or under test.
    async fn tidy_state(&mut self) -> Result<(), Error> {
        if self.word(1).await?.iter().any(|b| *b != ERASED) {
            return Ok(());
        }
        let magic = self.word(0).await?;
        let known = [BOOT, REVERT, DFU_DETACH];
        let mut tidy = known.iter().any(|byte| magic.iter().all(|b| b == byte));
        for index in 2..self.layout.state_len / self.layout.word_len {
            tidy = tidy && self.word(index).await?.iter().all(|b| *b == ERASED);
        }
        if tidy { Ok(()) } else { self.clear_state().await }
    }

    async fn erase_state(&mut self) -> Result<(), Error> {
        self.state
            .erase(0, self.layout.state_len)
            .await
            .map_err(flash(Partition::State))
    }

    async fn write_word(&mut self, index: u32, byte: u8) -> Result<(), Error> {
        self.aligned.0.fill(byte);
        let offset = index.saturating_mul(self.layout.word_len);
        match self.aligned.0.get(..S::WRITE_SIZE) {
            Some(word) => self.state.write(offset, word).await.map_err(flash(Partition::State)),
            None => Err(Error::NotKept(Partition::State)),
        }
    }

    /// One of the words that the bootloader counts in; read with what the read unit demands around it.
    async fn word(&mut self, index: u32) -> Result<&[u8], Error> {
        let unit = S::READ_SIZE.max(S::WRITE_SIZE);
        let offset = index.saturating_mul(self.layout.word_len) as usize;
        let start = offset - offset % unit;
        let Some(window) = self.aligned.0.get_mut(..unit) else {
            return Err(Error::NotKept(Partition::State));
        };
        self.state
            .read(start as u32, window)
            .await
            .map_err(flash(Partition::State))?;
        let skip = offset - start;
        Ok(window.get(skip..skip + S::WRITE_SIZE).unwrap_or_default())
    }
}

/// The hash of a range. `offset` is a multiple of [`ALIGN`]; up to `ALIGN - 1` bytes behind the range are read too.
pub(super) async fn hash<F: ReadNorFlash>(
    part: Partition,
    from: &mut F,
    buffer: &mut [u8],
    offset: u32,
    len: u32,
) -> Result<Hash, Error> {
    let mut hash = Sha256::new();
    let (mut offset, mut left) = (offset, len as usize);
    while left > 0 {
        let now = left.min(buffer.len());
        let Some(window) = buffer.get_mut(..now.next_multiple_of(ALIGN)) else {
            return Err(Error::NotKept(part));
        };
        from.read(offset, window).await.map_err(flash(part))?;
        // A whole partition takes long, and a driver for internal flash never waits: others get their turn here.
        yield_now().await;
        hash.update(window.get(..now).unwrap_or_default());
        offset = offset.saturating_add(now as u32);
        left -= now;
    }
    Ok(hash.finalize().into())
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
