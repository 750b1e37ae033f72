//! A patch in the format of detools: what bsdiff finds, as the kit encodes it.

use std::io;

use mender_modules::delta::{Patch, Piece};
use mender_testkit::delta::{Change, Compression, encode};

/// What a patch is coded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Nothing: for an artifact that is compressed itself.
    None,
    /// heatshrink with a window of 1 KiB.
    Heatshrink,
}

/// The patch that makes the new image out of the old one; the device's own decoder has made it.
///
/// # Errors
///
/// What `bsdiff` says; or that the device would not make the new image.
pub fn patch(old: &[u8], new: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    let compression = match coding {
        Coding::None => Compression::None,
        Coding::Heatshrink => Compression::HEATSHRINK,
    };
    let patch = encode(&changes(old, new)?, compression);
    match apply(old, &patch, new.len())? == new {
        true => Ok(patch),
        false => Err(io::Error::other("the device would make another image of it")),
    }
}

/// What a device makes of a patch.
fn apply(old: &[u8], mut patch: &[u8], new_len: usize) -> io::Result<Vec<u8>> {
    let len = |len: usize| u32::try_from(len).map_err(io::Error::other);
    let mut decoder = Patch::new(len(old.len())?, len(new_len)?);
    let (mut window, mut buffer) = ([0; 1024], [0; 4096]);
    let refused = |fault| io::Error::other(format!("the device would refuse it: {fault:?}"));
    let mut new = Vec::new();
    loop {
        match decoder.next(&mut patch, &mut window, &mut buffer).map_err(refused)? {
            Piece::More => break,
            Piece::New(len) => new.extend_from_slice(&buffer[..len]),
            Piece::Changed { from, len } => {
                let old = old.iter().skip(from as usize);
                new.extend(
                    buffer[..len]
                        .iter()
                        .zip(old)
                        .map(|(change, old)| change.wrapping_add(*old)),
                );
            }
        }
    }
    decoder.finish().map_err(refused)?;
    Ok(new)
}

/// What bsdiff writes: three numbers of 8 bytes, the bytes to be added, and the new ones, over and over.
fn changes(old: &[u8], new: &[u8]) -> io::Result<Vec<Change>> {
    let mut found = Vec::new();
    bsdiff::diff(old, new, &mut found)?;
    let mut rest = found.as_slice();
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let [add, new, seek] = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
        changes.push(Change {
            add: bytes(&mut rest, add)?,
            new: bytes(&mut rest, new)?,
            seek,
        });
    }
    Ok(changes)
}

/// Little endian, the highest bit is the sign.
fn number(rest: &mut &[u8]) -> io::Result<i64> {
    let (bytes, behind) = rest.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = behind;
    let bits = u64::from_le_bytes(*bytes);
    let magnitude = (bits & (u64::MAX >> 1)) as i64;
    Ok(if bits >> 63 == 0 { magnitude } else { -magnitude })
}

fn bytes(rest: &mut &[u8], len: i64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(len).map_err(io::Error::other)?;
    let (bytes, behind) = rest.split_at_checked(len).ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = behind;
    Ok(bytes.to_vec())
}
