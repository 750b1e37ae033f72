//! MCUboot images: what their headers announce, and whether what is in flash is one. Pure: an [`Examiner`] says which bytes it
//! wants, and takes them. Depends on errors, hashes and versions.
//!
//! MCUboot's `docs/design.md`, "Image format", and `image_validate.c` for what the bootloader demands.

use super::digest::{Digest, HAS_LONG, HashKind, Rest, is_another_check};
use super::error::{Fault, Numbers};
use super::version::Version;
use crate::hasher::{self, Hash};

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
const TLV_MAGIC: u32 = 0x6907;
const PROTECTED_TLV_MAGIC: u32 = 0x6908;
const TLV_INFO_LEN: u32 = 4;
const TLV_ENTRY_LEN: u32 = 4;
/// Of the shortest hash, and as much of any as images are told apart by.
pub(super) const HASH_LEN: u32 = hasher::HASH_LEN as u32;

/// An intact image, as found in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The version in its header.
    pub version: Version,
    /// Its hash, which is right, or the first 32 bytes of a longer one.
    pub hash: [u8; 32],
    /// What kind of hash this is.
    pub hash_kind: HashKind,
    /// Length in bytes, header and all TLVs included.
    pub len: u32,
}

/// Where the parts of an image are, after its header has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: Version,
    flags: u32,
    load_address: u32,
    protected_len: u32,
    /// The hash covers all before; here the unprotected TLVs begin.
    hashed_len: u32,
}

impl Header {
    /// Checks all that the header alone can tell: it belongs to an image that may boot and fits into `room` bytes.
    pub(super) fn check(bytes: &[u8], room: u32, numbers: &mut Numbers) -> Result<Header, Fault> {
        let word = |index| word(bytes, index);
        if word(0) != MAGIC {
            return Err(Fault::NotAnImage);
        }
        let (lens, body_len, flags) = (word(2), word(3), word(4));
        let (header_len, protected_len) = (lens & 0xffff, lens >> 16);
        if header_len < HEADER_LEN as u32 {
            return Err(Fault::HeaderLen);
        }
        if flags & FLAGS_ENCODED != 0 {
            return Err(Fault::Encoded);
        }
        if flags & FLAG_NON_BOOTABLE != 0 {
            return Err(Fault::NotBootable);
        }
        // Below 2^18; only the body can make the sum too large for 32 bits.
        let around = header_len + protected_len + TLV_INFO_LEN + TLV_ENTRY_LEN + HASH_LEN;
        if body_len > room.saturating_sub(around) || around > room {
            let (low, more) = around.overflowing_add(body_len);
            return Err(numbers.too_large((low, more.into()), room));
        }
        Ok(Header {
            version: Version::new(word(5), word(6)),
            flags,
            load_address: word(1),
            protected_len,
            // At most `room`.
            hashed_len: header_len.saturating_add(protected_len).saturating_add(body_len),
        })
    }

    /// Refuses an image that says it was linked for another place: RAM, or elsewhere in flash.
    pub(super) fn check_address(&self, slot: Option<u32>, numbers: &mut Numbers) -> Result<(), Fault> {
        // No bootloader of these modes loads it, and the one there is may start it where it cannot run.
        if self.flags & FLAG_RAM_LOAD != 0 {
            return Err(Fault::LoadsToRam);
        }
        let linked = self.load_address;
        match slot {
            Some(slot) if self.flags & FLAG_ROM_FIXED != 0 && linked != slot => {
                Err(numbers.wrong_address(linked, slot))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The shortest file that can hold the image.
    pub(super) fn least_len(&self) -> u32 {
        self.hashed_len.saturating_add(TLV_INFO_LEN + TLV_ENTRY_LEN + HASH_LEN)
    }
}

/// A 32-bit word of a header; 0 where there is none.
fn word(bytes: &[u8], index: usize) -> u32 {
    let (words, _) = bytes.as_chunks::<4>();
    words.get(index).map_or(0, |word| u32::from_le_bytes(*word))
}

/// Whether these bytes begin as an image does.
pub(super) fn is_image(bytes: &[u8]) -> bool {
    word(bytes, 0) == MAGIC
}

/// The version in a header, if it is one at all.
pub(super) fn version(header: &[u8]) -> Option<Version> {
    is_image(header).then(|| Version::new(word(header, 5), word(header, 6)))
}

/// Reads an image in a slot and checks it as the bootloader will, except for its signature: takes the bytes that it
/// [`wants`](Examiner::wants), until it knows.
pub(super) struct Examiner {
    /// The largest length that the image may have.
    room: u32,
    stage: Stage,
    /// Where the next bytes are, from the start of the image.
    at: u32,
    hashed_len: u32,
    protected_len: u32,
    /// The end of the TLVs.
    end: u32,
    has_hash: bool,
    /// Something else than a hash that can be reckoned says whether the image is intact.
    has_another_check: bool,
    /// What was found.
    pub(super) image: Image,
    /// What is behind the part of the hash that is in there.
    rest: Rest,
    /// Otherwise what the image states is believed.
    thorough: bool,
    hash: Option<Digest>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    /// The head of the protected TLVs, if there are any, or of the others.
    Tlvs,
    Entry,
    Hash,
    /// The rest of a long one.
    Rest,
    Body,
}

impl Examiner {
    /// With `thorough` the image is hashed, otherwise its hash and length are what it states.
    pub(super) fn new(room: u32, thorough: bool) -> Examiner {
        Examiner {
            room,
            stage: Stage::Header,
            at: 0,
            hashed_len: 0,
            protected_len: 0,
            end: 0,
            has_hash: false,
            has_another_check: false,
            image: Image {
                version: Version::new(0, 0),
                hash: Hash::default(),
                hash_kind: HashKind::Sha256,
                len: 0,
            },
            rest: Rest::default(),
            thorough,
            hash: None,
        }
    }

    /// Takes whatever is from `start` to `end`, to hash it: there need not be an image.
    pub(super) fn of_range(start: u32, end: u32) -> Examiner {
        Examiner {
            stage: Stage::Body,
            at: start,
            hashed_len: end,
            hash: Some(Digest::new(HashKind::Sha256)),
            ..Examiner::new(0, true)
        }
    }

    /// Offset and number of the bytes that it wants. Of the body it also takes fewer.
    pub(super) fn wants(&self) -> (u32, u32) {
        let len = match self.stage {
            Stage::Header => HEADER_LEN as u32,
            Stage::Tlvs => TLV_INFO_LEN,
            Stage::Entry => TLV_ENTRY_LEN,
            Stage::Hash => HASH_LEN,
            Stage::Rest => self.image.hash_kind.len().saturating_sub(HASH_LEN),
            Stage::Body => self.hashed_len.saturating_sub(self.at),
        };
        (self.at, len)
    }

    /// Whether it knows all that it wants.
    pub(super) fn take(&mut self, bytes: &[u8], numbers: &mut Numbers) -> Result<bool, Fault> {
        // Two 16-bit numbers: magic and length of an area, type and length of an entry.
        let (low, high) = (word(bytes, 0) & 0xffff, word(bytes, 0) >> 16);
        match self.stage {
            Stage::Header => {
                let header = Header::check(bytes, self.room, numbers)?;
                self.image.version = header.version;
                self.hashed_len = header.hashed_len;
                self.protected_len = header.protected_len;
                self.stage = Stage::Tlvs;
                self.at = header.hashed_len.saturating_sub(header.protected_len);
                return Ok(false);
            }
            Stage::Tlvs if self.at < self.hashed_len => {
                if low != PROTECTED_TLV_MAGIC || high != self.protected_len {
                    return Err(Fault::Tlv);
                }
                self.at = self.hashed_len;
                return Ok(false);
            }
            Stage::Tlvs => {
                if low != TLV_MAGIC || high < TLV_INFO_LEN {
                    return Err(Fault::Tlv);
                }
                self.end = self.at.saturating_add(high);
                if self.end > self.room {
                    return Err(Fault::Truncated);
                }
                self.stage = Stage::Entry;
                self.at = self.at.saturating_add(TLV_INFO_LEN);
            }
            Stage::Entry => {
                self.at = self.at.saturating_add(TLV_ENTRY_LEN);
                let next = self.at.saturating_add(high);
                if next > self.end {
                    return Err(Fault::Tlv);
                }
                self.has_another_check |= is_another_check(low);
                match HashKind::of_tlv(low) {
                    Some(kind) if !self.has_hash => {
                        if high != kind.len() {
                            return Err(Fault::Tlv);
                        }
                        self.image.hash_kind = kind;
                        self.stage = Stage::Hash;
                        return Ok(false);
                    }
                    Some(_) | None => self.at = next,
                }
            }
            Stage::Hash => {
                self.image.hash = bytes.try_into().map_err(|_| Fault::Tlv)?;
                self.has_hash = true;
                self.at = self.at.saturating_add(HASH_LEN);
                if HAS_LONG && self.image.hash_kind.len() > HASH_LEN {
                    self.stage = Stage::Rest;
                    return Ok(false);
                }
                self.stage = Stage::Entry;
            }
            Stage::Rest => {
                for (to, from) in self.rest.iter_mut().zip(bytes) {
                    *to = *from;
                }
                self.stage = Stage::Entry;
                self.at = self.at.saturating_add(bytes.len() as u32);
            }
            Stage::Body => {
                if let Some(hash) = &mut self.hash {
                    hash.update(bytes);
                }
                self.at = self.at.saturating_add(bytes.len() as u32);
            }
        }
        match self.stage {
            Stage::Entry if self.at < self.end => return Ok(false),
            Stage::Entry => {
                if !self.has_hash {
                    return Err(if self.has_another_check {
                        Fault::HashNotSupported
                    } else {
                        Fault::NoHash
                    });
                }
                self.image.len = self.end;
                if self.thorough {
                    self.hash = Some(Digest::new(self.image.hash_kind));
                    self.stage = Stage::Body;
                    self.at = 0;
                    return Ok(false);
                }
            }
            Stage::Body if self.at < self.hashed_len => return Ok(false),
            Stage::Header | Stage::Tlvs | Stage::Hash | Stage::Rest | Stage::Body => {}
        }
        if let Some(hash) = &mut self.hash {
            let (found, rest) = hash.finish();
            if self.has_hash && (found != self.image.hash || rest != self.rest) {
                return Err(Fault::WrongHash);
            }
            self.image.hash = found;
        }
        Ok(true)
    }
}
