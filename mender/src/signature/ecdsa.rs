//! ECDSA (FIPS 186-5, section 6.4.2).
//!
//! A key is a point as RFC 5480, section 2.2, has it in a certificate, uncompressed: 0x04, x, y. TLS has no other (RFC 8446,
//! section 4.2.8.2), and to decompress one would take code. A signature is DER of two integers (RFC 3279, section 2.2.3).
//! A hash may be longer or shorter than the curve's numbers.

use ::ecdsa::{EcdsaCurve, Signature, hazmat};
use p256::elliptic_curve::point::{AffineCoordinates, AffinePoint, ProjectivePoint};
use p256::elliptic_curve::{CurveArithmetic, FieldBytes};

use super::{Hash, Refused, der};

/// First byte of an uncompressed point (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Whether this is the signature on P-256 of the key's owner over the hash.
///
/// # Errors
///
/// [`Refused`] if it is not, or if key or signature are malformed.
pub fn verify_p256(key: &[u8], hash: &Hash, signature: &[u8]) -> Result<(), Refused> {
    let verified = der::pair(signature).and_then(|(r, s)| verify::<p256::NistP256>(key, hash, r, s));
    verified.ok_or(Refused)
}

/// As [`verify_p256`], of a signature that is not DER: its two numbers, big endian, with zeros in front or without.
///
/// # Errors
///
/// As [`verify_p256`].
pub fn verify_p256_fixed(key: &[u8], hash: &Hash, r: &[u8], s: &[u8]) -> Result<(), Refused> {
    verify::<p256::NistP256>(key, hash, r, s).ok_or(Refused)
}

/// Whether these bytes are a point of P-256, uncompressed.
pub fn is_p256(key: &[u8]) -> bool {
    point::<p256::NistP256>(key).is_some()
}

/// Whether this is the signature on P-384 of the key's owner over the hash.
///
/// # Errors
///
/// [`Refused`] if it is not, or if key or signature are malformed.
#[cfg(feature = "p384")]
pub fn verify_p384(key: &[u8], hash: &Hash, signature: &[u8]) -> Result<(), Refused> {
    let verified = der::pair(signature).and_then(|(r, s)| verify::<p384::NistP384>(key, hash, r, s));
    verified.ok_or(Refused)
}

fn verify<C>(key: &[u8], hash: &Hash, r: &[u8], s: &[u8]) -> Option<()>
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: AffineCoordinates<FieldRepr = FieldBytes<C>>,
{
    let point = point::<C>(key)?;
    // Checks that both are neither zero nor beyond the order.
    let signature = Signature::<C>::from_scalars(number::<C>(r)?, number::<C>(s)?).ok()?;
    hazmat::verify_prehashed(&ProjectivePoint::<C>::from(point), hash.bytes(), &signature).ok()
}

fn point<C>(key: &[u8]) -> Option<AffinePoint<C>>
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: AffineCoordinates<FieldRepr = FieldBytes<C>>,
{
    let [UNCOMPRESSED, coordinates @ ..] = key else {
        return None;
    };
    let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
    // Checks that both are numbers of the field, and that the point is one of the curve, whose cofactor is 1.
    AffinePoint::<C>::from_coordinates(x.try_into().ok()?, y.try_into().ok()?).into_option()
}

/// The digits with zeros in front.
fn number<C: EcdsaCurve>(digits: &[u8]) -> Option<FieldBytes<C>> {
    let mut number = FieldBytes::<C>::default();
    let start = number.len().checked_sub(digits.len())?;
    number.get_mut(start..)?.copy_from_slice(digits);
    Some(number)
}
