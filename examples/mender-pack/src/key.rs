//! A private key, and signatures by it. Rules: spec of the artifact format, section 5.

use std::fmt;

use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// A key to sign artifacts with.
#[derive(Debug)]
pub enum Key {
    /// ECDSA with P-256.
    P256(SigningKey),
    /// RSA with 2048 bits or more.
    Rsa(KeyPair),
}

/// Why a file is no key to sign with, or does not sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There is no private key in it that can be read.
    NotPem,
    /// It has a password.
    Encrypted,
    /// It is for another curve or algorithm, or damaged.
    NotSupported,
    /// RSA failed.
    Signing,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::NotPem => {
                "no private key in PEM. Make one: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
            }
            KeyError::Encrypted => "the key has a password. Remove it: openssl pkey -in KEY -out PLAIN",
            KeyError::NotSupported => "neither a P-256 key nor an RSA key of 2048 bits or more",
            KeyError::Signing => "RSA cannot sign with this key",
        })
    }
}

impl std::error::Error for KeyError {}

impl Key {
    /// A key as openssl writes it: PKCS#8, or the older forms of its own for each kind.
    pub fn from_pem(pem: &[u8]) -> Result<Key, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
            let encrypted = b"ENCRYPTED";
            match pem.windows(encrypted.len()).any(|part| part == encrypted) {
                true => KeyError::Encrypted,
                false => KeyError::NotPem,
            }
        })?;
        let key = match &der {
            PrivateKeyDer::Sec1(key) => SecretKey::from_sec1_der(key.secret_sec1_der()).ok().map(p256),
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()).ok().map(Key::Rsa),
            PrivateKeyDer::Pkcs8(key) => {
                let key = key.secret_pkcs8_der();
                let rsa = || KeyPair::from_pkcs8(key).ok().map(Key::Rsa);
                SecretKey::from_pkcs8_der(key).ok().map(p256).or_else(rsa)
            }
            _ => None,
        };
        key.ok_or(KeyError::NotSupported)
    }

    /// The signature of these bytes: always the same.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self {
            Key::P256(key) => {
                let signature: Signature = key.sign(message);
                Ok(signature.to_bytes().to_vec())
            }
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // The padding of PKCS#1 v1.5 has nothing random; the numbers blind the computation.
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| KeyError::Signing)?;
                Ok(signature)
            }
        }
    }
}

fn p256(key: SecretKey) -> Key {
    Key::P256(SigningKey::from(key))
}
