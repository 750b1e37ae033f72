//! A range of flash whose erases survive a power cut.
//!
//! The map above ([`flash`](super::flash)) decides by two marker words at both ends of a page whether the page holds data, and
//! trusts a page that says so: if its repair finds an interrupted move of items, it erases the copy and starts again from
//! the original. A cut while the original is being erased can leave both markers and nothing between them, because NOR
//! flash neither erases in the order of addresses nor at once. The repair would then erase the only good copy.
//!
//! So every erase is announced. The last bytes of each page, out of sight of the map, have room for the announcements of
//! erases of the *following* page (of the first page, if it is the last):
//!
//! ```text
//!  page n                                                                  page n + 1
//! +---------------------------------+--------+--------+--     --+--------+ +-----------------
//! | the map's page                  | slot 0 | slot 1 |   ...   | slot 7 | | ...
//! +---------------------------------+--------+--------+--     --+--------+ +-----------------
//!
//!  slot
//! +-----------------+-------------------+-----------------+-----------+
//! | number: u32, LE | its complement    | pad (0xFF) to a | done:     |
//! |                 |                   | word            | a word    |
//! +-----------------+-------------------+-----------------+-----------+
//! ```
//!
//! A number counts the erases. It is written before an erase and `done` (all zeros) after it. Only one erase is under way at
//! a time: so if the announcement with the highest number is not done, its erase was interrupted, and is repeated before
//! anything else is read. A torn number never passes for another one: cuts of a write leave bits at one and cuts of an erase
//! set them, while a number and its complement differ in every bit.
//!
//! A page's life between two erases sees one erase of the following page, and one more for every power cut while items are
//! being copied. Should such cuts ever use up the slots, the erase is done unannounced.
//!
//! Two things of the map remain visible to the flash: it writes the markers as words of zeros, and may write such a word
//! again after a cut left it half written. Flash with error correction takes zeros over anything.

use core::fmt;
use core::marker::PhantomData;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

const SLOTS: usize = 8;
const NUMBER_LEN: usize = 8;
/// The longest word that the map works with.
const MAX_WORD_LEN: usize = 32;
const MAX_SLOT_LEN: usize = 2 * MAX_WORD_LEN;

/// Lengths of things in the flash `F`.
pub(super) struct Layout<F>(PhantomData<F>);

impl<F: NorFlash> Layout<F> {
    /// What is written at once: one word of the longer of the two kinds.
    pub(super) const WORD_LEN: usize = if F::WRITE_SIZE > F::READ_SIZE {
        F::WRITE_SIZE
    } else {
        F::READ_SIZE
    };
    const ANNOUNCEMENT_LEN: usize = NUMBER_LEN.next_multiple_of(Self::WORD_LEN);
    const SLOT_LEN: usize = Self::ANNOUNCEMENT_LEN + Self::WORD_LEN;
    const TAIL_LEN: usize = SLOTS * Self::SLOT_LEN;
    /// What the map sees of a page. Zero for pages that are too small to be of any use.
    pub(super) const PAGE_LEN: usize = F::ERASE_SIZE.saturating_sub(Self::TAIL_LEN);
}

/// An error below the map.
#[derive(Debug)]
pub(super) enum RegionError<E> {
    /// The flash said so.
    Flash(E),
    /// The map asked for something outside of a page.
    OutOfBounds,
}

impl<E: NorFlashError> NorFlashError for RegionError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            RegionError::Flash(error) => error.kind(),
            RegionError::OutOfBounds => NorFlashErrorKind::OutOfBounds,
        }
    }
}

/// What is known about the announcements.
#[derive(Clone, Copy, Debug)]
enum Announcements {
    /// Nothing: after the start, or after an erase that did not come to its end.
    Unread,
    /// All are done; this is the highest number.
    Done { number: u32 },
}

/// The pages of a range, as the map sees them: shorter, and from offset 0 on.
pub(super) struct Region<F> {
    flash: F,
    start_offset: u32,
    page_count: u32,
    announcements: Announcements,
}

impl<F> fmt::Debug for Region<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("start_offset", &self.start_offset)
            .field("page_count", &self.page_count)
            .finish_non_exhaustive()
    }
}

impl<F: NorFlash> Region<F> {
    pub(super) const fn new(flash: F, start_offset: u32, page_count: u32) -> Region<F> {
        Region {
            flash,
            start_offset,
            page_count,
            announcements: Announcements::Unread,
        }
    }

    pub(super) fn into_flash(self) -> F {
        self.flash
    }

    fn page_offset(&self, page: u32) -> u32 {
        self.start_offset + page * F::ERASE_SIZE as u32
    }

    /// Where in the flash the bytes lie that the map means.
    fn place(&self, offset: u32, len: usize) -> Result<u32, RegionError<F::Error>> {
        let page_len = Layout::<F>::PAGE_LEN as u32;
        let page = offset.checked_div(page_len).ok_or(RegionError::OutOfBounds)?;
        let within = offset % page_len;
        let ends_within = usize::try_from(within).is_ok_and(|within| within + len <= Layout::<F>::PAGE_LEN);
        if page >= self.page_count || !ends_within {
            return Err(RegionError::OutOfBounds);
        }
        Ok(self.page_offset(page) + within)
    }

    fn slot_offset(&self, page: u32, slot: usize) -> u32 {
        self.page_offset(page) + (Layout::<F>::PAGE_LEN + slot * Layout::<F>::SLOT_LEN) as u32
    }

    async fn read_slot(&mut self, page: u32, slot: usize) -> Result<Slot, RegionError<F::Error>> {
        let offset = self.slot_offset(page, slot);
        let mut buffer = [0; MAX_SLOT_LEN];
        let bytes = buffer
            .get_mut(..Layout::<F>::SLOT_LEN)
            .ok_or(RegionError::OutOfBounds)?;
        self.flash.read(offset, bytes).await.map_err(RegionError::Flash)?;
        let (announcement, done) = bytes
            .split_at_checked(Layout::<F>::ANNOUNCEMENT_LEN)
            .ok_or(RegionError::OutOfBounds)?;
        Ok(Slot::of(announcement, done))
    }

    async fn write_word(&mut self, offset: u32, content: &[u8], len: usize) -> Result<(), RegionError<F::Error>> {
        let mut buffer = Aligned([0xff; MAX_WORD_LEN]);
        let bytes = buffer.0.get_mut(..len).ok_or(RegionError::OutOfBounds)?;
        for (place, &byte) in bytes.iter_mut().zip(content) {
            *place = byte;
        }
        self.flash.write(offset, bytes).await.map_err(RegionError::Flash)
    }

    async fn announce(&mut self, page: u32, slot: usize, number: u32) -> Result<(), RegionError<F::Error>> {
        let mut content = [0; NUMBER_LEN];
        let (left, right) = content.split_at_mut(NUMBER_LEN / 2);
        left.copy_from_slice(&number.to_le_bytes());
        right.copy_from_slice(&(!number).to_le_bytes());
        let offset = self.slot_offset(page, slot);
        self.write_word(offset, &content, Layout::<F>::ANNOUNCEMENT_LEN).await
    }

    async fn mark_done(&mut self, page: u32, slot: usize) -> Result<(), RegionError<F::Error>> {
        let offset = self.slot_offset(page, slot) + Layout::<F>::ANNOUNCEMENT_LEN as u32;
        self.write_word(offset, &[0; MAX_WORD_LEN], Layout::<F>::WORD_LEN).await
    }

    async fn erase_plain(&mut self, page: u32) -> Result<(), RegionError<F::Error>> {
        let from = self.page_offset(page);
        let to = from + F::ERASE_SIZE as u32;
        self.flash.erase(from, to).await.map_err(RegionError::Flash)
    }

    /// Repeats an interrupted erase, if there is one, and returns the highest number.
    async fn settle(&mut self) -> Result<u32, RegionError<F::Error>> {
        if let Announcements::Done { number } = self.announcements {
            return Ok(number);
        }
        let mut newest = 0;
        let mut open = None;
        for page in 0..self.page_count {
            for slot in 0..SLOTS {
                match self.read_slot(page, slot).await? {
                    Slot::Announced { number, done } if number >= newest => {
                        newest = number;
                        open = (!done).then_some((page, slot));
                    }
                    Slot::Announced { .. } | Slot::Free | Slot::Torn => {}
                }
            }
        }
        if let Some((page, slot)) = open {
            self.erase_plain((page + 1) % self.page_count).await?;
            self.mark_done(page, slot).await?;
        }
        self.announcements = Announcements::Done { number: newest };
        Ok(newest)
    }

    async fn erase_announced(&mut self, page: u32) -> Result<(), RegionError<F::Error>> {
        let number = self.settle().await?.saturating_add(1);
        let announcer = (page + self.page_count - 1) % self.page_count;
        let mut free = None;
        for slot in 0..SLOTS {
            if matches!(self.read_slot(announcer, slot).await?, Slot::Free) {
                free = Some(slot);
                break;
            }
        }
        // From here on, until `done`, an error or a dropped future is like a power cut.
        self.announcements = Announcements::Unread;
        match free {
            Some(slot) => {
                self.announce(announcer, slot, number).await?;
                self.erase_plain(page).await?;
                self.mark_done(announcer, slot).await?;
                self.announcements = Announcements::Done { number };
            }
            // The highest number may have been in the erased page: read again.
            None => self.erase_plain(page).await?,
        }
        Ok(())
    }
}

/// Some flash drivers want their data at an address of whole words.
#[repr(align(4))]
struct Aligned([u8; MAX_WORD_LEN]);

enum Slot {
    Free,
    Torn,
    Announced { number: u32, done: bool },
}

impl Slot {
    fn of(announcement: &[u8], done: &[u8]) -> Slot {
        let is_erased = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0xff);
        let number = match announcement {
            [a, b, c, d, complement @ ..] => {
                let number = u32::from_le_bytes([*a, *b, *c, *d]);
                complement.starts_with(&(!number).to_le_bytes()).then_some(number)
            }
            _ => None,
        };
        match number {
            Some(number) => Slot::Announced {
                number,
                // Also if torn: its erase had ended before.
                done: !is_erased(done),
            },
            None if is_erased(announcement) && is_erased(done) => Slot::Free,
            None => Slot::Torn,
        }
    }
}

impl<F: NorFlash> ErrorType for Region<F> {
    type Error = RegionError<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for Region<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.settle().await?;
        let place = self.place(offset, bytes.len())?;
        self.flash.read(place, bytes).await.map_err(RegionError::Flash)
    }

    fn capacity(&self) -> usize {
        self.page_count as usize * Layout::<F>::PAGE_LEN
    }
}

impl<F: NorFlash> NorFlash for Region<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = Layout::<F>::PAGE_LEN;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let page_len = Layout::<F>::PAGE_LEN as u32;
        let first = from.checked_div(page_len).ok_or(RegionError::OutOfBounds)?;
        let end = to.checked_div(page_len).ok_or(RegionError::OutOfBounds)?;
        if end > self.page_count {
            return Err(RegionError::OutOfBounds);
        }
        for page in first..end {
            self.erase_announced(page).await?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.settle().await?;
        let place = self.place(offset, bytes.len())?;
        self.flash.write(place, bytes).await.map_err(RegionError::Flash)
    }
}
