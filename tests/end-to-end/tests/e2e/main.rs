//! The real client against the simulated server, in one process and in virtual time.
//!
//! | module | rules of |
//! |---|---|
//! | `auth`, `polling`, `reports`, `download`, `inventory`, `network` | the behaviour of clients and the device API, one topic each |
//! | `compressed` | artifacts compressed with gzip, unpacked as they come |
//! | `http`, `redirects`, `sizes` | HTTP on bad days; redirects; links and tokens of the longest kind |
//! | `handle` | every pause: who has a turn in it, and what ends it |
//! | `overlap` | network and flash at the same time |
//! | `outages` | what never comes, comes late or comes as nonsense: how long that may hold the client |
//! | `conformance` | the tables of the behaviour of clients, row by row |
//! | `rules` | single rules of theirs |
//! | `flows` | the state machine: mender-mcu's flows, and power cuts within the module |
//! | `update`, `power_cuts` | whole updates of a board with MCUboot and the bundled module |
//! | `traffic` | how often the client asks, whatever goes wrong where |
//! | `storage` | storage that fails: records and flash |
//! | `sweeps` | a fault at each place; many by chance |
//! | `budget` | what a deployment costs: records in flash, connections |
//!
//! `support` holds the two devices: a [`Board`](support::Board) with flash and bootloader, and a
//! [`Bench`](support::Bench) with scripted modules.

mod support;

mod auth;
mod budget;
mod compressed;
mod conformance;
mod download;
mod flows;
mod handle;
mod http;
mod inventory;
mod network;
mod outages;
mod overlap;
mod polling;
mod power_cuts;
mod redirects;
mod reports;
mod restarts;
mod rules;
mod sizes;
mod standalone;
mod storage;
mod sweeps;
mod traffic;
mod update;
