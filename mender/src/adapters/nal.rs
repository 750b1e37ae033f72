//! Connections of any stack with the traits of embedded-nal-async: modems, Wi-Fi coprocessors, std. Feature `nal`.
//!
//! ```
//! use embedded_nal_async::{Dns, TcpConnect};
//! use mender::adapters::nal::Nal;
//!
//! /// Many stacks have both traits on one type; then `network(&modem, &modem)` does.
//! fn network<T: TcpConnect, D: Dns>(tcp: T, dns: D) -> Nal<T, D> {
//!     Nal::new(tcp, dns)
//! }
//! ```
//!
//! # What the stack has to do
//!
//! - Two connections at once: one to the server, one to an artifact's host.
//! - Futures that can be dropped: the client bounds each by its network timeout and drops what takes longer. A modem whose
//!   command was cut short must be ready for the next one.
//! - A dropped connection is closed, and what was flushed is sent before. The trait asks for it; with a stack that only forgets
//!   the connection, as embassy-net's `TcpClient` does, the server waits for its own timeout. (For embassy-net there is
//!   `EmbassyNet`.)
//! - Local ports that differ after each start of the device, or servers take a new connection for one from before a power loss.
//!
//! A name is asked for once, for an address of the kind given by [`Nal::with_addresses`]: the trait tells no more than one of
//! them.

use core::fmt::{self, Debug};
use core::net::{IpAddr, SocketAddr};

use embedded_nal_async::{AddrType, Dns, TcpConnect};

use crate::net::{Connector, Endpoint, Security};

/// A [`Connector`] for plain TCP on a stack's sockets and names: see the [module documentation](self).
#[derive(Debug)]
pub struct Nal<T, D> {
    tcp: T,
    dns: D,
    addresses: AddrType,
}

impl<T: TcpConnect, D: Dns> Nal<T, D> {
    /// Connections of `tcp`, to names that `dns` knows by IPv4 addresses.
    pub const fn new(tcp: T, dns: D) -> Self {
        Nal {
            tcp,
            dns,
            addresses: AddrType::IPv4,
        }
    }

    /// Asks for other addresses: `IPv6`, or whatever the stack likes best with `Either`, which not every stack can do.
    #[must_use]
    pub fn with_addresses(self, addresses: AddrType) -> Self {
        Nal { addresses, ..self }
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ConnectError<N, T> {
    /// TLS was asked for: the URL begins with `https`. This connector is plain TCP; TLS goes on top of it.
    Tls,
    /// The name could not be resolved; what the stack says of it.
    Name(N),
    /// The address cannot be connected to; what the stack says of it.
    Tcp(T),
}

impl<N: Debug, T: Debug> fmt::Display for ConnectError<N, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Tls => f.write_str("TLS was asked for, this connector is plain TCP"),
            ConnectError::Name(error) => write!(f, "the name cannot be resolved: {error:?}"),
            ConnectError::Tcp(error) => write!(f, "the address cannot be connected to: {error:?}"),
        }
    }
}

impl<N: Debug, T: Debug> core::error::Error for ConnectError<N, T> {}

impl<T: TcpConnect, D: Dns> Connector for Nal<T, D> {
    type Connection<'c>
        = T::Connection<'c>
    where
        Self: 'c;
    type Error = ConnectError<D::Error, T::Error>;

    async fn connect<'c>(&'c self, endpoint: Endpoint<'_>) -> Result<Self::Connection<'c>, Self::Error> {
        match endpoint.security {
            Security::Plain => {}
            Security::Tls => return Err(ConnectError::Tls),
        }
        let address = match endpoint.host.parse::<IpAddr>() {
            Ok(address) => address,
            Err(_) => {
                let name = self.dns.get_host_by_name(endpoint.host, self.addresses.clone());
                name.await.map_err(ConnectError::Name)?
            }
        };
        let remote = SocketAddr::new(address, endpoint.port);
        self.tcp.connect(remote).await.map_err(ConnectError::Tcp)
    }
}
