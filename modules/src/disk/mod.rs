//! Files and folders, for the modules `file` and `directory`: what both do on a disk, each change a step of its own.
//!
//! [`Replacer`] is the update module, and [`Placing`](placing::Placing) below it the way of an update to its destination and back; what is
//! placed, a file or a tree, is a [`Thing`]. Below that:
//! [`Places`], which says where things may go, [`store`], which takes a file as it comes, [`Lines`], the small files that the modules
//! write for themselves, and [`Disk`], the single changes. Public are [`Replacer`], [`Error`], [`Refusal`], [`DiskError`] and
//! [`PathFault`]. Depends on [`mender::update_module`], the standard library and `sha2` only. Every change goes through [`Disk`], so that tests can end the program, or cut the power, at each
//! of them. All of it blocks while the disk works.

#[cfg(test)]
pub(crate) mod crashes;
#[cfg(test)]
pub(crate) mod deployments;
#[cfg(all(test, feature = "file"))]
mod downloads;
mod error;
mod journal;
mod module;
mod partial;
mod places;
mod placing;
mod steps;
#[cfg(test)]
pub(crate) mod witness;

pub(crate) use error::Failed;
pub use error::{DiskError, Error, PathFault, Refusal};
pub(crate) use journal::{Lines, hex};
pub use module::Replacer;
pub(crate) use partial::store;
pub(crate) use places::{Place, Places, line, name};
pub use placing::Thing;
pub(crate) use placing::{Target, short};
#[cfg(test)]
pub(crate) use steps::Step;
pub(crate) use steps::{Disk, Owner, hash_of, look, mode_of, owner_of};
