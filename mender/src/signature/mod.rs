//! Verifying signatures with public keys: ECDSA on P-256 and P-384, RSA of 2048 to 4096 bits.
//!
//! For artifacts (feature `artifact-keys`), for TLS (RFC 8446, section 4.2.3: `ecdsa_secp256r1_sha256`, `ecdsa_secp384r1_sha384`,
//! `rsa_pkcs1_*`, `rsa_pss_rsae_*`) and for certificates. Everything here is public: keys, hashes, signatures. Nothing signs, and nothing hides how long it took.
//!
//! Keys, signatures and certificates come from the network. No bytes make these functions panic, and what is not in the one
//! form that the standards name is refused: DER with a length too long, an integer with a zero too many, a signature that is
//! not as long as the modulus.
//!
//! | file | job | needs |
//! |---|---|---|
//! | [`ecdsa`] | ECDSA; the arithmetic is that of the crates p256 and p384 | `der`; feature `p384` for that curve |
//! | [`rsa`] | PKCS#1 v1.5 and PSS | `power`, `der`; feature `rsa` |
//! | `power` | a number to the power of a public exponent, modulo an odd number | nothing |
//! | [`public_key`] | keys as files have them, PEM or DER, and the signatures of artifacts | all of these |
//! | [`base64`] | base64 | nothing |
//! | [`der`] | the few pieces of DER: tag and length, positive integers, the public key in a certificate | nothing |
//!
//! # Example
//!
//! ```
//! use mender::signature::{Hash, Refused, ecdsa};
//!
//! # let (key, signature) = ([4; 65], [0; 70]);
//! let hash = Hash::sha256(&[b"what was ", b"signed"]);
//! assert_eq!(ecdsa::verify_p256(&key, &hash, &signature), Err(Refused));
//! ```

pub mod base64;
pub mod der;
pub mod ecdsa;
#[cfg(feature = "rsa")]
mod power;
pub mod public_key;
#[cfg(feature = "rsa")]
pub mod rsa;

use core::fmt;

use sha2::{Digest, Sha256, Sha384, Sha512};

/// What is signed: the hash of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Hash {
    /// By SHA-256.
    Sha256([u8; 32]),
    /// By SHA-384.
    Sha384([u8; 48]),
    /// By SHA-512.
    Sha512([u8; 64]),
}

impl Hash {
    /// SHA-256 of a message, which is what the parts are together.
    pub fn sha256(message: &[&[u8]]) -> Hash {
        Hash::Sha256(digest::<Sha256>(message).finalize().into())
    }

    /// SHA-384 of a message, which is what the parts are together.
    pub fn sha384(message: &[&[u8]]) -> Hash {
        Hash::Sha384(digest::<Sha384>(message).finalize().into())
    }

    /// SHA-512 of a message, which is what the parts are together.
    pub fn sha512(message: &[&[u8]]) -> Hash {
        Hash::Sha512(digest::<Sha512>(message).finalize().into())
    }

    /// The hash itself.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Hash::Sha256(bytes) => bytes,
            Hash::Sha384(bytes) => bytes,
            Hash::Sha512(bytes) => bytes,
        }
    }

    /// Another message's hash by the same function.
    #[cfg(feature = "rsa")]
    fn of_another(&self, message: &[&[u8]]) -> Hash {
        match self {
            Hash::Sha256(_) => Hash::sha256(message),
            Hash::Sha384(_) => Hash::sha384(message),
            Hash::Sha512(_) => Hash::sha512(message),
        }
    }
}

fn digest<D: Digest>(message: &[&[u8]]) -> D {
    let mut digest = D::new();
    for part in message {
        digest.update(part);
    }
    digest
}

/// The signature is not this key's over this hash, or key or signature are not in their form. Which of these it is makes no
/// difference to whoever must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is not this key's")
    }
}

impl core::error::Error for Refused {}
