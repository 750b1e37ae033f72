//! How large an artifact's parts may be, and the work buffer that follows from it.

use super::tar;

/// Upper bounds for everything in an artifact that takes memory or time. Exceeding one is
/// [`Error::Limit`](super::Error::Limit), which names the limit and the value it has.
///
/// The sizes of `header.tar`, of `data/0000.tar` and of payload files are not limited, as they take no memory; only the
/// artifact as a whole must be smaller than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Bytes of the file `version` (31 from the real writer).
    pub version_len: u32,
    /// Bytes of `manifest`: 77 per payload file plus its name, and 151.
    pub manifest_len: u32,
    /// Files in the payload.
    pub files: u16,
    /// Bytes of a payload file's name.
    pub name_len: u8,
    /// Bytes of `manifest.sig`, which is base64 text (512 for RSA with 3072 bits, 684 with 4096).
    pub signature_len: u32,
    /// Bytes of `header-info`. More than 65535 count as 65535.
    pub header_info_len: u32,
    /// Device types in `header-info`.
    pub device_types: u16,
    /// Bytes of `type-info`. More than 65535 count as 65535.
    pub type_info_len: u32,
    /// Bytes of `meta-data`.
    pub meta_data_len: u32,
    /// Objects and lists inside each other, the outermost object counted. More than 64 count as 64.
    pub json_depth: u8,
    /// Bytes of a PAX header or of a GNU long name, in front of a tar entry.
    pub extension_len: u32,
}

impl Limits {
    /// For microcontrollers: five payload files with names of any allowed length, or eight with shorter ones; meta-data of
    /// 1 KiB; twelve device types of 40 bytes, or more shorter ones; a handful of provides; the state scripts, signatures and
    /// PAX headers of the real writer.
    ///
    /// Few artifacts use more than one of these limits, so [`work_len`](Limits::work_len) is rarely needed in full: a work
    /// buffer of 1,850 bytes takes each of these beside an otherwise usual artifact. What an artifact needs is what
    /// `artifact-info` says.
    pub const DEFAULT: Limits = Limits {
        version_len: 64,
        manifest_len: 1040,
        files: 8,
        name_len: 100,
        signature_len: 684,
        header_info_len: 1024,
        device_types: 24,
        type_info_len: 512,
        meta_data_len: 1024,
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
    /// assert_eq!(work.len(), 3600);
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
        let start = max(
            self.manifest_len as usize,
            max(self.version_len as usize, self.entry_len()),
        );
        let signature = files + self.signature_len as usize;
        let header = files + max(self.header_info_len as usize, header_info + self.type_info_len as usize);
        let payload = files + header_info + type_info + self.meta_data_len as usize + self.entry_len();
        max(max(start, signature), max(header, payload))
    }

    /// What the header of an entry takes of the work buffer, with its extensions.
    pub(super) const fn entry_len(&self) -> usize {
        max(tar::KEPT_LEN, self.extension_len as usize)
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

/// Which limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Limit {
    /// [`Limits::version_len`].
    Version = 110,
    /// [`Limits::manifest_len`].
    Manifest = 111,
    /// [`Limits::files`].
    Files = 112,
    /// [`Limits::name_len`].
    Name = 113,
    /// [`Limits::signature_len`].
    Signature = 114,
    /// [`Limits::header_info_len`].
    HeaderInfo = 115,
    /// [`Limits::device_types`].
    DeviceTypes = 116,
    /// [`Limits::type_info_len`].
    TypeInfo = 117,
    /// [`Limits::meta_data_len`].
    MetaData = 118,
    /// [`Limits::json_depth`].
    JsonDepth = 119,
    /// [`Limits::extension_len`].
    Extension = 120,
    /// The length of the work buffer; [`Limits::work_len`] is always enough.
    Work = 121,
    /// 4 GiB for the whole artifact; a larger one is told as one byte less than that.
    Artifact = 122,
    /// The window for unpacking: `unpack::Unpacker`. What is needed is at least what this artifact takes.
    Window = 123,
    /// What a compressed archive is when unpacked: 16 MiB for the header, and 10 KiB of zeros behind the end of each archive.
    Unpacked = 124,
}
