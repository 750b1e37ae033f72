//! Simulated surroundings of a device, for tests of the client and of update modules. Not for production.
//!
//! | module | what it is |
//! |---|---|
//! | [`artifact`] | writes Mender artifacts |
//! | [`bootloader`] | a model of MCUboot on the simulated flash, itself resumable after a power cut |
//! | [`device`] | a device without hardware that keeps what it is told; seeded random numbers |
//! | [`files`] | files that hang on the power supply of the simulated flash |
//! | [`flash`] | a NOR flash that enforces the rules of real chips, counts operations, and loses power on demand |
//! | [`image`] | builds and reads MCUboot images |
//! | [`module_test`] | proves an update module: every flow and every power cut, through the real client |
//! | [`network`] | the simulated server at the end of a connector, in process |
//! | [`payload`] | an artifact's payload from memory, for calling a module's download without a client |
//! | [`server`] | a simulated Mender server, without sockets |
//! | [`time`] | virtual time and an executor on it |
//!
//! A host-side crate: it allocates, and panics on wrong use by a test.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod artifact;
pub mod bootloader;
pub mod device;
pub mod files;
pub mod flash;
pub mod image;
pub mod module_test;
pub mod network;
pub mod payload;
pub mod server;
pub mod time;
