//! What the agent asks for, and what it is answered: its whole surface to the world.

use core::time::Duration;

use super::answer::Lost;
use super::config::Config;
use super::event::Event;
use super::time::{Instant, Millis};
use crate::api::inventory::{InventoryWriter, Method};
use crate::api::key::{DigestSignature, KeyError};
use crate::api::log::LogTime;
use crate::codes::Code;
use crate::net::{Endpoint, Peer};
use crate::storage::RecordKey;
use crate::text::{Describe, Text};
use crate::update_module::{CallbackState, Failure, ModuleIndex};
use crate::window::Window;

/// The one thing to do now. Each is answered by a [`Done`] of the same name, but for those that say otherwise.
#[derive(Debug)]
#[must_use]
pub(crate) enum Io<'m> {
    /// Bring the network up.
    NetworkUp,
    /// Close all connections and let the network go down.
    NetworkDown,
    /// Open a connection to this party, in the place of the one that there may be.
    Connect(Peer, Endpoint<'m>),
    /// Send all of these bytes; the last of a message are to be flushed.
    Send(Peer, &'m [u8], bool),
    /// Receive at least a byte; none at the connection's end.
    Receive(Peer, &'m mut [u8]),
    /// Sign a SHA-256 digest.
    Sign([u8; 32]),
    /// Add the device's own attributes to a report; all of them, or those that change.
    Inventory(InventoryWriter<'m>, Method),
    /// Read a record.
    Read(RecordKey, &'m mut [u8]),
    /// Write a record.
    Write(RecordKey, &'m [u8]),
    /// Call a module.
    Call(ModuleIndex, CallbackState),
    /// Get the artifact: take blocks from [`HandOver`](Io::HandOver), check them, and let a module have the payload, while the
    /// agent is asked further. Ended by [`Agent::downloaded`](super::Agent::downloaded).
    Download,
    /// So many bytes of the block are data, the artifact's from `at` on: it belongs to the other side now, until that gives it back. No
    /// answer.
    HandOver { len: usize, at: u32 },
    /// No data follow. If the artifact is not complete: [`Agent::incomplete`](super::Agent::incomplete). No answer.
    Complete,
    /// No data follow, and the artifact is not complete. No answer.
    Broken,
    /// Restart the device. No answer: whatever happens, time will tell.
    Restart,
    /// Wait for so long, or until a task asks for something or a block comes back. No answer.
    Sleep(Option<Duration>),
    /// Tell the observer. No answer.
    Tell(Event<'m>),
    /// The client stops, as it was asked to. No answer.
    Stop,
}

/// How it went.
#[derive(Debug)]
pub(crate) enum Done {
    /// Of `NetworkUp`: whether it is up.
    Network(bool),
    NetworkDown,
    Connected(Result<(), Lost>),
    Sent(Result<(), Lost>),
    Received(Result<usize, Lost>),
    Signed(Result<DigestSignature, KeyError>),
    /// Number of attributes and length of the report.
    Inventory {
        attributes: usize,
        len: usize,
    },
    /// The record's length; `None` if there is none.
    Read(Result<Option<usize>, Fault>),
    Written(Result<(), Fault>),
    Called(Result<(), Failure>),
}

/// The same without what is in memory: what was asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    NetworkUp,
    NetworkDown,
    Connect(Peer),
    /// A piece of a message, in the window.
    Send(Peer, Piece),
    /// Into the window.
    Receive(Peer),
    ReceiveBlock,
    Sign,
    Inventory(Method),
    Read(RecordKey),
    /// So many bytes of the block.
    Write(RecordKey, u16),
    Call(ModuleIndex, CallbackState),
    Download,
    HandOver(usize),
    Complete,
    Broken,
    Restart,
    Sleep(Millis),
    Tell,
    Stop,
}

/// A piece of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(super) len: u16,
    /// Nothing follows.
    pub(super) is_last: bool,
}

impl Piece {
    /// What was kept of a message from `from` on.
    pub(super) fn of(out: &Window<'_>, from: usize) -> Piece {
        let len = out.kept();
        Piece {
            // A window is far shorter than 64 KiB.
            len: len as u16,
            is_last: from + len >= out.total(),
        }
    }
}

/// Why a record could not be read or written, as far as it matters; storage's own words are in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The medium failed.
    Backend,
    /// The record is longer than there is room for.
    TooLong,
    /// The storage is full.
    Full,
    /// The record, or the storage, is damaged.
    Corrupt,
}

const BACKEND: Code = Code::new(84);
const TOO_LONG: Code = Code::new(85);
const FULL: Code = Code::new(86);
const CORRUPT: Code = Code::new(87);

impl Describe for Fault {
    fn describe(&self, out: &mut Text<'_>) {
        out.code(match self {
            Fault::Backend => BACKEND,
            Fault::TooLong => TOO_LONG,
            Fault::Full => FULL,
            Fault::Corrupt => CORRUPT,
        });
    }
}

/// What other tasks ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) update: bool,
    pub(crate) inventory: bool,
    pub(crate) stop: bool,
}

impl Requests {
    pub(crate) const NONE: Requests = Requests {
        update: false,
        inventory: false,
        stop: false,
    };

    pub(super) fn add(&mut self, other: Requests) {
        self.update |= other.update;
        self.inventory |= other.inventory;
        self.stop |= other.stop;
    }
}

/// The present moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    at: Instant,
    time: LogTime,
}

impl Now {
    /// From the time since the device started, and since 1970 if that is known.
    #[inline(never)]
    pub(crate) fn new(uptime: Duration, unix: Option<Duration>) -> Now {
        Now {
            at: Instant::of(uptime),
            time: match unix {
                Some(since) => LogTime::Unix {
                    millis: LogTime::Uptime(since).millis(),
                },
                None => LogTime::Uptime(uptime),
            },
        }
    }

    pub(super) fn ctx<'c>(self, config: &'c Config<'c>, random: u32) -> Ctx<'c> {
        Ctx {
            now: self.at,
            time: self.time,
            config,
            random,
        }
    }
}

/// What every decision may depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ctx<'c> {
    pub(super) now: Instant,
    /// For log entries.
    pub(super) time: LogTime,
    pub(super) config: &'c Config<'c>,
    /// To spread retries. Not for cryptography.
    pub(super) random: u32,
}

impl Ctx<'_> {
    pub(super) fn retry_first(&self) -> Millis {
        Millis::of(self.config.retry_first)
    }

    pub(super) fn retry_cap(&self) -> Millis {
        Millis::of(self.config.retry_cap)
    }
}
