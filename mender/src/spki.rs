//! How public keys in files begin: the `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7) up to the key itself.

/// Of every key on P-256, up to the point: id-ecPublicKey, prime256v1, BIT STRING of 66 bytes (RFC 5480).
pub(crate) const P256: [u8; 26] = [
    0x30, 0x59, // SEQUENCE
    0x30, 0x13, // SEQUENCE
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, // 1.2.840.10045.2.1
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, // 1.2.840.10045.3.1.7
    0x03, 0x42, 0x00, // BIT STRING, no unused bits
];

/// The name of RSA with its parameters, which are none: rsaEncryption, NULL (RFC 3279, section 2.3.1).
#[cfg(feature = "rsa")]
pub(crate) const RSA: [u8; 13] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, // 1.2.840.113549.1.1.1
    0x05, 0x00, // NULL
];
