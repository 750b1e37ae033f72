//! The real client against the simulated server, in one process and in virtual time.
//!
//! | module | rules of |
//! |---|---|
//! | `auth`, `polling`, `reports`, `download`, `inventory`, `network` | the behaviour of clients and the device API, one topic each |
//! | `flows` | the state machine: mender-mcu's flows, and power cuts within the module |
//! | `update`, `power_cuts` | whole updates of a board with MCUboot and the bundled module |
//! | `budget` | what a deployment costs: records in flash, connections |
//!
//! `support` holds the two devices: a [`Board`](support::Board) with flash and bootloader, and a
//! [`Bench`](support::Bench) with scripted modules.

mod support;

mod auth;
mod budget;
mod download;
mod flows;
mod inventory;
mod network;
mod polling;
mod power_cuts;
mod reports;
mod update;
