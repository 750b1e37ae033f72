//! A network on which a recording comes.

use core::cell::Cell;
use core::convert::Infallible;

use embassy_futures::yield_now;
use embedded_io_async::{ErrorType, Read, Write};
use mender::net::{Connector, Endpoint};

/// A server that has sent everything as soon as the client has spoken. What is written to it is lost.
pub struct Replay {
    left: Cell<&'static [u8]>,
}

impl Replay {
    /// One that sends these bytes.
    pub const fn new(bytes: &'static [u8]) -> Replay {
        Replay { left: Cell::new(bytes) }
    }

    /// Whether all was read.
    pub fn is_over(&self) -> bool {
        self.left.get().is_empty()
    }
}

/// The connection to it.
pub struct Connection<'r> {
    replay: &'r Replay,
    /// The client waits for an answer, as on a network.
    is_waiting: bool,
}

impl Connector for &Replay {
    type Connection<'c>
        = Connection<'c>
    where
        Self: 'c;
    type Error = Infallible;

    async fn connect<'c>(&'c self, _: Endpoint<'_>) -> Result<Connection<'c>, Infallible> {
        Ok(Connection {
            replay: self,
            is_waiting: true,
        })
    }
}

impl ErrorType for Connection<'_> {
    type Error = Infallible;
}

impl Read for Connection<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if core::mem::take(&mut self.is_waiting) {
            yield_now().await;
        }
        let left = self.replay.left.get();
        let (bytes, rest) = left.split_at(left.len().min(buffer.len()));
        buffer[..bytes.len()].copy_from_slice(bytes);
        self.replay.left.set(rest);
        Ok(bytes.len())
    }
}

impl Write for Connection<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.is_waiting = true;
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
