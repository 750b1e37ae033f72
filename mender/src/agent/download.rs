//! The artifact: one request after the other, resumed with `Range` where the last one broke, until it is complete. A link that
//! has expired meanwhile is renewed (device API, sections 9 and 10).
//!
//! ```text
//!      ┌──────────────── renewed ◄─ poll ◄─ 403 ──────────────┐
//!      ▼                                                      │
//!   [network up] ─► [connect] ─► [send]* ─► [receive head]* ──┴─► [receive a block] ─► [hand over] ─┐
//!      ▲                │            │            │ 3xx: again      │        ▲                      │
//!      └─── [pause] ◄───┴────────────┴────────────┴─────────────────┘        └──────────────────────┘
//! ```
//!
//! What the bytes mean is not known here: whoever takes the blocks says whether the artifact is complete where a host did not
//! say how long it is.

use super::answer::{Polled, is_redirect};
use super::config::Config;
use super::io::{Ctx, Do, Piece};
use super::memory::Memory;
use super::session::{CallEnd, CallError, REDIRECTS, Reply, Session};
use super::time::{Backoff, Deadline, Instant, Millis};
use crate::api::next::NextError;
use crate::codes::Code;
use crate::fmt::{info, warning};
use crate::net::http::body::Framing;
use crate::net::http::response::{Head, HeadReader};
use crate::net::http::{HttpError, Method, request};
use crate::net::{Peer, Url, UrlError, redirect};
use crate::shift::shift;
use crate::text::{Describe, Shown, Text, utf8};
use crate::window::Window;

/// As many bytes as it takes to make a connection with TLS, about.
const NEAR: u32 = 4096;

/// Status of a storage service for a link that has expired.
const EXPIRED: u16 = 403;

/// Why a download cannot be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchError {
    /// The connection broke too often in a row; the last reason.
    GaveUp(Interruption),
    /// The link is none that can be used.
    Link(UrlError),
    /// The link is longer than the memory for it.
    LinkTooLong { needed: u16 },
    /// The host answered with a status that another try will not change; 403 also to a new link.
    Status(u16),
    /// The link has expired, and the server no longer offers this deployment.
    NoNewLink,
    /// The host sent another part than the one that was asked for.
    OtherRange,
    /// The host's answer is one that another try will not change.
    Http(HttpError),
    /// The host sends the device somewhere else, and that is not followed.
    Redirect,
}

/// Why a request for the artifact ended early, when another may do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    Call(CallError),
    /// The network could not be brought up.
    NetworkDown,
    /// The server gave no new link for the one that has expired.
    Poll,
    /// The host has no time now.
    Busy(u16),
}

const GAVE_UP: Code = Code::new(60);
const LINK: Code = Code::new(61);
const LINK_TOO_LONG: Code = Code::new(62);
const STATUS: Code = Code::new(63);
const NO_NEW_LINK: Code = Code::new(64);
const OTHER_RANGE: Code = Code::new(65);
const HTTP: Code = Code::new(66);
const REDIRECT: Code = Code::new(67);
const NETWORK_DOWN: Code = Code::new(68);
const POLL: Code = Code::new(69);

/// A number behind a text that may be a code.
fn numbered(out: &mut Text<'_>, code: Code, number: u16) {
    out.code(code);
    out.gap();
    out.number(u32::from(number));
}

/// A reason behind a text that may be a code.
fn because(out: &mut Text<'_>, code: Code, reason: &dyn Describe) {
    out.code(code);
    out.gap();
    reason.describe(out);
}

impl Describe for FetchError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            FetchError::GaveUp(error) => because(out, GAVE_UP, error),
            FetchError::Link(error) => because(out, LINK, error),
            FetchError::LinkTooLong { needed } => {
                out.code(LINK_TOO_LONG);
                out.push(": ");
                out.number(u32::from(*needed));
            }
            FetchError::Status(status) => numbered(out, STATUS, *status),
            FetchError::NoNewLink => out.code(NO_NEW_LINK),
            FetchError::OtherRange => out.code(OTHER_RANGE),
            FetchError::Http(error) => because(out, HTTP, error),
            FetchError::Redirect => out.code(REDIRECT),
        }
    }
}

impl Describe for Interruption {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            Interruption::Call(error) => error.describe(out),
            Interruption::NetworkDown => out.code(NETWORK_DOWN),
            Interruption::Poll => out.code(POLL),
            Interruption::Busy(status) => numbered(out, STATUS, *status),
        }
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Where a request begins, and begins again.
    Start,
    Connect,
    Send,
    Head,
    Body,
    /// A block is filled: so many bytes of it.
    Filled(usize),
    Pause(Deadline),
    /// All bytes have come; or so it seems, because the host closed the connection and had not said how many there are.
    Complete,
    /// There will be no more.
    Broken,
    /// The end was told.
    Over,
}

/// What is to be done for the download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Do(Do),
    /// A new link is needed: the server is to be asked.
    Poll,
    /// Nothing for so long; or until the module gives a block back.
    Wait(Millis),
}

/// See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
// In this order: what is near the front takes shorter instructions.
#[repr(C)]
pub(super) struct Download {
    state: State,
    retries_left: u8,
    redirects: u8,
    /// Bytes of the artifact that have come.
    received: u32,
    /// How many there are, if the host said.
    total: Option<u32>,
    /// Bytes to pass over: a host that ignores `Range` begins again.
    skip: u32,
    /// Where a link was renewed: one that is refused as soon as it comes will not get better by asking.
    renewed_at: Option<u32>,
    /// Where the last request began.
    began_at: u32,
    backoff: Backoff,
    sent: usize,
    framing: Framing,
    pub(super) error: Option<FetchError>,
    head: HeadReader,
}

impl Download {
    /// From a link of `link_len` bytes, whose memory has `room`.
    pub(super) fn begin(config: &Config<'_>, link_len: u16, room: usize) -> Download {
        let too_long = usize::from(link_len) > room;
        Download {
            state: if too_long { State::Broken } else { State::Start },
            received: 0,
            total: None,
            skip: 0,
            renewed_at: None,
            began_at: 0,
            retries_left: config.download_retries,
            backoff: Backoff::new(),
            redirects: 0,
            sent: 0,
            head: HeadReader::new(),
            framing: Framing::ToEnd,
            error: too_long.then_some(FetchError::LinkTooLong { needed: link_len }),
        }
    }

    /// Others may use the network now: nothing is half done.
    pub(super) fn is_open(&self) -> bool {
        match self.state {
            State::Body | State::Pause(_) | State::Over => true,
            State::Start
            | State::Connect
            | State::Send
            | State::Head
            | State::Filled(_)
            | State::Complete
            | State::Broken => false,
        }
    }

    /// It waits before it tries again.
    pub(super) fn is_pausing(&self) -> bool {
        matches!(self.state, State::Pause(_))
    }

    /// Nothing is lost but what has come, if the client stops here.
    pub(super) fn can_stop(&self) -> bool {
        match self.state {
            State::Start
            | State::Connect
            | State::Send
            | State::Head
            | State::Body
            | State::Filled(_)
            | State::Pause(_) => true,
            // The rest does not need the network.
            State::Complete | State::Broken | State::Over => false,
        }
    }

    /// Ends a pause.
    pub(super) fn hurry(&mut self) {
        if self.is_pausing() {
            self.state = State::Start;
        }
    }

    /// Bytes that have come, and of how many.
    pub(super) fn progress(&self) -> (u32, Option<u32>) {
        (self.received, self.total)
    }

    pub(super) fn next(&mut self, now: Instant, memory: &mut Memory<'_>, session: &Session) -> Next {
        loop {
            match self.state {
                // The first bytes of the body may come with the head.
                State::Start if memory.block.is_empty() => return Next::Wait(Millis::FOREVER),
                State::Start if memory.link_len == 0 => return Next::Poll,
                State::Start if session.needs_network() => return Next::Do(Do::NetworkUp),
                State::Start => {
                    let link = memory.link.get(..memory.link_len).unwrap_or(&[]);
                    match utf8(link).ok_or(UrlError::Character).and_then(Url::parse) {
                        Ok(_) => self.state = State::Connect,
                        Err(error) => self.give_up(FetchError::Link(error)),
                    }
                }
                State::Connect => return Next::Do(Do::Connect(Peer::ArtifactHost)),
                State::Send => return Next::Do(Do::Send(Peer::ArtifactHost, self.write(memory))),
                State::Head => return Next::Do(Do::Receive(Peer::ArtifactHost)),
                State::Body if memory.block.is_empty() => return Next::Wait(Millis::FOREVER),
                State::Body => return Next::Do(Do::ReceiveBlock),
                State::Filled(len) => {
                    self.state = if self.framing.is_done() {
                        State::Complete
                    } else {
                        State::Body
                    };
                    return Next::Do(Do::HandOver(len));
                }
                State::Pause(deadline) if deadline.is_due(now) => self.state = State::Start,
                State::Pause(deadline) => return Next::Wait(deadline.left(now)),
                State::Complete => {
                    self.state = State::Over;
                    return Next::Do(Do::Complete);
                }
                State::Broken => {
                    self.state = State::Over;
                    return Next::Do(Do::Broken);
                }
                State::Over => return Next::Wait(Millis::FOREVER),
            }
        }
    }

    /// The piece of the request that begins where the last one ended, into the window.
    fn write(&self, memory: &mut Memory<'_>) -> Piece {
        let window = core::mem::take(&mut memory.window);
        let mut out = Window::new(window, self.sent);
        if let Some(url) = memory.url() {
            request::line(&mut out, Method::Get, "", |out| out.text(url.path), url.authority);
            // No token: the link is its own authorization, and another host must not see it (device API, section 9).
            if self.received > 0 {
                request::range(&mut out, self.received);
            }
            request::end(&mut out);
        }
        let piece = Piece::of(&out, self.sent);
        memory.window = out.into_buffer();
        piece
    }

    /// What `network_up` brought.
    pub(super) fn network(&mut self, up: bool, ctx: &Ctx<'_>) {
        if !up && matches!(self.state, State::Start) {
            self.interrupted(Interruption::NetworkDown, Millis::ZERO, ctx);
        }
    }

    pub(super) fn connected(&mut self) {
        self.sent = 0;
        self.state = State::Send;
    }

    pub(super) fn sent(&mut self, piece: Piece) {
        self.sent += usize::from(piece.len);
        if piece.is_last {
            self.head = HeadReader::new();
            self.state = State::Head;
        }
    }

    /// A connect, a request or a response did not come to its end.
    pub(super) fn lost(&mut self, error: CallError, ctx: &Ctx<'_>) {
        self.interrupted(Interruption::Call(error), Millis::ZERO, ctx);
    }

    /// Bytes of the response are at the front of the window, or of the block; none: the connection has ended.
    #[inline(never)]
    pub(super) fn received(&mut self, len: usize, ctx: &Ctx<'_>, memory: &mut Memory<'_>, server: &Url<'_>) {
        let result = match self.state {
            State::Head => self.push_head(len, ctx, memory, server),
            State::Body => self.push_body(len, memory),
            State::Start
            | State::Connect
            | State::Send
            | State::Filled(_)
            | State::Pause(_)
            | State::Complete
            | State::Broken
            | State::Over => Ok(()),
        };
        match result {
            Ok(()) => {}
            Err(
                error @ (HttpError::Contradiction
                | HttpError::HeadTooLong
                | HttpError::BodyTooLong
                | HttpError::Encoded),
            ) => {
                self.give_up(FetchError::Http(error));
            }
            Err(error @ (HttpError::Io | HttpError::Closed | HttpError::Truncated | HttpError::Malformed)) => {
                self.lost(CallError::Http(error), ctx);
            }
        }
    }

    fn push_head(
        &mut self,
        len: usize,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        server: &Url<'_>,
    ) -> Result<(), HttpError> {
        if len == 0 {
            return Err(if self.head.is_new() {
                HttpError::Closed
            } else {
                HttpError::Truncated
            });
        }
        let mut at = 0;
        let head = loop {
            let Some(byte) = memory.window.get(at).filter(|_| at < len) else {
                return Ok(());
            };
            at += 1;
            let location = memory.link.get_mut(memory.link_len..).unwrap_or(&mut []);
            if let Some(head) = self.head.push(*byte, location)? {
                break head;
            }
        };
        self.answered(head, ctx, memory, server)?;
        if matches!(self.state, State::Body) {
            // The first bytes of the body came with the head.
            let early = memory.window.get(at..len).unwrap_or(&[]);
            for (place, byte) in memory.block.iter_mut().zip(early) {
                *place = *byte;
            }
            if early.is_empty() && self.framing.is_done() {
                self.state = State::Complete;
            } else if !early.is_empty() {
                return self.push_body(len - at, memory);
            }
        }
        Ok(())
    }

    /// A whole head has come.
    fn answered(
        &mut self,
        head: Head,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
        server: &Url<'_>,
    ) -> Result<(), HttpError> {
        self.skip = match head.status {
            200 => self.received,
            206 if head.range_from == Some(self.received) => 0,
            206 => {
                self.give_up(FetchError::OtherRange);
                return Ok(());
            }
            status if is_redirect(status) => {
                let len = redirect(memory.link, memory.link_len, usize::from(head.location_len), server);
                match len.filter(|_| self.redirects < REDIRECTS) {
                    Some(len) => {
                        memory.link_len = len;
                        self.redirects += 1;
                        self.state = State::Start;
                    }
                    None => self.give_up(FetchError::Redirect),
                }
                return Ok(());
            }
            status @ (408 | 425 | 429 | 500..=599) => {
                let asked = Millis::asked(head.retry_after);
                self.interrupted(Interruption::Busy(status), asked, ctx);
                return Ok(());
            }
            // Nothing is left to send: the connection broke after the last byte.
            416 if self.received > 0 => {
                self.framing = Framing::Length(0);
                self.state = State::Complete;
                return Ok(());
            }
            EXPIRED if self.renewed_at != Some(self.received) => {
                info!("the download link has expired after {} bytes", self.received);
                self.renewed_at = Some(self.received);
                memory.link_len = 0;
                self.state = State::Start;
                return Ok(());
            }
            status => {
                self.give_up(FetchError::Status(status));
                return Ok(());
            }
        };
        if head.encoded {
            return Err(HttpError::Encoded);
        }
        let left = head.framing.left();
        self.total = left.and_then(|left| left.checked_add(self.received - self.skip));
        self.framing = head.framing;
        self.began_at = self.received;
        self.state = State::Body;
        info!("downloading from byte {}", self.received);
        Ok(())
    }

    fn push_body(&mut self, len: usize, memory: &mut Memory<'_>) -> Result<(), HttpError> {
        if len == 0 {
            return match self.framing {
                Framing::ToEnd => {
                    self.state = State::Complete;
                    Ok(())
                }
                Framing::Length(_) | Framing::Chunked(_) => Err(HttpError::Truncated),
            };
        }
        let block = memory.block.get_mut(..len).unwrap_or(&mut []);
        let decoded = self.framing.decode(block).map_err(|_| HttpError::Malformed)?;
        let passed = decoded.data.min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        let data = decoded.data - passed;
        shift(block, passed, data, 0);
        // Both are at most a block's length.
        self.skip -= passed as u32;
        // An artifact is below 4 GiB: its host would have said so, or it is none.
        self.received = self.received.checked_add(data as u32).ok_or(HttpError::Malformed)?;
        if data > 0 {
            self.state = State::Filled(data);
        } else if self.framing.is_done() {
            self.state = State::Complete;
        }
        Ok(())
    }

    /// What comes before `position` of the artifact is not needed: the module has it. A request of its own passes over it, unless it is
    /// so little that a new connection takes longer.
    pub(super) fn skip_to(&mut self, position: u32) {
        if position.saturating_sub(self.received) <= NEAR {
            return;
        }
        match self.state {
            State::Start | State::Connect | State::Send | State::Head | State::Body | State::Filled(_) => {
                self.state = State::Start;
            }
            State::Pause(_) => {}
            State::Complete | State::Broken | State::Over => return,
        }
        self.received = position;
        self.began_at = position;
    }

    /// The blocks are at their end, but the artifact is not. `true`: more is to come.
    pub(super) fn incomplete(&mut self, ctx: &Ctx<'_>) -> bool {
        let resumes = matches!(self.framing, Framing::ToEnd);
        if resumes {
            self.interrupted(
                Interruption::Call(CallError::Http(HttpError::Truncated)),
                Millis::ZERO,
                ctx,
            );
        }
        resumes
    }

    /// What a poll for a new link came to.
    #[inline(never)]
    pub(super) fn renewed(
        &mut self,
        reply: Reply,
        polled: Result<Polled, NextError>,
        is_same: bool,
        ctx: &Ctx<'_>,
        memory: &mut Memory<'_>,
    ) {
        let why = match reply.end {
            CallEnd::NetworkDown => Some(Interruption::NetworkDown),
            CallEnd::Failed(error) => Some(Interruption::Call(error)),
            CallEnd::Answer(_) => None,
        };
        if let Some(why) = why {
            return self.interrupted(why, reply.asked, ctx);
        }
        match polled {
            Ok(Polled::Offer { link_len }) if is_same => {
                if usize::from(link_len) > memory.link.len() {
                    self.give_up(FetchError::LinkTooLong { needed: link_len });
                } else {
                    memory.link_len = usize::from(link_len);
                }
            }
            // The deployment was aborted, or ended by the server.
            Ok(Polled::Nothing | Polled::Offer { .. }) | Err(NextError::Conflict | NextError::Forbidden) => {
                self.give_up(FetchError::NoNewLink);
            }
            Err(
                NextError::RouteMissing
                | NextError::Unauthorized
                | NextError::RateLimited
                | NextError::Refused { .. }
                | NextError::RetryLater { .. }
                | NextError::Malformed,
            ) => self.interrupted(Interruption::Poll, reply.asked, ctx),
        }
    }

    fn interrupted(&mut self, why: Interruption, asked: Millis, ctx: &Ctx<'_>) {
        if self.received > self.began_at {
            self.began_at = self.received;
            self.retries_left = ctx.config.download_retries;
            self.backoff.reset();
        }
        warning!("the download broke after {} bytes: {}", self.received, Shown(&why));
        self.redirects = 0;
        let asked = asked.min(Millis::BUSY_IN_DEPLOYMENT);
        let pause = self
            .backoff
            .pause_as_asked(ctx.retry_first(), ctx.retry_cap(), asked, ctx.random);
        match self.retries_left.checked_sub(1) {
            Some(left) => {
                self.retries_left = left;
                self.state = State::Pause(Deadline::after(ctx.now, pause));
            }
            None => self.give_up(FetchError::GaveUp(why)),
        }
    }

    fn give_up(&mut self, error: FetchError) {
        self.error = Some(error);
        self.state = State::Broken;
    }
}
