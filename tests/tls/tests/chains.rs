//! Chains of certificates against the connector: all that must be accepted, and all that must be refused, with what the user learns.

use std::time::Duration;

use mender::net::Peer as Role;
use mender::tls::{RootError, Roots, TlsConnector, TlsMemory, Validity};
use mender_tls_tests::certificate::{Authority, NOW};
use mender_tls_tests::chains::{Case, accepted, refused, usual};
use mender_tls_tests::client::{self, QUESTION, Seeded, endpoint, line, outcome};
use mender_tls_tests::key::Key;
use mender_tls_tests::line::{Manner, Network};
use mender_tls_tests::peer::{Peer, Script};
use mender_tls_tests::visit::visit;

#[test]
fn those_that_must_be_accepted() {
    let cases = accepted();
    assert_eq!(cases.len(), 23);
    for case in cases {
        for manner in [Manner::SMOOTH, Manner::ROUGH] {
            assert_eq!(
                outcome(&case, Script::right(), manner),
                "open, a question, waits",
                "{}",
                case.name
            );
        }
    }
}

#[test]
fn those_that_must_be_refused() {
    let cases = refused();
    assert_eq!(cases.len(), 37);
    let mut others = String::new();
    for (case, reason) in cases {
        let outcome = outcome(&case, Script::right(), Manner::SMOOTH);
        println!("{}: {outcome}", case.name);
        if outcome != format!("refused: {reason}") {
            others += &format!("{} => {outcome}\n", case.name);
        }
    }
    assert!(others.is_empty(), "other outcomes than expected:\n{others}\n");
}

#[test]
fn what_the_user_reads() {
    let text = |name: &str| {
        let (case, _) = refused().into_iter().find(|(case, _)| case.name == name).unwrap();
        match client::visit_peer(&case, Script::right(), Manner::SMOOTH).0 {
            mender_tls_tests::visit::Visit::Refused(error) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let root = text("unknown root");
    assert!(root.contains("\"Root\"") && root.contains("roots"), "{root}");
    let expired = text("expired leaf");
    assert!(
        expired.contains("mender.example.com") && expired.contains("2026-05-31T00:00:00"),
        "{expired}"
    );
    assert!(expired.contains("2026-06-01T00:00:00"), "{expired}");
    let early = text("a clock of 1970");
    assert!(
        early.contains("1970-01-01T01:00:00") && early.contains("is it set?"),
        "{early}"
    );
    let host = text("other hosts");
    assert!(host.contains("a.example.com, b.example.com"), "{host}");
}

/// One more connection of a case, with other settings.
fn with(case: &Case, now: Option<u64>, validity: Validity, role: Role, roots: Roots<'_>) -> String {
    let network = Network::new(Manner::SMOOTH, [Peer::new(case.identity.clone(), Script::right())]);
    let mut memory = Box::new(TlsMemory::<16640, 1024>::new());
    let client = TlsConnector::new(&network, &mut memory, Seeded(1), roots)
        .unwrap()
        .validity(validity);
    let endpoint = mender::net::Endpoint {
        unix_time: now.map(Duration::from_secs),
        peer: role,
        ..endpoint(case)
    };
    line(&visit(&client, endpoint, QUESTION))
}

#[test]
fn without_a_time() {
    const OPEN: &str = "open, a question, waits";
    let rows = [
        ("P-256 x 3", Validity::Checked, None, "no time"),
        ("P-256 x 3", Validity::Checked, Some(NOW), OPEN),
        ("P-256 x 3", Validity::CheckedIfKnown, None, OPEN),
        ("P-256 x 3", Validity::CheckedIfKnown, Some(NOW), OPEN),
        // Expired, but once all of them were valid: the risk that the documentation names.
        ("expired leaf", Validity::CheckedIfKnown, None, OPEN),
        (
            "expired leaf",
            Validity::CheckedIfKnown,
            Some(NOW),
            "refused: mender.example.com expired at 1780185600",
        ),
        ("leaf of tomorrow", Validity::CheckedIfKnown, None, OPEN),
        (
            "a clock of 1970",
            Validity::CheckedIfKnown,
            Some(3600),
            "refused: mender.example.com not valid before 1577836800",
        ),
        (
            "unknown root",
            Validity::CheckedIfKnown,
            None,
            "refused: unknown root Root",
        ),
        (
            "another host",
            Validity::CheckedIfKnown,
            None,
            "refused: it is shop.example.com",
        ),
    ];
    let refused = refused().into_iter().map(|(case, _)| case);
    let cases: Vec<Case> = refused.chain([usual()]).collect();
    for (name, validity, now, expected) in rows {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let roots: Vec<&[u8]> = case.roots.iter().map(Vec::as_slice).collect();
        let outcome = with(case, now, validity, Role::Server, Roots::same(&roots));
        assert_eq!(outcome, expected, "{name}, {validity:?}, {now:?}");
    }
}

#[test]
fn each_peer_has_its_own_roots() {
    let case = usual();
    let right: Vec<&[u8]> = case.roots.iter().map(Vec::as_slice).collect();
    let other = Authority::new("Another Root", Key::p384("another")).root();
    let other = [other.as_slice()];
    let of_server = Roots {
        server: &right,
        artifact_host: &other,
    };
    let of_host = Roots {
        server: &other,
        artifact_host: &right,
    };
    let of_server_alone = Roots {
        server: &right,
        artifact_host: &[],
    };
    let tried = |role, roots| with(&case, Some(NOW), Validity::Checked, role, roots);
    assert_eq!(tried(Role::Server, of_server), "open, a question, waits");
    assert_eq!(tried(Role::ArtifactHost, of_server), "refused: unknown root Root");
    assert_eq!(tried(Role::Server, of_host), "refused: unknown root Root");
    assert_eq!(tried(Role::ArtifactHost, of_host), "open, a question, waits");
    assert_eq!(tried(Role::ArtifactHost, of_server_alone), "refused: unknown root Root");
}

#[test]
fn roots_that_are_none() {
    let case = usual();
    let root = case.roots[0].as_slice();
    let text = mender_tls_tests::certificate::pem("CERTIFICATE", root);
    let error = |server: &[&[u8]], artifact_host: &[&[u8]]| {
        let network = Network::new(Manner::SMOOTH, []);
        let mut memory = Box::new(TlsMemory::<16640, 1024>::new());
        TlsConnector::new(&network, &mut memory, Seeded(1), Roots { server, artifact_host }).err()
    };
    let none = |peer, index| Some(RootError::NoCertificate { peer, index });
    assert_eq!(error(&[root], &[]), None);
    assert_eq!(error(&[], &[root]), Some(RootError::None));
    assert_eq!(error(&[root; 8], &[root; 8]), None);
    assert_eq!(error(&[root; 9], &[]), Some(RootError::TooMany { peer: Role::Server }));
    assert_eq!(
        error(&[root], &[root; 9]),
        Some(RootError::TooMany {
            peer: Role::ArtifactHost
        })
    );
    assert_eq!(error(&[root, text.as_bytes()], &[]), none(Role::Server, 1));
    assert_eq!(error(&[root], &[&[]]), none(Role::ArtifactHost, 0));
    for len in 0..root.len() {
        assert_eq!(error(&[&root[..len]], &[]), none(Role::Server, 0), "{len} bytes of it");
    }
}
