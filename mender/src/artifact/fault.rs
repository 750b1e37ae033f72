//! What can be wrong with an artifact, and the names of its parts in messages: plain lists.
//!
//! The number of each is its code: see [`CODES`](super::CODES). Depends on nothing.

/// Something a well-formed artifact may use and this client does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Feature {
    /// `.gz` entries: write the artifact with `--compression none`.
    Gzip = 101,
    /// `.xz` entries: write the artifact with `--compression none`.
    Xz = 102,
    /// `.zst` entries: write the artifact with `--compression none`.
    Zstd = 103,
    /// `manifest-augment` and `header-augment.tar`.
    Augmented = 104,
    /// More than one payload (not: more than one file, which is supported).
    SeveralPayloads = 105,
}

/// What is wrong with a tar archive. Spec of the artifact format, section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum TarFault {
    /// The checksum of a header block does not match, or is no number.
    HeaderChecksum = 125,
    /// A header block is neither ustar nor GNU.
    Magic = 126,
    /// The size field is not octal digits and a terminator.
    Size = 127,
    /// An entry is longer than what is left of the archive.
    TooLong = 128,
    /// A malformed PAX header: record length, `=`, line end or a NUL byte.
    PaxRecord = 130,
    /// A PAX header that changes how data are stored (`GNU.sparse.*`).
    Sparse = 131,
    /// PAX or GNU headers that say the same thing twice.
    ExtensionTwice = 132,
    /// A PAX header or GNU long name without an entry after it.
    ExtensionAlone = 133,
    /// The size in a PAX header is another one than in the entry's own header.
    SizeContradiction = 134,
    /// A GNU long name with a NUL byte inside, or empty.
    LongName = 135,
    /// The archive ends with one zero block instead of two.
    SingleZeroBlock = 136,
    /// The archive ends without its two zero blocks.
    NoEndBlocks = 137,
    /// Something else than zeros after the two end blocks.
    BytesAfterEnd = 138,
    /// The length of an inner archive is no multiple of 512.
    PartialBlock = 139,
}

/// What is wrong with a compressed archive. Spec of the artifact format, section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum PackedFault {
    /// Not compressed as its name says, or damaged.
    Malformed = 140,
    /// Checksum or length at its end are others than those of the data.
    Checksum = 141,
    /// It ends early.
    Truncated = 142,
    /// Something follows its end.
    Trailing = 143,
}

/// What is wrong with the value of a key in a document. Spec of the artifact format, sections 3 and 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum ValueFault {
    /// The key is required and missing.
    Missing = 165,
    /// The value has the wrong type.
    WrongType = 166,
    /// The value must not be empty, and is.
    Empty = 167,
    /// The value is not the one the format prescribes.
    NotAllowed = 168,
}

/// Documents that contradict each other. Spec of the artifact format, sections 6 and 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Contradiction {
    /// The payload type in type-info is another one than in header-info.
    Type = 170,
    /// A key of `artifact_provides` or `artifact_depends` is in header-info and in type-info.
    Key = 171,
    /// Meta-data, although the payload type is null.
    MetaData = 172,
    /// Payload files, although the payload type is null.
    Files = 173,
}

/// What is wrong with a manifest. Spec of the artifact format, section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum ManifestFault {
    /// A line does not begin with 64 lower-case hex digits.
    Digest = 175,
    /// Not exactly two blanks between the checksum and the name.
    Separator = 176,
    /// A name that is not `version`, a header, or `data/0000/` and a plain file name.
    Name = 177,
    /// A name that was there before.
    NameTwice = 178,
    /// The last line has no line feed.
    Unterminated = 179,
    /// Lines for two headers.
    TwoHeaders = 180,
    /// No line for `version`.
    NoVersion = 181,
    /// No line for `header.tar`.
    NoHeader = 182,
}

/// What is wrong with `manifest.sig`. Spec of the artifact format, section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum SignatureFault {
    /// Not one line of padded base64 in the standard alphabet.
    Base64 = 190,
    /// Shorter than the shortest signature of the format (64 bytes).
    TooShort = 191,
    /// None of the device's keys made it.
    Wrong = 192,
    /// It is missing, and the device has keys.
    Missing = 193,
}

/// What a checksum of the manifest belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Checked {
    /// `version`.
    Version = 195,
    /// `header.tar`.
    Header = 196,
    /// The payload file that [`Parser::file_name`](super::Parser::file_name) names.
    File = 197,
}

/// What is wrong with a payload file. Spec of the artifact format, section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum FileFault {
    /// The name has a directory, or characters other than ASCII letters, digits, `_`, `-`, `.` and `,`.
    Name = 200,
    /// The manifest does not list it.
    NotListed = 201,
    /// It was there before.
    Twice = 202,
    /// The manifest lists a file that never came.
    Missing = 203,
}

/// One of the three tar archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Archive {
    /// The artifact itself.
    Artifact = 210,
    /// `header.tar`.
    Header = 211,
    /// `data/0000.tar`.
    Payload = 212,
}

/// An entry of one of the archives, in messages about the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Entry {
    /// `version`.
    Version = 213,
    /// `manifest`.
    Manifest = 214,
    /// `manifest.sig`.
    Signature = 215,
    /// `header.tar`.
    Header = 216,
    /// `data/0000.tar`.
    Payload = 217,
    /// `header-info`.
    HeaderInfo = 218,
    /// `scripts/...`.
    Script = 219,
    /// `headers/0000/type-info`.
    TypeInfo = 220,
    /// `headers/0000/meta-data`.
    MetaData = 221,
    /// A payload file.
    File = 222,
    /// The end of the archive.
    End = 223,
}

/// A JSON document of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Document {
    /// `version`.
    Version = 224,
    /// `header-info`.
    HeaderInfo = 225,
    /// `type-info`.
    TypeInfo = 226,
    /// `meta-data`.
    MetaData = 227,
}

/// A key of a document, in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Key {
    /// `format` of version.
    Format = 228,
    /// `version` of version.
    Version = 229,
    /// `payloads` of header-info.
    Payloads = 230,
    /// `type` of a payload.
    Type = 231,
    /// `artifact_provides`.
    Provides = 232,
    /// `artifact_name` in `artifact_provides` of header-info.
    ArtifactName = 233,
    /// `artifact_group` in `artifact_provides` of header-info.
    ArtifactGroup = 234,
    /// `artifact_depends`.
    Depends = 235,
    /// `device_type` in `artifact_depends` of header-info.
    DeviceType = 236,
    /// `clears_artifact_provides` of type-info.
    Clears = 237,
}
