//! The module `zephyr-image` on simulated flash with the bootloader model.

mod costs;
mod deployments;
mod device;
#[path = "deployments/each_mode.rs"]
mod each_mode;
mod geometry;
mod golden;
mod hashes;
mod inspecting;
mod modes;
mod operations;
#[cfg(feature = "delta")]
mod patches;
mod power;
mod refusals;
#[cfg(feature = "resume")]
mod resuming;
mod running;
#[cfg(feature = "resume")]
#[path = "../support/resuming.rs"]
mod support_resuming;
mod traps;
#[cfg(feature = "delta")]
#[path = "deployments/with_patches.rs"]
mod with_patches;
mod writing;
mod zeros;
#[path = "../support/zeros.rs"]
mod zeros_flash;
