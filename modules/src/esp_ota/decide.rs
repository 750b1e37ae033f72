//! What runs, and what otadata has to say: every decision, as a function of facts. Pure; depends on errors and otadata. The
//! rules and their reasons are in the documentation of the parent module, "Which image runs?".
//!
//! [`decide`] is called with the facts that are known. It names the fact that it needs, or the next change of otadata, and is asked
//! again after it, until nothing is left to do. So a hash is reckoned only where it decides, and whatever a power cut has left is where
//! the next call begins.

use super::error::{OldRuns, Partition, Stop};
use super::otadata::{Chosen, Entries, Entry, Slot, State};

/// What ESP-IDF's bootloader does with a new image that nobody has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootloader {
    /// Built with `CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE`: the next start, for whatever reason, brings the old image back.
    Reverts,
    /// Built without, as those that come with espflash: it starts the new image for ever. Then only the new image itself can go back.
    Keeps,
}

/// What is asked for: one for each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Before the other slot is overwritten.
    Prepare,
    Install,
    CheckRuns,
    Confirm,
    GoBack,
    CheckWentBack,
    Discard,
}

/// What is known. Everything but the first three is found out when it is needed.
pub(super) struct Facts {
    pub(super) running: Slot,
    pub(super) bootloader: Bootloader,
    pub(super) entries: Entries,
    /// By [`Need`].
    found: [Option<bool>; 3],
}

/// A fact that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The other slot holds a record and its image, and what that replaces runs.
    Received,
    /// The running slot holds a record, and the other one what that says it has replaced.
    Replaced,
    /// The running slot holds the image of its record.
    Whole,
}

impl Need {
    /// Of which slot the record is.
    pub(super) fn part(self) -> Partition {
        match self {
            Need::Received => Partition::Other,
            Need::Replaced | Need::Whole => Partition::Running,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Done,
    Refuse(Stop),
    /// A new entry in the place of this one.
    Put {
        index: usize,
        seq: u32,
        /// By its number.
        state: u32,
        /// This much is to be said then, and no more to be done.
        stop: Option<Stop>,
    },
    /// This entry is to be none.
    Withdraw(usize),
}

/// The image that runs.
enum Running {
    Old(OldRuns),
    New,
    /// But what is in flash is not what the record says.
    NewWithoutWayBack,
}

impl Facts {
    /// Before anything was read.
    pub(super) const fn new(running: Slot, bootloader: Bootloader) -> Facts {
        Facts {
            running,
            bootloader,
            entries: Entries::NONE,
            found: [None; 3],
        }
    }

    /// Learns a fact.
    pub(super) fn found(&mut self, need: Need, holds: bool) {
        let [received, replaced, whole] = &mut self.found;
        let fact = match need {
            Need::Received => received,
            Need::Replaced => replaced,
            Need::Whole => whole,
        };
        *fact = Some(holds);
    }

    /// A fact, if it is known.
    fn is(&self, need: Need) -> Result<bool, Need> {
        let [received, replaced, whole] = self.found;
        let fact = match need {
            Need::Received => received,
            Need::Replaced => replaced,
            Need::Whole => whole,
        };
        fact.ok_or(need)
    }

    /// An entry that otadata follows if the running slot is started by it, and one that it follows if the other one is.
    fn selected(&self) -> (Option<Chosen<'_>>, Option<Chosen<'_>>) {
        match self.entries.selected() {
            Some(chosen) if chosen.entry.slot() == self.running => (Some(chosen), None),
            other => (None, other),
        }
    }

    fn runs(&self) -> Result<Running, Need> {
        if self.is(Need::Replaced)? {
            return Ok(Running::New);
        }
        let (_, other) = self.selected();
        let given_up = |entry: &Entry| entry.crc_is_right && !entry.is_valid() && entry.slot() != self.running;
        Ok(if self.is(Need::Received)? {
            Running::Old(if other.is_some() {
                OldRuns::Pending
            } else if self.entries.0.iter().any(given_up) {
                OldRuns::Reverted
            } else {
                OldRuns::NotRequested
            })
        } else if self.is_under_test() {
            Running::NewWithoutWayBack
        } else {
            Running::Old(OldRuns::NotReceived)
        })
    }

    /// Gives a slot the entry that makes it the one to fall back on: a confirmed one. In the place of `instead`, or of one that is
    /// none.
    fn put_valid(&self, slot: Slot, instead: Option<usize>) -> Step {
        Step::Put {
            index: instead.unwrap_or(self.entries.spare()),
            seq: self.entries.next_seq(slot),
            state: State::Valid.number(),
            stop: None,
        }
    }

    /// What makes the running slot, whatever it is that runs there, the one that the next boot starts.
    fn prepare(&self) -> Step {
        match (self.entries.of(self.running), self.selected()) {
            // A bootloader that finds no valid entry starts `ota_0`.
            (None, _) => self.put_valid(self.running, None),
            // One of a boot that was not to be: the bootloader could give it up.
            (Some(own), _) if own.entry.state.is_unconfirmed() => self.put_valid(self.running, Some(own.index)),
            (Some(_), (_, Some(other))) => Step::Withdraw(other.index),
            (Some(_), (_, None)) => Step::Done,
        }
    }

    fn is_under_test(&self) -> bool {
        let (running, _) = self.selected();
        running.is_some_and(|chosen| chosen.entry.state.is_unconfirmed())
    }

    fn install(&self) -> Result<Step, Need> {
        if self.is_under_test() {
            return Ok(Step::Refuse(Stop::RunningUnconfirmed));
        }
        if !self.is(Need::Received)? {
            return Ok(Step::Refuse(Stop::NotReceived));
        }
        if let (_, Some(other)) = self.selected()
            && other.entry.state == State::New
            && self.entries.of(self.running).is_some()
        {
            return Ok(Step::Done);
        }
        Ok(match self.prepare() {
            // The running slot's entry is selected: the spare one is the other.
            Step::Done => Step::Put {
                index: self.entries.spare(),
                seq: self.entries.next_seq(self.running.other()),
                state: State::New.number(),
                stop: None,
            },
            step @ (Step::Put { .. } | Step::Withdraw(_) | Step::Refuse(_)) => step,
        })
    }

    fn check_runs(&self) -> Result<Step, Need> {
        let (Some(chosen), _) = self.selected() else {
            return Ok(Step::Refuse(Stop::NotSelected));
        };
        let refused = match (chosen.entry.state, self.bootloader) {
            (State::Pending, _) | (State::New, Bootloader::Keeps) => None,
            (State::New, Bootloader::Reverts) => Some(Stop::NoRollback),
            (State::Valid | State::Invalid | State::Aborted | State::Other(_), _) => Some(Stop::AlreadyConfirmed),
        };
        Ok(match refused {
            Some(stop) => Step::Refuse(stop),
            None if self.is(Need::Whole)? => Step::Done,
            None => Step::Refuse(Stop::Damaged),
        })
    }

    /// Puts "valid" in the place of the entry that the running image was started by.
    fn confirm(&self, stop: Option<Stop>) -> Step {
        match self.selected() {
            (Some(chosen), _) if chosen.entry.state == State::Valid => stop.map_or(Step::Done, Step::Refuse),
            (Some(Chosen { index, entry }), _) => Step::Put {
                index,
                seq: entry.seq,
                state: State::Valid.number(),
                stop,
            },
            (None, _) => Step::Refuse(stop.unwrap_or(Stop::NotSelected)),
        }
    }

    /// Makes the next boot start the old image, which is in the other slot.
    fn go_back(&self) -> Step {
        let old = self.running.other();
        match (self.entries.of(self.running), self.entries.of(old)) {
            (_, None) => self.put_valid(old, None),
            (Some(new), Some(_)) => Step::Withdraw(new.index),
            (None, Some(_)) => Step::Done,
        }
    }
}

/// The next step of an operation.
pub(super) fn decide(op: Op, facts: &Facts) -> Result<Step, Need> {
    let runs = match op {
        Op::Prepare if facts.is_under_test() => return Ok(Step::Refuse(Stop::RunningUnconfirmed)),
        Op::Prepare => return Ok(facts.prepare()),
        Op::Install => return facts.install(),
        // A request is known by its state: after a rollback the other slot is the old one's, and selected.
        Op::Discard => {
            return Ok(match facts.selected() {
                (_, Some(Chosen { index, entry })) if entry.state.is_unconfirmed() => Step::Withdraw(index),
                (_, Some(_) | None) => Step::Done,
            });
        }
        Op::CheckRuns | Op::Confirm | Op::GoBack | Op::CheckWentBack => facts.runs()?,
    };
    let (running, other) = facts.selected();
    Ok(match (op, runs) {
        (Op::CheckRuns, Running::New) => return facts.check_runs(),
        (Op::Confirm, Running::New) => facts.confirm(None),
        (Op::GoBack, Running::New) => facts.go_back(),
        // The bootloader would go back to a broken image, or to none.
        (Op::GoBack, Running::NewWithoutWayBack) => facts.confirm(Some(Stop::CannotGoBack)),
        (Op::CheckRuns | Op::Confirm | Op::CheckWentBack, Running::NewWithoutWayBack) => {
            Step::Refuse(Stop::CannotGoBack)
        }
        (Op::CheckRuns | Op::Confirm, Running::Old(why)) => Step::Refuse(Stop::OldRuns(why)),
        (Op::CheckWentBack, Running::New) => Step::Refuse(Stop::NewRuns),
        (Op::GoBack, Running::Old(_)) => other.map_or(Step::Done, |other| Step::Withdraw(other.index)),
        (Op::CheckWentBack, Running::Old(_)) if running.is_some() => Step::Done,
        (Op::CheckWentBack, Running::Old(_)) => Step::Refuse(Stop::NotSelected),
        (Op::Prepare | Op::Install | Op::Discard, Running::Old(_) | Running::New | Running::NewWithoutWayBack) => {
            Step::Done
        }
    })
}
