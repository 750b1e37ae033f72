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
mod power;
mod refusals;
mod running;
mod traps;
mod writing;
mod zeros;
#[path = "../support/zeros.rs"]
mod zeros_flash;
