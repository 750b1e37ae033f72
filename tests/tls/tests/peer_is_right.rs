//! The server of these tests is accepted by clients that others wrote, as long as its script is right: so what it does wrong on
//! purpose is wrong for that reason alone. And what it records of a client is what the client sent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;

use mender_tls_tests::certificate::{Identity, NOW, pem};
use mender_tls_tests::chains::{self, Case, HOST};
use mender_tls_tests::peer::message::Body;
use mender_tls_tests::peer::{Await, Hello, Kind, Level, Parcel, Peer, Protection, Script, Share, Step, source_byte};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring as provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// A clock that stands still.
#[derive(Debug)]
struct At(u64);

impl rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0)))
    }
}

/// rustls as a client that offers these groups.
fn client(case: &Case, groups: &[&'static dyn SupportedKxGroup]) -> ClientConnection {
    let provider = Arc::new(CryptoProvider {
        kx_groups: groups.to_vec(),
        ..provider::default_provider()
    });
    let mut roots = RootCertStore::empty();
    for root in &case.roots {
        roots.add(CertificateDer::from(root.clone())).unwrap();
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .unwrap();
    let config = ClientConfig::builder_with_details(provider, Arc::new(At(case.now)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::try_from(case.host.to_owned()).unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

/// Passes bytes between both until none are left.
fn talk(client: &mut ClientConnection, peer: &mut Peer) -> Result<Vec<u8>, rustls::Error> {
    let mut received = Vec::new();
    loop {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).unwrap();
        }
        peer.receive(&sent);
        // A few bytes at a time: what is in pieces comes in pieces.
        let bytes = peer.take(1000);
        if sent.is_empty() && bytes.is_empty() {
            return Ok(received);
        }
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).unwrap();
            let processed = client.process_new_packets();
            if let Err(error) = processed {
                let mut alert = Vec::new();
                client.write_tls(&mut alert).unwrap();
                peer.receive(&alert);
                return Err(error);
            }
            let mut part = Vec::new();
            match client.reader().read_to_end(&mut part) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            received.extend(part);
        }
    }
}

/// A conversation with a server whose script is right: a question, an answer, an end.
fn whole(name: &str, case: &Case, script: Script, groups: &[&'static dyn SupportedKxGroup]) {
    let mut client = client(case, groups);
    let mut peer = Peer::new(case.identity.clone(), script);
    client.writer().write_all(b"a question").unwrap();
    let received = talk(&mut client, &mut peer).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(received, b"a question", "{name}");
    client.send_close_notify();
    talk(&mut client, &mut peer).unwrap();
    assert_eq!(client.reader().read(&mut [0]).unwrap(), 0, "{name}: no close_notify");
    assert_eq!(peer.fault(), None, "{name}");
    assert_eq!(peer.tail(), None, "{name}");
    assert!(peer.is_done() && peer.at_end(), "{name}");
    assert_eq!(peer.application_data(), b"a question", "{name}");
    let levels: Vec<(Level, u64, u8)> = peer
        .seen()
        .iter()
        .map(|seen| (seen.level, seen.sequence, seen.kind))
        .collect();
    let end = [
        (Level::Handshake, 0, 22),
        (Level::Application, 0, 23),
        (Level::Application, 1, 21),
    ];
    assert!(levels.ends_with(&end), "{name}: {levels:?}");
}

const P256: &[&dyn SupportedKxGroup] = &[provider::kx_group::SECP256R1];

#[test]
fn rustls_accepts_the_chains_that_must_be_accepted() {
    let accepted = chains::accepted();
    assert_eq!(accepted.len(), 23);
    for case in accepted {
        whole(case.name, &case, Script::right(), P256);
    }
}

#[test]
fn rustls_refuses_the_chains_that_must_be_refused() {
    let refused = chains::refused();
    assert_eq!(refused.len(), 37);
    for (case, _) in refused {
        let mut client = client(&case, P256);
        let mut peer = Peer::new(case.identity.clone(), Script::right());
        client.writer().write_all(b"a question").unwrap();
        let error = talk(&mut client, &mut peer).expect_err(case.name);
        println!("{}: {error}", case.name);
        assert_eq!(peer.application_data(), b"", "{}", case.name);
    }
}

#[test]
fn rustls_accepts_all_right_scripts() {
    let case = chains::usual();
    let handshake = |cuts: &[usize]| {
        let cuts = cuts.to_vec();
        move |parcel: &mut Parcel| parcel.cuts = cuts
    };
    let ticket = || {
        Step::Send(Parcel::messages(
            Protection::Application,
            [Body::NewSessionTicket(vec![7; 90])],
        ))
    };
    let tickets = || Body::NewSessionTicket(vec![7; 90]);
    let update = Step::Send(Parcel::messages(Protection::Application, [Body::KeyUpdate(0)]));
    let retry = Hello {
        share: Share::Group(23),
        ..Hello::default()
    };
    let mut with_tickets = Script::right();
    let end = with_tickets.steps.len() - 1;
    with_tickets.steps.splice(end..end, [ticket(), ticket()]).for_each(drop);
    let mut with_update = Script::right();
    with_update.steps.splice(end..end, [ticket(), update]).for_each(drop);
    let mut retried = Script::right();
    retried
        .steps
        .splice(
            1..1,
            [
                Step::Send(Parcel::messages(Protection::Plain, [Body::HelloRetryRequest(retry)])),
                Step::Send(Parcel::new(20, Protection::Plain, &[1])),
                Step::Await(Await::ClientHello),
            ],
        )
        .for_each(drop);
    let scripts = [
        ("all in one record", Script::in_one_record()),
        ("no ChangeCipherSpec", Script::right().without_change_cipher_spec()),
        (
            "a certificate in pieces",
            Script::right().parcel(Kind::Certificate, handshake(&[1, 2, 300])),
        ),
        (
            "padded",
            Script::right().parcel(Kind::Finished, |parcel| parcel.padding = 200),
        ),
        ("two tickets", with_tickets),
        (
            "two tickets in a record",
            Script::right().after(
                Kind::Finished,
                Step::Send(Parcel::messages(Protection::Application, [tickets(), tickets()])),
            ),
        ),
        ("a key update", with_update),
        (
            "a name that is known",
            Script::right().body(
                Kind::EncryptedExtensions,
                Body::EncryptedExtensions(vec![mender_tls_tests::peer::Extension(0, Vec::new())]),
            ),
        ),
    ];
    assert_eq!(scripts.len(), 8);
    for (name, script) in scripts {
        whole(name, &case, script, P256);
    }
    let groups: &[&dyn SupportedKxGroup] = &[provider::kx_group::X25519, provider::kx_group::SECP256R1];
    whole("another share is asked for", &case, retried, groups);
}

#[test]
fn rustls_refuses_what_is_wrong() {
    use mender_tls_tests::peer::{Edit, Proof};
    let broken = Proof {
        edits: vec![Edit::Flip(-1, 1)],
        ..Proof::default()
    };
    let scripts = [
        (
            "a signature",
            Script::right().body(Kind::CertificateVerify, Body::CertificateVerify(broken)),
        ),
        (
            "Finished",
            Script::right().message(Kind::Finished, |message| message.edits.push(Edit::Flip(10, 1))),
        ),
        ("no proof", Script::right().without(Kind::CertificateVerify)),
        ("no certificate", Script::right().without(Kind::Certificate)),
        ("no Finished", Script::right().without(Kind::Finished)),
        (
            "order",
            Script::right().swapped(Kind::Certificate, Kind::CertificateVerify),
        ),
        ("twice", Script::right().twice(Kind::Certificate)),
        (
            "plain",
            Script::right().parcel(Kind::Certificate, |parcel| parcel.protection = Protection::Plain),
        ),
        (
            "keys",
            Script::right().parcel(Kind::Certificate, |parcel| parcel.protection = Protection::Unknown),
        ),
        (
            "bits",
            Script::right().parcel(Kind::Certificate, |parcel| parcel.tamper.push(Edit::Flip(100, 4))),
        ),
        (
            "bare",
            Script::right().parcel(Kind::Certificate, |parcel| parcel.is_bare = true),
        ),
    ];
    for (name, script) in scripts {
        let case = chains::usual();
        let mut client = client(&case, P256);
        client.writer().write_all(b"a question").unwrap();
        let mut peer = Peer::new(case.identity, script);
        let outcome = talk(&mut client, &mut peer);
        assert!(outcome.is_err() || name == "no Finished", "{name}: {outcome:?}");
        assert_eq!(peer.application_data(), b"", "{name}");
    }
}

#[test]
fn rustls_gets_all_bytes_of_a_long_answer() {
    const LEN: u64 = 1_000_000;
    let case = chains::usual();
    let mut client = client(&case, P256);
    let script = Script::then([
        Step::Await(Await::Data(3)),
        Step::Source(LEN),
        Step::Send(Parcel::close_notify()),
        Step::End,
    ]);
    let mut peer = Peer::new(case.identity, script);
    client.writer().write_all(b"GET").unwrap();
    let received = talk(&mut client, &mut peer).unwrap();
    assert_eq!(received.len() as u64, LEN);
    assert!(
        (1..=LEN)
            .rev()
            .zip(&received)
            .all(|(left, byte)| source_byte(left) == *byte)
    );
    assert!(peer.is_done() && peer.at_end());
}

#[test]
fn what_a_client_sends_is_judged() {
    use mender_tls_tests::peer::Fault;
    // A record again, a record changed, and one behind the end.
    let cases: [(&str, fn(&mut Vec<Vec<u8>>), Fault); 4] = [
        (
            "twice",
            |records| records.insert(4, records[3].clone()),
            Fault::NonceTwice(Level::Application, 0),
        ),
        (
            "changed",
            |records| records[3][7] ^= 1,
            Fault::Undecipherable(Level::Application, 0),
        ),
        (
            "too late",
            |records| records.swap(3, 4),
            Fault::Undecipherable(Level::Application, 0),
        ),
        (
            "behind the end",
            |records| records.push(records[4].clone()),
            Fault::AfterEnd,
        ),
    ];
    for (name, change, fault) in cases {
        let case = chains::usual();
        let mut client = client(&case, P256);
        let mut peer = Peer::new(case.identity, Script::right());
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        peer.receive(&hello);
        let answer = peer.take(usize::MAX);
        client.read_tls(&mut &answer[..]).unwrap();
        client.process_new_packets().unwrap();
        client.writer().write_all(b"a question").unwrap();
        client.send_close_notify();
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).unwrap();
        }
        let mut records = vec![hello];
        let mut rest = &sent[..];
        while let Some((head, _)) = rest.split_first_chunk::<5>() {
            let (record, left) = rest.split_at(5 + usize::from(u16::from_be_bytes([head[3], head[4]])));
            records.push(record.to_vec());
            rest = left;
        }
        assert_eq!(records.len(), 5, "ChangeCipherSpec, Finished, data, alert");
        change(&mut records);
        peer.receive(&records[1..].concat());
        assert_eq!(peer.fault(), Some(&fault), "{name}");
    }
}

/// Runs `openssl s_client` against the server, which listens on the loopback interface.
fn s_client(case: &Case, script: Script) -> (String, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = std::env::temp_dir().join(format!(
        "mender-tls-{}-{}",
        std::process::id(),
        listener.local_addr().unwrap().port()
    ));
    std::fs::create_dir_all(&folder).unwrap();
    let roots = folder.join("roots.pem");
    std::fs::write(
        &roots,
        case.roots
            .iter()
            .map(|root| pem("CERTIFICATE", root))
            .collect::<String>(),
    )
    .unwrap();
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-tls1_3",
            "-groups",
            "P-256",
            "-ciphersuites",
            "TLS_AES_128_GCM_SHA256",
            "-brief",
        ])
        .args([
            "-verify_return_error",
            "-verify_hostname",
            case.host,
            "-servername",
            case.host,
        ])
        .args([
            "-attime",
            &case.now.to_string(),
            "-connect",
            &listener.local_addr().unwrap().to_string(),
            "-CAfile",
        ])
        .arg(&roots)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut peer = Peer::new(case.identity.clone(), script);
    let (mut stream, _) = listener.accept().unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(20)))
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut has_asked = false;
    let mut buffer = [0; 4096];
    loop {
        stream.write_all(&peer.take(usize::MAX)).unwrap();
        if peer.at_end() {
            // The client may have left already.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        if !has_asked && peer.seen().iter().any(|seen| seen.level == Level::Handshake) {
            input.write_all(b"a question\n").unwrap();
            has_asked = true;
        }
        match stream.read(&mut buffer) {
            Ok(len @ 1..) => peer.receive(&buffer[..len]),
            Ok(0) | Err(_) => break,
        }
    }
    let output = child.wait_with_output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (text, peer)
}

/// Whether OpenSSL's program is there: without it a test is skipped, but not in CI.
fn has_openssl() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok();
    let required = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(there || !required, "there is no openssl, but this is a CI run");
    if !there {
        println!("skipped: there is no openssl");
    }
    there
}

#[test]
fn openssl_accepts_the_server() {
    if !has_openssl() {
        return;
    }
    let names = [
        "P-256 x 3",
        "P-256, P-384, RSA-4096",
        "RSA-2048 x 3",
        "RSA-4096 and SHA-512",
    ];
    let cases: Vec<Case> = chains::accepted()
        .into_iter()
        .filter(|case| names.contains(&case.name))
        .collect();
    assert_eq!(cases.len(), names.len());
    for case in cases {
        for mut script in [Script::right(), Script::in_one_record()] {
            let end = [
                Step::Await(Await::Data(11)),
                Step::Send(Parcel::data(b"an answer")),
                Step::Send(Parcel::close_notify()),
                Step::End,
            ];
            script.steps.pop();
            script.steps.extend(end);
            let (text, peer) = s_client(&case, script);
            assert!(text.contains("Verification: OK"), "{}: {text}", case.name);
            assert!(text.contains("an answer"), "{}: {text}", case.name);
            assert_eq!(peer.fault(), None, "{}", case.name);
            assert_eq!(peer.application_data(), b"a question\n", "{}", case.name);
        }
    }
}

#[test]
fn openssl_refuses_what_is_wrong() {
    if !has_openssl() {
        return;
    }
    let mut stranger = chains::usual();
    stranger.roots = chains::accepted()[0].roots.clone();
    let (text, peer) = s_client(&stranger, Script::right());
    assert!(text.contains("verif"), "{text}");
    assert_eq!(peer.application_data(), b"");
    let script = Script::right().without(Kind::CertificateVerify);
    let (text, peer) = s_client(&chains::usual(), script);
    assert!(!text.contains("Verification: OK"), "{text}");
    assert_eq!(peer.application_data(), b"");
}

#[test]
fn chains_are_the_same_each_time() {
    let all = |cases: Vec<Case>| -> Vec<Identity> { cases.into_iter().map(|case| case.identity).collect() };
    for (one, other) in all(chains::accepted()).iter().zip(all(chains::accepted())) {
        assert_eq!(one.chain, other.chain);
    }
    assert_eq!(chains::usual().host, HOST);
    assert_eq!(chains::usual().now, NOW);
}
