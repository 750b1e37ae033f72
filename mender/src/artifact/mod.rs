//! The artifact stream parser: the bytes of a `.mender` file in, its verified header and its files out.
//!
//! Pure: no await, no IO, no heap, and no dependency but SHA-256 and [`provides`](crate::provides). It promises:
//!
//! - No input makes it panic, loop, or take more memory than it was lent.
//! - The outcome does not depend on how the stream is cut into pieces.
//! - [`Event::Header`] comes only after version, manifest, header checksum and all documents were checked, so an
//!   artifact that is malformed, not supported, or does not fit costs no flash write.
//! - A file's end is reported only after its SHA-256 was compared, and [`Parser::finish`] succeeds only if every file
//!   of the manifest came, once, and nothing else did.
//!
//! Accepted are artifacts of format version 3 with one payload: any number of files or none, empty payloads (type
//! null), meta-data, state scripts (skipped), signatures (checked for their form only), ustar, PAX and GNU long names.
//! Refused with [`Error::NotSupported`] are compression, augmented artifacts, other format versions and several
//! payloads. Everything on which readers of the format differ is refused as malformed.
//!
//! | file | job |
//! |---|---|
//! | `parser.rs`, `parser/entries.rs` | the stream: blocks and bytes; order, meaning and checksums of entries |
//! | `tar.rs`, `entry.rs` | header blocks, PAX headers; names of entries |
//! | `manifest.rs`, `signature.rs` | the manifest as a compact list; the form of its signature |
//! | `document.rs`, `json.rs` | header-info, type-info, meta-data, version; strict JSON |
//! | `header.rs` | the header to read, whether it fits a device, the provides afterwards |
//! | `limits.rs`, `error.rs` | what may be how large; why an artifact is refused |
//!
//! ```
//! use mender::artifact::{Error, Event, Limits, Parser};
//!
//! /// The length of all files in an artifact that comes in pieces.
//! fn payload_len<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<u64, Error> {
//!     let mut work = [0; Limits::DEFAULT.work_len()];
//!     let mut parser = Parser::new(Limits::DEFAULT, &mut work);
//!     let mut total = 0;
//!     for mut piece in pieces {
//!         loop {
//!             let (consumed, event) = parser.feed(piece)?;
//!             piece = &piece[consumed..];
//!             match event {
//!                 Event::NeedInput => break,
//!                 Event::Header => { /* parser.header(): does it fit? */ }
//!                 Event::File { len } => total += len,
//!                 Event::Data(_) | Event::FileEnd => {}
//!             }
//!         }
//!     }
//!     parser.finish()?;
//!     Ok(total)
//! }
//! # assert_eq!(payload_len([].into_iter()), Err(Error::Truncated { offset: 0 }));
//! ```

mod document;
mod entry;
mod error;
mod header;
mod json;
mod limits;
mod manifest;
mod parser;
mod signature;
mod tar;

pub use error::{
    Archive, Checked, Document, DocumentFault, Entry, Error, Feature, FileFault, JsonFault, Key, ManifestFault,
    SignatureFault, TarFault,
};
pub use header::{Depend, Depends, Header, Misfit, Pairs, Texts};
pub use limits::{Limit, Limits};
pub use parser::{Event, Parser};
