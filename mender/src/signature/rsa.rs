//! RSA (RFC 8017), verification only.
//!
//! A key is DER of an `RSAPublicKey` (appendix A.1.1), which is what a certificate has in its BIT STRING: a modulus of 2048 to 4096
//! bits, a multiple of 32, and an odd exponent from 3 to 2^32 - 1. All others are refused; so is a signature that is not as
//! long as the modulus, or not below it.

use super::power::{MAX_LEN, power};
use super::{Hash, Refused, der};

/// Bytes of the shortest modulus.
const MIN_LEN: usize = 256;

/// The encoded message, EM, that this is the signature of if it is this key's. It is put into the buffer.
fn open<'b>(key: &[u8], signature: &[u8], buffer: &'b mut [u8; MAX_LEN]) -> Option<&'b mut [u8]> {
    let (modulus, exponent) = der::pair(key)?;
    if modulus.len() < MIN_LEN || exponent.len() > 4 {
        return None;
    }
    let exponent = exponent.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
    let encoded = buffer.get_mut(..modulus.len())?;
    power(signature, exponent, modulus, encoded)?;
    Some(encoded)
}

/// Whether these bytes are a key of a length that is used here.
pub fn is_key(key: &[u8]) -> bool {
    // Zero to any power is a number below every modulus.
    der::pair(key).is_some_and(|(modulus, _)| {
        let mut zero = [0; MAX_LEN];
        zero.get_mut(..modulus.len())
            .is_some_and(|zero| open(key, zero, &mut [0; MAX_LEN]).is_some())
    })
}

/// Whether this is the RSASSA-PKCS1-v1_5 signature of the key's owner over the hash (section 8.2.2).
///
/// The message encoded has one form only: it is compared as a whole, and must have the NULL that section 9.2 prescribes.
///
/// # Errors
///
/// [`Refused`] if it is not, or if key or signature are malformed.
pub fn verify_pkcs1(key: &[u8], hash: &Hash, signature: &[u8]) -> Result<(), Refused> {
    pkcs1(key, hash, signature).ok_or(Refused)
}

fn pkcs1(key: &[u8], hash: &Hash, signature: &[u8]) -> Option<()> {
    let mut buffer = [0; MAX_LEN];
    let encoded = open(key, signature, &mut buffer)?;
    // The last number of its name, 2.16.840.1.101.3.4.2.x.
    let function = match hash {
        Hash::Sha256(_) => 1,
        Hash::Sha384(_) => 2,
        Hash::Sha512(_) => 3,
    };
    let hash = hash.bytes();
    // At most 64.
    let len = hash.len() as u8;
    // DigestInfo (section 9.2, note 1): name of the function with NULL for its parameters, and the hash.
    let sequences = [0x30, 17 + len, 0x30, 13];
    let name = [0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, function];
    let null = [0x05, 0];
    let string = [0x04, len];
    let end = encoded.strip_suffix(hash)?.strip_suffix(&string)?.strip_suffix(&null)?;
    let rest = end.strip_suffix(&name)?.strip_suffix(&sequences)?;
    let [0, 1, padding @ .., 0] = rest else { return None };
    padding.iter().all(|byte| *byte == 0xff).then_some(())
}

/// Whether this is the RSASSA-PSS signature of the key's owner over the hash (section 8.1.2), with a salt as long as the hash
/// and MGF1 by the same hash function, as TLS 1.3 has it (RFC 8446, section 4.2.3).
///
/// # Errors
///
/// [`Refused`] if it is not, or if key or signature are malformed.
pub fn verify_pss(key: &[u8], hash: &Hash, signature: &[u8]) -> Result<(), Refused> {
    pss(key, hash, signature).ok_or(Refused)
}

/// EMSA-PSS-VERIFY (section 9.1.2); the names are those of its steps.
fn pss(key: &[u8], hash: &Hash, signature: &[u8]) -> Option<()> {
    let mut buffer = [0; MAX_LEN];
    let [body @ .., 0xbc] = open(key, signature, &mut buffer)? else {
        return None;
    };
    let hash_len = hash.bytes().len();
    let (db, h) = body.split_at_mut_checked(body.len().checked_sub(hash_len)?)?;
    // The message encoded has one bit less than the modulus.
    let first = db.first_mut()?;
    if *first & 0x80 != 0 {
        return None;
    }
    for (counter, block) in (0_u32..).zip(db.chunks_mut(hash_len)) {
        let mask = hash.of_another(&[h, &counter.to_be_bytes()]);
        for (byte, mask) in block.iter_mut().zip(mask.bytes()) {
            *byte ^= mask;
        }
    }
    // Unmasking may have set it.
    *db.first_mut()? &= 0x7f;
    let (padding, salt) = db.split_at_checked(db.len().checked_sub(hash_len)?)?;
    let [zeros @ .., 1] = padding else { return None };
    let same = hash.of_another(&[&[0; 8], hash.bytes(), salt]).bytes() == h;
    (same && zeros.iter().all(|byte| *byte == 0)).then_some(())
}
