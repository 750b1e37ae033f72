//! The client's records in a map of [sequential-storage](https://docs.rs/sequential-storage), for a firmware that has its own
//! settings in such a map already and wants one storage for both.
//!
//! This is also how to implement [`Storage`] over anything else: 1. read a record into the lent buffer, 2. replace it so that a
//! power cut leaves the old or the new one, 3. remove it, 4. tell errors by what the client can do about them.
//!
//! Without such a reason take [`FlashStorage`](mender::storage::FlashStorage): it needs a third of the program memory and no scratch
//! memory, and two promises of it are not kept here, as the map (version 8) does not give them. A power cut in the first 8 bytes of an
//! item can hide the next item that is written. And a page whose erase was interrupted may keep the marks of a used one.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;
use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use mender::storage::{ReadError, RecordKey, Storage, WriteError};
use sequential_storage::Error as MapError;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};

/// A stored value: a byte 1 and the record, or a byte 0 if it was removed. (The map can remove items too, but not on every flash.)
type Stored<'r> = Option<&'r [u8]>;

/// The records, each under its [number](RecordKey::number), 1 to 127. Keys above are free for other items.
pub struct MapRecords<'b, F: NorFlash> {
    map: MapStorage<u8, F, Cache<Uncached, Uncached, Uncached, u8>>,
    scratch: &'b mut [u8],
}

/// What can go wrong below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapRecordsError<E> {
    /// The flash reported an error.
    Flash(E),
    /// A stored record is longer than the scratch memory.
    ScratchTooShort {
        /// Length that would do.
        needed: usize,
    },
}

impl<E: fmt::Debug> fmt::Display for MapRecordsError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapRecordsError::Flash(error) => write!(f, "the flash reports {error:?}"),
            MapRecordsError::ScratchTooShort { needed } => write!(f, "{needed} bytes of scratch memory are needed"),
        }
    }
}

/// The range has not two whole pages, or the flash has words that the map cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongRange;

impl<'b, F: NorFlash> MapRecords<'b, F> {
    /// Records in a range of the flash. `scratch` must hold the longest record and 2 bytes, at an address of whole words if
    /// the flash's driver wants that.
    ///
    /// # Errors
    ///
    /// [`WrongRange`].
    pub fn new(flash: F, range: Range<u32>, scratch: &'b mut [u8]) -> Result<MapRecords<'b, F>, WrongRange> {
        let config = MapConfig::try_new(range).map_err(|_| WrongRange)?;
        Ok(MapRecords {
            map: MapStorage::new(flash, config, Cache::new_uncached()),
            scratch,
        })
    }

    fn max_len(&self) -> usize {
        self.scratch.len().saturating_sub(2)
    }

    async fn store(&mut self, key: RecordKey, record: Stored<'_>) -> Result<(), WriteError<MapRecordsError<F::Error>>> {
        let max_len = self.max_len();
        let number = key.number();
        // What is stored already wears no flash. What cannot be read is written over.
        let stored = self.map.fetch_item::<Stored<'_>>(self.scratch, &number).await;
        if stored.is_ok_and(|stored| stored.flatten() == record) {
            return Ok(());
        }
        let stored = self.map.store_item(self.scratch, &number, &record).await;
        stored.map_err(|error| write_error(error, max_len))
    }
}

impl<F: NorFlash> Storage for MapRecords<'_, F> {
    type Error = MapRecordsError<F::Error>;

    async fn read(&mut self, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, ReadError<Self::Error>> {
        let stored = self.map.fetch_item::<Stored<'_>>(self.scratch, &key.number()).await;
        let Some(record) = stored.map_err(read_error)?.flatten() else {
            return Ok(None);
        };
        let needed = record.len();
        buffer
            .get_mut(..needed)
            .ok_or(ReadError::TooSmall { needed })?
            .copy_from_slice(record);
        Ok(Some(needed))
    }

    async fn write(&mut self, key: RecordKey, record: &[u8]) -> Result<(), WriteError<Self::Error>> {
        let max_len = self.max_len();
        if record.len() > max_len {
            return Err(WriteError::TooLong { max_len });
        }
        self.store(key, Some(record)).await
    }

    async fn remove(&mut self, key: RecordKey) -> Result<(), WriteError<Self::Error>> {
        self.store(key, None).await
    }

    /// Erases the whole range, whoever else has items in it.
    async fn erase_all(&mut self) -> Result<(), WriteError<Self::Error>> {
        let max_len = self.max_len();
        self.map.erase_all().await.map_err(|error| write_error(error, max_len))
    }
}

fn read_error<E>(error: MapError<E>) -> ReadError<MapRecordsError<E>> {
    match error {
        MapError::Storage { value, .. } => ReadError::Backend(MapRecordsError::Flash(value)),
        MapError::BufferTooSmall(needed) => ReadError::Backend(MapRecordsError::ScratchTooShort { needed }),
        // The map's error type is open for more.
        _ => ReadError::Corrupt,
    }
}

fn write_error<E>(error: MapError<E>, max_len: usize) -> WriteError<MapRecordsError<E>> {
    match error {
        MapError::Storage { value, .. } => WriteError::Backend(MapRecordsError::Flash(value)),
        MapError::BufferTooSmall(needed) => WriteError::Backend(MapRecordsError::ScratchTooShort { needed }),
        MapError::FullStorage => WriteError::Full,
        MapError::ItemTooBig | MapError::BufferTooBig => WriteError::TooLong { max_len },
        _ => WriteError::Corrupt,
    }
}
