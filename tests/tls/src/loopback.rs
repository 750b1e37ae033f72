//! A plain connector to a program on this machine. It blocks: one connection at a time is all that tests of programs need.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mender::net::{Connector, Endpoint};

/// What anything may take. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Calls a port of this machine, whatever the host is said to be.
#[derive(Clone, Copy, Debug)]
pub struct Loopback(pub u16);

/// An open connection.
#[derive(Debug)]
pub struct Socket(TcpStream);

impl Connector for Loopback {
    type Connection<'c> = Socket;
    type Error = io::Error;

    async fn connect(&self, _: Endpoint<'_>) -> io::Result<Socket> {
        let stream = TcpStream::connect(("127.0.0.1", self.0))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Socket(stream))
    }
}

impl ErrorType for Socket {
    type Error = ErrorKind;
}

impl Read for Socket {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(to).map_err(|error| error.kind().into())
    }
}

impl Write for Socket {
    async fn write(&mut self, from: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(from).map_err(|error| error.kind().into())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().map_err(|error| error.kind().into())
    }
}
