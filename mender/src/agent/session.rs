//! One exchange with the Mender server at a time: network up, login, request, answer, a few tries in place.
//!
//! ```text
//!            begin(call)
//!                │
//!          [network up] ── down ──────────────────────────────────► CallEnd::NetworkDown
//!                │
//!     no token: [sign], then the login is exchanged first
//!                │
//!            [connect] ─► [send]* ─► [receive]* ─► 401: log in and repeat, once
//!                │           │           │
//!                └───────────┴───────────┴── lost: [pause], again, five times in all at most
//!                                        │
//!                                        └─► CallEnd::Answer, CallEnd::Failed
//! ```
//!
//! The message is written anew for each piece that is sent, and the answer is read as it comes: see
//! [`message`](super::message) and [`answer`](super::answer).
//!
//! A connection is the session's only between exchanges: it is marked as lost when one begins and as kept when one has come to
//! its end, so an exchange that is dropped halfway leaves nothing that the next could take for its own.

use super::answer::{Answer, Lost};
use super::io::{Ctx, Do, Piece};
use super::memory::Memory;
use super::message::{Call, Envelope, Facts};
use super::time::{Backoff, Deadline, Instant, Millis};
use crate::api::Class;
use crate::api::auth::AuthRefused;
use crate::api::key::{DigestSignature, KeyError};
use crate::codes::Code;
use crate::fmt::{debug, warning};
use crate::net::http::HttpError;
use crate::net::{Peer, redirect};
use crate::text::{Describe, Text};

/// How often a request is tried in place when the connection fails; mender-mcu's number.
pub(super) const TRIES: u8 = 5;
/// The pause after the first of them, doubled each time.
const FIRST_PAUSE: Millis = Millis::new(100);
const LONGEST_PAUSE: Millis = Millis::new(800);
/// So many network timeouts may pass from a request to the end of its answer, however steadily that trickles: the commit gate has no
/// more time than the commit timeout.
const ANSWER_TIMEOUTS: u8 = 3;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) end: CallEnd,
    /// How long the server asked to wait; zero if it did not.
    pub(super) asked: Millis,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// The server answered, whatever it was: the status.
    Answer(u16),
    /// There is no answer.
    Failed(CallError),
    /// The network could not be brought up.
    NetworkDown,
}

impl Reply {
    const NETWORK_DOWN: Reply = Reply {
        end: CallEnd::NetworkDown,
        asked: Millis::ZERO,
    };

    /// How long the same is not tried again: the next pause of a row of failures, or what the server asked for, but no more than
    /// `longest` of that.
    #[inline(never)]
    pub(super) fn pause(self, backoff: &mut Backoff, longest: Millis, ctx: &Ctx<'_>) -> Millis {
        let first = match self.end {
            CallEnd::NetworkDown => Millis::of(ctx.config.network_retry),
            CallEnd::Failed(_) | CallEnd::Answer(_) => ctx.retry_first(),
        };
        backoff.pause_as_asked(first, ctx.retry_cap(), self.asked.min(longest), ctx.random)
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// No connection. The reason has been logged with the connector's own text.
    Connect,
    /// A connect, request or answer took longer than the network timeout.
    Timeout,
    Http(HttpError),
    /// No token.
    Refused(AuthRefused),
    Key(KeyError),
    /// The server sends the device somewhere else, and that is not followed: too often, without an address, from `https` to
    /// `http`, or to one that is too long.
    Redirect,
}

const CONNECT: Code = Code::new(8);
const TIMEOUT: Code = Code::new(9);
const REDIRECT: Code = Code::new(10);

impl Describe for CallError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            CallError::Connect => out.code(CONNECT),
            CallError::Timeout => out.code(TIMEOUT),
            CallError::Redirect => out.code(REDIRECT),
            CallError::Http(error) => error.describe(out),
            CallError::Refused(refused) => refused.describe(out),
            CallError::Key(error) => error.describe(out),
        }
    }
}

impl CallError {
    /// Trying again at once may help.
    fn is_transport(self) -> bool {
        match self {
            CallError::Connect | CallError::Timeout => true,
            CallError::Http(HttpError::Io | HttpError::Closed | HttpError::Truncated | HttpError::Malformed) => true,
            CallError::Http(
                HttpError::Contradiction | HttpError::HeadTooLong | HttpError::BodyTooLong | HttpError::Encoded,
            )
            | CallError::Refused(_)
            | CallError::Key(_)
            | CallError::Redirect => false,
        }
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// Where an exchange begins, and begins again.
    Start,
    Sign,
    Connect,
    Send,
    Receive,
    Pause(Deadline),
    /// To be told the next time the agent is asked.
    Replied(Reply),
}

/// What is known of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Down,
    Up,
    /// It was brought up, and connections fail: it is brought up again before the next is opened.
    Doubtful,
}

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Session {
    state: State,
    call: Call,
    /// The exchange at hand is the login, not the call.
    login: bool,
    /// The token was got for this very call: a 401 will not be mended by another.
    fresh: bool,
    /// A token was got; not told yet.
    authorized: bool,
    /// How often each exchange of the call may be tried.
    tries: u8,
    tries_left: u8,
    backoff: Backoff,
    network: Network,
    /// There is a connection that can be used.
    connected: bool,
    /// The connection had served before this exchange.
    reused: bool,
    token_len: u16,
    signature: Option<DigestSignature>,
    /// Bytes of the message that were sent.
    sent: usize,
    /// When the first of them was.
    began: Instant,
    /// How often the call was redirected; then its URL is in the link's memory. A call that is repeated begins with the server.
    redirects: u8,
    pub(super) answer: Answer,
}

/// How often redirects are followed.
pub(super) const REDIRECTS: u8 = 5;

impl Session {
    pub(super) const fn new() -> Session {
        Session {
            state: State::Idle,
            call: Call::PollV2,
            login: false,
            fresh: false,
            authorized: false,
            tries: TRIES,
            tries_left: 0,
            backoff: Backoff::new(),
            network: Network::Down,
            connected: false,
            reused: false,
            token_len: 0,
            signature: None,
            sent: 0,
            began: Instant::START,
            redirects: 0,
            answer: Answer::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// The device has brought the network up and not down again.
    pub(super) fn is_online(&self) -> bool {
        self.network != Network::Down
    }

    /// The network has to be brought up before a connection is opened.
    pub(super) fn needs_network(&self) -> bool {
        self.network != Network::Up
    }

    /// What `network_up` or `network_down` brought.
    pub(super) fn set_online(&mut self, online: bool) {
        self.network = if online { Network::Up } else { Network::Down };
        if !online && matches!(self.state, State::Start) {
            self.state = State::Replied(Reply::NETWORK_DOWN);
        }
    }

    /// Connections fail: the network may have gone away.
    pub(super) fn doubt_network(&mut self) {
        if self.network == Network::Up {
            self.network = Network::Doubtful;
        }
    }

    /// The next call logs in first.
    pub(super) fn forget_token(&mut self) {
        self.token_len = 0;
    }

    /// A token was got for the last call, and the server did not refuse it.
    pub(super) fn has_new_token(&self) -> bool {
        self.fresh && self.token_len > 0
    }

    /// The connection is not used any more; says whether there was one.
    pub(super) fn close(&mut self) -> bool {
        core::mem::take(&mut self.connected)
    }

    /// Begins a call. [`is_idle`](Session::is_idle) is so.
    pub(super) fn begin(&mut self, call: Call, tries: u8) {
        self.call = call;
        self.tries = tries;
        self.fresh = self.token_len == 0;
        self.redirects = 0;
        self.begin_exchange(self.fresh);
    }

    fn begin_exchange(&mut self, login: bool) {
        self.login = login;
        self.tries_left = self.tries;
        self.backoff.reset();
        self.signature = None;
        self.state = State::Start;
    }

    /// What fails now, or has failed, is not tried again.
    pub(super) fn last_try(&mut self) {
        self.tries_left = self.tries_left.min(1);
        if let State::Pause(_) = self.state {
            // Why it failed was told.
            self.state = State::Replied(Reply::NETWORK_DOWN);
        }
    }

    /// The call is given up where it stands, and with it a connection that has something of it in it.
    pub(super) fn abandon(&mut self) {
        self.state = State::Idle;
    }

    pub(super) fn call(&self) -> Call {
        self.call
    }

    /// The message goes to the URL in the link's memory.
    pub(super) fn is_redirected(&self) -> bool {
        self.redirects > 0 && !self.login
    }

    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            call: self.message(),
            token_len: usize::from(self.token_len),
            signature: self.signature.as_ref().filter(|_| self.login),
            is_redirected: self.is_redirected(),
        }
    }

    /// What is sent: the login or the call.
    fn message(&self) -> Call {
        if self.login { Call::Login } else { self.call }
    }

    /// The next thing to do; a reply ends the call.
    #[inline(never)]
    pub(super) fn next(&mut self, now: Instant, memory: &mut Memory<'_>, facts: &Facts<'_>) -> Result<Do, Reply> {
        loop {
            match self.state {
                // Not asked then.
                State::Idle => return Err(Reply::NETWORK_DOWN),
                State::Replied(reply) => {
                    self.state = State::Idle;
                    return Err(reply);
                }
                State::Start if self.needs_network() => return Ok(Do::NetworkUp),
                State::Start => {
                    if self.redirects == 0 && self.call.is_poll() {
                        memory.link_len = 0;
                    }
                    self.state = match (self.login && self.signature.is_none(), self.connected) {
                        (true, _) => State::Sign,
                        (false, true) => State::Send,
                        (false, false) => State::Connect,
                    };
                    self.sent = 0;
                    self.reused = self.connected;
                }
                State::Sign => return Ok(Do::Sign),
                State::Connect => return Ok(Do::Connect(Peer::Server)),
                State::Send => {
                    // From here on the connection has something of this exchange in it.
                    self.connected = false;
                    if self.sent == 0 {
                        self.began = now;
                    }
                    return Ok(Do::Send(Peer::Server, facts.write(&self.envelope(), memory, self.sent)));
                }
                State::Receive => return Ok(Do::Receive(Peer::Server)),
                State::Pause(deadline) if deadline.is_due(now) => self.state = State::Start,
                State::Pause(deadline) => return Ok(Do::Sleep(deadline.left(now))),
            }
        }
    }

    /// The signature, or why there is none.
    pub(super) fn signed(&mut self, signature: Result<DigestSignature, KeyError>) {
        match signature {
            Ok(signature) => {
                self.signature = Some(signature);
                self.state = State::Start;
            }
            Err(error) => self.fail(CallError::Key(error)),
        }
    }

    pub(super) fn connected(&mut self) {
        self.state = State::Send;
    }

    pub(super) fn sent(&mut self, piece: Piece) {
        self.sent += usize::from(piece.len);
        if piece.is_last {
            self.answer.begin(self.message());
            self.state = State::Receive;
        }
    }

    /// Bytes of the answer are at the front of the window; none: the connection has ended.
    pub(super) fn received(
        &mut self,
        len: usize,
        now: Instant,
        memory: &mut Memory<'_>,
        facts: &Facts<'_>,
        random: u32,
    ) {
        match self.answer.push(len, memory) {
            Ok(None) => {
                let longest = Millis::of(facts.config.network_timeout).times(ANSWER_TIMEOUTS);
                if now.since(self.began) > longest {
                    self.lost(CallError::Timeout, now, random);
                }
            }
            Ok(Some(keep)) => {
                // What comes next goes to the server again.
                self.connected = keep && !self.is_redirected();
                self.answered(memory, facts);
            }
            Err(error) => self.lost(CallError::Http(error), now, random),
        }
    }

    /// A connect, a request or an answer did not come to its end.
    pub(super) fn lost(&mut self, error: CallError, now: Instant, random: u32) {
        self.connected = false;
        // The status is all that was wanted, and it is known.
        if let CallError::Timeout | CallError::Http(_) = error
            && matches!(self.state, State::Receive)
            && self.answer.is_enough()
        {
            return self.state = State::Replied(self.reply());
        }
        // The answer may have overwritten the URL that the call was redirected to.
        self.redirects = 0;
        if self.reused && matches!(error, CallError::Http(HttpError::Closed | HttpError::Io)) {
            // The server closed what was kept open: usual, no reason to wait, and not one of the tries.
            debug!("the kept connection was closed");
            return self.state = State::Start;
        }
        self.tries_left = self.tries_left.saturating_sub(1);
        if !error.is_transport() || self.tries_left == 0 {
            if error.is_transport() {
                self.doubt_network();
            }
            return self.fail(error);
        }
        warning!("{}; trying again", crate::text::Shown(&error));
        let pause = self.backoff.pause(FIRST_PAUSE, LONGEST_PAUSE, random);
        self.state = State::Pause(Deadline::after(now, pause));
    }

    fn fail(&mut self, error: CallError) {
        self.refuse(error, Millis::ZERO);
    }

    fn refuse(&mut self, error: CallError, asked: Millis) {
        self.state = State::Replied(Reply {
            end: CallEnd::Failed(error),
            asked,
        });
    }

    fn reply(&self) -> Reply {
        Reply {
            end: CallEnd::Answer(self.answer.status()),
            asked: self.answer.retry_after(),
        }
    }

    /// A whole answer has come.
    fn answered(&mut self, memory: &mut Memory<'_>, facts: &Facts<'_>) {
        let status = self.answer.status();
        debug!("{}: {status}", self.message().name());
        let code = self.answer.code();
        if code != status {
            warning!("{}: a gateway answered {code}", self.message().name());
        }
        if self.login {
            return match self.answer.token(memory.token.len()) {
                Ok(len) => {
                    self.token_len = len;
                    self.authorized = true;
                    self.begin_exchange(false);
                }
                Err(refused) => self.refuse(CallError::Refused(refused), self.answer.retry_after()),
            };
        }
        // Only a GET may be repeated elsewhere without a thought.
        if let (Call::PollV1, Some(len)) = (self.call, self.answer.location()) {
            let resolved = redirect(memory.link, memory.link_len, len, &facts.url);
            return match resolved {
                Some(len) if self.redirects < REDIRECTS => {
                    self.redirects += 1;
                    memory.link_len = len;
                    self.connected = false;
                    self.begin_exchange(false);
                }
                Some(_) | None => self.fail(CallError::Redirect),
            };
        }
        if Class::of(status) == Class::Reauthenticate {
            self.forget_token();
            if !core::mem::replace(&mut self.fresh, true) {
                self.redirects = 0;
                return self.begin_exchange(true);
            }
        }
        self.state = State::Replied(self.reply());
    }

    /// A token was got since this was last asked.
    pub(super) fn take_authorized(&mut self) -> bool {
        core::mem::take(&mut self.authorized)
    }
}

impl From<Lost> for CallError {
    fn from(lost: Lost) -> CallError {
        match lost {
            Lost::Connect => CallError::Connect,
            Lost::Timeout => CallError::Timeout,
            Lost::Io => CallError::Http(HttpError::Io),
        }
    }
}
