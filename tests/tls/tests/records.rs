//! Records of the handshake, and what becomes of them. Who is on the path can make some of them: those that need no keys, or those of
//! the handshake before anybody has proved anything.

use mender_tls_tests::chains::usual;
use mender_tls_tests::peer::message::Body;
use mender_tls_tests::peer::{Edit, Kind, Parcel, Protection, Script, Step};
use mender_tls_tests::table::judge;

fn before(kind: Kind, parcel: Parcel) -> Script {
    Script::right().before(kind, Step::Send(parcel))
}

fn sealed(kind: u8, content: &[u8]) -> Parcel {
    Parcel::new(kind, Protection::Handshake, content)
}

fn bare(padding: usize) -> Parcel {
    let mut parcel = sealed(0, &[]).padded(padding);
    parcel.is_bare = padding == 0;
    parcel
}

fn parcel(kind: Kind, change: impl FnOnce(&mut Parcel)) -> Script {
    Script::right().parcel(kind, change)
}

#[test]
fn unencrypted_records_in_the_handshake() {
    let plain = |kind, content: &[u8]| before(Kind::Certificate, Parcel::new(kind, Protection::Plain, content));
    let alert = |level, description| before(Kind::Certificate, Parcel::alert(Protection::Plain, level, description));
    let spec = |content: &[u8]| before(Kind::EncryptedExtensions, Parcel::new(20, Protection::Plain, content));
    let only = |content: &[u8]| {
        Script::right().without_change_cipher_spec().before(
            Kind::EncryptedExtensions,
            Step::Send(Parcel::new(20, Protection::Plain, content)),
        )
    };
    let rows = vec![
        (
            "no ChangeCipherSpec",
            Script::right().without_change_cipher_spec(),
            "open, a question, waits",
        ),
        ("ChangeCipherSpec twice", spec(&[1]), "malformed"),
        ("ChangeCipherSpec late", plain(20, &[1]), "malformed"),
        (
            "ChangeCipherSpec of another value",
            only(&[2]),
            "open, a question, waits",
        ),
        ("ChangeCipherSpec of two bytes", only(&[1, 1]), "malformed"),
        ("an empty ChangeCipherSpec", only(&[]), "malformed"),
        ("a fatal alert", alert(2, 40), "malformed"),
        ("close_notify", alert(1, 0), "malformed"),
        ("a handshake record", plain(22, &[8, 0, 0, 2, 0, 0]), "malformed"),
        (
            "a second hello",
            before(
                Kind::Certificate,
                Parcel::messages(Protection::Plain, [Body::ServerHello(Default::default())]),
            ),
            "malformed",
        ),
        ("a heartbeat", plain(24, &[1, 0, 0]), "malformed"),
        ("an empty record of data", plain(23, &[]), "malformed"),
        ("a record of data of 1 byte", plain(23, &[0]), "malformed"),
        ("a record of data of 16 bytes", plain(23, &[0; 16]), "malformed"),
        ("a record of data of 17 bytes", plain(23, &[0; 17]), "malformed"),
        ("a record of type 0", plain(0, &[0; 17]), "malformed"),
        (
            "the certificate unencrypted",
            parcel(Kind::Certificate, |parcel| parcel.protection = Protection::Plain),
            "malformed",
        ),
        (
            "all unencrypted",
            {
                let mut script = Script::right();
                for kind in [
                    Kind::EncryptedExtensions,
                    Kind::Certificate,
                    Kind::CertificateVerify,
                    Kind::Finished,
                ] {
                    script = script.parcel(kind, |parcel| parcel.protection = Protection::Plain);
                }
                script
            },
            "malformed",
        ),
        (
            "Finished unencrypted",
            parcel(Kind::Finished, |parcel| parcel.protection = Protection::Plain),
            "malformed",
        ),
    ];
    assert_eq!(rows.len(), 19);
    judge(&usual(), rows);
}

#[test]
fn encrypted_records_in_the_handshake() {
    let at = Kind::Certificate;
    let rows = vec![
        ("nothing in it", before(at, bare(0)), "malformed"),
        ("zeros in it", before(at, bare(40)), "malformed"),
        (
            "nothing in it, first of all",
            before(Kind::EncryptedExtensions, bare(0)),
            "malformed",
        ),
        (
            "nothing in it, behind Finished",
            Script::right().after(Kind::Finished, Step::Send(bare(0))),
            "open, malformed",
        ),
        (
            "no message in it",
            before(at, sealed(22, &[])),
            "open, a question, waits",
        ),
        (
            "padded",
            parcel(at, |parcel| parcel.padding = 100),
            "open, a question, waits",
        ),
        (
            "padded to the limit",
            parcel(Kind::Finished, |parcel| parcel.padding = 16384 - 36),
            "open, a question, waits",
        ),
        (
            "padded beyond the limit",
            parcel(Kind::Finished, |parcel| parcel.padding = 16640 - 16 - 37),
            "open, a question, waits",
        ),
        (
            "longer than any record",
            parcel(Kind::Finished, |parcel| parcel.padding = 16640 - 16 - 36),
            "malformed",
        ),
        ("all in one record", Script::in_one_record(), "open, a question, waits"),
        (
            "a message in two records",
            parcel(at, |parcel| parcel.cuts = vec![300]),
            "split",
        ),
        (
            "a head in two records",
            parcel(at, |parcel| parcel.cuts = vec![2]),
            "malformed",
        ),
        ("data", before(at, sealed(23, b"data")), "malformed"),
        ("empty data", before(at, sealed(23, &[])), "malformed"),
        (
            "data with its own keys",
            before(at, Parcel::new(23, Protection::Application, b"data")),
            "malformed",
        ),
        (
            "data before the client's Finished",
            Script::right().after(Kind::Finished, Step::Send(Parcel::data(b"early "))),
            "open, early a question, waits",
        ),
        ("ChangeCipherSpec", before(at, sealed(20, &[1])), "malformed"),
        ("a heartbeat", before(at, sealed(24, &[1, 0, 0])), "malformed"),
        ("type 99", before(at, sealed(99, &[1, 0, 0])), "malformed"),
        ("a fatal alert", before(at, sealed(21, &[2, 40])), "malformed"),
        ("close_notify", before(at, sealed(21, &[1, 0])), "malformed"),
        ("user_canceled", before(at, sealed(21, &[1, 90])), "malformed"),
        ("half an alert", before(at, sealed(21, &[1])), "malformed"),
        ("an unknown alert", before(at, sealed(21, &[2, 222])), "malformed"),
        ("a message as data", parcel(at, |parcel| parcel.kind = 23), "malformed"),
        (
            "a message as an alert",
            parcel(at, |parcel| parcel.kind = 21),
            "malformed",
        ),
        (
            "another outer type",
            parcel(at, |parcel| parcel.outer = Some(22)),
            "malformed",
        ),
        (
            "keys of application data",
            parcel(Kind::Finished, |parcel| parcel.protection = Protection::Application),
            "malformed",
        ),
        (
            "keys of nobody",
            parcel(at, |parcel| parcel.protection = Protection::Unknown),
            "malformed",
        ),
        (
            "a changed tag",
            parcel(at, |parcel| parcel.tamper = vec![Edit::Flip(-1, 1)]),
            "malformed",
        ),
        (
            "a changed content",
            parcel(at, |parcel| parcel.tamper = vec![Edit::Flip(50, 1)]),
            "malformed",
        ),
        (
            "a changed version",
            parcel(at, |parcel| parcel.tamper = vec![Edit::Flip(2, 1)]),
            "malformed",
        ),
        (
            "the version of TLS 1.0",
            parcel(at, |parcel| parcel.tamper = vec![Edit::Set(1, vec![3, 1])]),
            "malformed",
        ),
        (
            "a tag cut off",
            parcel(at, |parcel| parcel.tamper = vec![Edit::Cut(-16)]),
            "malformed",
        ),
        (
            "a record again",
            before(at, sealed(22, &[]).tampered(&[Edit::Cut(0)])),
            "malformed",
        ),
        (
            "two messages in the wrong order of records",
            Script::right().swapped(Kind::CertificateVerify, Kind::Finished),
            "refused: unproved; the client's fault: Finished",
        ),
    ];
    assert_eq!(rows.len(), 36);
    judge(&usual(), rows);
}
