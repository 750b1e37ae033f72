//! CertificateVerify: who has not the certificate's key, or proves it in a way that TLS 1.3 does not take, is refused (RFC 8446, sections
//! 4.2.3 and 4.4.3).

use mender_tls_tests::chains::{Case, accepted, usual};
use mender_tls_tests::key::{Hash, Key, Manner, longest_salt};
use mender_tls_tests::peer::message::Body;
use mender_tls_tests::peer::{Edit, Kind, Proof, Script};
use mender_tls_tests::table::judge;

fn proof(change: impl FnOnce(&mut Proof)) -> Script {
    let mut proof = Proof::default();
    change(&mut proof);
    Script::right().body(Kind::CertificateVerify, Body::CertificateVerify(proof))
}

/// Signed in this manner, under the number of this scheme.
fn signed(scheme: u16, manner: Manner) -> Script {
    proof(|proof| (proof.scheme, proof.manner) = (Some(scheme), manner))
}

fn edited(edit: Edit) -> Script {
    proof(|proof| proof.edits.push(edit))
}

fn pss(hash: Hash, mask: Hash, salt: usize) -> Manner {
    Manner::Pss { hash, mask, salt }
}

fn chain(name: &str) -> Case {
    let found = accepted().into_iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn what_is_signed_and_by_whom() {
    let key = |key: Key| proof(|proof| proof.key = Some(key));
    let rows = vec![
        ("right", Script::right(), "open, a question, waits"),
        (
            "for clients",
            proof(|proof| proof.context = b"TLS 1.3, client CertificateVerify"),
            "refused: unproved",
        ),
        ("no context", proof(|proof| proof.context = b""), "refused: unproved"),
        (
            "another transcript",
            proof(|proof| proof.hash = Some([0; 32])),
            "refused: unproved",
        ),
        ("another key", key(Key::p256("another")), "refused: unproved"),
        (
            "the intermediate's key",
            key(Key::p256("intermediate")),
            "refused: unproved",
        ),
        ("another curve", key(Key::p384("leaf")), "refused: unproved"),
        (
            "another curve under its own scheme",
            proof(|proof| (proof.key, proof.scheme) = (Some(Key::p384("leaf")), Some(0x0403))),
            "refused: unproved",
        ),
        ("a bit changed", edited(Edit::Flip(20, 1)), "refused: unproved"),
        ("the last bit changed", edited(Edit::Flip(-1, 1)), "refused: unproved"),
        ("cut short", edited(Edit::Cut(-1)), "refused: unproved"),
        ("longer", edited(Edit::Add(vec![0])), "refused: unproved"),
        ("empty", edited(Edit::Cut(0)), "refused: unproved"),
        (
            "r and s of zero",
            signed(0x0403, Manner::Bytes(vec![0x30, 6, 2, 1, 0, 2, 1, 0])),
            "refused: unproved",
        ),
        (
            "r and s of one",
            signed(0x0403, Manner::Bytes(vec![0x30, 6, 2, 1, 1, 2, 1, 1])),
            "refused: unproved",
        ),
        (
            "r and s as bare numbers",
            signed(0x0403, Manner::Bytes(vec![0x11; 64])),
            "refused: unproved",
        ),
        (
            "16 KB of signature",
            signed(0x0403, Manner::Bytes(vec![0x30; 16_000])),
            "refused: unproved",
        ),
    ];
    assert_eq!(rows.len(), 17);
    judge(&usual(), rows);
}

#[test]
fn schemes_of_an_ecdsa_key() {
    let right = |scheme| signed(scheme, Manner::Handshake);
    let rows = vec![
        ("ecdsa_secp256r1_sha256", right(0x0403), "open, a question, waits"),
        (
            "SHA-384 of P-256",
            signed(0x0503, Manner::Ecdsa(Hash::Sha384)),
            "refused: unproved",
        ),
        (
            "SHA-384 under the name SHA-256",
            signed(0x0403, Manner::Ecdsa(Hash::Sha384)),
            "refused: unproved",
        ),
        ("SHA-256 under the name SHA-384", right(0x0503), "refused: unproved"),
        (
            "ecdsa_sha1",
            signed(0x0203, Manner::Ecdsa(Hash::Sha1)),
            "refused: unsupported",
        ),
        (
            "ecdsa_secp521r1_sha512",
            signed(0x0603, Manner::Ecdsa(Hash::Sha512)),
            "refused: unsupported",
        ),
        (
            "ed25519",
            signed(0x0807, Manner::Bytes(vec![1; 64])),
            "refused: unsupported",
        ),
        (
            "ed448",
            signed(0x0808, Manner::Bytes(vec![1; 114])),
            "refused: unsupported",
        ),
        ("brainpool", right(0x081a), "refused: unsupported"),
        ("rsa_pss_rsae_sha256", right(0x0804), "refused: unproved"),
        ("rsa_pkcs1_sha256", right(0x0401), "refused: unsupported"),
        ("a private number", right(0xfe01), "malformed"),
        ("an unknown number", right(0x5a5a), "malformed"),
        ("zero", right(0), "malformed"),
        ("DSA", right(0x0402), "malformed"),
    ];
    assert_eq!(rows.len(), 15);
    judge(&usual(), rows);
}

#[test]
fn schemes_of_a_p384_key() {
    let rows = vec![
        (
            "ecdsa_secp384r1_sha384",
            signed(0x0503, Manner::Handshake),
            "open, a question, waits",
        ),
        (
            "SHA-256 of P-384",
            signed(0x0403, Manner::Ecdsa(Hash::Sha256)),
            "refused: unproved",
        ),
        (
            "SHA-256 under the name SHA-384",
            signed(0x0503, Manner::Ecdsa(Hash::Sha256)),
            "refused: unproved",
        ),
    ];
    assert_eq!(rows.len(), 3);
    judge(&chain("P-384 x 3"), rows);
}

#[test]
fn schemes_of_an_rsa_key() {
    let case = chain("RSA-2048 x 3");
    use Hash::{Sha1, Sha256, Sha384, Sha512};
    let longest = longest_salt(&case.identity.key, Sha256);
    let rows = vec![
        (
            "rsa_pss_rsae_sha256",
            signed(0x0804, pss(Sha256, Sha256, 32)),
            "open, a question, waits",
        ),
        (
            "rsa_pss_rsae_sha384",
            signed(0x0805, pss(Sha384, Sha384, 48)),
            "open, a question, waits",
        ),
        (
            "rsa_pss_rsae_sha512",
            signed(0x0806, pss(Sha512, Sha512, 64)),
            "open, a question, waits",
        ),
        ("no salt", signed(0x0804, pss(Sha256, Sha256, 0)), "refused: unproved"),
        (
            "a salt of 20 bytes",
            signed(0x0804, pss(Sha256, Sha256, 20)),
            "refused: unproved",
        ),
        (
            "a salt of 31 bytes",
            signed(0x0804, pss(Sha256, Sha256, 31)),
            "refused: unproved",
        ),
        (
            "a salt of 33 bytes",
            signed(0x0804, pss(Sha256, Sha256, 33)),
            "refused: unproved",
        ),
        (
            "the longest salt",
            signed(0x0804, pss(Sha256, Sha256, longest)),
            "refused: unproved",
        ),
        (
            "SHA-384 under the name SHA-256",
            signed(0x0804, pss(Sha384, Sha384, 48)),
            "refused: unproved",
        ),
        (
            "SHA-256 under the name SHA-384",
            signed(0x0805, pss(Sha256, Sha256, 32)),
            "refused: unproved",
        ),
        (
            "SHA-512 under the name SHA-256",
            signed(0x0804, pss(Sha512, Sha512, 64)),
            "refused: unproved",
        ),
        (
            "a mask of SHA-1",
            signed(0x0804, pss(Sha256, Sha1, 32)),
            "refused: unproved",
        ),
        (
            "a mask of SHA-384",
            signed(0x0804, pss(Sha256, Sha384, 32)),
            "refused: unproved",
        ),
        ("SHA-1", signed(0x0804, pss(Sha1, Sha1, 20)), "refused: unproved"),
        (
            "PKCS#1 v1.5 under the name PSS",
            signed(0x0804, Manner::Pkcs1(Sha256)),
            "refused: unproved",
        ),
        (
            "rsa_pkcs1_sha256",
            signed(0x0401, Manner::Pkcs1(Sha256)),
            "refused: unsupported",
        ),
        (
            "rsa_pkcs1_sha384",
            signed(0x0501, Manner::Pkcs1(Sha384)),
            "refused: unsupported",
        ),
        (
            "rsa_pkcs1_sha512",
            signed(0x0601, Manner::Pkcs1(Sha512)),
            "refused: unsupported",
        ),
        (
            "rsa_pkcs1_sha1",
            signed(0x0201, Manner::Pkcs1(Sha1)),
            "refused: unsupported",
        ),
        (
            "rsa_pss_pss_sha256",
            signed(0x0809, pss(Sha256, Sha256, 32)),
            "refused: unsupported",
        ),
        (
            "rsa_pss_pss_sha384",
            signed(0x080a, pss(Sha384, Sha384, 48)),
            "refused: unsupported",
        ),
        (
            "rsa_pss_pss_sha512",
            signed(0x080b, pss(Sha512, Sha512, 64)),
            "refused: unsupported",
        ),
        (
            "ecdsa_secp256r1_sha256",
            signed(0x0403, pss(Sha256, Sha256, 32)),
            "refused: unproved",
        ),
        ("a bit changed", edited(Edit::Flip(100, 1)), "refused: unproved"),
        ("a byte less", edited(Edit::Cut(-1)), "refused: unproved"),
        ("a byte more", edited(Edit::Add(vec![0])), "refused: unproved"),
        (
            "zeros",
            signed(0x0804, Manner::Bytes(vec![0; 256])),
            "refused: unproved",
        ),
        (
            "one",
            signed(0x0804, Manner::Bytes([vec![0; 255], vec![1]].concat())),
            "refused: unproved",
        ),
        (
            "larger than the modulus",
            signed(0x0804, Manner::Bytes(vec![0xff; 256])),
            "refused: unproved",
        ),
        ("empty", signed(0x0804, Manner::Bytes(Vec::new())), "refused: unproved"),
    ];
    assert_eq!(rows.len(), 30);
    judge(&case, rows);
}
