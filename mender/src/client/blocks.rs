//! The two blocks of a download, on their way between the driver, which fills them, and the module's side, which empties
//! them.
//!
//! ```text
//!            hand_over ─► full (two places) ─► take
//!   driver                                            module's side
//!            take_back ◄─ empty (two places) ◄─ give_back
//! ```
//!
//! Both sides belong to one task and are polled by it. So nothing ever waits for the lock; it is there because a module's future
//! may be sent to another executor.

use core::cell::RefCell;
use core::task::{Context, Waker};

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

/// What comes behind the last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The artifact is complete, if it is.
    Maybe,
    /// Complete or not, nothing more will come.
    Final,
    /// The artifact is not complete, and there will be no more.
    Broken,
}

/// A block with data.
pub(super) struct Full<'b> {
    pub(super) block: &'b mut [u8],
    /// So many bytes.
    pub(super) len: usize,
    /// Where in the artifact they begin.
    pub(super) at: u32,
}

struct State<'b> {
    full: [Option<Full<'b>>; 2],
    empty: [Option<&'b mut [u8]>; 2],
    end: Option<End>,
    /// The module's side has come to the end, and the artifact was not complete.
    incomplete: bool,
    /// The artifact's first byte that the module's side still needs.
    wanted: u32,
    /// Of the module's side.
    waker: Option<Waker>,
}

/// See the [module](self).
pub(super) struct Blocks<'b>(Mutex<CriticalSectionRawMutex, RefCell<State<'b>>>);

impl<'b> Blocks<'b> {
    /// One block is here, and empty; the driver has the other.
    pub(super) fn new(block: &'b mut [u8]) -> Blocks<'b> {
        Blocks(Mutex::new(RefCell::new(State {
            full: [None, None],
            empty: [Some(block), None],
            end: None,
            incomplete: false,
            wanted: 0,
            waker: None,
        })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State<'b>) -> T) -> T {
        // Borrowed for the length of `work` alone, which never comes back here.
        self.0.lock(|state| work(&mut state.borrow_mut()))
    }

    /// From the driver: data.
    pub(super) fn hand_over(&self, full: Full<'b>) {
        self.with(|state| {
            put(&mut state.full, full);
            state.wake();
        });
    }

    /// From the driver: there are no more blocks.
    pub(super) fn end(&self, end: End) {
        self.with(|state| {
            state.end = Some(end);
            state.wake();
        });
    }

    /// To the driver: an empty block, if there is one.
    pub(super) fn take_back(&self) -> &'b mut [u8] {
        self.with(|state| take(&mut state.empty)).unwrap_or_default()
    }

    /// To the driver, once: the end was not the artifact's.
    pub(super) fn take_incomplete(&self) -> bool {
        self.with(|state| core::mem::take(&mut state.incomplete))
    }

    /// To the driver: from where on the artifact is needed.
    pub(super) fn wanted(&self) -> u32 {
        self.with(|state| state.wanted)
    }

    /// Whether there is something for the driver; an empty block is, if it wants one.
    pub(super) fn has_news(&self, wants_block: bool) -> bool {
        self.with(|state| state.incomplete || (wants_block && state.empty.iter().any(Option::is_some)))
    }

    /// To the module's side: the next block, or the end; neither yet.
    pub(super) fn take(&self) -> Option<Result<Full<'b>, End>> {
        self.with(|state| match take(&mut state.full) {
            Some(full) => Some(Ok(full)),
            None => state.end.map(Err),
        })
    }

    /// From the module's side: an empty block.
    pub(super) fn give_back(&self, block: &'b mut [u8]) {
        self.with(|state| put(&mut state.empty, block));
    }

    /// From the module's side, which has given all blocks back: what comes before this byte of the artifact is not needed.
    pub(super) fn want(&self, at: u32) {
        self.with(|state| state.wanted = at);
    }

    /// From the module's side: the artifact is not complete at its end.
    pub(super) fn incomplete(&self) {
        self.with(|state| {
            state.end = None;
            state.incomplete = true;
        });
    }

    /// From the module's side: wakes it when there is something for it.
    ///
    /// The driver needs no waking: it is polled after the module's side, whenever that is.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        self.with(|state| state.waker = Some(cx.waker().clone()));
    }
}

impl State<'_> {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// There are two blocks, so a place is always free.
fn put<T>(places: &mut [Option<T>; 2], item: T) {
    let [first, second] = places;
    *if first.is_none() { first } else { second } = Some(item);
}

fn take<T>(places: &mut [Option<T>; 2]) -> Option<T> {
    let [first, second] = places;
    let item = first.take();
    *first = second.take();
    item
}
