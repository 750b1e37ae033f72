//! What is made of bytes: held to the vectors of the artifact format, and read back by others' decoders.

use std::fs;
use std::path::PathBuf;

use mender_pack::{Coding, Compression, Key, RepackError, Window, patch, repack, sign};
use mender_testkit::server::ArtifactInfo;

fn vector(name: &str) -> Vec<u8> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/artifacts/ok");
    fs::read(file.join(name)).expect("the vector is there")
}

fn entry(artifact: &[u8], wanted: &str) -> Option<Vec<u8>> {
    tar::Archive::new(artifact)
        .entries()
        .expect("a tar")
        .map(|entry| entry.expect("a good entry"))
        .find(|entry| entry.path_bytes() == wanted.as_bytes())
        .map(|mut entry| {
            let mut content = Vec::new();
            std::io::copy(&mut entry, &mut content).expect("it can be read");
            content
        })
}

fn gzip(window: u32) -> Compression {
    Compression::Gzip(Window::new(window).expect("a power of two"))
}

fn key() -> Key {
    let key = p256::SecretKey::from_slice(&[7; 32]).expect("a number in range");
    let pem = p256::pkcs8::EncodePrivateKey::to_pkcs8_pem(&key, p256::pkcs8::LineEnding::LF).expect("a PEM file");
    Key::from_pem(pem.as_bytes()).expect("a key")
}

/// Whatever the real tool has compressed with: the same content, for every window and without compression.
#[test]
fn every_compression_is_undone() {
    for (name, plain) in [
        ("gzip.mender", None),
        ("gzip-default.mender", None),
        ("lzma.mender", None),
        ("zstd-best.mender", None),
        ("zstd-fastest.mender", None),
        ("edit-mixed-header-gzip.mender", None),
        ("edit-mixed-payload-gzip.mender", None),
        ("files-4.mender", Some(())),
        ("pax-large-uid.mender", Some(())),
        ("longname-200.mender", Some(())),
    ] {
        let artifact = vector(name);
        let none = repack(&artifact, Compression::None, None).expect(name);
        assert_eq!(none.window_len, 0);
        for window in [512, 1024, 2048, 4096, 8192, 16384, 32768] {
            let made = repack(&artifact, gzip(window), None).expect(name);
            assert!(made.window_len <= window as usize, "{name}");
            assert_eq!(made.info.files, none.info.files, "{name} {window}");
            assert_eq!(made.info.provides, none.info.provides, "{name} {window}");
            assert_eq!(made.info.depends, none.info.depends, "{name} {window}");
            let back = repack(&made.artifact, Compression::None, None).expect(name);
            assert_eq!(back.info, none.info, "{name} {window}");
        }
        if plain.is_some() {
            let before = ArtifactInfo::read(&artifact).expect(name);
            assert_eq!(none.info.files, before.files, "{name}");
        }
    }
}

#[test]
fn the_payload_is_compressed_anew_under_the_same_signature() {
    let artifact = vector("signed-ecdsa-gzip.mender");
    let made = repack(&artifact, gzip(4096), None).expect("the header fits");
    for name in ["version", "manifest", "manifest.sig", "header.tar.gz"] {
        assert_eq!(entry(&made.artifact, name), entry(&artifact, name), "{name}");
    }
    let data = "data/0000.tar.gz";
    assert_ne!(entry(&made.artifact, data), entry(&artifact, data));
    assert!(made.info.signed);
}

#[test]
fn a_signed_header_that_does_not_fit_needs_the_key() {
    let artifact = vector("signed-ecdsa-gzip.mender");
    for compression in [gzip(512), Compression::None] {
        let refused = repack(&artifact, compression, None);
        assert_eq!(refused.map(|made| made.window_len), Err(RepackError::Signed));
        let made = repack(&artifact, compression, Some(&key())).expect("it is signed again");
        let manifest = entry(&made.artifact, "manifest").expect("there is one");
        assert_ne!(Some(&manifest), entry(&artifact, "manifest").as_ref());
        assert!(made.info.signed);
    }
}

#[test]
fn a_header_that_is_damaged_is_not_given_a_new_checksum() {
    let mut artifact = vector("files-4.mender");
    let at = artifact
        .windows(11)
        .position(|part| part == b"header-info")
        .expect("its entry");
    // The last digits of the time in the inner tar header: not looked at by the server.
    artifact[at + 1] ^= 1;
    let made = repack(&artifact, Compression::None, None);
    assert!(matches!(made, Err(RepackError::Artifact(_))), "{made:?}");
    let mut artifact = vector("gzip.mender");
    let at = artifact
        .windows(3)
        .position(|part| part == [0x1f, 0x8b, 8])
        .expect("the header");
    // The operating system: no part of the checksum of gzip.
    artifact[at + 9] ^= 1;
    let made = repack(&artifact, Compression::None, None);
    assert_eq!(made.map(|made| made.window_len), Err(RepackError::Checksum));
}

#[test]
fn augmented_artifacts_and_no_artifacts_are_refused() {
    assert!(repack(&vector("augmented.mender"), Compression::None, None).is_err());
    for bytes in [&b""[..], b"no tar", &[0; 1024]] {
        assert!(repack(bytes, Compression::None, None).is_err());
        assert!(sign(bytes, &key()).is_err());
    }
    let artifact = vector("gzip.mender");
    for len in (0..artifact.len()).step_by(97) {
        // Without the zeros behind the end it is complete.
        if artifact[len..].iter().any(|&byte| byte != 0) {
            assert!(repack(&artifact[..len], Compression::None, None).is_err(), "{len}");
        }
    }
}

#[test]
fn a_signature_takes_the_place_of_an_older_one_and_is_always_the_same() {
    let artifact = vector("signed-rsa.mender");
    let signed = sign(&artifact, &key()).expect("it is signed");
    assert_eq!(signed, sign(&artifact, &key()).expect("it is signed"));
    assert_eq!(signed, sign(&signed, &key()).expect("it is signed"));
    let names: Vec<_> = tar::Archive::new(&signed[..])
        .entries()
        .expect("a tar")
        .map(|entry| String::from_utf8_lossy(&entry.expect("a good entry").path_bytes()).into_owned())
        .collect();
    assert_eq!(
        names,
        ["version", "manifest", "manifest.sig", "header.tar", "data/0000.tar"]
    );
    assert!(ArtifactInfo::read(&signed).expect("a good artifact").signed);
}

/// Reads a patch by the description of its format, with the heatshrink decoder of another crate.
fn apply(old: &[u8], patch: &[u8]) -> Vec<u8> {
    fn number(rest: &mut &[u8]) -> i64 {
        let mut next = || {
            let (&byte, behind) = rest.split_first().expect("a number");
            *rest = behind;
            byte
        };
        let first = next();
        let (mut value, mut shift, mut more) = (i64::from(first & 0x3f), 6, first & 0x80);
        while more != 0 {
            let byte = next();
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            more = byte & 0x80;
        }
        if first & 0x40 == 0 { value } else { -value }
    }
    let (&kind, mut rest) = patch.split_first().expect("a patch");
    let len = number(&mut rest) as usize;
    let mut new = Vec::new();
    let mut plain = vec![0; 4 * (len + old.len()) + 1000];
    let mut rest = match kind {
        0 => rest,
        4 if len > 0 => {
            assert_eq!(rest[0], 0x64, "a window of 1 KiB, repetitions of up to 128 bytes");
            let config = heatshrink::Config::new(10, 7).expect("good numbers");
            heatshrink::decode(&rest[1..], &mut plain, &config).expect("heatshrink")
        }
        _ => rest,
    };
    let mut at = 0;
    if len > 0 {
        assert_eq!(number(&mut rest), 0);
    }
    while new.len() < len {
        let add = number(&mut rest) as usize;
        new.extend(
            rest[..add]
                .iter()
                .zip(&old[at as usize..])
                .map(|(diff, old)| old.wrapping_add(*diff)),
        );
        at += add as i64;
        rest = &rest[add..];
        let extra = number(&mut rest) as usize;
        new.extend_from_slice(&rest[..extra]);
        rest = &rest[extra..];
        at += number(&mut rest);
    }
    new
}

#[test]
fn a_patch_makes_the_new_image_of_the_old_one() {
    let mut state = 1_u32;
    let mut byte = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for len in [0, 1, 2, 63, 64, 65, 1000, 8191, 8192, 30_000] {
        let old: Vec<u8> = (0..len).map(|_| byte()).collect();
        let mut longer = old.clone();
        longer.splice(len / 2..len / 2, (0..77).map(|_| byte()));
        let mut changed = old.clone();
        for at in (0..len).step_by(101) {
            changed[at] = byte();
        }
        let turned: Vec<u8> = old[len / 3..].iter().chain(&old[..len / 3]).copied().collect();
        let shorter = old[..len / 2].to_vec();
        let other: Vec<u8> = (0..len + 7).map(|_| byte()).collect();
        let even = vec![0xff; len + 300];
        for new in [&old, &longer, &changed, &turned, &shorter, &other, &even] {
            for coding in [Coding::None, Coding::Heatshrink] {
                let patch = patch(&old, new, coding).expect("a patch");
                assert_eq!(&apply(&old, &patch), new, "{len} {coding:?}");
            }
        }
        if len >= 8191 {
            assert!(patch(&old, &longer, Coding::Heatshrink).expect("a patch").len() < len / 4);
        }
    }
}
