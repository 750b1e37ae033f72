//! Says how long it took to connect: with TLS, that is the handshake. Depends on nothing here.

use board::say;
use core::convert::Infallible;
use embassy_time::Instant;
use mender::net::{Connector, Endpoint, Peer};

/// A connector that is looked at.
#[derive(Debug)]
pub struct Timed<C>(
    /// The connector.
    pub C,
);

impl<C: Connector> Connector for Timed<C> {
    type Connection<'c>
        = C::Connection<'c>
    where
        Self: 'c;
    type Error = C::Error;

    async fn connect<'c>(&'c self, endpoint: Endpoint<'_>) -> Result<Self::Connection<'c>, Self::Error> {
        let start = Instant::now();
        let peer = match endpoint.peer {
            Peer::Server => "server",
            Peer::ArtifactHost => "artifact-host",
        };
        let connection = self.0.connect(endpoint).await;
        match &connection {
            Ok(_) => say!("@connected {peer} micros={}", start.elapsed().as_micros()),
            Err(error) => say!("@refused {peer} {error:?}"),
        }
        connection
    }

    async fn work(&self) -> Infallible {
        self.0.work().await
    }
}
