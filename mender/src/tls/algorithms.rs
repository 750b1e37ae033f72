//! Which signatures are accepted: [`signature`](mod@crate::signature) in the shape that webpki asks for.

use core::fmt::Debug;

use embedded_tls::SignatureScheme;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

#[cfg(feature = "rsa")]
use crate::signature::rsa;
use crate::signature::{Hash, Refused, ecdsa};

macro_rules! algorithm {
    ($(#[$if:meta])? $name:ident, $key:ident, $signature:ident, $hash:ident, $verify:path) => {
        $(#[$if])?
        #[derive(Debug)]
        struct $name;

        $(#[$if])?
        impl SignatureVerificationAlgorithm for $name {
            fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
                $verify(key, &Hash::$hash(&[message]), signature).map_err(|Refused| InvalidSignature)
            }

            fn public_key_alg_id(&self) -> AlgorithmIdentifier {
                alg_id::$key
            }

            fn signature_alg_id(&self) -> AlgorithmIdentifier {
                alg_id::$signature
            }
        }
    };
}

algorithm!(P256, ECDSA_P256, ECDSA_SHA256, sha256, ecdsa::verify_p256);
algorithm!(
    #[cfg(feature = "p384")]
    P384,
    ECDSA_P384,
    ECDSA_SHA384,
    sha384,
    ecdsa::verify_p384
);
algorithm!(
    #[cfg(feature = "rsa")]
    Pkcs1Sha256,
    RSA_ENCRYPTION,
    RSA_PKCS1_SHA256,
    sha256,
    rsa::verify_pkcs1
);
algorithm!(
    #[cfg(feature = "rsa")]
    Pkcs1Sha384,
    RSA_ENCRYPTION,
    RSA_PKCS1_SHA384,
    sha384,
    rsa::verify_pkcs1
);
algorithm!(
    #[cfg(feature = "rsa")]
    Pkcs1Sha512,
    RSA_ENCRYPTION,
    RSA_PKCS1_SHA512,
    sha512,
    rsa::verify_pkcs1
);
algorithm!(
    #[cfg(feature = "rsa")]
    PssSha256,
    RSA_ENCRYPTION,
    RSA_PSS_SHA256,
    sha256,
    rsa::verify_pss
);
algorithm!(
    #[cfg(feature = "rsa")]
    PssSha384,
    RSA_ENCRYPTION,
    RSA_PSS_SHA384,
    sha384,
    rsa::verify_pss
);
algorithm!(
    #[cfg(feature = "rsa")]
    PssSha512,
    RSA_ENCRYPTION,
    RSA_PSS_SHA512,
    sha512,
    rsa::verify_pss
);

/// What may sign a certificate. SHA-1 may not.
pub(super) static OF_CERTIFICATES: &[&dyn SignatureVerificationAlgorithm] = &[
    &P256,
    #[cfg(feature = "p384")]
    &P384,
    #[cfg(feature = "rsa")]
    &Pkcs1Sha256,
    #[cfg(feature = "rsa")]
    &Pkcs1Sha384,
    #[cfg(feature = "rsa")]
    &Pkcs1Sha512,
];

/// What may sign a handshake (RFC 8446, section 4.2.3): of RSA PSS alone, with a key that is for any use of RSA.
pub(super) fn of_handshake(scheme: SignatureScheme) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => Some(&P256),
        #[cfg(feature = "p384")]
        SignatureScheme::EcdsaSecp384r1Sha384 => Some(&P384),
        #[cfg(feature = "rsa")]
        SignatureScheme::RsaPssRsaeSha256 => Some(&PssSha256),
        #[cfg(feature = "rsa")]
        SignatureScheme::RsaPssRsaeSha384 => Some(&PssSha384),
        #[cfg(feature = "rsa")]
        SignatureScheme::RsaPssRsaeSha512 => Some(&PssSha512),
        // The crate's list of what there is besides, which is not for this client.
        _ => None,
    }
}
