//! Patches: never a panic, always an end, nothing of the old image that is not there, the same outcome however they are cut, and what is
//! accepted is what a second decoder makes of it.

use mender_modules::delta::{Fault, Patch, Piece};
use mender_testkit::delta::{self, Compression};

use crate::chance::{self, Chance};

/// Lengths of the new and the old image, of two bytes each; the old image; the patch.
pub fn delta(bytes: &[u8]) {
    let Some((&[a, b, c, d], rest)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let (new_len, old_len) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let (old, patch) = rest.split_at(rest.len().min(old_len.into()));
    let mut chance = chance::of(bytes);
    let whole = apply(patch, old, new_len.into(), 256, || usize::MAX);
    for buffer_len in [1, 2 + chance.below(40), 5000] {
        let cut = apply(patch, old, new_len.into(), buffer_len, || 1 + chance.below(20));
        assert_eq!(cut, whole, "the outcome depends on the pieces");
    }
    if let Ok(new) = whole {
        assert_eq!(new.len(), usize::from(new_len));
        let other = Reader::new(patch).and_then(|reader| reader.apply(old));
        assert_eq!(
            other.as_ref(),
            Some(&new),
            "a second decoder makes something else of it"
        );
    }
}

fn apply(
    mut patch: &[u8],
    old: &[u8],
    new_len: u32,
    buffer_len: usize,
    mut piece_len: impl FnMut() -> usize,
) -> Result<Vec<u8>, Fault> {
    let (mut window, mut buffer) = (vec![0xa5; 4096], vec![0x5a; buffer_len]);
    let mut decoder = Patch::new(old.len() as u32, new_len);
    let mut new = Vec::new();
    while !patch.is_empty() {
        let (mut piece, rest) = patch.split_at(patch.len().min(piece_len()));
        patch = rest;
        loop {
            match decoder.next(&mut piece, &mut window, &mut buffer) {
                Ok(Piece::More) => break,
                Ok(Piece::New(len)) => new.extend_from_slice(&buffer[..len]),
                Ok(Piece::Changed { from, len }) => {
                    let old = &old[from as usize..][..len];
                    new.extend(buffer.iter().zip(old).map(|(change, old)| change.wrapping_add(*old)));
                }
                Err(fault) => {
                    assert_eq!(decoder.finish(), Err(fault), "a fault is final");
                    return Err(fault);
                }
            }
            assert!(new.len() <= new_len as usize, "more than was asked for");
        }
        assert!(piece.is_empty(), "all of the input is used");
    }
    decoder.finish().map(|()| new)
}

/// A patch that is there as a whole, unpacked: slow and simple.
struct Reader {
    data: std::vec::IntoIter<u8>,
    new_len: usize,
}

impl Reader {
    fn new(patch: &[u8]) -> Option<Reader> {
        let bytes = Vec::from(patch);
        let mut header = Reader {
            data: bytes.into_iter(),
            new_len: 0,
        };
        let kind = header.data.next()?;
        let new_len = usize::try_from(header.number()?).ok()?;
        let data = match kind {
            0 => header.data.collect(),
            // Of an empty image nothing follows.
            _ if new_len == 0 => Vec::new(),
            _ => {
                let parameters = header.data.next()?;
                unpack(header.data.as_slice(), (parameters >> 4) + 4, (parameters & 15) + 3)
            }
        };
        Some(Reader {
            data: data.into_iter(),
            new_len,
        })
    }

    fn number(&mut self) -> Option<i64> {
        let first = self.data.next()?;
        let (mut value, mut shift, mut more) = (i64::from(first & 0x3f), 6, first & 0x80 != 0);
        while more {
            let byte = self.data.next()?;
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            more = byte & 0x80 != 0;
        }
        Some(if first & 0x40 == 0 { value } else { -value })
    }

    fn apply(mut self, old: &[u8]) -> Option<Vec<u8>> {
        let (mut new, mut at) = (Vec::new(), 0_i64);
        if self.new_len > 0 && self.number()? != 0 {
            return None;
        }
        while new.len() < self.new_len {
            for _ in 0..self.number()? {
                new.push(old.get(usize::try_from(at).ok()?)?.wrapping_add(self.data.next()?));
                at += 1;
            }
            for _ in 0..self.number()? {
                new.push(self.data.next()?);
            }
            at += self.number()?;
        }
        Some(new)
    }
}

fn unpack(packed: &[u8], window_bits: u8, length_bits: u8) -> Vec<u8> {
    let mut bits = packed
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1));
    let mut number = |count: u8| (0..count).try_fold(0_usize, |value, _| Some(value << 1 | usize::from(bits.next()?)));
    let mut data = Vec::new();
    while let Some(literal) = number(1) {
        if literal == 1 {
            let Some(byte) = number(8) else { break };
            data.push(byte as u8);
        } else {
            let (Some(distance), Some(len)) = (number(window_bits), number(length_bits)) else {
                break;
            };
            for _ in 0..=len {
                let from = data.len().checked_sub(distance + 1);
                // Before the first byte there are zeros.
                data.push(from.map_or(0, |from| data[from]));
            }
        }
    }
    data
}

/// Patches of each kind, of images that are alike.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut chance = Chance::new(7);
    let old: Vec<u8> = (0..700_u16).map(|at| (at / 5) as u8).collect();
    let mut new = old.clone();
    new.extend(0..40);
    for _ in 0..9 {
        let at = chance.below(new.len());
        new[at] ^= 3;
    }
    let short = |window_bits, length_bits| Compression::Heatshrink {
        window_bits,
        length_bits,
    };
    [Compression::None, Compression::HEATSHRINK, short(4, 3), short(12, 11)]
        .into_iter()
        .flat_map(|compression| {
            [(&old, &new), (&new, &old), (&Vec::new(), &new)].map(|(old, new)| {
                let lens = [new.len() as u16, old.len() as u16].map(u16::to_le_bytes).concat();
                [&lens[..], old, &delta::patch(old, new, compression)].concat()
            })
        })
        .collect()
}
