//! Prefix codes that are told by the lengths of their words alone (RFC 1951, section 3.2.2).

use super::bits::Bits;
use crate::unpack::Fault;

/// Longest word.
const MAX_LEN: usize = 15;

/// A code for symbols from 0 on: how many words of each length there are, and the symbols in the order of their words.
///
/// Words are read bit by bit: tables that are quicker take kilobytes.
#[derive(Debug)]
pub(super) struct Code<S: ?Sized = [u16]> {
    counts: [u16; MAX_LEN + 1],
    symbols: S,
}

impl<const N: usize> Code<[u16; N]> {
    pub(super) const fn new() -> Self {
        Code {
            counts: [0; MAX_LEN + 1],
            symbols: [0; N],
        }
    }
}

impl Code {
    /// Makes it the code whose words have these lengths, at most 15; 0 for a symbol without a word.
    ///
    /// Words must not be the beginning of others, nor may any be left over. A code of no word, or of one with one bit, is complete
    /// enough: a block without or with one kind of distance has such a one (section 3.2.7).
    #[inline(never)]
    pub(super) fn set(&mut self, lens: &[u8]) -> Result<(), Fault> {
        self.counts = [0; MAX_LEN + 1];
        for &len in lens {
            *at(&mut self.counts, usize::from(len))? += 1;
        }
        let [without, singles, ..] = self.counts;
        let used = lens.len() - usize::from(without);
        // Where the symbols of a length begin.
        let mut starts = [0_u16; MAX_LEN + 1];
        let (mut free, mut start) = (1_i32, 0);
        for (place, &count) in starts.iter_mut().zip(&self.counts).skip(1) {
            *place = start;
            start += count;
            free = free * 2 - i32::from(count);
            if free < 0 {
                return Err(Fault::Malformed);
            }
        }
        if free > 0 && used > usize::from(singles == 1) {
            return Err(Fault::Malformed);
        }
        for (symbol, &len) in (0..).zip(lens) {
            if len > 0 {
                let start = at(&mut starts, usize::from(len))?;
                *at(&mut self.symbols, usize::from(*start))? = symbol;
                *start += 1;
            }
        }
        Ok(())
    }

    /// The symbol of the next word; `None`, and nothing used, if not all of it is there.
    #[inline(never)]
    pub(super) fn decode(&self, bits: &mut Bits) -> Result<Option<u16>, Fault> {
        let mut rest = *bits;
        let (mut word, mut first, mut index) = (0, 0, 0);
        for &count in self.counts.iter().skip(1) {
            let Some(bit) = rest.take(1) else { return Ok(None) };
            // Words of one length follow each other as numbers; the first of them is behind the last of the shorter ones.
            let (len_word, count) = (word | u32::from(bit), u32::from(count));
            if len_word < first + count {
                *bits = rest;
                let symbol = self.symbols.get((index + len_word - first) as usize);
                return symbol.copied().ok_or(Fault::Malformed).map(Some);
            }
            index += count;
            first = (first + count) << 1;
            word = len_word << 1;
        }
        Err(Fault::Malformed)
    }
}

/// A place that a well-formed stream has.
pub(super) fn at<T>(places: &mut [T], index: usize) -> Result<&mut T, Fault> {
    places.get_mut(index).ok_or(Fault::Malformed)
}
