//! When the power goes, and what that leaves in a cell.

/// A power cut that waits for a write or erase operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// Which operation from now on, counted from 1. A write is one operation whatever its length; an erase is one
    /// operation per sector.
    pub operation: u64,
    /// Where in that operation.
    pub at: CutAt,
}

/// Where in an operation the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
