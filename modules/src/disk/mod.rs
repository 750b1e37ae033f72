//! Files and folders, for the modules `file` and `directory`: what both do on a disk, each change a step of its own.
//!
//! Not public but for [`DiskError`] and [`PathFault`]. Depends on the standard library and `sha2` only. Every change of the disk goes through
//! [`Disk`], so that tests can end the program at each of them. All of it blocks while the disk works.

#[cfg(test)]
pub(crate) mod crashes;
mod error;
mod journal;
mod places;
mod steps;

pub use error::{DiskError, PathFault};
pub(crate) use journal::{Lines, hex};
pub(crate) use places::{Place, PlaceError, Places, line, name};
#[cfg(test)]
pub(crate) use steps::Step;
pub(crate) use steps::{Disk, Owner, hash_of, look, mode_of, owner_of};
