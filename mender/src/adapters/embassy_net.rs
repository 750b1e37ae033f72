//! Connections of embassy-net. Feature `embassy-net`; `embassy-net-ipv6` for both kinds of addresses.
//!
//! ```no_run
//! use embassy_net::Stack;
//! use mender::adapters::embassy_net::{EmbassyNet, TcpMemory};
//!
//! fn network(stack: Stack<'static>, memory: &'static mut TcpMemory) -> EmbassyNet<'static> {
//!     EmbassyNet::new(stack, memory)
//! }
//! // In `main`, with the crate static_cell:
//! //     static TCP: ConstStaticCell<TcpMemory> = ConstStaticCell::new(TcpMemory::new());
//! //     let network = network(stack, TCP.take());
//! ```
//!
//! embassy-net's `StackResources<N>` needs two sockets for this connector, one for DNS, one if the stack uses DHCP, and what else
//! the firmware opens: `StackResources<4>` is the least for most.
//!
//! The stack's `Runner` needs a task of its own, as embassy-net's examples have it: whoever waits for a connection wakes the runner at each
//! poll, and in one task with it would never rest.
//!
//! # Names
//!
//! A host that is an IP address is connected to as it is. A name is asked for at the stack's DNS servers, A records first, and with
//! `embassy-net-ipv6` AAAA records if none of those can be connected to. Addresses are tried in the order of the answer; while
//! there is another one, each gets [`ADDRESS_PATIENCE`]. Of an answer smoltcp keeps **one** address unless it is told otherwise: where a
//! server has several, enable `dns-max-result-count-4` of the crate `smoltcp`, or set `SMOLTCP_DNS_MAX_RESULT_COUNT=4` when building.
//!
//! # Time
//!
//! Nothing else here has a limit: the client bounds each connect, read and write by its network timeout, and drops what
//! takes longer.
//!
//! # How connections end
//!
//! The two sockets stay in the stack for ever, and a [`Connection`] borrows one. embassy-net's own `TcpClient` takes the socket out of
//! the stack as soon as the connection is dropped, before anything could be sent: the server never hears of the end, and keeps a half-open
//! connection until its own timeout. Here dropping a connection *closes* it: what was written is still sent, then a FIN, while
//! the firmware does other things. Where data are left that nobody has read, it is *reset*, as RFC 1122 (4.2.2.13) wants it: so
//! a server stops sending an artifact that the client has given up. A connect that is dropped is given up.
//!
//! A socket that is used again before the server has agreed to the end is reset first.
//!
//! Local ports come from the stack, one after the other from a start that the seed decides which `embassy_net::new` gets. The seed must be
//! another one after each start of the device (`Random` has one): with the same seed the same ports come again, and a server
//! that still keeps a connection from before a power loss answers the new one with what belongs to the old one.

use core::cell::{RefCell, RefMut};
use core::fmt;
use core::net::Ipv4Addr;

use ::embassy_net::dns::DnsQueryType;
use ::embassy_net::tcp::{Error, State, TcpSocket};
use ::embassy_net::{IpAddress, IpEndpoint, Stack};
use ::embassy_time::{Duration, with_timeout};
use embedded_io_async::{ErrorType, Read, Write};

use crate::client::{Device, MacText, NetworkDown};
use crate::net::{Connector, Endpoint, Security};

/// How long an address may take to answer while there is another one to try. The last one has as long as the client gives.
pub const ADDRESS_PATIENCE: core::time::Duration = core::time::Duration::from_secs(ADDRESS_SECONDS);
const ADDRESS_SECONDS: u64 = 10;

/// How long a reset may take to get out. It does not where the network has gone away, and then nobody waits for it.
const RESET_PATIENCE: Duration = Duration::from_millis(500);

/// What the client may have open at once: one connection to the server, one to an artifact's host.
const CONNECTIONS: usize = 2;

/// Memory for the two connections: 6 KiB, made for a `static`.
///
/// `RX` bytes are received before the firmware looks at them. **More is not faster**: with a window of less than two segments a
/// server waits for each acknowledgement, which is sent when the client has read; with one of 4 to 16 KiB smoltcp delays the
/// acknowledgements and servers wait for them, so that in the emulator the default gave 15 MB/s and 4 KiB gave 0.14 MB/s. Change it
/// only with a measurement.
///
/// `TX` bytes are sent before the server has to acknowledge some: requests are some hundred bytes, a login about 900.
pub struct TcpMemory<const RX: usize = 2048, const TX: usize = 1024> {
    buffers: [([u8; RX], [u8; TX]); CONNECTIONS],
}

impl<const RX: usize, const TX: usize> TcpMemory<RX, TX> {
    /// Memory that is all zeros, so that it takes no flash.
    pub const fn new() -> Self {
        const { assert!(RX > 0 && TX > 0, "a connection needs room in both directions") };
        TcpMemory {
            buffers: [([0; RX], [0; TX]); CONNECTIONS],
        }
    }
}

impl<const RX: usize, const TX: usize> Default for TcpMemory<RX, TX> {
    fn default() -> Self {
        TcpMemory::new()
    }
}

impl<const RX: usize, const TX: usize> fmt::Debug for TcpMemory<RX, TX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpMemory").finish_non_exhaustive()
    }
}

/// A [`Connector`] for plain TCP on an embassy-net stack: see the [module documentation](self).
pub struct EmbassyNet<'s> {
    stack: Stack<'s>,
    sockets: [RefCell<TcpSocket<'s>>; CONNECTIONS],
}

impl fmt::Debug for EmbassyNet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbassyNet").finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectError {
    /// TLS was asked for: the URL begins with `https`. This connector is plain TCP; TLS goes on top of it.
    Tls,
    /// Both connections are open. The client never opens a third one; somebody else uses this connector too.
    Busy,
    /// The name could not be resolved: no DNS server is known or answers, or it does not know the name.
    Name,
    /// The answer has no address of a kind that the stack speaks.
    NoAddress,
    /// The stack has no address of its own, or no way to this one.
    NoRoute,
    /// Nobody listens there, or nobody answered in time.
    Refused,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectError::Tls => "TLS was asked for, this connector is plain TCP",
            ConnectError::Busy => "all connections are in use",
            ConnectError::Name => "the name cannot be resolved",
            ConnectError::NoAddress => "the name has no address of a kind that the stack speaks",
            ConnectError::NoRoute => "the stack has no way to the address",
            ConnectError::Refused => "the other side does not take the connection",
        })
    }
}

impl core::error::Error for ConnectError {}

impl<'s> EmbassyNet<'s> {
    /// A connector on `stack`, which takes two of its sockets.
    ///
    /// # Panics
    ///
    /// If the stack's `StackResources` have fewer than two sockets left. That is so at the first start, or never.
    pub fn new<const RX: usize, const TX: usize>(stack: Stack<'s>, memory: &'s mut TcpMemory<RX, TX>) -> Self {
        let sockets = memory.buffers.each_mut().map(|(rx, tx)| {
            let mut socket = TcpSocket::new(stack, rx, tx);
            // A request comes in several pieces, and none is to wait until the one before is acknowledged.
            socket.set_nagle_enabled(false);
            RefCell::new(socket)
        });
        EmbassyNet { stack, sockets }
    }

    /// A socket that is in no use, first one that has nothing left to send.
    fn socket(&self) -> Option<Connection<'_, 's>> {
        let free = |is_idle: fn(&TcpSocket<'_>) -> bool| {
            let mut sockets = self.sockets.iter().filter_map(|socket| socket.try_borrow_mut().ok());
            sockets.find(|socket| is_idle(socket))
        };
        let socket = free(|socket| socket.state() == State::Closed).or_else(|| free(|_| true))?;
        Some(Connection { socket })
    }

    async fn open(&self, remote: IpEndpoint, has_other: bool) -> Result<Connection<'_, 's>, ConnectError> {
        let mut connection = self.socket().ok_or(ConnectError::Busy)?;
        let socket = &mut *connection.socket;
        if socket.remote_endpoint().is_some() {
            socket.abort();
            // Out or not, `connect` begins anew.
            let _ = with_timeout(RESET_PATIENCE, socket.flush()).await;
        }
        socket.set_timeout(has_other.then(|| Duration::from_secs(ADDRESS_SECONDS)));
        let connected = socket.connect(remote).await;
        socket.set_timeout(None);
        match connected {
            Ok(()) => Ok(connection),
            Err(::embassy_net::tcp::ConnectError::NoRoute) => Err(ConnectError::NoRoute),
            Err(
                ::embassy_net::tcp::ConnectError::ConnectionReset
                | ::embassy_net::tcp::ConnectError::TimedOut
                | ::embassy_net::tcp::ConnectError::InvalidState,
            ) => Err(ConnectError::Refused),
        }
    }
}

/// The records that lead to `host`, in the order in which they are asked for; which are none for an address. The stack reads
/// addresses itself.
fn queries(host: &str) -> &'static [DnsQueryType] {
    let (a, aaaa): (&[_], &[_]) = (&[DnsQueryType::A], &[DnsQueryType::Aaaa]);
    let is_v6 = cfg!(feature = "embassy-net-ipv6");
    if host.contains(':') {
        if is_v6 { aaaa } else { &[] }
    } else if !is_v6 || host.parse::<Ipv4Addr>().is_ok() {
        a
    } else {
        &[DnsQueryType::A, DnsQueryType::Aaaa]
    }
}

impl<'s> Connector for EmbassyNet<'s> {
    type Connection<'c>
        = Connection<'c, 's>
    where
        Self: 'c;
    type Error = ConnectError;

    async fn connect<'c>(&'c self, endpoint: Endpoint<'_>) -> Result<Connection<'c, 's>, ConnectError> {
        match endpoint.security {
            Security::Plain => {}
            Security::Tls => return Err(ConnectError::Tls),
        }
        let mut failed = ConnectError::NoAddress;
        let mut queries = queries(endpoint.host).iter().copied();
        while let Some(query) = queries.next() {
            let addresses = match self.stack.dns_query(endpoint.host, query).await {
                Ok(addresses) => addresses,
                // What an address has answered says more.
                Err(_) if failed == ConnectError::NoAddress => {
                    failed = ConnectError::Name;
                    continue;
                }
                Err(_) => continue,
            };
            let mut addresses = addresses.iter();
            while let Some(&address) = addresses.next() {
                let has_other = addresses.len() + queries.len() > 0;
                match self.open(remote(address, endpoint.port), has_other).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => failed = error,
                }
            }
        }
        Err(failed)
    }
}

fn remote(address: IpAddress, port: u16) -> IpEndpoint {
    IpEndpoint::new(address, port)
}

/// A [`Device`] that is on a network by an embassy-net stack, and is known by its hardware address.
///
/// Its network is up when the stack has an address, by DHCP or as it was configured. A device with an inventory or a display of its own
/// implements [`Device`] itself; this one shows how little has to be in it.
pub struct EmbassyDevice<'s, R> {
    stack: Stack<'s>,
    mac: MacText,
    restart: R,
}

impl<'s, R: Fn()> EmbassyDevice<'s, R> {
    /// A device with the identity `mac`. `restart` restarts it: `|| cortex_m::peripheral::SCB::sys_reset()`, for example.
    pub const fn new(stack: Stack<'s>, mac: MacText, restart: R) -> Self {
        EmbassyDevice { stack, mac, restart }
    }
}

impl<R> fmt::Debug for EmbassyDevice<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbassyDevice")
            .field("mac", &self.mac)
            .finish_non_exhaustive()
    }
}

impl<R: Fn()> Device for EmbassyDevice<'_, R> {
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        [("mac", self.mac.as_str())]
    }

    async fn restart(&self) {
        (self.restart)();
    }

    async fn network_up(&self) -> Result<(), NetworkDown> {
        self.stack.wait_config_up().await;
        Ok(())
    }
}

/// An open connection. Dropping it closes it: see the [module documentation](self).
///
/// `flush` waits until the other side has acknowledged all that was written.
pub struct Connection<'c, 's> {
    socket: RefMut<'c, TcpSocket<'s>>,
}

impl fmt::Debug for Connection<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.socket.state())
            .finish_non_exhaustive()
    }
}

impl Drop for Connection<'_, '_> {
    fn drop(&mut self) {
        if self.socket.recv_queue() > 0 {
            self.socket.abort();
        } else {
            // A connect that is under way is given up by this.
            self.socket.close();
        }
    }
}

impl ErrorType for Connection<'_, '_> {
    type Error = Error;
}

impl Read for Connection<'_, '_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.socket.read(buf).await
    }
}

impl Write for Connection<'_, '_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        self.socket.write(buf).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.socket.flush().await
    }
}
