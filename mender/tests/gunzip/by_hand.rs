//! What is refused, and why; and what is just good.

use mender::unpack::Fault;

use crate::packer::{Bits, Token, data, member, pack};
use crate::support::{gunzip, unpack};

/// So many bytes that are all different from what is near.
fn bytes(count: usize) -> Vec<Token> {
    (0..count).map(|at| Token::Byte((at * 7 + at / 256) as u8)).collect()
}

fn whole(packed: &[u8], window_len: usize) -> (Vec<u8>, Result<(), Fault>) {
    let result = unpack(&mut gunzip(window_len), packed, &[usize::MAX]);
    assert_eq!(unpack(&mut gunzip(window_len), packed, &[1]), result, "byte by byte");
    result
}

#[test]
fn a_window_is_used_up_to_its_last_byte() {
    for window_len in [3, 100, 256, 1024, 5000, 32768] {
        let mut tokens = bytes(window_len + 11);
        for len in [3, 4, 10, 11, 12, 257, 258] {
            tokens.push(Token::Copy {
                len,
                distance: window_len,
            });
            tokens.push(Token::Copy { len, distance: 1 });
            tokens.push(Token::Byte(0xaa));
        }
        assert_eq!(whole(&pack(&tokens), window_len), (data(&tokens), Ok(())));
    }
}

#[test]
fn a_window_that_is_too_short_is_refused_with_the_length_it_takes() {
    for (window_len, distance, needed) in [
        (1, 2, 256),
        (3, 4, 256),
        (256, 257, 512),
        (1024, 1025, 2048),
        (1024, 2048, 2048),
        (1024, 2049, 4096),
        (1024, 32768, 32768),
        (5000, 5001, 8192),
    ] {
        let mut tokens = bytes(32768);
        tokens.push(Token::Copy { len: 3, distance });
        let (unpacked, result) = whole(&pack(&tokens), window_len);
        assert_eq!(
            result,
            Err(Fault::Window { needed }),
            "{distance} bytes back in {window_len}"
        );
        assert_eq!(unpacked, data(&tokens[..32768]), "all that came before was handed out");
    }
}

#[test]
fn without_a_window_there_is_nothing() {
    assert_eq!(
        whole(&pack(&bytes(1)), 0),
        (Vec::new(), Err(Fault::Window { needed: 256 }))
    );
}

#[test]
fn a_reference_to_before_the_beginning_is_refused() {
    for (count, distance) in [(0, 1), (1, 2), (99, 100), (99, 32768), (300, 301)] {
        for window_len in [256, 32768] {
            let mut bits = Bits::default();
            let mut tokens = bytes(count);
            tokens.push(Token::Copy { len: 3, distance });
            bits.fixed_block(&tokens);
            let (unpacked, result) = whole(&member(&bits.bytes, &[]), window_len);
            assert_eq!(result, Err(Fault::Malformed));
            assert_eq!(unpacked, data(&tokens[..count]));
        }
    }
    // What another member left in the window is not there.
    let mut gunzip = gunzip(256);
    unpack(&mut gunzip, &pack(&bytes(300)), &[usize::MAX]).1.unwrap();
    let mut bits = Bits::default();
    bits.fixed_block(&[Token::Copy { len: 3, distance: 1 }]);
    assert_eq!(
        unpack(&mut gunzip, &member(&bits.bytes, &[]), &[7]),
        (Vec::new(), Err(Fault::Malformed))
    );
}

#[test]
fn every_truncation_is_noticed_and_so_is_each_byte_too_many() {
    let mut tokens = bytes(40);
    tokens.push(Token::Copy { len: 100, distance: 7 });
    let packed = pack(&tokens);
    for len in 0..packed.len() {
        let (unpacked, result) = whole(&packed[..len], 100);
        assert_eq!(result, Err(Fault::Truncated), "{len} bytes");
        assert!(data(&tokens).starts_with(&unpacked));
    }
    for more in [
        &b"\0"[..],
        b"\0\0\0\0\0\0\0\0\0",
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0",
    ] {
        let (unpacked, result) = whole(&[&packed, more].concat(), 100);
        assert_eq!(result, Err(Fault::Trailing));
        assert_eq!(unpacked, data(&tokens));
    }
}

#[test]
fn checksum_and_length_are_compared() {
    let packed = pack(&bytes(40));
    for at in packed.len() - 8..packed.len() {
        for bit in 0..8 {
            let mut packed = packed.clone();
            packed[at] ^= 1 << bit;
            assert_eq!(whole(&packed, 100), (data(&bytes(40)), Err(Fault::Checksum)));
        }
    }
}

#[test]
fn fields_of_the_head_are_passed_over() {
    let packed = pack(&bytes(5));
    let (extra, name, comment, crc) = (
        b"\x03\x01abc".as_slice(),
        b"a.tar\0".as_slice(),
        b"\0".as_slice(),
        b"\xff\xff".as_slice(),
    );
    let long = [&[0, 1][..], &[9; 256]].concat();
    let right_extra = b"\x03\0abc".as_slice();
    for (flags, fields) in [
        (1, vec![]),
        (2, vec![crc]),
        (4, vec![right_extra]),
        (4, vec![&long]),
        (4, vec![b"\0\0"]),
        (8, vec![name]),
        (16, vec![comment]),
        (31, vec![right_extra, name, comment, crc]),
        (22, vec![right_extra, comment, crc]),
    ] {
        let mut head = packed[..10].to_vec();
        head[3] = flags;
        let packed = [&head[..], &fields.concat(), &packed[10..]].concat();
        assert_eq!(whole(&packed, 100), (data(&bytes(5)), Ok(())), "flags {flags}");
    }
    // A field that says that it is longer than it is takes what follows.
    let mut head = packed[..10].to_vec();
    head[3] = 4;
    assert_eq!(
        whole(&[&head[..], extra, &packed[10..]].concat(), 100).1,
        Err(Fault::Truncated)
    );
}

#[test]
fn heads_of_something_else_are_refused() {
    let packed = pack(&bytes(5));
    for (at, byte) in [(0, 0x1e), (1, 0x8a), (2, 7), (2, 0), (3, 0x20), (3, 0x40), (3, 0x80)] {
        let mut packed = packed.clone();
        packed[at] = byte;
        assert_eq!(
            whole(&packed, 100),
            (Vec::new(), Err(Fault::Malformed)),
            "byte {at} {byte}"
        );
    }
}

#[test]
fn stored_blocks() {
    let data: Vec<u8> = (0..70_000_u32).map(|at| (at % 251) as u8).collect();
    let stored = |data: &[u8], is_last| {
        let len = (data.len() as u16).to_le_bytes();
        [&[u8::from(is_last)][..], &len, &[!len[0], !len[1]], data].concat()
    };
    let blocks = [
        stored(&data[..65535], false),
        stored(&[], false),
        stored(&data[65535..], true),
    ]
    .concat();
    for window_len in [1, 100, 32768] {
        assert_eq!(whole(&member(&blocks, &data), window_len), (data.clone(), Ok(())));
    }
    let mut broken = blocks;
    broken[3] ^= 1;
    assert_eq!(whole(&member(&broken, &data), 100), (Vec::new(), Err(Fault::Malformed)));
}

/// A block with a code of its own: how many lengths there are, those of the code for lengths in their order, then words of that code.
fn dynamic(counts: (usize, usize, usize), code_lens: &[usize], words: &[(usize, u32)]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0b101, 3);
    bits.put(counts.0 - 257, 5);
    bits.put(counts.1 - 1, 5);
    bits.put(counts.2 - 4, 4);
    for len in code_lens {
        bits.put(*len, 3);
    }
    for (value, count) in words {
        bits.put(*value, *count);
    }
    bits.align();
    member(&bits.bytes, &[])
}

#[test]
fn codes_that_are_none_are_refused() {
    // In the order 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1: words `0` for 18 and `1` for 1.
    let one_and_zeros = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    // Words of this code: which is the first is told by the symbols' order.
    let (one, zeros) = ((0, 1), (1, 1));
    let repeated = |count: usize| [zeros, (count - 11, 7)];
    let lens = |parts: &[&[(usize, u32)]]| parts.concat();

    // 256 literals without words, the end with a word of one bit, no distance.
    let good = lens(&[&repeated(138), &repeated(118), &[one], &[one], &[(0, 1)]]);
    assert_eq!(
        whole(&dynamic((257, 1, 18), &one_and_zeros, &good), 100),
        (Vec::new(), Ok(()))
    );

    for (what, packed) in [
        ("too many literals", dynamic((287, 1, 18), &one_and_zeros, &[])),
        ("too many distances", dynamic((257, 31, 18), &one_and_zeros, &[])),
        (
            "an incomplete code for lengths",
            dynamic((257, 1, 4), &[0, 0, 2, 0], &[(0, 64)]),
        ),
        (
            "an oversubscribed code for lengths",
            dynamic((257, 1, 4), &[1, 1, 1, 0], &[(0, 64)]),
        ),
        (
            "a repetition of nothing",
            dynamic((257, 1, 4), &[1, 0, 1, 0], &[(0, 32)]),
        ),
        (
            "more lengths than there are",
            dynamic((257, 1, 18), &one_and_zeros, &lens(&[&repeated(138), &repeated(138)])),
        ),
        (
            "no word for the end",
            dynamic(
                (257, 1, 18),
                &one_and_zeros,
                &lens(&[&[one], &repeated(138), &repeated(118), &[one]]),
            ),
        ),
        (
            "three words of one bit",
            dynamic(
                (257, 1, 18),
                &one_and_zeros,
                &lens(&[&[one, one], &repeated(138), &repeated(116), &[one, one]]),
            ),
        ),
        ("a third kind of block", member(&[0b111], &[])),
    ] {
        let (unpacked, result) = whole(&packed, 100);
        assert_eq!((unpacked, result), (Vec::new(), Err(Fault::Malformed)), "{what}");
    }
}

/// What the fixed code has words for, but no meaning.
#[test]
fn symbols_without_a_meaning_are_refused() {
    for symbol in [286, 287] {
        let mut bits = Bits::default();
        bits.put(0b011, 3);
        bits.word(0xc0 + symbol - 280, 8);
        bits.put(0, 32);
        assert_eq!(
            whole(&member(&bits.bytes, &[]), 100),
            (Vec::new(), Err(Fault::Malformed))
        );
    }
    for distance in [30, 31] {
        let mut bits = Bits::default();
        bits.put(0b011, 3);
        bits.word(0x30, 8);
        bits.word(1, 7);
        bits.word(distance, 5);
        bits.put(0, 32);
        assert_eq!(whole(&member(&bits.bytes, &[]), 100), (vec![0], Err(Fault::Malformed)));
    }
}

/// 1032 to 1 is what deflate can do: it takes time, and no memory.
#[test]
fn a_bomb_is_unpacked_as_it_comes() {
    let mut tokens = vec![Token::Byte(0)];
    tokens.extend([Token::Copy { len: 258, distance: 1 }; 4000]);
    let packed = pack(&tokens);
    assert_eq!(
        unpack(&mut gunzip(1), &packed, &[64]),
        (vec![0; 1 + 258 * 4000], Ok(()))
    );
}
