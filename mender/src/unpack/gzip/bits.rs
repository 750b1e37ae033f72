//! The bits of the stream, lowest first (RFC 1951, section 3.1.1).

/// Bits that have come and were not used. At most 32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits {
    bits: u32,
    count: u8,
}

impl Bits {
    pub(super) const NONE: Bits = Bits { bits: 0, count: 0 };

    /// Takes whole bytes of the input while there is room: more than 24 bits are there then, if there is input.
    #[inline(always)]
    pub(super) fn fill(&mut self, input: &mut &[u8]) {
        while self.count <= 24
            && let Some((&byte, rest)) = input.split_first()
        {
            *input = rest;
            self.bits |= u32::from(byte) << self.count;
            self.count += 8;
        }
    }

    /// The next `count` bits, at most 16; `None` if not all of them are there.
    pub(super) fn take(&mut self, count: u8) -> Option<u16> {
        if self.count < count {
            return None;
        }
        let value = self.bits & ((1 << count) - 1);
        self.bits >>= count;
        self.count -= count;
        // Not more than 16 bits.
        Some(value as u16)
    }

    /// Drops what is left of a byte.
    pub(super) fn align(&mut self) {
        self.take(self.count % 8);
    }

    pub(super) fn is_empty(self) -> bool {
        self.count == 0
    }
}
