//! The bytes of a right server, cut off or changed at each place: nothing is taken for what it is not.

use mender_tls_tests::chains::{Case, accepted};
use mender_tls_tests::client::{QUESTION, outcome, visit_peer};
use mender_tls_tests::line::Manner;
use mender_tls_tests::peer::{Await, Parcel, Script, Step};
use mender_tls_tests::visit::{End, Visit};

const ANSWER: &[u8] = b"an answer";

fn case() -> Case {
    accepted()
        .into_iter()
        .find(|case| case.name == "no intermediate")
        .unwrap()
}

fn script() -> Script {
    Script::then([
        Step::Await(Await::Data(QUESTION.len())),
        Step::Send(Parcel::data(ANSWER)),
        Step::Send(Parcel::close_notify()),
        Step::End,
    ])
}

/// How many bytes the server sends in all.
fn total() -> usize {
    let (visit, peer) = visit_peer(&case(), script(), Manner::SMOOTH);
    assert_eq!(visit, Visit::Open(ANSWER.to_vec(), End::Closed));
    assert!(peer.taken() > 800, "{}", peer.taken());
    peer.taken()
}

#[test]
fn cut_off_anywhere() {
    let total = total();
    let case = case();
    for cut in 0..total {
        let (visit, peer) = visit_peer(&case, script().cut_off(cut), Manner::SMOOTH);
        assert_eq!(peer.fault(), None, "behind {cut} bytes");
        match visit {
            Visit::Refused(_) => assert_eq!(peer.application_data(), b"", "behind {cut} bytes"),
            Visit::Open(received, End::Failed(_)) => assert!(ANSWER.starts_with(&received), "behind {cut} bytes"),
            other => panic!("behind {cut} bytes of {total}: {other:?}"),
        }
    }
    assert_eq!(
        outcome(&case, script().cut_off(total), Manner::SMOOTH),
        "open, an answer, closed"
    );
}

#[test]
fn changed_anywhere() {
    let total = total();
    let case = case();
    let mut unnoticed = Vec::new();
    for at in 0..total {
        let (visit, _) = visit_peer(&case, script().flipped(at, 1 << (at % 8)), Manner::SMOOTH);
        match visit {
            Visit::Refused(_) | Visit::Waits => {}
            Visit::Open(received, End::Closed) if received == ANSWER => unnoticed.push(at),
            Visit::Open(received, End::Failed(_) | End::Waits) => {
                assert!(ANSWER.starts_with(&received), "in byte {at}")
            }
            other => panic!("in byte {at} of {total}: {other:?}"),
        }
    }
    // The versions of the two records that nothing protects, and the content of ChangeCipherSpec: RFC 8446 says of these that they
    // mean nothing (section 5.1 and appendix D.4).
    let second = 5 + hello_len(&case);
    assert_eq!(unnoticed, [1, 2, second + 1, second + 2, second + 5]);
}

fn hello_len(case: &Case) -> usize {
    use mender_tls_tests::peer::Peer;
    let mut script = script();
    script.steps.truncate(2);
    let (_, peer): (_, Peer) = visit_peer(case, script, Manner::SMOOTH);
    peer.taken() - 5
}
