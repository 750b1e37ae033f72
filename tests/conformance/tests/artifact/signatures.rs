//! Signatures of artifacts: the vectors that need keys, and artifacts that the real `mender-artifact` has signed.

use std::path::Path;
use std::process::Command;

use mender::artifact::{Error, Event, Limits, Parser, SignatureFault};
use mender::signature::public_key;

use crate::vectors::{self, Expectation, RejectBy, Vector};

/// How far a parser with these keys gets: whether it has shown the header, the bytes of payload, and how it ends. Bytes come in
/// pieces of this length.
fn read(artifact: &[u8], keys: &[&[u8]], piece: usize) -> (bool, usize, Result<(), Error>) {
    let mut work = vec![0; Limits::GENEROUS.work_len()];
    let mut parser = Parser::with_keys(Limits::GENEROUS, &mut work, keys);
    let (mut header, mut payload) = (false, 0);
    for piece in artifact.chunks(piece) {
        let mut rest = piece;
        loop {
            match parser.feed(rest) {
                Err(error) => return (header, payload, Err(error)),
                Ok((consumed, event)) => {
                    rest = &rest[consumed..];
                    match event {
                        Event::NeedInput => break,
                        Event::Header => header = true,
                        Event::Data(data) => payload += data.len(),
                        Event::File { .. } | Event::FileEnd => {}
                    }
                }
            }
        }
    }
    (header, payload, parser.finish())
}

fn key(name: &str) -> Vec<u8> {
    vectors::bytes(&format!("keys/{name}.pub.pem"))
}

/// DER out of PEM, by openssl's own words for it.
fn der(pem: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(pem).unwrap();
    let mut body: Vec<u8> = text
        .lines()
        .skip_while(|line| !line.starts_with('-'))
        .filter(|line| !line.starts_with('-'))
        .flat_map(str::bytes)
        .collect();
    let len = mender::signature::base64::decode(&mut body).unwrap();
    body.truncate(len);
    body
}

fn signed() -> Vec<Vector> {
    vectors::all()
        .into_iter()
        .filter(|vector| vector.verify_key.is_some() || vector.requires.iter().any(|need| need.starts_with("sig-")))
        .collect()
}

#[test]
fn every_vector_with_a_key_is_judged_right() {
    let vectors = signed();
    let [mut good, mut bad] = [0; 2];
    for vector in &vectors {
        let name = vector.verify_key.clone().or(vector.signed_by.clone()).unwrap();
        let name = name.trim_start_matches("keys/").trim_end_matches(".pub.pem");
        let pem = key(name);
        let other = key("test-ecdsa-p256-b");
        let bytes = vector.bytes();
        let keys: [&[&[u8]]; 4] = [&[&pem], &[&der(&pem)], &[&other, &pem], &[&pem, &other]];
        for (place, keys) in keys.into_iter().enumerate() {
            // A key that made it is not to be among them by chance.
            if place >= 2 && vector.signed_by.as_deref() == Some("test-ecdsa-p256-b") {
                continue;
            }
            for piece in [1, 64, 513, usize::MAX] {
                let what = format!("{} with keys {place} in pieces of {piece}", vector.file);
                let (header, payload, result) = read(&bytes, keys, piece);
                match (vector.expectation, vector.unsupported()) {
                    (Expectation::Accept, None) => assert_eq!(result, Ok(()), "{what}"),
                    (Expectation::Accept, Some(text)) => {
                        let error = result.unwrap_err();
                        assert!(error.to_string().contains(text), "{what}: {error}");
                    }
                    (Expectation::Reject, _) => {
                        assert!(result.is_err(), "{what}");
                        assert!(!header && payload == 0, "{what}");
                        if vector.reject_by == Some(RejectBy::Signature) {
                            assert!(matches!(result, Err(Error::Signature(_))), "{what}: {result:?}");
                        }
                    }
                }
            }
        }
        match vector.expectation {
            Expectation::Accept => good += 1,
            Expectation::Reject => bad += 1,
        }
    }
    assert_eq!((good, bad), (6, 14));
}

#[test]
fn whatever_is_not_signed_is_refused_if_there_are_keys() {
    let pem = key("test-ecdsa-p256-a");
    let mut unsigned = 0;
    for vector in vectors::all() {
        if vector.expectation != Expectation::Accept || vector.unsupported().is_some() || vector.signed_by.is_some() {
            continue;
        }
        let missing = Err(Error::Signature(SignatureFault::Missing));
        assert_eq!(
            read(&vector.bytes(), &[&pem], 512),
            (false, 0, missing),
            "{}",
            vector.file
        );
        assert_eq!(read(&vector.bytes(), &[], 512).2, Ok(()), "{}", vector.file);
        unsigned += 1;
    }
    assert!(unsigned > 40, "{unsigned}");
}

#[test]
fn a_signature_by_none_of_the_keys_is_refused_by_name() {
    for (file, other) in [
        ("ok/signed-ecdsa.mender", "test-ecdsa-p256-b"),
        ("ok/signed-ecdsa.mender", "test-rsa-3072-a"),
        ("ok/signed-rsa.mender", "test-rsa-3072-b"),
        ("ok/signed-rsa.mender", "test-ecdsa-p256-a"),
    ] {
        let pem = key(other);
        let wrong = Err(Error::Signature(SignatureFault::Wrong));
        assert_eq!(
            read(&vectors::bytes(file), &[&pem], 512),
            (false, 0, wrong),
            "{file} {other}"
        );
    }
}

#[test]
fn what_is_no_key_is_known_beforehand() {
    let good = key("test-ecdsa-p256-a");
    assert!(public_key::is_usable(&good));
    assert!(public_key::is_usable(&der(&good)));
    assert!(public_key::is_usable(&key("test-rsa-3072-a")));
    let with_returns = String::from_utf8(good.clone()).unwrap().replace('\n', "\r\n");
    assert!(public_key::is_usable(with_returns.as_bytes()));
    assert!(
        !public_key::is_usable(&key("test-ed25519-a")),
        "no signer of artifacts has such keys"
    );
    assert!(!public_key::is_usable(b""));
    let binary = der(&good);
    for (what, key) in [("PEM", &good), ("DER", &binary)] {
        for len in 0..key.len() - 1 {
            assert!(!public_key::is_usable(&key[..len]), "{what} cut to {len}");
        }
        let mut longer = key.clone();
        longer.push(b'A');
        assert!(!public_key::is_usable(&longer), "{what} and a byte");
    }
    // A point that is not of the curve.
    for at in 26..binary.len() {
        let mut other = binary.clone();
        other[at] ^= 1;
        assert!(!public_key::is_usable(&other), "byte {at}");
    }
}

fn run(folder: &Path, program: &str, arguments: &str) -> bool {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

/// Each kind of key with a signature that the real tool makes: taken with the right key, refused with another, and refused when any
/// bit of the manifest or of the signature's text is another one.
#[test]
fn what_the_real_tool_signs_is_taken() {
    if ["mender-artifact", "openssl"]
        .iter()
        .any(|tool| Command::new(tool).arg("--version").output().is_err())
    {
        let required = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(
            !required,
            "mender-artifact or openssl is not installed, but this is a CI run"
        );
        println!("skipped: mender-artifact or openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("app.bin"), [7; 1000]).unwrap();
    let stranger = key("test-ecdsa-p256-b");
    for kind in ["p256", "2048", "3072", "4096"] {
        if kind == "p256" {
            run(
                folder,
                "openssl",
                "ecparam -genkey -name prime256v1 -noout -out key.pem",
            );
        } else {
            run(folder, "openssl", &format!("genrsa -traditional -out key.pem {kind}"));
        }
        let form = if kind == "p256" { "ec" } else { "rsa" };
        run(folder, "openssl", &format!("{form} -in key.pem -pubout -out key.pub"));
        run(
            folder,
            "mender-artifact",
            "write module-image -T app -n r2 -t board --compression none -f app.bin -k key.pem -o a.mender",
        );
        run(folder, "mender-artifact", "validate -k key.pub a.mender");
        let public = std::fs::read(folder.join("key.pub")).unwrap();
        assert!(public_key::is_usable(&public), "{kind}");
        let artifact = std::fs::read(folder.join("a.mender")).unwrap();
        assert_eq!(read(&artifact, &[&public], 512), (true, 1000, Ok(())), "{kind}");
        let wrong = Err(Error::Signature(SignatureFault::Wrong));
        assert_eq!(read(&artifact, &[&stranger], 512), (false, 0, wrong), "{kind}");
        let (entries, _) = vectors::outer_entries(&artifact);
        let signature = entries.iter().position(|entry| entry.name == "manifest.sig").unwrap();
        // The manifest's and the signature's bytes, every one of the former, each tenth of the latter.
        let manifest = entries[signature - 2].end + 512..entries[signature - 1].end;
        let text = entries[signature - 1].end + 512..entries[signature].end;
        for at in manifest.chain(text.step_by(10)) {
            if artifact[at] == 0 {
                continue;
            }
            let mut bad = artifact.clone();
            bad[at] ^= 1;
            let (header, payload, result) = read(&bad, &[&public], 4096);
            assert!(!header && payload == 0 && result.is_err(), "{kind}: byte {at}");
        }
    }
}
