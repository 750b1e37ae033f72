//! What a server answers to the client's hello, and what becomes of it: all of this is unencrypted, so anybody on the path can send it.

use mender_tls_tests::chains::usual;
use mender_tls_tests::peer::message::{Body, retry_random};
use mender_tls_tests::peer::{Await, Edit, Extension, Hello, Kind, Parcel, Protection, Script, Share, Step};
use mender_tls_tests::table::judge;

/// A right script but for its ServerHello.
fn hello(change: impl FnOnce(&mut Hello)) -> Script {
    let mut hello = Hello::default();
    change(&mut hello);
    Script::right().body(Kind::ServerHello, Body::ServerHello(hello))
}

fn share(share: Share) -> Script {
    hello(|hello| hello.share = share)
}

/// Something before the ServerHello, or in its place.
fn first(parcel: Parcel) -> Script {
    Script::right().before(Kind::ServerHello, Step::Send(parcel))
}

fn alert(level: u8, description: u8) -> Script {
    let mut script = first(Parcel::alert(Protection::Plain, level, description));
    script.steps.truncate(2);
    script.steps.push(Step::End);
    script
}

/// Another hello is asked for, and the rest goes on as if it had come.
fn retry(share: Share, more: Vec<Extension>) -> Script {
    let retry = Hello {
        share,
        more,
        ..Hello::default()
    };
    let mut script = first(Parcel::messages(Protection::Plain, [Body::HelloRetryRequest(retry)]));
    script.steps.insert(2, Step::Await(Await::ClientHello));
    script
}

fn plain(kind: u8, content: &[u8]) -> Script {
    first(Parcel::new(kind, Protection::Plain, content))
}

fn edited(edit: Edit) -> Script {
    Script::right().message(Kind::ServerHello, |message| message.edits.push(edit))
}

/// The last bytes of `Random` of a server that knows TLS 1.3 but was talked out of it: RFC 8446, section 4.1.3.
fn downgraded() -> [u8; 32] {
    let mut random = [7; 32];
    random[24..].copy_from_slice(b"DOWNGRD\x01");
    random
}

#[test]
fn versions_and_suites() {
    let rows = vec![
        ("right", Script::right(), "open, a question, waits"),
        (
            "TLS 1.2",
            hello(|hello| (hello.version, hello.suite, hello.share) = (None, 0xc02b, Share::Missing)),
            "version",
        ),
        (
            "TLS 1.2 of a server that knows 1.3",
            hello(|hello| {
                (hello.version, hello.suite, hello.share) = (None, 0xc02b, Share::Missing);
                hello.random = Some(downgraded());
            }),
            "version",
        ),
        (
            "TLS 1.2 with a suite of TLS 1.3",
            hello(|hello| hello.version = None),
            "open, a question, waits",
        ),
        (
            "TLS 1.2 by the extension",
            hello(|hello| hello.version = Some(0x0303)),
            "open, a question, waits",
        ),
        (
            "a version of tomorrow",
            hello(|hello| hello.version = Some(0x0305)),
            "open, a question, waits",
        ),
        (
            "a draft",
            hello(|hello| hello.version = Some(0x7f1c)),
            "open, a question, waits",
        ),
        (
            "the old version field says 1.3",
            hello(|hello| hello.legacy_version = 0x0304),
            "open, a question, waits",
        ),
        (
            "AES-256 by name, AES-128 in truth",
            hello(|hello| hello.suite = 0x1302),
            "malformed",
        ),
        (
            "ChaCha20 by name, AES-128 in truth",
            hello(|hello| hello.suite = 0x1303),
            "malformed",
        ),
        ("AES-128-CCM by name", hello(|hello| hello.suite = 0x1304), "malformed"),
        ("an unknown suite", hello(|hello| hello.suite = 0x5a5a), "version"),
        ("compression", hello(|hello| hello.compression = 1), "malformed"),
        (
            "a session",
            hello(|hello| hello.session = Some(vec![1; 32])),
            "malformed",
        ),
        (
            "a session too long",
            hello(|hello| hello.session = Some(vec![1; 33])),
            "malformed",
        ),
        (
            "an unknown extension",
            hello(|hello| hello.more = vec![Extension(0x5a5a, vec![1, 2])]),
            "open, a question, waits",
        ),
        (
            "a chosen PSK",
            hello(|hello| hello.more = vec![Extension(41, vec![0, 0])]),
            "open, a question, waits",
        ),
        (
            "an extension of other messages",
            hello(|hello| hello.more = vec![Extension(16, vec![0, 3, 2, b'h', b'2'])]),
            "malformed",
        ),
        (
            "two shares",
            hello(|hello| hello.more = vec![Extension(51, [&[0, 23, 0, 65, 4][..], &[1; 64]].concat())]),
            "open, a question, waits",
        ),
        (
            "five extensions",
            hello(|hello| hello.more = vec![Extension(43, vec![3, 4]); 5]),
            "malformed",
        ),
    ];
    assert_eq!(rows.len(), 20);
    judge(&usual(), rows);
}

#[test]
fn shares() {
    let off_curve = [&[4][..], &[9; 64]].concat();
    let compressed = [&[2][..], &[0x6b; 32]].concat();
    let rows = vec![
        (
            "the share under the name X25519",
            share(Share::Named(29)),
            "open, a question, waits",
        ),
        ("X25519", share(Share::Bytes(29, vec![9; 32])), "malformed"),
        (
            "P-384",
            share(Share::Bytes(24, [&[4][..], &[9; 96]].concat())),
            "malformed",
        ),
        (
            "an unknown group",
            share(Share::Bytes(0x5a5a, vec![9; 32])),
            "malformed",
        ),
        ("no share", share(Share::Missing), "malformed"),
        ("an empty share", share(Share::Bytes(23, Vec::new())), "malformed"),
        ("a point that is none", share(Share::Bytes(23, off_curve)), "malformed"),
        ("infinity", share(Share::Bytes(23, vec![0])), "malformed"),
        ("a compressed point", share(Share::Bytes(23, compressed)), "malformed"),
        ("half a point", share(Share::Bytes(23, vec![4; 33])), "malformed"),
        ("a group alone", share(Share::Group(23)), "malformed"),
        ("asked for X25519", retry(Share::Group(29), vec![]), "nothing in common"),
        ("asked for P-384", retry(Share::Group(24), vec![]), "nothing in common"),
        (
            "asked for the share that is there",
            retry(Share::Group(23), vec![]),
            "nothing in common",
        ),
        (
            "asked with a cookie",
            retry(Share::Missing, vec![Extension(44, vec![0, 3, 1, 2, 3])]),
            "nothing in common",
        ),
        ("asked for nothing", retry(Share::Missing, vec![]), "nothing in common"),
        (
            "asked, and a share",
            hello(|hello| hello.random = Some(retry_random())),
            "nothing in common",
        ),
    ];
    assert_eq!(rows.len(), 17);
    judge(&usual(), rows);
}

#[test]
fn alerts() {
    let rows = vec![
        ("handshake_failure", alert(2, 40), "nothing in common"),
        ("protocol_version", alert(2, 70), "version"),
        ("insufficient_security", alert(2, 71), "nothing in common"),
        ("internal_error", alert(2, 80), "alert 80"),
        ("illegal_parameter", alert(2, 47), "alert 47"),
        ("missing_extension", alert(2, 109), "alert 109"),
        ("unrecognized_name", alert(2, 112), "alert 112"),
        ("record_overflow", alert(2, 22), "alert 22"),
        ("close_notify", alert(1, 0), "alert 0"),
        ("user_canceled", alert(1, 90), "alert 90"),
        ("a warning", alert(1, 112), "alert 112"),
        ("an unknown alert", alert(2, 200), "malformed"),
        ("an unknown level", alert(7, 40), "malformed"),
        ("an alert of one byte", plain(21, &[2]), "malformed"),
        ("an alert of three bytes", plain(21, &[2, 40, 0]), "malformed"),
        ("two alerts in a record", plain(21, &[1, 90, 2, 40]), "malformed"),
        ("an empty alert", plain(21, &[]), "malformed"),
        (
            "an alert in two records",
            first(Parcel::new(21, Protection::Plain, &[2, 40]).cut(&[1])),
            "malformed",
        ),
    ];
    assert_eq!(rows.len(), 18);
    judge(&usual(), rows);
}

#[test]
fn records_around_the_hello() {
    let cut = |cuts: &'static [usize]| Script::right().parcel(Kind::ServerHello, |parcel| parcel.cuts = cuts.to_vec());
    let extensions = || Body::EncryptedExtensions(Vec::new());
    let rows = vec![
        ("ChangeCipherSpec first", plain(20, &[1]), "malformed"),
        ("application data first", plain(23, b"hello"), "malformed"),
        ("encrypted data first", plain(23, &[9; 64]), "malformed"),
        ("a heartbeat first", plain(24, &[1, 0, 3, 1, 2, 3]), "malformed"),
        ("a record of type 0", plain(0, &[1]), "malformed"),
        ("a record of type 255", plain(255, &[1]), "malformed"),
        ("an empty record", plain(22, &[]), "malformed"),
        (
            "HTTP",
            first(Parcel::new(b'H', Protection::Plain, b"").tampered(&[Edit::Set(0, b"HTTP/".to_vec())])),
            "malformed",
        ),
        ("the hello twice", Script::right().twice(Kind::ServerHello), "malformed"),
        ("the hello in two records", cut(&[40]), "malformed"),
        ("the hello byte by byte", cut(&[1; 60]), "malformed"),
        ("no hello", Script::right().without(Kind::ServerHello), "malformed"),
        (
            "the hello protected",
            Script::right().parcel(Kind::ServerHello, |parcel| parcel.protection = Protection::Unknown),
            "malformed",
        ),
        ("the hello cut short", edited(Edit::Cut(-10)), "malformed"),
        ("bytes behind the hello", edited(Edit::Add(vec![0; 10])), "malformed"),
        (
            "the hello shorter than it says",
            edited(Edit::Set(1, vec![0, 1, 0])),
            "open, a question, waits",
        ),
        (
            "the hello longer than it says",
            edited(Edit::Set(1, vec![0, 0, 20])),
            "open, a question, waits",
        ),
        (
            "an empty hello",
            Script::right().body(Kind::ServerHello, Body::Other(2, Vec::new())),
            "malformed",
        ),
        (
            "a client's hello",
            Script::right().body(Kind::ServerHello, Body::Other(1, vec![3; 40])),
            "malformed",
        ),
        (
            "a message of type 99",
            Script::right().body(Kind::ServerHello, Body::Other(99, vec![3; 40])),
            "malformed",
        ),
        (
            "a message of 16 MB",
            edited(Edit::Set(1, vec![255; 3])),
            "open, a question, waits",
        ),
        (
            "another message in the hello's record",
            Script::right()
                .without(Kind::EncryptedExtensions)
                .parcel(Kind::ServerHello, |parcel| parcel.messages.push(extensions().into())),
            "malformed",
        ),
        (
            "a ticket in its place",
            Script::right().body(Kind::ServerHello, Body::NewSessionTicket(vec![1; 8])),
            "malformed",
        ),
        (
            "Finished in its place",
            Script::right().body(Kind::ServerHello, Body::Finished(Some(vec![1; 32]))),
            "malformed",
        ),
        (
            "a certificate in its place",
            Script::right().body(Kind::ServerHello, Body::Certificate(Vec::new(), None, Vec::new())),
            "malformed",
        ),
        (
            "a record of 16 KB that never ends",
            first(Parcel::new(22, Protection::Plain, &[2, 0, 63, 252]).tampered(&[Edit::Set(3, vec![64, 0])])),
            "malformed",
        ),
        (
            "a hello in a record that never ends",
            Script::right().parcel(Kind::ServerHello, |parcel| {
                parcel.tamper = vec![Edit::Set(3, vec![64, 0])];
            }),
            "waits",
        ),
        (
            "a record of 64 KB",
            first(Parcel::new(22, Protection::Plain, &[2, 0, 63, 252]).tampered(&[Edit::Set(3, vec![255, 255])])),
            "malformed",
        ),
        (
            "nothing at all",
            Script::from(vec![Step::Await(Await::ClientHello), Step::End]),
            "io: ConnectionReset",
        ),
        ("an end at once", Script::from(vec![Step::End]), "io: ConnectionReset"),
        ("silence", Script::from(vec![Step::Await(Await::Close)]), "waits"),
    ];
    assert_eq!(rows.len(), 31);
    judge(&usual(), rows);
}
