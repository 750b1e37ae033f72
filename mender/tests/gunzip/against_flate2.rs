//! Whatever flate2 packs is unpacked, and whatever is unpacked is what flate2 makes of it.

use std::io::Read;

use flate2::bufread::GzDecoder;
use flate2::read::GzEncoder;
use flate2::{Compression, GzBuilder};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::packer::{Token, data, pack};
use crate::support::{gunzip, unpack};

/// Data of several kinds: all the same, texts, repetitions from near and far, chance.
fn some_data() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (any::<u8>(), 0..3000_usize).prop_map(|(byte, len)| vec![byte; len]),
        vec(any::<u8>(), 0..3000),
        vec(b'a'..b'h', 0..3000),
        (vec(any::<u8>(), 1..600), 1..30_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ];
    vec(part, 0..6).prop_map(|parts| {
        let once = parts.concat();
        // The first bytes again, from far away.
        [&once[..], &once[..once.len().min(500)]].concat()
    })
}

fn by_flate2(packed: &[u8]) -> Option<Vec<u8>> {
    let mut rest = packed;
    let mut data = Vec::new();
    GzDecoder::new(&mut rest).read_to_end(&mut data).ok()?;
    rest.is_empty().then_some(data)
}

/// Tokens that refer to what is at most so far back.
fn tokens(window_len: usize) -> impl Strategy<Value = Vec<Token>> {
    vec((any::<bool>(), any::<u8>(), 3..=258_usize, any::<usize>()), 1..400).prop_map(move |choices| {
        let mut tokens = vec![Token::Byte(1)];
        let mut len_so_far = 1;
        for (is_copy, byte, len, far) in choices {
            if is_copy {
                let distance = 1 + far % window_len.min(len_so_far);
                tokens.push(Token::Copy { len, distance });
                len_so_far += len;
            } else {
                tokens.push(Token::Byte(byte));
                len_so_far += 1;
            }
        }
        tokens
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_flate2_packs(data in some_data(), level in 0..=9_u32, named in any::<bool>(), pieces in vec(1..3000_usize, 1..4)) {
        let mut packed = Vec::new();
        if named {
            let mut encoder = GzBuilder::new().filename("a").comment("b").extra("c").read(&data[..], Compression::new(level));
            encoder.read_to_end(&mut packed).unwrap();
        } else {
            GzEncoder::new(&data[..], Compression::new(level)).read_to_end(&mut packed).unwrap();
        }
        prop_assert_eq!(unpack(&mut gunzip(32768), &packed, &pieces), (data, Ok(())));
    }

    #[test]
    fn what_is_packed_for_a_short_window(tokens in tokens(100), pieces in vec(1..300_usize, 1..4)) {
        let packed = pack(&tokens);
        prop_assert_eq!(unpack(&mut gunzip(100), &packed, &pieces), (data(&tokens), Ok(())));
        prop_assert_eq!(by_flate2(&packed), Some(data(&tokens)));
    }

    /// Damaged streams: the outcome does not depend on the pieces, and what is accepted is right.
    #[test]
    fn what_is_damaged(
        data in some_data(),
        level in 0..=9_u32,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        window_len in prop::sample::select(vec![1, 100, 1024, 32768]),
        pieces in vec(1..500_usize, 1..4),
    ) {
        let mut packed = Vec::new();
        GzEncoder::new(&data[..], Compression::new(level)).read_to_end(&mut packed).unwrap();
        for (at, byte) in changes {
            *at.get_mut(&mut packed) = byte;
        }
        let whole = unpack(&mut gunzip(window_len), &packed, &[usize::MAX]);
        prop_assert_eq!(&unpack(&mut gunzip(window_len), &packed, &pieces), &whole);
        if whole.1.is_ok() {
            prop_assert_eq!(Some(whole.0), by_flate2(&packed));
        }
    }
}
