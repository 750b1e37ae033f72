//! The device key: what identifies the device to the server beside its identity attributes.
//!
//! ECDSA on P-256 with SHA-256 (device API, section 2). The private key is 32 bytes; how they are stored is the caller's
//! business. Nothing here prints or formats them.
//!
//! The arithmetic is the crate p256's. What is written around its numbers, DER of one key and one signature and base64, is
//! written here: a few lines, where a library for all of DER takes four kilobytes.
//!
//! Without the feature `key` there is no private key here, and no elliptic curve is linked: a
//! [`Signer`](crate::client::Signer) signs.

use core::fmt;

#[cfg(feature = "key")]
use {
    ::ecdsa::hazmat,
    p256::ecdsa,
    p256::elliptic_curve::{sec1::ToSec1Point, zeroize::Zeroizing},
    p256::{NistP256, SecretKey},
    rand_core::CryptoRng,
    sha2::{Digest, Sha256},
};

use crate::codes::Code;
use crate::spki;
use crate::text::{Describe, Text, display};
use crate::window::Window;

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

const INVALID: Code = Code::new(45);
const RANDOM: Code = Code::new(46);
const POINT: Code = Code::new(47);
const SIGNING: Code = Code::new(48);
const SIGNER: Code = Code::new(49);

impl Describe for KeyError {
    fn describe(&self, out: &mut Text<'_>) {
        out.code(match self {
            KeyError::Invalid => INVALID,
            KeyError::Random => RANDOM,
            KeyError::Point => POINT,
            KeyError::Signing => SIGNING,
            KeyError::Signer => SIGNER,
        });
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

impl core::error::Error for KeyError {}

/// The device's private key. Wiped from memory when dropped.
#[cfg(feature = "key")]
#[derive(Clone)]
pub struct DeviceKey {
    secret: SecretKey,
}

#[cfg(feature = "key")]
impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKey").finish_non_exhaustive()
    }
}

#[cfg(all(feature = "key", feature = "defmt"))]
impl defmt::Format for DeviceKey {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "DeviceKey");
    }
}

#[cfg(feature = "key")]
impl DeviceKey {
    /// A key from its stored bytes, as [`to_bytes`](DeviceKey::to_bytes) gave them.
    ///
    /// # Errors
    ///
    /// [`KeyError::Invalid`] if they are no private key, or not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<DeviceKey, KeyError> {
        let bytes: &[u8; PRIVATE_KEY_LEN] = bytes.try_into().map_err(|_| KeyError::Invalid)?;
        let secret = SecretKey::from_bytes(bytes.into()).map_err(|_| KeyError::Invalid)?;
        Ok(DeviceKey { secret })
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
        self.secret.to_bytes().into()
    }

    /// The public key as the authentication request carries it.
    pub fn public_key(&self) -> PublicKeyPem {
        PublicKeyPem::encode(&self.public_point())
    }

    /// The public key as an uncompressed point: 0x04, x, y.
    pub fn public_point(&self) -> [u8; POINT_LEN] {
        let point = self.secret.public_key().to_sec1_point(false);
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
        let scalar = Zeroizing::new(self.secret.to_nonzero_scalar());
        let (signature, _) = hazmat::sign_prehashed_rfc6979::<NistP256, Sha256>(&scalar, digest, &[]);
        Ok(DigestSignature {
            numbers: signature.to_bytes().into(),
        })
    }
}

/// An ECDSA signature on P-256 over a SHA-256 digest, from whoever has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestSignature {
    /// r and s, 32 bytes each, big endian; neither zero nor beyond the order of the curve.
    numbers: [u8; 64],
}

/// The order of P-256's group, big endian (SEC 2, 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// DER's tags.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

impl DigestSignature {
    /// From the two numbers r and s, 32 bytes each, big endian: what most secure elements give.
    ///
    /// # Errors
    ///
    /// [`KeyError::Signing`] if one of them is zero or not below the order of the curve.
    pub fn from_numbers(numbers: &[u8; 64]) -> Result<DigestSignature, KeyError> {
        let (r, s) = numbers.split_at(32);
        let good = |number: &[u8]| *number < ORDER[..] && number.iter().any(|byte| *byte != 0);
        if good(r) && good(s) {
            Ok(DigestSignature { numbers: *numbers })
        } else {
            Err(KeyError::Signing)
        }
    }

    /// From DER: a SEQUENCE of the two numbers.
    ///
    /// # Errors
    ///
    /// [`KeyError::Signing`] if it is no such signature.
    pub fn from_der(der: &[u8]) -> Result<DigestSignature, KeyError> {
        let [SEQUENCE, len, rest @ ..] = der else {
            return Err(KeyError::Signing);
        };
        let (r, rest) = integer(rest).ok_or(KeyError::Signing)?;
        let (s, end) = integer(rest).ok_or(KeyError::Signing)?;
        if usize::from(*len) + 2 != der.len() || !end.is_empty() {
            return Err(KeyError::Signing);
        }
        let mut numbers = [0; 64];
        let (left, right) = numbers.split_at_mut(32);
        left.copy_from_slice(&r);
        right.copy_from_slice(&s);
        DigestSignature::from_numbers(&numbers)
    }

    /// The value of [`SIGNATURE_HEADER`].
    ///
    /// # Errors
    ///
    /// [`KeyError::Signing`]: none that can be made here.
    pub fn text(&self) -> Result<Signature, KeyError> {
        let mut text = [0; 96];
        let mut out = Window::new(&mut text, 0);
        self.write(&mut out);
        let text = core::str::from_utf8(out.finish()).map_err(|_| KeyError::Signing)?;
        Signature::try_from(text).map_err(|_| KeyError::Signing)
    }

    /// See [`text`](DigestSignature::text).
    pub(crate) fn write(&self, out: &mut Window<'_>) {
        let mut der = [0; 72];
        let mut to = Window::new(&mut der, 0);
        let (r, s) = self.numbers.split_at(32);
        // Each of the two takes at most 35 bytes, so every length is a single byte.
        let len = Window::count(|out| put_integer(out, r)) + Window::count(|out| put_integer(out, s));
        to.bytes(&[SEQUENCE, len as u8]);
        put_integer(&mut to, r);
        put_integer(&mut to, s);
        base64(to.finish(), |character| out.byte(character));
    }
}

/// A positive number in DER: no zeros in front, but one where the first bit would make it negative.
fn put_integer(out: &mut Window<'_>, number: &[u8]) {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = number.get(zeros..).unwrap_or(&[]);
    let sign = digits.first().is_some_and(|first| first & 0x80 != 0);
    out.bytes(&[INTEGER, digits.len() as u8 + u8::from(sign)]);
    if sign {
        out.byte(0);
    }
    out.bytes(digits);
}

/// A positive number in DER of at most 32 bytes, and what follows it.
fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [INTEGER, len, rest @ ..] = der else { return None };
    let (digits, rest) = rest.split_at_checked(usize::from(*len))?;
    let digits = match digits {
        // The shortest form only.
        [0, second, ..] if second & 0x80 == 0 => return None,
        [0, digits @ ..] => digits,
        [first, ..] if first & 0x80 != 0 => return None,
        digits => digits,
    };
    let mut number = [0; 32];
    let start = 32_usize.checked_sub(digits.len())?;
    number.get_mut(start..)?.copy_from_slice(digits);
    Some((number, rest))
}

/// Standard base64, padded (RFC 4648, section 4).
fn base64(bytes: &[u8], mut put: impl FnMut(u8)) {
    for place in 0..bytes.len().div_ceil(3) * 4 {
        put(base64_digit(bytes, place));
    }
}

/// The character at a place of the base64 of some bytes.
#[inline(never)]
fn base64_digit(bytes: &[u8], place: usize) -> u8 {
    let group = bytes.get(place / 4 * 3..).unwrap_or(&[]);
    if place % 4 > group.len() {
        return b'=';
    }
    let bits = group.iter().chain(&[0, 0]).take(3);
    let bits = bits.fold(0, |bits, byte| bits << 8 | u32::from(*byte));
    // Six bits.
    let digit = (bits >> (18 - 6 * (place % 4)) & 0x3f) as u8;
    match digit {
        0..=25 => b'A' + digit,
        26..=51 => b'a' + digit - 26,
        52..=61 => b'0' + digit - 52,
        62 => b'+',
        _ => b'/',
    }
}

/// A P-256 public key as PEM, `-----BEGIN PUBLIC KEY-----` with a newline at the end of each line.
///
/// The server takes SPKI only, in a block of exactly this name (device API, section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeyPem {
    point: [u8; POINT_LEN],
    text: heapless::String<PEM_LEN>,
}

const PEM_HEAD: &str = "-----BEGIN PUBLIC KEY-----\n";
const PEM_TAIL: &str = "-----END PUBLIC KEY-----\n";
/// 91 bytes of DER are 124 of base64 in two lines.
const PEM_LEN: usize = PEM_HEAD.len() + 64 + 1 + 60 + 1 + PEM_TAIL.len();

/// The PEM text of a public key, character by character.
pub(crate) fn pem(point: &[u8], mut put: impl FnMut(u8)) {
    PEM_HEAD.bytes().for_each(&mut put);
    let mut der = [0; spki::P256.len() + POINT_LEN];
    for (place, byte) in der.iter_mut().zip(spki::P256.iter().chain(point)) {
        *place = *byte;
    }
    let mut column = 0;
    base64(&der, |character| {
        put(character);
        column += 1;
        // Two lines: 64 and 60 characters.
        if column == 64 || column == 124 {
            put(b'\n');
        }
    });
    PEM_TAIL.bytes().for_each(put);
}

/// Whether these bytes can be a public key. With the feature `key` that they are a point of the curve is checked too.
pub(crate) fn is_point(point: &[u8]) -> bool {
    #[cfg(feature = "key")]
    let on_curve = ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok();
    #[cfg(not(feature = "key"))]
    let on_curve = true;
    point.len() == POINT_LEN && point.first() == Some(&4) && on_curve
}

impl PublicKeyPem {
    /// The PEM text of a public key that was made elsewhere, such as in a secure element: 0x04, then x and y. With the feature
    /// `key` it is checked that the point is one of the curve.
    ///
    /// # Errors
    ///
    /// [`KeyError::Point`] if these are no 65 bytes of a point on the curve.
    pub fn from_point(point: &[u8]) -> Result<PublicKeyPem, KeyError> {
        match point.try_into() {
            Ok(bytes) if is_point(point) => Ok(PublicKeyPem::encode(bytes)),
            Ok(_) | Err(_) => Err(KeyError::Point),
        }
    }

    /// The text, ready to be written into the request.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn point(&self) -> &[u8] {
        &self.point
    }

    fn encode(point: &[u8; POINT_LEN]) -> PublicKeyPem {
        let mut text = heapless::String::new();
        pem(point, |byte| {
            // The capacity is that of exactly this text.
            let pushed = text.push(char::from(byte));
            debug_assert!(pushed.is_ok());
        });
        PublicKeyPem { point: *point, text }
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
