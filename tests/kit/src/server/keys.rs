//! Public keys of devices and the signatures made with them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::der::Decode as _;
use p256::pkcs8::spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use ring::signature::{self, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::pem;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P224: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.33");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A device's public key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The SubjectPublicKeyInfo in DER.
    spki: Vec<u8>,
    /// The key alone, as the signature code wants it.
    key: Vec<u8>,
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rsa,
    P224,
    P256,
    P384,
    P521,
    Ed25519,
}

impl PublicKey {
    /// Reads a PEM block of type exactly `PUBLIC KEY`. Text around the block and other line lengths are taken, as in Go.
    ///
    /// # Errors
    /// The reason, in the words of the 400 answer.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, String> {
        let block = pem::first_block(pem).ok_or_else(|| "cannot decode public key".to_owned())?;
        if block.label != "PUBLIC KEY" {
            return Err(format!("invalid PEM block type: {} (expected PUBLIC KEY)", block.label));
        }
        Self::from_der(&block.content)
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        let spki =
            SubjectPublicKeyInfoRef::from_der(der).map_err(|error| format!("cannot parse public key: {error}"))?;
        let algorithm = if spki.algorithm.oid == RSA {
            Algorithm::Rsa
        } else if spki.algorithm.oid == ED25519 {
            Algorithm::Ed25519
        } else if spki.algorithm.oid == EC {
            match spki.algorithm.parameters_oid() {
                Ok(P224) => Algorithm::P224,
                Ok(P256) => Algorithm::P256,
                Ok(P384) => Algorithm::P384,
                Ok(P521) => Algorithm::P521,
                Ok(_) | Err(_) => return Err("unsupported elliptic curve".to_owned()),
            }
        } else {
            return Err("unsupported public key type".to_owned());
        };
        let key = spki
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| "cannot parse public key".to_owned())?
            .to_vec();
        // Points that are not on the curve are refused here, not at the signature.
        let is_valid = match algorithm {
            Algorithm::P224 => p224::PublicKey::from_sec1_bytes(&key).is_ok(),
            Algorithm::P256 => p256::PublicKey::from_sec1_bytes(&key).is_ok(),
            Algorithm::P384 => p384::PublicKey::from_sec1_bytes(&key).is_ok(),
            Algorithm::P521 => p521::PublicKey::from_sec1_bytes(&key).is_ok(),
            Algorithm::Rsa | Algorithm::Ed25519 => true,
        };
        if !is_valid {
            return Err("invalid elliptic curve point".to_owned());
        }
        Ok(Self {
            spki: der.to_vec(),
            key,
            algorithm,
        })
    }

    /// The one spelling of this key: PEM with lines of 64 characters.
    pub(crate) fn canonical_pem(&self) -> String {
        let text = STANDARD.encode(&self.spki);
        let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
        for (at, character) in text.chars().enumerate() {
            if at > 0 && at.is_multiple_of(64) {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem.push_str("\n-----END PUBLIC KEY-----\n");
        pem
    }

    /// Whether `signature` (standard Base64 with padding; CR and LF are skipped) is one of this key over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &str) -> bool {
        let text: String = signature
            .chars()
            .filter(|character| !matches!(character, '\r' | '\n'))
            .collect();
        let Ok(bytes) = STANDARD.decode(text) else { return false };
        let by_ring = |algorithm: &'static dyn signature::VerificationAlgorithm| {
            UnparsedPublicKey::new(algorithm, &self.key)
                .verify(message, &bytes)
                .is_ok()
        };
        // The hash is SHA-256 on every curve.
        match self.algorithm {
            // 1024 bits is the least the real server's library takes.
            Algorithm::Rsa => by_ring(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
            Algorithm::P256 => by_ring(&signature::ECDSA_P256_SHA256_ASN1),
            Algorithm::P384 => by_ring(&signature::ECDSA_P384_SHA256_ASN1),
            Algorithm::Ed25519 => by_ring(&signature::ED25519),
            Algorithm::P224 => verify_p224(&self.key, message, &bytes).is_some(),
            Algorithm::P521 => verify_p521(&self.key, message, &bytes).is_some(),
        }
    }
}

/// The request that was last found to be signed as it should be. A device makes the same one at each login, and power cuts let it log
/// in some hundred thousand times. Copies of a server share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastGood(Arc<Mutex<Option<Good>>>);

#[derive(Debug, PartialEq, Eq)]
struct Good {
    key: PublicKey,
    message: Vec<u8>,
    signature: String,
}

impl LastGood {
    /// The same as [`PublicKey::verify`].
    pub(crate) fn verify(&self, key: &PublicKey, message: &[u8], signature: &str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(good) = &*last
            && good.key == *key
            && good.message == message
            && good.signature == signature
        {
            return true;
        }
        let is_good = key.verify(message, signature);
        if is_good {
            *last = Some(Good {
                key: key.clone(),
                message: message.to_vec(),
                signature: signature.to_owned(),
            });
        }
        is_good
    }
}

fn verify_p224(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p224::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p224::ecdsa::DerSignature::from_bytes(signature).ok()?;
    key.verify_prehash(&Sha256::digest(message), &signature).ok()
}

fn verify_p521(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p521::ecdsa::DerSignature::from_bytes(signature).ok()?;
    key.verify_prehash(&Sha256::digest(message), &signature).ok()
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}
