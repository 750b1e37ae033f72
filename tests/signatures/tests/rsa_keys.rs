//! Which keys of RSA are taken: keys and signatures of openssl, made by `keys/make`.

use mender::signature::rsa::{verify_pkcs1, verify_pss};
use mender::signature::{Hash, Refused};

macro_rules! of_openssl {
    ($($name:literal)*) => {
        [$((
            $name,
            &include_bytes!(concat!("keys/", $name, ".key"))[..],
            &include_bytes!(concat!("keys/", $name, ".sig"))[..],
        )),*]
    };
}

fn hash() -> Hash {
    Hash::sha256(&[b"mess", b"age"])
}

#[test]
fn from_2048_to_4096_bits() {
    for (name, key, signature) in of_openssl!["2048" "2048-exponent-3" "2080" "4096"] {
        assert_eq!(verify_pkcs1(key, &hash(), signature), Ok(()), "{name}");
        let longer = [&[0], signature].concat();
        assert_eq!(verify_pkcs1(key, &hash(), &longer), Err(Refused), "{name}");
        assert_eq!(verify_pkcs1(key, &hash(), &signature[1..]), Err(Refused), "{name}");
        assert_eq!(
            verify_pkcs1(key, &Hash::sha256(&[b"other"]), signature),
            Err(Refused),
            "{name}"
        );
        assert_eq!(verify_pss(key, &hash(), signature), Err(Refused), "{name}");
    }
}

#[test]
fn no_other_lengths() {
    for (name, key, signature) in of_openssl!["1024" "2016" "2056" "4128"] {
        assert_eq!(verify_pkcs1(key, &hash(), signature), Err(Refused), "{name}");
    }
}

/// DER of a modulus of 2048 bits and an exponent.
fn key(modulus: [u8; 256], exponent: &[u8]) -> Vec<u8> {
    let modulus = [&[0x02, 0x82, 0x01, 0x01, 0][..], &modulus].concat();
    let exponent = [&[0x02, exponent.len() as u8], exponent].concat();
    let len = (modulus.len() + exponent.len()) as u16;
    [&[0x30, 0x82], &len.to_be_bytes()[..], &modulus, &exponent].concat()
}

/// With 1 as exponent everything is its own signature.
#[test]
fn no_exponent_of_1() {
    let info = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20,
    ];
    let encoded = [&[0, 1], &[0xff; 202][..], &[0], &info, hash().bytes()].concat();
    assert_eq!(encoded.len(), 256);
    for exponent in [
        &[1][..],
        &[0, 1],
        &[],
        &[0],
        &[1, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
    ] {
        assert_eq!(
            verify_pkcs1(&key([0xff; 256], exponent), &hash(), &encoded),
            Err(Refused),
            "{exponent:?}"
        );
    }
}

/// Nothing panics where key and signature are of the right length and senseless.
#[test]
fn numbers_at_the_edges() {
    let mut even = [0xff; 256];
    even[255] = 0xfe;
    let mut least = [0; 256];
    (least[0], least[255]) = (0x80, 1);
    for modulus in [[0xff; 256], even, least] {
        for exponent in [&[3][..], &[1, 0, 1], &[0, 0xff, 0xff, 0xff, 0xff]] {
            let key = key(modulus, exponent);
            for signature in [[0; 256], [1; 256], [0x7f; 256], [0xff; 256], modulus] {
                for hash in [hash(), Hash::sha384(&[]), Hash::sha512(&[])] {
                    assert_eq!(verify_pkcs1(&key, &hash, &signature), Err(Refused));
                    assert_eq!(verify_pss(&key, &hash, &signature), Err(Refused));
                }
            }
        }
    }
}
