//! Goes through the items of a half, window by window, without IO.

use embedded_storage_async::nor_flash::NorFlash;

use super::format::{Crc, ITEM_HEAD_LEN, Layout, REMOVED, Window, seal};
use super::task::Half;

/// An item in a half.
#[derive(Clone, Copy)]
pub(super) struct Item {
    /// With [`REMOVED`].
    pub(super) key: u8,
    /// Where it begins in the half.
    pub(super) at: u32,
    /// Of the record.
    pub(super) len: u32,
    /// Without the seal.
    pub(super) crc: u32,
}

impl Item {
    pub(super) const NONE: Item = Item {
        key: 0,
        at: 0,
        len: 0,
        crc: 0,
    };

    /// One that is not written yet. The record is not longer than the storage can keep.
    pub(super) fn of(key: u8, record: &[u8]) -> Item {
        let len = record.len() as u32;
        let mut crc = Crc::of_item(key, len);
        for byte in record {
            crc.add(*byte);
        }
        Item {
            key,
            at: 0,
            len,
            crc: crc.value(),
        }
    }

    pub(super) fn number(self) -> u8 {
        self.key & !REMOVED
    }
}

/// A walk through a half, for the last item with the lowest number that is not below another.
///
/// What is no item is passed word by word. That finds no wrong item: its CRC would have to be right for its place.
pub(super) struct Scan {
    half: Half,
    from: u8,
    /// Offset in the half of the next window.
    at: u32,
    /// What is missing of the item under way.
    left: u32,
    current: Item,
    crc: Crc,
    /// What was looked for.
    pub(super) item: Option<Item>,
    /// Behind the last item.
    pub(super) tail: u32,
    /// Something is neither an item nor erased.
    pub(super) damaged: bool,
    /// There are items after damage: so that was not the last write, and an item is lost.
    pub(super) lost: bool,
}

impl Scan {
    /// Through all items of a half, which begin behind its head.
    pub(super) fn new(half: Half, from: u8, head_len: u32) -> Scan {
        Scan {
            half,
            from,
            at: head_len,
            left: 0,
            current: Item::NONE,
            crc: Crc::START,
            item: None,
            tail: head_len,
            damaged: false,
            lost: false,
        }
    }

    /// Through one item once more.
    pub(super) fn again(&mut self, item: Item, word: u32) {
        self.at = item.at;
        self.half.end = item.at + word;
        self.item = None;
    }

    /// Offset in the flash of the window that is wanted next.
    pub(super) fn next(&self) -> Option<u32> {
        (self.left > 0 || self.at < self.half.end).then_some(self.half.base + self.at)
    }

    /// Takes the window. Which bytes of the record of an item are in it, and from where in the record.
    pub(super) fn feed<'w, F: NorFlash>(&mut self, window: &'w Window, half_len: u32) -> (u32, &'w [u8]) {
        let mut skip = 0;
        let mut fits = true;
        if self.left == 0 {
            let erased = window.erased_len() / Layout::<F>::WORD * Layout::<F>::WORD;
            if erased > 0 {
                self.at += erased;
                return (0, &[]);
            }
            let (key, len, stored) = window.item_head();
            let crc = stored ^ seal(self.half.number, self.at);
            self.current = Item {
                key,
                at: self.at,
                len,
                crc,
            };
            self.crc = Crc::of_item(key, len);
            skip = ITEM_HEAD_LEN;
            fits = self.at + Layout::<F>::item_len(len) <= half_len;
            self.left = if fits { len } else { 0 };
        }
        let part = self.left.min(Layout::<F>::WINDOW - skip);
        let first = self.current.len.saturating_sub(self.left);
        let bytes = window.part(skip, part);
        for byte in bytes {
            self.crc.add(*byte);
        }
        self.left -= part;
        let item = self.current;
        if self.left > 0 {
            self.at += Layout::<F>::WINDOW;
            return (first, bytes);
        }
        if !fits || self.crc.value() != item.crc {
            self.damaged = true;
            self.at = item.at + Layout::<F>::WORD;
            return (first, bytes);
        }
        if item.at != self.tail {
            self.damaged = true;
            self.lost = true;
        }
        self.at = item.at + Layout::<F>::item_len(item.len);
        self.tail = self.at;
        let number = item.number();
        if number >= self.from && self.item.is_none_or(|best| number <= best.number()) {
            self.item = Some(item);
        }
        (first, bytes)
    }
}
