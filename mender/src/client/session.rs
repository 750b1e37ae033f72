//! The connection to the Mender server that updates and inventory share: one request at a time, with login and retries.

use core::time::Duration;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use super::backoff::Backoff;
use super::config::Config;
use super::device::{Clock, Device, Event, NetworkDown};
use super::signer::Signer;
use crate::api::auth::{self, AuthRefused, AuthRequest};
use crate::api::key::{DeviceKey, KeyError, PublicKeyPem};
use crate::api::{Class, EncodeError};
use crate::fmt::{debug, warning};
use crate::net::http::head::{Method, RequestHead};
use crate::net::http::{Exchange, HttpError};
use crate::net::{Connector, Peer, Url};
use crate::provides::{Provides, ProvidesBuf};

/// Bounds the time of a piece of network work: its output, or [`CallError::Timeout`].
///
/// A macro, because an async function that is given a future holds it twice: as its argument and as what it awaits.
macro_rules! within {
    ($clock:expr, $timeout:expr, $work:expr) => {
        match ::embassy_futures::select::select($work, $clock.sleep($timeout)).await {
            ::embassy_futures::select::Either::First(output) => Ok(output),
            ::embassy_futures::select::Either::Second(()) => Err($crate::client::session::CallError::Timeout),
        }
    };
}
pub(super) use within;

/// How often a request is tried in place when the connection fails; mender-mcu's number.
const TRIES: u32 = 5;
/// The pause after the first of them, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Who needs the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Updates,
    Inventory,
}

/// Who needs the network now: it goes down with the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Users {
    updates: bool,
    inventory: bool,
}

impl Users {
    fn set(&mut self, user: User, online: bool) {
        match user {
            User::Updates => self.updates = online,
            User::Inventory => self.inventory = online,
        }
    }

    fn none(self) -> bool {
        !self.updates && !self.inventory
    }
}

/// Where a request's path or body is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    /// In the session's body buffer.
    Buffer {
        start: usize,
        len: usize,
    },
    Elsewhere(&'a [u8]),
}

/// A request that has been composed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: Text<'a>,
    pub(super) body: Option<Text<'a>>,
}

/// What the server answered; the body is in the buffer that was lent for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) len: usize,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// No connection. The reason has been logged with the connector's own text.
    Connect,
    /// A connect or request took longer than the network timeout.
    Timeout,
    Http(HttpError),
    /// No token.
    Refused {
        refused: AuthRefused,
        retry_after: Option<Duration>,
    },
    Encode(EncodeError),
    Key(KeyError),
}

impl CallError {
    /// How long the server asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            CallError::Refused { retry_after, .. } => *retry_after,
            CallError::Connect | CallError::Timeout | CallError::Http(_) | CallError::Encode(_) | CallError::Key(_) => {
                None
            }
        }
    }

    /// Trying again at once may help.
    fn is_transport(&self) -> bool {
        match self {
            CallError::Connect | CallError::Timeout => true,
            CallError::Http(HttpError::Io(_) | HttpError::Closed | HttpError::Truncated | HttpError::Malformed) => true,
            CallError::Http(HttpError::HeadTooLong | HttpError::BodyTooLong)
            | CallError::Refused { .. }
            | CallError::Encode(_)
            | CallError::Key(_) => false,
        }
    }
}

impl core::fmt::Display for CallError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CallError::Connect => f.write_str("no connection"),
            CallError::Timeout => f.write_str("no answer in time"),
            CallError::Http(error) => error.fmt(f),
            CallError::Refused { refused, .. } => refused.fmt(f),
            CallError::Encode(error) => error.fmt(f),
            CallError::Key(error) => error.fmt(f),
        }
    }
}

/// Everything that is needed to talk to the server, and the provides, which both loops read.
pub(super) struct Session<'c, D, C: Connector + 'c, K, R> {
    pub(super) config: &'c Config<'c>,
    pub(super) device: &'c D,
    pub(super) connector: &'c C,
    pub(super) clock: &'c K,
    pub(super) rng: &'c mut R,
    pub(super) url: Url<'c>,
    /// `None`: the device signs.
    pub(super) key: Option<DeviceKey>,
    pub(super) pem: PublicKeyPem,
    pub(super) connection: Option<C::Connection<'c>>,
    pub(super) users: Users,
    pub(super) token: &'c mut [u8],
    pub(super) token_len: usize,
    pub(super) head: &'c mut [u8],
    pub(super) body: &'c mut [u8],
    pub(super) installed: &'c mut [u8],
    pub(super) installed_len: usize,
}

impl<'c, D: Device, C: Connector, K: Clock, R: CryptoRng> Session<'c, D, C, K, R> {
    /// Artifact name and provides of what runs.
    pub(super) fn installed(&self) -> Provides<'_> {
        let bytes = self.installed.get(..self.installed_len).unwrap_or(&[]);
        // Only validated lists are put there.
        Provides::from_bytes(bytes).unwrap_or_default()
    }

    /// Replaces them; `false` if they are too long for the buffer.
    pub(super) fn set_installed(&mut self, provides: Provides<'_>) -> bool {
        match ProvidesBuf::copy_of(provides, self.installed) {
            Ok(list) => {
                self.installed_len = list.len();
                true
            }
            Err(_) => false,
        }
    }

    pub(super) fn has_token(&self) -> bool {
        self.token_len > 0
    }

    /// The next call logs in first.
    pub(super) fn forget_token(&mut self) {
        self.token_len = 0;
    }

    /// Brings the network up for one of the two loops, until its [`offline`](Session::offline).
    pub(super) async fn online(&mut self, user: User) -> Result<(), NetworkDown> {
        self.device.network_up().await?;
        self.users.set(user, true);
        Ok(())
    }

    /// One of the two loops has nothing to say for a while. If the other has not either, the connection is closed, as a
    /// pause is no reason to keep one open, and the network may go down.
    pub(super) async fn offline(&mut self, user: User) {
        self.users.set(user, false);
        if self.users.none() {
            self.connection = None;
            self.device.network_down().await;
        }
    }

    /// Closes the connection, if one is open.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Random bits, for jitter.
    pub(super) fn random(&mut self) -> u32 {
        self.rng.next_u32()
    }

    /// Sends a request with the token, logging in first if there is none, and once more after a 401. `reply` takes the
    /// answer's body.
    pub(super) async fn call(&mut self, request: Request<'_>, reply: &mut [u8]) -> Result<Reply, CallError> {
        let fresh = !self.has_token();
        if fresh {
            self.login().await?;
        }
        let answer = self.with_retries(Work::Call(request), reply).await?;
        if Class::of(answer.status) != Class::Reauthenticate {
            return Ok(answer);
        }
        self.forget_token();
        if fresh {
            return Ok(answer);
        }
        self.login().await?;
        let answer = self.with_retries(Work::Call(request), reply).await?;
        if Class::of(answer.status) == Class::Reauthenticate {
            self.forget_token();
        }
        Ok(answer)
    }

    /// Asks for a token (device API, section 2).
    pub(super) async fn login(&mut self) -> Result<(), CallError> {
        self.forget_token();
        let result = self.authenticate().await;
        match result {
            Ok(token_len) => {
                self.token_len = token_len;
                self.device.observe(Event::Authorized);
                Ok(())
            }
            Err(error) => {
                if let CallError::Refused { refused, .. } = error {
                    warning!("not authorized: {refused}");
                    self.device.observe(Event::Unauthorized(refused));
                }
                Err(error)
            }
        }
    }

    async fn authenticate(&mut self) -> Result<usize, CallError> {
        let reply = self.with_retries(Work::Login, &mut []).await?;
        let body = self.token.get(..reply.len).unwrap_or(&[]);
        match auth::answer(reply.status, body) {
            Ok(token) => {
                let len = token.as_str().len();
                let start = body.len() - body.trim_ascii_start().len();
                self.token.copy_within(start..start + len, 0);
                Ok(len)
            }
            Err(refused) => Err(CallError::Refused {
                refused,
                retry_after: reply.retry_after,
            }),
        }
    }

    /// A few tries in place while the connection fails.
    async fn with_retries(&mut self, work: Work<'_>, reply: &mut [u8]) -> Result<Reply, CallError> {
        let mut backoff = Backoff::new(FIRST_PAUSE, FIRST_PAUSE.saturating_mul(8));
        for tries_left in (0..TRIES).rev() {
            let reused = self.connection.is_some();
            let error = match self.exchange(work, reply).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            self.connection = None;
            if !error.is_transport() || tries_left == 0 {
                return Err(error);
            }
            if reused && matches!(error, CallError::Http(HttpError::Closed | HttpError::Io(_))) {
                // The server closed what was kept open: usual, and no reason to wait.
                debug!("the kept connection was closed");
                continue;
            }
            warning!("{error}; trying again");
            let random = self.rng.next_u32();
            self.clock.sleep(backoff.pause(random)).await;
        }
        Err(CallError::Connect)
    }

    async fn exchange(&mut self, work: Work<'_>, reply: &mut [u8]) -> Result<Reply, CallError> {
        let timeout = self.config.network_timeout;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connect = self.connector.connect(self.url.endpoint(Peer::Server));
                match within!(self.clock, timeout, connect)? {
                    Ok(connection) => none.insert(connection),
                    Err(error) => {
                        warning!("cannot connect to {}: {error:?}", self.url.host);
                        return Err(CallError::Connect);
                    }
                }
            }
        };
        let (request, texts, token, signature) = match work {
            Work::Call(request) => {
                let token = self.token.get(..self.token_len).unwrap_or(&[]);
                (request, &*self.body, Some(as_text(token)), None)
            }
            Work::Login => {
                // The request stands where its answer will: in the token's buffer. So a call that waits in the body
                // buffer survives the login.
                let login = AuthRequest {
                    identity: self.device.identity(),
                    public_key: &self.pem,
                    tenant_token: self.config.tenant_token,
                    tier: Some(self.config.tier),
                };
                let body = auth::request(self.token, &login).map_err(CallError::Encode)?;
                let len = body.len();
                let signature = match &self.key {
                    Some(key) => key.sign(body).map_err(CallError::Key)?,
                    None => {
                        let digest = Sha256::digest(body).into();
                        let signer = self.device.signer().ok_or(CallError::Key(KeyError::Signer))?;
                        let signature =
                            within!(self.clock, timeout, signer.sign_digest(&digest))?.map_err(|error| {
                                warning!("the device's signer: {error:?}");
                                CallError::Key(KeyError::Signer)
                            })?;
                        signature.text().map_err(CallError::Key)?
                    }
                };
                let request = Request {
                    method: Method::Post,
                    path: Text::Elsewhere(auth::PATH.as_bytes()),
                    body: Some(Text::Buffer { start: 0, len }),
                };
                (request, &*self.token, None, Some(signature))
            }
        };
        let body = bytes(texts, request.body);
        let head = RequestHead {
            method: request.method,
            path_prefix: self.url.path.trim_end_matches('/'),
            path: as_text(bytes(texts, Some(request.path))),
            authority: self.url.authority,
            token,
            signature: signature.as_ref().map(|s| s.as_str()),
            range_from: None,
            json_len: request.body.map(|_| body.len()),
        };
        let exchange = within!(self.clock, timeout, Exchange::start(connection, &head, body, self.head))?
            .map_err(CallError::Http)?;
        let head = exchange.head;
        let mut answer = exchange.into_body();
        let into = match work {
            Work::Call(_) => reply,
            Work::Login => &mut *self.token,
        };
        let len = match within!(self.clock, timeout, answer.read_to_end(connection, into))? {
            Ok(len) => len,
            // The text of an error may be of any length; what fits is enough.
            Err(HttpError::BodyTooLong) if head.status >= 300 => into.len(),
            Err(error) => return Err(CallError::Http(error)),
        };
        debug!("{} {}: {}", request.method.as_str(), self.url.host, head.status);
        if !answer.is_reusable() {
            self.connection = None;
        }
        Ok(Reply {
            status: head.status,
            retry_after: head.retry_after,
            len,
        })
    }
}

/// What to exchange.
#[derive(Clone, Copy)]
enum Work<'a> {
    /// A request with the token; what it has in a buffer is in the body buffer.
    Call(Request<'a>),
    /// The authentication request, signed. Its body and its answer are in the token's buffer.
    Login,
}

fn bytes<'a>(buffer: &'a [u8], text: Option<Text<'a>>) -> &'a [u8] {
    match text {
        None => &[],
        Some(Text::Elsewhere(bytes)) => bytes,
        Some(Text::Buffer { start, len }) => start
            .checked_add(len)
            .and_then(|end| buffer.get(start..end))
            .unwrap_or(&[]),
    }
}

/// Paths and tokens were written or checked as ASCII.
fn as_text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or("")
}
