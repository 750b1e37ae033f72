//! Patches in the format of [detools](https://detools.readthedocs.io) (`sequential`; `none` and `heatshrink`), for tests of modules that take
//! them.
//!
//! Not as short as detools makes them: bytes are compared with those at the same place of the old image only, so what has
//! moved is new. The module for it is `mender_modules::delta`, where the format is described.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

/// How a patch is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: it is somewhat longer than the new image.
    None,
    /// By heatshrink.
    Heatshrink {
        /// The window is 2 to the power of this long; 4 to 15.
        window_bits: u8,
        /// The longest copy likewise; at least 3, and less than the window's.
        length_bits: u8,
    },
}

impl Compression {
    /// heatshrink with a window of 1 KiB and copies of up to 128 bytes.
    pub const HEATSHRINK: Compression = Compression::Heatshrink {
        window_bits: 10,
        length_bits: 7,
    };
}

/// A patch that makes `new` of `old`.
///
/// ```
/// use mender_testkit::delta::{Compression, patch};
///
/// assert_eq!(patch(b"abc", b"abdXY", Compression::None), [0, 5, 0, 3, 0, 0, 1, 2, b'X', b'Y', 0]);
/// assert!(patch(&[7; 5000], &[7; 5000], Compression::HEATSHRINK).len() < 100);
/// ```
pub fn patch(old: &[u8], new: &[u8], compression: Compression) -> Vec<u8> {
    let mut data = number(0);
    let (common, added) = new.split_at(old.len().min(new.len()));
    data.extend(number(common.len()));
    data.extend(common.iter().zip(old).map(|(new, old)| new.wrapping_sub(*old)));
    data.extend(number(added.len()));
    data.extend_from_slice(added);
    data.extend(number(0));
    if new.is_empty() {
        data.clear();
    }
    let mut patch = Vec::new();
    match compression {
        Compression::None => {
            patch.push(0);
            patch.extend(number(new.len()));
            patch.extend(data);
        }
        Compression::Heatshrink {
            window_bits,
            length_bits,
        } => {
            patch.push(4);
            patch.extend(number(new.len()));
            if !data.is_empty() {
                patch.push((window_bits - 4) << 4 | (length_bits - 3));
                patch.extend(compress(&data, window_bits, length_bits));
            }
        }
    }
    patch
}

/// The meta-data that an artifact with such a patch has: lengths and hashes of both images, as a JSON object.
pub fn meta_data(old: &[u8], new: &[u8]) -> String {
    let hash = |bytes: &[u8]| -> String { Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect() };
    format!(
        r#"{{"from_len":{},"from_sha256":"{}","to_len":{},"to_sha256":"{}"}}"#,
        old.len(),
        hash(old),
        new.len(),
        hash(new)
    )
}

/// detools' number: six bits, then seven by seven, the lowest first.
fn number(value: usize) -> Vec<u8> {
    let (mut byte, mut rest) = (value as u8 & 0x3f, value >> 6);
    let mut bytes = Vec::new();
    while rest > 0 {
        bytes.push(byte | 0x80);
        byte = rest as u8 & 0x7f;
        rest >>= 7;
    }
    bytes.push(byte);
    bytes
}

/// heatshrink: of what the window holds, the place that had the same three bytes last.
fn compress(data: &[u8], window_bits: u8, length_bits: u8) -> Vec<u8> {
    let (window, longest) = (1 << window_bits, 1 << length_bits);
    let mut last = vec![usize::MAX; 1 << 16];
    let slot = |bytes: &[u8]| usize::from(bytes[0]) ^ usize::from(bytes[1]) << 4 ^ usize::from(bytes[2]) << 8;
    let mut bits = Bits::default();
    let mut at = 0;
    while at < data.len() {
        let mut len = 0;
        let mut from = at;
        if let Some(three) = data.get(at..at + 3) {
            from = last[slot(three)];
            if from < at && at - from <= window {
                let same = data[at..]
                    .iter()
                    .zip(&data[from..])
                    .take_while(|(one, other)| one == other);
                len = same.take(longest).count();
            }
        }
        let is_copy = len * 9 > 1 + usize::from(window_bits) + usize::from(length_bits);
        if is_copy {
            bits.push(0, 1);
            bits.push(at - from - 1, window_bits);
            bits.push(len - 1, length_bits);
        } else {
            len = 1;
            bits.push(1, 1);
            bits.push(data[at].into(), 8);
        }
        for at in at..at + len {
            if let Some(three) = data.get(at..at + 3) {
                last[slot(three)] = at;
            }
        }
        at += len;
    }
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Of the last byte.
    used: u8,
}

impl Bits {
    /// The lowest bits of a value, the highest of them first.
    fn push(&mut self, value: usize, count: u8) {
        for place in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = (value >> place & 1) as u8;
            *self.bytes.last_mut().expect("one is there") |= bit << (7 - self.used);
            self.used = (self.used + 1) % 8;
        }
    }
}
