//! Simulated surroundings of a device, for tests of update modules and of the client: a chip's flash that loses power at any operation, a
//! bootloader, a Mender server, time. A host-side crate: it allocates, and panics on wrong use by a test. Not for production.
//!
//! ```toml
//! [dev-dependencies]
//! mender-testkit = { git = "https://github.com/mender-rs/mender-rs" }
//! ```
//!
//! # Testing your module
//!
//! An update module must get through everything that can happen to a deployment, power cuts at any moment included.
//! [`ModuleTest`](module_test::ModuleTest) plays all of it: your module in the real client, on a simulated board, with the
//! simulated server on the other end, in virtual time. Say how to make the module from what survives a restart, and
//! how to see which software runs:
//!
//! ```
//! use embedded_storage_async::nor_flash::NorFlash;
//! use mender::update_module;
//! use mender::update_module::{Failure, Payload};
//! use mender_testkit::module_test::ModuleTest;
//!
//! /// A table for lookups, one sector, read by nobody before the first word is there.
//! #[update_module(artifact_type = "table", on(download = check, install = renew))]
//! struct Table<F: NorFlash> {
//!     flash: F,
//!     received: Vec<u8>,
//! }
//!
//! impl<F: NorFlash> Table<F> {
//!     async fn check(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
//!         while let Some(mut file) = payload.next_file().await? {
//!             while let Some(chunk) = file.next_chunk().await? {
//!                 self.received.extend_from_slice(chunk);
//!             }
//!         }
//!         Ok(())
//!     }
//!
//!     async fn renew(&mut self) -> Result<(), Failure> {
//!         self.flash.erase(0, F::ERASE_SIZE as u32).await.map_err(Failure::debug)?;
//!         self.flash.write(0, &self.received).await.map_err(Failure::debug)
//!     }
//! }
//!
//! let summary = ModuleTest::new(|board| Table { flash: board.flash(0..4096), received: Vec::new() })
//!     .observe(|board| board.flash(0..4096).to_bytes())
//!     .payload([7; 64])
//!     .run();
//! println!("{summary}");
//! # assert!(summary.cuts > 100, "{summary}");
//! ```
//!
//! This module has no way back, and says so: where the power goes in `install`, the device reports a failure and calls its
//! software `_INCONSISTENT`, as Mender wants it. Let it claim `supports_rollback`, and the test finds the cut that proves
//! the contrary, with a message such as
//!
//! ```text
//! the deployment failed, but the old software does not run: found ..., expected ...
//!   scenario: the server refuses the commit (new board)
//!   state:    cleanup
//!   callback: cleanup
//!   last events:
//!     ...
//!   replay with: .replay("the server refuses the commit (new board)")
//!   or: MENDER_TESTKIT_REPLAY='the server refuses the commit (new board)' cargo test my_module
//! ```
//!
//! | what the module needs | call |
//! |---|---|
//! | a restart | [`Board::reset`](module_test::Board::reset) or [`Board::restart`](module_test::Board::restart) |
//! | a bootloader | [`ModuleTest::boot`](module_test::ModuleTest::boot), with [`bootloader::Mcuboot`] for example |
//! | files | [`Board::files`](module_test::Board::files) |
//! | a real file system | `Board::folder` |
//! | old software on the board | [`ModuleTest::factory`](module_test::ModuleTest::factory) |
//! | a second update of another form | [`ModuleTest::next_payload`](module_test::ModuleTest::next_payload) |
//! | another chip | [`ModuleTest::on_chip`](module_test::ModuleTest::on_chip) |
//!
//! By default about a thousand power cuts are played, chosen evenly and always the same ones, which takes some seconds;
//! `MENDER_TESTKIT_ALL=1` plays all, in a minute or less for most modules. Much of that time is the device's signature at
//! each login, so let Cargo optimise dependencies in tests: `[profile.dev.package."*"] opt-level = 1` (`p256` and
//! `crypto-bigint` even 3).
//!
//! What the compiler already refuses needs no board: a table that makes no sense, such as a reboot without a look at what
//! runs after it, is an error of the attribute.
//!
//! ```compile_fail
//! use mender::update_module;
//! use mender::update_module::{Failure, Payload};
//!
//! #[update_module(artifact_type = "table", requires_reboot, on(download = check, reboot = restart))]
//! struct Table; // error: `requires_reboot` without `verify_reboot`: add `on(verify_reboot = method)`
//!
//! impl Table {
//!     async fn check(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
//!         Ok(payload.finish().await?)
//!     }
//!     async fn restart(&mut self) -> Result<(), Failure> {
//!         Ok(())
//!     }
//! }
//! ```
//!
//! # Testing definitions
//!
//! What must not compile is held by the crate `trybuild`: one file for each rule, the compiler's message beside it, and one test:
//!
//! ```no_run
//! #[test]
//! fn definitions() {
//!     trybuild::TestCases::new().compile_fail("tests/definitions/*.rs");
//! }
//! ```
//!
//! - `TRYBUILD=overwrite cargo test` writes the messages; read the difference before it is committed.
//! - Most messages of `#[update_module]` are its own and stay the same from compiler to compiler; those about types (a method of
//!   another signature, an error without `Display`) are the compiler's in part, so hold these on one version.
//! - Two modules for one artifact type are found by `cargo build`. For `cargo check`, and so for a test like this, the tuple goes into a
//!   constant: `const _: &[Descriptor] = <(One, Two)>::DESCRIPTORS;`.
//! - A layout that cannot work is an error of a constant as well, if it is checked in one: `const LAYOUT: Layout<SwapMove> =
//!   Layout { .. }.checked();`.
//!
//! `examples/custom-module` has all of this, and is made to be copied.
//!
//! # One method at a time
//!
//! A unit test calls a module's `download` with a payload from memory, [`MemoryPayload`](payload::MemoryPayload), on a
//! [`SimFlash`](flash::SimFlash) or on [`Files`](files::Files); its other states through `UpdateModule::call`.
//!
//! # Rooms
//!
//! | module | what it is |
//! |---|---|
//! | [`artifact`] | writes Mender artifacts |
//! | [`bootloader`] | a model of MCUboot on the simulated flash, itself resumable after a power cut |
//! | [`esp_idf`] | a model of ESP-IDF's bootloader likewise, and a builder of its app images |
//! | [`delta`] | patches that make a new image of an old one |
//! | [`device`] | a device without hardware that keeps what it is told; seeded random numbers |
//! | [`files`] | files that hang on the power supply of the simulated flash |
//! | [`flash`] | a NOR flash that enforces the rules of real chips, counts operations, and loses power on demand |
//! | `folder` | a folder of the host as the board's disk, and what a power cut leaves of it; on Unix |
//! | [`image`] | builds and reads MCUboot images |
//! | [`module_test`] | proves an update module: every flow and every power cut, through the real client |
//! | [`network`] | the simulated server at the end of a connector, in process |
//! | [`payload`] | an artifact's payload from memory, for calling a module's download without a client |
//! | [`server`] | a simulated Mender server, without sockets |
//! | [`time`] | virtual time and an executor on it |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;

pub mod artifact;
pub mod bootloader;
pub mod delta;
pub mod device;
pub mod esp_idf;
pub mod files;
pub mod flash;
#[cfg(unix)]
pub mod folder;
pub mod image;
pub mod module_test;
pub mod network;
pub mod payload;
pub mod server;
pub mod time;
