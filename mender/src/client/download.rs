//! The download: the network fills one block while the module writes the other.
//!
//! [`Fetch`] is the network's side: one request after the other, resumed with `Range` where the last one broke, until
//! the artifact is complete. A link that has expired meanwhile is renewed (device API, sections 9 and 10). [`Source`] is the module's side: blocks through the parser, events out. Between them is a
//! channel of two blocks; both run side by side in one task.

use core::ops::Range;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::Mutex;
use embassy_sync::zerocopy_channel::{Receiver, Sender};
use rand_core::CryptoRng;

use super::backoff::Backoff;
use super::calls::{PollError, Polled, Route};
use super::config::Config;
use super::device::{Clock, Device, Event};
use super::session::{CallError, Session, within};
use crate::api::next::NextError;
use crate::artifact::{self, Event as Found, Parser};
use crate::fmt::{info, warning};
use crate::net::http::body::Framing;
use crate::net::http::head::{Method, RequestHead};
use crate::net::http::{Exchange, HttpError};
use crate::net::{Connector, Peer, Url, UrlError};
use crate::update_module::{Artifact, PayloadError, PayloadEvent, PayloadSource};

/// Status of a storage service for a link that has expired.
const EXPIRED: u16 = 403;

/// One of the two blocks.
pub(super) struct Block<'b> {
    /// Empty while the module's side has it.
    buffer: &'b mut [u8],
    fill: Fill,
}

impl<'b> Block<'b> {
    pub(super) fn new(buffer: &'b mut [u8]) -> Block<'b> {
        Block {
            buffer,
            fill: Fill::Data { len: 0 },
        }
    }
}

enum Fill {
    /// Bytes of the artifact.
    Data { len: usize },
    /// The artifact's bytes are complete.
    End,
    /// There will be no more.
    Broken(FetchError),
}

/// Why a download cannot be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchError {
    /// The connection broke too often in a row; the last reason.
    GaveUp(Interruption),
    /// The link is none that can be used.
    Link(UrlError),
    /// The host answered with a status that another try will not change; 403 also to a new link.
    Status(u16),
    /// The link has expired, and the server no longer offers this deployment.
    NoNewLink,
    /// The host sent another part than the one that was asked for.
    OtherRange,
}

impl core::fmt::Display for FetchError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            FetchError::GaveUp(error) => write!(f, "the download was given up: {error}"),
            FetchError::Link(error) => write!(f, "the download link cannot be used: {error}"),
            FetchError::NoNewLink => {
                f.write_str("the download link has expired, and the server gives no new one for this deployment")
            }
            FetchError::Status(status) => write!(f, "the artifact's host answered with status {status}"),
            FetchError::OtherRange => f.write_str("the artifact's host sent another range than asked for"),
        }
    }
}

pub(super) type BlockSender<'a, 'b> = Sender<'a, CriticalSectionRawMutex, Block<'b>>;
pub(super) type BlockReceiver<'a, 'b> = Receiver<'a, CriticalSectionRawMutex, Block<'b>>;

/// Where an artifact is, and what it takes to get it.
pub(super) struct Fetch<'f, 'c, D, C: Connector + 'c, K, R> {
    pub(super) config: &'f Config<'c>,
    pub(super) device: &'f D,
    pub(super) connector: &'f C,
    pub(super) clock: &'f K,
    /// To ask for a new link.
    pub(super) session: &'f Mutex<CriticalSectionRawMutex, Session<'c, D, C, K, R>>,
    /// The way that the offer came: a poll by another one is another request, which ends the deployment (device API, section
    /// 4.4).
    pub(super) route: Route,
    /// The deployment.
    pub(super) id: &'f str,
    /// The link, at the buffer's front.
    pub(super) link: &'f mut [u8],
    /// Its length; 0: it has expired.
    pub(super) link_len: usize,
    pub(super) head: &'f mut [u8],
    /// For jitter.
    pub(super) random: u32,
}

impl<'c, D: Device, C: Connector + 'c, K: Clock, R: CryptoRng> Fetch<'_, 'c, D, C, K, R> {
    /// Fills blocks until the artifact is complete or cannot be had; the last block says which.
    pub(super) async fn run(mut self, blocks: &mut BlockSender<'_, '_>) {
        let fill = match self.all(blocks).await {
            Ok(()) => Fill::End,
            Err(error) => Fill::Broken(error),
        };
        blocks.send().await.fill = fill;
        blocks.send_done();
    }

    async fn all(&mut self, blocks: &mut BlockSender<'_, '_>) -> Result<(), FetchError> {
        let mut received = 0;
        // Where a link was renewed: one that is refused as soon as it comes will not get better by asking.
        let mut renewed_at = None;
        let mut backoff = Backoff::new(self.config.retry_first, self.config.retry_cap);
        let mut retries_left = self.config.download_retries;
        loop {
            let before = received;
            let error = match self.once(blocks, &mut received).await {
                Ok(()) => return Ok(()),
                Err(Broken::ForGood(FetchError::Status(EXPIRED))) if renewed_at != Some(received) => {
                    info!("the download link has expired after {received} bytes");
                    renewed_at = Some(received);
                    self.link_len = 0;
                    continue;
                }
                Err(Broken::ForGood(error)) => return Err(error),
                Err(Broken::ForNow(error)) => error,
            };
            if received > before {
                retries_left = self.config.download_retries;
                backoff.reset();
            }
            retries_left = retries_left.checked_sub(1).ok_or(FetchError::GaveUp(error))?;
            warning!("the download broke after {received} bytes: {error}");
            // Not cryptography: only to spread retries.
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let asked = match error {
                Interruption::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
                Interruption::Call(error) => error.retry_after().unwrap_or_default(),
                Interruption::Poll { retry_after } => retry_after.unwrap_or_default(),
            };
            self.clock.sleep(backoff.pause(self.random).max(asked)).await;
        }
    }

    /// Asks the server again, with the same request; it makes a fresh link for each. The buffer takes the answer, so that the
    /// old link is lost.
    async fn renew_link(&mut self) -> Result<(), Broken> {
        let polled = self.session.lock().await.poll(self.route, self.link, false).await;
        match polled {
            Ok(Polled::Offer { id, link_len }) if id == self.id => {
                self.link_len = link_len;
                Ok(())
            }
            // The deployment was aborted, or ended by the server.
            Ok(Polled::Nothing | Polled::Offer { .. })
            | Err(PollError::Answer {
                error: NextError::Conflict | NextError::Forbidden,
                ..
            }) => Err(Broken::ForGood(FetchError::NoNewLink)),
            Err(PollError::Call(error)) => Err(error.into()),
            Err(PollError::Answer { retry_after, .. }) => Err(Broken::ForNow(Interruption::Poll { retry_after })),
        }
    }

    /// One request, from the first byte that is missing on.
    async fn once(&mut self, blocks: &mut BlockSender<'_, '_>, received: &mut u64) -> Result<(), Broken> {
        if self.link_len == 0 {
            self.renew_link().await?;
        }
        let timeout = self.config.network_timeout;
        let link = core::str::from_utf8(self.link.get(..self.link_len).unwrap_or(&[])).unwrap_or("");
        let url = Url::parse(link).map_err(|error| Broken::ForGood(FetchError::Link(error)))?;
        let mut connection = match within!(
            self.clock,
            timeout,
            self.connector.connect(url.endpoint(Peer::ArtifactHost))
        )? {
            Ok(connection) => connection,
            Err(error) => {
                warning!("cannot connect to {}: {error:?}", url.host);
                return Err(CallError::Connect.into());
            }
        };
        let request = RequestHead {
            method: Method::Get,
            path_prefix: "",
            path: url.path,
            authority: url.authority,
            // The link is its own authorization; another host must not see the token (device API, section 9).
            token: None,
            signature: None,
            range_from: (*received > 0).then_some(*received),
            json_len: None,
        };
        let exchange = within!(
            self.clock,
            timeout,
            Exchange::start(&mut connection, &request, &[], self.head)
        )??;
        let head = exchange.head;
        // Bytes to pass over: a host that ignores `Range` begins again.
        let mut skip = match head.status {
            200 => *received,
            206 if head.range_from == Some(*received) => 0,
            206 => return Err(Broken::ForGood(FetchError::OtherRange)),
            status @ (408 | 425 | 429 | 500..=599) => {
                return Err(Broken::ForNow(Interruption::Busy {
                    status,
                    retry_after: head.retry_after,
                }));
            }
            // Nothing is left to send: the connection broke after the last byte. Whether the artifact is complete is seen
            // by who parses it.
            416 if *received > 0 => return Ok(()),
            status => return Err(Broken::ForGood(FetchError::Status(status))),
        };
        let total = match head.framing {
            Framing::Length(len) if head.status == 206 => received.checked_add(len),
            Framing::Length(len) => Some(len),
            Framing::Chunked(_) | Framing::ToEnd => None,
        };
        info!("downloading from {}, from byte {}", url.host, *received);
        let mut body = exchange.into_body();
        loop {
            let block = blocks.send().await;
            let len = within!(self.clock, timeout, body.read(&mut connection, block.buffer))??;
            if len == 0 {
                return Ok(());
            }
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(len);
            skip -= passed as u64;
            let len = len - passed;
            if len == 0 {
                continue;
            }
            block.buffer.copy_within(passed..passed + len, 0);
            block.fill = Fill::Data { len };
            blocks.send_done();
            *received += len as u64;
            self.device.observe(Event::Progress {
                received: *received,
                total,
            });
        }
    }
}

/// Why a request for the artifact ended early, when another may do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    Call(CallError),
    /// The server gave no new link for the one that has expired.
    Poll {
        retry_after: Option<Duration>,
    },
    /// The host has no time now.
    Busy {
        status: u16,
        retry_after: Option<Duration>,
    },
}

impl core::fmt::Display for Interruption {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Interruption::Call(error) => error.fmt(f),
            Interruption::Poll { .. } => {
                f.write_str("the download link has expired, and the server has no time for a new one")
            }
            Interruption::Busy { status, .. } => write!(f, "the artifact's host answered with status {status}"),
        }
    }
}

enum Broken {
    ForNow(Interruption),
    ForGood(FetchError),
}

impl From<CallError> for Broken {
    fn from(error: CallError) -> Broken {
        Broken::ForNow(Interruption::Call(error))
    }
}

impl From<HttpError> for Broken {
    fn from(error: HttpError) -> Broken {
        Broken::ForNow(Interruption::Call(CallError::Http(error)))
    }
}

/// Why a download failed on the module's side of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Fetch(FetchError),
    Artifact(artifact::Error),
}

impl core::fmt::Display for Trouble {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Trouble::Fetch(error) => error.fmt(f),
            Trouble::Artifact(error) => error.fmt(f),
        }
    }
}

/// What the parser found next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The header is complete and verified.
    Header,
    /// Something of the payload.
    Payload(PayloadEvent),
}

/// Blocks in, events out.
pub(super) struct Source<'a, 'b, 'w> {
    parser: Parser<'w>,
    blocks: BlockReceiver<'a, 'b>,
    /// The block at work: its buffer, taken out of the channel, and its place there waits.
    taken: Option<&'b mut [u8]>,
    /// Bytes of it that were filled, and where the parser is in them.
    filled: Range<usize>,
    /// The last data event's bytes.
    data: Range<usize>,
    state: SourceState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SourceState {
    Reading,
    Ended,
    Failed(Trouble),
}

impl<'a, 'b, 'w> Source<'a, 'b, 'w> {
    pub(super) fn new(parser: Parser<'w>, blocks: BlockReceiver<'a, 'b>) -> Source<'a, 'b, 'w> {
        Source {
            parser,
            blocks,
            taken: None,
            filled: 0..0,
            data: 0..0,
            state: SourceState::Reading,
        }
    }

    /// The header, from [`Step::Header`] on.
    pub(super) fn header(&self) -> Option<artifact::Header<'_>> {
        self.parser.header()
    }

    /// Why an event was an error.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self.state {
            SourceState::Reading | SourceState::Ended => None,
            SourceState::Failed(trouble) => Some(trouble),
        }
    }

    pub(super) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, PayloadError>> {
        self.data = 0..0;
        loop {
            match self.state {
                SourceState::Reading => {}
                SourceState::Ended => return Poll::Ready(Ok(Step::Payload(PayloadEvent::End))),
                SourceState::Failed(Trouble::Fetch(_)) => return Poll::Ready(Err(PayloadError::Connection)),
                SourceState::Failed(Trouble::Artifact(_)) => return Poll::Ready(Err(PayloadError::Artifact)),
            }
            let input = match &self.taken {
                Some(buffer) => buffer.get(self.filled.clone()).unwrap_or(&[]),
                None => &[],
            };
            let (consumed, found) = match self.parser.feed(input) {
                Ok(fed) => fed,
                Err(error) => {
                    self.state = SourceState::Failed(Trouble::Artifact(error));
                    continue;
                }
            };
            self.filled.start += consumed;
            match found {
                Found::NeedInput => ready!(self.poll_block(cx)),
                Found::Header => return Poll::Ready(Ok(Step::Header)),
                Found::File { len } => return Poll::Ready(Ok(Step::Payload(PayloadEvent::File { len }))),
                Found::Data(data) => {
                    // The data are the last of the bytes consumed.
                    self.data = self.filled.start - data.len()..self.filled.start;
                    return Poll::Ready(Ok(Step::Payload(PayloadEvent::Data)));
                }
                Found::FileEnd => return Poll::Ready(Ok(Step::Payload(PayloadEvent::FileEnd))),
            }
        }
    }

    /// Gives the block at work back to the network and takes the next.
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(buffer) = self.taken.take()
            && let Some(block) = self.blocks.try_receive()
        {
            block.buffer = buffer;
            self.blocks.receive_done();
        }
        let block = ready!(self.blocks.poll_receive(cx));
        match block.fill {
            Fill::Data { len } => {
                self.taken = Some(core::mem::take(&mut block.buffer));
                self.filled = 0..len;
            }
            Fill::End => {
                self.state = match self.parser.finish() {
                    Ok(()) => SourceState::Ended,
                    Err(error) => SourceState::Failed(Trouble::Artifact(error)),
                };
            }
            Fill::Broken(error) => self.state = SourceState::Failed(Trouble::Fetch(error)),
        }
        Poll::Ready(())
    }
}

impl PayloadSource for Source<'_, '_, '_> {
    fn artifact(&self) -> Artifact<'_> {
        let header = self.parser.header();
        Artifact {
            name: header.map_or("", |header| header.artifact_name()),
            payload_type: header.and_then(|header| header.payload_type()).unwrap_or(""),
            meta_data: header.and_then(|header| header.meta_data()),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<PayloadEvent, PayloadError>> {
        loop {
            match ready!(self.poll_step(cx))? {
                Step::Payload(event) => return Poll::Ready(Ok(event)),
                // Comes once, before the module is called.
                Step::Header => {}
            }
        }
    }

    fn file_name(&self) -> &str {
        self.parser.file_name()
    }

    fn data(&self) -> &[u8] {
        match &self.taken {
            Some(buffer) => buffer.get(self.data.clone()).unwrap_or(&[]),
            None => &[],
        }
    }
}
