//! Packs by hand: what is a copy of what is told.

/// A part of the data.
#[derive(Clone, Copy, Debug)]
pub enum Token {
    Byte(u8),
    /// `len` bytes, from 3 to 258, from so far back.
    Copy {
        len: usize,
        distance: usize,
    },
}

/// Bits, lowest first.
#[derive(Default)]
pub struct Bits {
    pub bytes: Vec<u8>,
    free: u32,
}

impl Bits {
    pub fn put(&mut self, value: usize, count: u32) {
        for bit in 0..count {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (8 - self.free);
            self.free -= 1;
        }
    }

    /// A word of a prefix code, highest bit first.
    pub fn word(&mut self, word: usize, count: u32) {
        for bit in (0..count).rev() {
            self.put(word >> bit & 1, 1);
        }
    }

    pub fn align(&mut self) {
        self.free = 0;
    }

    fn literal(&mut self, symbol: usize) {
        match symbol {
            0..144 => self.word(0x30 + symbol, 8),
            144..256 => self.word(0x190 + symbol - 144, 9),
            256..280 => self.word(symbol - 256, 7),
            _ => self.word(0xc0 + symbol - 280, 8),
        }
    }

    /// The last block, with the fixed code.
    pub fn fixed_block(&mut self, tokens: &[Token]) {
        self.put(0b011, 3);
        for token in tokens {
            match *token {
                Token::Byte(byte) => self.literal(usize::from(byte)),
                Token::Copy { len, distance } => {
                    let (symbol, base, more) = LENS.iter().rev().find(|(_, base, _)| *base <= len).unwrap();
                    self.literal(*symbol);
                    self.put(len - base, *more);
                    let (symbol, base, more) = distances()
                        .into_iter()
                        .rev()
                        .find(|(_, base, _)| *base <= distance)
                        .unwrap();
                    self.word(symbol, 5);
                    self.put(distance - base, more);
                }
            }
        }
        self.literal(256);
    }
}

/// Symbol, shortest length, further bits: RFC 1951, section 3.2.5.
const LENS: [(usize, usize, u32); 29] = [
    (257, 3, 0),
    (258, 4, 0),
    (259, 5, 0),
    (260, 6, 0),
    (261, 7, 0),
    (262, 8, 0),
    (263, 9, 0),
    (264, 10, 0),
    (265, 11, 1),
    (266, 13, 1),
    (267, 15, 1),
    (268, 17, 1),
    (269, 19, 2),
    (270, 23, 2),
    (271, 27, 2),
    (272, 31, 2),
    (273, 35, 3),
    (274, 43, 3),
    (275, 51, 3),
    (276, 59, 3),
    (277, 67, 4),
    (278, 83, 4),
    (279, 99, 4),
    (280, 115, 4),
    (281, 131, 5),
    (282, 163, 5),
    (283, 195, 5),
    (284, 227, 5),
    (285, 258, 0),
];

fn distances() -> Vec<(usize, usize, u32)> {
    let mut base = 1;
    (0..30)
        .map(|symbol: usize| {
            let more = (symbol / 2).saturating_sub(1) as u32;
            let entry = (symbol, base, more);
            base += 1 << more;
            entry
        })
        .collect()
}

/// The data that the tokens stand for.
pub fn data(tokens: &[Token]) -> Vec<u8> {
    let mut data = Vec::new();
    for token in tokens {
        match *token {
            Token::Byte(byte) => data.push(byte),
            Token::Copy { len, distance } => {
                for _ in 0..len {
                    data.push(data[data.len() - distance]);
                }
            }
        }
    }
    data
}

/// A member with these blocks, whose checksum is that of `data`.
pub fn member(blocks: &[u8], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    [
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff",
        blocks,
        &crc.sum().to_le_bytes(),
        &crc.amount().to_le_bytes(),
    ]
    .concat()
}

/// A member of one block with the fixed code.
pub fn pack(tokens: &[Token]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.fixed_block(tokens);
    member(&bits.bytes, &data(tokens))
}
