//! How large an artifact's parts may be, and the work buffer that follows from it.

use core::fmt;

use super::tar;

/// Upper bounds for everything in an artifact that takes memory or time. Exceeding one is
/// [`Error::Limit`](super::Error::Limit), which names the limit and the value it has.
///
/// The sizes of `header.tar`, of `data/0000.tar` and of payload files are not limited: they take no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Bytes of the file `version` (31 from the real writer).
    pub version_len: u32,
    /// Bytes of `manifest`: 67 per line plus the name.
    pub manifest_len: u32,
    /// Files in the payload.
    pub files: u16,
    /// Bytes of a payload file's name.
    pub name_len: u8,
    /// Bytes of `manifest.sig`, which is base64 text (512 for RSA with 3072 bits, 684 with 4096).
    pub signature_len: u32,
    /// Bytes of `header-info`.
    pub header_info_len: u32,
    /// Device types in `header-info`.
    pub device_types: u16,
    /// Bytes of `type-info`.
    pub type_info_len: u32,
    /// Bytes of `meta-data`.
    pub meta_data_len: u32,
    /// Objects and lists inside each other, the outermost object counted. More than 64 count as 64.
    pub json_depth: u8,
    /// Bytes of a PAX header or of a GNU long name, in front of a tar entry.
    pub extension_len: u32,
}

impl Limits {
    /// For microcontrollers: a work buffer of 1536 bytes is always enough.
    ///
    /// Room for about four files, a handful of device types and provides, and the state scripts, signatures and PAX
    /// headers of the real writer. Raise [`meta_data_len`](Limits::meta_data_len) for configuration deployments.
    pub const DEFAULT: Limits = Limits {
        version_len: 64,
        manifest_len: 512,
        files: 8,
        name_len: 100,
        signature_len: 684,
        header_info_len: 384,
        device_types: 16,
        type_info_len: 384,
        meta_data_len: 256,
        json_depth: 16,
        extension_len: 304,
    };

    /// For hosts: everything that the real tools write and the server accepts, in about 200 KiB.
    ///
    /// The server takes at most 200 device types; JSON is bounded because the search for repeated keys takes time
    /// in proportion to the square of a document's length.
    pub const GENEROUS: Limits = Limits {
        version_len: 256,
        manifest_len: 65536,
        files: 512,
        name_len: 255,
        signature_len: 2048,
        header_info_len: 32768,
        device_types: 200,
        type_info_len: 32768,
        meta_data_len: 65536,
        json_depth: 64,
        extension_len: 4096,
    };

    /// The length of a work buffer with which no artifact within these limits is refused for want of memory.
    ///
    /// Less will do for most artifacts: what is too much then is refused as [`Limit::Work`].
    ///
    /// ```
    /// use mender::artifact::Limits;
    /// let mut work = [0; Limits::DEFAULT.work_len()];
    /// assert_eq!(work.len(), 1536);
    /// # work[0] = 1;
    /// ```
    pub const fn work_len(&self) -> usize {
        // A stored file takes 34 bytes and its name, a manifest line 77 and the name; the lines of `version` and
        // `header.tar` are not stored.
        let files = (self.manifest_len as usize).saturating_sub(74 + 77 + 43);
        // A string takes 3 bytes more than its text when stored, and at least 3 more in JSON. What is never stored:
        // the keys and brackets of header-info (100 bytes, less 3 for the three strings without a separator of their
        // own), and `{"type":null}` of type-info.
        let header_info = (self.header_info_len as usize).saturating_sub(97);
        let type_info = (self.type_info_len as usize).saturating_sub(13);
        let entry = max(tar::KEPT_LEN, self.extension_len as usize);
        let start = max(self.manifest_len as usize, max(self.version_len as usize, entry));
        let signature = files + self.signature_len as usize;
        let header = files + max(self.header_info_len as usize, header_info + self.type_info_len as usize);
        let payload = files + header_info + type_info + self.meta_data_len as usize + entry;
        max(max(start, signature), max(header, payload))
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

/// Which of the [`Limits`] was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Limit {
    /// [`Limits::version_len`].
    Version,
    /// [`Limits::manifest_len`].
    Manifest,
    /// [`Limits::files`].
    Files,
    /// [`Limits::name_len`].
    Name,
    /// [`Limits::signature_len`].
    Signature,
    /// [`Limits::header_info_len`].
    HeaderInfo,
    /// [`Limits::device_types`].
    DeviceTypes,
    /// [`Limits::type_info_len`].
    TypeInfo,
    /// [`Limits::meta_data_len`].
    MetaData,
    /// [`Limits::json_depth`].
    JsonDepth,
    /// [`Limits::extension_len`].
    Extension,
    /// The length of the work buffer; [`Limits::work_len`] is always enough.
    Work,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Version => "bytes of version (version_len)",
            Limit::Manifest => "bytes of manifest (manifest_len)",
            Limit::Files => "payload files (files)",
            Limit::Name => "bytes of a file name (name_len)",
            Limit::Signature => "bytes of manifest.sig (signature_len)",
            Limit::HeaderInfo => "bytes of header-info (header_info_len)",
            Limit::DeviceTypes => "device types (device_types)",
            Limit::TypeInfo => "bytes of type-info (type_info_len)",
            Limit::MetaData => "bytes of meta-data (meta_data_len)",
            Limit::JsonDepth => "levels of nested JSON (json_depth)",
            Limit::Extension => "bytes of a PAX header or GNU long name (extension_len)",
            Limit::Work => "bytes of the work buffer",
        })
    }
}
