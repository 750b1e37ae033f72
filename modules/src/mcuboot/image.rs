//! MCUboot images: what their headers announce, and whether what is in flash is one.
//!
//! MCUboot's `docs/design.md`, "Image format", and `image_validate.c` for what the bootloader demands.

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;
use sha2::{Digest, Sha256};

use super::error::ImageFault;
use super::flash;

pub(super) const HEADER_LEN: usize = 32;
/// The first four bytes of an image.
pub(super) const MAGIC: u32 = 0x96f3_b83d;
const FLAG_NON_BOOTABLE: u32 = 0x10;
/// The bootloader is to copy the image to the load address and start it there.
const FLAG_RAM_LOAD: u32 = 0x20;
/// The load address is the place in flash that the image was linked for.
const FLAG_ROM_FIXED: u32 = 0x100;
/// Encrypted (AES-128, AES-256) or compressed (LZMA1, LZMA2).
const FLAGS_ENCODED: u32 = 0x4 | 0x8 | 0x200 | 0x400;
const TLV_MAGIC: u16 = 0x6907;
const PROTECTED_TLV_MAGIC: u16 = 0x6908;
const TLV_INFO_LEN: u32 = 4;
const TLV_ENTRY_LEN: u32 = 4;
const TLV_SHA256: u16 = 0x10;
pub(super) const HASH_LEN: u32 = 32;

pub(super) type Hash = [u8; HASH_LEN as usize];

/// The version in an image's header; compared from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// The version as a bootloader compares it in direct-xip: with its build number only if it was built so, see
    /// [`comparing_build_numbers`](super::ZephyrImage::comparing_build_numbers).
    #[must_use]
    pub const fn compared(self, with_build_number: bool) -> Version {
        if with_build_number {
            self
        } else {
            Version { build: 0, ..self }
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}+{}", self.major, self.minor, self.revision, self.build)
    }
}

/// An intact image, as found in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The version in its header.
    pub version: Version,
    /// Its SHA-256, which is right.
    pub hash: [u8; 32],
    /// Length in bytes, header and all TLVs included.
    pub len: u32,
}

/// Where the parts of an image are, after its header has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: Version,
    loads_to_ram: bool,
    rom_address: Option<u32>,
    protected_offset: u32,
    protected_len: u32,
    /// The hash covers all before; here the unprotected TLVs begin.
    hashed_len: u32,
}

impl Header {
    /// Checks all that the header alone can tell: it belongs to an image that may boot and fits into `room` bytes.
    pub(super) fn check(bytes: &[u8; HEADER_LEN], room: u32) -> Result<Header, ImageFault> {
        let [magic, load_address, lens, body_len, flags, version, build, _] = words(bytes);
        if magic != MAGIC {
            return Err(ImageFault::NotAnImage);
        }
        let (header_len, protected_len) = (lens & 0xffff, lens >> 16);
        let version = version_of(version, build);
        if header_len < HEADER_LEN as u32 {
            return Err(ImageFault::HeaderLen);
        }
        if flags & FLAGS_ENCODED != 0 {
            return Err(ImageFault::Encoded);
        }
        if flags & FLAG_NON_BOOTABLE != 0 {
            return Err(ImageFault::NotBootable);
        }
        let hashed_len = u64::from(header_len) + u64::from(body_len) + u64::from(protected_len);
        let least_len = hashed_len + u64::from(TLV_INFO_LEN + TLV_ENTRY_LEN + HASH_LEN);
        if least_len > u64::from(room) {
            return Err(ImageFault::TooLarge { len: least_len, room });
        }
        // No sum below exceeds least_len, which is at most `room`.
        let hashed_len = u32::try_from(hashed_len).map_err(|_| ImageFault::TooLarge { len: least_len, room })?;
        Ok(Header {
            version,
            loads_to_ram: flags & FLAG_RAM_LOAD != 0,
            rom_address: (flags & FLAG_ROM_FIXED != 0).then_some(load_address),
            protected_offset: hashed_len.saturating_sub(protected_len),
            protected_len,
            hashed_len,
        })
    }

    /// Refuses an image that says it was linked for another place: RAM, or elsewhere in flash.
    pub(super) fn check_address(&self, slot: Option<u32>) -> Result<(), ImageFault> {
        // No bootloader of these modes loads it, and the one there is may start it where it cannot run.
        if self.loads_to_ram {
            return Err(ImageFault::LoadsToRam);
        }
        match (self.rom_address, slot) {
            (Some(linked), Some(slot)) if linked != slot => Err(ImageFault::WrongAddress { linked, slot }),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// The shortest file that can hold the image.
    pub(super) fn least_len(&self) -> u32 {
        self.hashed_len.saturating_add(TLV_INFO_LEN + TLV_ENTRY_LEN + HASH_LEN)
    }
}

/// The header's 32-bit words.
fn words(header: &[u8; HEADER_LEN]) -> [u32; HEADER_LEN / 4] {
    let mut words = [0; HEADER_LEN / 4];
    for (word, bytes) in words.iter_mut().zip(header.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

fn version_of(word: u32, build: u32) -> Version {
    let [major, minor, low, high] = word.to_le_bytes();
    Version {
        major,
        minor,
        revision: u16::from_le_bytes([low, high]),
        build,
    }
}

/// The version in a header, if it is one at all.
pub(super) fn version(header: &[u8; HEADER_LEN]) -> Option<Version> {
    let [magic, _, _, _, _, low, build, _] = words(header);
    (magic == MAGIC).then(|| version_of(low, build))
}

/// Why the image in a slot could not be verified.
pub(super) enum VerifyError<E> {
    Flash(E),
    Fault(ImageFault),
}

impl<E> From<ImageFault> for VerifyError<E> {
    fn from(fault: ImageFault) -> Self {
        VerifyError::Fault(fault)
    }
}

/// Reads the image at `start` in a slot and checks it as the bootloader will, except for its signature. `room` is the
/// largest length that the image may have.
pub(super) async fn verify<F: NorFlash>(
    slot: &mut F,
    start: u32,
    room: u32,
    buffer: &mut [u8],
) -> Result<Image, VerifyError<F::Error>> {
    let mut header = [0; HEADER_LEN];
    flash::read(slot, start, &mut header)
        .await
        .map_err(VerifyError::Flash)?;
    let header = Header::check(&header, room)?;
    let (stated, len) = stated_hash(slot, start, &header, room).await?;

    let mut hash = Sha256::new();
    let mut offset = 0u32;
    while offset < header.hashed_len {
        let left = usize::try_from(header.hashed_len - offset).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        let Some(piece) = buffer.get_mut(..len) else { break };
        flash::read(slot, start.saturating_add(offset), piece)
            .await
            .map_err(VerifyError::Flash)?;
        hash.update(&*piece);
        offset = offset.saturating_add(len as u32);
    }
    let hash: Hash = hash.finalize().into();
    if hash == stated {
        Ok(Image {
            version: header.version,
            hash,
            len,
        })
    } else {
        Err(ImageFault::WrongHash.into())
    }
}

/// The hash and the length that the image at the start of a slot states.
pub(super) async fn stated<F: NorFlash>(slot: &mut F, room: u32) -> Result<(Hash, u32), VerifyError<F::Error>> {
    let mut header = [0; HEADER_LEN];
    flash::read(slot, 0, &mut header).await.map_err(VerifyError::Flash)?;
    let header = Header::check(&header, room)?;
    stated_hash(slot, 0, &header, room).await
}

/// Walks through the TLVs to the SHA-256, and to the end of the image.
async fn stated_hash<F: NorFlash>(
    slot: &mut F,
    start: u32,
    header: &Header,
    room: u32,
) -> Result<(Hash, u32), VerifyError<F::Error>> {
    let at = |offset: u32| start.saturating_add(offset);
    if header.protected_len > 0 {
        let (magic, total) = two_words(slot, at(header.protected_offset)).await?;
        if magic != PROTECTED_TLV_MAGIC || u32::from(total) != header.protected_len {
            return Err(ImageFault::Tlv.into());
        }
    }
    let (magic, total) = two_words(slot, at(header.hashed_len)).await?;
    let end = header.hashed_len.saturating_add(u32::from(total));
    if magic != TLV_MAGIC || u32::from(total) < TLV_INFO_LEN {
        return Err(ImageFault::Tlv.into());
    }
    if end > room {
        return Err(ImageFault::Truncated.into());
    }
    let mut offset = header.hashed_len.saturating_add(TLV_INFO_LEN);
    let mut found = None;
    while offset < end {
        let (kind, len) = two_words(slot, at(offset)).await?;
        let value = offset.saturating_add(TLV_ENTRY_LEN);
        let next = value.saturating_add(u32::from(len));
        if next > end {
            return Err(ImageFault::Tlv.into());
        }
        if kind == TLV_SHA256 && found.is_none() {
            if u32::from(len) != HASH_LEN {
                return Err(ImageFault::Tlv.into());
            }
            let mut hash = Hash::default();
            flash::read(slot, at(value), &mut hash)
                .await
                .map_err(VerifyError::Flash)?;
            found = Some(hash);
        }
        offset = next;
    }
    match found {
        Some(hash) => Ok((hash, end)),
        None => Err(ImageFault::NoHash.into()),
    }
}

/// Two little-endian 16-bit words, as TLV areas and entries begin.
async fn two_words<F: NorFlash>(slot: &mut F, offset: u32) -> Result<(u16, u16), VerifyError<F::Error>> {
    let mut bytes = [0; 4];
    flash::read(slot, offset, &mut bytes)
        .await
        .map_err(VerifyError::Flash)?;
    let [a, b, c, d] = bytes;
    Ok((u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])))
}
