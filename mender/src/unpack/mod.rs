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
