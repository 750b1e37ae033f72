//! A number to the power of a public exponent, modulo an odd number: what RSA does with public data (RFC 8017, section 5.2.2).
//!
//! Montgomery's multiplication (HAC, algorithm 14.36) on limbs of 32 bits, least significant first. With R = 2^(32 k) for k
//! limbs, `multiply` gives a b / R modulo n. Two choices make it short:
//!
//! - Numbers between the multiplications are below R, not always below n. As n has its first bit set, that costs nothing, and
//!   only what overflows has to be subtracted.
//! - The exponent is odd. The last multiplication is by the base itself instead of base R, so it also takes the R away.
//!
//! How long that takes depends on the numbers, all of which are public.

use core::cell::Cell;

/// Bytes of the longest number.
pub const MAX_LEN: usize = 512;

/// A number of that length.
type Number = [u32; MAX_LEN / 4];

/// Writes base^exponent modulo n, in as many bytes as the modulus has. All bytes are big endian.
///
/// `None` unless the modulus has whole limbs, is not longer than [`MAX_LEN`], is odd and has its first bit set; base and output
/// are as long as it; the base is below it; the exponent is odd and at least 3.
pub fn power(base: &[u8], exponent: u32, modulus: &[u8], out: &mut [u8]) -> Option<()> {
    let formed = modulus.len().is_multiple_of(4) && modulus.first()? & 0x80 != 0 && modulus.last()? & 1 != 0;
    let fits = base.len() == modulus.len() && out.len() == modulus.len() && base < modulus;
    if !formed || !fits || exponent & 1 == 0 || exponent < 3 {
        return None;
    }
    let limbs = modulus.len() / 4;
    let mut numbers: [Number; 4] = [[0; MAX_LEN / 4]; 4];
    let [n, x, y, z] = &mut numbers;
    let (n, x) = (n.get_mut(..limbs)?, x.get_mut(..limbs)?);
    let (mut y, mut z) = (y.get_mut(..limbs)?, z.get_mut(..limbs)?);
    load(n, modulus);
    let inverse = inverse(*n.first()?);
    let n = Modulus { limbs: n, inverse };

    // R modulo n is R - n, as n is at least half of R. Doubled once for each limb and squared five times it is R^2.
    subtract(y, n.limbs);
    for _ in 0..limbs {
        n.double(y);
    }
    for _ in 0..5 {
        n.multiply(z, y, y);
        (y, z) = (z, y);
    }
    // Base R.
    load(z, base);
    n.multiply(x, z, y);
    y.copy_from_slice(x);
    // The bits of the exponent after its first, but for the last one.
    let mut bit = 1 << (31 - exponent.leading_zeros());
    loop {
        bit >>= 1;
        n.multiply(z, y, y);
        (y, z) = (z, y);
        if bit == 1 {
            break;
        }
        if exponent & bit != 0 {
            n.multiply(z, y, x);
            (y, z) = (z, y);
        }
    }
    load(x, base);
    n.multiply(z, y, x);
    if !z.iter().rev().lt(n.limbs.iter().rev()) {
        subtract(z, n.limbs);
    }
    for (bytes, limb) in out.rchunks_exact_mut(4).zip(z) {
        bytes.copy_from_slice(&limb.to_be_bytes());
    }
    Some(())
}

/// Limbs from bytes, which are as long.
fn load(limbs: &mut [u32], bytes: &[u8]) {
    for (limb, bytes) in limbs.iter_mut().zip(bytes.rchunks_exact(4)) {
        *limb = bytes.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte));
    }
}

/// -1 / n modulo 2^32, for an odd n.
fn inverse(n: u32) -> u32 {
    // An odd number is its own inverse modulo 8, and each step doubles the bits that are right (Newton).
    let inverse = (0..4).fold(n, |inverse, _| {
        inverse.wrapping_mul(2_u32.wrapping_sub(n.wrapping_mul(inverse)))
    });
    inverse.wrapping_neg()
}

/// Subtracts; whether it had to borrow from beyond the last limb.
fn subtract(from: &mut [u32], number: &[u32]) -> bool {
    let mut borrow = false;
    for (from, number) in from.iter_mut().zip(number) {
        (*from, borrow) = from.borrowing_sub(*number, borrow);
    }
    borrow
}

struct Modulus<'n> {
    limbs: &'n [u32],
    /// -1 / n modulo 2^32.
    inverse: u32,
}

impl Modulus<'_> {
    /// Writes a b / R modulo n. All have as many limbs as the modulus.
    #[inline(never)]
    fn multiply(&self, out: &mut [u32], a: &[u32], b: &[u32]) {
        out.fill(0);
        let cells = Cell::from_mut(&mut *out).as_slice_of_cells();
        // What is above the last limb. The sum stays below R + n, so that is 0 or 1.
        let mut top = 0;
        let b_first = b.first().copied().unwrap_or(0);
        for a in a.iter().copied() {
            // out = (out + a b + m n) / 2^32, where m is such that the last limb of the sum is 0.
            let first = cells.first().map_or(0, Cell::get).wrapping_add(a.wrapping_mul(b_first));
            let m = first.wrapping_mul(self.inverse);
            // That limb is written nowhere, each other one where its lower neighbour was.
            let nowhere = Cell::new(0);
            let mut to = &nowhere;
            let (mut carry_ab, mut carry_mn) = (0, 0);
            for ((from, b), n) in cells.iter().zip(b).zip(self.limbs) {
                let mut sum = from.get();
                (sum, carry_ab) = a.carrying_mul_add(*b, sum, carry_ab);
                (sum, carry_mn) = m.carrying_mul_add(*n, sum, carry_mn);
                to.set(sum);
                to = from;
            }
            let sum = u64::from(carry_ab) + u64::from(carry_mn) + top;
            to.set(sum as u32);
            top = sum >> 32;
        }
        self.bring_down(out, top != 0);
    }

    /// Twice a number below R, modulo n.
    fn double(&self, number: &mut [u32]) {
        let mut carry = 0;
        for limb in number.iter_mut() {
            (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
        }
        self.bring_down(number, carry != 0);
    }

    /// Subtracts n from a number until it is below R, beyond which it is by less than R.
    fn bring_down(&self, number: &mut [u32], mut beyond: bool) {
        while beyond {
            beyond = !subtract(number, self.limbs);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use num_bigint::BigUint;
    use proptest::collection::vec as many;
    use proptest::prelude::*;

    use super::*;

    fn check(base: &[u8], exponent: u32, modulus: &[u8]) {
        let mut out = vec![0xee; modulus.len()];
        assert_eq!(power(base, exponent, modulus, &mut out), Some(()));
        let [base, exponent, modulus] = [base, &exponent.to_be_bytes(), modulus].map(BigUint::from_bytes_be);
        assert_eq!(BigUint::from_bytes_be(&out), base.modpow(&exponent, &modulus));
    }

    /// Bytes of which many are all zeros or all ones, so that carries go far.
    fn number(len: usize) -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0x00), Just(0xff), any::<u8>()];
        prop_oneof![many(byte, len), many(any::<u8>(), len)]
    }

    prop_compose! {
        fn operands()(limbs in 1..=MAX_LEN / 4)(
            base in number(4 * limbs),
            mut modulus in number(4 * limbs),
        ) -> (Vec<u8>, Vec<u8>) {
            let len = modulus.len();
            modulus[0] |= 0x80;
            modulus[len - 1] |= 1;
            let reduced = (BigUint::from_bytes_be(&base) % BigUint::from_bytes_be(&modulus)).to_bytes_be();
            let base = [vec![0; len - reduced.len()], reduced].concat();
            (base, modulus)
        }
    }

    proptest! {
        #[test]
        fn is_what_a_library_computes(
            (base, modulus) in operands(),
            exponent in prop_oneof![Just(3), Just(17), Just(65537), Just(u32::MAX), 3_u32..],
        ) {
            check(&base, exponent | 1, &modulus);
        }
    }

    #[test]
    fn at_the_edges() {
        for len in [4, 256, 384, 512] {
            let most = vec![0xff; len];
            let mut least = vec![0; len];
            least[0] = 0x80;
            least[len - 1] = 1;
            for modulus in [most, least] {
                let zero = vec![0; len];
                let mut one = zero.clone();
                one[len - 1] = 1;
                let mut last = modulus.clone();
                last[len - 1] = modulus[len - 1] - 1;
                for base in [&zero, &one, &last] {
                    for exponent in [3, 5, 7, 65537, 0x8000_0001, u32::MAX] {
                        check(base, exponent, &modulus);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_none() {
        let modulus = [0xff; 8];
        let base = [1; 8];
        let try_it = |base: &[u8], exponent, modulus: &[u8], len| power(base, exponent, modulus, &mut vec![0; len]);
        assert_eq!(try_it(&base, 3, &modulus, 8), Some(()));
        for exponent in [0, 1, 2, 4, 65536, u32::MAX - 1] {
            assert_eq!(try_it(&base, exponent, &modulus, 8), None, "{exponent}");
        }
        assert_eq!(try_it(&modulus, 3, &modulus, 8), None, "not below the modulus");
        assert_eq!(try_it(&base[1..], 3, &modulus, 8), None, "a shorter base");
        assert_eq!(try_it(&[0; 9], 3, &modulus, 8), None, "a longer base");
        assert_eq!(try_it(&base, 3, &modulus, 7), None, "a shorter output");
        assert_eq!(try_it(&base, 3, &modulus, 9), None, "a longer output");
        assert_eq!(
            try_it(&base, 3, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], 8),
            None,
            "even"
        );
        assert_eq!(
            try_it(&base, 3, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 8),
            None,
            "too short"
        );
        assert_eq!(try_it(&base[..7], 3, &modulus[..7], 7), None, "no whole limbs");
        assert_eq!(try_it(&[], 3, &[], 0), None, "nothing");
        assert_eq!(try_it(&[1; 516], 3, &[0xff; 516], 516), None, "too long");
    }
}
