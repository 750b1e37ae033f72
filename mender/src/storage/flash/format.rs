//! The bytes of a half and of an item: what [`FlashStorage`](super::FlashStorage) draws, without IO.

use core::iter;
use core::marker::PhantomData;

use embedded_storage_async::nor_flash::NorFlash;

/// Of the format. Another one is not read, and not written over.
const VERSION: u32 = 1;

/// Key, length and CRC of an item.
pub(super) const ITEM_HEAD_LEN: u32 = 7;
/// In an item's first byte: the record was removed.
pub(super) const REMOVED: u8 = 0x80;
/// The highest number of a half.
pub(super) const MAX_NUMBER: u32 = 0xff_ffff;
/// Longest word, and longest piece that is read or written at once.
pub(super) const MAX_WINDOW_LEN: usize = 32;

const HALF_HEAD_LEN: usize = 8;

/// The longest record that an item's length can tell. With one byte more its first word could look erased.
pub(super) const MAX_LEN: u32 = 0xfffe;

/// Lengths of things in the flash `F`.
pub(super) struct Layout<F>(PhantomData<F>);

impl<F: NorFlash> Layout<F> {
    /// Items begin at its multiples: what can be read and written, and not so small that a scan takes long.
    pub(super) const WORD: u32 = 4_u32.next_multiple_of(if F::WRITE_SIZE > F::READ_SIZE {
        F::WRITE_SIZE
    } else {
        F::READ_SIZE
    } as u32);
    /// Whole words that are read or written at once.
    pub(super) const WINDOW: u32 = MAX_WINDOW_LEN as u32 / Self::WORD * Self::WORD;
    /// Of a half's head; the first item follows.
    pub(super) const HEAD: u32 = (HALF_HEAD_LEN as u32).next_multiple_of(Self::WORD);

    /// What an item with a record of this length takes.
    pub(super) const fn item_len(record_len: u32) -> u32 {
        (ITEM_HEAD_LEN + record_len).next_multiple_of(Self::WORD)
    }
}

/// A piece of flash in memory, as if the flash erased to `0xff`. Some flash drivers want an address of whole words.
#[derive(Clone, Copy)]
#[repr(align(4))]
pub(super) struct Window(pub(super) [u8; MAX_WINDOW_LEN]);

/// What a head shows that is not a whole one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// Nothing at all.
    Erased,
    /// The first head that a range ever gets, with bits missing.
    TornFirst,
    /// Something else.
    Foreign,
}

impl Window {
    pub(super) const ERASED: Window = Window([0xff; MAX_WINDOW_LEN]);

    /// The first bytes.
    pub(super) fn start_mut(&mut self, len: u32) -> &mut [u8] {
        let len = self.0.len().min(len as usize);
        self.0.get_mut(..len).unwrap_or_default()
    }

    /// Between bytes as they are in a flash that erases to something else, and as if it erased to `0xff`.
    pub(super) fn flip(&mut self, len: u32, flip: u8) {
        for byte in self.start_mut(len) {
            *byte ^= flip;
        }
    }

    /// A CRC of the first bytes.
    pub(super) fn sum(&self, len: u32) -> u32 {
        let mut crc = Crc::START;
        for byte in self.part(0, len) {
            crc.add(*byte);
        }
        crc.value()
    }

    /// How many of the first bytes are erased.
    pub(super) fn erased_len(&self) -> u32 {
        self.0.iter().take_while(|byte| **byte == 0xff).count() as u32
    }

    pub(super) fn part(&self, start: u32, len: u32) -> &[u8] {
        self.0.get(start as usize..(start + len) as usize).unwrap_or(&[])
    }

    pub(super) fn put<'b>(&mut self, bytes: impl Iterator<Item = &'b u8>) {
        for (place, byte) in self.0.iter_mut().zip(bytes) {
            *place = *byte;
        }
    }

    /// Of a window at the start of a half: the half's number, or 0.
    pub(super) fn half_number(&self) -> u32 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        let first = u32::from_le_bytes([a, b, c, d]);
        if first == !u32::from_le_bytes([e, f, g, h]) && first >> 24 == VERSION {
            first & 0xff_ffff
        } else {
            0
        }
    }

    /// Of a window at the start of a half without a number.
    pub(super) fn trace(&self, head_len: u32) -> Trace {
        let first = half_head(1);
        let mut expected = first.iter().chain(iter::repeat(&0xff));
        let mut trace = Trace::Erased;
        for byte in self.part(0, head_len) {
            // A torn write leaves some of its zeros, and no other ones.
            if expected.next().is_some_and(|first| byte & first != *first) {
                return Trace::Foreign;
            }
            if *byte != 0xff {
                trace = Trace::TornFirst;
            }
        }
        trace
    }

    /// Of a window at the start of an item: key, length of the record, CRC.
    pub(super) fn item_head(&self) -> (u8, u32, u32) {
        let [key, a, b, c, d, e, f, ..] = self.0;
        let len = u16::from_le_bytes([a, b]);
        (key, u32::from(len), u32::from_le_bytes([c, d, e, f]))
    }
}

/// The head of the half with this number. A torn one is none, whichever bits are missing: in a whole one every bit is 0 at
/// exactly one of two places.
pub(super) fn half_head(number: u32) -> [u8; HALF_HEAD_LEN] {
    let [a, b, c, d] = (VERSION << 24 | number & 0xff_ffff).to_le_bytes();
    [a, b, c, d, !a, !b, !c, !d]
}

/// The head of an item.
pub(super) fn item_head(key: u8, len: u32, crc: u32) -> [u8; ITEM_HEAD_LEN as usize] {
    let ([a, b, ..], [c, d, e, f]) = (len.to_le_bytes(), crc.to_le_bytes());
    [key, a, b, c, d, e, f]
}

/// A CRC-32 (that of Ethernet and zip), bit by bit.
#[derive(Clone, Copy)]
pub(super) struct Crc(u32);

impl Crc {
    pub(super) const START: Crc = Crc(!0);

    /// Over key and length of an item; the record follows.
    pub(super) fn of_item(key: u8, len: u32) -> Crc {
        let [a, b, ..] = len.to_le_bytes();
        let mut crc = Crc::START;
        for byte in [key, a, b] {
            crc.add(byte);
        }
        crc
    }

    pub(super) fn add(&mut self, byte: u8) {
        self.0 ^= u32::from(byte);
        for _ in 0..8 {
            self.0 = self.0 >> 1 ^ 0xedb8_8320 & 0_u32.wrapping_sub(self.0 & 1);
        }
    }

    pub(super) fn value(self) -> u32 {
        !self.0
    }
}

/// Ties an item's CRC to its place: the same bytes are no item elsewhere, or in another life of the half.
pub(super) const fn seal(half_number: u32, at: u32) -> u32 {
    half_number.rotate_left(16) ^ at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_usual_one() {
        let mut crc = Crc::START;
        b"123456789".iter().for_each(|byte| crc.add(*byte));
        assert_eq!(crc.value(), 0xcbf4_3926);
    }

    /// Every mixture of written and missing bits, in each byte, and with all of the others there or not.
    #[test]
    fn a_torn_half_head_is_none() {
        for number in [1, 2, 0x00ff_00ff, 0xff_ffff] {
            let whole = half_head(number);
            let mut window = Window::ERASED;
            window.put(whole.iter());
            assert_eq!(window.half_number(), number);
            for at in 0..whole.len() {
                for missing in 1..=u8::MAX {
                    let mut torn = window;
                    torn.0[at] |= missing;
                    for rest in [&whole[at + 1..], &[0xff; 8][at + 1..]] {
                        torn.0[at + 1..8].copy_from_slice(rest);
                        let expected = if torn.0 == window.0 { number } else { 0 };
                        assert_eq!(torn.half_number(), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn only_remains_of_the_first_head_are_known() {
        let mut window = Window::ERASED;
        assert!(window.trace(8) == Trace::Erased);
        for at in 0..8 {
            for value in 0..=u8::MAX {
                let mut torn = Window::ERASED;
                torn.0[at] = value;
                let first = half_head(1)[at];
                let expected = match value {
                    0xff => Trace::Erased,
                    value if value & first == first => Trace::TornFirst,
                    _ => Trace::Foreign,
                };
                assert!(torn.trace(8) == expected);
            }
        }
        window.0[8] = 0xfe;
        assert!(window.trace(8) == Trace::Erased);
        assert!(window.trace(16) == Trace::Foreign);
    }
}
