//! Public keys as files have them: `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7), as DER or as PEM (RFC 7468, section 13).

use super::{Hash, Refused, base64, ecdsa};
#[cfg(feature = "rsa")]
use super::{der, rsa};
use crate::spki;

/// Bytes of the longest key's base64 text: RSA of 4096 bits has 550 bytes of DER, P-256 has 91.
const TEXT_LEN: usize = if cfg!(feature = "rsa") { 736 } else { 124 };

const HEAD: &[u8] = b"-----BEGIN PUBLIC KEY-----";
const TAIL: &[u8] = b"-----END PUBLIC KEY-----";

/// What follows the algorithm's name: the key itself.
#[derive(Clone, Copy)]
enum Key<'k> {
    /// The point, uncompressed.
    P256(&'k [u8]),
    /// DER of an `RSAPublicKey`.
    #[cfg(feature = "rsa")]
    Rsa(&'k [u8]),
}

/// Whether these bytes are a key that [`verify`] can use: on P-256, or RSA of 2048 to 4096 bits with the feature `rsa`.
pub fn is_usable(file: &[u8]) -> bool {
    with(file, |key| match key {
        Key::P256(point) => ecdsa::is_p256(point).then_some(()),
        #[cfg(feature = "rsa")]
        Key::Rsa(key) => rsa::is_key(key).then_some(()),
    })
    .is_some()
}

/// Whether this is the signature of the key's owner over the hash, in one of the forms that artifacts have (spec of the artifact
/// format, section 5): r and s of 32 bytes each, or DER of both, by a key on P-256; PKCS#1 v1.5 by RSA.
///
/// # Errors
///
/// [`Refused`] if it is not, or if key or signature are malformed.
pub fn verify(file: &[u8], hash: &Hash, signature: &[u8]) -> Result<(), Refused> {
    with(file, |key| match key {
        Key::P256(point) => match signature.split_at_checked(32) {
            Some((r, s)) if s.len() == 32 => ecdsa::verify_p256_fixed(point, hash, r, s).ok(),
            Some(_) | None => ecdsa::verify_p256(point, hash, signature).ok(),
        },
        #[cfg(feature = "rsa")]
        Key::Rsa(key) => rsa::verify_pkcs1(key, hash, signature).ok(),
    })
    .ok_or(Refused)
}

fn with(file: &[u8], work: impl FnOnce(Key<'_>) -> Option<()>) -> Option<()> {
    // DER begins with a SEQUENCE, which is no letter and no space.
    if file.first() == Some(&0x30) {
        return work(key(file)?);
    }
    // Whatever stands before it is for people (RFC 7468, section 2).
    let start = file.windows(HEAD.len()).position(|text| text == HEAD)? + HEAD.len();
    let text = file.get(start..)?.trim_ascii_end().strip_suffix(TAIL)?;
    let mut buffer = [0; TEXT_LEN];
    let mut len = 0;
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        *buffer.get_mut(len)? = *byte;
        len += 1;
    }
    let len = base64::decode(buffer.get_mut(..len)?)?;
    work(key(buffer.get(..len)?)?)
}

fn key(der: &[u8]) -> Option<Key<'_>> {
    if let Some(point) = der.strip_prefix(&spki::P256) {
        return Some(Key::P256(point));
    }
    #[cfg(feature = "rsa")]
    {
        let (algorithm, rest) = der::element(der::SEQUENCE, der::only(der::SEQUENCE, der)?)?;
        if algorithm == spki::RSA
            && let [0, key @ ..] = der::only(der::BIT_STRING, rest)?
        {
            return Some(Key::Rsa(key));
        }
    }
    None
}
