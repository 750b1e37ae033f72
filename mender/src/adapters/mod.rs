//! Stacks that users have, as what the client asks for: what a firmware would have to write by hand otherwise. Each has a feature of its
//! own, and is nothing without it.
//!
//! | module | feature | from | to |
//! |---|---|---|---|
//! | `embassy_net` | `embassy-net`, `embassy-net-ipv6` | embassy-net 0.9: TCP and DNS | [`Connector`](crate::net::Connector), a [`Device`](crate::client::Device) |
//! | `embassy_time` | `embassy-time` | embassy-time 0.5 | [`Clock`](crate::client::Clock) |
//! | `nal` | `nal` | embedded-nal-async 0.9: modems and other stacks | [`Connector`](crate::net::Connector) |
//! | `flash` | `flash` | blocking and async drivers of embedded-storage | `NorFlash` for [`storage`](crate::storage) and modules, by parts; a map of them |
//! | `random` | `random`, `rand-core-06`, `rand-core-09` | sources of rand_core 0.10, 0.6, 0.9, which may fail | [`CryptoRng`](crate::rand_core::CryptoRng), shared |
//! | `tokio` | `tokio`, `rustls` | tokio 1 and rustls 0.23, on hosts | [`Connector`](crate::net::Connector), [`Clock`](crate::client::Clock) |
//!
//! The client takes each of its parts by value or by reference: a clock, a connector and a device that others use too are lent.
//!
//! May depend on the traits of [`client`](crate::client), [`net`](crate::net) and [`storage`](crate::storage), and each on its
//! stack. None depends on another one, and nothing else in this crate on any.

#[cfg(feature = "embassy-net")]
pub mod embassy_net;
#[cfg(feature = "embassy-time")]
pub mod embassy_time;
#[cfg(feature = "flash")]
pub mod flash;
#[cfg(feature = "nal")]
pub mod nal;
#[cfg(feature = "random")]
pub mod random;
#[cfg(all(feature = "tokio", not(target_os = "none")))]
pub mod tokio;
