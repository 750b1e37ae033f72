//! Messages of the handshake, left out, doubled, exchanged and misshaped: none but a right handshake opens a connection.

use mender_tls_tests::chains::usual;
use mender_tls_tests::peer::message::Body;
use mender_tls_tests::peer::{Edit, Extension, Kind, Message, Parcel, Protection, Script, Step};
use mender_tls_tests::table::judge;

fn before(kind: Kind, body: Body) -> Script {
    Script::right().before(kind, Step::Send(Parcel::messages(Protection::Handshake, [body])))
}

fn instead(kind: Kind, body: Body) -> Script {
    Script::right().body(kind, body)
}

fn edited(kind: Kind, edits: &[Edit]) -> Script {
    Script::right().message(kind, |message| message.edits = edits.to_vec())
}

fn certificate() -> Body {
    Body::Certificate(Vec::new(), None, Vec::new())
}

fn request(context: &[u8]) -> Body {
    Body::CertificateRequest(context.to_vec(), vec![Extension(13, vec![0, 2, 4, 3])])
}

#[test]
fn order() {
    use Kind::{Certificate, CertificateVerify, EncryptedExtensions, Finished};
    let right = Script::right;
    let together = |bodies: Vec<Body>| {
        let mut script = right()
            .without(EncryptedExtensions)
            .without(Certificate)
            .without(CertificateVerify);
        let messages: Vec<Message> = bodies.into_iter().map(Message::from).collect();
        script = script.parcel(Finished, |parcel| parcel.messages = messages);
        script
    };
    let extensions = || Body::EncryptedExtensions(Vec::new());
    let proof = || Body::CertificateVerify(Default::default());
    let finished = || Body::Finished(None);
    let rows = vec![
        (
            "no EncryptedExtensions",
            right().without(EncryptedExtensions),
            "open, a question, waits",
        ),
        ("no Certificate", right().without(Certificate), "refused: unproved"),
        (
            "no CertificateVerify",
            right().without(CertificateVerify),
            "refused: unproved",
        ),
        (
            "neither",
            right().without(Certificate).without(CertificateVerify),
            "refused: unproved",
        ),
        (
            "Finished alone",
            right()
                .without(EncryptedExtensions)
                .without(Certificate)
                .without(CertificateVerify),
            "refused: unproved",
        ),
        ("no Finished", right().without(Finished), "waits"),
        (
            "EncryptedExtensions twice",
            right().twice(EncryptedExtensions),
            "open, a question, waits",
        ),
        ("Certificate twice", right().twice(Certificate), "refused: unproved"),
        (
            "CertificateVerify twice",
            right().twice(CertificateVerify),
            "refused: unproved",
        ),
        (
            "Finished twice",
            right().twice(Finished),
            "open, malformed; the client's fault: Finished",
        ),
        (
            "Certificate before EncryptedExtensions",
            right().swapped(EncryptedExtensions, Certificate),
            "refused: unproved",
        ),
        (
            "CertificateVerify before Certificate",
            right().swapped(Certificate, CertificateVerify),
            "refused: unproved",
        ),
        (
            "Finished before CertificateVerify",
            right().swapped(CertificateVerify, Finished),
            "refused: unproved; the client's fault: Finished",
        ),
        (
            "Finished before Certificate",
            right().swapped(Certificate, Finished),
            "refused: unproved; the client's fault: Finished",
        ),
        (
            "Finished first",
            right().swapped(EncryptedExtensions, Finished),
            "refused: unproved; the client's fault: Finished",
        ),
        (
            "CertificateVerify around",
            before(Certificate, proof()),
            "refused: unproved",
        ),
        (
            "Certificate again behind the proof",
            before(Finished, certificate()),
            "refused: unproved",
        ),
        (
            "another Certificate behind the proof",
            before(
                Finished,
                Body::Certificate(Vec::new(), Some(vec![vec![0x30, 0]]), Vec::new()),
            ),
            "refused: unproved",
        ),
        (
            "all in one record",
            together(vec![extensions(), certificate(), proof(), finished()]),
            "open, a question, waits",
        ),
        (
            "Certificate behind Finished in a record",
            together(vec![extensions(), finished(), certificate()]),
            "refused: unproved; the client's fault: Finished",
        ),
        (
            "the proof behind Finished in a record",
            together(vec![extensions(), certificate(), finished(), proof()]),
            "refused: unproved; the client's fault: Finished",
        ),
        (
            "a proof twice in a record",
            together(vec![extensions(), certificate(), proof(), proof(), finished()]),
            "refused: unproved",
        ),
        (
            "Finished twice in a record",
            together(vec![extensions(), certificate(), proof(), finished(), finished()]),
            "open, malformed; the client's fault: Finished",
        ),
        (
            "a client certificate is asked for",
            before(Certificate, request(&[])),
            "open, a question, waits",
        ),
        (
            "asked for twice",
            before(Certificate, request(&[])).before(
                Certificate,
                Step::Send(Parcel::messages(Protection::Handshake, [request(&[])])),
            ),
            "open, a question, waits",
        ),
        (
            "asked for with a context",
            before(Certificate, request(&[7; 255])),
            "open, a question, waits",
        ),
        (
            "asked for behind the proof",
            before(Finished, request(&[])),
            "open, a question, waits",
        ),
        (
            "a ticket",
            before(Certificate, Body::NewSessionTicket(vec![1; 30])),
            "malformed",
        ),
        ("a key update", before(Certificate, Body::KeyUpdate(0)), "malformed"),
        (
            "a server's hello",
            before(Certificate, Body::ServerHello(Default::default())),
            "malformed",
        ),
        (
            "a client's hello",
            before(Certificate, Body::Other(1, vec![3; 50])),
            "malformed",
        ),
        (
            "a hash of a hello",
            before(Certificate, Body::Other(254, vec![0; 32])),
            "malformed",
        ),
        (
            "the end of early data",
            before(Certificate, Body::Other(5, vec![])),
            "malformed",
        ),
        (
            "a compressed certificate",
            instead(Certificate, Body::Other(25, vec![0, 1, 0, 0, 9, 0, 0, 1, 0])),
            "malformed",
        ),
        (
            "a message of type 99",
            before(Certificate, Body::Other(99, vec![])),
            "malformed",
        ),
        (
            "HelloRequest of TLS 1.2",
            before(Certificate, Body::Other(0, vec![])),
            "malformed",
        ),
        (
            "ServerHelloDone of TLS 1.2",
            before(Certificate, Body::Other(14, vec![])),
            "malformed",
        ),
    ];
    assert_eq!(rows.len(), 37);
    judge(&usual(), rows);
}

#[test]
fn forms() {
    let extensions = |list: Vec<Extension>| instead(Kind::EncryptedExtensions, Body::EncryptedExtensions(list));
    let chain = usual().identity.chain;
    let with = |entries: Vec<Vec<u8>>| {
        instead(
            Kind::Certificate,
            Body::Certificate(Vec::new(), Some(entries), Vec::new()),
        )
    };
    let of_entry = |list: Vec<Extension>| instead(Kind::Certificate, Body::Certificate(Vec::new(), None, list));
    let many = |count: usize| {
        let mut entries = chain.clone();
        entries.resize(count, vec![0x30, 0]);
        with(entries)
    };
    let rows = vec![
        (
            "the name is known",
            extensions(vec![Extension(0, vec![])]),
            "open, a question, waits",
        ),
        (
            "the server's groups",
            extensions(vec![Extension(10, vec![0, 4, 0, 23, 0, 24])]),
            "open, a question, waits",
        ),
        (
            "groups that nobody knows",
            extensions(vec![Extension(10, vec![0, 4, 0, 23, 0x5a, 0x5a])]),
            "malformed",
        ),
        (
            "many groups",
            extensions(vec![Extension(10, [&[0, 40][..], &[0, 23].repeat(20)].concat())]),
            "malformed",
        ),
        (
            "a protocol that was not offered",
            extensions(vec![Extension(16, vec![0, 3, 2, b'h', b'2'])]),
            "open, a question, waits",
        ),
        (
            "early data that was not offered",
            extensions(vec![Extension(42, vec![])]),
            "open, a question, waits",
        ),
        (
            "an unknown extension",
            extensions(vec![Extension(0x5a5a, vec![1, 2, 3])]),
            "open, a question, waits",
        ),
        (
            "an extension of other messages",
            extensions(vec![Extension(51, vec![0, 23])]),
            "malformed",
        ),
        ("20 extensions", extensions(vec![Extension(0, vec![]); 20]), "malformed"),
        (
            "extensions longer than they say",
            edited(Kind::EncryptedExtensions, &[Edit::Add(vec![1, 2, 3])]),
            "malformed",
        ),
        (
            "extensions shorter than they say",
            edited(Kind::EncryptedExtensions, &[Edit::Set(4, vec![0, 9])]),
            "malformed",
        ),
        (
            "extensions cut off",
            edited(Kind::EncryptedExtensions, &[Edit::Cut(-1)]),
            "malformed",
        ),
        (
            "a context in Certificate",
            instead(Kind::Certificate, Body::Certificate(vec![1, 2], None, Vec::new())),
            "open, a question, waits",
        ),
        (
            "an OCSP answer",
            of_entry(vec![Extension(5, vec![1, 0, 0, 1, 0])]),
            "open, a question, waits",
        ),
        (
            "certificate timestamps",
            of_entry(vec![Extension(18, vec![0, 2, 0, 0])]),
            "open, a question, waits",
        ),
        (
            "an unknown extension of an entry",
            of_entry(vec![Extension(0x5a5a, vec![1])]),
            "open, a question, waits",
        ),
        (
            "a wrong extension of an entry",
            of_entry(vec![Extension(51, vec![1])]),
            "malformed",
        ),
        (
            "three extensions of an entry",
            of_entry(vec![Extension(18, vec![0, 0]); 3]),
            "malformed",
        ),
        ("no certificates", with(Vec::new()), "refused: no certificate"),
        ("an empty certificate", with(vec![Vec::new()]), "refused: malformed"),
        ("7 certificates, most of them none", many(7), "open, a question, waits"),
        ("8 certificates", many(8), "refused: too long"),
        ("16 certificates", many(16), "refused: too long"),
        ("17 certificates", many(17), "malformed"),
        (
            "a chain of 16 KB",
            with(vec![chain[0].clone(), vec![0; 15_000]]),
            "refused: malformed",
        ),
        (
            "a list shorter than it says",
            edited(Kind::Certificate, &[Edit::Set(5, vec![0, 255, 0])]),
            "split",
        ),
        (
            "a list longer than it says",
            edited(Kind::Certificate, &[Edit::Set(5, vec![0, 1, 0])]),
            "split",
        ),
        (
            "an entry longer than the list",
            edited(Kind::Certificate, &[Edit::Set(8, vec![0, 255, 0])]),
            "split",
        ),
        (
            "bytes behind the list",
            edited(Kind::Certificate, &[Edit::Add(vec![0; 5])]),
            "malformed",
        ),
        (
            "Certificate cut off",
            edited(Kind::Certificate, &[Edit::Cut(-5)]),
            "split",
        ),
        (
            "an empty message",
            instead(Kind::Certificate, Body::Other(11, Vec::new())),
            "split",
        ),
        (
            "an empty proof",
            instead(Kind::CertificateVerify, Body::Other(15, Vec::new())),
            "malformed",
        ),
        (
            "a proof longer than it says",
            edited(Kind::CertificateVerify, &[Edit::Add(vec![0; 5])]),
            "malformed",
        ),
        (
            "a proof cut off",
            edited(Kind::CertificateVerify, &[Edit::Cut(-1)]),
            "malformed",
        ),
        ("half a head", edited(Kind::Finished, &[Edit::Cut(2)]), "malformed"),
        (
            "a length of 16 MB",
            edited(Kind::CertificateVerify, &[Edit::Set(1, vec![255; 3])]),
            "open, a question, waits",
        ),
    ];
    assert_eq!(rows.len(), 36);
    judge(&usual(), rows);
}

#[test]
fn finished() {
    let with = |edit: Edit| edited(Kind::Finished, &[edit]);
    let rows = vec![
        ("a bit changed", with(Edit::Flip(4, 1)), "malformed"),
        ("the last bit changed", with(Edit::Flip(-1, 128)), "malformed"),
        (
            "zeros",
            instead(Kind::Finished, Body::Finished(Some(vec![0; 32]))),
            "malformed",
        ),
        ("too short", with(Edit::Cut(-1)), "malformed"),
        ("too long", with(Edit::Add(vec![0])), "malformed"),
        (
            "empty",
            instead(Kind::Finished, Body::Finished(Some(Vec::new()))),
            "malformed",
        ),
        (
            "of SHA-384's length",
            instead(Kind::Finished, Body::Finished(Some(vec![1; 48]))),
            "malformed",
        ),
        (
            "of another transcript",
            Script::right().message(Kind::CertificateVerify, |message| message.is_hidden = true),
            "malformed",
        ),
        (
            "of a transcript without the certificate",
            Script::right().message(Kind::Certificate, |message| message.is_hidden = true),
            "refused: unproved",
        ),
        (
            "of a transcript without extensions",
            Script::right().message(Kind::EncryptedExtensions, |message| message.is_hidden = true),
            "refused: unproved",
        ),
    ];
    assert_eq!(rows.len(), 10);
    judge(&usual(), rows);
}
