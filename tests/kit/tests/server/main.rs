//! The rules of the simulated server, one by one, in process.

mod attributes;
mod auth;
mod bench;
mod downloads;
mod faults;
mod management;
mod polls;
mod reports;
mod uploads;
mod wire;
