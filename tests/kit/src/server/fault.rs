//! Faults on purpose: what the network, the gateway and the store do on bad days.

use std::time::Duration;

use super::http::{Cut, Ending, Endpoint, Filling, Framing, Request, Response};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The request is not handled; this status is answered with the usual error body.
    Status(u16),
    /// The request is not handled; this status is answered without a body.
    BareStatus(u16),
    /// The request is not handled: 429 with `Retry-After` in whole seconds.
    TooManyRequests {
        /// Value of `Retry-After`.
        retry_after_secs: u32,
    },
    /// The request is not handled; this is answered.
    Answer(Response),
    /// The request is not handled; it is to be made elsewhere: under the same path and query, with this in front.
    Redirect {
        /// Status of the answer.
        status: u16,
        /// Scheme and host; may be a part of that, or empty.
        to: &'static str,
    },
    /// The request is handled, but the answer has this status.
    StatusOfAnswer(u16),
    /// The answer has this header line too.
    Header(&'static str, &'static str),
    /// The answer's head is filled up to this many bytes, in front of the lines that matter.
    LongHead {
        /// Length of the head.
        len: usize,
        /// What it is filled with.
        filling: Filling,
    },
    /// Bytes follow the complete answer.
    Behind(Vec<u8>),
    /// The request is handled, but the answer loses its body. The status stays.
    NoBody,
    /// The request is handled, and the body of the answer is replaced.
    Body(Vec<u8>),
    /// The answer comes late by this much.
    Delay(Duration),
    /// The connection is reset before the server has seen the request.
    LoseRequest,
    /// The request is handled, then the connection is reset before the first byte of the answer.
    LoseAnswer,
    /// The connection ends after this many bytes of the body, although the head announces all of it.
    CutBody {
        /// Body bytes that still arrive.
        len: usize,
        /// How the connection ends.
        ending: Ending,
    },
    /// The answer is sent in chunks of this many bytes.
    Chunked {
        /// Length of a chunk.
        chunk_len: usize,
    },
    /// The answer has no length; it ends with the connection.
    NoContentLength,
    /// A `Range` header is ignored: the whole file comes with status 200.
    IgnoreRange,
    /// A bit of the body is flipped: the lowest bit of the byte at this offset of the *whole* body.
    FlipBit {
        /// Offset of the byte.
        offset: usize,
    },
}

impl Effect {
    /// The response that takes the place of the server's own.
    pub(super) fn instead(&self, request: &Request) -> Option<Response> {
        match self {
            Effect::Answer(response) => Some(response.clone()),
            Effect::Redirect { status, to } => {
                Some(Response::empty(*status).header("Location", format!("{to}{}", request.target)))
            }
            Effect::Status(_)
            | Effect::BareStatus(_)
            | Effect::TooManyRequests { .. }
            | Effect::StatusOfAnswer(_)
            | Effect::Header(..)
            | Effect::LongHead { .. }
            | Effect::Behind(_)
            | Effect::NoBody
            | Effect::Body(_)
            | Effect::Delay(_)
            | Effect::LoseRequest
            | Effect::LoseAnswer
            | Effect::CutBody { .. }
            | Effect::Chunked { .. }
            | Effect::NoContentLength
            | Effect::IgnoreRange
            | Effect::FlipBit { .. } => None,
        }
    }
}

/// A fault, the requests it is for, and how often it strikes.
///
/// ```
/// use mender_testkit::server::{Effect, Fault, Server, Settings};
///
/// let mut server = Server::new(Settings::default());
/// // The next three polls fail, all else works.
/// server.inject(Fault::new(Effect::Status(503)).on_path("/api/devices/v1/deployments").times(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    effect: Effect,
    path: String,
    method: Option<String>,
    endpoint: Option<Endpoint>,
    host: Option<String>,
    skip: u32,
    /// How often it still strikes; `None` without end.
    left: Option<u32>,
}

impl Fault {
    /// A fault that strikes the next request, whatever it is.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            path: String::new(),
            method: None,
            endpoint: None,
            host: None,
            skip: 0,
            left: Some(1),
        }
    }

    /// Only for requests whose path starts with this.
    #[must_use]
    pub fn on_path(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.path);
        self
    }

    /// Only for requests of this method.
    #[must_use]
    pub fn on_method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only for requests to the API.
    #[must_use]
    pub fn on_api(mut self) -> Self {
        self.endpoint = Some(Endpoint::Api);
        self
    }

    /// Only for downloads from the artifact store.
    #[must_use]
    pub fn on_downloads(mut self) -> Self {
        self.endpoint = Some(Endpoint::Storage);
        self
    }

    /// Only for requests whose `Host` header is this.
    #[must_use]
    pub fn on_host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Strikes this often instead of once.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    /// Strikes until [`Server::clear_faults`](super::Server::clear_faults).
    #[must_use]
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    /// Lets this many matching requests pass first.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        self.endpoint.is_none_or(|endpoint| endpoint == request.endpoint)
            && self.method.as_ref().is_none_or(|method| *method == request.method)
            && self
                .host
                .as_deref()
                .is_none_or(|host| request.header_value("Host") == Some(host))
            && request.path().starts_with(&self.path)
    }
}

/// The faults that wait for their requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The effects that strike this request, in the order in which they were injected.
    pub(super) fn take(&mut self, request: &Request) -> Vec<Effect> {
        let mut effects = Vec::new();
        for fault in &mut self.0 {
            if !fault.matches(request) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.left != Some(0) {
                fault.left = fault.left.map(|left| left - 1);
                effects.push(fault.effect.clone());
            }
        }
        self.0.retain(|fault| fault.left != Some(0));
        effects
    }
}

/// What a fault does to the answer of a request that was handled.
pub(super) fn spoil(response: &mut Response, effect: &Effect) {
    match effect {
        Effect::NoBody => {
            response.body.clear();
            response
                .headers
                .retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Type"));
        }
        Effect::Body(body) => response.body.clone_from(body),
        Effect::StatusOfAnswer(status) => response.status = *status,
        Effect::Header(name, value) => response.headers.push(((*name).to_owned(), (*value).to_owned())),
        Effect::LongHead { len, filling } => response.filling = Some((*len, *filling)),
        Effect::Behind(bytes) => response.behind.clone_from(bytes),
        Effect::Delay(delay) => response.delay += *delay,
        Effect::LoseAnswer => response.cut = Some(Cut::BeforeHead),
        Effect::CutBody { len, ending } => {
            response.cut = Some(Cut::AfterBody {
                len: *len,
                ending: *ending,
            })
        }
        Effect::Chunked { chunk_len } => response.framing = Framing::Chunked { chunk_len: *chunk_len },
        Effect::NoContentLength => response.framing = Framing::UntilClose,
        Effect::FlipBit { offset } => {
            if let Some(byte) = response.body.get_mut(*offset) {
                *byte ^= 1;
            }
        }
        // These act before or while the request is handled.
        Effect::Status(_)
        | Effect::BareStatus(_)
        | Effect::TooManyRequests { .. }
        | Effect::Answer(_)
        | Effect::Redirect { .. }
        | Effect::LoseRequest
        | Effect::IgnoreRange => {}
    }
}
