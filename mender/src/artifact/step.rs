//! What the bytes of the stream are, and what is kept of them from entry to entry.

use super::entry::Name;

/// What the bytes up to the end of the step are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A header block.
    Block,
    /// An entry that is collected in the work buffer.
    Text(Text),
    /// A payload file, hashed and handed over.
    File,
    /// Bytes up to the next block: a script, or padding, of any value, as all real readers ignore it.
    Skip,
    /// The second of the two end blocks.
    EndBlock,
    /// Zeros behind the end blocks, up to the end of the archive.
    Zeros,
    /// Nothing: the artifact was refused.
    Failed,
}

/// An entry that is collected in the work buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Version,
    Manifest,
    Signature,
    HeaderInfo,
    TypeInfo,
    MetaData,
    Pax,
    LongName,
}

/// What PAX headers and long names said about the entry that must follow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extension {
    pub(super) pax: bool,
    pub(super) name: Option<Name>,
    pub(super) size: Option<u32>,
}

/// Where the parts of the work buffer that are kept end; they lie one behind the other. What is behind the last is
/// used for whatever is being collected.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// The list of files.
    pub(super) files: usize,
    /// The records of header-info and type-info.
    pub(super) records: usize,
    /// Meta-data.
    pub(super) end: usize,
}
