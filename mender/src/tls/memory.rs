//! The memory of two connections, and how a stream and the work on it talk to each other.
//!
//! ```text
//!   Free ── connect ──> Connect ── work ──> Idle <── stream takes it ── Done
//!    ^                     │                  │                           ^
//!    │                     v                  └── stream ──> Asked ── work ┘
//!    └── work ── Close, Abort <── stream dropped ── any of them
//!                     (Failed: the connect has not heard of it yet)
//! ```

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

use embassy_sync::waitqueue::MultiWakerRegistration;
use heapless::String;

use super::error::{StreamError, TlsError};
use crate::net::Peer;

/// Longest DNS name (RFC 1035, section 2.3.4, without its last dot).
const HOST: usize = 253;
/// Most bytes that are read at once.
pub(super) const READ: usize = 512;
/// Most bytes that are written at once. embedded-tls gathers them until `flush`.
pub(super) const WRITE: usize = 256;

/// Memory for two TLS connections, which is as many as the client has at a time.
///
/// `RX` holds a record of the server, so 16,640 bytes are right for every server. With fewer the client asks for shorter records
/// (`max_fragment_length`, RFC 6066, section 4), which servers may ignore (hosted Mender does), and the chain of certificates has to fit
/// one record. From 4,500 bytes on records of 4,096 are asked for, from 2,400 of 2,048, from 1,400 of 1,024; less does not
/// compile. `TX` holds a record of the client: a longer one saves some bytes of overhead.
///
/// Together `2 * (RX + TX + 1_232)` bytes; a `static` is the place for it, as with [`Resources`](crate::client::Resources).
#[derive(Debug)]
pub struct TlsMemory<const RX: usize = 16_640, const TX: usize = 1_024> {
    pub(super) places: [Place<RX, TX>; 2],
    /// Somebody polls the work.
    pub(super) is_driven: Cell<bool>,
    /// Connects that wait for a place to become free.
    waiting: RefCell<MultiWakerRegistration<2>>,
}

impl<const RX: usize, const TX: usize> TlsMemory<RX, TX> {
    /// Empty memory.
    // All of it is zeros, so that a `static` of it takes no flash. `.ci/size` would notice.
    pub const fn new() -> Self {
        const { assert!(RX >= 1_400, "RX must have 1,400 bytes at least") };
        const {
            assert!(
                TX >= 512,
                "TX must have 512 bytes at least: the first message goes through it"
            )
        };
        TlsMemory {
            places: [const { Place::new() }; 2],
            is_driven: Cell::new(false),
            waiting: RefCell::new(MultiWakerRegistration::new()),
        }
    }
}

impl<const RX: usize, const TX: usize> TlsMemory<RX, TX> {
    /// Waits for a free place, and takes it.
    pub(super) async fn take(&self, target: Target) -> &RefCell<Door> {
        let place = poll_fn(|cx| {
            let is_free = |place: &&Place<RX, TX>| place.door.borrow().state == State::Free;
            match self.places.iter().find(is_free) {
                Some(place) => Poll::Ready(place),
                None => {
                    self.waiting.borrow_mut().register(cx.waker());
                    Poll::Pending
                }
            }
        });
        let place = place.await;
        *place.target.borrow_mut() = target;
        let mut door = place.door.borrow_mut();
        (door.read_at, door.read_len) = (0, 0);
        door.set(State::Connect);
        &place.door
    }

    /// Gives a place back.
    pub(super) fn free(&self, door: &RefCell<Door>) {
        door.borrow_mut().set(State::Free);
        self.waiting.borrow_mut().wake();
    }
}

impl<const RX: usize, const TX: usize> Default for TlsMemory<RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// One connection's.
#[derive(Debug)]
pub(super) struct Place<const RX: usize, const TX: usize> {
    /// For records. The work has it.
    pub(super) records: RefCell<([u8; RX], [u8; TX])>,
    pub(super) door: RefCell<Door>,
    /// Whereto. Written while the place is free, read by the work.
    pub(super) target: RefCell<Target>,
}

/// Whereto a place is connected.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) host: String<HOST>,
    pub(super) port: u16,
    pub(super) peer: Peer,
    /// Since 1970. Not a `Duration`, which is not zeros if there is none.
    pub(super) unix_seconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Into [`Door::read`].
    Read,
    /// Out of [`Door::write`].
    Write,
    Flush,
}

/// Its first variant is all zeros: see [`TlsMemory::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Nobody has the place.
    Free,
    /// A stream wants to be connected.
    Connect,
    /// It could not be.
    Failed(TlsError),
    /// Nothing is to be done.
    Idle,
    /// The work is to do it.
    Asked(Operation),
    /// It was done; so many bytes.
    Done(Result<usize, StreamError>),
    /// The stream was dropped between two operations: the server is told.
    Close,
    /// The stream was dropped while something was done, which may be half done: nothing more is sent.
    Abort,
}

/// Where a stream and the work on it meet. One task has both sides, and no borrow outlives an expression.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) state: State,
    /// Plaintext that the stream has not taken: `read_at..read_len`.
    pub(super) read: [u8; READ],
    pub(super) read_at: usize,
    pub(super) read_len: usize,
    pub(super) write: [u8; WRITE],
    pub(super) write_len: usize,
    /// Not a `WakerRegistration`, which wakes the waker that it has when another one comes: see [`Handle`](crate::client::Handle).
    stream: Option<Waker>,
    work: Option<Waker>,
}

impl<const RX: usize, const TX: usize> Place<RX, TX> {
    const fn new() -> Self {
        Place {
            records: RefCell::new(([0; RX], [0; TX])),
            door: RefCell::new(Door {
                state: State::Free,
                read: [0; READ],
                read_at: 0,
                read_len: 0,
                write: [0; WRITE],
                write_len: 0,
                stream: None,
                work: None,
            }),
            target: RefCell::new(Target {
                host: String::new(),
                port: 0,
                peer: Peer::Server,
                unix_seconds: None,
            }),
        }
    }
}

impl Door {
    /// Changes the state, and tells both sides.
    pub(super) fn set(&mut self, state: State) {
        self.state = state;
        for waker in [self.stream.take(), self.work.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    fn stream(&mut self) -> &mut Option<Waker> {
        &mut self.stream
    }

    fn work(&mut self) -> &mut Option<Waker> {
        &mut self.work
    }
}

/// For the work: waits until `find` finds something.
pub(super) async fn work_until<O>(door: &RefCell<Door>, find: impl FnMut(&mut Door) -> Option<O>) -> O {
    until(door, find, Door::work).await
}

/// For the stream: waits until `find` finds something.
pub(super) async fn stream_until<O>(door: &RefCell<Door>, find: impl FnMut(&mut Door) -> Option<O>) -> O {
    until(door, find, Door::stream).await
}

async fn until<O>(
    door: &RefCell<Door>,
    mut find: impl FnMut(&mut Door) -> Option<O>,
    side: impl Fn(&mut Door) -> &mut Option<Waker>,
) -> O {
    poll_fn(|cx: &mut Context<'_>| {
        let mut door = door.borrow_mut();
        match find(&mut door) {
            Some(found) => Poll::Ready(found),
            None => {
                *side(&mut door) = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}
