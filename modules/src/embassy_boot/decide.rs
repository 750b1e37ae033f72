//! What runs, what the next boot will do, and what to do about it: every decision after a download, as a function of facts. Pure;
//! depends on errors, layout and record. The rules and their reasons are in the documentation of the parent module, "Which image
//! runs?".
//!
//! [`decide`] is called with the facts that are known. It gives the next step, or names the fact that it needs. So a hash is
//! reckoned only where it decides.

use super::error::{OldRuns, Partition, Stop};
use super::layout::Layout;
use crate::hasher::Hash;
use crate::record::Record;

/// Values of the bytes of STATE's first word, from embassy-boot. Everything else is the state "boot".
const SWAP: u8 = 0xf0;
const REVERT: u8 = 0xc0;
const BOOT: u8 = 0xd0;
pub(super) const ERASED: u8 = 0xff;
/// What the bootloader writes for each step that is done, and for "the progress is not valid".
pub(super) const DONE: u8 = !ERASED;

/// What the bytes of one of STATE's words have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The bits that are set in all of them, and in any.
    all: u8,
    any: u8,
    has_erased: bool,
}

impl Word {
    pub(super) fn of(bytes: &[u8]) -> Word {
        let mut word = Word {
            all: ERASED,
            any: 0,
            has_erased: false,
        };
        for byte in bytes {
            word.all &= byte;
            word.any |= byte;
            word.has_erased |= *byte == ERASED;
        }
        word
    }

    /// Whether all bytes are this one.
    pub(super) fn is(self, byte: u8) -> bool {
        self.all == byte && self.any == byte
    }

    /// Whether a torn erase can make "swap" of STATE's first word: an erase only sets bits.
    pub(super) fn can_become_swap(self) -> bool {
        self.any & !SWAP == 0
    }
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

/// What one of STATE's words says of the next boot, read in their order; `None`: the next word has to.
pub(super) fn next_boot(index: u32, word: Word, layout: &Layout) -> Option<NextBoot> {
    match index {
        0 if !word.is(SWAP) => Some(NextBoot::Stays {
            reverted: word.is(REVERT),
        }),
        0 => None,
        // With an invalid progress the bootloader copies nothing and sets its state to "revert".
        1 if !word.is(ERASED) => Some(NextBoot::Stays { reverted: false }),
        1 => None,
        // A step counts as done when no byte of its word is erased.
        _ if word.has_erased => Some(NextBoot::Swaps),
        _ if index > layout.swap_steps() => Some(NextBoot::Reverts),
        _ => None,
    }
}

/// What is to be written to STATE, once it is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Requests a swap for the next boot.
    Updated,
    /// Makes the next boot leave everything as it is.
    ///
    /// embassy-boot's own way writes "boot" into an erased STATE, where a power cut may leave "swap" instead: a request to
    /// swap images that are swapped already. Behind a progress that is not valid that word makes the bootloader copy nothing.
    Booted,
    /// Makes the next boot swap back although the image was confirmed: leaves STATE as the bootloader does after a swap. The
    /// word that makes it one is written last.
    Swapped,
}

impl Mark {
    /// The words that are [`DONE`], first and end, and the bytes of the first word, which comes last.
    pub(super) fn words(self, layout: &Layout) -> (u32, u32, u8) {
        match self {
            Mark::Updated => (0, 0, SWAP),
            Mark::Booted => (1, 2, BOOT),
            Mark::Swapped => (2, layout.swap_steps() + 2, SWAP),
        }
    }

    /// Whether STATE's first word says that nothing is to be written.
    pub(super) fn is_there(self, word: Word) -> bool {
        self == Mark::Booted && word.is(BOOT)
    }

    /// Whether this is what it brings about.
    pub(super) fn leads_to(self, next: NextBoot) -> bool {
        match next {
            NextBoot::Stays { .. } => self == Mark::Booted,
            NextBoot::Swaps => self == Mark::Updated,
            NextBoot::Reverts => self == Mark::Swapped,
        }
    }
}

/// What is asked for: one for each state after the download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Install,
    CheckSwapped,
    Confirm,
    Revert,
    CheckReverted,
    Discard,
}

/// What is known. Everything but the first is found out when it is needed.
pub(super) struct Facts {
    pub(super) next: NextBoot,
    /// The record that was found last.
    pub(super) record: Record,
    /// DFU holds a record and its image: one that was never swapped, or was swapped back.
    pub(super) received: Option<bool>,
    /// ACTIVE holds a record, and DFU what that says it has replaced.
    pub(super) swapped: Option<bool>,
    /// ACTIVE is what an operation wants it to be.
    pub(super) active: Option<bool>,
}

/// A fact that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Received,
    Swapped,
    Active,
}

impl Need {
    /// Where the record is that the fact begins with; ACTIVE is compared with one that was found before.
    pub(super) fn record(self) -> Option<Partition> {
        match self {
            Need::Received => Some(Partition::Dfu),
            Need::Swapped => Some(Partition::Active),
            Need::Active => None,
        }
    }

    /// What the hash that decides is of: the partition, from where on, and how many bytes.
    pub(super) fn range(self, op: Op, record: &Record, layout: &Layout) -> (Partition, u32, u32) {
        match self {
            Need::Received => (Partition::Dfu, 0, record.image_len),
            Need::Swapped => (Partition::Dfu, layout.page_len, layout.active_len),
            Need::Active if op == Op::Install => (Partition::Active, 0, layout.active_len),
            Need::Active => (Partition::Active, 0, record.image_len),
        }
    }

    /// What it is to be.
    pub(super) fn hash(self, op: Op, record: &Record) -> &Hash {
        match self {
            Need::Swapped => &record.previous,
            Need::Active if op == Op::Install => &record.previous,
            Need::Received | Need::Active => &record.image,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    Refuse(Stop),
    Mark(Mark),
    /// The same, and then a refusal.
    MarkAndRefuse(Mark, Stop),
}

/// The image that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Old(OldRuns),
    New(NewRuns),
    /// A swap is complete, but what is in flash is not what the record says.
    WithoutWayBack,
}

/// How firmly the new image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewRuns {
    /// The next boot reverts it.
    UnderTest,
    /// The next boot leaves it.
    Kept,
}

fn running(facts: &Facts) -> Result<Running, Need> {
    let next = facts.next;
    if facts.received.ok_or(Need::Received)? {
        return Ok(Running::Old(match next {
            NextBoot::Stays { reverted: true } => OldRuns::Reverted,
            NextBoot::Stays { reverted: false } => OldRuns::NotRequested,
            NextBoot::Swaps | NextBoot::Reverts => OldRuns::Pending,
        }));
    }
    Ok(match (facts.swapped.ok_or(Need::Swapped)?, next) {
        (true, NextBoot::Reverts) => Running::New(NewRuns::UnderTest),
        (true, NextBoot::Stays { .. } | NextBoot::Swaps) => Running::New(NewRuns::Kept),
        (false, NextBoot::Reverts) => Running::WithoutWayBack,
        (false, NextBoot::Stays { .. } | NextBoot::Swaps) => Running::Old(OldRuns::NotReceived),
    })
}

/// The next step of an operation.
pub(super) fn decide(op: Op, facts: &Facts) -> Result<Step, Need> {
    let runs = match op {
        Op::Install => return install(facts),
        Op::Discard => {
            return Ok(match facts.next {
                NextBoot::Swaps => Step::Mark(Mark::Booted),
                NextBoot::Stays { .. } | NextBoot::Reverts => Step::Done,
            });
        }
        Op::CheckSwapped | Op::Confirm | Op::Revert | Op::CheckReverted => running(facts)?,
    };
    Ok(match (op, runs) {
        (Op::CheckSwapped, Running::New(NewRuns::UnderTest)) => {
            if facts.active.ok_or(Need::Active)? {
                Step::Done
            } else {
                Step::Refuse(Stop::Damaged)
            }
        }
        (Op::CheckSwapped, Running::New(NewRuns::Kept)) => Step::Refuse(Stop::AlreadyConfirmed),
        (Op::Confirm, Running::New(_)) => Step::Mark(Mark::Booted),
        (Op::CheckSwapped | Op::Confirm, Running::Old(why))
        | (Op::CheckReverted, Running::Old(why @ OldRuns::Pending)) => Step::Refuse(Stop::OldRuns(why)),
        (Op::Revert, Running::New(NewRuns::Kept)) => Step::Mark(Mark::Swapped),
        (Op::Revert, Running::Old(OldRuns::Pending)) => Step::Mark(Mark::Booted),
        // The bootloader would revert to a broken image.
        (Op::Revert, Running::WithoutWayBack) => Step::MarkAndRefuse(Mark::Booted, Stop::CannotGoBack),
        (Op::CheckSwapped | Op::Confirm | Op::CheckReverted, Running::WithoutWayBack) => {
            Step::Refuse(Stop::CannotGoBack)
        }
        (Op::CheckReverted, Running::New(_)) => Step::Refuse(Stop::NewRuns),
        (Op::Revert, Running::New(NewRuns::UnderTest))
        | (
            Op::Revert | Op::CheckReverted,
            Running::Old(OldRuns::NotReceived | OldRuns::NotRequested | OldRuns::Reverted),
        )
        | (Op::Install | Op::Discard, Running::Old(_) | Running::New(_) | Running::WithoutWayBack) => Step::Done,
    })
}

fn install(facts: &Facts) -> Result<Step, Need> {
    if facts.next == NextBoot::Reverts {
        return Ok(Step::Refuse(Stop::RunningUnconfirmed));
    }
    if !facts.received.ok_or(Need::Received)? || !facts.active.ok_or(Need::Active)? {
        return Ok(Step::Refuse(Stop::NotReceived));
    }
    Ok(match facts.next {
        NextBoot::Stays { .. } => Step::Mark(Mark::Updated),
        NextBoot::Swaps | NextBoot::Reverts => Step::Done,
    })
}
