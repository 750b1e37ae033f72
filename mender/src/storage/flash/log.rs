//! The items of a half: walking through them, adding one, and moving to the other half.
//!
//! Before anything is changed the state becomes unknown, so that an error or a dropped future is like a power cut: the next
//! call looks at the flash again.

use embedded_storage_async::nor_flash::NorFlash;

use super::format::{Crc, ITEM_HEAD_LEN, Layout, REMOVED, Trace, Window, half_head, item_head, seal};
use super::{FlashError, FlashStorage};
use crate::storage::WriteError;

/// A half of the range, with a head or about to get one.
#[derive(Clone, Copy)]
pub(super) struct Half {
    /// Offset in the flash.
    base: u32,
    number: u32,
    /// Where the next item goes. The half's end if it must get no more items, because something in it is damaged.
    end: u32,
}

/// What is known of the range.
#[derive(Clone, Copy)]
pub(super) enum State {
    Unknown,
    /// Never used: the half to begin with, and whether it must be erased before.
    New(Half, bool),
    InUse(Half),
    /// What is there is not ours, or damaged beyond use. Looked at again by every call.
    Foreign,
}

/// An item in a half.
#[derive(Clone, Copy)]
pub(super) struct Item {
    /// With [`REMOVED`].
    key: u8,
    at: u32,
    pub(super) len: u32,
}

impl Item {
    fn number(self) -> u8 {
        self.key & !REMOVED
    }

    fn is_record(self) -> bool {
        self.key & REMOVED == 0
    }
}

/// What a walk through a half found.
pub(super) struct Walk {
    /// The last item with the lowest number that was asked for.
    item: Option<Item>,
    /// See [`Half::end`].
    end: u32,
    /// There are items after damage: so that was not the last write, and an item is lost.
    lost: bool,
}

/// What is known about one record.
pub(super) enum Found {
    Record(Item),
    Nothing,
    /// Perhaps it was there, but it is damaged.
    Lost,
}

impl Walk {
    pub(super) fn found(&self, key: u8) -> Found {
        match self.item.filter(|item| item.number() == key) {
            Some(item) if item.is_record() => Found::Record(item),
            Some(_) => Found::Nothing,
            None if self.lost => Found::Lost,
            None => Found::Nothing,
        }
    }
}

/// Where the bytes of a new item come from.
enum Content<'b> {
    Bytes(&'b [u8]),
    /// An item in another half.
    Stored(Half, Item),
}

type Outcome<T, F> = Result<T, FlashError<<F as embedded_storage_async::nor_flash::ErrorType>::Error>>;

impl<F: NorFlash> FlashStorage<F> {
    fn half(&self, second: bool) -> Half {
        Half {
            base: self.start + if second { self.half_len } else { 0 },
            number: 0,
            end: self.half_len,
        }
    }

    /// The half that is not this one, to get the next number.
    fn other(&self, half: Half) -> Half {
        Half {
            number: half.number + 1,
            end: Layout::<F>::HEAD,
            ..self.half(half.base == self.start)
        }
    }

    async fn load(&mut self, half: Half, at: u32) -> Outcome<Window, F> {
        let len = Layout::<F>::WINDOW.min(self.half_len.saturating_sub(at));
        let mut window = Window::ERASED;
        let bytes = window.start_mut(len);
        self.flash
            .read(half.base + at, bytes)
            .await
            .map_err(FlashError::Flash)?;
        for byte in bytes {
            *byte ^= self.flip;
        }
        Ok(window)
    }

    /// Writes the first bytes of a window and reads them back.
    async fn save(&mut self, half: Half, at: u32, mut window: Window, len: u32) -> Outcome<(), F> {
        let bytes = window.start_mut(len);
        for byte in &mut *bytes {
            *byte ^= self.flip;
        }
        let offset = half.base + at;
        self.flash.write(offset, bytes).await.map_err(FlashError::Flash)?;
        let mut read = Window::ERASED;
        let read = read.start_mut(len);
        self.flash.read(offset, read).await.map_err(FlashError::Flash)?;
        if read == bytes {
            Ok(())
        } else {
            Err(FlashError::NotStored)
        }
    }

    async fn erase(&mut self, half: Half) -> Outcome<(), F> {
        let (from, to) = (half.base, half.base + self.half_len);
        self.flash.erase(from, to).await.map_err(FlashError::Flash)
    }

    /// Makes a half count.
    async fn number(&mut self, half: Half) -> Outcome<(), F> {
        let mut window = Window::ERASED;
        window.put(half_head(half.number).iter());
        self.save(half, 0, window, Layout::<F>::HEAD).await
    }

    /// Hands out the bytes of a record.
    pub(super) async fn pour(&mut self, half: Half, item: Item, sink: &mut (dyn FnMut(u8) + Send)) -> Outcome<(), F> {
        let (mut at, mut skip, mut left) = (item.at, ITEM_HEAD_LEN, item.len);
        while left > 0 {
            let window = self.load(half, at).await?;
            let len = left.min(Layout::<F>::WINDOW - skip);
            for byte in window.0.iter().skip(skip as usize).take(len as usize) {
                sink(*byte);
            }
            at += Layout::<F>::WINDOW;
            left -= len;
            skip = 0;
        }
        Ok(())
    }

    /// Goes through the items of a half for the last one with the lowest number that is not below `from`.
    ///
    /// What is no item is passed word by word. That finds no wrong item: its CRC would have to be right for its place.
    pub(super) async fn walk(&mut self, half: Half, from: u8) -> Outcome<Walk, F> {
        let mut walk = Walk {
            item: None,
            end: Layout::<F>::HEAD,
            lost: false,
        };
        let mut damaged = false;
        let mut at = Layout::<F>::HEAD;
        while at < half.end {
            let window = self.load(half, at).await?;
            let erased = window.0.iter().take_while(|byte| **byte == 0xff).count() as u32;
            if erased >= Layout::<F>::WORD {
                at += erased / Layout::<F>::WORD * Layout::<F>::WORD;
                continue;
            }
            let (key, len, stored) = window.item_head();
            let item = Item { key, at, len };
            let next = at + Layout::<F>::item_len(len);
            let mut crc = Crc::of_item(key, len);
            if next <= self.half_len {
                self.pour(half, item, &mut |byte| crc.add(byte)).await?;
            }
            if next > self.half_len || crc.value() ^ seal(half.number, at) != stored {
                damaged = true;
                at += Layout::<F>::WORD;
                continue;
            }
            if at != walk.end {
                damaged = true;
                walk.lost = true;
            }
            at = next;
            walk.end = next;
            let number = item.number();
            if number >= from && walk.item.is_none_or(|best| number <= best.number()) {
                walk.item = Some(item);
            }
        }
        if damaged {
            walk.end = self.half_len;
        }
        Ok(walk)
    }

    /// The half with the highest number, or the second one with the number 0.
    async fn newest(&mut self) -> Outcome<Half, F> {
        let mut newest = self.half(true);
        for second in [false, true] {
            let half = self.half(second);
            let number = self.load(half, 0).await?.half_number();
            if number > newest.number {
                newest = Half { number, ..half };
            }
        }
        Ok(newest)
    }

    /// What the range holds.
    pub(super) async fn mount(&mut self) -> Outcome<State, F> {
        match self.state {
            State::Unknown | State::Foreign => {}
            State::New(..) | State::InUse(_) => return Ok(self.state),
        }
        let newest = self.newest().await?;
        self.state = if newest.number > 0 {
            let Walk { end, .. } = self.walk(newest, 0).await?;
            State::InUse(Half { end, ..newest })
        } else {
            let traces = [self.trace(false).await?, self.trace(true).await?];
            let (half, erase) = match traces {
                [Trace::Erased, Trace::Erased] => (Some(false), false),
                [Trace::TornFirst, Trace::Erased] => (Some(true), false),
                // An erase of the first half, which never held a record, may have been interrupted too.
                [Trace::Erased | Trace::TornFirst | Trace::Foreign, Trace::TornFirst] => (Some(false), true),
                [Trace::Foreign, Trace::Erased]
                | [Trace::Erased | Trace::TornFirst | Trace::Foreign, Trace::Foreign] => (None, false),
            };
            match half {
                Some(second) => State::New(self.other(self.half(!second)), erase),
                None => State::Foreign,
            }
        };
        Ok(self.state)
    }

    /// What a half without a number shows.
    async fn trace(&mut self, second: bool) -> Outcome<Trace, F> {
        let half = self.half(second);
        let head = self.load(half, 0).await?;
        let walk = self.walk(half, 0).await?;
        Ok(if walk.end == Layout::<F>::HEAD {
            head.trace(Layout::<F>::HEAD)
        } else {
            Trace::Foreign
        })
    }

    /// Writes an item to where nothing is.
    async fn put(&mut self, half: Half, key: u8, content: Content<'_>) -> Outcome<u32, F> {
        let len = match content {
            Content::Bytes(bytes) => bytes.len() as u32,
            Content::Stored(_, item) => item.len,
        };
        let crc = match content {
            Content::Bytes(bytes) => {
                let mut crc = Crc::of_item(key, len);
                bytes.iter().for_each(|byte| crc.add(*byte));
                crc.value()
            }
            Content::Stored(from, item) => {
                let (_, _, stored) = self.load(from, item.at).await?.item_head();
                stored ^ seal(from.number, item.at)
            }
        };
        let head = item_head(key, len, crc ^ seal(half.number, half.end));
        let total = Layout::<F>::item_len(len);
        let mut done = 0;
        while done < total {
            let mut window = Window::ERASED;
            match content {
                Content::Bytes(bytes) => window.put(head.iter().chain(bytes).skip(done as usize)),
                Content::Stored(from, item) => {
                    window = self.load(from, item.at + done).await?;
                    if done == 0 {
                        window.put(head.iter());
                    }
                }
            }
            let part = Layout::<F>::WINDOW.min(total - done);
            self.save(half, half.end + done, window, part).await?;
            done += part;
        }
        Ok(half.end + total)
    }

    /// Stores a record, or that there is none, if that is not what is stored already.
    pub(super) async fn store(
        &mut self,
        key: u8,
        record: Option<&[u8]>,
    ) -> Result<(), WriteError<FlashError<F::Error>>> {
        let half = match self.mount().await.map_err(WriteError::Backend)? {
            State::InUse(half) => half,
            State::New(half, erase) => {
                if record.is_none() {
                    return Ok(());
                }
                self.state = State::Unknown;
                if erase {
                    self.erase(half).await.map_err(WriteError::Backend)?;
                }
                self.number(half).await.map_err(WriteError::Backend)?;
                half
            }
            State::Unknown | State::Foreign => return Err(WriteError::Corrupt),
        };
        let found = self.walk(half, key).await.map_err(WriteError::Backend)?.found(key);
        let bytes = record.unwrap_or(&[]);
        let same = match (found, record) {
            (Found::Record(item), Some(_)) if item.len as usize == bytes.len() => {
                let (mut same, mut left) = (true, bytes.iter());
                self.pour(half, item, &mut |byte| same &= left.next() == Some(&byte))
                    .await
                    .map_err(WriteError::Backend)?;
                same
            }
            (Found::Nothing, None) => true,
            (Found::Record(_) | Found::Nothing | Found::Lost, Some(_)) | (Found::Record(_) | Found::Lost, None) => {
                false
            }
        };
        if same {
            self.state = State::InUse(half);
            return Ok(());
        }
        self.state = State::Unknown;
        let marked = if record.is_some() { key } else { key | REMOVED };
        let len = Layout::<F>::item_len(bytes.len() as u32);
        if len <= self.half_len - half.end
            && let Ok(end) = self.put(half, marked, Content::Bytes(bytes)).await
        {
            self.state = State::InUse(Half { end, ..half });
            return Ok(());
        }
        // No room, damage, or flash that does not take it.
        self.switch(half, key, record).await
    }

    /// Moves what still counts to the other half, with the change of one record. The old half stays in use until the head of
    /// the new one is written, last.
    async fn switch(
        &mut self,
        old: Half,
        key: u8,
        record: Option<&[u8]>,
    ) -> Result<(), WriteError<FlashError<F::Error>>> {
        let mut new = self.other(old);
        // First only whether there is room: a write that does not fit must not wear the flash.
        for moving in [false, true] {
            if moving {
                self.erase(new).await.map_err(WriteError::Backend)?;
            }
            new.end = Layout::<F>::HEAD;
            if let Some(record) = record {
                let len = Layout::<F>::item_len(record.len() as u32);
                new.end = if moving {
                    self.put(new, key, Content::Bytes(record))
                        .await
                        .map_err(WriteError::Backend)?
                } else {
                    new.end + len
                };
            }
            let mut from = 0;
            while let Some(item) = self.walk(old, from).await.map_err(WriteError::Backend)?.item {
                from = item.number() + 1;
                if !item.is_record() || item.key == key {
                    continue;
                }
                new.end = if moving {
                    let content = Content::Stored(old, item);
                    self.put(new, item.key, content).await.map_err(WriteError::Backend)?
                } else {
                    new.end + Layout::<F>::item_len(item.len)
                };
            }
            if new.end > self.half_len {
                return Err(WriteError::Full);
            }
        }
        self.number(new).await.map_err(WriteError::Backend)?;
        self.state = State::InUse(new);
        Ok(())
    }

    /// Puts an empty half in the place of what is there, then erases that too.
    pub(super) async fn clear(&mut self) -> Outcome<(), F> {
        self.state = State::Unknown;
        // What cannot be read is no obstacle.
        let old = self.newest().await.unwrap_or(self.half(true));
        let new = self.other(old);
        self.erase(new).await?;
        self.number(new).await?;
        self.erase(old).await
    }
}
