//! The module for ESP-IDF's bootloader, with the kit's model of it.

mod deployments;
mod device;
mod esptool;
mod guard;
mod refusals;
#[cfg(feature = "resume")]
mod resuming;
mod running;
#[path = "../support/stuck.rs"]
mod stuck;
#[cfg(feature = "resume")]
#[path = "../support/resuming.rs"]
mod support_resuming;
