//! Records in a range of NOR flash, on sequential-storage's map.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

use embedded_storage_async::nor_flash::{NorFlash, NorFlashError};
use sequential_storage::Error as MapError;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{Key, MapConfig, MapStorage, SerializationError, Value};

use super::region::{Layout, Region, RegionError};
use super::{ReadError, RecordKey, Storage, WriteError};

/// Length of an item's head: a CRC-32, the length and a CRC-16 of the length.
const ITEM_HEAD_LEN: usize = 8;

/// Set in an item's first byte if the item says that the record was removed.
const REMOVED: u8 = 0x80;

/// A range of flash for a [`FlashStorage`], checked.
///
/// Made in a `const`, a wrong range is an error of the compiler:
///
/// ```
/// # use mender::storage::FlashRange;
/// # use embedded_storage_async::nor_flash::NorFlash;
/// fn range<F: NorFlash>() -> FlashRange<F> {
///     const { FlashRange::new(0x0000..0x2000) }
/// }
/// ```
pub struct FlashRange<F> {
    start_offset: u32,
    end_offset: u32,
    flash: PhantomData<F>,
}

impl<F> Clone for FlashRange<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for FlashRange<F> {}

impl<F> fmt::Debug for FlashRange<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlashRange({:#x}..{:#x})", self.start_offset, self.end_offset)
    }
}

/// Why a range of flash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashRangeError {
    /// The range does not begin or end at a multiple of the flash's erase size, or ends before it begins.
    Unaligned,
    /// The range has fewer than two pages. One is always kept empty.
    TooSmall,
    /// The flash's geometry cannot be used: pages without room for an item beside the storage's own bytes, words of more than 32 bytes, or
    /// read and write sizes and the erase size that are no multiples of each other.
    Geometry,
}

impl fmt::Display for FlashRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FlashRangeError::Unaligned => "the storage's flash range is not made of whole pages",
            FlashRangeError::TooSmall => "the storage's flash range needs at least two pages",
            FlashRangeError::Geometry => "the storage cannot work with this flash's page or word size",
        })
    }
}

impl core::error::Error for FlashRangeError {}

impl<F: NorFlash> FlashRange<F> {
    /// Checks a range of offsets within the flash.
    ///
    /// # Errors
    ///
    /// [`FlashRangeError`].
    pub const fn try_new(range: Range<u32>) -> Result<FlashRange<F>, FlashRangeError> {
        let (read, write, erase) = (F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE);
        if read == 0 || write == 0 || erase == 0 || erase > u32::MAX as usize {
            return Err(FlashRangeError::Geometry);
        }
        if !(read.is_multiple_of(write) || write.is_multiple_of(read)) {
            return Err(FlashRangeError::Geometry);
        }
        let word = Layout::<F>::WORD_LEN;
        // Two markers, the head of an item and a word of content.
        let least = 3 * word + ITEM_HEAD_LEN.next_multiple_of(word);
        if word > 32 || !erase.is_multiple_of(word) || Layout::<F>::PAGE_LEN < least {
            return Err(FlashRangeError::Geometry);
        }
        let page = erase as u32;
        if range.start > range.end || !range.start.is_multiple_of(page) || !range.end.is_multiple_of(page) {
            return Err(FlashRangeError::Unaligned);
        }
        if (range.end - range.start) / page < 2 {
            return Err(FlashRangeError::TooSmall);
        }
        Ok(FlashRange {
            start_offset: range.start,
            end_offset: range.end,
            flash: PhantomData,
        })
    }

    /// Checks a range of offsets within the flash. To be called in a `const` block.
    ///
    /// # Panics
    ///
    /// If [`try_new`](FlashRange::try_new) returns an error; in a `const` block that is an error of the compiler.
    pub const fn new(range: Range<u32>) -> FlashRange<F> {
        match FlashRange::try_new(range) {
            Ok(range) => range,
            Err(FlashRangeError::Unaligned) => panic!("the storage's flash range is not made of whole pages"),
            Err(FlashRangeError::TooSmall) => panic!("the storage's flash range needs at least two pages"),
            Err(FlashRangeError::Geometry) => panic!("the storage cannot work with this flash's page or word size"),
        }
    }

    const fn page_count(&self) -> u32 {
        (self.end_offset - self.start_offset) / F::ERASE_SIZE as u32
    }
}

/// Memory for a [`FlashStorage`] to work with, at an address of whole words as some flash drivers want it.
///
/// `N` bytes must hold the longest record that was ever stored in the range, by any version of the software, and one byte,
/// rounded up to a word of the flash. 1024 is enough for the records of the client as long as artifact name and provides
/// together stay below about 900 bytes.
#[derive(Debug)]
#[repr(align(4))]
pub struct FlashScratch<const N: usize>([u8; N]);

impl<const N: usize> FlashScratch<N> {
    /// Memory to lend to [`FlashStorage::new`].
    pub const fn new() -> FlashScratch<N> {
        FlashScratch([0; N])
    }
}

impl<const N: usize> Default for FlashScratch<N> {
    fn default() -> Self {
        FlashScratch::new()
    }
}

impl<const N: usize> AsMut<[u8]> for FlashScratch<N> {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Why a [`FlashStorage`] could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashSetupError {
    /// The range reaches beyond the end of the flash.
    BeyondFlash {
        /// Size of the flash in bytes.
        capacity: usize,
    },
    /// The scratch memory is too short for any record.
    ScratchTooShort,
}

impl fmt::Display for FlashSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlashSetupError::BeyondFlash { capacity } => {
                write!(
                    f,
                    "the storage's flash range reaches beyond the end of the flash ({capacity} bytes)"
                )
            }
            FlashSetupError::ScratchTooShort => f.write_str("the storage's scratch memory is too short for any record"),
        }
    }
}

impl core::error::Error for FlashSetupError {}

/// What can go wrong below a [`FlashStorage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The flash reported an error.
    Flash(E),
    /// A record that is stored, perhaps by another version of the software, is longer than the scratch memory. Lend a longer one.
    ScratchTooShort {
        /// Length of the scratch memory that would do.
        needed: usize,
    },
    /// An access outside of the range was prevented. Cannot happen with intact program memory.
    OutOfBounds,
}

impl<E: fmt::Debug> fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlashError::Flash(error) => write!(f, "the flash reports {error:?}"),
            FlashError::ScratchTooShort { needed } => write!(f, "the storage needs {needed} bytes of scratch memory"),
            FlashError::OutOfBounds => f.write_str("access outside of the storage's flash range"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for FlashError<E> {}

/// Records in a range of NOR flash, safe against power cuts. Works with any flash, also with such that takes only one write
/// per word between erases.
///
/// # On flash
///
/// The range is a ring of pages (a page is what the flash erases at once). Records are appended to one page as items; the
/// last item with a number counts. When a page is full the next one is started, and the items that still count are
/// copied from the oldest page before it is erased, so one page is always empty and all pages wear alike.
///
/// ```text
///  page
/// +--------+------+------+-----+--------+----------------+
/// | marker | item | item | ... | marker | announcements  |
/// +--------+------+------+-----+--------+----------------+
///   word                         word     8 x (8 bytes rounded up to words, and a word)
///
///  item
/// +-------------+-------------+---------------+---------+---------------+----------+---------+
/// | CRC-32 of   | length: u16 | CRC-16 of the | pad to  | number: 7 bit | record   | pad to  |
/// | the content |             | length        | a word  | removed: 1 bit|          | a word  |
/// +-------------+-------------+---------------+---------+---------------+----------+---------+
/// 0             4             6               8
/// ```
///
/// The numbers are those of [`RecordKey`]. An item takes 9 bytes more than its record, and the padding: with words of 4
/// bytes, a record of 20 bytes takes 32. A removed record leaves an item without a record, 12 bytes.
/// Items with numbers that this version does not know are kept, so that a rolled-back update finds its records again.
/// The markers and the head of an item are sequential-storage's (version 8); the announcements make an erase safe that is cut
/// off half way, whatever it leaves behind.
///
/// # Room
///
/// All records together, each with its 9 bytes and padding, and the longest one twice because its old and its new content exist
/// side by side for a while, must fit into all pages but one. None may be longer than a page. Two pages of 4 KiB do for the
/// client. Writing a record that is stored with the same bytes already writes nothing.
///
/// # Time
///
/// Nothing is cached in memory: a read goes through all items of a page or two. An erase happens during one write of many.
pub struct FlashStorage<'b, F: NorFlash> {
    map: MapStorage<StoredKey, Region<F>, NoCache>,
    scratch: &'b mut [u8],
}

type NoCache = Cache<Uncached, Uncached, Uncached, StoredKey>;

impl<F: NorFlash> fmt::Debug for FlashStorage<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashStorage")
            .field("max_record_len", &self.max_record_len())
            .finish_non_exhaustive()
    }
}

impl<'b, F: NorFlash> FlashStorage<'b, F> {
    /// Records in `range` of `flash`. The flash is not touched yet; a range that was never used must be erased, or be
    /// erased by [`Storage::erase_all`].
    ///
    /// `scratch` is usually a [`FlashScratch`], which says how long it must be.
    ///
    /// # Errors
    ///
    /// [`FlashSetupError`].
    pub fn new(flash: F, range: FlashRange<F>, scratch: &'b mut [u8]) -> Result<FlashStorage<'b, F>, FlashSetupError> {
        let capacity = flash.capacity();
        if usize::try_from(range.end_offset).map_or(true, |end| end > capacity) {
            return Err(FlashSetupError::BeyondFlash { capacity });
        }
        if scratch.len() < Layout::<F>::WORD_LEN.max(2) {
            return Err(FlashSetupError::ScratchTooShort);
        }
        let page_count = range.page_count();
        // The range was checked by `FlashRange`, with the same rules: an error here would be a contradiction.
        let config = MapConfig::try_new(0..page_count * Layout::<F>::PAGE_LEN as u32)
            .map_err(|_| FlashSetupError::BeyondFlash { capacity })?;
        let region = Region::new(flash, range.start_offset, page_count);
        Ok(FlashStorage {
            map: MapStorage::new(region, config, Cache::new_uncached()),
            scratch,
        })
    }

    /// The longest record that can be stored, in bytes: by the page size and the scratch memory.
    pub fn max_record_len(&self) -> usize {
        let word = Layout::<F>::WORD_LEN;
        let page = Layout::<F>::PAGE_LEN - 2 * word - ITEM_HEAD_LEN.next_multiple_of(word);
        let item = page.min(self.scratch.len()).min(usize::from(u16::MAX));
        (item / word * word).saturating_sub(1)
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.map.destroy().0.into_flash()
    }

    async fn fetch(&mut self, key: RecordKey) -> Result<Option<&[u8]>, ReadError<FlashError<F::Error>>> {
        let key = StoredKey(key.number());
        match self.map.fetch_item::<Item<'_>>(self.scratch, &key).await {
            Ok(Some(item)) => Ok(item.record),
            Ok(None) => Ok(None),
            Err(error) => Err(read_error(error)),
        }
    }

    async fn store(&mut self, key: RecordKey, record: Option<&[u8]>) -> Result<(), WriteError<FlashError<F::Error>>> {
        let max_len = self.max_record_len();
        if record.is_some_and(|record| record.len() > max_len) {
            return Err(WriteError::TooLong { max_len });
        }
        // What cannot be read is written over: not an error here.
        if let Ok(stored) = self.fetch(key).await
            && stored == record
        {
            return Ok(());
        }
        let number = key.number();
        let item = Item { number, record };
        self.map
            .store_item_generic(self.scratch, &StoredKey(number), &item)
            .await
            .map_err(|error| write_error(error, max_len))
    }
}

impl<F: NorFlash> Storage for FlashStorage<'_, F> {
    type Error = FlashError<F::Error>;

    async fn read(&mut self, key: RecordKey, buffer: &mut [u8]) -> Result<Option<usize>, ReadError<Self::Error>> {
        let Some(record) = self.fetch(key).await? else {
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
        self.store(key, Some(record)).await
    }

    async fn remove(&mut self, key: RecordKey) -> Result<(), WriteError<Self::Error>> {
        self.store(key, None).await
    }

    async fn erase_all(&mut self) -> Result<(), WriteError<Self::Error>> {
        self.map.erase_all().await.map_err(|error| write_error(error, 0))
    }
}

/// What an error of the map means, whatever was being done.
enum Trouble<E> {
    Backend(FlashError<E>),
    Full,
    TooLong,
    Corrupt,
}

fn trouble<E: NorFlashError>(error: MapError<RegionError<E>>) -> Trouble<E> {
    match error {
        MapError::Storage { value, .. } => Trouble::Backend(match value {
            RegionError::Flash(error) => FlashError::Flash(error),
            RegionError::OutOfBounds => FlashError::OutOfBounds,
        }),
        MapError::BufferTooSmall(needed) => Trouble::Backend(FlashError::ScratchTooShort { needed }),
        MapError::FullStorage => Trouble::Full,
        MapError::ItemTooBig | MapError::BufferTooBig => Trouble::TooLong,
        // An item that no version of this storage has written, damage that the map could not repair, or its own confusion.
        // (The map's error type is open for more.)
        _ => Trouble::Corrupt,
    }
}

fn read_error<E: NorFlashError>(error: MapError<RegionError<E>>) -> ReadError<FlashError<E>> {
    match trouble(error) {
        Trouble::Backend(error) => ReadError::Backend(error),
        Trouble::Full | Trouble::TooLong | Trouble::Corrupt => ReadError::Corrupt,
    }
}

fn write_error<E: NorFlashError>(error: MapError<RegionError<E>>, max_len: usize) -> WriteError<FlashError<E>> {
    match trouble(error) {
        Trouble::Backend(error) => WriteError::Backend(error),
        Trouble::Full => WriteError::Full,
        Trouble::TooLong => WriteError::TooLong { max_len },
        Trouble::Corrupt => WriteError::Corrupt,
    }
}

/// A record's number as the map's key.
///
/// It is stored in the first byte of the item, which [`Item`] writes and reads; to the map the key has no length of its own.
/// So the map never subtracts a key's length from the length of an item that damage has made shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StoredKey(u8);

impl Key for StoredKey {
    fn serialize_into(&self, _: &mut [u8]) -> Result<usize, SerializationError> {
        Ok(0)
    }

    fn deserialize_from(buffer: &[u8]) -> Result<(Self, usize), SerializationError> {
        let first = buffer.first().ok_or(SerializationError::BufferTooSmall)?;
        Ok((StoredKey(first & !REMOVED), 0))
    }

    fn get_len(_: &[u8]) -> Result<usize, SerializationError> {
        Ok(0)
    }
}

/// An item's content: a record, or that it was removed.
struct Item<'a> {
    number: u8,
    record: Option<&'a [u8]>,
}

impl<'a> Value<'a> for Item<'a> {
    fn serialize_into(&self, buffer: &mut [u8]) -> Result<usize, SerializationError> {
        let record = self.record.unwrap_or(&[]);
        let (first, rest) = buffer.split_first_mut().ok_or(SerializationError::BufferTooSmall)?;
        *first = match self.record {
            Some(_) => self.number,
            None => self.number | REMOVED,
        };
        rest.get_mut(..record.len())
            .ok_or(SerializationError::BufferTooSmall)?
            .copy_from_slice(record);
        Ok(1 + record.len())
    }

    fn deserialize_from(buffer: &'a [u8]) -> Result<(Self, usize), SerializationError> {
        let (first, record) = buffer.split_first().ok_or(SerializationError::InvalidFormat)?;
        let item = Item {
            number: first & !REMOVED,
            record: (first & REMOVED == 0).then_some(record),
        };
        Ok((item, buffer.len()))
    }
}
