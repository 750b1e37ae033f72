//! The module `embassy-boot-image` on simulated flash with embassy-boot's own bootloader.

mod area;
mod deployments;
mod device;
#[cfg(feature = "delta")]
mod patches;
mod power;
mod refusals;
#[cfg(feature = "resume")]
mod resuming;
mod running;
#[path = "../support/stuck.rs"]
mod stuck;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "resume")]
#[path = "../support/resuming.rs"]
mod support_resuming;
mod torn;
mod wear;
#[cfg(feature = "delta")]
mod with_patches;
mod zeros;
#[path = "../support/zeros.rs"]
mod zeros_flash;
