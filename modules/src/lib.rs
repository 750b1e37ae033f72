//! Update modules for the [`mender`] client.
//!
//! | module | feature | artifact type | what it updates |
//! |---|---|---|---|
//! | [`mcuboot`] | `mcuboot` | `zephyr-image` | the firmware, through the MCUboot bootloader |
//! | [`embassy_boot`] | `embassy-boot` | `embassy-boot-image` | the firmware, through the bootloader embassy-boot |
//! | [`noop`] | `noop` | `noop` | nothing: only the artifact name and the provides change |
//!
//! All are `no_std`, without an allocator and without global state. Depends on `mender`'s
//! [`update_module`](mod@mender::update_module) only; the client knows none of the modules here.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "embassy-boot")]
pub mod embassy_boot;
#[cfg(feature = "mcuboot")]
pub mod mcuboot;
#[cfg(feature = "noop")]
pub mod noop;
mod restart;

pub use restart::Restart;
