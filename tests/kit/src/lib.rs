//! Simulated surroundings of a device, for tests of the client and of update modules. Not for production.
//!
//! | module | what it is |
//! |---|---|
//! | [`artifact`] | writes Mender artifacts |
//! | [`bootloader`] | a model of MCUboot on the simulated flash, itself resumable after a power cut |
//! | [`flash`] | a NOR flash that enforces the rules of real chips, counts operations, and loses power on demand |
//! | [`image`] | builds and reads MCUboot images |
//! | [`payload`] | an artifact's payload from memory, for calling a module's download without a client |
//! | [`server`] | a simulated Mender server, without sockets |
//!
//! A host-side crate: it allocates, and panics on wrong use by a test.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod artifact;
pub mod bootloader;
pub mod flash;
pub mod image;
pub mod payload;
pub mod server;
