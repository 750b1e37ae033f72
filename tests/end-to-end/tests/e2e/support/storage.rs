//! A storage that counts what is written to another.

use std::sync::{Arc, Mutex};

use mender::storage::{ReadError, RecordKey, Storage, WriteError};

/// A record that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub key: RecordKey,
    pub len: usize,
}

/// Which writes fail, counted from 0 over all boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failing {
    #[default]
    None,
    Only(usize),
    From(usize),
}

/// Passes everything on and keeps a list of the writes; lets some of them fail.
pub struct Counting<S> {
    pub storage: S,
    pub written: Arc<Mutex<Vec<Written>>>,
    pub failing: Failing,
}

impl<S: Storage> Storage for Counting<S> {
    type Error = S::Error;

    async fn read(&mut self, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, ReadError<S::Error>> {
        self.storage.read(key, buffer).await
    }

    async fn write(&mut self, key: RecordKey, record: &[u8]) -> Result<(), WriteError<S::Error>> {
        let number = {
            let mut written = self.written.lock().unwrap();
            written.push(Written { key, len: record.len() });
            written.len() - 1
        };
        match self.failing {
            Failing::Only(failing) if failing == number => Err(WriteError::Full),
            Failing::From(first) if first <= number => Err(WriteError::Full),
            Failing::None | Failing::Only(_) | Failing::From(_) => self.storage.write(key, record).await,
        }
    }

    async fn remove(&mut self, key: RecordKey) -> Result<(), WriteError<S::Error>> {
        self.written.lock().unwrap().push(Written { key, len: 0 });
        self.storage.remove(key).await
    }
}
