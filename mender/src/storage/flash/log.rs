//! What is done with the flash: finding the half in use and a record in it, adding an item, and moving to the other half.
//!
//! Before anything is changed the state becomes unknown, so that an error or a dropped future is like a power cut: the next
//! call looks at the flash again.
//!
//! What keeps it small: few awaits, one window and one place for the flash's error in the struct, and results of one byte.

use embedded_storage_async::nor_flash::NorFlash;

use super::FlashStorage;
use super::format::{Layout, REMOVED, Trace, Window, half_head, item_head, seal};
use super::scan::{Item, Scan, Sink};

/// Why something was not done.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    /// The error is in [`FlashStorage::error`].
    Flash,
    NotStored,
    Full,
    Corrupt,
}

/// A half of the range.
#[derive(Clone, Copy)]
pub(super) struct Half {
    /// Offset in the flash.
    pub(super) base: u32,
    /// Of its head; 0 if it has none.
    pub(super) number: u32,
    /// Where the next item goes. The half's end if it must get no more items, because something in it is damaged.
    pub(super) end: u32,
}

/// What is known about one record.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// It is there, and has this length.
    Record(u32),
    Nothing,
    /// Perhaps it was there, but it is damaged.
    Lost,
}

/// What is to be written.
#[derive(Clone, Copy)]
enum Content<'b> {
    /// An item with this record.
    Record(&'b [u8]),
    /// An item like the one that begins here in the flash.
    Stored(u32),
    /// The half's head.
    Head,
}

#[derive(Clone, Copy)]
enum Operation {
    Read,
    Write,
    Erase,
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

    /// Does it, with the first bytes of the window.
    async fn perform(&mut self, operation: Operation, offset: u32, len: u32) -> Result<(), Fault> {
        let bytes = self.window.start_mut(len);
        let result = match operation {
            Operation::Read => self.flash.read(offset, bytes).await,
            Operation::Write => self.flash.write(offset, bytes).await,
            Operation::Erase => self.flash.erase(offset, offset + len).await,
        };
        result.map_err(|error| {
            self.error = Some(error);
            Fault::Flash
        })
    }

    /// Fills the window; beyond the range with erased bytes.
    async fn load(&mut self, offset: u32) -> Result<(), Fault> {
        self.window = Window::ERASED;
        let end = self.start + 2 * self.half_len;
        let len = Layout::<F>::WINDOW.min(end.saturating_sub(offset));
        self.perform(Operation::Read, offset, len).await?;
        self.window.flip(len, self.flip);
        Ok(())
    }

    async fn erase(&mut self, half: Half) -> Result<(), Fault> {
        self.perform(Operation::Erase, half.base, self.half_len).await?;
        // On a chip that erases to another value than said every write would seem damaged, and lead to the next erase.
        self.load(half.base).await?;
        if self.window.erased_len() >= Layout::<F>::WORD {
            Ok(())
        } else {
            Err(Fault::NotStored)
        }
    }

    async fn walk(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        while let Some(offset) = scan.next() {
            self.load(offset).await?;
            scan.feed::<F>(&self.window, self.half_len);
        }
        Ok(())
    }

    /// The half with the highest number. If there is none in a range that is new, the one to begin with, with the number 0.
    async fn newest(&mut self) -> Result<Half, Fault> {
        let mut newest = self.half(true);
        let mut traces = [Trace::Foreign; 2];
        for (second, trace) in [false, true].into_iter().zip(&mut traces) {
            let half = self.half(second);
            self.load(half.base).await?;
            *trace = self.window.trace(Layout::<F>::HEAD);
            let number = self.window.half_number();
            if number > newest.number {
                newest = Half { number, ..half };
            }
        }
        if newest.number > 0 {
            return Ok(newest);
        }
        for (second, trace) in [false, true].into_iter().zip(&mut traces) {
            let mut scan = Scan::new::<F>(self.half(second), 0);
            self.walk(&mut scan).await?;
            if scan.damaged {
                *trace = Trace::Foreign;
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
                Err(Fault::Corrupt)
            }
        }
    }

    /// The half in use, or the one to begin with; and a record, whose bytes the sink gets.
    pub(super) async fn look(&mut self, key: u8, sink: Sink<'_>) -> Result<(Half, Found), Fault> {
        let mut half = match self.state {
            Some(half) => half,
            None => self.newest().await?,
        };
        let mut scan = Scan::new::<F>(half, key);
        self.walk(&mut scan).await?;
        if half.number > 0 {
            half.end = if scan.damaged { self.half_len } else { scan.tail };
            self.state = Some(half);
        }
        let mut found = Found::Nothing;
        match scan.item.filter(|item| item.number() == key) {
            Some(item) if item.key == key => {
                let mut again = Scan::again::<F>(half, item, sink);
                self.walk(&mut again).await?;
                // Unless the flash reads differently every time.
                found = match again.item {
                    Some(item) => Found::Record(item.len),
                    None => Found::Lost,
                };
            }
            Some(_) => {}
            None if scan.lost => found = Found::Lost,
            None => {}
        }
        Ok((half, found))
    }

    /// Writes to where nothing is, and reads it back.
    async fn put(&mut self, half: &mut Half, item: Item, content: Content<'_>) -> Result<(), Fault> {
        let item_head = item_head(item.key, item.len, item.crc ^ seal(half.number, half.end));
        let half_head = half_head(half.number);
        let (mut at, mut len) = (half.end, Layout::<F>::item_len(item.len));
        if let Content::Head = content {
            (at, len) = (0, Layout::<F>::HEAD);
        }
        let mut done = 0;
        while done < len {
            let offset = half.base + at + done;
            let part = Layout::<F>::WINDOW.min(len - done);
            self.window = Window::ERASED;
            match content {
                Content::Head => self.window.put(half_head.iter()),
                Content::Record(bytes) => self.window.put(item_head.iter().chain(bytes).skip(done as usize)),
                Content::Stored(from) => {
                    self.load(from + done).await?;
                    if done == 0 {
                        self.window.put(item_head.iter());
                    }
                }
            }
            let sum = self.window.sum(part);
            self.window.flip(part, self.flip);
            for operation in [Operation::Write, Operation::Read] {
                self.perform(operation, offset, part).await?;
            }
            self.window.flip(part, self.flip);
            if self.window.sum(part) != sum {
                return Err(Fault::NotStored);
            }
            done += part;
        }
        half.end = half.end.max(at + len);
        Ok(())
    }

    /// Stores a record, or that there is none, if that is not what is stored already.
    pub(super) async fn store(&mut self, key: u8, record: Option<&[u8]>) -> Result<(), Fault> {
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
        let item = Item::of(if record.is_some() { key } else { key | REMOVED }, bytes);
        if Layout::<F>::item_len(item.len) <= self.half_len - half.end {
            let mut content = Content::Record(bytes);
            if half.number == 0 {
                half.number = 1;
                content = Content::Head;
            }
            while self.put(&mut half, item, content).await.is_ok() {
                let Content::Head = content else {
                    self.state = Some(half);
                    return Ok(());
                };
                content = Content::Record(bytes);
            }
        }
        // No room, damage, or flash that does not take it.
        self.switch(half, item, record).await
    }

    /// Moves what still counts to the other half, with the change of one record. The old half stays in use until the head of
    /// the new one is written, last.
    async fn switch(&mut self, old: Half, change: Item, record: Option<&[u8]>) -> Result<(), Fault> {
        let mut new = self.other(old);
        // First only whether there is room: a write that does not fit must not wear the flash.
        for moving in [false, true] {
            new.end = Layout::<F>::HEAD;
            if moving {
                self.erase(new).await?;
            }
            let mut next = record.map(|record| (change, Content::Record(record)));
            let mut from = 0;
            loop {
                let (item, content) = match next.take() {
                    Some(next) => next,
                    None => {
                        let mut scan = Scan::new::<F>(old, from);
                        self.walk(&mut scan).await?;
                        match scan.item {
                            Some(item) => {
                                from = item.number() + 1;
                                if item.key >= REMOVED || item.key == change.number() {
                                    continue;
                                }
                                (item, Content::Stored(old.base + item.at))
                            }
                            None => (change, Content::Head),
                        }
                    }
                };
                if moving {
                    self.put(&mut new, item, content).await?;
                }
                if let Content::Head = content {
                    break;
                }
                if !moving {
                    new.end += Layout::<F>::item_len(item.len);
                }
            }
            if new.end > self.half_len {
                return Err(Fault::Full);
            }
        }
        self.state = Some(new);
        Ok(())
    }

    /// Puts an empty half in the place of what is there, then erases that too.
    pub(super) async fn clear(&mut self) -> Result<(), Fault> {
        self.state = None;
        // What cannot be read is no obstacle.
        let old = self.newest().await.unwrap_or(self.half(true));
        let mut new = self.other(old);
        self.erase(new).await?;
        self.put(&mut new, Item::of(0, &[]), Content::Head).await?;
        self.erase(old).await
    }
}
