//! Goes through the items of a half, window by window, without IO.

use embedded_storage_async::nor_flash::NorFlash;

use super::format::{Crc, ITEM_HEAD_LEN, Layout, REMOVED, Window, seal};
use super::log::Half;

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

/// Gets the bytes of a record.
pub(super) type Sink<'s> = &'s mut (dyn FnMut(u8) + Send);

/// A walk through a half, for the last item with the lowest number that is not below another.
///
/// What is no item is passed word by word. That finds no wrong item: its CRC would have to be right for its place.
pub(super) struct Scan<'s> {
    half: Half,
    from: u8,
    sink: Option<Sink<'s>>,
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

impl<'s> Scan<'s> {
    /// Through all items.
    pub(super) fn new<F: NorFlash>(half: Half, from: u8) -> Scan<'s> {
        let at = Layout::<F>::HEAD;
        Scan {
            half,
            from,
            sink: None,
            at,
            left: 0,
            current: Item {
                key: 0,
                at,
                len: 0,
                crc: 0,
            },
            crc: Crc::START,
            item: None,
            tail: at,
            damaged: false,
            lost: false,
        }
    }

    /// Through one item once more, which hands out its record.
    pub(super) fn again<F: NorFlash>(half: Half, item: Item, sink: Sink<'s>) -> Scan<'s> {
        let end = item.at + Layout::<F>::WORD;
        Scan {
            sink: Some(sink),
            at: item.at,
            ..Scan::new::<F>(Half { end, ..half }, item.number())
        }
    }

    /// Offset in the flash of the window that is wanted next.
    pub(super) fn next(&self) -> Option<u32> {
        (self.left > 0 || self.at < self.half.end).then_some(self.half.base + self.at)
    }

    /// Takes the window.
    pub(super) fn feed<F: NorFlash>(&mut self, window: &Window, half_len: u32) {
        let mut skip = 0;
        let mut fits = true;
        if self.left == 0 {
            let erased = window.erased_len() / Layout::<F>::WORD * Layout::<F>::WORD;
            if erased > 0 {
                self.at += erased;
                return;
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
        for byte in window.0.iter().skip(skip as usize).take(part as usize) {
            self.crc.add(*byte);
            if let Some(sink) = &mut self.sink {
                sink(*byte);
            }
        }
        self.left -= part;
        if self.left > 0 {
            self.at += Layout::<F>::WINDOW;
            return;
        }
        let item = self.current;
        if !fits || self.crc.value() != item.crc {
            self.damaged = true;
            self.at = item.at + Layout::<F>::WORD;
            return;
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
    }
}
