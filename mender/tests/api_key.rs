//! The device key, checked with the PEM parser and the verifier of the cryptography library, and with openssl if it is there.

use std::convert::Infallible;
use std::io::Write;
use std::process::{Command, Stdio};

use mender::api::key::{DeviceKey, DigestSignature, KeyError, PublicKeyPem};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::{DecodePublicKey, EncodePublicKey, LineEnding};
use proptest::prelude::*;
use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

/// Gives the same block again and again, `first` before that.
struct Blocks {
    first: Option<[u8; 32]>,
    then: [u8; 32],
}

impl TryRng for Blocks {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("keys are filled in one go")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("keys are filled in one go")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.first.take().unwrap_or(self.then));
        Ok(())
    }
}

impl TryCryptoRng for Blocks {}

fn counting() -> [u8; 32] {
    std::array::from_fn(|index| index as u8)
}

/// Base64 by hand: another implementation than the one under test.
fn base64_decoded(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(text.len() % 4, 0, "padded");
    let digits: Vec<u32> = text
        .trim_end_matches('=')
        .bytes()
        .map(|byte| ALPHABET.iter().position(|&letter| letter == byte).unwrap() as u32)
        .collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let value = group.iter().fold(0, |value, digit| value << 6 | digit) << (6 * (4 - group.len()));
        bytes.extend(&value.to_be_bytes()[1..group.len()]);
    }
    bytes
}

#[test]
fn the_public_key_is_the_pem_that_others_write() {
    let key = DeviceKey::from_bytes(&counting()).unwrap();
    let pem = key.public_key();
    let parsed = VerifyingKey::from_public_key_pem(pem.as_str()).unwrap();
    assert_eq!(parsed.to_public_key_pem(LineEnding::LF).unwrap(), pem.as_str());
    assert!(
        pem.as_str()
            .starts_with("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE")
    );
    assert!(pem.as_str().ends_with("\n-----END PUBLIC KEY-----\n"));
    let point = parsed.to_sec1_point(false);
    assert_eq!(PublicKeyPem::from_point(point.as_bytes()), Ok(pem));
    assert_eq!(
        PublicKeyPem::from_point(parsed.to_sec1_point(true).as_bytes()),
        Err(KeyError::Point)
    );
}

#[test]
fn a_key_survives_storing() {
    let key = DeviceKey::from_bytes(&counting()).unwrap();
    assert_eq!(key.to_bytes(), counting());
    let again = DeviceKey::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(again.sign(b"x"), key.sign(b"x"));
}

#[test]
fn damaged_stored_keys_are_refused() {
    for bytes in [&[0; 32][..], &[0xff; 32], &[1; 31], &[1; 33], &[1; 16], &[]] {
        assert_eq!(DeviceKey::from_bytes(bytes).err(), Some(KeyError::Invalid), "{bytes:?}");
    }
}

#[test]
fn generated_keys_are_the_generators_numbers() {
    let mut rng = Blocks {
        first: None,
        then: counting(),
    };
    assert_eq!(DeviceKey::generate(&mut rng).unwrap().to_bytes(), counting());
    // Above the order of the curve: the next number is taken.
    let mut above = [0xff; 32];
    above[31] = 0;
    let mut rng = Blocks {
        first: Some(above),
        then: counting(),
    };
    assert_eq!(DeviceKey::generate(&mut rng).unwrap().to_bytes(), counting());
}

#[test]
fn a_broken_generator_is_noticed() {
    for then in [[0; 32], [0xff; 32], [0x55; 32]] {
        let mut rng = Blocks { first: None, then };
        assert_eq!(DeviceKey::generate(&mut rng).err(), Some(KeyError::Random));
    }
}

#[test]
fn the_key_is_not_printed() {
    let key = DeviceKey::from_bytes(&counting()).unwrap();
    assert_eq!(format!("{key:?}"), "DeviceKey { .. }");
}

#[test]
fn signature_of_rfc_6979() {
    // RFC 6979, A.2.5, SHA-256, "sample".
    let private = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
    let bytes: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&private[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let signature = DeviceKey::from_bytes(&bytes).unwrap().sign(b"sample").unwrap();
    let der: String = base64_decoded(&signature)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    assert_eq!(
        der,
        "3046022100EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716\
         022100F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    );
}

/// What a secure element gives: the numbers, or DER.
#[test]
fn signatures_from_elsewhere_become_the_header_s_text() {
    let key = DeviceKey::from_bytes(&counting()).unwrap();
    let body = b"a request";
    let digest: [u8; 32] = Sha256::digest(body).into();
    let der = base64_decoded(&key.sign(body).unwrap());
    let numbers: [u8; 64] = p256::ecdsa::Signature::from_der(&der).unwrap().to_bytes().into();
    for made in [
        key.sign_digest(&digest),
        DigestSignature::from_der(&der),
        DigestSignature::from_numbers(&numbers),
    ] {
        assert_eq!(made.unwrap().text(), key.sign(body));
    }
    assert_eq!(DigestSignature::from_numbers(&[0; 64]), Err(KeyError::Signing));
    assert_eq!(DigestSignature::from_numbers(&[0xff; 64]), Err(KeyError::Signing));
    for cut in 0..der.len() {
        assert_eq!(DigestSignature::from_der(&der[..cut]), Err(KeyError::Signing), "{cut}");
    }
    assert_eq!(
        PublicKeyPem::from_point(&key.public_point()),
        Ok(key.public_key()),
        "the point is the key's"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_signature_verifies_over_exactly_the_body(mut body in proptest::collection::vec(any::<u8>(), 1..200), seed in any::<u8>()) {
        let mut private = counting();
        private[0] = seed / 2;
        let key = DeviceKey::from_bytes(&private).unwrap();
        let signature = DerSignature::from_bytes(&base64_decoded(&key.sign(&body).unwrap())).unwrap();
        let public = VerifyingKey::from_public_key_pem(key.public_key().as_str()).unwrap();
        prop_assert!(public.verify(&body, &signature).is_ok());
        body[0] ^= 1;
        prop_assert!(public.verify(&body, &signature).is_err());
    }
}

#[test]
fn openssl_agrees() {
    let Ok(version) = Command::new("openssl").arg("version").output() else {
        eprintln!("no openssl here: left out");
        return;
    };
    assert!(version.status.success());
    let key = DeviceKey::from_bytes(&counting()).unwrap();
    let folder = std::env::temp_dir().join(format!("mender-api-key-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (pem, signature) = (folder.join("key.pem"), folder.join("signature"));
    std::fs::write(&pem, key.public_key().as_str()).unwrap();
    let body = br#"{"id_data":"{}"}"#;
    std::fs::write(&signature, base64_decoded(&key.sign(body).unwrap())).unwrap();
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(&pem)
        .arg("-signature")
        .arg(&signature)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    let output = child.wait_with_output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "Verified OK");
}
