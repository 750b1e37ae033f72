//! Compressions that only hosts have the memory for, each a feature: xz and zstd, by crates of their own. On the heap.
//!
//! Data that came before a fault are handed out as far as the crates tell of them: how many that are may depend on how the input
//! was cut.

#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

extern crate std;

use std::boxed::Box;

use super::fault::Fault;
use super::format::Format;

/// One of them, at work. `Sync`, because `Resources` belong into a `static`.
pub(super) trait Decoder: Send + Sync {
    /// Takes the next bytes, when all output has been taken. How many were used: all, if they gave nothing. Not called again after a
    /// fault: the artifact is refused then.
    fn feed(&mut self, input: &[u8]) -> Result<usize, Fault>;

    /// What the last call unpacked.
    fn output(&self) -> &[u8];

    /// Whether what was compressed is complete.
    fn finish(&self) -> Result<(), Fault>;

    /// Bytes of memory for what data refer to.
    fn window_len(&self) -> u32;
}

/// Whether there is one for this.
pub(super) fn knows(format: Format) -> bool {
    match format {
        Format::Gzip => false,
        Format::Xz => cfg!(feature = "xz"),
        Format::Zstd => cfg!(feature = "zstd"),
    }
}

/// One for this, if there is one.
pub(super) fn decoder(format: Format) -> Option<Box<dyn Decoder>> {
    match format {
        Format::Gzip => None,
        #[cfg(feature = "xz")]
        Format::Xz => Some(Box::new(xz::Xz::new())),
        #[cfg(feature = "zstd")]
        Format::Zstd => Some(Box::new(zstd::Zstd::new())),
        #[cfg(not(feature = "xz"))]
        Format::Xz => None,
        #[cfg(not(feature = "zstd"))]
        Format::Zstd => None,
    }
}
