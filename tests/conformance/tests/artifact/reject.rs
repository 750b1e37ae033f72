//! Every malformed artifact is refused, in time, and at every chunk size in the same way.

use crate::run::{parse, parse_with};
use crate::vectors::{self, Expectation, RejectBy, Vector};
use mender::artifact::Limits;

/// The offset at which the fault of a vector must be known: where the entry that `reject_by` names has ended, with its
/// padding. If there is no such entry, the end of the entry that is in its place.
pub fn deadline(vector: &Vector, bytes: &[u8]) -> usize {
    let (entries, _) = vectors::outer_entries(bytes);
    let end_of = |prefix: &str, place: usize| {
        let named = entries.iter().find(|entry| entry.name.starts_with(prefix));
        named.or(entries.get(place)).map_or(bytes.len(), |entry| entry.end)
    };
    match vector.reject_by.unwrap() {
        RejectBy::Version => entries.first().map_or(bytes.len(), |entry| entry.end),
        RejectBy::Manifest => end_of("manifest", 1),
        RejectBy::Signature => end_of("manifest.sig", 2),
        RejectBy::Header => end_of("header.tar", 2),
        RejectBy::Payload => end_of("data/", 3),
        RejectBy::End => bytes.len(),
    }
}

#[test]
fn malformed_artifacts_are_refused_in_time() {
    let mut count = 0;
    for vector in vectors::all() {
        if vector.expectation != Expectation::Reject || vector.verify_key.is_some() {
            continue;
        }
        count += 1;
        let bytes = vector.bytes();
        let (outcome, offset) = parse_with(&bytes, &[1], Limits::GENEROUS, Limits::GENEROUS.work_len());
        let error = outcome.result.expect_err(&vector.file);
        let reject_by = vector.reject_by.unwrap();
        let deadline = deadline(&vector, &bytes) as u64;
        assert!(
            offset <= deadline,
            "{}: {error} at {offset}, {reject_by:?} ends at {deadline}",
            vector.file
        );
        assert!(
            outcome.payload_bytes <= vector.max_payload_bytes.unwrap(),
            "{}: {} payload bytes",
            vector.file,
            outcome.payload_bytes
        );
        match reject_by {
            RejectBy::Version | RejectBy::Manifest | RejectBy::Signature | RejectBy::Header => {
                assert!(outcome.header.is_none(), "{}: the header was reported", vector.file);
            }
            RejectBy::Payload | RejectBy::End => {}
        }
    }
    assert_eq!(count, 200);
}

#[test]
fn a_refusal_does_not_depend_on_the_pieces() {
    for vector in vectors::all() {
        if vector.expectation != Expectation::Reject {
            continue;
        }
        let bytes = vector.bytes();
        let expected = parse(&bytes, &[1]);
        for chunk in [7, 511, 512, 4096, usize::MAX] {
            assert_eq!(
                parse(&bytes, &[chunk]),
                expected,
                "{} in pieces of {chunk}",
                vector.file
            );
        }
    }
}

/// Without a configured key the signature's value is not checked. What each of these files gives then is listed here,
/// so that nothing passes unnoticed.
#[test]
fn faults_that_only_a_key_would_show() {
    let expected = [
        ("bad/sig-wrong-key-ecdsa.mender", None),
        ("bad/sig-wrong-key-rsa.mender", None),
        ("bad/sig-wrong-key-type.mender", None),
        ("bad/sig-tampered-payload.mender", None),
        ("bad/sig-tampered-header.mender", None),
        ("bad/sig-bad-base64.mender", Some("not one line of base64")),
        ("bad/sig-empty.mender", Some("too short for a signature")),
        ("bad/sig-truncated.mender", Some("manifest.sig: ")),
        ("bad/sig-bit-flip.mender", None),
        ("bad/sig-raw-binary.mender", Some("not one line of base64")),
        ("bad/sig-missing.mender", None),
        (
            "bad/sig-before-manifest.mender",
            Some("expected manifest, found manifest.sig"),
        ),
        (
            "bad/sig-duplicate.mender",
            Some("expected header.tar, found manifest.sig"),
        ),
        ("bad/sig-swap-rs.mender", None),
    ];
    let keyed: Vec<_> = vectors::all()
        .into_iter()
        .filter(|vector| vector.verify_key.is_some())
        .collect();
    let names: Vec<_> = keyed.iter().map(|vector| vector.file.as_str()).collect();
    assert_eq!(names, expected.map(|(file, _)| file));
    for (vector, (file, reason)) in keyed.iter().zip(expected) {
        let outcome = parse(&vector.bytes(), &[512]);
        match reason {
            None => assert_eq!(outcome.result, Ok(()), "{file}"),
            Some(reason) => {
                let message = outcome.result.expect_err(file).to_string();
                assert!(message.contains(reason), "{file}: {message}");
                assert_eq!(outcome.payload_bytes, 0);
            }
        }
    }
}
