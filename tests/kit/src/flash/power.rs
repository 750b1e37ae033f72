//! When the power goes, and what that leaves in a cell.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::chip::{Chip, Fate};

/// A power cut that waits for a write or erase operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PowerCut {
    /// Which operation from now on, counted from 1. A write is one operation whatever its length; an erase is one
    /// operation per sector.
    pub operation: u64,
    /// Where in that operation.
    pub at: CutAt,
}

/// Where in an operation the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CutAt {
    /// Before it changes anything.
    Before,
    /// Within it. A write leaves a prefix and at most one word that is programmed in part; an erase leaves a
    /// sector in disorder, which counts as written until it is erased again. The seed chooses how far it got.
    Within {
        /// Any number; equal seeds give equal remains.
        seed: u64,
    },
    /// When all is in the cells, but before the caller learns of it.
    After,
}

/// What a power cut struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A write.
    Write {
        /// Offset on the chip.
        offset: u32,
        /// Length in bytes.
        len: usize,
    },
    /// The erase of a sector.
    Erase {
        /// Offset of the sector on the chip.
        offset: u32,
    },
    /// Not of the chip, but of something that shares its power supply: see [`Files`](crate::files::Files).
    Other,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Write { offset, len } => write!(f, "the write of {len} bytes at {offset:#x}"),
            Operation::Erase { offset } => write!(f, "the erase of the sector at {offset:#x}"),
            Operation::Other => f.write_str("the change of a file"),
        }
    }
}

impl fmt::Display for PowerCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut {} ", self.operation)?;
        match self.at {
            CutAt::Before => f.write_str("before"),
            CutAt::Within { seed } => write!(f, "within {seed}"),
            CutAt::After => f.write_str("after"),
        }
    }
}

/// What becomes of an operation of something that shares the chip's power supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    DoneThenOff,
    /// Got this far, in 256ths; then the power went.
    Torn(u8),
    NotDone,
}

/// The power supply of a chip, for what else hangs on it.
#[derive(Clone, Debug)]
pub(crate) struct PowerSupply {
    pub(super) chip: Arc<Mutex<Chip>>,
}

impl PowerSupply {
    /// Counts an operation, and says what becomes of it.
    pub(crate) fn operation(&self) -> Outcome {
        let mut chip = self.chip.lock().unwrap_or_else(PoisonError::into_inner);
        match chip.other_operation() {
            Ok(Fate::Done) => Outcome::Done,
            Ok(Fate::DoneThenOff) => Outcome::DoneThenOff,
            Ok(Fate::Torn(mut random)) => Outcome::Torn(random.byte()),
            Err(_) => Outcome::NotDone,
        }
    }

    /// How often power was lost so far, and where in an operation the last time.
    pub(crate) fn losses(&self) -> (u64, CutAt) {
        let chip = self.chip.lock().unwrap_or_else(PoisonError::into_inner);
        (chip.losses, chip.lost_at)
    }
}

/// SplitMix64: small, seedable, and good enough to choose where things break.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..=max`.
    pub(super) fn up_to(&mut self, max: usize) -> usize {
        (self.next() % (max as u64 + 1)) as usize
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}
