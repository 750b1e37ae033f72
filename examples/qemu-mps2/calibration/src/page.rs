//! What is in a page. Depends on nothing.

/// What is written at once: a multiple of the write unit of any flash.
pub const SLOT: usize = 32;
/// Where in its page a table begins.
pub const TABLE_OFFSET: usize = 2 * SLOT;

/// What is known of a table before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) len: u32,
    pub(crate) sum: u32,
}

impl Head {
    pub(crate) fn read(slot: &[u8; SLOT]) -> Head {
        let [len, sum] = words(slot);
        Head { len, sum }
    }

    pub(crate) fn write(self) -> [u8; SLOT] {
        slot([self.len, self.sum])
    }
}

/// The slot that takes a table into use.
pub(crate) fn numbered(number: u32) -> [u8; SLOT] {
    slot([number, !number])
}

/// The number in it, if it was written completely.
pub(crate) fn number(slot: &[u8; SLOT]) -> Option<u32> {
    let [number, complement] = words(slot);
    (number == !complement).then_some(number)
}

fn slot([first, second]: [u32; 2]) -> [u8; SLOT] {
    let mut slot = [0xff; SLOT];
    let (head, rest) = slot.split_at_mut(4);
    head.copy_from_slice(&first.to_le_bytes());
    rest[..4].copy_from_slice(&second.to_le_bytes());
    slot
}

fn words(slot: &[u8; SLOT]) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h, ..] = *slot;
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// CRC-32 as in Ethernet: against accidents, not against attackers, whom the artifact's signature keeps away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum(u32);

impl Sum {
    pub(crate) fn new() -> Sum {
        Sum(u32::MAX)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                let carry = if self.0 & 1 == 1 { 0xedb8_8320 } else { 0 };
                self.0 = self.0 >> 1 ^ carry;
            }
        }
    }

    pub(crate) fn value(self) -> u32 {
        !self.0
    }
}

/// For the factory: the bytes at the start of a page with this table, calling `put` with each piece and its offset; and the table's CRC-32.
pub fn image(number: u32, table: &[u8], mut put: impl FnMut(usize, &[u8])) -> u32 {
    let mut sum = Sum::new();
    sum.update(table);
    let head = Head {
        len: table.len() as u32,
        sum: sum.value(),
    };
    put(0, &numbered(number));
    put(SLOT, &head.write());
    put(TABLE_OFFSET, table);
    sum.value()
}

#[cfg(test)]
mod tests {
    use super::Sum;

    /// The check value that catalogues of CRCs give.
    #[test]
    fn the_checksum_is_the_usual_one() {
        let mut sum = Sum::new();
        sum.update(b"123456789");
        assert_eq!(sum.value(), 0xcbf4_3926);
    }
}
