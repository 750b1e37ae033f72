//! How bytes get to a server and back.
//!
//! - [`Connector`] and [`Endpoint`]: what the user provides: a byte stream to a host and port, plain or TLS.
//! - [`Url`]: the parts of an absolute URL, without re-encoding anything.
//! - [`http`]: HTTP/1.1: requests written, responses read; pure.
//!
//! Depends on embedded-io-async, and of this crate on [`text`](crate::text) and `window`.

pub mod http;
pub(crate) mod url;

use core::convert::Infallible;
use core::fmt::Debug;
use core::future::{Future, pending};
use core::time::Duration;

use embedded_io_async::{Read, Write};

pub(crate) use url::redirect;
pub use url::{Url, UrlError};

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Security {
    /// Plain TCP (`http`).
    Plain,
    /// TLS 1.2 or later, with the server's certificate verified for [`Endpoint::host`] (`https`).
    Tls,
}

/// Whose host is called: which certificate authorities may vouch for it.
///
/// Name and port decide, not what is asked for: an artifact that the Mender server itself hands out (the links of configuration
/// deployments lead there: device API, section 4.5) comes from [`Server`](Peer::Server).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Peer {
    /// The host and port of the configuration's URL, and those that it redirects a request of the device API to.
    Server,
    /// Another host or port, which came with an artifact's download link.
    ArtifactHost,
}

/// Where to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Endpoint<'a> {
    /// DNS name or IP address; an IPv6 address without its brackets.
    pub host: &'a str,
    /// TCP port.
    pub port: u16,
    /// Plain or TLS.
    pub security: Security,
    /// Whose host this is.
    pub peer: Peer,
    /// Time since 1970-01-01T00:00:00Z by [`Clock::unix_time`](crate::client::Clock::unix_time), if it is known: for the validity of
    /// certificates.
    pub unix_time: Option<Duration>,
}

/// Opens byte streams: the user's network stack, TLS stack or modem.
///
/// The client has at most two connections open at a time: one for the device API, one for an artifact. Both are to the same
/// [`Peer`] if the server keeps its artifacts itself.
pub trait Connector {
    /// An open stream. Dropping it closes it.
    type Connection<'c>: Read + Write
    where
        Self: 'c;

    /// Why a connection could not be opened. Its `Debug` text reaches the log.
    type Error: Debug;

    /// Opens a stream.
    ///
    /// The client bounds the time by its network timeout and drops the future then, so the future must be safe to
    /// drop. Try every address of a host before giving up.
    ///
    /// # Errors
    ///
    /// Any error is retried later, with backoff.
    fn connect<'c>(&'c self, endpoint: Endpoint<'_>)
    -> impl Future<Output = Result<Self::Connection<'c>, Self::Error>>;

    /// Work that the connections need beside what is awaited of them. The client polls this future as long as it runs, so that
    /// its user has one future to run; who uses a connector without the client has to do the same. It never ends.
    ///
    /// A connector that passes on to another one passes this on, too. Most have nothing to do.
    fn work(&self) -> impl Future<Output = Infallible> {
        pending()
    }
}

/// A connector that others use too.
impl<C: Connector> Connector for &C {
    type Connection<'c>
        = C::Connection<'c>
    where
        Self: 'c;
    type Error = C::Error;

    fn connect<'c>(
        &'c self,
        endpoint: Endpoint<'_>,
    ) -> impl Future<Output = Result<Self::Connection<'c>, Self::Error>> {
        C::connect(self, endpoint)
    }

    fn work(&self) -> impl Future<Output = Infallible> {
        C::work(self)
    }
}
