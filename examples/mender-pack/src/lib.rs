//! Makes artifacts that microcontrollers can take. The program's commands, as functions of bytes: files and arguments are
//! `main.rs`'s and `args.rs`'s.
//!
//! ```text
//! image files ──> image ──┐
//! old and new ──> delta ──┴> mender-testkit's ArtifactWriter ──> repack ──> sign ──> artifact
//! ```
//!
//! | file | job | may use |
//! |---|---|---|
//! | `outer.rs` | an artifact as the entries of its outer tar, those that are not changed byte for byte | |
//! | `compression.rs` | what an entry is compressed with; gzip for a window of a given length | |
//! | `key.rs` | a private key from a PEM file, and signatures by it | |
//! | `repack.rs` | compresses an artifact anew, and signs it | `outer`, `compression`, `key` |
//! | `delta.rs` | a patch in the format of detools, tried by the device's decoder | |
//! | `image.rs` | an artifact of images, or of a patch | `repack`, `delta` |
//!
//! Whatever is made is the same for the same input, byte for byte: times come from the caller, the owner is always root, and
//! signatures by P-256 are those of RFC 6979.

mod compression;
mod delta;
mod image;
mod key;
mod outer;
mod repack;

pub use compression::{Compression, PackError, Window};
pub use delta::{Coding, patch};
pub use image::{Content, Image, ImageError, delta, image};
pub use key::{Key, KeyError};
pub use outer::OuterError;
pub use repack::{RepackError, Repacked, repack, sign};
