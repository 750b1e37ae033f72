//! The rules of the simulated server, one by one, in process.

mod attributes;
mod auth;
mod bench;
mod downloads;
mod faults;
mod lists;
mod management;
mod office;
mod polls;
mod releases;
mod reports;
mod routes;
mod uploads;
mod wire;
