//! A storage that counts what is written to another.

use std::sync::{Arc, Mutex};

use mender::storage::{ReadError, RecordKey, Storage, WriteError};

/// A record that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub key: RecordKey,
    pub len: usize,
}

/// Passes everything on and keeps a list of the writes.
pub struct Counting<S> {
    pub storage: S,
    pub written: Arc<Mutex<Vec<Written>>>,
}

impl<S: Storage> Storage for Counting<S> {
    type Error = S::Error;

    async fn read(&mut self, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, ReadError<S::Error>> {
        self.storage.read(key, buffer).await
    }

    async fn write(&mut self, key: RecordKey, record: &[u8]) -> Result<(), WriteError<S::Error>> {
        self.written.lock().unwrap().push(Written { key, len: record.len() });
        self.storage.write(key, record).await
    }

    async fn remove(&mut self, key: RecordKey) -> Result<(), WriteError<S::Error>> {
        self.written.lock().unwrap().push(Written { key, len: 0 });
        self.storage.remove(key).await
    }
}
