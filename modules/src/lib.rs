//! Update modules for the [`mender`] client: what a device does with an artifact, for the kinds of artifact that most devices have. One is
//! made from the parts of flash that it writes to, and goes into the tuple of modules that the client is given:
//!
//! ```
//! use mender::embedded_storage_async::nor_flash::NorFlash;
//! use mender::update_module::ModuleSet;
//! use mender_modules::mcuboot::{Layout, LayoutError, SwapMove, ZephyrImage};
//!
//! /// As MCUboot was built. What cannot work does not compile.
//! const LAYOUT: Layout<SwapMove> = Layout {
//!     mode: SwapMove,
//!     primary_len: 0x60000,
//!     secondary_len: 0x60000,
//!     sector_len: 4096,
//!     write_len: 4,
//!     max_align: 8,
//!     max_img_sectors: 128,
//! }
//! .checked();
//!
//! fn modules(slot0: impl NorFlash, slot1: impl NorFlash, restart: impl FnMut()) -> Result<impl ModuleSet, LayoutError> {
//!     let firmware = ZephyrImage::new(LAYOUT, slot0, slot1, restart)?;
//!     Ok((firmware,)) // others of your own beside it
//! }
//! ```
//!
//! # Which one
//!
//! | what starts the firmware, or is updated | module | feature | artifact type |
//! |---|---|---|---|
//! | MCUboot | [`mcuboot`] | `mcuboot` (on) | `zephyr-image` |
//! | embassy-boot | `embassy_boot` | `embassy-boot` | `embassy-boot-image` |
//! | ESP-IDF's bootloader, on chips of the ESP32 family | `esp_ota` | `esp-ota` | `esp-ota-image` |
//! | one file on a device with a file system | `file` | `file` | `single-file` |
//! | a whole folder there | `directory` | `directory` | `directory` |
//! | whatever Mender's update modules for Linux do, unchanged | `script` | `script` | any |
//! | nothing: only the artifact's name and the provides change | [`noop`] | `noop` (on) | `noop` |
//!
//! # The ideas, in order
//!
//! 1. The module and the bootloader share flash. Each module's page says what its bootloader must be built with, what is written in which
//!    state, and, under "Limits", where a bootloader itself does not survive a power cut.
//! 2. An image is checked as the bootloader will check it, before it is asked to start: what it would refuse is refused here, by name.
//! 3. Which software runs is read from flash after each restart, never remembered: a power cut at any operation ends in the new software
//!    committed, or in the old one and a reported failure. `mender-testkit` plays all of them; use it for a module of your own.
//! 4. A module that needs a restart takes a [`Restart`]: any closure that restarts the chip.
//! 5. `esp_ota` and `embassy_boot` can take another payload type than their own, for artifacts that exist already.
//!
//! A module of your own begins as a copy of `examples/custom-module`; the guide [From a board to a
//! fleet](https://github.com/mender-rs/mender-rs/blob/main/mender/GUIDE.md) has what is around it.
//!
//! # Features
//!
//! Those of the table above, and:
//!
//! | feature | what it brings |
//! |---|---|
//! | `sha512` | images of MCUboot that state their SHA-384 or SHA-512 |
//! | `delta` | patches in the place of images for the first two; the patches themselves are the matter of `delta` |
//! | `resume` | a download of `mcuboot`, `embassy-boot` or `esp-ota` that a restart has cut short goes on where it was; 2.3 to 2.9 KB of flash. `file` and `directory` do so without it |
//!
//! Of errors a device sends texts, or codes (`codes`) with `mender`'s feature `terse`.
//!
//! # Rooms
//!
//! The modules for files need the standard library and are left out on targets without an operating system. All others are
//! `no_std`, without an allocator. None has global state. Depends on `mender`'s
//! [`update_module`](mod@mender::update_module) and [`text`](mod@mender::text) only; the client knows none of the modules here.
//!
//! A module's folder depends on what several share, in this order: `restart`, `apart`, `cause`, `stop`, `hasher`, `record`, `marks`;
//! `codes` on the modules.
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
#[cfg(all(
    feature = "resume",
    any(feature = "mcuboot", feature = "embassy-boot", feature = "esp-ota")
))]
mod marks;
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

#[cfg(all(any(feature = "file", feature = "directory"), not(target_os = "none")))]
pub use disk::{DiskError, Error as ReplaceError, PathFault, Refusal, Replacer};
pub use restart::Restart;

#[cfg(all(test, any(feature = "file", feature = "directory")))]
#[path = "../tests/support/mod.rs"]
mod support;
