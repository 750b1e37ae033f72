//! The module for ESP-IDF's bootloader, with the kit's model of it.

mod deployments;
mod device;
mod esptool;
mod guard;
mod refusals;
mod running;
#[path = "../support/stuck.rs"]
mod stuck;
