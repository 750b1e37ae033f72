//! The device key: what identifies the device to the server beside its identity attributes.
//!
//! ECDSA on P-256 with SHA-256 (device API, section 2). The private key is 32 bytes; how they are stored is the caller's
//! business. Nothing here prints or formats them.

use core::fmt;

use base64ct::{Base64, Encoding};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{self, SigningKey};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

/// Length of a stored private key in bytes.
pub const PRIVATE_KEY_LEN: usize = 32;

/// Length in bytes of a P-256 point, uncompressed: 0x04, x, y.
pub const POINT_LEN: usize = 65;

/// Name of the header that carries [`DeviceKey::sign`]'s text.
pub const SIGNATURE_HEADER: &str = "X-MEN-Signature";

/// A signature as the header carries it: standard base64, padded, of the DER form. At most 72 bytes of DER.
pub type Signature = heapless::String<96>;

/// Why there is no key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyError {
    /// The stored bytes are no private key: zero, or not below the order of the curve.
    Invalid,
    /// The random number generator did not give a usable number in several attempts: it is broken.
    Random,
    /// The bytes are no uncompressed point of the curve.
    Point,
    /// The signature could not be computed, or is none. Does not happen with a valid key; sign again.
    Signing,
    /// The device's own [`Signer`](crate::client::Signer) failed; its error was logged.
    Signer,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::Invalid => "the stored bytes are no P-256 private key: generate a new one",
            KeyError::Random => "the random number generator is broken: it gives no usable private key",
            KeyError::Point => "the public key is no uncompressed point of P-256",
            KeyError::Signing => "the signature could not be computed",
            KeyError::Signer => "the device's signer failed: see its error above",
        })
    }
}

impl core::error::Error for KeyError {}

/// The device's private key. Wiped from memory when dropped.
#[derive(Clone)]
pub struct DeviceKey {
    signing: SigningKey,
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKey").finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for DeviceKey {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "DeviceKey");
    }
}

impl DeviceKey {
    /// A key from its stored bytes, as [`to_bytes`](DeviceKey::to_bytes) gave them.
    ///
    /// # Errors
    ///
    /// [`KeyError::Invalid`] if they are no private key, or not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<DeviceKey, KeyError> {
        let signing = SigningKey::from_slice(bytes).map_err(|_| KeyError::Invalid)?;
        if bytes.len() != PRIVATE_KEY_LEN {
            return Err(KeyError::Invalid);
        }
        Ok(DeviceKey { signing })
    }

    /// A new key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`] if eight numbers in a row are no private key. With a good generator one try in 2^32 fails.
    pub fn generate(rng: &mut impl CryptoRng) -> Result<DeviceKey, KeyError> {
        for _ in 0..8 {
            let mut bytes = [0; PRIVATE_KEY_LEN];
            rng.fill_bytes(&mut bytes);
            // A generator that is not powered gives a constant; such a number may well be below the order.
            let constant = bytes.windows(2).all(|pair| matches!(pair, [a, b] if a == b));
            if !constant && let Ok(key) = DeviceKey::from_bytes(&bytes) {
                return Ok(key);
            }
        }
        Err(KeyError::Random)
    }

    /// The private key, to be stored. Keep it out of logs.
    pub fn to_bytes(&self) -> [u8; PRIVATE_KEY_LEN] {
        self.signing.to_bytes().into()
    }

    /// The public key as the authentication request carries it.
    pub fn public_key(&self) -> PublicKeyPem {
        PublicKeyPem::encode(&self.public_point())
    }

    /// The public key as an uncompressed point: 0x04, x, y.
    pub fn public_point(&self) -> [u8; POINT_LEN] {
        let point = self.signing.verifying_key().to_sec1_point(false);
        let mut bytes = [0; POINT_LEN];
        for (place, &byte) in bytes.iter_mut().zip(point.as_bytes()) {
            *place = byte;
        }
        bytes
    }

    /// The value of [`SIGNATURE_HEADER`] for a request body: base64 of the DER signature over SHA-256 of exactly these bytes.
    ///
    /// Deterministic (RFC 6979): needs no random numbers, and the same body has the same signature.
    ///
    /// # Errors
    ///
    /// [`KeyError::Signing`].
    pub fn sign(&self, body: &[u8]) -> Result<Signature, KeyError> {
        self.sign_digest(&Sha256::digest(body).into())?.text()
    }

    /// Signs a SHA-256 digest.
    ///
    /// # Errors
    ///
    /// [`KeyError::Signing`].
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Result<DigestSignature, KeyError> {
        let signature = self.signing.sign_prehash(digest).map_err(|_| KeyError::Signing)?;
        Ok(DigestSignature { signature })
    }
}

/// An ECDSA signature on P-256 over a SHA-256 digest, from whoever has the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestSignature {
    signature: ecdsa::Signature,
}

impl DigestSignature {
    /// From the two numbers r and s, 32 bytes each, big endian: what most secure elements give.
    ///
    /// # Errors
    ///
    /// [`KeyError::Signing`] if one of them is zero or not below the order of the curve.
    pub fn from_numbers(numbers: &[u8; 64]) -> Result<DigestSignature, KeyError> {
        let signature = ecdsa::Signature::from_slice(numbers).map_err(|_| KeyError::Signing)?;
        Ok(DigestSignature { signature })
    }

    /// From DER: a SEQUENCE of the two numbers.
    ///
    /// # Errors
    ///
    /// [`KeyError::Signing`] if it is no such signature.
    pub fn from_der(der: &[u8]) -> Result<DigestSignature, KeyError> {
        let signature = ecdsa::Signature::from_der(der).map_err(|_| KeyError::Signing)?;
        Ok(DigestSignature { signature })
    }

    /// The value of [`SIGNATURE_HEADER`].
    ///
    /// # Errors
    ///
    /// [`KeyError::Signing`]: none that can be made here.
    pub fn text(&self) -> Result<Signature, KeyError> {
        let mut buffer = [0; 96];
        let text = Base64::encode(self.signature.to_der().as_bytes(), &mut buffer).map_err(|_| KeyError::Signing)?;
        Signature::try_from(text).map_err(|_| KeyError::Signing)
    }
}

/// A P-256 public key as PEM, `-----BEGIN PUBLIC KEY-----` with a newline at the end of each line.
///
/// The server takes SPKI only, in a block of exactly this name (device API, section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeyPem {
    text: heapless::String<PEM_LEN>,
}

const PEM_HEAD: &str = "-----BEGIN PUBLIC KEY-----\n";
const PEM_TAIL: &str = "-----END PUBLIC KEY-----\n";
/// 91 bytes of DER are 124 of base64 in two lines.
const PEM_LEN: usize = PEM_HEAD.len() + 64 + 1 + 60 + 1 + PEM_TAIL.len();

/// SubjectPublicKeyInfo of every P-256 key up to the point: id-ecPublicKey, prime256v1, BIT STRING of 66 bytes (RFC 5480).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, // SEQUENCE
    0x30, 0x13, // SEQUENCE
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, // 1.2.840.10045.2.1
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, // 1.2.840.10045.3.1.7
    0x03, 0x42, 0x00, // BIT STRING, no unused bits
];

impl PublicKeyPem {
    /// The PEM text of a public key that was made elsewhere, such as in a secure element: 0x04, then x and y. The point is
    /// checked.
    ///
    /// # Errors
    ///
    /// [`KeyError::Point`] if these are no 65 bytes of a point on the curve.
    pub fn from_point(point: &[u8]) -> Result<PublicKeyPem, KeyError> {
        if point.len() != POINT_LEN || ecdsa::VerifyingKey::from_sec1_bytes(point).is_err() {
            return Err(KeyError::Point);
        }
        Ok(PublicKeyPem::encode(point))
    }

    /// The text, ready to be written into the request.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn encode(point: &[u8]) -> PublicKeyPem {
        let mut der = [0; SPKI_PREFIX.len() + POINT_LEN];
        for (place, &byte) in der.iter_mut().zip(SPKI_PREFIX.iter().chain(point)) {
            *place = byte;
        }
        let mut base64 = [0; 124];
        let base64 = Base64::encode(&der, &mut base64).unwrap_or_default();
        let (first, second) = base64.split_at_checked(64).unwrap_or_default();
        let mut text = heapless::String::new();
        for part in [PEM_HEAD, first, "\n", second, "\n", PEM_TAIL] {
            // The capacity is the sum of exactly these parts.
            let pushed = text.push_str(part);
            debug_assert!(pushed.is_ok());
        }
        PublicKeyPem { text }
    }
}

impl fmt::Display for PublicKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for PublicKeyPem {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}
