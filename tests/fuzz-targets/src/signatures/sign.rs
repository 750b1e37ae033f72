//! Who signs: RSA keys that openssl made (2048 bits with the usual exponent, 2080 with 3), and keys on two curves.

use mender::signature::{Hash, der};
use num_bigint::BigUint;
use p256::ecdsa::signature::hazmat::PrehashSigner;

/// A hash function.
#[derive(Clone, Copy)]
pub struct Function(fn(&[&[u8]]) -> Hash, u8);

impl Function {
    pub const ALL: [Function; 3] = [
        Function(Hash::sha256, 1),
        Function(Hash::sha384, 2),
        Function(Hash::sha512, 3),
    ];

    pub fn hash(self, message: &[u8]) -> Hash {
        self.0(&[message])
    }

    pub fn other(self) -> Function {
        Function::ALL[usize::from(self.1) % 3]
    }
}

pub struct RsaKey {
    len: usize,
    modulus: BigUint,
    exponent: BigUint,
    /// For each prime: itself, the private exponent modulo itself less 1.
    primes: [(BigUint, BigUint); 2],
    /// The inverse of the second prime modulo the first.
    inverse: BigUint,
}

impl RsaKey {
    pub fn get(other: bool) -> RsaKey {
        let private = match other {
            false => &include_bytes!("keys/rsa2048.der")[..],
            true => include_bytes!("keys/rsa2080.der"),
        };
        // RFC 8017, appendix A.1.2: version, n, e, d, p, q, d mod (p - 1), d mod (q - 1), q^-1 mod p.
        let mut rest = der::only(der::SEQUENCE, private).unwrap();
        let numbers: [&[u8]; 9] = core::array::from_fn(|_| {
            let (digits, after) = der::positive(rest).unwrap();
            rest = after;
            digits
        });
        let [_, n, e, _, p, q, dp, dq, qinv] = numbers.map(BigUint::from_bytes_be);
        RsaKey {
            len: numbers[1].len(),
            modulus: n,
            exponent: e,
            primes: [(p, dp), (q, dq)],
            inverse: qinv,
        }
    }

    /// Modulus and exponent.
    pub fn public(&self) -> [Vec<u8>; 2] {
        [integer(&self.modulus), integer(&self.exponent)]
    }

    /// The signature of any encoded message below the modulus, of any other reduced by it (RFC 8017, section 5.2.1).
    pub fn sign(&self, encoded: &[u8]) -> Vec<u8> {
        let message = BigUint::from_bytes_be(encoded) % &self.modulus;
        let [(p, dp), (q, dq)] = &self.primes;
        let (m1, m2) = (message.modpow(dp, p), message.modpow(dq, q));
        let h = (m1 + p - &m2 % p) * &self.inverse % p;
        self.padded(&(m2 + q * h))
    }

    fn padded(&self, number: &BigUint) -> Vec<u8> {
        let digits = number.to_bytes_be();
        [vec![0; self.len - digits.len()], digits].concat()
    }

    /// RFC 8017, section 9.2.
    pub fn pkcs1(&self, hash: &Hash) -> Vec<u8> {
        let algorithm = match hash {
            Hash::Sha256(_) => 1,
            Hash::Sha384(_) => 2,
            Hash::Sha512(_) => 3,
        };
        let oid = tagged(0x06, &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, algorithm]);
        let algorithm = tagged(der::SEQUENCE, &[oid, tagged(0x05, &[])].concat());
        let info = tagged(der::SEQUENCE, &[algorithm, tagged(0x04, hash.bytes())].concat());
        let padding = vec![0xff; self.len - info.len() - 3];
        [&[0, 1], &padding[..], &[0], &info].concat()
    }

    /// RFC 8017, section 9.1.1. What is masked may be changed before.
    pub fn pss(
        &self,
        hash: &Hash,
        function: Function,
        mask: Function,
        salt: &[u8],
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Vec<u8> {
        let h = function.0(&[&[0; 8], hash.bytes(), salt]);
        let zeros = (self.len - h.bytes().len() - 2).saturating_sub(salt.len());
        let mut db = [&vec![0; zeros], &[1][..], salt].concat();
        change(&mut db);
        for (counter, block) in (0_u32..).zip(db.chunks_mut(mask.hash(&[]).bytes().len())) {
            let mask = mask.0(&[h.bytes(), &counter.to_be_bytes()]);
            block
                .iter_mut()
                .zip(mask.bytes())
                .for_each(|(byte, mask)| *byte ^= mask);
        }
        if let Some(first) = db.first_mut() {
            *first &= 0x7f;
        }
        [&db, h.bytes(), &[0xbc]].concat()
    }
}

/// A key on P-256, and the numbers of a signature of it.
pub fn p256(hash: &[u8]) -> (Vec<u8>, [Vec<u8>; 2]) {
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let signature: p256::ecdsa::Signature = key.sign_prehash(hash).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    (point.as_bytes().to_vec(), numbers(&signature.to_bytes()))
}

/// A key on P-384, and the numbers of a signature of it.
pub fn p384(hash: &[u8]) -> (Vec<u8>, [Vec<u8>; 2]) {
    let key = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
    let signature: p384::ecdsa::Signature = key.sign_prehash(hash).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    (point.as_bytes().to_vec(), numbers(&signature.to_bytes()))
}

fn numbers(signature: &[u8]) -> [Vec<u8>; 2] {
    let (r, s) = signature.split_at(signature.len() / 2);
    [r, s].map(|half| integer(&BigUint::from_bytes_be(half)))
}

/// The value of an INTEGER.
fn integer(number: &BigUint) -> Vec<u8> {
    let mut digits = number.to_bytes_be();
    if digits[0] & 0x80 != 0 {
        digits.insert(0, 0);
    }
    digits
}

/// An element of DER.
pub fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = value.len();
    let head = match len {
        0..0x80 => vec![tag, len as u8],
        0x80..0x100 => vec![tag, 0x81, len as u8],
        _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
    };
    [head, value.to_vec()].concat()
}
