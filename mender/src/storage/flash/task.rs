//! What a call does with the flash, step by step, without IO: finding the half in use and a record in it, adding an item, and
//! moving to the other half.
//!
//! Written by hand as a machine of phases because that is a third smaller than nested async functions (and keeping its large
//! functions apart saves more than a call costs). Each step goes on from what the last operation has left in the window,
//! and says the next operation.
//!
//! Each call begins with the heads of the halves: nothing is remembered from call to call, so that an error or a dropped future
//! is like a power cut, and nothing is appended to a half that lost its head meanwhile.

use embedded_storage_async::nor_flash::NorFlash;

use super::FlashStorage;
use super::format::{Layout, MAX_NUMBER, REMOVED, Trace, Window, half_head, item_head, seal};
use super::scan::{Item, Scan};

/// Why something was not done.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// What a call is for.
pub(super) enum Goal<'t> {
    /// The record into this.
    Read(&'t mut [u8]),
    /// This as the record, or none.
    Store(Option<&'t [u8]>),
    /// An empty half in the place of what is there.
    Clear,
}

/// An operation of the flash, with the first bytes of the window.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Read,
    Write,
    Erase,
}

/// What comes next.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// The next phase.
    Again,
    /// This operation, at [`Task::offset`] and [`Task::len`].
    Do(Operation),
    /// The end. What was found is in [`Task::found`].
    Done,
    Failed(Fault),
}

/// What is to be written.
#[derive(Clone, Copy)]
enum Content {
    /// An item with the record of [`Goal::Store`].
    Record,
    /// An item like the one that begins here in the flash.
    Stored(u32),
    /// The half's head.
    Head,
}

/// What was done last, and so is in the window.
#[derive(Clone, Copy)]
enum Phase {
    Start,
    /// The head of the first half was read.
    FirstHead,
    SecondHead,
    /// The first half, which has no number, was walked through.
    FirstBlank,
    SecondBlank,
    /// The half in use was walked through for the record.
    Found,
    /// The record was handed out.
    Handed,
    /// The head of a new range was written.
    Begun,
    /// The item was written.
    Appended,
    /// The other half is wanted.
    Switch,
    /// The other half was erased.
    Erased,
    /// Its first window was read.
    EraseChecked,
    /// An item was counted or copied.
    Moved,
    /// The old half was walked through for the next item.
    NextFound,
    /// The new half has its head.
    Switched,
    /// The old half was erased.
    Cleared,
}

/// Where the write of an item or a head is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    No,
    /// The next window is wanted.
    Next,
    /// The window holds what is to be copied.
    Loaded,
    Written,
    ReadBack,
}

/// A call under way.
pub(super) struct Task<'t> {
    /// Of the next operation.
    pub(super) offset: u32,
    pub(super) len: u32,
    /// Length of the record, if it is there.
    pub(super) found: Option<u32>,
    key: u8,
    goal: Goal<'t>,
    phase: Phase,
    /// The half in use, once it is known.
    half: Half,
    scan: Scan,
    /// A window was read for the walk.
    fed: bool,
    /// The bytes that the walk passes are those of the record.
    handing: bool,
    /// They are those of the goal.
    same: bool,
    traces: (Trace, Trace),
    /// Failing to write an item leads to the other half.
    appending: bool,
    /// The half that is written to.
    new: Half,
    /// Items are copied, not only counted.
    moving: bool,
    /// Number of the next item to move.
    from: u8,
    put: Put,
    content: Content,
    item: Item,
    done: u32,
    sum: u32,
}

impl<'t> Task<'t> {
    #[inline(never)]
    pub(super) fn new(key: u8, goal: Goal<'t>) -> Task<'t> {
        let nowhere = Half {
            base: 0,
            number: 0,
            end: 0,
        };
        Task {
            offset: 0,
            len: 0,
            found: None,
            key,
            goal,
            phase: Phase::Start,
            half: nowhere,
            scan: Scan::new(nowhere, 0, 0),
            fed: false,
            handing: false,
            same: true,
            traces: (Trace::Foreign, Trace::Foreign),
            appending: false,
            new: nowhere,
            moving: false,
            from: 0,
            put: Put::No,
            content: Content::Head,
            item: Item::NONE,
            done: 0,
            sum: 0,
        }
    }

    /// The record to be stored.
    fn record(&self) -> &'t [u8] {
        match self.goal {
            Goal::Store(Some(record)) => record,
            Goal::Store(None) | Goal::Read(_) | Goal::Clear => &[],
        }
    }

    fn is_clear(&self) -> bool {
        matches!(self.goal, Goal::Clear)
    }

    fn walk<F: NorFlash>(&mut self, half: Half, from: u8, then: Phase) {
        self.scan = Scan::new(half, from, Layout::<F>::HEAD);
        self.phase = then;
    }

    fn put(&mut self, content: Content, then: Phase) {
        self.content = content;
        self.phase = then;
        self.put = Put::Next;
        self.done = 0;
    }

    /// A byte of the record.
    fn hand(&mut self, at: u32, byte: u8) {
        match &mut self.goal {
            Goal::Read(buffer) => {
                if let Some(place) = buffer.get_mut(at as usize) {
                    *place = byte;
                }
            }
            Goal::Store(record) => {
                self.same &= record.is_some_and(|record| record.get(at as usize) == Some(&byte));
            }
            Goal::Clear => {}
        }
    }
}

impl<F: NorFlash> FlashStorage<F> {
    fn half(&self, second: bool) -> Half {
        Half {
            base: self.start + if second { self.half_len } else { 0 },
            number: 0,
            end: self.half_len,
        }
    }

    /// Fills the window; beyond the range with erased bytes.
    fn read_at(&mut self, task: &mut Task<'_>, offset: u32) -> Step {
        self.window = Window::ERASED;
        let end = self.start + 2 * self.half_len;
        task.offset = offset;
        task.len = Layout::<F>::WINDOW.min(end.saturating_sub(offset));
        Step::Do(Operation::Read)
    }

    fn erase(&self, task: &mut Task<'_>, half: Half) -> Step {
        task.offset = half.base;
        task.len = self.half_len;
        Step::Do(Operation::Erase)
    }

    /// What was asked for failed. Whether that is the end.
    pub(super) fn is_fatal(&mut self, task: &mut Task<'_>) -> bool {
        let clearing = task.is_clear() && matches!(task.phase, Phase::FirstHead | Phase::SecondHead);
        if clearing {
            // What cannot be read is no obstacle.
            task.half = self.half(true);
        } else if !task.appending {
            return true;
        }
        task.put = Put::No;
        task.phase = Phase::Switch;
        false
    }

    /// Goes on.
    #[inline(never)]
    pub(super) fn step(&mut self, task: &mut Task<'_>) -> Step {
        loop {
            if task.fed {
                task.fed = false;
                let hand = task.handing;
                let (first, bytes) = task.scan.feed::<F>(&self.window, self.half_len);
                if hand {
                    for (at, byte) in (first..).zip(bytes) {
                        task.hand(at, *byte);
                    }
                }
            }
            if let Some(offset) = task.scan.next() {
                task.fed = true;
                return self.read_at(task, offset);
            }
            let step = if task.put == Put::No {
                self.go_on(task)
            } else {
                self.put(task)
            };
            match step {
                Step::Again => {}
                Step::Failed(Fault::NotStored) if !self.is_fatal(task) => {}
                Step::Failed(_) | Step::Do(_) | Step::Done => return step,
            }
        }
    }

    /// Goes on with the write of an item or a head.
    #[inline(never)]
    fn put(&mut self, task: &mut Task<'_>) -> Step {
        let (at, len) = match task.content {
            Content::Head => (0, Layout::<F>::HEAD),
            Content::Record | Content::Stored(_) => (task.new.end, Layout::<F>::item_len(task.item.len)),
        };
        let part = Layout::<F>::WINDOW.min(len - task.done);
        task.offset = task.new.base + at + task.done;
        task.len = part;
        match task.put {
            Put::No => {}
            Put::Next => {
                task.put = Put::Loaded;
                self.window = Window::ERASED;
                if let Content::Stored(from) = task.content {
                    return self.read_at(task, from + task.done);
                }
            }
            Put::Loaded => {
                task.put = Put::Written;
                let seal = seal(task.new.number, task.new.end);
                let head = item_head(task.item.key, task.item.len, task.item.crc ^ seal);
                match task.content {
                    Content::Head => self.window.put(half_head(task.new.number).iter()),
                    Content::Record => {
                        let bytes = head.iter().chain(task.record());
                        self.window.put(bytes.skip(task.done as usize));
                    }
                    Content::Stored(_) if task.done == 0 => self.window.put(head.iter()),
                    Content::Stored(_) => {}
                }
                task.sum = self.window.sum(part);
                self.window.flip(part, self.flip);
                return Step::Do(Operation::Write);
            }
            Put::Written => {
                task.put = Put::ReadBack;
                return Step::Do(Operation::Read);
            }
            Put::ReadBack => {
                if self.window.sum(part) != task.sum {
                    return Step::Failed(Fault::NotStored);
                }
                task.put = Put::Next;
                task.done += part;
                if task.done == len {
                    task.put = Put::No;
                    task.new.end = task.new.end.max(at + len);
                }
            }
        }
        Step::Again
    }

    /// Goes on when neither a walk nor a write is under way.
    #[inline(never)]
    fn go_on(&mut self, task: &mut Task<'_>) -> Step {
        match task.phase {
            Phase::Start => {
                task.half = self.half(true);
                task.phase = Phase::FirstHead;
                return self.read_at(task, self.start);
            }
            Phase::FirstHead | Phase::SecondHead => {
                let second = matches!(task.phase, Phase::SecondHead);
                let number = self.window.half_number();
                if number > task.half.number {
                    task.half = Half {
                        number,
                        ..self.half(second)
                    };
                }
                let trace = self.window.trace(Layout::<F>::HEAD);
                if !second {
                    task.traces.0 = trace;
                    task.phase = Phase::SecondHead;
                    return self.read_at(task, self.start + self.half_len);
                }
                task.traces.1 = trace;
                if task.is_clear() {
                    task.phase = Phase::Switch;
                } else if task.half.number > 0 {
                    task.walk::<F>(task.half, task.key, Phase::Found);
                } else {
                    task.walk::<F>(self.half(false), 0, Phase::FirstBlank);
                }
            }
            Phase::FirstBlank => {
                if task.scan.damaged {
                    task.traces.0 = Trace::Foreign;
                }
                task.walk::<F>(self.half(true), 0, Phase::SecondBlank);
            }
            Phase::SecondBlank => {
                if task.scan.damaged {
                    task.traces.1 = Trace::Foreign;
                }
                let end = Layout::<F>::HEAD;
                task.half = match task.traces {
                    (Trace::Erased, Trace::Erased) => Half {
                        end,
                        ..self.half(false)
                    },
                    (Trace::TornFirst, Trace::Erased) => Half { end, ..self.half(true) },
                    // As if the second half were in use, empty and damaged. The first half never held a record; what is there may
                    // also come from an erase that was interrupted.
                    (Trace::Erased | Trace::TornFirst | Trace::Foreign, Trace::TornFirst) => self.half(true),
                    (Trace::Foreign, Trace::Erased)
                    | (Trace::Erased | Trace::TornFirst | Trace::Foreign, Trace::Foreign) => {
                        return Step::Failed(Fault::Corrupt);
                    }
                };
                task.scan.item = None;
                task.scan.lost = false;
                return self.decide(task);
            }
            Phase::Found => {
                task.half.end = if task.scan.damaged {
                    self.half_len
                } else {
                    task.scan.tail
                };
                if let Some(item) = task.scan.item
                    && item.key == task.key
                {
                    task.scan.again(item, Layout::<F>::WORD);
                    task.handing = true;
                    task.phase = Phase::Handed;
                    return Step::Again;
                }
                return self.decide(task);
            }
            Phase::Handed => {
                task.handing = false;
                let Some(item) = task.scan.item else {
                    // The flash reads differently every time.
                    task.scan.lost = true;
                    return self.decide(task);
                };
                task.found = Some(item.len);
                return self.decide(task);
            }
            Phase::Begun => task.put(Content::Record, Phase::Appended),
            Phase::Appended | Phase::Switched if !task.is_clear() => return Step::Done,
            Phase::Appended | Phase::Switched => {
                task.phase = Phase::Cleared;
                return self.erase(task, task.half);
            }
            Phase::Cleared => return Step::Done,
            Phase::Switch => {
                task.appending = false;
                if task.half.number >= MAX_NUMBER {
                    // No chip lives that long: a head by chance.
                    if !task.is_clear() {
                        return Step::Failed(Fault::Corrupt);
                    }
                    task.half.number = 0;
                }
                task.new = Half {
                    number: task.half.number + 1,
                    end: Layout::<F>::HEAD,
                    ..self.half(task.half.base == self.start)
                };
                // First only whether there is room: a write that does not fit must not wear the flash.
                if task.moving || task.is_clear() {
                    task.phase = Phase::Erased;
                    return self.erase(task, task.new);
                }
                self.begin_move(task);
            }
            Phase::Erased => {
                task.phase = Phase::EraseChecked;
                return self.read_at(task, task.new.base);
            }
            Phase::EraseChecked => {
                // On a chip that erases to another value than said every write would seem damaged, and lead to an erase.
                if self.window.erased_len() < Layout::<F>::WORD {
                    return Step::Failed(Fault::NotStored);
                }
                if task.is_clear() {
                    task.put(Content::Head, Phase::Switched);
                } else {
                    self.begin_move(task);
                }
            }
            Phase::Moved => task.walk::<F>(task.half, task.from, Phase::NextFound),
            Phase::NextFound => {
                if let Some(item) = task.scan.item {
                    task.from = item.number() + 1;
                    task.phase = Phase::Moved;
                    if item.key < REMOVED && item.key != task.key {
                        task.item = item;
                        self.take_along(task, Content::Stored(task.half.base + item.at));
                    }
                } else if task.moving {
                    task.put(Content::Head, Phase::Switched);
                } else if task.new.end > self.half_len {
                    return Step::Failed(Fault::Full);
                } else {
                    task.moving = true;
                    task.phase = Phase::Switch;
                }
            }
        }
        Step::Again
    }

    /// The changed record, then the others.
    fn begin_move(&self, task: &mut Task<'_>) {
        task.from = 0;
        task.phase = Phase::Moved;
        if let Goal::Store(Some(record)) = task.goal {
            task.item = Item::of(task.key, record);
            self.take_along(task, Content::Record);
        }
    }

    fn take_along(&self, task: &mut Task<'_>, content: Content) {
        if task.moving {
            task.put(content, Phase::Moved);
        } else {
            task.new.end += Layout::<F>::item_len(task.item.len);
        }
    }

    /// What follows from what was found.
    fn decide(&mut self, task: &mut Task<'_>) -> Step {
        let known = task.scan.item.is_some_and(|item| item.number() == task.key);
        let lost = task.scan.lost && !known;
        let Goal::Store(record) = task.goal else {
            return if lost { Step::Failed(Fault::Corrupt) } else { Step::Done };
        };
        let len = record.map(|record| record.len() as u32);
        if task.found == len && task.same && !lost {
            return Step::Done;
        }
        let marked = if record.is_some() { task.key } else { task.key | REMOVED };
        task.item = Item::of(marked, task.record());
        task.phase = Phase::Switch;
        if Layout::<F>::item_len(task.item.len) <= self.half_len - task.half.end {
            task.appending = true;
            task.new = task.half;
            if task.new.number == 0 {
                task.new.number = 1;
                task.half.number = 1;
                task.put(Content::Head, Phase::Begun);
            } else {
                task.put(Content::Record, Phase::Appended);
            }
        }
        Step::Again
    }
}
