//! A client that was built for P-256 alone: `cargo test -p mender-tls-tests --no-default-features --test p256_alone`.
#![cfg(not(feature = "every-algorithm"))]

use mender_tls_tests::chains::{accepted, usual};
use mender_tls_tests::client::{outcome, visit_peer};
use mender_tls_tests::line::Manner;
use mender_tls_tests::peer::Script;

#[test]
fn other_algorithms_are_refused_by_name() {
    const OPEN: &str = "open, a question, waits";
    const UNSUPPORTED: &str = "refused: unsupported";
    let rows = [
        ("P-256 x 3", OPEN),
        ("no intermediate", OPEN),
        ("RSA-2048 x 3", UNSUPPORTED),
        ("P-256, P-384, RSA-4096", UNSUPPORTED),
        ("RSA-2048, RSA-2048, RSA-4096", UNSUPPORTED),
        ("P-256, P-256, P-384", UNSUPPORTED),
        ("P-256, RSA-2048, P-384", UNSUPPORTED),
        ("P-384 x 3", UNSUPPORTED),
    ];
    let cases = accepted();
    for (name, expected) in rows {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        assert_eq!(outcome(case, Script::right(), Manner::SMOOTH), expected, "{name}");
    }
}

#[test]
fn no_rsa_is_offered() {
    let (_, peer) = visit_peer(&usual(), Script::right(), Manner::SMOOTH);
    let mut schemes = peer.client_hello().unwrap().schemes();
    schemes.sort();
    // P-384 and Ed25519 are offered by embedded-tls whatever it is told.
    assert_eq!(schemes, [0x0403, 0x0503, 0x0807]);
}
