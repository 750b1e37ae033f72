//! Compressed data, unpacked as they come: what `header.tar.gz` and `data/0000.tar.gz` of an artifact need.
//!
//! | file | job |
//! |---|---|
//! | `gzip` | gzip in little memory |
//! | `fault.rs` | why compressed data are refused |
//!
//! Pure; depends on nothing.

mod fault;
mod gzip;

pub use fault::Fault;
pub use gzip::Gunzip;

