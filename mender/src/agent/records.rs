//! Records, put together in the memory in which they are written and read. Pure.

use crate::artifact::Header;
use crate::deployment::INCONSISTENT_SUFFIX;
use crate::deployment::record::{DeploymentNumber, DeploymentRecord, InstalledRecord, RecordError};
use crate::provides::{ARTIFACT_NAME, Provides, ProvidesBuf, SetError};
use crate::shift::shift;

/// The deployment record of a download that has succeeded: what the device provides once it is committed. Its length; `None` if
/// it does not fit.
pub(crate) fn deployment(
    record: &mut [u8],
    number: DeploymentNumber,
    id: &str,
    header: &Header<'_>,
    installed: Provides<'_>,
) -> Option<usize> {
    let payload_type = header.payload_type().unwrap_or("");
    let (head, provides) = record.split_at_mut_checked(DeploymentRecord::header_len(id, payload_type))?;
    let mut list = ProvidesBuf::copy_of(installed, provides).ok()?;
    header.update_provides(&mut list).ok()?;
    let provides_len = list.len();
    let record = DeploymentRecord {
        number,
        id,
        payload_type,
        provides: Provides::default(),
    };
    Some(record.encode(head).ok()? + provides_len)
}

/// An installed record of what runs, or is to; its length.
pub(crate) fn installed(
    record: &mut [u8],
    committed_by: DeploymentNumber,
    provides: Provides<'_>,
) -> Result<usize, RecordError> {
    InstalledRecord { committed_by, provides }.encode(record)
}

/// Makes the installed record out of the deployment record of `len` bytes, in its place; its length.
pub(super) fn commit(record: &mut [u8], len: usize, number: DeploymentNumber) -> Result<usize, RecordError> {
    let bytes = record.get(..len).unwrap_or(&[]);
    let deployment = DeploymentRecord::decode(bytes)?;
    if deployment.number != number {
        return Err(RecordError::Malformed);
    }
    let provides_len = deployment.provides.as_bytes().len();
    // The head of an installed record is shorter, so the provides move to the front.
    shift(record, len - provides_len, provides_len, InstalledRecord::HEADER_LEN);
    put_head(record, number);
    Ok(InstalledRecord::HEADER_LEN + provides_len)
}

fn put_head(record: &mut [u8], committed_by: DeploymentNumber) {
    for (place, byte) in record.iter_mut().zip(InstalledRecord::head(committed_by)) {
        *place = byte;
    }
}

/// Writes what an installed record says is provided into `list`, with the name that was configured if it has none; its length.
pub(crate) fn provided(installed: Provides<'_>, default_name: &str, list: &mut [u8]) -> Result<usize, SetError> {
    let mut list = ProvidesBuf::copy_of(installed, list)?;
    if list.as_provides().artifact_name().is_none_or(str::is_empty) {
        list.set(ARTIFACT_NAME, default_name)?;
    }
    Ok(list.len())
}

/// Marks the artifact name of an installed record of `len` bytes as inconsistent, as the Linux client does, and names who
/// committed what runs; its new length.
///
/// The name is cut to fit.
pub(crate) fn mark(
    record: &mut [u8],
    len: usize,
    committed_by: DeploymentNumber,
    default_name: &str,
) -> Result<usize, SetError> {
    const NAME_LEN: usize = 256;
    put_head(record, committed_by);
    let (_, provides) = record
        .split_at_mut_checked(InstalledRecord::HEADER_LEN)
        .ok_or(SetError::Length)?;
    let provides_len = len.saturating_sub(InstalledRecord::HEADER_LEN);
    let mut list = ProvidesBuf::reopen(provides, provides_len).map_err(|_| SetError::Length)?;
    let mut marked = heapless::String::<{ NAME_LEN + INCONSISTENT_SUFFIX.len() }>::new();
    let name = list.as_provides().artifact_name().unwrap_or(default_name);
    let name = name.strip_suffix(INCONSISTENT_SUFFIX).unwrap_or(name);
    let kept = name.get(..name.floor_char_boundary(NAME_LEN)).unwrap_or("");
    marked
        .push_str(kept)
        .and_then(|()| marked.push_str(INCONSISTENT_SUFFIX))
        .map_err(|_| SetError::Length)?;
    list.set(ARTIFACT_NAME, &marked)?;
    Ok(InstalledRecord::HEADER_LEN + list.len())
}
