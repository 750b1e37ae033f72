//! A TLS server that sends anything, to the connector: no panic, and no connection to a server that has not proved who it is.
//!
//! The first byte says what the others are: bytes of the server, or how its script is to be changed ([`script`]).

mod script;

use std::sync::OnceLock;

use mender_tls_tests::chains::{Case, accepted};
use mender_tls_tests::client::{QUESTION, visit_peer};
use mender_tls_tests::line::Manner;
use mender_tls_tests::peer::{Fault, Peer, Script, Step, Told};
use mender_tls_tests::visit::{End, Visit};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// Runs a server.
pub fn tls(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    // Each way to cut the bytes is tried by `tests/tls`: here is only a choice of them.
    let manner = if first & 2 == 0 { Manner::SMOOTH } else { Manner::ROUGH };
    if first & 1 == 0 {
        wire(rest, manner)
    } else {
        scripted(rest, manner)
    }
}

fn case() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| {
        let found = accepted().into_iter().find(|case| case.name == "no intermediate");
        found.expect("it is one of them")
    })
}

/// All that a right server sends, as bytes: the client's random numbers are always the same, and so is all that follows from them.
pub fn right() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let (_, peer) = visit_peer(case(), Script::right(), Manner::SMOOTH);
        let hello = &peer.client_hello().expect("it came").bytes;
        let mut peer = Peer::new(case().identity.clone(), script::right());
        let [high, low] = (hello.len() as u16).to_be_bytes();
        peer.receive(&[&[22, 3, 1, high, low], &hello[..]].concat());
        peer.take(usize::MAX)
    })
}

/// What the server sends up to its Finished.
const PROVED: usize = 5;

/// The server sends these bytes.
fn wire(bytes: &[u8], manner: Manner) {
    let mut script = script::right();
    script.steps.truncate(1);
    script.steps.extend([Step::Wire(bytes.to_vec()), Step::End]);
    let (visit, peer) = visit_peer(case(), script, manner);
    assert_fault(&peer);
    let Visit::Open(received, end) = visit else {
        return;
    };
    // Its records, until the one with Finished, are those of the right server, but for what nobody looks at.
    let (own, other) = (records(right()), records(bytes));
    let proved = own
        .iter()
        .zip(&other)
        .take_while(|(own, other)| is_same(own, other))
        .count();
    assert!(proved > PROVED, "only {proved} records are right");
    assert!(script::ANSWER.starts_with(&received), "{received:?}");
    assert!(
        end != End::Closed || own.len() == proved,
        "{proved} right records are no end"
    );
}

/// Whole records.
fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some([_, _, _, high, low]) = bytes.first_chunk() {
        let Some((record, rest)) = bytes.split_at_checked(5 + usize::from(u16::from_be_bytes([*high, *low]))) else {
            break;
        };
        found.push(record);
        bytes = rest;
    }
    found
}

/// The version of a record that nothing protects means nothing, and neither does the content of ChangeCipherSpec.
fn is_same(own: &[u8], other: &[u8]) -> bool {
    let content = |record: &[u8]| match record {
        [22, _, _, rest @ ..] => [&[22], rest].concat(),
        [20, _, _, 0, 1, _] => vec![20],
        record => record.to_vec(),
    };
    content(own) == content(other)
}

/// The server does as a changed script says.
fn scripted(bytes: &[u8], manner: Manner) {
    let script = script::changed(bytes);
    let (visit, peer) = visit_peer(case(), script, manner);
    assert_fault(&peer);
    let told = peer.told();
    let Visit::Open(received, end) = visit else {
        return assert_eq!(peer.application_data(), b"", "data for a server that was refused");
    };
    assert!(is_proved(told), "a connection without a proof");
    assert!(told.data.starts_with(&received), "{received:?}");
    assert!(
        end != End::Closed || told.is_closed,
        "an end that the server did not say"
    );
    let data = peer.application_data();
    assert!(QUESTION.starts_with(&data) || data == QUESTION, "{data:?}");
}

/// Whether the server has sent its one certificate, and then a signature by its key over what was said until then.
fn is_proved(told: &Told) -> bool {
    let [certificate] = &told.certificates[..] else {
        return false;
    };
    let [(hash, proof)] = &told.proofs[..] else {
        return false;
    };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point(&case().identity.chain[0]));
    let signed = [&[0x20; 64][..], b"TLS 1.3, server CertificateVerify\0", hash].concat();
    let Some((&[15, _, _, _, 4, 3, high, low], signature)) = proof.split_first_chunk() else {
        return false;
    };
    let Some(signature) = signature.get(..usize::from(u16::from_be_bytes([high, low]))) else {
        return false;
    };
    let own = &case().identity.chain[0];
    certificate.windows(own.len()).any(|part| part == own) && key.verify(&signed, signature).is_ok()
}

/// The point of a certificate with a P-256 key: behind the two object identifiers of such a key.
fn point(certificate: &[u8]) -> &[u8] {
    const CURVE: [u8; 14] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0, 4];
    let place = certificate.windows(CURVE.len()).position(|part| part == CURVE);
    let start = place.expect("a key of P-256") + CURVE.len() - 1;
    &certificate[start..start + 65]
}

/// The client does nothing that no client may.
fn assert_fault(peer: &Peer) {
    match peer.fault() {
        // A server that hides or doubles messages has other keys than the client.
        None | Some(Fault::Undecipherable(..) | Fault::Finished) => {}
        Some(
            fault @ (Fault::NonceTwice(..)
            | Fault::Head(_)
            | Fault::ChangeCipherSpec(_)
            | Fault::AfterEnd
            | Fault::Hello(_)),
        ) => panic!("the client's fault: {fault:?}"),
    }
}
