//! A storage that counts what is read from and written to another, and a flash; both fail when a test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use mender::embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use mender::storage::{FlashError, ReadError, RecordKey, Storage, WriteError};

/// A record that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub key: RecordKey,
    pub len: usize,
}

/// Which operations fail, counted from 0 over all boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failing {
    #[default]
    None,
    Only(usize),
    /// So many from this one on: more than are tried at once.
    Some(usize, usize),
    From(usize),
}

impl Failing {
    fn fails(self, number: usize) -> bool {
        match self {
            Failing::None => false,
            Failing::Only(failing) => failing == number,
            Failing::Some(first, count) => (first..first + count).contains(&number),
            Failing::From(first) => first <= number,
        }
    }
}

/// What fails of storage, and what was asked of it.
#[derive(Debug, Default)]
pub struct Faults {
    /// The records that were read.
    pub reads: Vec<RecordKey>,
    pub failing_reads: Failing,
    /// Each read of this record fails.
    pub lost: Option<RecordKey>,
    /// What cannot be read is said to be damaged, not to be out of reach.
    pub damaged: bool,
    /// Operations of the flash, and which of them fail.
    pub flash: BTreeMap<Op, usize>,
    pub failing_flash: Option<(Op, Failing)>,
}

pub type SharedFaults = Arc<Mutex<Faults>>;

/// Passes everything on and keeps a list of the writes; lets some of them fail.
pub struct Counting<S> {
    pub storage: S,
    pub written: Arc<Mutex<Vec<Written>>>,
    pub failing: Failing,
    pub faults: SharedFaults,
}

impl<S: Storage<Error = FlashError<Broken>>> Storage for Counting<S> {
    type Error = FlashError<Broken>;

    async fn read(&mut self, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, ReadError<Self::Error>> {
        let (fails, damaged) = {
            let mut faults = lock(&self.faults);
            faults.reads.push(key);
            let fails = faults.failing_reads.fails(faults.reads.len() - 1) || faults.lost == Some(key);
            (fails, faults.damaged)
        };
        match (fails, damaged) {
            (false, _) => self.storage.read(key, buffer).await,
            (true, true) => Err(ReadError::Corrupt),
            (true, false) => Err(ReadError::Backend(FlashError::Flash(Broken))),
        }
    }

    async fn write(&mut self, key: RecordKey, record: &[u8]) -> Result<(), WriteError<Self::Error>> {
        let number = {
            let mut written = self.written.lock().unwrap();
            written.push(Written { key, len: record.len() });
            written.len() - 1
        };
        if self.failing.fails(number) {
            return Err(WriteError::Full);
        }
        self.storage.write(key, record).await
    }

    async fn remove(&mut self, key: RecordKey) -> Result<(), WriteError<Self::Error>> {
        self.written.lock().unwrap().push(Written { key, len: 0 });
        self.storage.remove(key).await
    }
}

/// An operation of a flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Read,
    Write,
    Erase,
}

/// A flash that reports errors.
pub struct Faulty<F> {
    pub flash: F,
    pub faults: SharedFaults,
}

/// What it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the flash is broken")
    }
}

impl NorFlashError for Broken {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

fn lock(faults: &SharedFaults) -> MutexGuard<'_, Faults> {
    faults.lock().unwrap()
}

impl<F> Faulty<F> {
    fn check(&self, op: Op) -> Result<(), Broken> {
        let mut faults = lock(&self.faults);
        let count = faults.flash.entry(op).or_insert(0);
        let number = *count;
        *count += 1;
        match faults.failing_flash {
            Some((failing, which)) if failing == op && which.fails(number) => Err(Broken),
            Some(_) | None => Ok(()),
        }
    }
}

impl<F: NorFlash> ErrorType for Faulty<F> {
    type Error = Broken;
}

impl<F: NorFlash> ReadNorFlash for Faulty<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Broken> {
        self.check(Op::Read)?;
        self.flash.read(offset, bytes).await.map_err(|_| Broken)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for Faulty<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Broken> {
        self.check(Op::Erase)?;
        self.flash.erase(from, to).await.map_err(|_| Broken)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Broken> {
        self.check(Op::Write)?;
        self.flash.write(offset, bytes).await.map_err(|_| Broken)
    }
}
