//! What is kept across reboots: a few small records of bytes, each replaced as a whole.
//!
//! - [`Storage`]: the trait, which a user may implement over whatever the board has.
//! - [`RecordKey`]: which records there are, with the numbers under which they are stored for ever.
//! - [`FlashStorage`]: in a range of NOR flash, power-safe. (The example `sequential-storage` shows how to use another map.)
//! - `FileStorage` (feature `std`): in a folder, for hosts.
//!
//! Promise of every implementation: after a power cut at any time a record reads as it was before the last write, or as
//! that write left it. Never a mix, never something else.
//!
//! May depend on embedded-storage and, for hosts, sha2; on nothing else in this crate. What the bytes of a record
//! mean is not known here.

#[cfg(all(feature = "std", not(target_os = "none")))]
mod file;
mod flash;
mod key;

use core::fmt;
use core::future::Future;

#[cfg(all(feature = "std", not(target_os = "none")))]
pub use file::{FileError, FileStorage};
pub use flash::{FlashError, FlashRange, FlashRangeError, FlashSetupError, FlashStorage};
pub use key::{LogSlot, RecordKey};

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError<E> {
    /// The medium failed. Reading again may help.
    Backend(E),
    /// The lent buffer is shorter than the record. The record is unharmed; lend a longer buffer.
    TooSmall {
        /// Length of the record in bytes.
        needed: usize,
    },
    /// What is stored is damaged and was not repaired. Treat the record as lost: write it anew, and if that fails too, give
    /// up all records with [`Storage::erase_all`].
    Corrupt,
}

impl<E: fmt::Display> fmt::Display for ReadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Backend(error) => write!(f, "reading a stored record failed: {error}"),
            ReadError::TooSmall { needed } => write!(f, "a stored record has {needed} bytes, more than the buffer"),
            ReadError::Corrupt => f.write_str("a stored record is damaged"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ReadError<E> {}

/// Why a record could not be written or removed. It is then as it was before, or as it should have become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WriteError<E> {
    /// The medium failed. Writing again may help.
    Backend(E),
    /// The record is longer than this storage can keep.
    TooLong {
        /// The longest record, in bytes.
        max_len: usize,
    },
    /// All records together do not fit. Remove some, or give the storage more room.
    Full,
    /// What is stored is damaged so that nothing can be written. [`Storage::erase_all`] makes the storage usable again, at
    /// the price of all records.
    Corrupt,
}

impl<E: fmt::Display> fmt::Display for WriteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Backend(error) => write!(f, "writing a stored record failed: {error}"),
            WriteError::TooLong { max_len } => {
                write!(f, "the record is longer than the {max_len} bytes that can be stored")
            }
            WriteError::Full => f.write_str("the storage is full: give it more room"),
            WriteError::Corrupt => f.write_str("the storage is damaged: erase it"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for WriteError<E> {}

/// Keeps records across reboots and power cuts.
///
/// # Cancellation
///
/// Dropping the future of [`write`](Storage::write), [`remove`](Storage::remove) or [`erase_all`](Storage::erase_all) is like
/// a power cut for the record it was about, and harmless to the others.
pub trait Storage {
    /// What can go wrong with the medium itself.
    type Error: fmt::Debug + fmt::Display;

    /// Reads a record into the start of `buffer` and returns its length.
    ///
    /// `None` if it was never written, or removed since. An empty record is `Some(0)`.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; the buffer may then hold anything.
    fn read(
        &mut self,
        key: RecordKey,
        buffer: &mut [u8],
    ) -> impl Future<Output = Result<Option<usize>, ReadError<Self::Error>>>;

    /// Replaces a record. When this returns, the new record survives a power cut.
    ///
    /// If power is lost during the call, the record reads as the old or the new one afterwards, never as a mix.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; the record then reads as the old or the new one.
    fn write(&mut self, key: RecordKey, record: &[u8]) -> impl Future<Output = Result<(), WriteError<Self::Error>>>;

    /// Removes a record, with the same promises as [`write`](Storage::write). Removing what is not there is no error.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; the record then is still there, or gone.
    fn remove(&mut self, key: RecordKey) -> impl Future<Output = Result<(), WriteError<Self::Error>>>;

    /// Removes every record, also when what is stored cannot be read: to hand a device on, or as the last resort after
    /// [`WriteError::Corrupt`]. The device key is lost with the rest, so that the device must be accepted anew.
    ///
    /// If power is lost during the call, any of the records may remain.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; any of the records may remain.
    fn erase_all(&mut self) -> impl Future<Output = Result<(), WriteError<Self::Error>>> {
        async move {
            for key in RecordKey::all() {
                self.remove(key).await?;
            }
            Ok(())
        }
    }
}

impl<S: Storage> Storage for &mut S {
    type Error = S::Error;

    fn read(
        &mut self,
        key: RecordKey,
        buffer: &mut [u8],
    ) -> impl Future<Output = Result<Option<usize>, ReadError<Self::Error>>> {
        S::read(self, key, buffer)
    }

    fn write(&mut self, key: RecordKey, record: &[u8]) -> impl Future<Output = Result<(), WriteError<Self::Error>>> {
        S::write(self, key, record)
    }

    fn remove(&mut self, key: RecordKey) -> impl Future<Output = Result<(), WriteError<Self::Error>>> {
        S::remove(self, key)
    }

    fn erase_all(&mut self) -> impl Future<Output = Result<(), WriteError<Self::Error>>> {
        S::erase_all(self)
    }
}
