//! Requests and responses as plain owned values, and how a response travels.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::json;

/// Which of the server's two addresses a request was sent to.
///
/// A real installation serves the API and the artifact files from different hosts. The driver (a socket or an in-process
/// connector) knows which address was dialled and says so here; the `Host` header plays no part in routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The API: device routes, management routes and configuration downloads.
    Api,
    /// The artifact store: signed links only, no login.
    Storage,
}

/// One HTTP request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The address it was sent to.
    pub endpoint: Endpoint,
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query exactly as they stood in the request line; nothing decoded.
    pub target: String,
    /// Header lines in their order. Names are compared without regard to case.
    pub headers: Vec<(String, String)>,
    /// The body, transfer coding removed.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body, to the API.
    pub fn new(method: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            endpoint: Endpoint::Api,
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sends it to this address instead.
    #[must_use]
    pub fn to(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds `Authorization: Bearer <token>`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Sets the body and its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let len = self.body.len();
        self.header("Content-Length", len.to_string())
    }

    /// Sets a body of type `application/json`.
    #[must_use]
    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// The first header line of that name.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query as it stood, without the `?`; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The decoded value of a query parameter; the first one when it occurs several times.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query_values(name).into_iter().next()
    }

    /// The decoded values of a query parameter, in their order.
    pub fn query_values(&self, name: &str) -> Vec<String> {
        form_urlencoded::parse(self.query().as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    /// Whether the body came in chunks, so that its length was not announced.
    pub fn is_chunked(&self) -> bool {
        self.header_value("Transfer-Encoding")
            .is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"))
    }

    /// The announced length of the body: `None` for a chunked body.
    pub fn announced_len(&self) -> Option<u64> {
        if self.is_chunked() {
            return None;
        }
        let announced = self
            .header_value("Content-Length")
            .and_then(|text| text.trim().parse().ok());
        Some(announced.unwrap_or(self.body.len() as u64))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("endpoint", &self.endpoint)
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &self.headers)
            .field("body", &String::from_utf8_lossy(&self.body))
            .finish()
    }
}

/// How the end of a response body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding: chunked`, in chunks of at most this many bytes.
    Chunked {
        /// Length of a chunk; 0 counts as 1.
        chunk_len: usize,
    },
    /// Neither: the body ends when the connection is closed.
    UntilClose,
}

/// Where a response breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Not one byte of the response is sent; the connection is reset.
    BeforeHead,
    /// The head and this many body bytes are sent, then the connection ends. The head announces the whole body.
    AfterBody {
        /// Body bytes that still arrive.
        len: usize,
        /// How the connection ends.
        ending: Ending,
    },
}

/// Header lines that mean nothing to a client, in front of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filling {
    /// As many short lines as there is room for.
    Lines,
    /// One long line.
    Line,
    /// Cookies of a kilobyte each.
    Cookies,
}

impl Filling {
    /// Header lines of `len` bytes in all; none if that is less than a line needs.
    fn lines(self, mut len: usize) -> String {
        const SHORTEST: usize = 32;
        let (name, line_len) = match self {
            Filling::Lines => ("X-Filling: ", SHORTEST),
            Filling::Line => ("X-Filling: ", usize::MAX),
            Filling::Cookies => ("Set-Cookie: c=", 1024),
        };
        let mut lines = String::new();
        while len >= SHORTEST {
            // What would be left is too little for a line of its own.
            let this = if len.saturating_sub(line_len) < SHORTEST {
                len
            } else {
                line_len
            };
            lines.push_str(name);
            lines.extend(std::iter::repeat_n('v', this - name.len() - 2));
            lines.push_str("\r\n");
            len -= this;
        }
        lines
    }
}

/// How a connection ends after the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It stays open for the next request.
    KeepAlive,
    /// It is closed in good order; the reader sees the end of the stream.
    Close,
    /// It is reset; the reader sees an error.
    Reset,
}

/// One HTTP response, and how it is to travel.
///
/// `headers` hold neither `Content-Length` nor `Transfer-Encoding`: those follow from `framing`. A driver either follows
/// the directives itself or sends the bytes of [`Response::encode`].
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header lines in their order, without the framing.
    pub headers: Vec<(String, String)>,
    /// The whole body, also when `cut` says that only a part of it arrives.
    pub body: Vec<u8>,
    /// How the end of the body is marked.
    pub framing: Framing,
    /// Where the response breaks off, if it does.
    pub cut: Option<Cut>,
    /// How long the driver waits before the first byte.
    pub delay: Duration,
    /// The head is filled up to this many bytes.
    pub filling: Option<(usize, Filling)>,
    /// Bytes that follow the complete response although nobody has asked for them.
    pub behind: Vec<u8>,
}

/// A response as bytes of HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What goes on the wire.
    pub bytes: Vec<u8>,
    /// What happens to the connection afterwards.
    pub ending: Ending,
}

impl Response {
    /// A response without body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            framing: Framing::ContentLength,
            cut: None,
            delay: Duration::ZERO,
            filling: None,
            behind: Vec::new(),
        }
    }

    /// A response with a body of that type.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut response = Self::empty(status).header("Content-Type", content_type);
        response.body = body.into();
        response
    }

    /// A response with a JSON body, escaped the way Go does it.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", json::to_go_string(value))
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The first header line of that name.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON, or `Null` when it is none.
    pub fn body_json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Whether this status never has a body (RFC 9110, section 6.4.1).
    pub fn is_bodiless(&self) -> bool {
        self.status < 200 || self.status == 204 || self.status == 304
    }

    /// The response as bytes of HTTP/1.1, cut where `cut` says. `delay` is left to the driver.
    ///
    /// `keep_alive` is whether the client lets the connection live; `false` adds `Connection: close`.
    pub fn encode(&self, keep_alive: bool) -> Encoded {
        if self.cut == Some(Cut::BeforeHead) {
            return Encoded {
                bytes: Vec::new(),
                ending: Ending::Reset,
            };
        }
        let start = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut head = String::new();
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut ending = if keep_alive { Ending::KeepAlive } else { Ending::Close };
        if !self.is_bodiless() {
            match self.framing {
                Framing::ContentLength => head.push_str(&format!("Content-Length: {}\r\n", self.body.len())),
                Framing::Chunked { .. } => head.push_str("Transfer-Encoding: chunked\r\n"),
                Framing::UntilClose => ending = Ending::Close,
            }
        }
        if ending == Ending::Close {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");

        let filling = self.filling.map_or(String::new(), |(len, filling)| {
            filling.lines(len.saturating_sub(start.len() + head.len()))
        });
        let mut bytes = [start, filling, head].concat().into_bytes();
        let sent = match self.cut {
            Some(Cut::AfterBody { len, .. }) => self.body.get(..len).unwrap_or(&self.body),
            Some(Cut::BeforeHead) | None => &self.body,
        };
        if !self.is_bodiless() {
            match self.framing {
                Framing::ContentLength | Framing::UntilClose => bytes.extend_from_slice(sent),
                Framing::Chunked { chunk_len } => {
                    for chunk in sent.chunks(chunk_len.max(1)) {
                        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                        bytes.extend_from_slice(chunk);
                        bytes.extend_from_slice(b"\r\n");
                    }
                    if self.cut.is_none() {
                        bytes.extend_from_slice(b"0\r\n\r\n");
                    }
                }
            }
        }
        match self.cut {
            Some(Cut::AfterBody { ending: cut_ending, .. }) => ending = cut_ending,
            Some(Cut::BeforeHead) | None => bytes.extend_from_slice(&self.behind),
        }
        Encoded { bytes, ending }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field(
                "body",
                &String::from_utf8_lossy(self.body.get(..400).unwrap_or(&self.body)),
            )
            .field("body_len", &self.body.len())
            .field("framing", &self.framing)
            .field("cut", &self.cut)
            .field("delay", &self.delay)
            .finish()
    }
}

/// Why bytes are not an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The head is malformed; the text says how.
    Head(String),
    /// `Content-Length` or a chunk length is not a number.
    Length,
    /// The length of the body is given twice, as `Content-Length` and as `Transfer-Encoding`.
    TwoLengths,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(why) => write!(f, "malformed request head: {why}"),
            Self::Length => write!(f, "a body or chunk length is not a number"),
            Self::TwoLengths => write!(
                f,
                "both Content-Length and Transfer-Encoding are given; send one of them"
            ),
        }
    }
}

impl std::error::Error for WireError {}

/// A request cut out of a byte stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The request.
    pub request: Request,
    /// How many bytes of the stream it took.
    pub consumed: usize,
    /// Whether the client lets the connection live.
    pub keep_alive: bool,
}

impl Request {
    /// Cuts the first request out of a stream of HTTP/1.1 bytes; `Ok(None)` when it is not complete yet.
    ///
    /// For in-process connectors, which see the client's bytes and not a socket.
    ///
    /// # Errors
    /// [`WireError`] when no further bytes can make it a request.
    pub fn parse(bytes: &[u8], endpoint: Endpoint) -> Result<Option<Parsed>, WireError> {
        let mut lines = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut lines);
        let head_len = match head.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(WireError::Head(error.to_string())),
        };
        let mut request = Request::new(head.method.unwrap_or_default(), head.path.unwrap_or_default()).to(endpoint);
        for line in head.headers.iter() {
            let value = String::from_utf8_lossy(line.value).into_owned();
            request.headers.push((line.name.to_owned(), value));
        }
        let version = head.version.unwrap_or(0);
        let keep_alive = match request.header_value("Connection").map(str::to_ascii_lowercase) {
            Some(value) if value.contains("close") => false,
            Some(value) if value.contains("keep-alive") => true,
            Some(_) | None => version == 1,
        };
        let body = bytes.get(head_len..).unwrap_or_default();
        let content_len = request.header_value("Content-Length");
        let taken = if request.is_chunked() {
            if content_len.is_some() {
                return Err(WireError::TwoLengths);
            }
            match unchunk(body)? {
                Some((content, taken)) => {
                    request.body = content;
                    taken
                }
                None => return Ok(None),
            }
        } else {
            let len: usize = content_len
                .map_or(Ok(0), |text| text.trim().parse())
                .map_err(|_| WireError::Length)?;
            match body.get(..len) {
                Some(content) => {
                    request.body = content.to_vec();
                    len
                }
                None => return Ok(None),
            }
        };
        Ok(Some(Parsed {
            request,
            consumed: head_len + taken,
            keep_alive,
        }))
    }
}

/// Decodes a chunked body: content and length taken, or `None` when it is not complete.
fn unchunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, WireError> {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (line_len, chunk_len) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(WireError::Length),
        };
        let chunk_len = usize::try_from(chunk_len).map_err(|_| WireError::Length)?;
        at += line_len;
        // The last chunk is followed by trailer lines, of which no client of ours has any.
        let Some(chunk) = bytes.get(at..).and_then(|rest| rest.get(..chunk_len)) else {
            return Ok(None);
        };
        let Some(end) = bytes.get(at + chunk_len..at + chunk_len + 2) else {
            return Ok(None);
        };
        if end != b"\r\n" {
            return Err(WireError::Length);
        }
        content.extend_from_slice(chunk);
        at += chunk_len + 2;
        if chunk_len == 0 {
            return Ok(Some((content, at)));
        }
    }
}

/// The reason phrase of the codes this server uses.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
