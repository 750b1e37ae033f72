//! TCP for the client: all that a host has to provide.

use std::io;

use embedded_io_adapters::tokio_1::FromTokio;
use mender::net::{Connector, Endpoint, Security};
use tokio::net::TcpStream;

/// Opens TCP connections from this machine.
#[derive(Clone, Copy, Debug)]
pub struct Tcp;

impl Connector for Tcp {
    type Connection<'c> = FromTokio<TcpStream>;
    type Error = io::Error;

    async fn connect(&self, endpoint: Endpoint<'_>) -> io::Result<FromTokio<TcpStream>> {
        match endpoint.security {
            Security::Plain => {}
            Security::Tls => return Err(io::Error::other("this board speaks no TLS")),
        }
        // Tries every address of the name.
        let stream = TcpStream::connect((endpoint.host, endpoint.port)).await?;
        // The client writes a request in several pieces.
        stream.set_nodelay(true)?;
        Ok(FromTokio::new(stream))
    }
}
