//! Records in a range of NOR flash: a log of items in one half of the range, and the other half to move to.
//!
//! ```text
//!  read, write, remove, erase_all
//!        |
//!        v         next operation, and what it left in the window
//!   FlashStorage  <----------------------------------------------->  task: what a call does, step by step
//!    |        |                                                       |
//!  flash    range: where, checked                                    scan: goes through the items of a half
//!                                                                     |
//!                                                                    format: bytes of heads and items
//! ```
//!
//! The one loop that awaits is [`FlashStorage::run`]; the column on the right is without IO.
//!
//! Depends on embedded-storage only. Everything goes through windows of at most 32 bytes.

mod format;
mod range;
mod scan;
mod task;

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;

use self::format::{ITEM_HEAD_LEN, Layout, MAX_LEN, Window};
pub use self::range::{FlashError, FlashRange, FlashRangeError, FlashSetupError};
use self::task::{Fault, Goal, Operation, Step, Task};
use super::{ReadError, RecordKey, Storage, WriteError};

/// Records in a range of NOR flash, safe against power cuts. Works with any flash whose words are not longer than 32 bytes, also
/// with such that takes only one write per word between erases.
///
/// # On flash
///
/// The range has two halves of whole pages (a page is what the flash erases at once). Records are appended to one of them as
/// items; the last item with a number counts. When the half is full the other one is erased, what still counts is copied
/// to it, and last it gets its head, with the next higher number: from then on it is the one in use. Both wear alike.
///
/// ```text
///  half
/// +------+------+------+-----+------+--------------------+
/// | head | item | item | ... | item | erased             |
/// +------+------+------+-----+------+--------------------+
///
///  head
/// +----------------+------------+----------------------+-----------+
/// | number: 24 bit | version: 1 | the complement of    | pad to    |
/// | little-endian  |            | these four bytes     | a word    |
/// +----------------+------------+----------------------+-----------+
/// 0                3            4                      8
///
///  item
/// +---------------+----------------+------------------+--------+-----------+
/// | number: 7 bit | length: u16,   | CRC-32, sealed:  | record | pad to    |
/// | removed: 1 bit| little-endian  | u32, little-end. |        | a word    |
/// +---------------+----------------+------------------+--------+-----------+
/// 0               1                3                  7
/// ```
///
/// A word is the write or the read size of the flash, the longer one, and a multiple of it that has at least 4 bytes. Padding
/// is erased bytes, `0xff`. The numbers of items are those of [`RecordKey`]; the highest bit (`0x80`) says that the record was
/// removed, and the length is 0 then. The CRC is that of Ethernet, over the first three bytes and the record. It is
/// sealed (exclusive or) with the half's number, turned left by 16 bits, and the item's offset in the half, so that the
/// same bytes are no item anywhere else.
///
/// An item takes 7 bytes more than its record, and the padding: with words of 4 bytes, a record of 20 bytes takes 28. A
/// removed record leaves an item without a record, 8 bytes, until the next move. Items with numbers that this version does
/// not know are kept, so that a rolled-back update finds its records again.
///
/// A chip whose erased bytes are `0x00` holds the complement of all this: see [`FlashRange::erased_to_zero`].
///
/// # Power loss
///
/// - In the write of an item: its CRC is wrong, or it is there. Whatever is found after the last item that is not erased, nothing is
///   ever written behind it: the next write moves to the other half. So no later byte can complete a torn item.
/// - In a move: the new half has no head yet, or a torn one, which is none: in a whole head each bit is 0 at exactly one of two
///   places, a torn write lacks zeros, and a torn erase too. The old half stays in use; the next move begins with the erase again.
/// - In the erase of an old half: as long as its head is whole its number is the lower one.
/// - In the first write ever: a range that is erased all over, but for what may be left of the very first head, is new. The first
///   half gets the number 1, or the second half if the first one shows such remains.
///
/// Each item and head is read back after it was written, and the record is reported as stored only if it reads as it should. If it
/// does not, it is written to the other half.
///
/// # Damage that is no power cut
///
/// What is no item is passed word by word; items after it are found. If there are any, then it was not the last write that was torn,
/// and something is lost: reads of records that are not found report [`ReadError::Corrupt`], until the next write has moved the
/// rest to the other half. A record of which an older item is found reads as that.
///
/// A range without a half in use that is not new (foreign content, records of another storage, of another version of this one, both heads
/// destroyed) is never written over, so that no device key is lost for an error of reading: reads and writes report
/// `Corrupt` until [`erase_all`](Storage::erase_all) is called. Writes do so too where the half in use has the highest number of all,
/// as after it comes none; no chip lives so long.
///
/// # Room
///
/// All records together, each with its 7 bytes and padding, must fit into one half beside its head. Two pages of 4 KiB do for the
/// client. The old content of a record that is being replaced does not count. Writing a record that is stored with the same
/// bytes already writes nothing.
///
/// # Time
///
/// Nothing is kept in memory: each call reads the heads, then goes through all items of the half. An erase happens during one
/// write of many, and if it fails, records can still be read.
///
/// # Cancellation
///
/// A dropped future is like a power cut: the next call looks at the flash again.
pub struct FlashStorage<F: NorFlash> {
    flash: F,
    start: u32,
    half_len: u32,
    flip: u8,
    window: Window,
    /// With [`Fault::Flash`].
    error: Option<F::Error>,
}

impl<F: NorFlash> fmt::Debug for FlashStorage<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashStorage")
            .field("max_record_len", &self.max_record_len())
            .finish_non_exhaustive()
    }
}

impl<F: NorFlash> FlashStorage<F> {
    /// Records in `range` of `flash`. The flash is not touched yet; a range that was never used must be erased, or be
    /// erased by [`Storage::erase_all`].
    ///
    /// # Errors
    ///
    /// [`FlashSetupError`].
    pub fn new(flash: F, range: FlashRange<F>) -> Result<FlashStorage<F>, FlashSetupError> {
        let capacity = flash.capacity();
        if range.end_offset as usize > capacity {
            return Err(FlashSetupError::BeyondFlash { capacity });
        }
        Ok(FlashStorage {
            flash,
            start: range.start_offset,
            half_len: range.half_len(),
            flip: range.flip,
            window: Window::ERASED,
            error: None,
        })
    }

    /// The longest record that can be stored, in bytes, if there is no other one.
    pub fn max_record_len(&self) -> usize {
        // Whole words, by the check of the range.
        let len = self.half_len - Layout::<F>::HEAD - ITEM_HEAD_LEN;
        len.min(MAX_LEN) as usize
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    async fn run(&mut self, task: &mut Task<'_>) -> Result<Option<u32>, Fault> {
        loop {
            let operation = match self.step(task) {
                Step::Do(operation) => operation,
                Step::Again => continue,
                Step::Done => return Ok(task.found),
                Step::Failed(fault) => return Err(fault),
            };
            let (offset, len) = (task.offset, task.len);
            let bytes = self.window.start_mut(len);
            let result = match operation {
                Operation::Read => self.flash.read(offset, bytes).await,
                Operation::Write => self.flash.write(offset, bytes).await,
                Operation::Erase => self.flash.erase(offset, offset + len).await,
            };
            if let Err(error) = result {
                self.error = Some(error);
                if self.is_fatal(task) {
                    return Err(Fault::Flash);
                }
            } else if let Operation::Read = operation {
                self.window.flip(len, self.flip);
            }
        }
    }

    fn read_error(&mut self, fault: Fault) -> ReadError<FlashError<F::Error>> {
        match (fault, self.error.take()) {
            (Fault::Flash, Some(error)) => ReadError::Backend(FlashError::Flash(error)),
            (Fault::Flash | Fault::NotStored | Fault::Full | Fault::Corrupt, Some(_) | None) => ReadError::Corrupt,
        }
    }

    async fn change(&mut self, key: u8, goal: Goal<'_>) -> Result<(), WriteError<FlashError<F::Error>>> {
        match self.run(&mut Task::new(key, goal)).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(match (fault, self.error.take()) {
                (Fault::Flash, Some(error)) => WriteError::Backend(FlashError::Flash(error)),
                (Fault::Flash | Fault::NotStored, Some(_) | None) => WriteError::Backend(FlashError::NotStored),
                (Fault::Full, Some(_) | None) => WriteError::Full,
                (Fault::Corrupt, Some(_) | None) => WriteError::Corrupt,
            }),
        }
    }
}

impl<F: NorFlash> Storage for FlashStorage<F> {
    type Error = FlashError<F::Error>;

    async fn read(&mut self, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, ReadError<Self::Error>> {
        let room = buffer.len();
        match self.run(&mut Task::new(key.number(), Goal::Read(buffer))).await {
            Ok(Some(len)) if len as usize > room => Err(ReadError::TooSmall { needed: len as usize }),
            Ok(len) => Ok(len.map(|len| len as usize)),
            Err(fault) => Err(self.read_error(fault)),
        }
    }

    async fn write(&mut self, key: RecordKey, record: &[u8]) -> Result<(), WriteError<Self::Error>> {
        let max_len = self.max_record_len();
        if record.len() > max_len {
            return Err(WriteError::TooLong { max_len });
        }
        self.change(key.number(), Goal::Store(Some(record))).await
    }

    async fn remove(&mut self, key: RecordKey) -> Result<(), WriteError<Self::Error>> {
        self.change(key.number(), Goal::Store(None)).await
    }

    /// As [`Storage::erase_all`]. If power is lost during the call, all records remain, or none; on a range that was not readable
    /// nothing may have changed, or it is new. Afterwards no byte of the records is left in the flash.
    async fn erase_all(&mut self) -> Result<(), WriteError<Self::Error>> {
        self.change(0, Goal::Clear).await
    }
}
