//! The driver: does what the agent asks for. Here, in `artifact.rs` and in `keys.rs` is all that the client awaits.
//!
//! [`Driver::run`] goes on until the agent wants something of the modules, which are somebody else's: that is the only thing
//! that is done beside it, so network and flash work at the same time.
//!
//! A connection is taken out of its place while something is done with it, and put back only when that has come to its end: a
//! future that is dropped halfway closes it.

use core::future::{pending, poll_fn};
use core::task::Poll;
use core::time::Duration;

use embassy_futures::select::{Either, select, select3};
use embedded_io_async::{Read, Write};

use super::blocks::{Blocks, End, Full};
use super::device::{Clock, Device, Inventory};
use super::handle::Handle;
use super::keys::Keys;
use crate::agent::config::Config;
use crate::agent::{Agent, Done, Fault, Io, Lost, Memory, Now};
use crate::api::inventory::Method;
use crate::fmt::{error, warning};
use crate::net::{Connector, Peer};
use crate::storage::{ReadError, Storage, WriteError};
use crate::update_module::{CallbackState, ModuleIndex};

/// What the driver cannot do alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A module is to be called.
    Call(ModuleIndex, CallbackState),
    /// An artifact is to be got.
    Download,
    /// There is something in the blocks: data, or their end. Only where the driver is asked for it.
    Block,
    /// The client stops.
    Stop,
}

/// What is done beside the driver.
#[derive(Clone, Copy)]
pub(super) enum Beside<'p, 'b> {
    Nothing,
    /// The artifact's header is read: the driver comes back with each block.
    Header(&'p Blocks<'b>),
    /// A module takes the payload.
    Payload(&'p Blocks<'b>),
}

impl Beside<'_, '_> {
    /// No more blocks come. `true`: the driver comes back with that.
    fn end(self, end: End) -> bool {
        match self {
            Beside::Nothing => false,
            Beside::Header(blocks) => {
                blocks.end(end);
                true
            }
            Beside::Payload(blocks) => {
                blocks.end(end);
                false
            }
        }
    }
}

/// Everything that is awaited, but for the modules.
pub(super) struct Driver<'c, D, C: Connector + 'c, S, K> {
    pub(super) config: &'c Config<'c>,
    pub(super) device: &'c D,
    pub(super) connector: &'c C,
    pub(super) storage: &'c mut S,
    pub(super) clock: &'c K,
    pub(super) handle: &'c Handle,
    pub(super) keys: &'c Keys,
    pub(super) server: Option<C::Connection<'c>>,
    pub(super) artifact_host: Option<C::Connection<'c>>,
}

/// Whether a piece of network work is given up as soon as the client is to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Heard,
    Awaited,
}

impl Stop {
    /// An artifact begins anew in the next run; an exchange with the server is better brought to its end.
    fn of(peer: Peer) -> Stop {
        match peer {
            Peer::Server => Stop::Awaited,
            Peer::ArtifactHost => Stop::Heard,
        }
    }
}

/// Bounds the time of a piece of network work.
///
/// A macro, because an async function that is given a future holds it twice: as its argument and as what it awaits.
macro_rules! within {
    ($driver:expr, $stop:expr, $work:expr) => {
        match select($work, $driver.patience($stop)).await {
            Either::First(output) => Ok(output),
            Either::Second(()) => Err(Lost::Timeout),
        }
    };
}

impl<'c, D: Device, C: Connector, S: Storage, K: Clock> Driver<'c, D, C, S, K> {
    pub(super) fn now(&self) -> Now {
        Now::new(self.clock.uptime(), self.clock.unix_time())
    }

    /// Does what the agent asks for, until it wants something that is done elsewhere.
    pub(super) async fn run<'b>(
        &mut self,
        agent: &mut Agent<'_>,
        memory: &mut Memory<'b>,
        beside: Beside<'_, 'b>,
    ) -> Turn {
        loop {
            if let Beside::Header(blocks) | Beside::Payload(blocks) = beside {
                if memory.block.is_empty() {
                    memory.block = blocks.take_back();
                }
                agent.skip_to(blocks.wanted());
                if blocks.take_incomplete() && !agent.incomplete(self.now()) && beside.end(End::Final) {
                    return Turn::Block;
                }
            }
            let now = self.now();
            let done = match agent.next(now, self.handle.take(), memory) {
                Io::Tell(event) => {
                    self.device.observe(event);
                    continue;
                }
                Io::Stop => return Turn::Stop,
                Io::Call(module, state) => return Turn::Call(module, state),
                Io::Download => return Turn::Download,
                Io::HandOver { len, at } => {
                    match beside {
                        Beside::Nothing => {}
                        Beside::Header(blocks) | Beside::Payload(blocks) => {
                            let block = core::mem::take(&mut memory.block);
                            blocks.hand_over(Full { block, len, at });
                        }
                    }
                    if let Beside::Header(_) = beside {
                        return Turn::Block;
                    }
                    continue;
                }
                Io::Complete if beside.end(End::Maybe) => return Turn::Block,
                Io::Broken if beside.end(End::Broken) => return Turn::Block,
                Io::Complete | Io::Broken => continue,
                Io::Sleep(duration) => {
                    let wants_block = memory.block.is_empty();
                    self.sleep(duration, beside, wants_block).await;
                    continue;
                }
                Io::Restart => {
                    select(self.device.restart(), self.clock.sleep(self.config.restart_timeout)).await;
                    continue;
                }
                Io::NetworkUp => {
                    let up = within!(self, Stop::Heard, self.device.network_up());
                    Done::Network(matches!(up, Ok(Ok(()))))
                }
                Io::NetworkDown => {
                    self.server = None;
                    self.artifact_host = None;
                    if within!(self, Stop::Awaited, self.device.network_down()).is_err() {
                        warning!("the network does not go down");
                    }
                    Done::NetworkDown
                }
                Io::Connect(peer, mut endpoint) => {
                    endpoint.unix_time = self.clock.unix_time();
                    // The old one is closed before a new one is opened: there may be only one socket for it.
                    *self.place(peer) = None;
                    let connected = match within!(self, Stop::of(peer), self.connector.connect(endpoint)) {
                        Ok(Ok(connection)) => {
                            *self.place(peer) = Some(connection);
                            Ok(())
                        }
                        Ok(Err(error)) => {
                            warning!("cannot connect to {}: {error:?}", endpoint.host);
                            Err(Lost::Connect)
                        }
                        Err(lost) => Err(lost),
                    };
                    Done::Connected(connected)
                }
                Io::Send(peer, bytes, is_last) => {
                    let sent = match self.place(peer).take() {
                        None => Err(Lost::Io),
                        Some(mut connection) => {
                            let sent = within!(self, Stop::of(peer), async {
                                // Not `write_all`, which panics where a connection that was closed takes nothing.
                                let mut rest = bytes;
                                while !rest.is_empty() {
                                    let len = connection.write(rest).await?;
                                    if len == 0 {
                                        return Ok(false);
                                    }
                                    rest = rest.get(len..).unwrap_or(&[]);
                                }
                                if is_last {
                                    connection.flush().await?;
                                }
                                Ok::<bool, <C::Connection<'c> as embedded_io_async::ErrorType>::Error>(true)
                            });
                            match sent {
                                Ok(Ok(true)) => {
                                    *self.place(peer) = Some(connection);
                                    Ok(())
                                }
                                Ok(Ok(false)) => Err(Lost::Io),
                                Ok(Err(error)) => {
                                    warning!("cannot send: {error:?}");
                                    Err(Lost::Io)
                                }
                                Err(lost) => Err(lost),
                            }
                        }
                    };
                    Done::Sent(sent)
                }
                Io::Receive(peer, buffer) => {
                    let received = match self.place(peer).take() {
                        None => Err(Lost::Io),
                        Some(mut connection) => match within!(self, Stop::of(peer), connection.read(buffer)) {
                            Ok(Ok(len)) => {
                                *self.place(peer) = Some(connection);
                                Ok(len)
                            }
                            Ok(Err(error)) => {
                                warning!("cannot receive: {error:?}");
                                Err(Lost::Io)
                            }
                            Err(lost) => Err(lost),
                        },
                    };
                    Done::Received(received)
                }
                Io::Sign(digest) => {
                    let signed = within!(self, Stop::Awaited, self.keys.sign(self.device, &digest));
                    Done::Signed(signed.unwrap_or(Err(crate::api::key::KeyError::Signer)))
                }
                Io::Inventory(mut writer, method) => {
                    let mut report = Inventory::new(&mut writer);
                    match method {
                        Method::Put => self.device.static_inventory(&mut report),
                        Method::Patch => {}
                    }
                    self.device.dynamic_inventory(&mut report);
                    if let Some(error) = report.into_error() {
                        warning!("the inventory is not complete: {error}");
                    }
                    let attributes = writer.len();
                    Done::Inventory {
                        attributes,
                        len: writer.finish().len(),
                    }
                }
                Io::Read(key, buffer) => {
                    let read = self.storage.read(key, buffer).await;
                    Done::Read(read.map_err(|error| {
                        error!("a record cannot be read: {error}");
                        match error {
                            ReadError::Backend(_) => Fault::Backend,
                            ReadError::TooSmall { .. } => Fault::TooLong,
                            ReadError::Corrupt => Fault::Corrupt,
                        }
                    }))
                }
                Io::Write(key, record) => {
                    let written = self.storage.write(key, record).await;
                    Done::Written(written.map_err(|error| {
                        error!("a record cannot be stored: {error}");
                        match error {
                            WriteError::Backend(_) => Fault::Backend,
                            WriteError::TooLong { .. } => Fault::TooLong,
                            WriteError::Full => Fault::Full,
                            WriteError::Corrupt => Fault::Corrupt,
                        }
                    }))
                }
            };
            let now = self.now();
            agent.done(now, memory, done);
        }
    }

    /// As long as a piece of network work may take.
    async fn patience(&self, stop: Stop) {
        let stop = async {
            match stop {
                Stop::Heard => self.handle.stopped().await,
                Stop::Awaited => pending().await,
            }
        };
        select(self.clock.sleep(self.config.network_timeout), stop).await;
    }

    fn place(&mut self, peer: Peer) -> &mut Option<C::Connection<'c>> {
        match peer {
            Peer::Server => &mut self.server,
            Peer::ArtifactHost => &mut self.artifact_host,
        }
    }

    /// Until the time has passed, a task asks for something, or the module's side has done something with the blocks.
    async fn sleep(&self, duration: Option<Duration>, beside: Beside<'_, '_>, wants_block: bool) {
        let time = async {
            match duration {
                Some(duration) => self.clock.sleep(duration).await,
                None => pending().await,
            }
        };
        let blocks = poll_fn(|_| match beside {
            // The other side is polled before, whenever it is.
            Beside::Header(blocks) | Beside::Payload(blocks) if blocks.has_news(wants_block) => Poll::Ready(()),
            Beside::Nothing | Beside::Header(_) | Beside::Payload(_) => Poll::Pending,
        });
        select3(time, self.handle.asked(), blocks).await;
    }
}
