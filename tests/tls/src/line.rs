//! A plain connector to servers of this crate, in memory: who polls sees all that a network may do between two polls.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mender::net::{Connector, Endpoint};

use crate::peer::Peer;

/// How bytes go over a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Bytes that one read brings at most.
    pub read: usize,
    /// Bytes that one write takes at most.
    pub write: usize,
    /// Whether each operation is pending for a poll before it does something, and a write for another one behind that: the bytes are on
    /// their way then, and nobody was told.
    pub hesitates: bool,
    /// Behind so many bytes a write fails.
    pub write_fails: Option<usize>,
}

impl Manner {
    /// Everything at once.
    pub const SMOOTH: Manner = Manner {
        read: usize::MAX,
        write: usize::MAX,
        hesitates: false,
        write_fails: None,
    };

    /// Little at a time, and late.
    pub const ROUGH: Manner = Manner {
        read: 700,
        write: 100,
        hesitates: true,
        write_fails: None,
    };
}

/// A connection that was opened, and its server.
pub struct Wire {
    /// The server.
    pub peer: Peer,
    /// Bytes that the client has sent.
    pub sent: usize,
    /// Whether the client has closed its end.
    pub is_left: bool,
    reader: Option<Waker>,
}

/// A network of servers: each connection goes to the next one that waits.
pub struct Network {
    waiting: RefCell<VecDeque<Peer>>,
    wires: RefCell<Vec<Wire>>,
    /// How bytes go.
    pub manner: Cell<Manner>,
    hosts: RefCell<Vec<(String, u16)>>,
}

impl Network {
    /// A network with these servers.
    pub fn new(manner: Manner, peers: impl IntoIterator<Item = Peer>) -> Network {
        Network {
            waiting: RefCell::new(peers.into_iter().collect()),
            wires: RefCell::new(Vec::new()),
            manner: Cell::new(manner),
            hosts: RefCell::new(Vec::new()),
        }
    }

    /// One more server.
    pub fn add(&self, peer: Peer) {
        self.waiting.borrow_mut().push_back(peer);
    }

    /// Takes the servers away that wait.
    pub fn take_servers(&self) {
        self.waiting.borrow_mut().clear();
    }

    /// Connections so far, in their order.
    pub fn wires(&self) -> RefMut<'_, Vec<Wire>> {
        self.wires.borrow_mut()
    }

    /// Hosts and ports that were called.
    pub fn hosts(&self) -> Vec<(String, u16)> {
        self.hosts.borrow().clone()
    }

    async fn hesitate(&self) {
        let mut is_late = self.manner.get().hesitates;
        poll_fn(|context| {
            if std::mem::take(&mut is_late) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// Nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoServer;

impl Connector for &Network {
    type Connection<'c>
        = Line<'c>
    where
        Self: 'c;
    type Error = NoServer;

    async fn connect<'c>(&'c self, endpoint: Endpoint<'_>) -> Result<Line<'c>, NoServer> {
        self.hosts.borrow_mut().push((endpoint.host.to_owned(), endpoint.port));
        self.hesitate().await;
        let peer = self.waiting.borrow_mut().pop_front().ok_or(NoServer)?;
        let mut wires = self.wires();
        wires.push(Wire {
            peer,
            sent: 0,
            is_left: false,
            reader: None,
        });
        Ok(Line {
            network: self,
            number: wires.len() - 1,
        })
    }
}

/// A client's end of a connection.
pub struct Line<'n> {
    network: &'n Network,
    number: usize,
}

impl Line<'_> {
    fn wire<R>(&self, with: impl FnOnce(&mut Wire) -> R) -> R {
        with(&mut self.network.wires()[self.number])
    }
}

impl ErrorType for Line<'_> {
    type Error = ErrorKind;
}

impl Read for Line<'_> {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, ErrorKind> {
        self.network.hesitate().await;
        let most = to.len().min(self.network.manner.get().read);
        poll_fn(|context| {
            self.wire(|wire| {
                let bytes = wire.peer.take(most);
                to[..bytes.len()].copy_from_slice(&bytes);
                if !bytes.is_empty() || wire.peer.at_end() || most == 0 {
                    return Poll::Ready(Ok(bytes.len()));
                }
                wire.reader = Some(context.waker().clone());
                Poll::Pending
            })
        })
        .await
    }
}

impl Write for Line<'_> {
    async fn write(&mut self, from: &[u8]) -> Result<usize, ErrorKind> {
        let manner = self.network.manner.get();
        self.network.hesitate().await;
        let sent = self.wire(|wire| wire.sent);
        let room = manner.write_fails.map_or(usize::MAX, |most| most.saturating_sub(sent));
        let len = from.len().min(manner.write).min(room);
        if len == 0 && !from.is_empty() {
            return Err(ErrorKind::ConnectionReset);
        }
        self.wire(|wire| {
            wire.sent += len;
            wire.peer.receive(&from[..len]);
            if let Some(reader) = wire.reader.take() {
                reader.wake();
            }
        });
        self.network.hesitate().await;
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.network.hesitate().await;
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.wire(|wire| wire.is_left = true);
    }
}
