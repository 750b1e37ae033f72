//! The items of a half: walking through them, adding one, and moving to the other half.
//!
//! Before anything is changed the state becomes unknown, so that an error or a dropped future is like a power cut: the next
//! call looks at the flash again.
//!
//! Few async functions with few awaits, each called from few places: this is what keeps it small.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash};

use super::format::{Crc, ITEM_HEAD_LEN, Layout, REMOVED, Trace, Window, half_head, item_head, seal};
use super::{FlashError, FlashStorage};
use crate::storage::WriteError;

/// A half of the range.
#[derive(Clone, Copy)]
pub(super) struct Half {
    /// Offset in the flash.
    base: u32,
    /// Of its head; 0 if it has none.
    number: u32,
    /// Where the next item goes. The half's end if it must get no more items, because something in it is damaged.
    end: u32,
}

/// An item in a half.
#[derive(Clone, Copy)]
pub(super) struct Item {
    /// With [`REMOVED`].
    key: u8,
    at: u32,
    pub(super) len: u32,
    /// Without the seal.
    crc: u32,
}

impl Item {
    fn number(self) -> u8 {
        self.key & !REMOVED
    }
}

/// What a walk through a half found.
struct Walk {
    /// The last item with the lowest number that was asked for.
    item: Option<Item>,
    /// See [`Half::end`].
    end: u32,
    /// There are items after damage: so that was not the last write, and an item is lost.
    lost: bool,
}

/// What is known about one record.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Record(Item),
    Nothing,
    /// Perhaps it was there, but it is damaged.
    Lost,
}

/// What is to be written behind the last item of a half.
#[derive(Clone, Copy)]
enum Content<'b> {
    Record(u8, &'b [u8]),
    /// An item of another half.
    Stored(Half, Item),
    Nothing,
}

pub(super) type Outcome<T, F> = Result<T, WriteError<FlashError<<F as ErrorType>::Error>>>;

fn flash_error<E>(error: E) -> WriteError<FlashError<E>> {
    WriteError::Backend(FlashError::Flash(error))
}

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
        self.flash.read(half.base + at, bytes).await.map_err(flash_error)?;
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
        self.flash.write(offset, bytes).await.map_err(flash_error)?;
        let mut read = Window::ERASED;
        let read = read.start_mut(len);
        self.flash.read(offset, read).await.map_err(flash_error)?;
        if read == bytes {
            Ok(())
        } else {
            Err(WriteError::Backend(FlashError::NotStored))
        }
    }

    async fn erase(&mut self, half: Half) -> Outcome<(), F> {
        let (from, to) = (half.base, half.base + self.half_len);
        self.flash.erase(from, to).await.map_err(flash_error)
    }

    /// Hands out the bytes of a record.
    async fn pour(&mut self, half: Half, item: Item, sink: &mut (dyn FnMut(u8) + Send)) -> Outcome<(), F> {
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
    async fn walk(&mut self, half: Half, from: u8) -> Outcome<Walk, F> {
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
            let crc = stored ^ seal(half.number, at);
            let item = Item { key, at, len, crc };
            let next = at + Layout::<F>::item_len(len);
            let mut found = Crc::of_item(key, len);
            if next <= self.half_len {
                self.pour(half, item, &mut |byte| found.add(byte)).await?;
            }
            if next > self.half_len || found.value() != crc {
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

    /// Without a half with a number: the half to begin with, if the range is new.
    async fn fresh(&mut self) -> Outcome<Half, F> {
        let mut traces = [Trace::Foreign; 2];
        for (second, trace) in [false, true].into_iter().zip(&mut traces) {
            let half = self.half(second);
            let head = self.load(half, 0).await?;
            if self.walk(half, 0).await?.end == Layout::<F>::HEAD {
                *trace = head.trace(Layout::<F>::HEAD);
            }
        }
        let end = Layout::<F>::HEAD;
        match traces {
            [Trace::Erased, Trace::Erased] => Ok(Half {
                end,
                ..self.half(false)
            }),
            [Trace::TornFirst, Trace::Erased] => Ok(Half { end, ..self.half(true) }),
            // As if the second half were in use, empty and damaged. The first half never held a record; what is there may also
            // come from an erase that was interrupted.
            [Trace::Erased | Trace::TornFirst | Trace::Foreign, Trace::TornFirst] => Ok(self.half(true)),
            [Trace::Foreign, Trace::Erased] | [Trace::Erased | Trace::TornFirst | Trace::Foreign, Trace::Foreign] => {
                Err(WriteError::Corrupt)
            }
        }
    }

    /// The half in use, or the one to begin with; and a record, whose bytes the sink gets.
    pub(super) async fn look(&mut self, key: u8, sink: &mut (dyn FnMut(u8) + Send)) -> Outcome<(Half, Found), F> {
        let mut half = match self.state {
            Some(half) => half,
            None => {
                let newest = self.newest().await?;
                if newest.number > 0 { newest } else { self.fresh().await? }
            }
        };
        let walk = self.walk(half, key).await?;
        if half.number > 0 {
            half.end = walk.end;
            self.state = Some(half);
        }
        let found = match walk.item {
            Some(item) if item.key == key => {
                self.pour(half, item, sink).await?;
                Found::Record(item)
            }
            Some(item) if item.number() == key => Found::Nothing,
            Some(_) | None if walk.lost => Found::Lost,
            Some(_) | None => Found::Nothing,
        };
        Ok((half, found))
    }

    /// Writes an item to where nothing is, after the half's head if that is asked for.
    async fn put(&mut self, half: &mut Half, mut head: bool, content: Content<'_>) -> Outcome<(), F> {
        let (key, len, crc) = match content {
            Content::Record(key, bytes) => {
                let len = bytes.len() as u32;
                let mut crc = Crc::of_item(key, len);
                bytes.iter().for_each(|byte| crc.add(*byte));
                (key, len, crc.value())
            }
            Content::Stored(_, item) => (item.key, item.len, item.crc),
            Content::Nothing => (0, 0, 0),
        };
        let item = item_head(key, len, crc ^ seal(half.number, half.end));
        let mut done = 0;
        loop {
            let mut window = Window::ERASED;
            if head {
                window.put(half_head(half.number).iter());
                self.save(*half, 0, window, Layout::<F>::HEAD).await?;
                head = false;
                continue;
            }
            match content {
                Content::Record(_, bytes) => window.put(item.iter().chain(bytes).skip(done as usize)),
                Content::Stored(from, stored) => {
                    window = self.load(from, stored.at + done).await?;
                    if done == 0 {
                        window.put(item.iter());
                    }
                }
                Content::Nothing => return Ok(()),
            }
            let left = Layout::<F>::item_len(len) - done;
            let part = Layout::<F>::WINDOW.min(left);
            self.save(*half, half.end + done, window, part).await?;
            done += part;
            if part == left {
                half.end += done;
                return Ok(());
            }
        }
    }

    /// Stores a record, or that there is none, if that is not what is stored already.
    pub(super) async fn store(&mut self, key: u8, record: Option<&[u8]>) -> Outcome<(), F> {
        let bytes = record.unwrap_or(&[]);
        let (mut same, mut left) = (true, bytes.iter());
        let sink = &mut |byte| same &= left.next() == Some(&byte);
        let (mut half, found) = self.look(key, sink).await?;
        let stored = match found {
            Found::Record(_) => same && left.len() == 0 && record.is_some(),
            Found::Nothing => record.is_none(),
            Found::Lost => false,
        };
        if stored {
            return Ok(());
        }
        self.state = None;
        if Layout::<F>::item_len(bytes.len() as u32) <= self.half_len - half.end {
            let marked = if record.is_some() { key } else { key | REMOVED };
            let is_new = half.number == 0;
            half.number = half.number.max(1);
            if self
                .put(&mut half, is_new, Content::Record(marked, bytes))
                .await
                .is_ok()
            {
                self.state = Some(half);
                return Ok(());
            }
        }
        // No room, damage, or flash that does not take it.
        self.switch(half, key, record).await
    }

    /// Moves what still counts to the other half, with the change of one record. The old half stays in use until the head of
    /// the new one is written, last.
    async fn switch(&mut self, old: Half, key: u8, record: Option<&[u8]>) -> Outcome<(), F> {
        let mut new = self.other(old);
        // First only whether there is room: a write that does not fit must not wear the flash.
        for moving in [false, true] {
            new.end = Layout::<F>::HEAD;
            if moving {
                self.erase(new).await?;
            }
            let mut change = record;
            let mut from = 0;
            loop {
                let (content, len) = match change.take() {
                    Some(record) => (Content::Record(key, record), record.len() as u32),
                    None => {
                        let Some(item) = self.walk(old, from).await?.item else {
                            break;
                        };
                        from = item.number() + 1;
                        if item.key >= REMOVED || item.key == key {
                            continue;
                        }
                        (Content::Stored(old, item), item.len)
                    }
                };
                if moving {
                    self.put(&mut new, false, content).await?;
                } else {
                    new.end += Layout::<F>::item_len(len);
                }
            }
            if new.end > self.half_len {
                return Err(WriteError::Full);
            }
        }
        self.put(&mut new, true, Content::Nothing).await?;
        self.state = Some(new);
        Ok(())
    }

    /// Puts an empty half in the place of what is there, then erases that too.
    pub(super) async fn clear(&mut self) -> Outcome<(), F> {
        self.state = None;
        // What cannot be read is no obstacle.
        let old = self.newest().await.unwrap_or(self.half(true));
        let mut new = self.other(old);
        self.erase(new).await?;
        self.put(&mut new, true, Content::Nothing).await?;
        self.erase(old).await
    }
}
