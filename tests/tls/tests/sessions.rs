//! What a server sends behind the handshake, and what becomes of the connection: nothing that was not sent by the server is taken for data,
//! and no end for a right one but the server's close_notify.

use mender_tls_tests::chains::usual;
use mender_tls_tests::client::QUESTION;
use mender_tls_tests::peer::message::Body;
use mender_tls_tests::peer::{Await, Edit, Extension, Parcel, Protection, Script, Step};
use mender_tls_tests::table::judge;

/// An answer, something in its middle, and a right end.
fn amid(parcel: Parcel) -> Script {
    between(vec![Step::Send(parcel)])
}

fn between(steps: Vec<Step>) -> Script {
    let mut all = vec![
        Step::Await(Await::Data(QUESTION.len())),
        Step::Send(Parcel::data(b"one ")),
    ];
    all.extend(steps);
    all.extend([
        Step::Send(Parcel::data(b"two")),
        Step::Send(Parcel::close_notify()),
        Step::End,
    ]);
    Script::then(all)
}

/// An answer, and an end that is none.
fn ended(steps: Vec<Step>) -> Script {
    let mut all = vec![
        Step::Await(Await::Data(QUESTION.len())),
        Step::Send(Parcel::data(b"one")),
    ];
    all.extend(steps);
    all.push(Step::End);
    Script::then(all)
}

fn plain(kind: u8, content: &[u8]) -> Script {
    amid(Parcel::new(kind, Protection::Plain, content))
}

fn sealed(kind: u8, content: &[u8]) -> Parcel {
    Parcel::new(kind, Protection::Application, content)
}

fn messages(bodies: impl IntoIterator<Item = Body>) -> Parcel {
    Parcel::messages(Protection::Application, bodies)
}

fn ticket() -> Body {
    Body::NewSessionTicket(vec![7; 200])
}

fn request() -> Body {
    Body::CertificateRequest(vec![1, 2, 3], vec![Extension(13, vec![0, 2, 4, 3])])
}

#[test]
fn unencrypted_records() {
    let message = |body| amid(Parcel::messages(Protection::Plain, [body]));
    let rows = vec![
        ("nothing amiss", between(vec![]), "open, one two, closed"),
        ("close_notify", plain(21, &[1, 0]), "open, one, malformed"),
        ("a fatal alert", plain(21, &[2, 40]), "open, one, malformed"),
        ("ChangeCipherSpec", plain(20, &[1]), "open, one, malformed"),
        ("data", plain(23, b"false data"), "open, one, malformed"),
        (
            "data as long as encrypted data",
            plain(23, &[0x5a; 40]),
            "open, one, malformed",
        ),
        ("an empty record of data", plain(23, &[]), "open, one, malformed"),
        ("a ticket", message(ticket()), "open, one, malformed"),
        (
            "Certificate",
            message(Body::Certificate(vec![], None, vec![])),
            "open, one, malformed",
        ),
        ("CertificateRequest", message(request()), "open, one, malformed"),
        (
            "EncryptedExtensions",
            message(Body::EncryptedExtensions(vec![])),
            "open, one, malformed",
        ),
        ("Finished", message(Body::Finished(None)), "open, one, malformed"),
        (
            "a hello",
            message(Body::ServerHello(Default::default())),
            "open, one, malformed",
        ),
        ("a key update", message(Body::KeyUpdate(0)), "open, one, malformed"),
        ("an empty record of a handshake", plain(22, &[]), "open, one, malformed"),
        ("a heartbeat", plain(24, &[1, 0, 0]), "open, one, malformed"),
        ("a record of type 0", plain(0, &[1]), "open, one, malformed"),
        (
            "HTTP",
            between(vec![Step::Wire(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())]),
            "open, one, malformed",
        ),
        (
            "a record of 64 KB",
            between(vec![Step::Wire(vec![23, 3, 3, 255, 255])]),
            "open, one, malformed",
        ),
        (
            "close_notify at once, before the answer",
            Script::then([Step::Send(Parcel::alert(Protection::Plain, 1, 0)), Step::End]),
            "open, malformed",
        ),
    ];
    assert_eq!(rows.len(), 20);
    judge(&usual(), rows);
}

#[test]
fn encrypted_records() {
    let empty = || sealed(23, &[]);
    let bare = |padding: usize| {
        let mut parcel = sealed(0, &[]).padded(padding);
        parcel.is_bare = padding == 0;
        parcel
    };
    let tampered = |edit: Edit| amid(Parcel::data(b"half ").tampered(&[edit]));
    let long = |len: usize| amid(Parcel::data(&vec![b'x'; len]));
    let rows = vec![
        ("empty data", amid(empty()), "open, one two, closed"),
        (
            "a hundred empty records",
            between(vec![Step::Send(empty()); 100]),
            "open, one two, closed",
        ),
        (
            "padded data",
            amid(Parcel::data(b"half ").padded(300)),
            "open, one half two, closed",
        ),
        (
            "empty data with padding",
            amid(empty().padded(300)),
            "open, one two, closed",
        ),
        (
            "data in pieces",
            amid(Parcel::data(b"half ").cut(&[1, 1, 0, 2])),
            "open, one half two, closed",
        ),
        ("nothing in it", amid(bare(0)), "open, one, malformed"),
        ("zeros in it", amid(bare(300)), "open, one, malformed"),
        ("ChangeCipherSpec", amid(sealed(20, &[1])), "open, one, malformed"),
        ("a heartbeat", amid(sealed(24, &[1, 0, 0])), "open, one, malformed"),
        ("type 99", amid(sealed(99, &[1, 0, 0])), "open, one, malformed"),
        ("no message", amid(sealed(22, &[])), "open, one two, closed"),
        ("half a head", amid(sealed(22, &[4, 0])), "open, one, malformed"),
        ("a bit changed", tampered(Edit::Flip(7, 1)), "open, one, malformed"),
        ("the tag changed", tampered(Edit::Flip(-1, 1)), "open, one, malformed"),
        ("the length changed", tampered(Edit::Flip(4, 1)), "open, one, malformed"),
        (
            "the type changed",
            tampered(Edit::Set(0, vec![22])),
            "open, one, malformed",
        ),
        (
            "the version changed",
            tampered(Edit::Set(1, vec![3, 4])),
            "open, one, malformed",
        ),
        ("a record lost", tampered(Edit::Cut(0)), "open, one, malformed"),
        (
            "keys of the handshake",
            amid(Parcel::new(23, Protection::Handshake, b"half ")),
            "open, one, malformed",
        ),
        (
            "keys of nobody",
            amid(Parcel::new(23, Protection::Unknown, b"half ")),
            "open, one, malformed",
        ),
        ("longer than any record", long(16384 + 256 - 16), "open, one, malformed"),
    ];
    assert_eq!(rows.len(), 21);
    judge(&usual(), rows);
}

/// Of a server that has proved who it is: nobody else can send these.
#[test]
fn encrypted_messages() {
    let broken = |content: &[u8]| amid(messages([Body::Other(4, content.to_vec())]));
    let cut = |cuts: &[usize]| amid(messages([ticket()]).cut(cuts));
    let rows = vec![
        ("a ticket", amid(messages([ticket()])), "open, one two, closed"),
        (
            "ten tickets",
            between(vec![Step::Send(messages([ticket()])); 10]),
            "open, one two, closed",
        ),
        (
            "three tickets in a record",
            amid(messages([ticket(), ticket(), ticket()])),
            "open, one two, closed",
        ),
        ("a ticket in two records", cut(&[20]), "open, one, malformed"),
        (
            "a ticket of 16 KB",
            amid(messages([Body::NewSessionTicket(vec![7; 16_000])])),
            "open, one two, closed",
        ),
        (
            "a ticket for early data",
            broken(&[&[0; 9][..], &[0, 1, 7, 0, 8, 0, 42, 0, 4, 0, 0, 64, 0]].concat()),
            "open, one two, closed",
        ),
        (
            "a ticket with an unknown extension",
            broken(&[&[0; 9][..], &[0, 1, 7, 0, 5, 0x5a, 0x5a, 0, 1, 0]].concat()),
            "open, one two, closed",
        ),
        ("an empty ticket", broken(&[]), "open, one two, closed"),
        ("a ticket cut off", broken(&[0; 8]), "open, one two, closed"),
        (
            "a ticket longer than its parts",
            broken(&[&[0; 9][..], &[0, 1, 7, 0, 0, 13, 0, 0, 3, 0, 0, 0]].concat()),
            "open, one two, closed",
        ),
        (
            "a key update",
            amid(messages([Body::KeyUpdate(0)])),
            "open, one, malformed",
        ),
        (
            "a key update with a question",
            amid(messages([Body::KeyUpdate(1)])),
            "open, one, malformed",
        ),
        (
            "a key update that is none",
            amid(messages([Body::KeyUpdate(2)])),
            "open, one, malformed",
        ),
        (
            "CertificateRequest",
            amid(messages([request()])),
            "open, one, malformed",
        ),
        (
            "CertificateRequest behind a ticket",
            amid(messages([ticket(), request()])),
            "open, one, malformed",
        ),
        (
            "EncryptedExtensions",
            amid(messages([Body::EncryptedExtensions(vec![])])),
            "open, one, malformed",
        ),
        (
            "Certificate",
            amid(messages([Body::Certificate(vec![], None, vec![])])),
            "open, one, malformed",
        ),
        (
            "CertificateVerify",
            amid(messages([Body::CertificateVerify(Default::default())])),
            "open, one, malformed",
        ),
        (
            "Finished",
            amid(messages([Body::Finished(None)])),
            "open, one, malformed",
        ),
        (
            "a server's hello",
            amid(messages([Body::ServerHello(Default::default())])),
            "open, one, malformed",
        ),
        (
            "a client's hello",
            amid(messages([Body::Other(1, vec![3; 50])])),
            "open, one, malformed",
        ),
        (
            "HelloRequest of TLS 1.2",
            amid(messages([Body::Other(0, vec![])])),
            "open, one, malformed",
        ),
        (
            "a message of type 99",
            amid(messages([Body::Other(99, vec![])])),
            "open, one, malformed",
        ),
    ];
    assert_eq!(rows.len(), 23);
    judge(&usual(), rows);
}

#[test]
fn ends() {
    let alert = |level, description| Step::Send(Parcel::alert(Protection::Application, level, description));
    let close = || Step::Send(Parcel::close_notify());
    let rows = vec![
        ("close_notify", ended(vec![close()]), "open, one, closed"),
        (
            "close_notify of a fatal level",
            ended(vec![alert(2, 0)]),
            "open, one, closed",
        ),
        (
            "data behind close_notify",
            ended(vec![close(), Step::Send(Parcel::data(b"more"))]),
            "open, one, closed",
        ),
        ("close_notify twice", ended(vec![close(), close()]), "open, one, closed"),
        (
            "an alert behind close_notify",
            ended(vec![close(), alert(2, 80)]),
            "open, one, closed",
        ),
        (
            "bytes behind close_notify",
            ended(vec![close(), Step::Wire(vec![0; 100])]),
            "open, one, closed",
        ),
        (
            "close_notify and a key update in a record",
            ended(vec![Step::Send(sealed(21, &[1, 0, 24, 0, 0, 1, 0]))]),
            "open, one, closed",
        ),
        ("no close_notify", ended(vec![]), "open, one, truncated"),
        (
            "an end in a head",
            ended(vec![Step::Wire(vec![23, 3, 3])]),
            "open, one, truncated",
        ),
        (
            "an end in a record",
            ended(vec![Step::Wire(vec![23, 3, 3, 0, 60, 1, 2, 3])]),
            "open, one, truncated",
        ),
        (
            "half of close_notify",
            ended(vec![Step::Send(Parcel::close_notify().tampered(&[Edit::Cut(-1)]))]),
            "open, one, truncated",
        ),
        (
            "close_notify with other keys",
            ended(vec![Step::Send(Parcel::alert(Protection::Unknown, 1, 0))]),
            "open, one, malformed",
        ),
        (
            "close_notify with the handshake's keys",
            ended(vec![Step::Send(Parcel::alert(Protection::Handshake, 1, 0))]),
            "open, one, malformed",
        ),
        (
            "close_notify unencrypted",
            ended(vec![Step::Send(Parcel::alert(Protection::Plain, 1, 0))]),
            "open, one, malformed",
        ),
        (
            "half an alert",
            ended(vec![Step::Send(sealed(21, &[1]))]),
            "open, one, malformed",
        ),
        (
            "an empty alert",
            ended(vec![Step::Send(sealed(21, &[]))]),
            "open, one, malformed",
        ),
        ("internal_error", ended(vec![alert(2, 80)]), "open, one, alert"),
        ("bad_record_mac", ended(vec![alert(2, 20)]), "open, one, alert"),
        ("user_canceled", ended(vec![alert(1, 90), close()]), "open, one, alert"),
        ("certificate_required", ended(vec![alert(2, 116)]), "open, one, alert"),
        ("an unknown alert", ended(vec![alert(2, 222)]), "open, one, malformed"),
        ("an unknown level", ended(vec![alert(9, 0)]), "open, one, malformed"),
        ("silence", Script::then([Step::Await(Await::Close)]), "open, waits"),
        (
            "silence behind the answer",
            Script::then([Step::Send(Parcel::data(b"one")), Step::Await(Await::Close)]),
            "open, one, waits",
        ),
        ("an end at once", Script::then([Step::End]), "open, truncated"),
        (
            "close_notify at once",
            Script::then([close(), Step::End]),
            "open, closed",
        ),
    ];
    assert_eq!(rows.len(), 26);
    judge(&usual(), rows);
}
