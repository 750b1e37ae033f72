//! The simulated server on the other end of a [`Connector`], in process and in virtual time.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mender::net::{Connector, Endpoint, Peer, Security, Url};

use crate::server::{Ending, Endpoint as ServerEndpoint, Request, Server, Violation};
use crate::time::VirtualClock;

/// A simulated server that several parts of a test share.
pub type SharedServer = Arc<Mutex<Server>>;

/// Locks a shared server, also after a test that held it has failed.
pub fn lock(server: &SharedServer) -> MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a network did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections opened to the API.
    pub server_connections: usize,
    /// Connections opened to the artifact store.
    pub artifact_connections: usize,
    /// Attempts to open a connection that failed.
    pub failed_connections: usize,
    /// Bytes sent by the device.
    pub sent_bytes: u64,
    /// Bytes received by the device.
    pub received_bytes: u64,
    /// Writes of the device, each of some bytes.
    pub writes: usize,
    /// How often the device had what it had written sent.
    pub flushes: usize,
}

/// How a connection ends in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Break {
    /// The other end closes it: a write takes nothing.
    Close,
    /// It is reset.
    Reset,
    /// Nothing comes any more, and what is sent is lost; for ever.
    Stall,
}

/// A network with nothing but the simulated server in it.
#[derive(Clone, Debug)]
pub struct SimNetwork {
    server: SharedServer,
    clock: VirtualClock,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    up: bool,
    radio: bool,
    latency: Duration,
    pace: Duration,
    packet_len: usize,
    /// Bytes that arrive while nobody reads; 0: none.
    window: usize,
    traffic: Traffic,
    /// After so many bytes, both ways together, the connection that carries the next one breaks.
    cut: Option<(u64, Break)>,
    /// Of all requests so far, and when they came.
    history: u64,
}

impl Shared {
    fn reachable(&self) -> bool {
        self.up && self.radio
    }

    /// How many of these bytes pass before the cut, if it comes within them; it is over then.
    fn take_cut(&mut self, len: usize) -> Option<(usize, Break)> {
        let passed = self.traffic.sent_bytes + self.traffic.received_bytes;
        let (at, how) = self.cut.filter(|(at, _)| *at < passed + len as u64)?;
        self.cut = None;
        Some((usize::try_from(at.saturating_sub(passed)).unwrap_or(0), how))
    }
}

/// Nothing answers there: the network is down, or the name is not one of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoute;

impl SimNetwork {
    /// A network with a latency of 10 ms and packets of 1460 bytes.
    pub fn new(server: SharedServer, clock: VirtualClock) -> SimNetwork {
        SimNetwork {
            server,
            clock,
            shared: Arc::new(Mutex::new(Shared {
                up: true,
                radio: true,
                latency: Duration::from_millis(10),
                pace: Duration::ZERO,
                packet_len: 1460,
                window: 0,
                traffic: Traffic::default(),
                cut: None,
                history: 0,
            })),
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pulls or plugs the cable. Connections that are open fail at their next use.
    pub fn set_up(&self, up: bool) {
        self.shared().up = up;
    }

    /// Switches the device's own side on or off; see [`SimDevice::with_radio`](crate::device::SimDevice::with_radio).
    pub fn set_radio(&self, on: bool) {
        self.shared().radio = on;
    }

    /// How long a connect, and the way of a request and its answer, takes.
    pub fn set_latency(&self, latency: Duration) {
        self.shared().latency = latency;
    }

    /// How long each packet takes, beside the latency. With the packet's length this is the network's speed.
    pub fn set_pace(&self, pace: Duration) {
        self.shared().pace = pace;
    }

    /// How many bytes one read can give at most.
    pub fn set_packet_len(&self, packet_len: usize) {
        self.shared().packet_len = packet_len.max(1);
    }

    /// How many bytes arrive while nobody reads, as in a socket's buffer. 0, as at first: each packet is on its way only while
    /// the device waits for it.
    ///
    /// A sender that finds the window full goes on when there is room for a packet again.
    pub fn set_window(&self, len: usize) {
        self.shared().window = len;
    }

    /// Breaks, once, the connection that carries the byte after so many more, both ways together.
    pub fn break_after(&self, bytes: u64, how: Break) {
        let mut shared = self.shared();
        shared.cut = Some((shared.traffic.sent_bytes + shared.traffic.received_bytes + bytes, how));
    }

    /// What has happened so far.
    pub fn traffic(&self) -> Traffic {
        self.shared().traffic
    }

    /// A number that stands for all requests so far, what they were and when they came, and for what was
    /// [added](SimNetwork::add_to_history). Two servers that were equal once and have the same history are equal.
    pub(crate) fn history(&self) -> u64 {
        self.shared().history
    }

    /// Adds to the history what else was done to the server.
    pub(crate) fn add_to_history(&self, what: impl Hash) {
        let mut shared = self.shared();
        let mut hasher = DefaultHasher::new();
        (shared.history, what).hash(&mut hasher);
        shared.history = hasher.finish();
    }

    /// Goes on from another history.
    pub(crate) fn set_history(&self, history: u64) {
        self.shared().history = history;
    }

    /// Which of the server's two doors an address leads to. `https` is only a name here: nothing is encrypted.
    fn door(&self, endpoint: Endpoint<'_>) -> Option<ServerEndpoint> {
        let server = lock(&self.server);
        let settings = server.settings();
        let address = |endpoint: &Endpoint<'_>| (endpoint.host.to_owned(), endpoint.port, endpoint.security);
        let wanted = address(&endpoint);
        let is = |url: &String| Url::parse(url).is_ok_and(|url| address(&url.endpoint(endpoint.peer)) == wanted);
        let is_one = |url: &String, more: &[String]| is(url) || more.iter().any(is);
        match endpoint.peer {
            Peer::Server => is_one(&settings.api_url, &settings.more_api_urls).then_some(ServerEndpoint::Api),
            Peer::ArtifactHost => {
                is_one(&settings.storage_url, &settings.more_storage_urls).then_some(ServerEndpoint::Storage)
            }
        }
    }
}

impl Connector for SimNetwork {
    type Connection<'c> = SimConnection;
    type Error = NoRoute;

    async fn connect(&self, endpoint: Endpoint<'_>) -> Result<SimConnection, NoRoute> {
        let latency = self.shared().latency;
        self.clock.wait(latency).await;
        let door = self.door(endpoint);
        let mut shared = self.shared();
        let Some(door) = door.filter(|_| shared.reachable()) else {
            shared.traffic.failed_connections += 1;
            return Err(NoRoute);
        };
        match door {
            ServerEndpoint::Api => shared.traffic.server_connections += 1,
            ServerEndpoint::Storage => shared.traffic.artifact_connections += 1,
        }
        drop(shared);
        Ok(SimConnection {
            network: self.clone(),
            door,
            security: endpoint.security,
            address: (endpoint.host.to_owned(), endpoint.port),
            unsent: Vec::new(),
            request: Vec::new(),
            answer: VecDeque::new(),
            delay: latency,
            arrived: VecDeque::new(),
            due: Duration::ZERO,
            stopped: false,
            ending: Ending::KeepAlive,
            broken: None,
        })
    }
}

/// An open connection to the simulated server.
#[derive(Debug)]
pub struct SimConnection {
    network: SimNetwork,
    door: ServerEndpoint,
    security: Security,
    /// Host and port at the other end.
    address: (String, u16),
    /// What was written and not flushed: it is not sent, as with many TLS stacks.
    unsent: Vec<u8>,
    /// What was sent and is no whole request yet.
    request: Vec<u8>,
    /// What is on its way back.
    answer: VecDeque<u8>,
    /// Time until its first byte arrives.
    delay: Duration,
    /// With a window: what has arrived and was not read.
    arrived: VecDeque<u8>,
    /// With a window: when the next packet has arrived.
    due: Duration,
    /// With a window: the next packet is not on its way, because there was no room for it.
    stopped: bool,
    /// What happens after its last byte.
    ending: Ending,
    /// It was broken, like this.
    broken: Option<Break>,
}

impl SimConnection {
    /// Sends what was written; the server answers what is a request.
    fn send(&mut self) -> Result<(), ErrorKind> {
        self.request.append(&mut self.unsent);
        while let Some(parsed) = Request::parse(&self.request, self.door).map_err(|_| ErrorKind::InvalidData)? {
            let sent: Vec<u8> = self.request.drain(..parsed.consumed).collect();
            let since_start = self.network.clock.elapsed();
            self.network.add_to_history((since_start, self.door, sent));
            let now = self.network.clock.date();
            self.check_host(&parsed.request);
            let response = lock(&self.network.server).handle(&parsed.request, now);
            let encoded = response.encode(parsed.keep_alive);
            self.answer.extend(encoded.bytes);
            self.ending = encoded.ending;
            let shared = self.network.shared();
            self.delay = shared.latency + response.delay;
            self.due = since_start + self.delay + shared.pace;
            self.stopped = false;
        }
        Ok(())
    }

    /// A request belongs to the host that it is sent to.
    fn check_host(&self, request: &Request) {
        let scheme = match self.security {
            Security::Plain => "http",
            Security::Tls => "https",
        };
        let url = format!("{scheme}://{}", request.header_value("Host").unwrap_or(""));
        let (host, port) = &self.address;
        if !Url::parse(&url).is_ok_and(|url| url.host == host && url.port == *port) {
            lock(&self.network.server).add_violation(Violation {
                time: self.network.clock.date(),
                request: format!("{} {}", request.method, request.path()),
                what: format!("a request for {url} was sent to {host}:{port}"),
            });
        }
    }

    /// Length of the next packet; none is longer than the window.
    fn next_packet(&self, shared: &Shared) -> usize {
        self.answer.len().min(shared.packet_len).min(shared.window)
    }

    /// Lets arrive what has arrived by now.
    fn arrive(&mut self, now: Duration) {
        let network = self.network.clone();
        let shared = network.shared();
        while !self.answer.is_empty() && !self.stopped && self.due <= now {
            let len = self.next_packet(&shared);
            if self.arrived.len() + len > shared.window {
                self.stopped = true;
            } else {
                self.arrived.extend(self.answer.drain(..len));
                self.due += shared.pace;
            }
        }
    }

    /// What has arrived by now, if something has.
    fn take_arrived(&mut self, buffer: &mut [u8], now: Duration) -> Result<Option<usize>, ErrorKind> {
        self.arrive(now);
        let network = self.network.clone();
        let mut shared = network.shared();
        if !shared.reachable() {
            return Err(ErrorKind::ConnectionReset);
        }
        let mut len = buffer.len().min(self.arrived.len());
        if let Some((passed, how)) = shared.take_cut(len) {
            self.broken = Some(how);
            len = passed;
        }
        for (place, byte) in buffer.iter_mut().zip(self.arrived.drain(..len)) {
            *place = byte;
        }
        if self.stopped && self.arrived.len() + self.next_packet(&shared) <= shared.window {
            self.stopped = false;
            self.due = now + shared.pace;
        }
        shared.traffic.received_bytes += len as u64;
        Ok((len > 0).then_some(len))
    }

    /// A read of what arrives whether or not somebody reads.
    async fn read_arrived(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        loop {
            let now = self.network.clock.elapsed();
            if let Some(len) = self.take_arrived(buffer, now)? {
                return Ok(len);
            }
            if self.answer.is_empty() || self.broken.is_some() {
                return self.end().await;
            }
            self.network.clock.wait(self.due.saturating_sub(now)).await;
        }
    }

    /// What a read gives behind the last byte.
    async fn end(&self) -> Result<usize, ErrorKind> {
        match self.broken {
            Some(Break::Close) => return Ok(0),
            Some(Break::Reset) => return Err(ErrorKind::ConnectionReset),
            Some(Break::Stall) => return std::future::pending().await,
            None => {}
        }
        match self.ending {
            // Nothing more will come: as a socket, it waits for ever.
            Ending::KeepAlive => std::future::pending().await,
            Ending::Close => Ok(0),
            Ending::Reset => Err(ErrorKind::ConnectionReset),
        }
    }
}

impl ErrorType for SimConnection {
    type Error = ErrorKind;
}

impl Write for SimConnection {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if !self.network.shared().reachable() || self.ending != Ending::KeepAlive {
            return Err(ErrorKind::BrokenPipe);
        }
        let network = self.network.clone();
        let mut shared = network.shared();
        if self.broken.is_none()
            && let Some((passed, how)) = shared.take_cut(bytes.len())
        {
            // What was sent before is no whole request, or the server has it.
            self.broken = Some(how);
            self.unsent.extend_from_slice(bytes.get(..passed).unwrap_or(bytes));
        }
        shared.traffic.sent_bytes += bytes.len() as u64;
        shared.traffic.writes += 1;
        match self.broken {
            // As some stacks say it.
            Some(Break::Close) => return Ok(0),
            Some(Break::Reset) => return Err(ErrorKind::BrokenPipe),
            Some(Break::Stall) => {}
            None => self.unsent.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        if !self.network.shared().reachable() {
            return Err(ErrorKind::BrokenPipe);
        }
        self.network.shared().traffic.flushes += 1;
        match self.broken {
            Some(Break::Close | Break::Reset) => Err(ErrorKind::BrokenPipe),
            Some(Break::Stall) => Ok(()),
            None => self.send(),
        }
    }
}

impl Read for SimConnection {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.network.shared().window > 0 {
            return self.read_arrived(buffer).await;
        }
        // Taken only when it has passed: the reader may give up before and come again.
        let delay = self.delay + self.network.shared().pace;
        self.network.clock.wait(delay).await;
        self.delay = Duration::ZERO;
        let (up, packet_len) = {
            let shared = self.network.shared();
            (shared.reachable(), shared.packet_len)
        };
        if !up {
            return Err(ErrorKind::ConnectionReset);
        }
        if self.answer.is_empty() || self.broken.is_some() {
            return self.end().await;
        }
        let mut len = buffer.len().min(self.answer.len()).min(packet_len);
        let cut = self.network.shared().take_cut(len);
        if let Some((passed, how)) = cut {
            self.broken = Some(how);
            if passed == 0 {
                return self.end().await;
            }
            len = passed;
        }
        for (place, byte) in buffer.iter_mut().zip(self.answer.drain(..len)) {
            *place = byte;
        }
        self.network.shared().traffic.received_bytes += len as u64;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Effect, Fault, Filling, Settings};
    use crate::time::Run;

    #[test]
    fn a_window_fills_while_nobody_reads() {
        let clock = VirtualClock::new();
        let mut server = Server::new(Settings::default());
        let (len, filling) = (3000, Filling::Line);
        server.inject(Fault::new(Effect::LongHead { len, filling }));
        let network = SimNetwork::new(Arc::new(Mutex::new(server)), clock.clone());
        network.set_latency(Duration::ZERO);
        network.set_packet_len(100);
        network.set_pace(Duration::from_millis(10));
        network.set_window(1000);
        let url = Url::parse("http://mender.test:8080").unwrap();
        let run = clock.run(Duration::MAX, async {
            let mut connection = network.connect(url.endpoint(Peer::Server)).await.unwrap();
            connection
                .write(b"GET / HTTP/1.1\r\nHost: mender.test:8080\r\n\r\n")
                .await
                .unwrap();
            clock.wait(Duration::from_secs(1)).await;
            // Nothing was sent before it was flushed.
            connection.flush().await.unwrap();
            let sent = clock.elapsed();
            let mut reads = Vec::new();
            for pause in [0, 45, 10_000, 0, 0, 0, 0] {
                clock.wait(Duration::from_millis(pause)).await;
                let len = connection.read(&mut [0; 700]).await.unwrap();
                reads.push((len, (clock.elapsed() - sent).as_millis()));
            }
            reads
        });
        let expected = [
            // The first packet is waited for; then four arrive; then as many as the window has room for.
            (100, 10),
            (400, 55),
            (700, 10_055),
            (300, 10_055),
            // The sender had stopped.
            (100, 10_065),
            (100, 10_075),
            (100, 10_085),
        ];
        assert_eq!(run, Run::Done(expected.to_vec()));
        assert_eq!((network.traffic().writes, network.traffic().flushes), (1, 1));
    }
}
