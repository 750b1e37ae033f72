//! Patches that make a new image of an old one, as they arrive.
//!
//! The format is that of [detools](https://detools.readthedocs.io), its patch type `sequential` with the compressions `heatshrink` and
//! `none`: `detools create_patch -c heatshrink old.bin new.bin new.patch`. The old image is read wherever the patch says, the new one is
//! made in order, and nothing is kept but a window of the patch's own data.
//!
//! A [`Patch`] reads and writes nothing. It is given the bytes of a patch in any pieces, and says piece by piece what the new image
//! consists of:
//!
//! ```
//! use mender_modules::delta::{Fault, Patch, Piece};
//!
//! fn apply(mut patch: &[u8], old: &[u8], new_len: u32) -> Result<Vec<u8>, Fault> {
//!     let (mut window, mut bytes, mut new) = ([0; 1024], [0; 256], Vec::new());
//!     let mut decoder = Patch::new(old.len() as u32, new_len);
//!     loop {
//!         match decoder.next(&mut patch, &mut window, &mut bytes)? {
//!             Piece::More => break,
//!             Piece::New(len) => new.extend_from_slice(&bytes[..len]),
//!             Piece::Changed { from, len } => {
//!                 let old = &old[from as usize..];
//!                 new.extend(bytes[..len].iter().zip(old).map(|(change, old)| change.wrapping_add(*old)));
//!             }
//!         }
//!     }
//!     decoder.finish()?;
//!     Ok(new)
//! }
//! # let patch = [0, 5, 0, 3, 0, 1, 0, 2, b'x', b'y', 0];
//! # assert_eq!(apply(&patch, b"abc", 5).unwrap(), b"accxy");
//! ```
//!
//! # What it does not see
//!
//! A patch carries no checksum, and does not say what it was made for. Of a wrong old image, and by most flipped bits, it makes a wrong new
//! image without notice: whoever applies one has to know the hashes of both, as the [`Expected`] images of an artifact's meta-data.
//!
//! # The format
//!
//! | part | bytes |
//! |---|---|
//! | type and compression | 1: 0x00 `sequential`, `none`; 0x04 `sequential`, `heatshrink` |
//! | length of the new image | a number |
//! | with `heatshrink`: its parameters | 1: bits of the window less 4, bits of the longest copy less 3 |
//! | from here on compressed: the length of a data format's patch | a number; 0, as none is supported |
//! | changes: their number, and each to be added (modulo 256) to a byte of the old image | a number, bytes |
//! | new bytes: their number, and they themselves | a number, bytes |
//! | how far to go in the old image beyond the changes | a number |
//!
//! The last three are repeated until the new image is complete. A number begins with a byte of six bits and a sign, and goes on
//! with seven bits a byte; the highest bit says that another byte follows. (detools' documentation, "Patch format", and its
//! `apply.py`, `common.py`. heatshrink: its `heatshrink_decoder.c`.)
//!
//! Depends on [`mod@mender::update_module`] and [`mod@mender::text`], and of this crate on `cause`. In order: `heatshrink`, `patch`, `expected`,
//! `refusal`, `module`.

mod expected;
mod heatshrink;
#[cfg(any(feature = "mcuboot", feature = "embassy-boot"))]
mod module;
mod patch;
#[cfg(any(feature = "mcuboot", feature = "embassy-boot"))]
mod refusal;

pub use expected::Expected;
#[cfg(any(feature = "mcuboot", feature = "embassy-boot"))]
pub(crate) use module::{Lent, sealed};
#[cfg(any(feature = "mcuboot", feature = "embassy-boot"))]
pub use module::{Memory, TakingPatches};
pub use patch::{Fault, Patch, Piece};
#[cfg(any(feature = "mcuboot", feature = "embassy-boot"))]
pub(crate) use refusal::CAUSES;
#[cfg(any(feature = "mcuboot", feature = "embassy-boot"))]
pub use refusal::Refusal;
