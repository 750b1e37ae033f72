//! A simulated NOR flash: one chip, any number of handles onto it.
//!
//! [`SimFlash`] is a handle onto a whole chip, [`Partition`] onto a range of it; both are cheap to clone, [`Send`], and
//! implement `embedded_storage_async`'s `NorFlash`. So slot 0, slot 1 and the client's storage can be regions of
//! one chip and share one power supply.
//!
//! The chip refuses, with an error and a recorded [`FlashError`] (see [`SimFlash::violations`]), what real chips do not
//! do: unaligned or out-of-range operations, and writes to what is not erased (see [`Rewrites`]). It counts
//! operations, and [`SimFlash::cut_power`] takes the power away before, within or after the n-th of them; what is cut
//! leaves a torn word or a half erased sector behind.
//!
//! Files and a disk can hang on its power supply: their contents are kept here, beside the cells, so that a copy of a chip is
//! a copy of all that survives a restart. What they mean is said by [`files`](crate::files) and `folder`.
//!
//! Depends on `embedded-storage-async`, and on `folder` for what a power cut leaves of a disk.

mod cells;
mod chip;
mod handle;
mod power;

pub use chip::{Counters, FlashError, Rewrites};
pub use handle::{Partition, SimFlash};
pub use power::{CutAt, Operation, PowerCut};
pub(crate) use power::{FileContents, Observer, PowerSupply, Repeat};
