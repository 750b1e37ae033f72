//! The simulated Mender server of `mender-testkit` on real sockets, **for tests, demos and development only**. It keeps
//! everything in memory and is not for production. With [`Options::tls`] both addresses speak TLS.
//!
//! [`spawn`] binds two addresses: one for the API, one for the artifact store, as real installations have two hosts. A
//! client that mixes them up is found out. The server runs in a thread of its own until it is stopped or dropped.
//!
//! At `/` of the API there is a page for a browser: devices, artifacts, deployments and their logs; accept, deploy and abort by a click.
//!
//! What this crate adds to [`Server::handle`] is small: it cuts requests out of the byte stream, waits when a response
//! asks for it, and sends the bytes of [`Response::encode`](mender_testkit::server::Response::encode), so that chunked,
//! cut and unlimited bodies are the same bytes here as in an in-process test.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use mender_testkit::server::{Endpoint, RequestRecord, Server, Time};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

mod connection;
mod page;
mod tls;

pub use tls::{Identity, TlsFilesError};

/// What is called when a client and the server do not agree on TLS: who, and why.
pub type HandshakeObserver = Box<dyn Fn(SocketAddr, &io::Error) + Send + Sync>;

/// What is called after each request: the record of it. Must be quick; the server waits for it.
pub type Observer = Box<dyn Fn(&RequestRecord) + Send + Sync>;

/// Where and how a server listens.
pub struct Options {
    /// Address of the API; port 0 lets the system choose one.
    pub api: SocketAddr,
    /// Address of the artifact store; port 0 lets the system choose one.
    pub storage: SocketAddr,
    /// The host that stands in links, without a port. `None` takes the bound addresses, which is right unless the server
    /// listens on all addresses or clients reach it under another name.
    pub public_host: Option<String>,
    /// The certificate for both addresses, which then speak TLS 1.2 and 1.3; links are `https` then. `None`: plain.
    pub tls: Option<Identity>,
    /// Called when a handshake fails, for example because the client does not trust the certificate.
    pub handshake_observer: Option<HandshakeObserver>,
    /// Where the time comes from.
    pub clock: fn() -> Time,
    /// Called after each request.
    pub observer: Option<Observer>,
}

impl Default for Options {
    /// Two free ports of 127.0.0.1, the host's clock, no observer.
    fn default() -> Self {
        Self {
            api: (Ipv4Addr::LOCALHOST, 0).into(),
            storage: (Ipv4Addr::LOCALHOST, 0).into(),
            public_host: None,
            tls: None,
            handshake_observer: None,
            clock: Time::now,
            observer: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("api", &self.api)
            .field("storage", &self.storage)
            .field("public_host", &self.public_host)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// What all connections share.
struct Shared {
    server: Arc<Mutex<Server>>,
    clock: fn() -> Time,
    observer: Option<Observer>,
    handshake_observer: Option<HandshakeObserver>,
    api_connections: AtomicUsize,
    storage_connections: AtomicUsize,
}

impl Shared {
    /// A panic of another thread that held the lock must not hide behind a second one here.
    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self, endpoint: Endpoint) -> &AtomicUsize {
        match endpoint {
            Endpoint::Api => &self.api_connections,
            Endpoint::Storage => &self.storage_connections,
        }
    }
}

/// A server that listens. Dropping it stops it.
pub struct RunningServer {
    api: SocketAddr,
    storage: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// Starts a server. It listens when this returns; `api_url` and `storage_url` of its settings are set to where.
///
/// # Errors
/// The error of the system when an address cannot be bound or the thread cannot be started.
pub fn spawn(server: Arc<Mutex<Server>>, options: Options) -> io::Result<RunningServer> {
    let bind = |address: SocketAddr| -> io::Result<(StdListener, SocketAddr)> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    let (api_listener, api) = bind(options.api)?;
    let (storage_listener, storage) = bind(options.storage)?;
    let shared = Arc::new(Shared {
        server,
        clock: options.clock,
        observer: options.observer,
        handshake_observer: options.handshake_observer,
        api_connections: AtomicUsize::new(0),
        storage_connections: AtomicUsize::new(0),
    });
    {
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let url = |bound: SocketAddr| match &options.public_host {
            Some(host) => format!("{scheme}://{host}:{}", bound.port()),
            None => format!("{scheme}://{bound}"),
        };
        let mut server = shared.lock();
        let settings = server.settings_mut();
        settings.api_url = url(api);
        settings.storage_url = url(storage);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let (stop, stopped) = oneshot::channel();
    let of_thread = Arc::clone(&shared);
    let tls = options.tls;
    let run = move || {
        runtime.block_on(async {
            let accept_all = async {
                let api = accept(api_listener, tls.clone(), Endpoint::Api, Arc::clone(&of_thread));
                let storage = accept(storage_listener, tls, Endpoint::Storage, Arc::clone(&of_thread));
                tokio::try_join!(api, storage)
            };
            tokio::select! {
                // An error here is the dropped handle, which means the same.
                _ = stopped => Ok(()),
                ended = accept_all => ended.map(|_: (Infallible, Infallible)| ()),
            }
        })
    };
    let thread = std::thread::Builder::new()
        .name("mender-test-server".to_owned())
        .spawn(run)?;
    Ok(RunningServer {
        api,
        storage,
        shared,
        stop: Some(stop),
        thread: Some(thread),
    })
}

async fn accept(
    listener: StdListener,
    tls: Option<Identity>,
    endpoint: Endpoint,
    shared: Arc<Shared>,
) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                shared.connections(endpoint).fetch_add(1, Ordering::Relaxed);
                // Small answers must not wait for each other. If the option cannot be set, all is only slower.
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                match tls.clone() {
                    None => {
                        tokio::spawn(connection::serve(stream, endpoint, shared));
                    }
                    Some(identity) => {
                        tokio::spawn(async move {
                            match identity.accept(stream).await {
                                Ok(stream) => connection::serve(stream, endpoint, shared).await,
                                Err(error) => {
                                    if let Some(observer) = &shared.handshake_observer {
                                        observer(peer, &error);
                                    }
                                }
                            }
                        });
                    }
                }
            }
            // The peer gave up before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

impl RunningServer {
    /// The bound address of the API.
    pub fn api_address(&self) -> SocketAddr {
        self.api
    }

    /// The bound address of the artifact store.
    pub fn storage_address(&self) -> SocketAddr {
        self.storage
    }

    /// The server, to look at it or to change it. Requests wait while it is held.
    pub fn server(&self) -> MutexGuard<'_, Server> {
        self.shared.lock()
    }

    /// How many connections were accepted at an address since the start.
    pub fn connection_count(&self, endpoint: Endpoint) -> usize {
        self.shared.connections(endpoint).load(Ordering::Relaxed)
    }

    /// Stops the server, drops its connections and waits until it is gone.
    pub fn stop(mut self) {
        self.shut_down();
    }

    /// Waits for as long as the server runs, which is until an address fails.
    ///
    /// # Errors
    /// Why it does not run any more.
    pub fn wait(mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(io::Error::other("the server's thread panicked")),
            None => Ok(()),
        }
    }

    fn shut_down(&mut self) {
        // Both fail only when the thread is gone already.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningServer")
            .field("api", &self.api)
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}
