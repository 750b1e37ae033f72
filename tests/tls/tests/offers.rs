//! What the client says of itself, and what it does not call at all.

use mender::net::{Connector, Endpoint, Security};
use mender::tls::{Roots, TlsConnector, TlsError, TlsMemory};
use mender_tls_tests::chains::{Case, accepted, usual};
use mender_tls_tests::client::{self, Client, QUESTION, Seeded, endpoint, line, name, visit_peer};
use mender_tls_tests::line::{Manner, Network};
use mender_tls_tests::peer::{ClientHello, Fault, Peer, Script};
use mender_tls_tests::poll::until_end;
use mender_tls_tests::visit::{Visit, beside, visit};

fn hello(case: &Case) -> ClientHello {
    visit_peer(case, Script::right(), Manner::SMOOTH)
        .1
        .client_hello()
        .unwrap()
        .clone()
}

#[test]
fn suite_groups_and_schemes() {
    let hello = hello(&usual());
    assert_eq!(hello.suites, [0x1301]);
    assert_eq!(hello.extension(43), Some(&[2, 3, 4][..]), "TLS 1.3");
    assert_eq!(hello.extension(10), Some(&[0, 2, 0, 23][..]), "secp256r1");
    let mut schemes = hello.schemes();
    schemes.sort();
    // Of these PKCS#1 v1.5 is for certificates alone, and Ed25519 is offered by embedded-tls whatever it is told: no handshake is
    // accepted with one of them (`proofs.rs`).
    assert_eq!(
        schemes,
        [0x0401, 0x0403, 0x0501, 0x0503, 0x0601, 0x0804, 0x0805, 0x0806, 0x0807]
    );
    // No session of before, no early data, no client certificate behind the handshake, no short records.
    for kind in [41, 42, 49, 1, 35] {
        assert_eq!(hello.extension(kind), None, "{kind}");
    }
}

#[test]
fn names_go_to_the_server_and_addresses_do_not() {
    assert_eq!(hello(&usual()).server_name().as_deref(), Some("mender.example.com"));
    let absolute = Case {
        host: "mender.example.com.",
        ..usual()
    };
    assert_eq!(hello(&absolute).server_name().as_deref(), Some("mender.example.com"));
    for name in ["an IPv4 address", "an IPv6 address"] {
        let case = accepted().into_iter().find(|case| case.name == name).unwrap();
        assert_eq!(hello(&case).server_name(), None, "{name}");
    }
}

#[test]
fn hosts_that_are_none() {
    let long = "a".repeat(64) + ".example.com";
    let longest = "a.".repeat(127);
    for host in [
        "",
        " ",
        "exa mple.com",
        "a..example.com",
        ".example.com",
        "-a.example.com",
        "host/",
        "300.1.2.3.",
        &long,
        &longest,
    ] {
        let case = usual();
        let network = Network::new(Manner::SMOOTH, [Peer::new(case.identity.clone(), Script::right())]);
        let called = client::with(&network, &case, |client| {
            line(&visit(
                client,
                Endpoint {
                    host,
                    ..endpoint(&case)
                },
                QUESTION,
            ))
        });
        assert!(
            called == "host" || called.starts_with("refused: it is"),
            "{host:?}: {called}"
        );
        for wire in network.wires().iter() {
            assert_eq!(wire.peer.application_data(), b"", "{host:?}");
        }
    }
}

#[test]
fn the_longest_name_fits_the_shortest_buffer() {
    let label = "a".repeat(63);
    let host = format!("{label}.{label}.{label}.{}", &label[..61]);
    let case = usual();
    let network = Network::new(Manner::SMOOTH, [Peer::new(case.identity.clone(), Script::right())]);
    let roots: Vec<&[u8]> = case.roots.iter().map(Vec::as_slice).collect();
    let mut memory = Box::new(TlsMemory::<1400, 512>::new());
    let client = TlsConnector::new(&network, &mut memory, Seeded(1), Roots::same(&roots)).unwrap();
    let endpoint = Endpoint {
        host: &host,
        ..endpoint(&case)
    };
    let refused = until_end(beside(&client, client.connect(endpoint))).ready("a connect");
    assert_eq!(name(&refused.err().unwrap()), "refused: it is mender.example.com");
    let hello = network.wires()[0].peer.client_hello().unwrap().clone();
    assert_eq!(hello.server_name(), Some(host));
}

#[test]
fn a_plain_endpoint_stays_plain() {
    let case = usual();
    let network = Network::new(Manner::SMOOTH, [Peer::new(case.identity.clone(), Script::right())]);
    let plain = Endpoint {
        security: Security::Plain,
        unix_time: None,
        ..endpoint(&case)
    };
    client::with(&network, &case, |client| visit(client, plain, QUESTION));
    let wires = network.wires();
    assert_eq!(wires[0].sent, QUESTION.len());
    let head = QUESTION.first_chunk().unwrap();
    assert_eq!(wires[0].peer.fault(), Some(&Fault::Head(*head)));
}

#[test]
fn the_plain_connector_is_asked_for_the_same_host() {
    let case = usual();
    let network = Network::new(Manner::SMOOTH, [Peer::new(case.identity.clone(), Script::right())]);
    client::with(&network, &case, |client| visit(client, endpoint(&case), QUESTION));
    assert_eq!(network.hosts(), [("mender.example.com".to_owned(), 443)]);
}

#[test]
fn who_does_not_poll_the_work_learns_of_it() {
    let case = usual();
    let network = Network::new(Manner::SMOOTH, []);
    client::with(&network, &case, |client: &Client<'_, &Network>| {
        let refused = until_end(client.connect(endpoint(&case))).ready("a connect without work");
        assert_eq!(refused.err(), Some(TlsError::NotDriven));
    });
}

#[test]
fn nobody_is_there() {
    let case = usual();
    let network = Network::new(Manner::SMOOTH, []);
    client::with(&network, &case, |client| {
        assert_eq!(
            visit(client, endpoint(&case), QUESTION),
            Visit::Refused(TlsError::Connect)
        );
        // Again: the place is free.
        for _ in 0..5 {
            assert_eq!(
                visit(client, endpoint(&case), QUESTION),
                Visit::Refused(TlsError::Connect)
            );
        }
        let refused = until_end(beside(client, client.connect(endpoint(&case)))).ready("a connect");
        assert_eq!(refused.err(), Some(TlsError::Connect));
    });
}

/// With buffers of these lengths: the client's hello, and what becomes of a visit.
fn with_memory<const RX: usize>(case: &Case, script: Script) -> (Option<Vec<u8>>, String) {
    let network = Network::new(Manner::SMOOTH, [Peer::new(case.identity.clone(), script)]);
    let roots: Vec<&[u8]> = case.roots.iter().map(Vec::as_slice).collect();
    let mut memory = Box::new(TlsMemory::<RX, 1024>::new());
    let client = TlsConnector::new(&network, &mut memory, Seeded(1), Roots::same(&roots)).unwrap();
    let outcome = line(&visit(&client, endpoint(case), QUESTION));
    let wires = network.wires();
    let asked = wires[0].peer.client_hello().unwrap().extension(1).map(<[u8]>::to_vec);
    (asked, outcome)
}

#[test]
fn small_memory_asks_for_small_records() {
    const OPEN: &str = "open, a question, waits";
    let of = |outcome: &str| outcome.to_owned();
    let right = Script::right;
    assert_eq!(with_memory::<16640>(&usual(), right()), (None, of(OPEN)));
    assert_eq!(with_memory::<16639>(&usual(), right()), (Some(vec![4]), of(OPEN)));
    assert_eq!(with_memory::<4500>(&usual(), right()), (Some(vec![4]), of(OPEN)));
    assert_eq!(with_memory::<4499>(&usual(), right()), (Some(vec![3]), of(OPEN)));
    assert_eq!(with_memory::<2400>(&usual(), right()), (Some(vec![3]), of(OPEN)));
    assert_eq!(with_memory::<1400>(&usual(), right()), (Some(vec![2]), of(OPEN)));
    let large = accepted()
        .into_iter()
        .find(|case| case.name == "a leaf of 3.7 KB")
        .unwrap();
    assert_eq!(with_memory::<2400>(&large, right()).1, "record too large");
    assert_eq!(with_memory::<16640>(&large, right()).1, OPEN);
}
