//! Patches made here: byte by byte, by the kit, and by chance.

use mender::update_module::Artifact;
use mender_modules::delta::{Expected, Fault};
use mender_testkit::delta::{self, Compression};
use proptest::prelude::*;

use crate::patches::{Way, apply};

/// A number as detools writes it, with as many bytes as are asked for.
fn number(value: i64, len: usize) -> Vec<u8> {
    let mut rest = value.unsigned_abs();
    let mut bytes = vec![rest as u8 & 0x3f | if value < 0 { 0x40 } else { 0 }];
    rest >>= 6;
    while rest > 0 || bytes.len() < len {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(rest as u8 & 0x7f);
        rest >>= 7;
    }
    bytes
}

/// One round: changes, new bytes, a step.
fn round(changes: &[u8], added: &[u8], step: i64) -> Vec<u8> {
    let len = |bytes: &[u8]| number(bytes.len() as i64, 0);
    [&len(changes)[..], changes, &len(added), added, &number(step, 0)].concat()
}

fn plain(new_len: i64, rounds: &[Vec<u8>]) -> Vec<u8> {
    [vec![0], number(new_len, 0), vec![0], rounds.concat()].concat()
}

fn made(patch: &[u8], old: &[u8], new_len: u32) -> Result<Vec<u8>, Fault> {
    apply(patch, old, new_len, Way::DEVICE)
}

#[test]
fn changes_new_bytes_and_steps() {
    let old = b"abcdef";
    for (rounds, new) in [
        (vec![round(&[0, 1], b"X", 0)], &b"acX"[..]),
        // Forth and back.
        (
            vec![round(&[0], b"", 4), round(&[0], b"", -4), round(&[0, 0], b"", 0)],
            b"afcd",
        ),
        (vec![round(&[], b"XY", 3), round(&[0xff, 1], b"", 1)], b"XYcf"),
        // Nothing at all, in between.
        (vec![round(&[], b"", 0), round(&[0], b"", 0)], b"a"),
        // Outside of the old image, where nothing is read.
        (
            vec![round(&[], b"Z", -9), round(&[], b"Z", 11), round(&[0], b"", 99)],
            b"ZZc",
        ),
        (vec![round(&[0; 6], b"", 0)], b"abcdef"),
    ] {
        let patch = plain(new.len() as i64, &rounds);
        assert_eq!(made(&patch, old, new.len() as u32).as_deref(), Ok(new));
    }
}

#[test]
fn what_contradicts_itself_or_reaches_too_far_is_refused() {
    let old = b"abcdef";
    let malformed = [
        // Beyond the end of the old image, and before its start.
        plain(7, &[round(&[0; 7], b"", 0)]),
        plain(3, &[round(&[], b"X", 5), round(&[0, 0], b"", 0)]),
        plain(3, &[round(&[], b"X", -1), round(&[0, 0], b"", 0)]),
        // More than the new image has.
        plain(2, &[round(&[0; 3], b"", 0)]),
        plain(2, &[round(&[0], b"XY", 0)]),
        // Negative lengths.
        [vec![0], number(-3, 0)].concat(),
        [vec![0, 3, 0], number(-1, 0)].concat(),
        [vec![0, 3, 0, 0], number(-1, 0)].concat(),
        // Steps that no number can hold together.
        plain(
            3,
            &[
                round(&[], b"X", i64::from(i32::MAX)),
                round(&[], b"Y", 1),
                round(&[], b"Z", 0),
            ],
        ),
        plain(
            3,
            &[
                round(&[], b"X", -i64::from(i32::MAX)),
                round(&[], b"Y", -2),
                round(&[], b"Z", 0),
            ],
        ),
        // More than 31 bits, or more than five bytes.
        [vec![0], number(1 << 31, 0)].concat(),
        [vec![0], number(3, 6)].concat(),
        vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    for patch in malformed {
        let len = patch.get(1).copied().unwrap_or_default();
        let made = made(&patch, old, u32::from(len & 0x3f));
        assert_eq!(made, Err(Fault::Malformed), "{patch:?}");
    }
    // The longest number that is one, and one written longer than it need be.
    let far = plain(2, &[round(&[], b"X", i64::from(i32::MAX)), round(&[], b"Y", 0)]);
    assert_eq!(made(&far, old, 2).as_deref(), Ok(&b"XY"[..]));
    let long = [vec![0], number(1, 5), vec![0], round(&[], b"X", 0)].concat();
    assert_eq!(made(&long, old, 1).as_deref(), Ok(&b"X"[..]));
}

#[test]
fn only_two_kinds_of_patches() {
    for kind in 0..=255_u8 {
        let expected = match kind {
            0 | 4 => Fault::Truncated,
            _ => Fault::NotSupported,
        };
        assert_eq!(made(&[kind], b"", 3), Err(expected), "{kind}");
    }
    // A data format.
    assert_eq!(made(&[0, 3, 1], b"", 3), Err(Fault::NotSupported));
    for parameters in 0..=255_u8 {
        let (window, length) = ((parameters >> 4) + 4, (parameters & 15) + 3);
        let expected = if length >= window || window > 15 || window + length > 24 {
            Fault::NotSupported
        } else if window > 12 {
            Fault::Window { bits: window }
        } else {
            Fault::Truncated
        };
        assert_eq!(made(&[4, 3, parameters], b"", 3), Err(expected), "{parameters:#x}");
    }
}

#[test]
fn what_the_meta_data_have_to_say() {
    let expected = |meta_data: &str| {
        Expected::of(&Artifact {
            name: "a",
            payload_type: "t",
            meta_data: Some(meta_data),
        })
    };
    let text = delta::meta_data(b"old", b"newer");
    let images = expected(&text).expect("all four are there");
    assert_eq!((images.from_len, images.to_len), (3, 5));
    assert_eq!(images.from_sha256[..4], [0xcb, 0xa0, 0x6b, 0x57]);
    let upper = text.replace("cba06b", "CBA06B");
    assert_eq!(expected(&upper), Some(images));
    let more = text.replace('{', r#"{"other":{"to_len":7},"#);
    assert_eq!(expected(&more), Some(images));
    for (from, to) in [
        ("from_len", "from"),
        ("to_sha256", "sha256"),
        ("\"to_len\":5", "\"to_len\":\"\""),
        ("\"to_len\":5", "\"to_len\":-5"),
        ("\"to_len\":5", "\"to_len\":5.0"),
        ("\"to_len\":5", "\"to_len\":4294967296"),
        ("\"to_len\":5", "\"to_len\":[5]"),
        ("\"cba06b", "\"cba06"),
        ("\"cba06b", "\"cba06b0"),
        ("\"cba06b", "\"cba06g"),
        ("\"cba06b", "\"+ba06b"),
        // The neighbours of the digits.
        ("\"cba06b", "\"cba06/"),
        ("\"cba06b", "\"cba06:"),
        ("\"cba06b", "\"cba06@"),
        ("\"cba06b", "\"cba06G"),
        ("\"cba06b", "\"cba06`"),
    ] {
        let wrong = text.replace(from, to);
        assert_ne!(wrong, text, "{from}");
        assert_eq!(expected(&wrong), None, "{wrong}");
    }
    let without = Artifact {
        name: "a",
        payload_type: "t",
        meta_data: None,
    };
    assert_eq!(Expected::of(&without), None);
}

fn compressions() -> impl Strategy<Value = Compression> {
    let heatshrink = (4..=12_u8).prop_flat_map(|window_bits| {
        (3..window_bits).prop_map(move |length_bits| Compression::Heatshrink {
            window_bits,
            length_bits,
        })
    });
    prop_oneof![Just(Compression::None), heatshrink]
}

/// Bytes with repetitions.
fn images() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<u8>(), 1..40_usize), 0..60).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(byte, len)| (0..len).map(move |at| byte ^ (at as u8 & 3)))
            .collect()
    })
}

proptest! {
    #[test]
    fn patches_of_the_kit(old in images(), new in images(), compression in compressions(), input in 1..600_usize, buffer in 1..300_usize) {
        let patch = delta::patch(&old, &new, compression);
        let way = Way { input, buffer, ..Way::DEVICE };
        prop_assert_eq!(apply(&patch, &old, new.len() as u32, way), Ok(new));
    }

    /// In whatever pieces it comes: the same image, or the same refusal.
    #[test]
    fn changed_patches(old in images(), new in images(), compression in compressions(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), input in 1..50_usize) {
        let mut patch = delta::patch(&old, &new, compression);
        for (at, byte) in changes {
            let at = at.index(patch.len());
            patch[at] = byte;
        }
        let whole = made(&patch, &old, new.len() as u32);
        let pieces = apply(&patch, &old, new.len() as u32, Way { input, buffer: 5, ..Way::DEVICE });
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn any_bytes(patch in prop::collection::vec(any::<u8>(), 0..300), kind in prop_oneof![Just(0), Just(4)], old in images(), new_len in 0..70_u8) {
        // With a header that is right.
        let mut bytes = vec![kind];
        bytes.extend(number(new_len.into(), 0));
        bytes.extend(patch);
        let _ = made(&bytes, &old, new_len.into());
    }
}
