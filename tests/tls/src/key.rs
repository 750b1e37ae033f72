//! Keys that sign certificates and handshakes, in the right way and in wrong ones. The same key and message always give the same
//! signature, so that whole handshakes can be repeated.

use num_bigint::BigUint;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use ring::digest;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// Too weak since long ago: for what must be refused.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl Hash {
    /// The hash of some bytes.
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm(), bytes).as_ref().to_vec()
    }

    /// Length of a hash in bytes.
    pub fn size(self) -> usize {
        self.algorithm().output_len()
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        }
    }

    /// What stands before the hash in a signature of PKCS#1 v1.5: RFC 8017, section 9.2, note 1.
    fn prefix(self) -> &'static [u8] {
        match self {
            Hash::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
            Hash::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
            Hash::Sha384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
            Hash::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
        }
    }
}

/// How a message is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As the key signs a handshake: the only right way.
    Handshake,
    /// ECDSA over another hash than that of the curve.
    Ecdsa(Hash),
    /// RSA, PKCS#1 v1.5.
    Pkcs1(Hash),
    /// RSA, PSS.
    Pss {
        /// Of the message.
        hash: Hash,
        /// Of the mask.
        mask: Hash,
        /// Length of the salt.
        salt: usize,
    },
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A key pair.
#[derive(Clone)]
pub struct Key {
    secret: Secret,
    public: Vec<u8>,
}

#[derive(Clone)]
enum Secret {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    /// With the hash in certificates and handshakes.
    Rsa(Box<Rsa>, Hash),
}

#[derive(Clone)]
struct Rsa {
    pkcs8: Vec<u8>,
    modulus: BigUint,
    p: BigUint,
    q: BigUint,
    dp: BigUint,
    dq: BigUint,
    q_inverse: BigUint,
}

impl Key {
    /// A P-256 key, another for each name.
    ///
    /// # Panics
    ///
    /// Not for any name that was ever tried.
    pub fn p256(name: &str) -> Key {
        let secret = p256::ecdsa::SigningKey::from_slice(&Hash::Sha256.of(name.as_bytes())).expect("below the order");
        let public = secret
            .verifying_key()
            .as_affine()
            .to_sec1_point(false)
            .as_bytes()
            .to_vec();
        Key {
            secret: Secret::P256(secret),
            public,
        }
    }

    /// A P-384 key, another for each name.
    ///
    /// # Panics
    ///
    /// Not for any name that was ever tried.
    pub fn p384(name: &str) -> Key {
        let secret = p384::ecdsa::SigningKey::from_slice(&Hash::Sha384.of(name.as_bytes())).expect("below the order");
        let public = secret
            .verifying_key()
            .as_affine()
            .to_sec1_point(false)
            .as_bytes()
            .to_vec();
        Key {
            secret: Secret::P384(secret),
            public,
        }
    }

    /// An RSA key out of its PKCS#8 form.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn rsa(pkcs8: &[u8], hash: Hash) -> Key {
        let info = children(pkcs8);
        let key = info[2];
        let numbers: Vec<&[u8]> = children(key);
        let number = |index: usize| BigUint::from_bytes_be(numbers[index]);
        Key {
            public: tlv(0x30, &[tlv(2, numbers[1]), tlv(2, numbers[2])].concat()),
            secret: Secret::Rsa(
                Box::new(Rsa {
                    pkcs8: pkcs8.to_vec(),
                    modulus: number(1),
                    p: number(4),
                    q: number(5),
                    dp: number(6),
                    dq: number(7),
                    q_inverse: number(8),
                }),
                hash,
            ),
        }
    }

    /// The number of its scheme in a handshake: RFC 8446, section 4.2.3.
    pub fn scheme(&self) -> u16 {
        match &self.secret {
            Secret::P256(_) => 0x0403,
            Secret::P384(_) => 0x0503,
            Secret::Rsa(_, hash) => 0x0800 + hash.size() as u16 / 16 + 2,
        }
    }

    /// Length of an RSA key's modulus in bytes; 0 for other keys.
    pub fn modulus_len(&self) -> usize {
        match &self.secret {
            Secret::Rsa(rsa, _) => rsa.len(),
            Secret::P256(_) | Secret::P384(_) => 0,
        }
    }

    /// Signs a message.
    ///
    /// # Panics
    ///
    /// If a key of this kind cannot sign so.
    pub fn sign(&self, manner: &Manner, message: &[u8]) -> Vec<u8> {
        match (&self.secret, manner) {
            (_, Manner::Bytes(bytes)) => bytes.clone(),
            (Secret::P256(key), Manner::Handshake) => ecdsa256(key, Hash::Sha256, message),
            (Secret::P256(key), Manner::Ecdsa(hash)) => ecdsa256(key, *hash, message),
            (Secret::P384(key), Manner::Handshake) => ecdsa384(key, Hash::Sha384, message),
            (Secret::P384(key), Manner::Ecdsa(hash)) => ecdsa384(key, *hash, message),
            (Secret::Rsa(rsa, hash), Manner::Handshake) => rsa.raw(&rsa.pss(*hash, *hash, hash.size(), message)),
            (Secret::Rsa(rsa, _), Manner::Pss { hash, mask, salt }) => rsa.raw(&rsa.pss(*hash, *mask, *salt, message)),
            (Secret::Rsa(rsa, _), Manner::Pkcs1(hash)) => rsa.raw(&rsa.pkcs1(*hash, message)),
            (Secret::Rsa(..), Manner::Ecdsa(_)) | (_, Manner::Pss { .. } | Manner::Pkcs1(_)) => {
                panic!("the key is of another kind")
            }
        }
    }

    /// The key as PKCS#8, which programs read.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn pkcs8(&self) -> Vec<u8> {
        use p256::pkcs8::EncodePrivateKey as _;
        match &self.secret {
            Secret::P256(key) => key.to_pkcs8_der().expect("it has a form").as_bytes().to_vec(),
            Secret::P384(key) => key.to_pkcs8_der().expect("it has a form").as_bytes().to_vec(),
            Secret::Rsa(rsa, _) => rsa.pkcs8.clone(),
        }
    }
}

fn ecdsa256(key: &p256::ecdsa::SigningKey, hash: Hash, message: &[u8]) -> Vec<u8> {
    let signature: p256::ecdsa::Signature = key.sign_prehash(&hash.of(message)).expect("long enough");
    signature.to_der().as_bytes().to_vec()
}

fn ecdsa384(key: &p384::ecdsa::SigningKey, hash: Hash, message: &[u8]) -> Vec<u8> {
    let signature: p384::ecdsa::Signature = key.sign_prehash(&hash.of(message)).expect("long enough");
    signature.to_der().as_bytes().to_vec()
}

impl Rsa {
    fn len(&self) -> usize {
        self.modulus.bits().div_ceil(8) as usize
    }

    /// RFC 8017, section 5.2.1, with the Chinese remainder theorem.
    fn raw(&self, encoded: &[u8]) -> Vec<u8> {
        let message = BigUint::from_bytes_be(encoded);
        let one = message.modpow(&self.dp, &self.p);
        let two = message.modpow(&self.dq, &self.q);
        let difference = (&one + &self.p - &two % &self.p) % &self.p;
        let signature = &two + &self.q * (difference * &self.q_inverse % &self.p);
        let bytes = signature.to_bytes_be();
        [vec![0; self.len() - bytes.len()], bytes].concat()
    }

    /// RFC 8017, section 9.2.
    fn pkcs1(&self, hash: Hash, message: &[u8]) -> Vec<u8> {
        let end = [hash.prefix(), &hash.of(message)].concat();
        let filler = vec![0xff; self.len() - end.len() - 3];
        [&[0, 1][..], &filler, &[0], &end].concat()
    }

    /// RFC 8017, section 9.1.1. The modulus has a whole number of bytes, so one bit of the encoding stays clear.
    fn pss(&self, hash: Hash, mask: Hash, salt: usize, message: &[u8]) -> Vec<u8> {
        let salt = vec![0x5a; salt];
        let digest = hash.of(&[&[0; 8][..], &hash.of(message), &salt].concat());
        let data_len = self.len() - digest.len() - 1;
        let mut data = vec![0; data_len - salt.len() - 1];
        data.push(1);
        data.extend(&salt);
        let stream = (0_u32..).flat_map(|count| mask.of(&[&digest[..], &count.to_be_bytes()].concat()));
        data.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
        data[0] &= 0x7f;
        [&data[..], &digest, &[0xbc]].concat()
    }
}

/// The longest salt that a signature of this key has room for.
pub fn longest_salt(key: &Key, hash: Hash) -> usize {
    key.modulus_len() - hash.size() - 2
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match &self.secret {
            Secret::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
            Secret::P384(_) => &rcgen::PKCS_ECDSA_P384_SHA384,
            Secret::Rsa(_, Hash::Sha384) => &rcgen::PKCS_RSA_SHA384,
            Secret::Rsa(_, Hash::Sha512) => &rcgen::PKCS_RSA_SHA512,
            Secret::Rsa(_, Hash::Sha1 | Hash::Sha256) => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let manner = match &self.secret {
            Secret::P256(_) | Secret::P384(_) => Manner::Handshake,
            Secret::Rsa(_, hash) => Manner::Pkcs1(*hash),
        };
        Ok(Key::sign(self, &manner, message))
    }
}

/// A DER element.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len() as u16;
    let [high, low] = len.to_be_bytes();
    let head = match len {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

/// The contents of the elements of a DER sequence.
fn children(sequence: &[u8]) -> Vec<&[u8]> {
    let (mut rest, _) = element(sequence);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (content, left) = element(rest);
        found.push(content);
        rest = left;
    }
    found
}

fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (len, at) = match der[1] {
        0x81 => (usize::from(der[2]), 3),
        0x82 => (usize::from(u16::from_be_bytes([der[2], der[3]])), 4),
        len => (usize::from(len), 2),
    };
    der[at..].split_at(len)
}
