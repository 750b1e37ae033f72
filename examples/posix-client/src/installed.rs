//! What is installed, from the client's records: for `--show-artifact` and `--show-provides`, and for update modules.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use mender::deployment::record::InstalledRecord;
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
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", directory.display());
    match fs::metadata(directory) {
        // To look makes no directory.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(before_any),
        Err(error) => return Err(failed(&error)),
        Ok(_) => {}
    }
    let mut storage = FileStorage::new(directory).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; RECORD_MAX_LEN];
    let read = now(storage.read(RecordKey::Installed, &mut buffer)).ok_or_else(|| failed(&"not ready"))?;
    let Some(len) = read.map_err(|error| failed(&error))? else {
        return Ok(before_any);
    };
    let record = InstalledRecord::decode(buffer.get(..len).unwrap_or(&[])).map_err(|error| failed(&error))?;
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

/// More than the client's own block.
const RECORD_MAX_LEN: usize = 1 << 20;

/// What a future gives at once: those of files block instead of waiting.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
