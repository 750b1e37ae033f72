//! The artifact stream parser: the bytes of a `.mender` file in, its verified header and its files out.
//!
//! Pure: no await, no IO, no heap, and no dependency but SHA-256, `json` and [`provides`](crate::provides). It promises:
//!
//! - No input makes it panic, loop, or take more memory than it was lent.
//! - The outcome does not depend on how the stream is cut into pieces.
//! - [`Event::Header`] comes only after version, manifest, header checksum and all documents were checked, so an
//!   artifact that is malformed, not supported, or does not fit costs no flash write.
//! - A file's end is reported only after its SHA-256 was compared, and [`Parser::finish`] succeeds only if every file
//!   of the manifest came, once, and nothing else did.
//!
//! Accepted are artifacts of format version 3 with one payload: any number of files or none, empty payloads (type
//! null), meta-data, state scripts (skipped), signatures (verified where there are keys: feature `artifact-keys`), ustar, PAX and GNU long names.
//! With the feature `gzip` also those whose header and payload are compressed with gzip, if the parser is lent memory to
//! unpack them (`Parser::unpacking`): their checksums and lengths are compared, nothing may follow them, a header is at most 16 MiB long
//! when unpacked, and at most 10 KiB of zeros are behind the end of an archive.
//! Refused with [`Error::NotSupported`] are other compression, augmented artifacts and several payloads, with
//! [`Error::FormatVersion`] other versions of the format, and with [`Limit::Artifact`] artifacts of 4 GiB and more.
//! Everything on which readers of the format differ is refused as malformed, as far as it bears on what is installed. Not looked
//! at, though some readers refuse strange ones: mode, owner, time and device numbers of tar headers, which a device without
//! a file system has no use for; numbers beyond a 64-bit float in meta-data (`1e999`), which are handed over as text; and whether
//! the name of a state script, which is skipped, has one of the names that the format gives a meaning.
//!
//! Artifact name and group have at most 256 bytes and no control characters of ASCII: mender-artifact writes no others
//! since 4.1.1, and each poll carries them. An empty type in type-info (mender-artifact before 4.3.1
//! wrote it for rootfs-image) stands for that of header-info. (Spec of the artifact format, sections 6, 12 and 14.)
//!
//! The way of the data, and the files in that order backwards: each uses only files that are further down.
//!
//! | file | job |
//! |---|---|
//! | `parser.rs` | the pieces of the stream: which bytes belong to which step |
//! | `unpacking.rs` | the bytes of a compressed archive in the place of the stream's |
//! | `entries.rs` | the steps: blocks, entries, archives; their order, meaning and checksums |
//! | `header.rs`, `event.rs` | the header to read, whether it fits a device, the provides afterwards; what the parser tells |
//! | `document.rs` | version, header-info, type-info, meta-data: the rules as tables |
//! | `entry.rs`, `manifest.rs` | names of entries; the manifest as a compact list |
//! | `error.rs`, `limits.rs` | why an artifact is refused; what may be how large |
//! | `tar.rs`, `json.rs`, `signature.rs`, `records.rs` | header blocks and PAX headers; strict JSON; signatures; what is kept of the documents |
//! | `stage.rs`, `step.rs` | the order of entries; what bytes are |
//! | `packed.rs` | how archives are compressed |
//! | `fault.rs` | lists of faults and of names of parts |
//!
//! # SHA-256: small or fast
//!
//! Nearly all of the time goes into SHA-256, and nearly half of the flash: its usual code for Cortex-M is unrolled. The crate
//! `sha2` has a compact one beside it, which a setting of the build selects, such as this in the firmware's
//! `.cargo/config.toml`:
//!
//! ```toml
//! [target.thumbv7em-none-eabihf]
//! rustflags = ["--cfg", 'sha2_backend_soft="compact"']
//! ```
//!
//! | `sha2` | flash on Cortex-M4 | instructions per byte on x86-64 |
//! |---|---|---|
//! | as it is | 7,550 bytes | 53 |
//! | `compact` | 842 bytes | 75 |
//!
//! The parser itself needs 0.3 instructions per byte in pieces of 512 bytes. Unless downloads come faster than the
//! microcontroller hashes, the compact code is the better choice.
//!
//! # Example
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
mod entries;
mod entry;
mod error;
mod event;
mod fault;
mod header;
mod json;
mod limits;
mod manifest;
mod packed;
mod parser;
mod records;
mod signature;
mod stage;
mod step;
mod tar;
#[cfg(feature = "gzip")]
mod unpacking;

pub use crate::codes::ARTIFACT as CODES;
pub use crate::json::JsonFault;
pub use error::Error;
pub use event::Event;
pub use fault::{
    Archive, Checked, Contradiction, Document, Entry, Feature, FileFault, Key, ManifestFault, PackedFault,
    SignatureFault, TarFault, ValueFault,
};
pub use header::{Depend, Depends, Header, Misfit, Pairs, Texts};
pub use limits::{Limit, Limits};
pub use parser::Parser;
