//! Compressed data, unpacked as they come: what `header.tar.gz` and `data/0000.tar.gz` of an artifact need.
//!
//! | file | job |
//! |---|---|
//! | `unpacker.rs` | the memory that is lent for it, and which compression is at work |
//! | `gzip` | gzip in little memory |
//! | `host` | xz and zstd, for hosts |
//! | `format.rs` | the compressions |
//! | `fault.rs` | why compressed data are refused |
//!
//! What gzip costs, in instructions for each byte of a firmware's image that comes out, in pieces of 512 bytes:
//!
//! | `opt-level` | Cortex-M4 | x86-64 |
//! |---|---|---|
//! | `"z"` | 250 | 173 |
//! | 3 | 150 | 131 |
//!
//! So a chip at 64 MHz unpacks a few hundred kilobytes in a second, more than it erases and writes. The first column by
//! `tests/firmware-gzip`, which `.ci/size` runs.
//!
//! Pure; depends on nothing.

mod fault;
mod format;
mod gzip;
#[cfg(all(any(feature = "xz", feature = "zstd"), not(target_os = "none")))]
mod host;
mod unpacker;

pub use fault::Fault;
pub use gzip::Gunzip;
pub use unpacker::Unpacker;

pub(crate) use format::Format;
