//! A patch in the format of detools, of the type "sequential". What bsdiff finds, in another order of bytes.
//!
//! ```text
//! type and coding, length of the new image, [lengths of heatshrink's window and lookahead]
//! coded: data format (0), then until the new image is complete:
//!   length, that many bytes to be added to the old image's
//!   length, that many bytes of the new image
//!   by how much to go on in the old image
//! ```
//!
//! Rules: spec of compression and delta, section 2.

use std::io;

use heatshrink::Config;

/// log2 of the bytes that a device keeps, and of the longest repetition.
const WINDOW: u8 = 10;
const LOOKAHEAD: u8 = 7;

/// What a patch is coded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Nothing: for an artifact that is compressed itself.
    None,
    /// heatshrink with a window of 1 KiB.
    Heatshrink,
}

/// The patch that makes the new image out of the old one.
///
/// # Errors
///
/// What `bsdiff` says.
pub fn patch(old: &[u8], new: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    let mut patch = vec![match coding {
        Coding::None => 0,
        Coding::Heatshrink => 4,
    }];
    number(&mut patch, new.len() as i64);
    if new.is_empty() {
        return Ok(patch);
    }
    let plain = chunks(old, new)?;
    match coding {
        Coding::None => patch.extend(plain),
        Coding::Heatshrink => {
            patch.push((WINDOW - 4) << 4 | (LOOKAHEAD - 3));
            let config = Config::new(WINDOW, LOOKAHEAD).map_err(io::Error::other)?;
            // A byte that is repeated nowhere takes nine bits.
            let mut coded = vec![0; plain.len() + plain.len().div_ceil(8) + 1];
            let coded = heatshrink::encode(&plain, &mut coded, &config)
                .map_err(|error| io::Error::other(format!("heatshrink: {error:?}")))?;
            patch.extend_from_slice(coded);
        }
    }
    Ok(patch)
}

/// bsdiff's triples of three numbers of 8 bytes, the bytes to be added, and the new ones.
fn chunks(old: &[u8], new: &[u8]) -> io::Result<Vec<u8>> {
    let mut found = Vec::new();
    bsdiff::diff(old, new, &mut found)?;
    let mut plain = Vec::new();
    number(&mut plain, 0);
    let mut rest = found.as_slice();
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    while !rest.is_empty() {
        let mut next = [0_i64; 3];
        for value in &mut next {
            let (bytes, behind) = rest.split_first_chunk().ok_or_else(cut)?;
            rest = behind;
            *value = sign_and_magnitude(u64::from_le_bytes(*bytes));
        }
        let [add, extra, seek] = next;
        for len in [add, extra] {
            number(&mut plain, len);
            let len = usize::try_from(len).map_err(io::Error::other)?;
            let (bytes, behind) = rest.split_at_checked(len).ok_or_else(cut)?;
            plain.extend_from_slice(bytes);
            rest = behind;
        }
        number(&mut plain, seek);
    }
    Ok(plain)
}

/// As bsdiff writes its numbers.
fn sign_and_magnitude(bits: u64) -> i64 {
    let magnitude = (bits & (u64::MAX >> 1)) as i64;
    if bits >> 63 == 0 { magnitude } else { -magnitude }
}

/// As detools writes its numbers: the low bits first, six of them and the sign in the first byte, seven in the others.
fn number(out: &mut Vec<u8>, value: i64) {
    let mut rest = value.unsigned_abs();
    let mut byte = (rest & 0x3f) as u8 | if value < 0 { 0x40 } else { 0 };
    rest >>= 6;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}
