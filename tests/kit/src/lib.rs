//! Simulated surroundings of a device, for tests of the client and of update modules.
//!
//! - [`flash`]: a NOR flash that enforces the rules of real chips, counts operations, and loses power on demand.
//! - [`bootloader`]: a model of MCUboot on that flash, itself resumable after a power cut.
//! - [`image`]: builds and reads MCUboot images.
//! - [`payload`]: an artifact's payload from memory, for calling a module's download without a client.
//!
//! A host-side crate: it allocates, and panics on wrong use by a test.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod bootloader;
pub mod flash;
pub mod image;
pub mod payload;
