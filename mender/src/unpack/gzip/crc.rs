//! The CRC-32 of RFC 1952, section 8, by half bytes: a table of 64 bytes.

#[derive(Clone, Copy, Debug)]
pub(super) struct Crc(u32);

impl Crc {
    pub(super) const NEW: Crc = Crc(!0);

    #[inline(never)]
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..2 {
                self.0 = self.0 >> 4 ^ TABLE[(self.0 & 15) as usize];
            }
        }
    }

    pub(super) fn value(self) -> u32 {
        !self.0
    }
}

static TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut at = 0;
    while at < 16 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 4 {
            value = value >> 1 ^ 0xedb8_8320 & 0_u32.wrapping_sub(value & 1);
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};
