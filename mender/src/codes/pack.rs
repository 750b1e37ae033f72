//! The texts, packed by the compiler: seven kilobytes of English take four.
//!
//! Each byte above 127 stands for two others, which may stand for two others again. Which pairs, is chosen when the crate is
//! compiled: those that occur most often, a few at a time. Texts end with 0; [`GAP`] is where a message adds something.
//!
//! Depends on the table alone.

use super::table::ALL;

/// In the place of `…`.
pub(super) const GAP: u8 = 1;

/// Bytes that stand for pairs.
const FIRST_PAIR: usize = 128;
const PAIRS: usize = 128;
/// So many pairs are chosen at a time.
const AT_A_TIME: usize = 32;
const MAX_LEN: usize = 16 * 1024;

struct Packed {
    texts: [u8; MAX_LEN],
    len: usize,
    pairs: [[u8; 2]; PAIRS],
}

const fn count() -> usize {
    let (mut group, mut count) = (0, 0);
    while group < ALL.len() {
        count += ALL[group].len();
        group += 1;
    }
    count
}

const fn codes() -> [u8; count()] {
    let mut codes = [0; count()];
    let (mut group, mut at) = (0, 0);
    while group < ALL.len() {
        let mut entry = 0;
        while entry < ALL[group].len() {
            let code = ALL[group][entry].0;
            assert!(code < 256, "codes above 255 are the modules'");
            codes[at] = code as u8;
            at += 1;
            entry += 1;
        }
        group += 1;
    }
    codes
}

/// All texts, one behind the other, not packed yet.
const fn plain() -> Packed {
    let mut packed = Packed {
        texts: [0; MAX_LEN],
        len: 0,
        pairs: [[0; 2]; PAIRS],
    };
    let mut group = 0;
    while group < ALL.len() {
        let mut entry = 0;
        while entry < ALL[group].len() {
            let text = ALL[group][entry].1.as_bytes();
            let mut at = 0;
            while at < text.len() {
                if text[at] == 0xe2 {
                    // Of the characters outside ASCII only `…` may be there.
                    assert!(text[at + 1] == 0x80 && text[at + 2] == 0xa6, "a text is not ASCII");
                    packed.texts[packed.len] = GAP;
                    at += 3;
                } else {
                    assert!(text[at] < 128 && text[at] > GAP, "a text is not ASCII");
                    packed.texts[packed.len] = text[at];
                    at += 1;
                }
                packed.len += 1;
            }
            // The 0 is there.
            packed.len += 1;
            entry += 1;
        }
        group += 1;
    }
    packed
}

const fn pack() -> Packed {
    let mut packed = plain();
    let mut chosen = 0;
    while chosen < PAIRS {
        let mut counts = [[0_u16; 256]; 256];
        let mut at = 1;
        while at < packed.len {
            let (first, second) = (packed.texts[at - 1], packed.texts[at]);
            if first != 0 && second != 0 {
                counts[first as usize][second as usize] += 1;
            }
            at += 1;
        }
        // The pairs that occur most often, and how often; what stands for them is kept in their place of `counts`.
        let mut best = [(0_u16, [0_u8; 2]); AT_A_TIME];
        let mut first = 1;
        while first < 256 {
            let mut second = 1;
            while second < 256 {
                let mut found = (counts[first][second], [first as u8, second as u8]);
                if found.0 > best[AT_A_TIME - 1].0 {
                    let mut place = 0;
                    while place < AT_A_TIME {
                        if found.0 > best[place].0 {
                            let other = best[place];
                            best[place] = found;
                            found = other;
                        }
                        place += 1;
                    }
                }
                second += 1;
            }
            first += 1;
        }
        let mut replaced = [[0_u8; 256]; 256];
        let mut place = 0;
        while place < AT_A_TIME {
            let pair = best[place].1;
            packed.pairs[chosen] = pair;
            replaced[pair[0] as usize][pair[1] as usize] = (FIRST_PAIR + chosen) as u8;
            chosen += 1;
            place += 1;
        }
        let (mut from, mut to) = (0, 0);
        while from < packed.len {
            let byte = packed.texts[from];
            let pair = replaced[byte as usize][packed.texts[from + 1] as usize];
            if byte != 0 && pair != 0 {
                packed.texts[to] = pair;
                from += 2;
            } else {
                packed.texts[to] = byte;
                from += 1;
            }
            to += 1;
        }
        packed.len = to;
    }
    packed
}

const PACKED: Packed = pack();

const fn texts() -> [u8; PACKED.len] {
    let mut texts = [0; PACKED.len];
    let mut at = 0;
    while at < texts.len() {
        texts[at] = PACKED.texts[at];
        at += 1;
    }
    texts
}

static CODES: [u8; count()] = codes();
static TEXTS: [u8; PACKED.len] = texts();
static PAIR_TABLE: [[u8; 2]; PAIRS] = PACKED.pairs;

/// Gives the bytes of a code's text to `each`, one after the other; none for an unknown code.
pub(super) fn unpack(code: u16, each: &mut impl FnMut(u8)) {
    let Some(place) = CODES.iter().position(|known| u16::from(*known) == code) else {
        return;
    };
    let text = TEXTS.split(|byte| *byte == 0).nth(place).unwrap_or(&[]);
    for byte in text {
        expand(*byte, each);
    }
}

/// Ends, because a pair stands for bytes that were there before it.
fn expand(byte: u8, each: &mut impl FnMut(u8)) {
    match usize::from(byte)
        .checked_sub(FIRST_PAIR)
        .and_then(|pair| PAIR_TABLE.get(pair))
    {
        Some([first, second]) => {
            expand(*first, each);
            expand(*second, each);
        }
        None => each(byte),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    #[test]
    fn every_text_comes_out_as_it_went_in() {
        let mut plain_len = 0;
        for (code, text) in ALL.iter().flat_map(|group| group.iter()) {
            let mut unpacked = String::new();
            unpack(*code, &mut |byte| match byte {
                GAP => unpacked.push('…'),
                byte => unpacked.push(char::from(byte)),
            });
            assert_eq!(unpacked, *text, "E{code}");
            plain_len += text.len();
        }
        let packed_len = size_of_val(&CODES) + size_of_val(&TEXTS) + size_of_val(&PAIR_TABLE);
        std::println!("{plain_len} bytes of text take {packed_len}");
        assert!(packed_len < plain_len * 2 / 3);
        unpack(0, &mut |_| panic!("no code"));
        unpack(999, &mut |_| panic!("no code"));
    }
}
