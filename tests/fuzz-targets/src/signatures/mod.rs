//! Signatures that were good before something was changed, judged by `mender::signature` and by ring; certificates.
//!
//! | byte | what it is |
//! |---|---|
//! | 0 | bits 0 and 1: PKCS#1 v1.5, PSS, P-256, P-384; bit 2: the other RSA key; bit 3: MGF1 by another hash function |
//! | 1 | hash function |
//! | 2 | length of the salt |
//! | 3 | length of the message, which follows |
//!
//! Behind them are changes, see [`Change`]. Without changes, and with the salt of TLS, a signature must be accepted.
//!
//! Nothing is different by intent where it can come up here. ring also takes keys that are not whole words long or have more than
//! 4096 bits, and exponents of 33 bits, but there is no signature by such a key, nor can one be had by changes.

mod sign;

use mender::signature::{Hash, der, ecdsa, rsa};
use ring::signature as theirs;
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};

use self::sign::{Function, RsaKey};

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What RSA signs.
    Encoded,
    /// The same of PSS, before it is masked.
    Unmasked,
    Signature,
    Key,
    /// In RSA's key and in ECDSA's signature: the two integers, and what is in their sequence behind them. Lengths are right
    /// afterwards.
    First,
    Second,
    Behind,
}

impl Part {
    const ALL: [Part; 8] = [
        Part::Encoded,
        Part::Unmasked,
        Part::Signature,
        Part::Key,
        Part::First,
        Part::Second,
        Part::Behind,
        Part::First,
    ];
}

/// A change is four bytes.
///
/// The first has the part in bits 0 to 2. Bits 3 and 4 say what is done at the place in the next two bytes: the last byte flips
/// bits, goes in, replaces the byte, or one is taken out.
struct Changes<'i>(&'i [u8]);

impl Changes<'_> {
    fn apply(&self, part: Part, bytes: &mut Vec<u8>) {
        for [what, high, low, value] in self.0.as_chunks().0 {
            if Part::ALL[usize::from(what % 8)] != part {
                continue;
            }
            let place = usize::from(u16::from_be_bytes([*high, *low])) % (bytes.len() + 1);
            match (what / 8 % 4, bytes.get_mut(place)) {
                (0, Some(byte)) => *byte ^= value,
                (2, Some(byte)) => *byte = *value,
                (3, Some(_)) => drop(bytes.remove(place)),
                _ => bytes.insert(place, *value),
            }
        }
    }

    /// A sequence of two integers with these bytes.
    fn pair(&self, [mut first, mut second]: [Vec<u8>; 2]) -> Vec<u8> {
        let mut behind = Vec::new();
        self.apply(Part::First, &mut first);
        self.apply(Part::Second, &mut second);
        self.apply(Part::Behind, &mut behind);
        let integers = [first, second].map(|value| sign::tagged(der::INTEGER, &value));
        sign::tagged(der::SEQUENCE, &[integers.concat(), behind].concat())
    }
}

/// See the module.
pub fn signatures(bytes: &[u8]) {
    certificate(bytes);
    let Some((&[kind, function, salt_len, message_len], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let (message, changes) = rest.split_at(rest.len().min(message_len.into()));
    let changes = Changes(changes);
    let function = Function::ALL[usize::from(function) % Function::ALL.len()];
    let hash = function.hash(message);
    let untouched = changes.0.len() < 4;
    let rsa_key = RsaKey::get(kind & 4 != 0);

    let (mut key, mut signature) = match kind % 4 {
        0 => {
            let mut encoded = rsa_key.pkcs1(&hash);
            changes.apply(Part::Encoded, &mut encoded);
            (changes.pair(rsa_key.public()), rsa_key.sign(&encoded))
        }
        1 => {
            let mask = if kind & 8 == 0 { function } else { function.other() };
            let salt = vec![0xa5; salt_len.into()];
            let change = |bytes: &mut Vec<u8>| changes.apply(Part::Unmasked, bytes);
            let mut encoded = rsa_key.pss(&hash, function, mask, &salt, change);
            changes.apply(Part::Encoded, &mut encoded);
            (changes.pair(rsa_key.public()), rsa_key.sign(&encoded))
        }
        2 => {
            let (key, numbers) = sign::p256(hash.bytes());
            (key, changes.pair(numbers))
        }
        _ => {
            let (key, numbers) = sign::p384(hash.bytes());
            (key, changes.pair(numbers))
        }
    };
    changes.apply(Part::Key, &mut key);
    changes.apply(Part::Signature, &mut signature);

    let ours = match kind % 4 {
        0 => rsa::verify_pkcs1(&key, &hash, &signature),
        1 => rsa::verify_pss(&key, &hash, &signature),
        2 => ecdsa::verify_p256(&key, &hash, &signature),
        _ => ecdsa::verify_p384(&key, &hash, &signature),
    };
    if let Some(algorithm) = algorithm(kind % 4, &hash) {
        let theirs = UnparsedPublicKey::new(algorithm, &key).verify(message, &signature);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "ours is {ours:?}");
    }
    let salted = kind % 4 != 1 || (usize::from(salt_len) == hash.bytes().len() && kind & 8 == 0);
    if untouched {
        assert_eq!(ours.is_ok(), salted, "nothing was changed");
    }
}

/// How ring names it, if it has it.
fn algorithm(kind: u8, hash: &Hash) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (kind, hash) {
        (0, Hash::Sha256(_)) => &theirs::RSA_PKCS1_2048_8192_SHA256,
        (0, Hash::Sha384(_)) => &theirs::RSA_PKCS1_2048_8192_SHA384,
        (0, Hash::Sha512(_)) => &theirs::RSA_PKCS1_2048_8192_SHA512,
        (1, Hash::Sha256(_)) => &theirs::RSA_PSS_2048_8192_SHA256,
        (1, Hash::Sha384(_)) => &theirs::RSA_PSS_2048_8192_SHA384,
        (1, Hash::Sha512(_)) => &theirs::RSA_PSS_2048_8192_SHA512,
        (2, Hash::Sha256(_)) => &theirs::ECDSA_P256_SHA256_ASN1,
        (2, Hash::Sha384(_)) => &theirs::ECDSA_P256_SHA384_ASN1,
        (3, Hash::Sha256(_)) => &theirs::ECDSA_P384_SHA256_ASN1,
        (3, Hash::Sha384(_)) => &theirs::ECDSA_P384_SHA384_ASN1,
        _ => return None,
    })
}

/// What is cut out of a certificate is one whole element of it.
fn certificate(bytes: &[u8]) {
    if let Some(spki) = der::spki(bytes) {
        assert!(der::only(der::SEQUENCE, spki).is_some());
        assert!(bytes.windows(spki.len()).any(|window| window == spki));
    }
}
