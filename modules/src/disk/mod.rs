//! Files and folders, for the modules `file` and `directory`: what both do on a disk, each change a step of its own.
//!
//! [`Placing`] is the way of an update to its destination and back; what is placed, a file or a tree, is a [`Thing`]. Below it:
//! [`Places`], which says where things may go, [`Lines`], the small files that the modules write for themselves, and [`Disk`], the
//! single changes. Not public but for [`DiskError`] and [`PathFault`]. Depends on [`mender::update_module`], the standard
//! library and `sha2` only. Every change goes through [`Disk`], so that tests can end the program, or cut the power, at each
//! of them. All of it blocks while the disk works.

#[cfg(test)]
pub(crate) mod crashes;
#[cfg(test)]
pub(crate) mod deployments;
mod error;
mod journal;
mod places;
mod placing;
mod steps;
#[cfg(test)]
pub(crate) mod witness;

pub use error::{DiskError, PathFault};
pub(crate) use error::{Failed, from_failed, from_its_parts};
pub(crate) use journal::{Lines, hex};
pub(crate) use places::{Place, Places, line, name};
pub(crate) use placing::{Placing, Target, Thing, short, store};
#[cfg(test)]
pub(crate) use steps::Step;
pub(crate) use steps::{Disk, Owner, hash_of, look, mode_of, owner_of};
