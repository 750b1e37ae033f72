//! heatshrink's decoder: bits in, a byte at a time out. Depends on nothing.
//!
//! A 1 and eight bits are a byte. A 0, the distance less one and the length less one are a copy of what came before; before the
//! first byte there are zeros. (heatshrink's `heatshrink_decoder.c`.)

use super::patch::Fault;

/// Where in a stream of heatshrink's, and what is known of it. The window is lent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heatshrink {
    window_bits: u8,
    length_bits: u8,
    /// So many of the lowest of `bits` wait.
    waiting: u8,
    bits: u32,
    /// What is left of a copy, and from how far behind.
    copies: u16,
    distance: u16,
    /// Where in the window the next byte goes; cut to its length when it is used.
    at: u16,
}

impl Heatshrink {
    /// `parameters` is the byte in front of the stream. The window is filled with zeros.
    pub(super) fn new(parameters: u8, window: &mut [u8]) -> Result<Heatshrink, Fault> {
        let window_bits = (parameters >> 4) + 4;
        let length_bits = (parameters & 0xf) + 3;
        // heatshrink itself wants the first two. A copy with up to seven bits behind it has to fit into the word where bits wait.
        if window_bits > 15 || length_bits >= window_bits || window_bits + length_bits > 24 {
            return Err(Fault::NotSupported);
        }
        if window.len() < 1 << window_bits {
            return Err(Fault::Window { bits: window_bits });
        }
        window.fill(0);
        Ok(Heatshrink {
            window_bits,
            length_bits,
            waiting: 0,
            bits: 0,
            copies: 0,
            distance: 0,
            at: 0,
        })
    }

    /// The next byte; `None`: more input is needed.
    pub(super) fn byte(&mut self, input: &mut &[u8], window: &mut [u8]) -> Option<u8> {
        let mask = (1_u16 << self.window_bits) - 1;
        let mut byte = None;
        if self.copies == 0 {
            let copy_bits = self.window_bits + self.length_bits;
            loop {
                let wanted = match self.waiting.checked_sub(1) {
                    None => 1,
                    Some(below) if self.bits >> below & 1 == 1 => 9,
                    Some(_) => 1 + copy_bits,
                };
                if self.waiting >= wanted {
                    break;
                }
                let (next, rest) = input.split_first()?;
                *input = rest;
                self.bits = self.bits << 8 | u32::from(*next);
                self.waiting += 8;
            }
            if self.take(1) == 1 {
                byte = Some(self.take(8) as u8);
            } else {
                self.distance = self.take(self.window_bits) + 1;
                self.copies = self.take(self.length_bits) + 1;
            }
        }
        let at = self.at & mask;
        let byte = match byte {
            Some(byte) => byte,
            None => {
                self.copies -= 1;
                *window.get(usize::from(at.wrapping_sub(self.distance) & mask))?
            }
        };
        *window.get_mut(usize::from(at))? = byte;
        self.at = at + 1;
        Some(byte)
    }

    /// Takes so many bits, of those that wait.
    fn take(&mut self, count: u8) -> u16 {
        self.waiting = self.waiting.saturating_sub(count);
        (self.bits >> self.waiting & ((1 << count) - 1)) as u16
    }

    /// Whether the stream may end here: what is left are the bits that fill up its last byte, zeros.
    pub(super) fn is_over(&self) -> bool {
        self.copies == 0 && self.waiting < 8 && self.bits & ((1 << self.waiting) - 1) == 0
    }
}
