//! DER: only the one form that it allows.

use mender::signature::der::{INTEGER, SEQUENCE, element, only, pair, positive, spki};

#[test]
fn lengths_in_their_shortest_form() {
    for (len, head) in [
        (0, &[0x00][..]),
        (1, &[0x01]),
        (0x7f, &[0x7f]),
        (0x80, &[0x81, 0x80]),
        (0xff, &[0x81, 0xff]),
        (0x100, &[0x82, 0x01, 0x00]),
        (0xffff, &[0x82, 0xff, 0xff]),
    ] {
        let value = vec![7; len];
        let der = [&[SEQUENCE], head, &value].concat();
        assert_eq!(only(SEQUENCE, &der), Some(&value[..]), "{len}");
        assert_eq!(only(INTEGER, &der), None, "{len}: another tag");
        assert_eq!(only(SEQUENCE, &der[..der.len() - 1]), None, "{len}: cut short");
        let followed = [&der, &[1, 2][..]].concat();
        assert_eq!(element(SEQUENCE, &followed), Some((&value[..], &[1, 2][..])), "{len}");
        assert_eq!(only(SEQUENCE, &followed), None, "{len}: something follows");
    }
    for (head, len) in [
        (&[0x81, 0x7f][..], 0x7f),
        (&[0x82, 0x00, 0xff], 0xff),
        (&[0x83, 0x00, 0x01, 0x00], 0x100),
        (&[0x83, 0x01, 0x00, 0x00], 0x10000),
        (&[0x80], 2),
        (&[0x81], 0),
        (&[0x82, 0x01], 0),
        (&[0xff], 0x7f),
        (&[], 0),
    ] {
        let der = [&[SEQUENCE], head, &vec![0; len]].concat();
        assert_eq!(element(SEQUENCE, &der), None, "{head:x?}");
    }
    assert_eq!(element(SEQUENCE, &[]), None);
}

#[test]
fn integers_in_their_shortest_form() {
    for (value, digits) in [
        (&[0][..], &[][..]),
        (&[1], &[1]),
        (&[0x7f, 0xff], &[0x7f, 0xff]),
        (&[0, 0x80], &[0x80]),
        (&[0, 0xff, 0], &[0xff, 0]),
    ] {
        let der = [&[INTEGER, value.len() as u8], value, &[9]].concat();
        assert_eq!(positive(&der), Some((digits, &[9][..])), "{value:x?}");
    }
    for value in [&[][..], &[0, 0], &[0, 0x7f], &[0, 0, 0x80], &[0x80], &[0xff, 0x80]] {
        let der = [&[INTEGER, value.len() as u8], value].concat();
        assert_eq!(positive(&der), None, "{value:x?}");
    }
}

#[test]
fn two_integers_and_nothing_else() {
    assert_eq!(pair(&[0x30, 6, 2, 1, 5, 2, 1, 6]), Some((&[5][..], &[6][..])));
    assert_eq!(pair(&[0x30, 6, 2, 1, 5, 2, 1, 6, 0]), None, "behind the sequence");
    assert_eq!(pair(&[0x30, 9, 2, 1, 5, 2, 1, 6, 2, 1, 7]), None, "a third one");
    assert_eq!(pair(&[0x30, 3, 2, 1, 5]), None, "one only");
    assert_eq!(pair(&[0x31, 6, 2, 1, 5, 2, 1, 6]), None, "a SET");
}

/// Certificates as openssl makes them: of version 3, and of version 1, which has no version.
#[test]
fn the_public_key_in_a_certificate() {
    for (certificate, key) in [
        (
            &include_bytes!("certificates/p256.der")[..],
            &include_bytes!("certificates/p256.spki")[..],
        ),
        (
            &include_bytes!("certificates/rsa4096.der")[..],
            &include_bytes!("certificates/rsa4096.spki")[..],
        ),
        (
            &include_bytes!("certificates/version1.der")[..],
            &include_bytes!("certificates/version1.spki")[..],
        ),
    ] {
        assert_eq!(spki(certificate), Some(key));
        for len in 0..certificate.len() {
            assert_eq!(spki(&certificate[..len]), None, "cut at {len}");
        }
        assert_eq!(spki(&[certificate, &[0]].concat()), None, "something follows");
    }
}
