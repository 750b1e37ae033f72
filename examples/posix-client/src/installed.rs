//! What is installed, from the client's records: for `--show-artifact` and `--show-provides`, and for update modules.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use mender::deployment::record::{InstalledRecord, RecordError, StateRecord};
use mender::provides::ARTIFACT_NAME;
use mender::storage::{FileStorage, RecordKey, Storage as _};

/// The provides of the device, artifact name included and first. Before the first update there is only the name, as configured.
///
/// Reads while a client runs, too: a record is replaced as a whole.
///
/// # Errors
///
/// What cannot be read, for people.
pub fn provides(directory: &Path, configured_name: &str) -> Result<Vec<(String, String)>, String> {
    let before_any = vec![(ARTIFACT_NAME.to_owned(), configured_name.to_owned())];
    let Some(bytes) = read(directory, RecordKey::Installed)? else {
        return Ok(before_any);
    };
    let record = InstalledRecord::decode(&bytes).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut all: Vec<(String, String)> = record
        .provides
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if record.provides.artifact_name().is_none() {
        all.extend(before_any);
    }
    all.sort_by_key(|(key, _)| (key != ARTIFACT_NAME, key.clone()));
    Ok(all)
}

/// Whether an update of the server's is under way: its module has begun to act, and the client was ended before it was clear what runs in
/// the end.
///
/// # Errors
///
/// What cannot be read, for people.
pub fn is_under_way(directory: &Path) -> Result<bool, String> {
    let failed = |error: RecordError| format!("{}: {error}", directory.display());
    let Some(state) = read(directory, RecordKey::State)? else {
        return Ok(false);
    };
    let state = StateRecord::decode(&state).map_err(failed)?;
    let installed = read(directory, RecordKey::Installed)?;
    let installed = installed
        .as_deref()
        .map(InstalledRecord::decode)
        .transpose()
        .map_err(failed)?;
    Ok(state.state.is_under_way() && installed.unwrap_or_default().committed_by != state.number)
}

fn read(directory: &Path, key: RecordKey) -> Result<Option<Vec<u8>>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", directory.display());
    // To look makes no directory.
    if !directory.try_exists().map_err(|error| failed(&error))? {
        return Ok(None);
    }
    let mut storage = FileStorage::new(directory).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; RECORD_MAX_LEN];
    let read = now(storage.read(key, &mut buffer)).ok_or_else(|| failed(&"not ready"))?;
    let len = read.map_err(|error| failed(&error))?;
    Ok(len.map(|len| {
        buffer.truncate(len);
        buffer
    }))
}

/// More than the client's own block.
const RECORD_MAX_LEN: usize = 1 << 20;

/// What a future gives at once: those of files block instead of waiting.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
