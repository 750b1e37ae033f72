//! Why an artifact is refused.

use core::fmt;

use super::limits::Limit;

/// Why [`Parser::feed`](super::Parser::feed) or [`Parser::finish`](super::Parser::finish) refused an artifact.
///
/// Every one is final for this artifact: the same bytes will be refused again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// A well-formed artifact that uses something this client does not do. Known before the first payload byte.
    NotSupported(Feature),
    /// Larger than the caller allows; see [`Limits`](super::Limits).
    Limit {
        /// The limit.
        limit: Limit,
        /// Its value.
        allowed: u64,
        /// The value that this artifact needs; for [`Limit::JsonDepth`], [`Limit::Files`] and
        /// [`Limit::DeviceTypes`] the first value that is too large.
        needed: u64,
    },
    /// A tar archive is malformed, or made in a way that different readers would read differently.
    Tar {
        /// The archive.
        archive: Archive,
        /// What is wrong.
        fault: TarFault,
    },
    /// An entry is out of order, missing or there twice.
    Order {
        /// What would have been allowed at this place (the required one, where there is a choice).
        expected: Entry,
        /// What came.
        found: Entry,
    },
    /// An archive has an entry that the format does not know.
    UnknownEntry(Archive),
    /// `version`, `header-info`, `type-info` or `meta-data` is not as the format wants it.
    Document {
        /// The document.
        document: Document,
        /// What is wrong.
        fault: DocumentFault,
    },
    /// The manifest is not as the format wants it.
    Manifest {
        /// The line, counted from 1; 0 if no line is to blame.
        line: u16,
        /// What is wrong.
        fault: ManifestFault,
    },
    /// `manifest.sig` cannot be a signature.
    Signature(SignatureFault),
    /// The SHA-256 in the manifest is another one.
    Checksum(Checked),
    /// A payload file is not as the manifest or the format wants it.
    File(FileFault),
    /// The stream ended early; only [`Parser::finish`](super::Parser::finish) gives this.
    Truncated {
        /// Bytes consumed before the end.
        offset: u64,
    },
}

/// Something a well-formed artifact may use and this client does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Feature {
    /// Another version of the artifact format than 3.
    FormatVersion(u32),
    /// `.gz` entries: write the artifact with `--compression none`.
    Gzip,
    /// `.xz` entries: write the artifact with `--compression none`.
    Xz,
    /// `.zst` entries: write the artifact with `--compression none`.
    Zstd,
    /// `manifest-augment` and `header-augment.tar`.
    Augmented,
    /// More than one payload (not: more than one file, which is supported).
    SeveralPayloads,
}

/// One of the three tar archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Archive {
    /// The artifact itself.
    Artifact,
    /// `header.tar`.
    Header,
    /// `data/0000.tar`.
    Payload,
}

/// What is wrong with a tar archive. Spec of the artifact format, section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TarFault {
    /// The checksum of a header block does not match, or is no number.
    HeaderChecksum,
    /// A header block is neither ustar nor GNU.
    Magic,
    /// The size field is not octal digits and a terminator.
    Size,
    /// An entry is longer than what is left of the archive.
    TooLong,
    /// Not a regular file; the type flag as found.
    EntryType(u8),
    /// A malformed PAX header: record length, `=`, line end or a NUL byte.
    PaxRecord,
    /// A PAX header that changes how data are stored (`GNU.sparse.*`).
    Sparse,
    /// PAX or GNU headers that say the same thing twice.
    ExtensionTwice,
    /// A PAX header or GNU long name without an entry after it.
    ExtensionAlone,
    /// The size in a PAX header is another one than in the entry's own header.
    SizeContradiction,
    /// A GNU long name with a NUL byte inside, or empty.
    LongName,
    /// The archive ends with one zero block instead of two.
    SingleZeroBlock,
    /// The archive ends without its two zero blocks.
    NoEndBlocks,
    /// Something else than zeros after the two end blocks.
    BytesAfterEnd,
    /// The length of an inner archive is no multiple of 512.
    PartialBlock,
}

/// An entry of one of the archives, in messages about the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Entry {
    /// `version`.
    Version,
    /// `manifest`.
    Manifest,
    /// `manifest.sig`.
    Signature,
    /// `header.tar`.
    Header,
    /// `data/0000.tar`.
    Payload,
    /// `header-info`.
    HeaderInfo,
    /// `scripts/...`.
    Script,
    /// `headers/0000/type-info`.
    TypeInfo,
    /// `headers/0000/meta-data`.
    MetaData,
    /// A payload file.
    File,
    /// The end of the archive.
    End,
}

/// A JSON document of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Document {
    /// `version`.
    Version,
    /// `header-info`.
    HeaderInfo,
    /// `type-info`.
    TypeInfo,
    /// `meta-data`.
    MetaData,
}

/// What is wrong with a JSON document. Spec of the artifact format, sections 3 and 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DocumentFault {
    /// Not strict JSON.
    Json {
        /// What is wrong.
        fault: JsonFault,
        /// Where: bytes from the document's beginning.
        at: u32,
    },
    /// A required key is missing.
    Missing(Key),
    /// The value of a key has the wrong type.
    WrongType(Key),
    /// A value that must not be empty is.
    Empty(Key),
    /// The value of a key is not the one the format prescribes.
    Value(Key),
    /// A key that the format does not know, in a place where the reference reader refuses it.
    UnknownKey {
        /// Where: bytes from the document's beginning.
        at: u32,
    },
    /// The payload type is another one than in header-info.
    TypeMismatch,
    /// A key of `artifact_provides` or `artifact_depends` is in header-info and in type-info.
    Conflict,
    /// Meta-data, although the payload type is null.
    EmptyPayload,
}

/// What is wrong with JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum JsonFault {
    /// Not UTF-8.
    Utf8,
    /// A byte order mark at the beginning.
    ByteOrderMark,
    /// The outermost value is not an object.
    NotAnObject,
    /// Something else should be here.
    Unexpected,
    /// The text ends inside a value.
    End,
    /// A control character inside a string.
    Control,
    /// An unknown escape, or half of a surrogate pair.
    Escape,
    /// A malformed number.
    Number,
    /// A key that the same object already has.
    RepeatedKey,
    /// Something after the object.
    Trailing,
    /// More nested than the limit; reported as [`Error::Limit`].
    TooDeep,
}

/// A key of a document, in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Key {
    /// `format` of version.
    Format,
    /// `version` of version.
    Version,
    /// `payloads` of header-info.
    Payloads,
    /// `type` of a payload.
    Type,
    /// `artifact_provides`.
    Provides,
    /// `artifact_name` in `artifact_provides` of header-info.
    ArtifactName,
    /// `artifact_group` in `artifact_provides` of header-info.
    ArtifactGroup,
    /// `artifact_depends`.
    Depends,
    /// `device_type` in `artifact_depends` of header-info.
    DeviceType,
    /// `clears_artifact_provides` of type-info.
    Clears,
}

/// What is wrong with a manifest. Spec of the artifact format, section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ManifestFault {
    /// A line does not begin with 64 lower-case hex digits.
    Digest,
    /// Not exactly two blanks between the checksum and the name.
    Separator,
    /// A name that is not `version`, a header, or `data/0000/` and a plain file name.
    Name,
    /// A name that was there before.
    NameTwice,
    /// The last line has no line feed.
    Unterminated,
    /// No line for `version`.
    NoVersion,
    /// No line for `header.tar`.
    NoHeader,
    /// Lines for two headers.
    TwoHeaders,
    /// Payload files, although the payload type is null.
    EmptyPayload,
}

/// What is wrong with `manifest.sig`. Spec of the artifact format, section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SignatureFault {
    /// Not one line of padded base64 in the standard alphabet.
    Base64,
    /// Shorter than the shortest signature of the format (64 bytes).
    TooShort,
}

/// What a checksum of the manifest belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Checked {
    /// `version`.
    Version,
    /// `header.tar`.
    Header,
    /// The payload file that [`Parser::file_name`](super::Parser::file_name) names.
    File,
}

/// What is wrong with a payload file. Spec of the artifact format, section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FileFault {
    /// The name has a directory, or characters other than ASCII letters, digits, `_`, `-`, `.` and `,`.
    Name,
    /// The manifest does not list it.
    NotListed,
    /// It was there before.
    Twice,
    /// The manifest lists a file that never came.
    Missing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotSupported(feature) => write!(f, "not supported: {feature}"),
            Error::Limit { limit, allowed, needed } => {
                write!(f, "limit exceeded: {limit}: {allowed} allowed, {needed} needed")
            }
            Error::Tar { archive, fault } => write!(f, "{archive}: {fault}"),
            Error::Order { expected, found } => write!(f, "expected {expected}, found {found}"),
            Error::UnknownEntry(archive) => write!(f, "{archive}: an entry that the format does not know"),
            Error::Document { document, fault } => write!(f, "{document}: {fault}"),
            Error::Manifest { line: 0, fault } => write!(f, "manifest: {fault}"),
            Error::Manifest { line, fault } => write!(f, "manifest, line {line}: {fault}"),
            Error::Signature(fault) => write!(f, "manifest.sig: {fault}"),
            Error::Checksum(checked) => write!(f, "the SHA-256 of {checked} is not the one in the manifest"),
            Error::File(fault) => write!(f, "payload file: {fault}"),
            Error::Truncated { offset } => write!(f, "the artifact ends early, after {offset} bytes"),
        }
    }
}

impl core::error::Error for Error {}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compression = match self {
            Feature::FormatVersion(version) => return write!(f, "artifact format version {version} (only 3 is)"),
            Feature::Augmented => return f.write_str("augmented artifacts"),
            Feature::SeveralPayloads => return f.write_str("more than one payload"),
            Feature::Gzip => "gzip",
            Feature::Xz => "xz",
            Feature::Zstd => "zstd",
        };
        write!(
            f,
            "{compression} compression; write the artifact with --compression none"
        )
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Archive::Artifact => "artifact",
            Archive::Header => "header.tar",
            Archive::Payload => "data/0000.tar",
        })
    }
}

impl fmt::Display for TarFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TarFault::HeaderChecksum => "a tar header has a wrong checksum",
            TarFault::Magic => "not a ustar header",
            TarFault::Size => "a malformed size in a tar header",
            TarFault::TooLong => "an entry is longer than the archive",
            TarFault::EntryType(flag) => {
                let shown = if flag.is_ascii_graphic() { *flag } else { b'?' };
                return write!(
                    f,
                    "only regular files are allowed, found tar type '{}'",
                    char::from(shown)
                );
            }
            TarFault::PaxRecord => "a malformed PAX header",
            TarFault::Sparse => "a PAX header for a sparse file",
            TarFault::ExtensionTwice => "a PAX header or long name occurs twice for one entry",
            TarFault::ExtensionAlone => "a PAX header or long name without an entry",
            TarFault::SizeContradiction => "the PAX header contradicts the size of the entry",
            TarFault::LongName => "a malformed GNU long name",
            TarFault::SingleZeroBlock => "one zero block instead of two at the end",
            TarFault::NoEndBlocks => "no zero blocks at the end",
            TarFault::BytesAfterEnd => "something else than zeros after the end",
            TarFault::PartialBlock => "its length is no multiple of 512",
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entry::Version => "version",
            Entry::Manifest => "manifest",
            Entry::Signature => "manifest.sig",
            Entry::Header => "header.tar",
            Entry::Payload => "data/0000.tar",
            Entry::HeaderInfo => "header-info",
            Entry::Script => "a state script",
            Entry::TypeInfo => "headers/0000/type-info",
            Entry::MetaData => "headers/0000/meta-data",
            Entry::File => "a payload file",
            Entry::End => "the end of the archive",
        })
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Document::Version => "version",
            Document::HeaderInfo => "header-info",
            Document::TypeInfo => "type-info",
            Document::MetaData => "meta-data",
        })
    }
}

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DocumentFault::Json { fault, at } => write!(f, "{fault} (at byte {at})"),
            DocumentFault::Missing(key) => write!(f, "\"{key}\" is missing"),
            DocumentFault::WrongType(key) => write!(f, "\"{key}\" has a value of the wrong type"),
            DocumentFault::Empty(key) => write!(f, "\"{key}\" must not be empty"),
            DocumentFault::Value(key) => write!(f, "\"{key}\" has a value that the format does not allow"),
            DocumentFault::UnknownKey { at } => write!(f, "unknown key (at byte {at})"),
            DocumentFault::TypeMismatch => f.write_str("the payload type is not the one of header-info"),
            DocumentFault::Conflict => f.write_str("a key occurs both in header-info and in type-info"),
            DocumentFault::EmptyPayload => f.write_str("not allowed with payload type null"),
        }
    }
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JsonFault::Utf8 => "not UTF-8",
            JsonFault::ByteOrderMark => "a byte order mark",
            JsonFault::NotAnObject => "not a JSON object",
            JsonFault::Unexpected => "invalid JSON",
            JsonFault::End => "invalid JSON: it ends early",
            JsonFault::Control => "invalid JSON: a control character in a string",
            JsonFault::Escape => "invalid JSON: a malformed escape in a string",
            JsonFault::Number => "invalid JSON: a malformed number",
            JsonFault::RepeatedKey => "a key occurs twice",
            JsonFault::Trailing => "something after the JSON object",
            JsonFault::TooDeep => "too deeply nested",
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::Format => "format",
            Key::Version => "version",
            Key::Payloads => "payloads",
            Key::Type => "type",
            Key::Provides => "artifact_provides",
            Key::ArtifactName => "artifact_name",
            Key::ArtifactGroup => "artifact_group",
            Key::Depends => "artifact_depends",
            Key::DeviceType => "device_type",
            Key::Clears => "clears_artifact_provides",
        })
    }
}

impl fmt::Display for ManifestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ManifestFault::Digest => "a checksum must be 64 lower-case hex digits",
            ManifestFault::Separator => "two blanks must separate checksum and name",
            ManifestFault::Name => "a name that the format does not allow",
            ManifestFault::NameTwice => "a name occurs twice",
            ManifestFault::Unterminated => "the last line has no line feed",
            ManifestFault::NoVersion => "version is not listed",
            ManifestFault::NoHeader => "header.tar is not listed",
            ManifestFault::TwoHeaders => "two headers are listed",
            ManifestFault::EmptyPayload => "payload files, although the payload type is null",
        })
    }
}

impl fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignatureFault::Base64 => "not one line of base64",
            SignatureFault::TooShort => "too short for a signature",
        })
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Checked::Version => "version",
            Checked::Header => "header.tar",
            Checked::File => "a payload file",
        })
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileFault::Name => "a name that the format does not allow",
            FileFault::NotListed => "not listed in the manifest",
            FileFault::Twice => "it occurs twice",
            FileFault::Missing => "a file of the manifest is missing",
        })
    }
}
