//! MCUboot images: a builder and a reader.
//!
//! The format is that of MCUboot's `docs/design.md`, "Image format": a header of 32 bytes and padding, the body, protected
//! TLVs if there are any, and TLVs with the hash of all before them.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256, Sha384, Sha512};

/// First word of an image.
pub const MAGIC: u32 = 0x96f3_b83d;
/// Length of the header without padding.
pub const HEADER_LEN: usize = 32;
/// Flag of an image that must not be booted.
pub const FLAG_NON_BOOTABLE: u32 = 0x10;
/// Flags of encrypted images (AES-128, AES-256).
pub const FLAGS_ENCRYPTED: u32 = 0x4 | 0x8;
/// Flags of compressed images (LZMA1, LZMA2).
pub const FLAGS_COMPRESSED: u32 = 0x200 | 0x400;

const TLV_MAGIC: u16 = 0x6907;
const PROTECTED_TLV_MAGIC: u16 = 0x6908;

/// The function of an image's hash: imgtool's `--sha`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashKind {
    const ALL: [HashKind; 3] = [HashKind::Sha256, HashKind::Sha384, HashKind::Sha512];

    const fn tlv(self) -> u16 {
        match self {
            HashKind::Sha256 => 0x10,
            HashKind::Sha384 => 0x11,
            HashKind::Sha512 => 0x12,
        }
    }

    fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            HashKind::Sha256 => Sha256::digest(bytes).to_vec(),
            HashKind::Sha384 => Sha384::digest(bytes).to_vec(),
            HashKind::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// The version in an image's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u8,
    /// Second number.
    pub minor: u8,
    /// Third number.
    pub revision: u16,
    /// The number after `+`.
    pub build: u32,
}

impl Version {
    /// `major.minor.revision+0`.
    pub const fn new(major: u8, minor: u8, revision: u16) -> Version {
        Version {
            major,
            minor,
            revision,
            build: 0,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}+{}", self.major, self.minor, self.revision, self.build)
    }
}

/// Builds images.
///
/// ```
/// use mender_testkit::image::{ImageBuilder, ImageInfo, Version};
///
/// let bytes = ImageBuilder::new(Version::new(1, 2, 3)).body_len(5000).build();
/// let image = ImageInfo::parse(&bytes).unwrap();
/// assert_eq!(image.version.to_string(), "1.2.3+0");
/// assert_eq!(image.len, bytes.len());
/// assert!(image.hash_is_right(&bytes));
/// ```
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    version: Version,
    header_len: u16,
    flags: u32,
    body: Body,
    protected: Vec<(u16, Vec<u8>)>,
    tlvs: Vec<(u16, Vec<u8>)>,
    hash_kind: HashKind,
}

#[derive(Clone, Debug)]
enum Body {
    Len(usize),
    /// Length of the whole image.
    ImageLen(usize),
    Bytes(Vec<u8>),
}

impl ImageBuilder {
    /// An image of that version, with a header of 32 bytes and a body of 4096 bytes that depend on the version.
    pub fn new(version: Version) -> ImageBuilder {
        ImageBuilder {
            version,
            header_len: HEADER_LEN as u16,
            flags: 0,
            body: Body::Len(4096),
            protected: Vec::new(),
            tlvs: Vec::new(),
            hash_kind: HashKind::Sha256,
        }
    }

    /// A body of so many bytes, which depend on the version.
    #[must_use]
    pub fn body_len(mut self, len: usize) -> ImageBuilder {
        self.body = Body::Len(len);
        self
    }

    /// A body such that the whole image, header and TLVs included, has this length.
    #[must_use]
    pub fn image_len(mut self, len: usize) -> ImageBuilder {
        self.body = Body::ImageLen(len);
        self
    }

    /// This body.
    #[must_use]
    pub fn body(mut self, bytes: Vec<u8>) -> ImageBuilder {
        self.body = Body::Bytes(bytes);
        self
    }

    /// Pads the header to so many bytes (at least 32).
    #[must_use]
    pub fn header_len(mut self, len: u16) -> ImageBuilder {
        assert!(usize::from(len) >= HEADER_LEN);
        self.header_len = len;
        self
    }

    /// Sets the header's flags.
    #[must_use]
    pub fn flags(mut self, flags: u32) -> ImageBuilder {
        self.flags = flags;
        self
    }

    /// Another hash than SHA-256.
    #[must_use]
    pub fn hash_kind(mut self, kind: HashKind) -> ImageBuilder {
        self.hash_kind = kind;
        self
    }

    /// Adds a TLV to the protected area.
    #[must_use]
    pub fn protected_tlv(mut self, kind: u16, value: &[u8]) -> ImageBuilder {
        self.protected.push((kind, value.to_vec()));
        self
    }

    /// Adds a TLV after the hash, as a signature would be.
    #[must_use]
    pub fn tlv(mut self, kind: u16, value: &[u8]) -> ImageBuilder {
        self.tlvs.push((kind, value.to_vec()));
        self
    }

    /// The image.
    pub fn build(&self) -> Vec<u8> {
        let protected = match self.protected.as_slice() {
            [] => Vec::new(),
            tlvs => tlv_area(PROTECTED_TLV_MAGIC, tlvs),
        };
        let with_hash = |hash: &[u8]| {
            let mut tlvs = vec![(self.hash_kind.tlv(), hash.to_vec())];
            tlvs.extend_from_slice(&self.tlvs);
            tlv_area(TLV_MAGIC, &tlvs)
        };
        let around = usize::from(self.header_len) + protected.len() + with_hash(&self.hash_kind.of(&[])).len();
        let body = match &self.body {
            Body::Len(len) => self.made_up_body(*len),
            Body::ImageLen(len) => self.made_up_body(len.checked_sub(around).expect("room for header and TLVs")),
            Body::Bytes(bytes) => bytes.clone(),
        };
        let mut image = Vec::new();
        image.extend_from_slice(&MAGIC.to_le_bytes());
        image.extend_from_slice(&0u32.to_le_bytes());
        image.extend_from_slice(&self.header_len.to_le_bytes());
        image.extend_from_slice(&(protected.len() as u16).to_le_bytes());
        image.extend_from_slice(&(body.len() as u32).to_le_bytes());
        image.extend_from_slice(&self.flags.to_le_bytes());
        image.push(self.version.major);
        image.push(self.version.minor);
        image.extend_from_slice(&self.version.revision.to_le_bytes());
        image.extend_from_slice(&self.version.build.to_le_bytes());
        image.resize(usize::from(self.header_len), 0);
        image.extend_from_slice(&body);
        image.extend_from_slice(&protected);
        let hash = self.hash_kind.of(&image);
        image.extend_from_slice(&with_hash(&hash));
        image
    }

    fn made_up_body(&self, len: usize) -> Vec<u8> {
        let seed = Sha256::digest(self.version.to_string());
        let block = |counter: usize| {
            Sha256::new()
                .chain_update(seed)
                .chain_update(counter.to_le_bytes())
                .finalize()
        };
        (0..len.div_ceil(32)).flat_map(block).take(len).collect()
    }
}

fn tlv_area(magic: u16, tlvs: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let total: usize = 4 + tlvs.iter().map(|(_, value)| 4 + value.len()).sum::<usize>();
    let mut area = Vec::with_capacity(total);
    area.extend_from_slice(&magic.to_le_bytes());
    area.extend_from_slice(&u16::try_from(total).expect("a TLV area below 64 KiB").to_le_bytes());
    for (kind, value) in tlvs {
        area.extend_from_slice(&kind.to_le_bytes());
        area.extend_from_slice(&(value.len() as u16).to_le_bytes());
        area.extend_from_slice(value);
    }
    area
}

/// Why bytes are not an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Shorter than a header, or the magic is another.
    NoHeader,
    /// The header's length is below 32.
    HeaderLen,
    /// The sizes in the header or the TLVs lead out of the bytes given.
    Sizes,
    /// A TLV area does not start with its magic, or the protected one has another size than the header says.
    Tlv,
    /// There is no TLV with a hash of the length that its function has.
    NoHash,
}

/// What an image says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Version.
    pub version: Version,
    /// Flags.
    pub flags: u32,
    /// Length of the header with its padding.
    pub header_len: usize,
    /// How many bytes from the start the hash covers: header, body, protected TLVs.
    pub hashed_len: usize,
    /// Length of the whole image, up to the end of the last TLV.
    pub len: usize,
    /// The SHA-256 in the image's TLV, or the first 32 bytes of a longer hash. Not checked: see [`ImageInfo::hash_is_right`].
    pub hash: [u8; 32],
    /// Whose hash it is.
    pub hash_kind: HashKind,
    stated: Vec<u8>,
}

impl ImageInfo {
    /// Reads the image at the start of `bytes`; more may follow it, as in a slot.
    ///
    /// # Errors
    ///
    /// [`ImageError`].
    pub fn parse(bytes: &[u8]) -> Result<ImageInfo, ImageError> {
        let version = header_version(bytes).ok_or(ImageError::NoHeader)?;
        let sizes = Sizes::read(bytes)?;
        let tlvs = bytes.get(sizes.hashed_len + 4..sizes.len).ok_or(ImageError::Sizes)?;
        let (hash_kind, stated) = find_hash(tlvs)?;
        Ok(ImageInfo {
            version,
            flags: u32_at(bytes, 16).ok_or(ImageError::NoHeader)?,
            header_len: sizes.header_len,
            hashed_len: sizes.hashed_len,
            len: sizes.len,
            hash: *stated.first_chunk().ok_or(ImageError::NoHash)?,
            hash_kind,
            stated: stated.to_vec(),
        })
    }

    /// Whether the hash over the image in `bytes` is the one that it states.
    pub fn hash_is_right(&self, bytes: &[u8]) -> bool {
        bytes
            .get(..self.hashed_len)
            .is_some_and(|hashed| self.hash_kind.of(hashed) == self.stated)
    }
}

/// The version in a header, if the bytes start with one.
pub fn header_version(bytes: &[u8]) -> Option<Version> {
    if bytes.len() < HEADER_LEN || u32_at(bytes, 0)? != MAGIC {
        return None;
    }
    Some(Version {
        major: bytes[20],
        minor: bytes[21],
        revision: u16_at(bytes, 22)?,
        build: u32_at(bytes, 24)?,
    })
}

pub(crate) struct Sizes {
    header_len: usize,
    hashed_len: usize,
    pub(crate) len: usize,
}

impl Sizes {
    /// Follows the sizes to the end of the image without looking at the hash.
    pub(crate) fn read(bytes: &[u8]) -> Result<Sizes, ImageError> {
        header_version(bytes).ok_or(ImageError::NoHeader)?;
        let header_len = usize::from(u16_at(bytes, 8).ok_or(ImageError::NoHeader)?);
        let protected_len = usize::from(u16_at(bytes, 10).ok_or(ImageError::NoHeader)?);
        let body_len = u32_at(bytes, 12).ok_or(ImageError::NoHeader)? as usize;
        if header_len < HEADER_LEN {
            return Err(ImageError::HeaderLen);
        }
        let protected_at = header_len + body_len;
        if protected_len > 0 && tlv_area_len(bytes, protected_at, PROTECTED_TLV_MAGIC)? != protected_len {
            return Err(ImageError::Tlv);
        }
        let hashed_len = protected_at + protected_len;
        let len = hashed_len + tlv_area_len(bytes, hashed_len, TLV_MAGIC)?;
        if len > bytes.len() {
            return Err(ImageError::Sizes);
        }
        Ok(Sizes {
            header_len,
            hashed_len,
            len,
        })
    }
}

fn tlv_area_len(bytes: &[u8], at: usize, magic: u16) -> Result<usize, ImageError> {
    if u16_at(bytes, at).ok_or(ImageError::Sizes)? != magic {
        return Err(ImageError::Tlv);
    }
    match usize::from(u16_at(bytes, at + 2).ok_or(ImageError::Sizes)?) {
        len @ 4.. => Ok(len),
        _ => Err(ImageError::Tlv),
    }
}

fn find_hash(mut tlvs: &[u8]) -> Result<(HashKind, &[u8]), ImageError> {
    while !tlvs.is_empty() {
        let kind = u16_at(tlvs, 0).ok_or(ImageError::Sizes)?;
        let len = usize::from(u16_at(tlvs, 2).ok_or(ImageError::Sizes)?);
        let value = tlvs.get(4..4 + len).ok_or(ImageError::Sizes)?;
        if let Some(kind) = HashKind::ALL.into_iter().find(|hash| hash.tlv() == kind) {
            return match kind.of(&[]).len() == len {
                true => Ok((kind, value)),
                false => Err(ImageError::NoHash),
            };
        }
        tlvs = &tlvs[4 + len..];
    }
    Err(ImageError::NoHash)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
