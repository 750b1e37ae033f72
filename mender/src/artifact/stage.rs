//! The order of the entries.
//!
//! Rules: spec of the artifact format, section 1 and 6.

use super::fault::Entry;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    // In the artifact.
    Version,
    Manifest,
    SignatureOrHeader,
    Header,
    // In `header.tar`.
    HeaderInfo,
    ScriptOrTypeInfo,
    MetaDataOrEnd,
    HeaderEnd,
    /// In the artifact: `data/0000.tar`, or the end if there are no files.
    Payload,
    /// In `data/0000.tar`: a file, or the end if there was every one.
    Files,
    /// In the artifact: its end.
    AfterPayload,
    /// Behind the artifact's end blocks.
    Ended,
}

impl Stage {
    /// The entry that is required here.
    pub(super) fn required(self) -> Entry {
        match self {
            Stage::Version => Entry::Version,
            Stage::Manifest => Entry::Manifest,
            Stage::SignatureOrHeader | Stage::Header => Entry::Header,
            Stage::HeaderInfo => Entry::HeaderInfo,
            Stage::ScriptOrTypeInfo => Entry::TypeInfo,
            Stage::Payload => Entry::Payload,
            Stage::Files => Entry::File,
            Stage::MetaDataOrEnd | Stage::HeaderEnd | Stage::AfterPayload | Stage::Ended => Entry::End,
        }
    }

    /// The entry that may come before it.
    pub(super) fn optional(self) -> Option<Entry> {
        match self {
            Stage::SignatureOrHeader => Some(Entry::Signature),
            Stage::ScriptOrTypeInfo => Some(Entry::Script),
            Stage::MetaDataOrEnd => Some(Entry::MetaData),
            Stage::Version
            | Stage::Manifest
            | Stage::Header
            | Stage::HeaderInfo
            | Stage::HeaderEnd
            | Stage::Payload
            | Stage::Files
            | Stage::AfterPayload
            | Stage::Ended => None,
        }
    }
}
