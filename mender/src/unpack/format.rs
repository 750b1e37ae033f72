//! Compressions.

/// One that artifacts are written with (spec of the artifact format, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Xz,
    Zstd,
}
