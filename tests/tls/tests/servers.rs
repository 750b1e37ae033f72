//! The connector against servers that others wrote: OpenSSL, Python's `ssl` (which is OpenSSL, used in another way), and rustls.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use mender::tls::{Roots, TlsConnector, TlsMemory};
use mender_tls_tests::certificate::Authority;
use mender_tls_tests::chains::{self, Case, usual};
use mender_tls_tests::client::{self, QUESTION, Seeded, endpoint, line};
use mender_tls_tests::key::Key;
use mender_tls_tests::loopback::{Loopback, PATIENCE};
use mender_tls_tests::servers::{is_there, openssl, python, python_in_turn};
use mender_tls_tests::visit::{End, Visit, visit};
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// What becomes of a call to a port, in a line.
fn call(case: &Case, port: u16, question: &[u8]) -> String {
    line(&client::with(Loopback(port), case, |client| {
        visit(client, endpoint(case), question)
    }))
}

/// rustls with a chain, in a thread that serves so many connections.
fn try_rustls_server(case: &Case, connections: usize, change: impl FnOnce(&mut CryptoProvider)) -> Option<u16> {
    let mut crypto = provider::default_provider();
    change(&mut crypto);
    let chain = case
        .identity
        .chain
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let key = PrivateKeyDer::Pkcs8(case.identity.key.pkcs8().into());
    let config = ServerConfig::builder_with_provider(Arc::new(crypto))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .ok()?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for _ in 0..connections {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut session = ServerConnection::new(config.clone()).unwrap();
            let mut stream = Stream::new(&mut session, &mut socket);
            let mut buffer = [0; 1000];
            // A client that refuses just leaves.
            if let Ok(len) = stream.read(&mut buffer) {
                let _ = stream.write_all(&buffer[..len]);
                session.send_close_notify();
                while session.wants_write() && session.write_tls(&mut socket).is_ok() {}
            }
        }
    });
    Some(port)
}

fn rustls_server(case: &Case, connections: usize, change: impl FnOnce(&mut CryptoProvider)) -> u16 {
    try_rustls_server(case, connections, change).unwrap()
}

#[test]
fn openssl_with_the_chains_that_must_be_accepted() {
    if !is_there("openssl") {
        return;
    }
    for case in chains::accepted() {
        let server = openssl(&case.identity, &["-rev"]);
        // It ends the connection only behind the client.
        let outcome = call(&case, server.port, b"a question\nCLOSE\n");
        assert_eq!(outcome, "open, noitseuq a, closed", "{}", case.name);
    }
}

#[test]
fn python_with_the_chains_that_must_be_accepted() {
    if !is_there("python3") {
        return;
    }
    let cases = chains::accepted();
    let identities: Vec<_> = cases.iter().map(|case| &case.identity).collect();
    let server = python_in_turn(&identities);
    for case in &cases {
        assert_eq!(
            call(case, server.port, QUESTION),
            "open, a question, closed",
            "{}",
            case.name
        );
    }
}

#[test]
fn rustls_with_the_chains_that_must_be_accepted() {
    for case in chains::accepted() {
        let port = rustls_server(&case, 1, |_| {});
        assert_eq!(call(&case, port, QUESTION), "open, a question, closed", "{}", case.name);
    }
}

#[test]
fn openssl_in_other_moods() {
    if !is_there("openssl") {
        return;
    }
    let rows: [(&str, &[&str], &str); 14] = [
        ("TLS 1.2 only", &["-tls1_2"], "version"),
        ("X25519 only", &["-groups", "X25519"], "nothing in common"),
        ("P-384 only", &["-groups", "P-384"], "nothing in common"),
        (
            "P-384 rather than P-256",
            &["-groups", "P-384:P-256"],
            "open, noitseuq a, closed",
        ),
        (
            "AES-256 only",
            &["-ciphersuites", "TLS_AES_256_GCM_SHA384"],
            "nothing in common",
        ),
        (
            "ChaCha20 only",
            &["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            "nothing in common",
        ),
        (
            "a signature that the client does not offer",
            &["-sigalgs", "ed25519"],
            "version",
        ),
        (
            "a client certificate is wished for",
            &["-verify", "1"],
            "open, noitseuq a, closed",
        ),
        (
            "a client certificate is demanded",
            &["-Verify", "1"],
            "open, client certificate or open, write: io: BrokenPipe or open, write: io: ConnectionReset",
        ),
        ("no tickets", &["-num_tickets", "0"], "open, noitseuq a, closed"),
        ("seven tickets", &["-num_tickets", "7"], "open, noitseuq a, closed"),
        ("short records", &["-max_send_frag", "512"], "split"),
        (
            "padded records",
            &["-record_padding", "512"],
            "open, noitseuq a, closed",
        ),
        ("no ChangeCipherSpec", &["-no_middlebox"], "open, noitseuq a, closed"),
    ];
    let case = usual();
    let mut others = String::new();
    for (name, arguments, expected) in rows {
        let server = openssl(&case.identity, &[&["-rev"], arguments].concat());
        let outcome = call(&case, server.port, b"a question\nCLOSE\n");
        println!("{name}: {outcome}");
        // As below.
        if expected.split(" or ").all(|expected| outcome != expected) {
            others += &format!("{name} => {outcome}\n");
        }
    }
    assert!(others.is_empty(), "{others}");
}

#[test]
fn openssl_signs_as_it_is_told() {
    if !is_there("openssl") {
        return;
    }
    let case = chains::accepted()
        .into_iter()
        .find(|case| case.name == "RSA-2048 x 3")
        .unwrap();
    for (algorithm, expected) in [
        ("rsa_pss_rsae_sha256", "open, noitseuq a, closed"),
        ("rsa_pss_rsae_sha384", "open, noitseuq a, closed"),
        ("rsa_pss_rsae_sha512", "open, noitseuq a, closed"),
    ] {
        let server = openssl(&case.identity, &["-rev", "-sigalgs", algorithm]);
        assert_eq!(
            call(&case, server.port, b"a question\nCLOSE\n"),
            expected,
            "{algorithm}"
        );
    }
}

#[test]
fn python_in_other_moods() {
    if !is_there("python3") {
        return;
    }
    let rows = [
        ("TLS 1.2 only", "c.maximum_version = ssl.TLSVersion.TLSv1_2", "version"),
        ("no tickets", "c.num_tickets = 0", "open, a question, closed"),
        (
            "a client certificate is demanded",
            "c.verify_mode = ssl.CERT_REQUIRED",
            "open, client certificate or open, write: io: BrokenPipe or open, write: io: ConnectionReset",
        ),
        (
            "a protocol that the client does not name",
            "c.set_alpn_protocols(['h2'])",
            "open, a question, closed",
        ),
    ];
    let case = usual();
    let mut others = String::new();
    for (name, settings, expected) in rows {
        let server = python(&case.identity, settings);
        let outcome = call(&case, server.port, QUESTION);
        println!("{name}: {outcome}");
        // A server that leaves at once may be gone before the client writes: then nobody hears why.
        if expected.split(" or ").all(|expected| outcome != expected) {
            others += &format!("{name} => {outcome}\n");
        }
    }
    assert!(others.is_empty(), "{others}");
}

#[test]
fn rustls_in_other_moods() {
    type Change = fn(&mut CryptoProvider);
    let rows: [(&str, Change, &str); 4] = [
        (
            "X25519 only",
            |crypto| crypto.kx_groups = vec![provider::kx_group::X25519],
            "nothing in common",
        ),
        (
            "P-384 only",
            |crypto| crypto.kx_groups = vec![provider::kx_group::SECP384R1],
            "nothing in common",
        ),
        (
            "AES-256 only",
            |crypto| crypto.cipher_suites = vec![provider::cipher_suite::TLS13_AES_256_GCM_SHA384],
            "nothing in common",
        ),
        (
            "TLS 1.2 only",
            |crypto| crypto.cipher_suites = vec![provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256],
            "version",
        ),
    ];
    let case = usual();
    let mut others = String::new();
    for (name, change, expected) in rows {
        let port = rustls_server(&case, 1, change);
        let outcome = call(&case, port, QUESTION);
        println!("{name}: {outcome}");
        if outcome != expected {
            others += &format!("{name} => {outcome}\n");
        }
    }
    assert!(others.is_empty(), "{others}");
}

#[test]
fn strangers_are_refused() {
    // Each server with a chain that another root signed.
    let mut case = usual();
    case.roots = vec![Authority::new("Another Root", Key::p256("another")).root()];
    let mut outcomes = vec![call(&case, rustls_server(&case, 1, |_| {}), QUESTION)];
    if is_there("openssl") {
        outcomes.push(call(&case, openssl(&case.identity, &["-rev"]).port, QUESTION));
    }
    if is_there("python3") {
        outcomes.push(call(&case, python(&case.identity, "").port, QUESTION));
    }
    for outcome in outcomes {
        assert_eq!(outcome, "refused: unknown root Root");
    }
}

#[test]
fn the_end_is_known() {
    let port = rustls_server(&usual(), 1, |_| {});
    let outcome = client::with(Loopback(port), &usual(), |client| {
        visit(client, endpoint(&usual()), QUESTION)
    });
    assert_eq!(outcome, Visit::Open(QUESTION.to_vec(), End::Closed));
}

#[test]
fn rustls_with_the_chains_that_must_be_refused() {
    let mut tried = 0;
    for (case, reason) in chains::refused() {
        // It does not start with a certificate that it cannot read, or that is not its key's.
        let Some(port) = try_rustls_server(&case, 1, |_| {}) else {
            continue;
        };
        tried += 1;
        assert_eq!(
            call(&case, port, QUESTION),
            format!("refused: {reason}"),
            "{}",
            case.name
        );
    }
    assert_eq!(tried, 31);
}

/// With memory for short records: OpenSSL does as it is asked, where the chain fits one of them.
#[test]
fn openssl_with_short_records() {
    if !is_there("openssl") {
        return;
    }
    let find = |name: &str| chains::accepted().into_iter().find(|case| case.name == name).unwrap();
    let four = find("RSA-2048 x 3, the root cross-signed");
    let server = openssl(&four.identity, &["-rev"]);
    assert_eq!(with_memory::<4500>(&four, server.port), "open, noitseuq a, closed");
    let large = find("a leaf of 3.7 KB");
    let server = openssl(&large.identity, &["-rev"]);
    assert_eq!(with_memory::<4500>(&large, server.port), "split");
    assert_eq!(with_memory::<16640>(&large, server.port), "open, noitseuq a, closed");
    let short = find("no intermediate");
    let server = openssl(&short.identity, &["-rev"]);
    assert_eq!(with_memory::<1400>(&short, server.port), "open, noitseuq a, closed");
}

fn with_memory<const RX: usize>(case: &Case, port: u16) -> String {
    let roots: Vec<&[u8]> = case.roots.iter().map(Vec::as_slice).collect();
    let mut memory = Box::new(TlsMemory::<RX, 1024>::new());
    let client = TlsConnector::new(Loopback(port), &mut memory, Seeded(1), Roots::same(&roots)).unwrap();
    line(&visit(&client, endpoint(case), b"a question\nCLOSE\n"))
}
