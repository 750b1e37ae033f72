//! The simulated server on the other end of a [`Connector`], in process and in virtual time.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mender::net::{Connector, Endpoint, Peer, Security, Url};

use crate::server::{Ending, Endpoint as ServerEndpoint, Request, Server};
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
    traffic: Traffic,
    /// Of all requests so far, and when they came.
    history: u64,
}

impl Shared {
    fn reachable(&self) -> bool {
        self.up && self.radio
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
                traffic: Traffic::default(),
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

    /// Which of the server's two doors an address leads to.
    fn door(&self, endpoint: Endpoint<'_>) -> Option<ServerEndpoint> {
        let server = lock(&self.server);
        let settings = server.settings();
        let is = |url: &str| {
            Url::parse(url).is_ok_and(|url| url.host == endpoint.host && url.port == endpoint.port)
                && endpoint.security == Security::Plain
        };
        if is(&settings.api_url) && endpoint.peer == Peer::Server {
            Some(ServerEndpoint::Api)
        } else if is(&settings.storage_url) && endpoint.peer == Peer::ArtifactHost {
            Some(ServerEndpoint::Storage)
        } else {
            None
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
            request: Vec::new(),
            answer: VecDeque::new(),
            delay: latency,
            ending: Ending::KeepAlive,
        })
    }
}

/// An open connection to the simulated server.
#[derive(Debug)]
pub struct SimConnection {
    network: SimNetwork,
    door: ServerEndpoint,
    /// What was sent and is no whole request yet.
    request: Vec<u8>,
    /// What is on its way back.
    answer: VecDeque<u8>,
    /// Time until its first byte arrives.
    delay: Duration,
    /// What happens after its last byte.
    ending: Ending,
}

impl ErrorType for SimConnection {
    type Error = ErrorKind;
}

impl Write for SimConnection {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if !self.network.shared().reachable() || self.ending != Ending::KeepAlive {
            return Err(ErrorKind::BrokenPipe);
        }
        self.network.shared().traffic.sent_bytes += bytes.len() as u64;
        self.request.extend_from_slice(bytes);
        while let Some(parsed) = Request::parse(&self.request, self.door).map_err(|_| ErrorKind::InvalidData)? {
            let sent: Vec<u8> = self.request.drain(..parsed.consumed).collect();
            let since_start = self.network.clock.elapsed();
            self.network.add_to_history((since_start, self.door, sent));
            let now = self.network.clock.date();
            let response = lock(&self.network.server).handle(&parsed.request, now);
            let encoded = response.encode(parsed.keep_alive);
            self.answer.extend(encoded.bytes);
            self.ending = encoded.ending;
            self.delay = self.network.shared().latency + response.delay;
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Read for SimConnection {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
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
        if self.answer.is_empty() {
            return match self.ending {
                // Nothing more will come: as a socket, it waits for ever.
                Ending::KeepAlive => std::future::pending().await,
                Ending::Close => Ok(0),
                Ending::Reset => Err(ErrorKind::ConnectionReset),
            };
        }
        let len = buffer.len().min(self.answer.len()).min(packet_len);
        for (place, byte) in buffer.iter_mut().zip(self.answer.drain(..len)) {
            *place = byte;
        }
        self.network.shared().traffic.received_bytes += len as u64;
        Ok(len)
    }
}
