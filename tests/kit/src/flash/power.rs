//! When the power goes, and what that leaves in a cell.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chip::Chip;
#[cfg(unix)]
use crate::folder::Model;

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

/// Names and contents of files.
pub(crate) type FileContents = BTreeMap<String, Vec<u8>>;

/// Called before each operation, while there is power, with what repeats the operation on another power supply.
///
/// An operation that is refused is announced too; it then counts nowhere.
#[derive(Clone)]
pub(crate) struct Observer(pub(crate) Arc<dyn Fn(&Repeat<'_>) + Send + Sync>);

/// Repeats an operation on another power supply.
pub(crate) type Repeat<'r> = dyn Fn(&PowerSupply) + 'r;

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// The power supply of a chip, for what else hangs on it.
#[derive(Clone, Debug)]
pub(crate) struct PowerSupply {
    pub(super) chip: Arc<Mutex<Chip>>,
}

impl PowerSupply {
    pub(super) fn chip(&self) -> MutexGuard<'_, Chip> {
        // A test that panicked while it held the lock has failed already; the cells are still what they are.
        self.chip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Performs an operation of the chip, after it was announced.
    pub(super) fn perform<T>(&self, work: impl Fn(&mut Chip) -> T) -> T {
        let observer = {
            let chip = self.chip();
            chip.observer.clone().filter(|_| chip.power_is_on())
        };
        if let Some(Observer(observe)) = observer {
            observe(&|other: &PowerSupply| {
                work(&mut other.chip());
            });
        }
        work(&mut self.chip())
    }

    /// The files on this power supply.
    pub(crate) fn files(&self) -> FileContents {
        self.chip().files.clone()
    }

    /// Replaces them: no operation.
    pub(crate) fn set_files(&self, files: FileContents) {
        self.chip().files = files;
    }

    /// Changes them, in one operation; the closure is told how far it gets, in 255ths. Whether there is power after it.
    pub(crate) fn change_files(&self, change: impl Fn(&mut FileContents, u8)) -> bool {
        self.perform(|chip| chip.change_files(&change))
    }

    /// What the disk on this power supply holds.
    #[cfg(unix)]
    pub(crate) fn disk(&self) -> Arc<Model> {
        Arc::clone(&self.chip().disk)
    }

    /// Replaces it: no operation.
    #[cfg(unix)]
    pub(crate) fn set_disk(&self, disk: Model) {
        self.chip().disk = Arc::new(disk);
    }

    /// Changes it to this, in one operation; a cut within it leaves a part of `torn`. Whether there is power after it.
    #[cfg(unix)]
    pub(crate) fn change_disk(&self, to: &Arc<Model>, torn: &Arc<Model>) -> bool {
        self.perform(|chip| chip.change_disk(to, torn))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.chip().power_is_on()
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
