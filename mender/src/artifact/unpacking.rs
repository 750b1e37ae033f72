//! A compressed archive: its bytes are unpacked first, and what they give is what the entries are made of.
//!
//! Rules: spec of the artifact format, section 8. The header's checksum in the manifest is that of the compressed bytes; nothing but the
//! sums of the files covers the payload's, so the checksum of the compressed data is compared as well.

use sha2::Digest;

use super::entries::{Entries, Refused};
use super::error::Error;
use super::fault::{Archive, PackedFault, TarFault};
use super::limits::Limit;
use super::packed::{self, Packed};
use super::step::Step;
use super::tar::BLOCK_LEN;
use crate::unpack::{Fault, Unpacker};

/// What a piece of a compressed archive came to.
pub(super) enum Found {
    /// Something, of which there is nothing to tell.
    Nothing,
    /// All of the input was consumed.
    NeedInput,
    /// Data of a file: those that the unpacker gave last.
    Data,
}

/// Goes on in a compressed archive, by at most `left` unpacked bytes, which are those of one step.
pub(super) fn go_on(
    entries: &mut Entries<'_>,
    unpacker: &mut Unpacker,
    rest: &mut &[u8],
    left: usize,
) -> Result<Found, Refused> {
    let unpacked = unpacker.take(left);
    if !unpacked.is_empty() {
        // Not longer than what is left.
        entries.offset += unpacked.len() as u32;
        if entries.step == Step::File {
            entries.hash.update(unpacked);
            return Ok(Found::Data);
        }
        entries.take(unpacked)?;
        return Ok(Found::Nothing);
    }
    let packing = &mut entries.packing;
    let (piece, _) = rest.split_at(rest.len().min(packing.left as usize));
    let fed = unpacker.feed(piece);
    let used = fed.map_err(|fault| refuse(entries, unpacker, fault))?;
    // Not more than there are.
    let (used, after) = rest.split_at_checked(used).unwrap_or_default();
    *rest = after;
    // Not longer than what is left.
    entries.packing.stream += used.len() as u32;
    entries.packing.left -= used.len() as u32;
    if entries.archive == Archive::Header {
        entries.hash.update(used);
    }
    if unpacker.has_output() {
        return Ok(Found::Nothing);
    }
    if entries.packing.left > 0 {
        return Ok(Found::NeedInput);
    }
    let complete = unpacker.finish();
    complete.map_err(|fault| refuse(entries, unpacker, fault))?;
    end(entries)?;
    Ok(Found::Nothing)
}

/// A compressed archive begins.
pub(super) fn begin(entries: &Entries<'_>, unpacker: &mut Unpacker) {
    if let Packed::With(feature) = entries.packing.packed
        && let Some(format) = packed::format(feature)
    {
        unpacker.begin(format);
    }
}

/// A compressed archive has ended, and so must have what is in it.
fn end(entries: &mut Entries<'_>) -> Result<(), Refused> {
    let fault = match entries.step {
        Step::Zeros if entries.offset.is_multiple_of(BLOCK_LEN) => None,
        Step::Block if entries.offset == entries.start => Some(TarFault::NoEndBlocks),
        Step::Zeros | Step::Block => Some(TarFault::PartialBlock),
        Step::EndBlock => Some(TarFault::SingleZeroBlock),
        Step::Text(_) | Step::File | Step::Skip => Some(TarFault::TooLong),
        Step::Failed => return Err(Refused),
    };
    if let Some(fault) = fault {
        return Err(entries.tar_fault(fault));
    }
    entries.packing.packed = Packed::No;
    entries.offset = entries.packing.stream;
    entries.archive_end = u32::MAX;
    entries.end_archive()
}

fn refuse(entries: &mut Entries<'_>, unpacker: &Unpacker, fault: Fault) -> Refused {
    let fault = match fault {
        Fault::Window { needed } => {
            return entries.fail(Error::Limit {
                limit: Limit::Window,
                allowed: unpacker.window_len(),
                needed,
            });
        }
        Fault::Malformed => PackedFault::Malformed,
        Fault::Checksum => PackedFault::Checksum,
        Fault::Truncated => PackedFault::Truncated,
        Fault::Trailing => PackedFault::Trailing,
    };
    entries.fail(Error::Packed {
        archive: entries.archive,
        fault,
    })
}
