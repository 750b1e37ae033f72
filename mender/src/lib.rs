//! The Mender over-the-air update client for microcontrollers: `no_std`, no heap, async, no global state.
//!
//! A device runs one future, [`Client::run`](client::Client::run). It makes a key, asks the server to accept the device, sends the
//! inventory, looks for updates, downloads and verifies them, hands them to an *update module*, restarts, and reports. Whatever happens on
//! the way, power cuts included: a success is reported only if the new software runs and is committed, a failure only if the old one
//! does, or if the artifact's name says `_INCONSISTENT`.
//!
//! # A whole program
//!
//! What a firmware brings: a network, a flash, a clock, random numbers, and who it is. The features below have them for embassy's
//! stacks, embedded-nal and tokio; `mender-modules` has update modules for MCUboot, embassy-boot, ESP-IDF's bootloader and Linux.
//!
//! ```
//! use mender::client::{Client, Clock, Config, Device, Resources};
//! use mender::embedded_storage_async::nor_flash::NorFlash;
//! use mender::net::Connector;
//! use mender::rand_core::CryptoRng;
//! use mender::storage::{FlashRange, FlashStorage};
//! use mender::update_module;
//! use mender::update_module::{Failure, Payload};
//!
//! /// A table in flash that comes as the one file of an artifact.
//! #[update_module(artifact_type = "table", on(download = receive))]
//! struct Table<F: NorFlash>(F);
//!
//! impl<F: NorFlash> Table<F> {
//!     async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
//!         while let Some(mut file) = payload.next_file().await? {
//!             while let Some(_chunk) = file.next_chunk().await? {
//!                 // Into the half of the flash that is not in use.
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! struct Board;
//!
//! impl Device for Board {
//!     fn identity(&self) -> impl AsRef<[(&str, &str)]> {
//!         [("mac", "02:00:5e:10:00:01")]
//!     }
//!
//!     async fn restart(&self) {
//!         // cortex_m::peripheral::SCB::sys_reset()
//!     }
//! }
//!
//! async fn keep_up_to_date(
//!     records: impl NorFlash, // two sectors are enough
//!     tables: impl NorFlash,
//!     network: impl Connector,
//!     clock: impl Clock,
//!     rng: impl CryptoRng,
//! ) {
//!     let storage = FlashStorage::new(records, const { FlashRange::new(0..0x2000) }).unwrap();
//!     let mut resources = Resources::new(); // on a microcontroller: in a `static`
//!     let config = Config::new("https://mender.example.com", "my-board");
//!     let modules = (Table(tables),); // up to eight
//!     let client = Client::new(config, Board, network, storage, clock, rng, modules, &mut resources);
//!     let _ = client.unwrap().run().await; // ends only if no key can be made
//! }
//! ```
//!
//! # The ideas, in order
//!
//! 1. A *deployment* brings one artifact to the device, in states that are mender-mcu's: download, install, reboot, verify, commit,
//!    cleanup; and back by rollback and failure. [`deployment`] draws them. Each is stored before it begins, so a power cut leads to
//!    the right next one.
//! 2. An *update module* does what a kind of artifact needs in each of these states: [`mod@update_module`]. The attribute
//!    [`update_module`](macro@update_module) makes one of a struct, and refuses what cannot work when it is compiled.
//! 3. *Storage* keeps a few short records across restarts: [`storage`]. [`FlashStorage`](storage::FlashStorage) needs two sectors.
//! 4. A *connector* opens connections: [`net::Connector`]. TLS goes around a plain one: feature `tls`.
//! 5. The [`client`] puts them together. Its memory is lent, [`Resources`](client::Resources); other tasks reach it by a
//!    [`Handle`](client::Handle); it tells what happens by [`Device::observe`](client::Device::observe).
//! 6. Artifacts that come another way than from the server: [`Standalone`](client::Standalone).
//!
//! The guide [From a board to a fleet](https://github.com/mender-rs/mender-rs/blob/main/mender/GUIDE.md) has the rest: bootloader, flash
//! map, keys, certificates, first deployment, what to test before shipping.
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `macros` (on) | the attribute `#[update_module]` |
//! | `key` (on) | a device key that the client makes and keeps; without it the device brings a [`Signer`](client::Signer) |
//! | `deployment-log` (on) | the log of a deployment that fails, for the server |
//! | `artifact-keys` | artifacts must be signed, by a key on P-256, or RSA with `rsa` |
//! | `gzip` | artifacts compressed with gzip, in a window that is lent: `unpack` |
//! | `tls`, `tls-p256` | TLS 1.3 over a plain connector; the second for certificates on P-256 alone |
//! | `signature`, `p384`, `rsa` | verifying signatures, and with which algorithms |
//! | `terse` | codes in the place of texts: 3.4 KB less |
//! | `log`, `defmt` | what the client logs, and through what |
//! | `flash` | parts of one flash for several users, and a map of them |
//! | `embassy-net`, `embassy-net-ipv6`, `embassy-time`, `nal` | network and time of these stacks |
//! | `random`, `rand-core-06`, `rand-core-09` | one source of random numbers for several users |
//! | `xz`, `zstd` | for hosts: artifacts compressed with these, too |
//! | `tokio`, `rustls` | for hosts: network and time of tokio, TLS by rustls |
//! | `std` | for hosts: records in files, and the critical sections without which a program does not link there (`_critical_section_1_0_acquire`). The two above have it, and so have tests with the kit |
//!
//! # Rooms
//!
//! The rooms of this crate, and what each may depend on. Dependencies point one way, downwards in this list; nothing depends on
//! [`adapters`]:
//!
//! | module | job | may depend on |
//! |---|---|---|
//! | [`adapters`] | stacks that users have, as what the client asks for; a feature each | the traits of `client`, `net`, `storage` |
//! | [`client`] | what the user sees, and the driver, which awaits what it does | all below |
//! | `agent` | what the client decides: schedule, session, deployment, download, inventory | pure; all below |
//! | `tls` | TLS over a plain connector | `net`, `signature`, `api` |
//! | [`net`] | [`Connector`](net::Connector), URLs, HTTP | embedded-io, `text`; pure but for the trait |
//! | [`storage`] | what is kept across reboots: trait, record layouts, flash backend | embedded-storage |
//! | [`mod@update_module`] | [`UpdateModule`], [`Payload`](update_module::Payload), [`FlashWriter`](update_module::FlashWriter), the tuple of modules | embedded-storage, `text`; on hosts (`std`) `artifact` |
//! | [`api`] | bytes of the device API's requests and responses | pure; `provides`, `text` |
//! | [`artifact`] | the artifact stream parser | pure; `provides`, `signature`, `text`, `unpack` |
//! | [`deployment`] | the update state machine | pure; `provides`, `update_module`, `text` |
//! | [`provides`] | the key-value pairs that describe a device's software | pure; `text` |
//! | `unpack` | compressed data, as they come | pure; nothing |
//! | `signature` | verifying signatures with public keys | pure; `spki` |
//! | [`text`], [`codes`], `json`, `shift`, `date`, `spki`, `rng` | short texts without `core::fmt`; what codes mean; JSON byte by byte; bytes that move; days and dates; how public keys in files begin; what is asked of random numbers | nothing |
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod adapters;
mod agent;
pub mod api;
pub mod artifact;
pub mod client;
pub mod codes;
mod date;
pub mod deployment;
mod fmt;
mod json;
pub mod net;
pub mod provides;
mod rng;
mod shift;
#[cfg(feature = "signature")]
pub mod signature;
mod spki;
pub mod storage;
pub mod text;
#[cfg(feature = "tls-p256")]
pub mod tls;
#[cfg(feature = "gzip")]
pub mod unpack;
pub mod update_module;
mod window;

/// The crates whose traits users implement for the client, in the versions that it uses.
pub use {embedded_io_async, embedded_storage_async, rand_core};

#[doc(inline)]
pub use update_module::UpdateModule;

#[cfg(feature = "macros")]
pub use mender_macros::update_module;

/// Doors for the fuzzer. Not public API.
#[cfg(feature = "__fuzz")]
#[doc(hidden)]
pub use agent::fuzz as __fuzz;

/// What the code generated by [`macro@update_module`] refers to. Not public API.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::update_module::generated::{
        CallbackMethod, DownloadMethod, callback, callback_named_call, download, no_payload,
    };
    pub use crate::update_module::generated::{Described, Displayed, Reason};
    pub use crate::update_module::{CallbackState, Descriptor, Failure, Payload, States, UpdateModule};
    pub use core::prelude::v1::{Ok, Result, assert};
    pub use core::{primitive, unreachable};
}
