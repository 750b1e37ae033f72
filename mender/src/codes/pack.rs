//! The texts, packed by the compiler: seven and a half kilobytes of English take three and a half.
//!
//! Bytes that are no character of the texts stand for two others, which may stand for two others again. Which pairs, is chosen when
//! the crate is compiled: those that occur most often, a few at a time. The texts are in the order of their codes, an empty one for
//! each code that there is not; each ends with [`END`], and [`GAP`] is where a message adds something.
//!
//! The update modules' texts are packed by the same pairs, which are in the firmware anyway, each module's when it is compiled.
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

/// What stands for each pair, [`END`] for most.
#[expect(
    clippy::large_const_arrays,
    reason = "read while texts are packed, by the compiler alone"
)]
const REPLACED: [[u8; 256]; 256] = {
    let mut replaced = [[END; 256]; 256];
    let mut pair = 0;
    while pair < PAIRS {
        let [first, second] = PACKED.pairs[pair];
        replaced[first as usize][second as usize] = FIRST_PAIR.wrapping_add(pair as u8);
        pair += 1;
    }
    replaced
};

/// The longest text of a module.
const MAX_MODULE_TEXT: usize = 120;

/// A module's text, packed by the pairs of the client's texts, and its length then.
const fn pack_one(text: &str) -> ([u8; MAX_MODULE_TEXT], usize) {
    let text = text.as_bytes();
    assert!(text.len() <= MAX_MODULE_TEXT, "a text is too long");
    let (mut packed, mut len) = ([END; MAX_MODULE_TEXT], 0);
    while len < text.len() {
        let byte = text[len];
        let known = byte > END && byte < FIRST_PAIR && byte != GAP;
        assert!(known, "a text has a character that is none here");
        packed[len] = byte;
        len += 1;
    }
    loop {
        // The pair that was chosen first, as another one may be made of it.
        let (mut best, mut at) = (PAIRS, 1);
        while at < len {
            let pair = REPLACED[packed[at - 1] as usize][packed[at] as usize].wrapping_sub(FIRST_PAIR) as usize;
            if pair < best {
                best = pair;
            }
            at += 1;
        }
        if best == PAIRS {
            return (packed, len);
        }
        let [first, second] = PACKED.pairs[best];
        let (mut from, mut to) = (0, 0);
        while from < len {
            let is_pair = from + 1 < len && packed[from] == first && packed[from + 1] == second;
            packed[to] = if is_pair {
                FIRST_PAIR.wrapping_add(best as u8)
            } else {
                packed[from]
            };
            from += if is_pair { 2 } else { 1 };
            to += 1;
        }
        len = to;
    }
}

/// Packs texts of a module, for [`Text::packed_cause`](crate::text::Text::packed_cause): they take half of their bytes then. Texts and
/// codes are in the order of the codes, which are below 65536; `first` is at most the first one. `LEN` is what [`packed_len`] gives.
///
/// # Panics
///
/// In a constant that is a compile error: the codes are not in order, a text has more than 120 bytes, a character that is not in ASCII
/// between the blank and `z`, or `@`; or `LEN` is another one.
pub const fn pack_texts<const LEN: usize>(first: u16, texts: &[(u16, &str)]) -> [u8; LEN] {
    let (mut packed, mut len) = ([END; LEN], 0);
    let (mut code, mut next) = (first, 0);
    while next < texts.len() {
        assert!(texts[next].0 >= code, "the codes are not in order");
        while code < texts[next].0 {
            // None has this code.
            len += 1;
            code += 1;
        }
        let (text, text_len) = pack_one(texts[next].1);
        let mut at = 0;
        while at < text_len {
            packed[len] = text[at];
            len += 1;
            at += 1;
        }
        len += 1;
        code += 1;
        next += 1;
    }
    assert!(len == LEN, "packed_len says how long they are");
    packed
}

/// The length of what [`pack_texts`] makes of these texts.
///
/// # Panics
///
/// As [`pack_texts`].
pub const fn packed_len(first: u16, texts: &[(u16, &str)]) -> usize {
    let (mut len, mut next) = (0, 0);
    while next < texts.len() {
        len += pack_one(texts[next].1).1;
        next += 1;
    }
    match texts {
        [] => 0,
        [.., (last, _)] => len + (*last - first + 1) as usize,
    }
}

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

    /// The text at this place of those that [`pack_texts`] has made.
    pub(crate) fn nth(texts: &'static [u8], place: usize) -> PackedText {
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

    const MODULE: &[(u16, &str)] = &[
        (901, "the image is malformed"),
        (904, "z"),
        (905, "no answer in time: try again"),
    ];
    static MODULE_TEXTS: [u8; packed_len(900, MODULE)] = pack_texts(900, MODULE);

    #[test]
    fn texts_of_a_module_are_at_their_places_and_others_are_empty() {
        let text = |place| {
            let mut unpacked = String::new();
            PackedText::nth(&MODULE_TEXTS, place).each_byte(|byte| unpacked.push(byte.map_or('…', char::from)));
            unpacked
        };
        let texts = [0, 1, 2, 3, 4, 5, 6, 700].map(text);
        let expected = ["", MODULE[0].1, "", "", MODULE[1].1, MODULE[2].1, "", ""];
        assert_eq!(texts, expected);
        assert_eq!(packed_len(900, &[]), 0);
    }

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
