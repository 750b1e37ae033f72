//! Patches in the format of [detools](https://detools.readthedocs.io) (`sequential`; `none` and `heatshrink`), for tests of modules that take
//! them.
//!
//! Those of [`patch`] are not as short as detools makes them: bytes are compared with those at the same place of the old image only, so
//! what has moved is new. `mender-pack` makes short ones. The module for it is `mender_modules::delta`, where the format is described.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use heatshrink::Config;
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
///
/// # Panics
/// When the lengths of the compression are not ones that heatshrink has.
pub fn patch(old: &[u8], new: &[u8], compression: Compression) -> Vec<u8> {
    let (common, added) = new.split_at(old.len().min(new.len()));
    let change = Change {
        add: common
            .iter()
            .zip(old)
            .map(|(new, old)| new.wrapping_sub(*old))
            .collect(),
        new: added.to_vec(),
        seek: 0,
    };
    encode(&[change], compression)
}

/// A part of the new image, and where in the old one to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Each to be added (modulo 256) to a byte of the old image.
    pub add: Vec<u8>,
    /// Bytes that are not in the old image.
    pub new: Vec<u8>,
    /// How far to go in the old image beyond the bytes that were added to.
    pub seek: i64,
}

/// The patch that consists of these changes, one behind the other.
///
/// # Panics
/// When the lengths of the compression are not ones that heatshrink has.
pub fn encode(changes: &[Change], compression: Compression) -> Vec<u8> {
    let mut patch = vec![match compression {
        Compression::None => 0,
        Compression::Heatshrink { .. } => 4,
    }];
    let len: usize = changes.iter().map(|change| change.add.len() + change.new.len()).sum();
    number(&mut patch, len as i64);
    if len == 0 {
        return patch;
    }
    let mut data = Vec::new();
    // No format of the data.
    number(&mut data, 0);
    for change in changes {
        for bytes in [&change.add, &change.new] {
            number(&mut data, bytes.len() as i64);
            data.extend_from_slice(bytes);
        }
        number(&mut data, change.seek);
    }
    match compression {
        Compression::None => patch.extend(data),
        Compression::Heatshrink {
            window_bits,
            length_bits,
        } => {
            patch.push((window_bits - 4) << 4 | (length_bits - 3));
            let config = Config::new(window_bits, length_bits).expect("lengths that heatshrink has");
            // A byte that is repeated nowhere takes nine bits.
            let mut compressed = vec![0; data.len() + data.len().div_ceil(8) + 1];
            let compressed = heatshrink::encode(&data, &mut compressed, &config).expect("there is room");
            patch.extend_from_slice(compressed);
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

/// detools' number: six bits and the sign, then seven by seven, the lowest first.
fn number(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = value.unsigned_abs();
    let mut byte = (rest & 0x3f) as u8 | if value < 0 { 0x40 } else { 0 };
    rest >>= 6;
    while rest > 0 {
        bytes.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    bytes.push(byte);
}
