//! The texts, packed by the compiler: seven and a half kilobytes of English take three and a half.
//!
//! Bytes that are no character of the texts stand for two others, which may stand for two others again. Which pairs, is chosen when
//! the crate is compiled: those that occur most often, a few at a time. The texts are in the order of their codes, an empty one for
//! each code that there is not; each ends with [`END`], and [`GAP`] is where a message adds something.
//!
//! Depends on the table alone.

use super::table::{ALL, is_seldom, is_used};

/// In the place of `…`.
const GAP: u8 = b'@';

/// The characters of the texts are from the blank to `z`. What is behind them, and what is in front of [`END`], stands for pairs.
const FIRST_PAIR: u8 = b'z' + 1;
const END: u8 = b' ' - 1;
const PAIRS: usize = END.wrapping_sub(FIRST_PAIR) as usize;
/// So many pairs are chosen at a time, out of so many.
const AT_A_TIME: usize = 8;
const LOOKED_AT: usize = 32;
const MAX_LEN: usize = 16 * 1024;

struct Packed {
    texts: [u8; MAX_LEN],
    len: usize,
    pairs: [[u8; 2]; PAIRS],
}

impl Packed {
    const fn push(&mut self, byte: u8) {
        self.texts[self.len] = byte;
        self.len += 1;
    }
}

/// All texts, one behind the other, not packed yet.
const fn plain() -> Packed {
    let mut packed = Packed {
        texts: [END; MAX_LEN],
        len: 0,
        pairs: [[0; 2]; PAIRS],
    };
    let (mut group, mut next) = (0, 0);
    while group < ALL.len() {
        let mut entry = 0;
        while entry < ALL[group].len() {
            let (code, text) = ALL[group][entry];
            assert!(code < 256, "codes above 255 are the modules'");
            assert!(code >= next, "the codes are not in order");
            while next < code {
                packed.push(END);
                next += 1;
            }
            let text = if is_used(code) { text.as_bytes() } else { &[] };
            let mut at = 0;
            while at < text.len() {
                if text[at] == 0xe2 {
                    // Of the characters outside ASCII only `…` may be there.
                    assert!(text[at + 1] == 0x80 && text[at + 2] == 0xa6, "a text is not ASCII");
                    packed.push(GAP);
                    at += 3;
                } else {
                    let known = text[at] > END && text[at] < FIRST_PAIR && text[at] != GAP;
                    assert!(known, "a text has a character that is none here");
                    packed.push(text[at]);
                    at += 1;
                }
            }
            packed.push(END);
            next = code + 1;
            entry += 1;
        }
        group += 1;
    }
    packed
}

/// A pair of bytes, and how often it occurs.
#[derive(Clone, Copy)]
struct Pair {
    bytes: [u8; 2],
    count: u16,
}

/// The pairs that occur most often, the first one most.
const fn most_frequent(packed: &Packed) -> [Pair; LOOKED_AT] {
    let mut counts = [[0_u16; 256]; 256];
    let mut at = 1;
    while at < packed.len {
        let (first, second) = (packed.texts[at - 1], packed.texts[at]);
        if first != END && second != END {
            counts[first as usize][second as usize] += 1;
        }
        at += 1;
    }
    let none = Pair {
        bytes: [END; 2],
        count: 0,
    };
    let mut best = [none; LOOKED_AT];
    at = 1;
    while at < packed.len {
        let bytes = [packed.texts[at - 1], packed.texts[at]];
        let count = &mut counts[bytes[0] as usize][bytes[1] as usize];
        let mut found = Pair { bytes, count: *count };
        if found.count > best[LOOKED_AT - 1].count {
            // Each pair only once.
            *count = 0;
            let mut place = 0;
            while place < LOOKED_AT {
                if found.count > best[place].count {
                    let other = best[place];
                    best[place] = found;
                    found = other;
                }
                place += 1;
            }
        }
        at += 1;
    }
    best
}

/// The same with [`PAIRS`] pairs replaced.
const fn pack() -> Packed {
    let mut packed = plain();
    let mut chosen = 0;
    while chosen < PAIRS {
        let best = most_frequent(&packed);
        let mut replaced = [[END; 256]; 256];
        // Some at a time, but none that shares a byte with another one: where one is replaced the other does not occur any more.
        let (mut firsts, mut seconds) = ([false; 256], [false; 256]);
        let (mut place, last) = (0, chosen + AT_A_TIME);
        while place < LOOKED_AT && chosen < last && chosen < PAIRS {
            let [first, second] = best[place].bytes;
            if !seconds[first as usize] && !firsts[second as usize] {
                firsts[first as usize] = true;
                seconds[second as usize] = true;
                packed.pairs[chosen] = [first, second];
                replaced[first as usize][second as usize] = FIRST_PAIR.wrapping_add(chosen as u8);
                chosen += 1;
            }
            place += 1;
        }
        let (mut from, mut to) = (0, 0);
        while from < packed.len {
            let byte = packed.texts[from];
            let pair = replaced[byte as usize][packed.texts[from + 1] as usize];
            packed.texts[to] = if pair == END { byte } else { pair };
            from += if pair == END { 1 } else { 2 };
            to += 1;
        }
        packed.len = to;
    }
    packed
}

const PACKED: Packed = pack();

/// Some of the packed texts, in the order of their codes: those that are seen on hosts and in logs alone, or all others. Of others
/// there is nothing but their ends, if they have a place.
const fn only(seldom: bool) -> ([u8; MAX_LEN], usize) {
    let (mut texts, mut len) = ([END; MAX_LEN], 0);
    let (mut at, mut code) = (0, 0);
    while at < PACKED.len {
        let byte = PACKED.texts[at];
        let is_one = is_seldom(code) == seldom;
        if is_one || (byte == END && !seldom) {
            texts[len] = byte;
            len += 1;
        }
        if byte == END {
            code += 1;
        }
        at += 1;
    }
    (texts, len)
}

const OFTEN: ([u8; MAX_LEN], usize) = only(false);
const SELDOM: ([u8; MAX_LEN], usize) = only(true);

static TEXTS: [u8; OFTEN.1] = *OFTEN.0.first_chunk().unwrap();
static SELDOM_TEXTS: [u8; SELDOM.1] = *SELDOM.0.first_chunk().unwrap();
static PAIR_TABLE: [[u8; 2]; PAIRS] = PACKED.pairs;

/// A text as it is kept; an empty one for an unknown code.
#[derive(Clone, Copy)]
pub(crate) struct PackedText(&'static [u8]);

impl PackedText {
    pub(super) fn of(code: u16) -> PackedText {
        PackedText::nth(&TEXTS, usize::from(code))
    }

    /// Of those that are seen on hosts and in logs alone, the one at this place.
    pub(super) fn seldom(place: u8) -> PackedText {
        PackedText::nth(&SELDOM_TEXTS, usize::from(place))
    }

    fn nth(texts: &'static [u8], place: usize) -> PackedText {
        PackedText(texts.split(|byte| *byte == END).nth(place).unwrap_or(&[]))
    }

    /// Gives its bytes to `each`, one after the other; `None` where a message adds something.
    pub(crate) fn each_byte(self, mut each: impl FnMut(Option<u8>)) {
        for byte in self.0 {
            expand(*byte, &mut |byte| each((byte != GAP).then_some(byte)));
        }
    }
}

/// Ends, because a pair stands for bytes that were there before it.
fn expand(byte: u8, each: &mut impl FnMut(u8)) {
    match PAIR_TABLE.get(usize::from(byte.wrapping_sub(FIRST_PAIR))) {
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
            let packed = match is_seldom(*code) {
                true => PackedText::seldom(crate::codes::Seldom::new(*code).place),
                false => PackedText::of(*code),
            };
            packed.each_byte(|byte| unpacked.push(byte.map_or('…', char::from)));
            // A text that needs a feature takes no flash without it.
            let text = if is_used(*code) { *text } else { "" };
            assert_eq!(unpacked, text, "E{code}");
            plain_len += text.len();
        }
        let packed_len = size_of_val(&TEXTS) + size_of_val(&SELDOM_TEXTS) + size_of_val(&PAIR_TABLE);
        std::println!("{plain_len} bytes of text take {packed_len}");
        assert!(packed_len < plain_len / 2);
        PackedText::of(0).each_byte(|_| panic!("no code"));
        PackedText::of(999).each_byte(|_| panic!("no code"));
    }
}
