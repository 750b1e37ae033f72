//! One connection: bytes in, requests to the server, bytes out.

use std::sync::Arc;

use mender_testkit::server::{Ending, Endpoint, Parsed, Request, Response, Violation, WireError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::{Shared, page};

/// A stream of bytes over TCP.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// What is below it.
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Most bytes of one request, which bounds the size of an uploaded artifact.
const REQUEST_MAX: usize = 512 * 1024 * 1024;
/// Up to here a request is looked at after every read; beyond it only when it may be complete.
const SMALL: usize = 1024 * 1024;
const READ_LEN: usize = 64 * 1024;

/// Serves a connection until one side ends it.
pub(crate) async fn serve<S: Stream>(mut stream: S, endpoint: Endpoint, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    loop {
        let parsed = match read_request(&mut stream, &mut buffer, endpoint).await {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return,
            Err(error) => {
                refuse(&mut stream, &error, &shared).await;
                return;
            }
        };
        buffer.drain(..parsed.consumed);
        let response = if let Some(page) = page::answer(&parsed.request) {
            page
        } else {
            let mut server = shared.lock();
            let response = server.handle(&parsed.request, (shared.clock)());
            if let (Some(observer), Some(record)) = (&shared.observer, server.requests().last()) {
                observer(record);
            }
            response
        };
        tokio::time::sleep(response.delay).await;
        let encoded = response.encode(parsed.keep_alive);
        // TLS keeps what is not flushed.
        if stream.write_all(&encoded.bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        match encoded.ending {
            Ending::KeepAlive => {}
            Ending::Close => {
                let _ = stream.shutdown().await;
                return;
            }
            Ending::Reset => {
                let _ = stream.tcp().set_zero_linger();
                return;
            }
        }
    }
}

/// Reads until `buffer` starts with a whole request; `None` when the client has closed the connection.
async fn read_request<S: Stream>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    endpoint: Endpoint,
) -> Result<Option<Parsed>, WireError> {
    let mut continued = false;
    // What must have come before another look at a request with a known length pays.
    let mut needed = 0;
    loop {
        let may_be_complete = buffer.len() < SMALL || buffer.ends_with(b"0\r\n\r\n") || needed > 0;
        if buffer.len() >= needed && may_be_complete {
            if let Some(parsed) = Request::parse(buffer, endpoint)? {
                return Ok(Some(parsed));
            }
            if let Some(head) = head(buffer) {
                needed = head.total_len.unwrap_or(0);
                if head.expects_continue && !continued {
                    continued = true;
                    if stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err()
                        || stream.flush().await.is_err()
                    {
                        return Ok(None);
                    }
                }
            }
        }
        if buffer.len() > REQUEST_MAX || needed > REQUEST_MAX {
            return Err(WireError::Head(format!(
                "the request has more than {REQUEST_MAX} bytes"
            )));
        }
        let before = buffer.len();
        buffer.resize(before + READ_LEN, 0);
        let read = stream.read(&mut buffer[before..]).await.unwrap_or(0);
        buffer.truncate(before + read);
        if read == 0 {
            return Ok(None);
        }
    }
}

/// What the head of an incomplete request says about the rest.
struct Head {
    /// Length of the whole request, when it is announced.
    total_len: Option<usize>,
    expects_continue: bool,
}

fn head(buffer: &[u8]) -> Option<Head> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim())
    };
    let total_len = value("content-length")
        .and_then(|len| len.parse::<usize>().ok())
        .map(|len| end + 4 + len);
    Some(Head {
        total_len,
        expects_continue: value("expect") == Some("100-continue"),
    })
}

/// Answers bytes that are no request.
async fn refuse<S: Stream>(stream: &mut S, error: &WireError, shared: &Shared) {
    let violation = Violation {
        time: (shared.clock)(),
        request: "bytes that are no request".to_owned(),
        what: error.to_string(),
    };
    shared.lock().add_violation(violation);
    let encoded = Response::bytes(400, "text/plain", error.to_string()).encode(false);
    let _ = stream.write_all(&encoded.bytes).await;
    let _ = stream.shutdown().await;
}
