//! Update modules for the [`mender`] client.
//!
//! | module | feature | artifact type | what it updates |
//! |---|---|---|---|
//! | [`mcuboot`] | `mcuboot` | `zephyr-image` | the firmware, through the MCUboot bootloader |
//! | [`embassy_boot`] | `embassy-boot` | `embassy-boot-image` | the firmware, through the bootloader embassy-boot |
//! | [`esp_ota`] | `esp-ota` | `esp-ota-image` | the firmware, on chips of the ESP32 family, through ESP-IDF's bootloader |
//! | `file` | `file` | `single-file` | one file on a device with a file system |
//! | `directory` | `directory` | `directory` | a whole folder on a device with a file system |
//! | `script` | `script` | any | whatever Mender's update modules for Linux do, the stock ones and your own, unchanged |
//! | [`noop`] | `noop` | `noop` | nothing: only the artifact name and the provides change |
//!
//! With the feature `delta` the first two take patches in the place of images, too; the patches themselves are the matter of `delta`.
//!
//! Of errors a device sends texts, or [`codes`] with `mender`'s feature `terse`.
//!
//! The modules for files need the standard library and are left out on targets without an operating system. All others are
//! `no_std`, without an allocator. None has global state. Depends on `mender`'s
//! [`update_module`](mod@mender::update_module) and [`text`](mod@mender::text) only; the client knows none of the modules here.
//!
//! A module's folder depends on what several share, in this order: `restart`, `apart`, `cause`, `stop`, `hasher`, `record`, `writer`;
//! [`codes`] on the modules.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(any(
    all(any(feature = "file", feature = "directory"), not(target_os = "none")),
    all(feature = "script", target_os = "linux")
))]
extern crate std;

#[cfg(any(feature = "mcuboot", feature = "embassy-boot", feature = "esp-ota"))]
mod apart;
#[cfg(any(feature = "mcuboot", feature = "embassy-boot", feature = "esp-ota"))]
mod cause;
#[cfg(any(feature = "mcuboot", feature = "embassy-boot", feature = "esp-ota"))]
pub mod codes;
#[cfg(any(feature = "mcuboot", feature = "embassy-boot"))]
mod content;
#[cfg(feature = "delta")]
pub mod delta;
#[cfg(all(feature = "directory", not(target_os = "none")))]
pub mod directory;
#[cfg(all(any(feature = "file", feature = "directory"), not(target_os = "none")))]
#[cfg_attr(
    not(all(feature = "file", feature = "directory")),
    allow(dead_code, unused_imports, reason = "each of the two modules uses a part")
)]
mod disk;
#[cfg(feature = "embassy-boot")]
pub mod embassy_boot;
#[cfg(feature = "esp-ota")]
pub mod esp_ota;
#[cfg(all(feature = "file", not(target_os = "none")))]
pub mod file;
#[cfg(any(feature = "mcuboot", feature = "embassy-boot", feature = "esp-ota"))]
mod hasher;
#[cfg(feature = "mcuboot")]
pub mod mcuboot;
#[cfg(feature = "noop")]
pub mod noop;
#[cfg(any(feature = "embassy-boot", feature = "esp-ota"))]
mod record;
mod restart;
#[cfg(all(feature = "script", target_os = "linux"))]
pub mod script;
#[cfg(any(feature = "embassy-boot", feature = "esp-ota"))]
mod stop;
#[cfg(feature = "mcuboot")]
mod writer;

#[cfg(all(any(feature = "file", feature = "directory"), not(target_os = "none")))]
pub use disk::{DiskError, Error as ReplaceError, PathFault, Refusal, Replacer};
pub use restart::Restart;

#[cfg(all(test, any(feature = "file", feature = "directory")))]
#[path = "../tests/support/mod.rs"]
mod support;
