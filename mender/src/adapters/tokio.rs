//! Hosts: TCP, TLS and time of tokio. Features `tokio` and `rustls`; nothing on targets without an operating system.
//!
//! ```
//! use mender::adapters::tokio::{TokioClock, TokioNet};
//! use mender::client::Clock;
//! use mender::net::Connector;
//!
//! fn plain() -> (impl Connector, impl Clock) {
//!     (TokioNet::new(), TokioClock::start())
//! }
//!
//! # #[cfg(feature = "rustls")]
//! use mender::adapters::tokio::rustls;
//!
//! # #[cfg(feature = "rustls")]
//! fn with_tls(roots: rustls::RootCertStore) -> Result<impl Connector, rustls::Error> {
//!     let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
//!     let config = rustls::ClientConfig::builder_with_provider(provider)
//!         .with_safe_default_protocol_versions()?
//!         .with_root_certificates(roots)
//!         .with_no_client_auth();
//!     Ok(TokioNet::new().with_tls(config.into()))
//! }
//! ```
//!
//! All addresses of a name are tried, by the system's resolver. Connections are closed when they are dropped: TLS ones without
//! close_notify, which takes an `.await`; HTTP lengths tell a server that nothing is missing. Runs on any runtime of tokio, also one of a
//! single thread.

extern crate std;

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use ::tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use ::tokio::net::TcpStream;
use ::tokio::time::Instant;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

use crate::client::Clock;
use crate::net::{Connector, Endpoint, Security};

#[cfg(feature = "rustls")]
use {
    crate::net::Peer, rustls::ClientConfig, rustls::pki_types::ServerName, std::boxed::Box, std::string::String,
    std::sync::Arc, tokio_rustls::TlsConnector, tokio_rustls::client::TlsStream,
};

/// The rustls that configurations are made with.
#[cfg(feature = "rustls")]
pub use tokio_rustls::rustls;

/// A [`Clock`] on tokio's time, and the system's time of day.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: Instant,
}

impl TokioClock {
    /// Its uptime begins now.
    pub fn start() -> TokioClock {
        TokioClock { start: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn uptime(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        ::tokio::time::sleep(duration)
    }

    fn unix_time(&self) -> Option<Duration> {
        SystemTime::now().duration_since(UNIX_EPOCH).ok()
    }
}

/// A [`Connector`] on this host's network: see the [module documentation](self).
#[derive(Clone, Default)]
pub struct TokioNet {
    #[cfg(feature = "rustls")]
    server: Option<Arc<ClientConfig>>,
    #[cfg(feature = "rustls")]
    artifact_host: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for TokioNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioNet").finish_non_exhaustive()
    }
}

impl TokioNet {
    /// Plain TCP. With `https` it refuses to connect until it has a configuration for that.
    pub fn new() -> TokioNet {
        TokioNet::default()
    }

    /// TLS with this configuration, for all hosts.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_tls(self, config: Arc<ClientConfig>) -> TokioNet {
        TokioNet {
            server: Some(Arc::clone(&config)),
            artifact_host: Some(config),
        }
    }

    /// TLS with this configuration for the hosts of artifacts: other roots may vouch for them than for the Mender server.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_artifact_tls(self, config: Arc<ClientConfig>) -> TokioNet {
        TokioNet {
            artifact_host: Some(config),
            ..self
        }
    }
}

/// What the system or TLS reports.
#[derive(Debug)]
pub struct Error(
    /// What it was.
    pub io::Error,
);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error(error)
    }
}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self.0.kind() {
            io::ErrorKind::ConnectionRefused => ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset => ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted => ErrorKind::ConnectionAborted,
            io::ErrorKind::NotConnected => ErrorKind::NotConnected,
            io::ErrorKind::BrokenPipe => ErrorKind::BrokenPipe,
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            io::ErrorKind::InvalidData => ErrorKind::InvalidData,
            io::ErrorKind::WriteZero => ErrorKind::WriteZero,
            _ => ErrorKind::Other,
        }
    }
}

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connector for TokioNet {
    type Connection<'c> = Connection;
    type Error = Error;

    async fn connect(&self, endpoint: Endpoint<'_>) -> Result<Connection, Error> {
        let open = async || {
            let stream = TcpStream::connect((endpoint.host, endpoint.port)).await?;
            // The client writes a request in several pieces.
            stream.set_nodelay(true)?;
            Ok::<TcpStream, io::Error>(stream)
        };
        let stream = match endpoint.security {
            Security::Plain => Stream::Plain(open().await?),
            #[cfg(feature = "rustls")]
            Security::Tls => {
                let config = match endpoint.peer {
                    Peer::Server => &self.server,
                    Peer::ArtifactHost => &self.artifact_host,
                };
                let config = config
                    .as_ref()
                    .ok_or_else(|| io::Error::other("no TLS configuration"))?;
                let name = ServerName::try_from(String::from(endpoint.host)).map_err(io::Error::other)?;
                let connector = TlsConnector::from(Arc::clone(config));
                Stream::Tls(Box::new(connector.connect(name, open().await?).await?))
            }
            #[cfg(not(feature = "rustls"))]
            Security::Tls => return Err(io::Error::other("TLS needs the feature `rustls`").into()),
        };
        Ok(Connection { stream })
    }
}

impl ErrorType for Connection {
    type Error = Error;
}

impl Read for Connection {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Ok(match &mut self.stream {
            Stream::Plain(stream) => stream.read(buffer).await?,
            #[cfg(feature = "rustls")]
            Stream::Tls(stream) => stream.read(buffer).await?,
        })
    }
}

impl Write for Connection {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Error> {
        Ok(match &mut self.stream {
            Stream::Plain(stream) => stream.write(buffer).await?,
            #[cfg(feature = "rustls")]
            Stream::Tls(stream) => stream.write(buffer).await?,
        })
    }

    async fn flush(&mut self) -> Result<(), Error> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.flush().await?,
            #[cfg(feature = "rustls")]
            Stream::Tls(stream) => stream.flush().await?,
        }
        Ok(())
    }
}
