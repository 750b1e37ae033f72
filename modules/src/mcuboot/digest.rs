//! The hashes that an image may state of itself. Depends on the module's hasher, and on `sha2` with the feature `sha512`.
//!
//! MCUboot's `image.h` (`IMAGE_TLV_SHA256` and those after it). Which of them a bootloader looks for is fixed when it is built.

use crate::hasher::{Hash, Hasher};

const TLV_SHA256: u32 = 0x10;
const TLV_SHA384: u32 = 0x11;
const TLV_SHA512: u32 = 0x12;
/// The signature is one of the image itself, and not of its hash.
const TLV_SIG_PURE: u32 = 0x25;

/// Whether the two longer ones can be reckoned.
pub(super) const HAS_LONG: bool = cfg!(feature = "sha512");

/// What is behind the first 32 bytes of a hash, filled up with zeros; no byte where SHA-256 is all there is.
pub(super) type Rest = [u8; if HAS_LONG { 32 } else { 0 }];

/// The hash function of an image: imgtool's `--sha`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    /// SHA-256.
    Sha256,
    /// SHA-384, for keys on P-384. Needs the feature `sha512`.
    Sha384,
    /// SHA-512, for keys on Ed25519 if the bootloader is built so. Needs the feature `sha512`.
    Sha512,
}

impl HashKind {
    /// The function whose hash is in a TLV of this type, if it is one.
    pub(super) const fn of_tlv(tlv: u32) -> Option<HashKind> {
        match tlv {
            TLV_SHA256 => Some(HashKind::Sha256),
            TLV_SHA384 if HAS_LONG => Some(HashKind::Sha384),
            TLV_SHA512 if HAS_LONG => Some(HashKind::Sha512),
            _ => None,
        }
    }

    /// Length of the hash in bytes.
    pub(super) const fn len(self) -> u32 {
        match self {
            HashKind::Sha256 => 32,
            HashKind::Sha384 => 48,
            HashKind::Sha512 => 64,
        }
    }
}

/// Whether a TLV of this type says how an image without any other hash is checked.
pub(super) const fn is_another_check(tlv: u32) -> bool {
    matches!(tlv, TLV_SHA384 | TLV_SHA512 | TLV_SIG_PURE)
}

/// A hash being reckoned.
pub(super) enum Digest {
    Sha256(Hasher),
    #[cfg(feature = "sha512")]
    Sha384(sha2::Sha384),
    #[cfg(feature = "sha512")]
    Sha512(sha2::Sha512),
}

#[cfg(not(feature = "sha512"))]
impl Digest {
    pub(super) fn new(_: HashKind) -> Digest {
        Digest::Sha256(Hasher::new())
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let Digest::Sha256(hasher) = self;
        hasher.update(bytes);
    }

    /// The hash of all.
    pub(super) fn finish(&mut self) -> (Hash, Rest) {
        let Digest::Sha256(hasher) = self;
        (hasher.finish(), [])
    }
}

#[cfg(feature = "sha512")]
impl Digest {
    pub(super) fn new(kind: HashKind) -> Digest {
        match kind {
            HashKind::Sha256 => Digest::Sha256(Hasher::new()),
            HashKind::Sha384 => Digest::Sha384(sha2::Digest::new()),
            HashKind::Sha512 => Digest::Sha512(sha2::Digest::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Digest::Sha256(hasher) => hasher.update(bytes),
            Digest::Sha384(hasher) => sha2::Digest::update(hasher, bytes),
            Digest::Sha512(hasher) => sha2::Digest::update(hasher, bytes),
        }
    }

    /// The hash of all.
    pub(super) fn finish(&mut self) -> (Hash, Rest) {
        match self {
            Digest::Sha256(hasher) => (hasher.finish(), [0; 32]),
            Digest::Sha384(hasher) => parts(&sha2::Digest::finalize_reset(hasher)),
            Digest::Sha512(hasher) => parts(&sha2::Digest::finalize_reset(hasher)),
        }
    }
}

/// A long hash in two.
#[cfg(feature = "sha512")]
fn parts(hash: &[u8]) -> (Hash, Rest) {
    let (mut first, mut rest) = (Hash::default(), Rest::default());
    for (to, from) in first.iter_mut().chain(&mut rest).zip(hash) {
        *to = *from;
    }
    (first, rest)
}
