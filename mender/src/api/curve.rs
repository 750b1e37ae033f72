//! P-256 with a small stack: a key's point, and the numbers of an ECDSA signature with SHA-256.
//!
//! Numbers, points and HMAC are those of the crates p256 and hmac; here is what is done with them, by FIPS 186-5, 6.4.1, and RFC 6979,
//! 3.2. The crates' own functions for that multiply by a table of sixteen points on the stack, and hand HMACs from one function to
//! the next, which makes their stack the deepest of the whole client by far. Here the generator is doubled and added bit by bit.
//! Every bit takes the same steps, whatever it is: both sums are made, and one of them is chosen without a branch. The sums are
//! right for all points, also equal ones and none: p256 adds by complete formulas.

use hmac::{KeyInit, Mac, SimpleHmac};
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::subtle::{Choice, ConditionallySelectable};
use p256::elliptic_curve::zeroize::{Zeroize, Zeroizing};
use p256::elliptic_curve::{Field, PrimeField};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use sha2::Sha256;

/// The number that these bytes are, if it can be a key or a nonce: neither zero nor beyond the order.
pub(super) fn secret(bytes: FieldBytes) -> Option<Scalar> {
    let number: Option<Scalar> = Scalar::from_repr(bytes).into();
    number.filter(|number| !bool::from(number.is_zero()))
}

/// The generator times `factor`, which is not zero.
pub(super) fn point(factor: &Scalar) -> AffinePoint {
    multiply(factor, &ProjectivePoint::GENERATOR, add_points).to_affine()
}

/// The numbers r and s of the signature over a digest. One of them is zero if the nonce is of no use, which none is that is known.
pub(super) fn sign(key: &Scalar, digest: &[u8; 32]) -> [Scalar; 2] {
    let digest = number(&(*digest).into());
    let nonce = Zeroizing::new(nonce(key, &digest));
    let r = x_of(&nonce);
    let product = |a: &Scalar, b: &Scalar| multiply(a, b, add_numbers);
    [r, product(&inverse(&nonce), &(digest + product(&r, key)))]
}

/// 32 bytes as a number modulo the order.
fn number(bytes: &FieldBytes) -> Scalar {
    Reduce::reduce(bytes)
}

// What follows are functions of their own, so that their stacks are not needed at once.

/// The nonce for a key and a digest.
#[inline(never)]
fn nonce(key: &Scalar, digest: &Scalar) -> Scalar {
    let mut nonces = Nonces::new(&Zeroizing::new(key.to_repr()), &digest.to_repr());
    loop {
        // One in 2^32 is too large.
        if let Some(nonce) = secret(nonces.next()) {
            return nonce;
        }
    }
}

#[inline(never)]
fn inverse(nonce: &Scalar) -> Scalar {
    nonce.invert().unwrap_or(Scalar::ZERO)
}

#[inline(never)]
fn x_of(nonce: &Scalar) -> Scalar {
    number(&point(nonce).x())
}

/// `unit` times `factor`: doubled and added.
#[inline(never)]
fn multiply<T: Copy + Default + ConditionallySelectable>(factor: &Scalar, unit: &T, add: fn(&T, &T) -> T) -> T {
    let mut sum = T::default();
    for byte in Zeroizing::new(factor.to_repr()).iter() {
        for bit in (0..8).rev() {
            sum = add(&sum, &sum);
            let more = add(&sum, unit);
            sum.conditional_assign(&more, Choice::from(byte >> bit & 1));
        }
    }
    sum
}

#[inline(never)]
fn add_points(a: &ProjectivePoint, b: &ProjectivePoint) -> ProjectivePoint {
    a + b
}

#[inline(never)]
fn add_numbers(a: &Scalar, b: &Scalar) -> Scalar {
    a + b
}

/// Candidates for a nonce. The names are those of RFC 6979, 3.2.
struct Nonces {
    k: FieldBytes,
    v: FieldBytes,
}

impl Nonces {
    fn new(key: &FieldBytes, digest: &FieldBytes) -> Nonces {
        let mut nonces = Nonces {
            k: FieldBytes::default(),
            v: [1; 32].into(),
        };
        nonces.update(&[&[0], key, digest]);
        nonces.update(&[&[1], key, digest]);
        nonces
    }

    fn next(&mut self) -> FieldBytes {
        self.v = self.mac(&[]);
        let candidate = self.v;
        self.update(&[&[0]]);
        candidate
    }

    fn update(&mut self, parts: &[&[u8]]) {
        self.k = self.mac(parts);
        self.v = self.mac(&[]);
    }

    /// The HMAC with the key `k` of `v` and of what follows it.
    #[inline(never)]
    fn mac(&self, parts: &[&[u8]]) -> FieldBytes {
        let Ok(mut mac) = SimpleHmac::<Sha256>::new_from_slice(&self.k) else {
            // A key of any length will do.
            return FieldBytes::default();
        };
        mac.update(&self.v);
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    }
}

impl Drop for Nonces {
    fn drop(&mut self) {
        self.k.zeroize();
        self.v.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use p256::NistP256;
    use p256::elliptic_curve::Curve;
    use rfc6979::KGenerator;

    use super::*;

    #[test]
    fn nonces_are_those_of_rfc_6979_also_after_one_of_no_use() {
        for seed in 1..=8 {
            let (key, digest) = (FieldBytes::from([seed; 32]), FieldBytes::from([seed << 5; 32]));
            let mut nonces = Nonces::new(&key, &digest);
            let mut expected = KGenerator::<Sha256, _>::new(&key, &digest, &[], &*NistP256::ORDER);
            for _ in 0..4 {
                let mut nonce = FieldBytes::default();
                expected.fill_next_k(&mut nonce);
                assert_eq!(nonces.next(), nonce);
            }
        }
    }
}
