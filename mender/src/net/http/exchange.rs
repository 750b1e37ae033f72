//! One request and its response on a byte stream.

use core::fmt;

use embedded_io_async::{ErrorKind, Read, Write};

use super::body::Framing;
use super::head::{self, Digits, HeadError, RequestHead, ResponseHead};

/// Why an exchange failed. The connection must not be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HttpError {
    /// The stream could not be written or read.
    Io(ErrorKind),
    /// The other side closed the connection before the first byte of a response: usual for a connection that was kept
    /// open, and the request can be sent again on a new one.
    Closed,
    /// The other side closed the connection within a response.
    Truncated,
    /// The response is not HTTP, or contradicts itself.
    Malformed,
    /// The request's or response's head does not fit into the lent head buffer, or has too many lines.
    HeadTooLong,
    /// The response's body does not fit into the lent buffer.
    BodyTooLong,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Io(kind) => write!(f, "the connection failed: {kind:?}"),
            HttpError::Closed => f.write_str("the server closed the connection"),
            HttpError::Truncated => f.write_str("the connection ended within a response"),
            HttpError::Malformed => f.write_str("the response is not valid HTTP"),
            HttpError::HeadTooLong => f.write_str("an HTTP head does not fit: lend a longer head buffer"),
            HttpError::BodyTooLong => f.write_str("a response body does not fit: lend a longer body buffer"),
        }
    }
}

impl core::error::Error for HttpError {}

/// A request that was sent, with its response's head.
///
/// Between [`start`](Exchange::start) and the body's end the connection belongs to this exchange. Dropping it in
/// between leaves the rest of the response in the stream: close the connection then.
#[derive(Debug)]
pub struct Exchange<'h> {
    /// The response's head.
    pub head: ResponseHead,
    /// Bytes of the body that came with the head.
    early: &'h mut [u8],
}

impl<'h> Exchange<'h> {
    /// Sends a request and reads the response's head, skipping `100 Continue` and its like.
    ///
    /// `buffer` collects the request's head, to be sent in pieces of that length, then takes the response's head, which
    /// must fit.
    ///
    /// # Errors
    ///
    /// [`HttpError`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the connection in the middle of an exchange: close it.
    pub async fn start<S: Read + Write>(
        stream: &mut S,
        request: &RequestHead<'_>,
        body: &[u8],
        buffer: &'h mut [u8],
    ) -> Result<Exchange<'h>, HttpError> {
        let mut digits = Digits::default();
        let mut waiting = 0;
        for part in request.parts(&mut digits) {
            collect(stream, buffer, &mut waiting, part.as_bytes()).await?;
        }
        collect(stream, buffer, &mut waiting, body).await?;
        stream
            .write_all(buffer.get(..waiting).unwrap_or(&[]))
            .await
            .map_err(io)?;
        stream.flush().await.map_err(io)?;

        let mut filled = 0;
        loop {
            let parsed =
                head::parse(request.method, buffer.get(..filled).unwrap_or(&[])).map_err(|error| match error {
                    HeadError::Malformed => HttpError::Malformed,
                    HeadError::TooManyHeaders => HttpError::HeadTooLong,
                })?;
            if let Some((head, len)) = parsed {
                if (100..200).contains(&head.status) {
                    buffer.copy_within(len..filled, 0);
                    filled -= len;
                    continue;
                }
                let early = buffer.get_mut(len..filled).unwrap_or(&mut []);
                return Ok(Exchange { head, early });
            }
            let free = buffer.get_mut(filled..).unwrap_or(&mut []);
            if free.is_empty() {
                return Err(HttpError::HeadTooLong);
            }
            let read = stream.read(free).await.map_err(io)?;
            if read == 0 {
                return Err(if filled == 0 {
                    HttpError::Closed
                } else {
                    HttpError::Truncated
                });
            }
            filled += read;
        }
    }

    /// The body, to be read from the same stream.
    pub fn into_body(self) -> ResponseBody<'h> {
        ResponseBody {
            framing: self.head.framing,
            keep_alive: self.head.keep_alive,
            early: self.early,
        }
    }
}

/// A response's body, read piece by piece.
#[derive(Debug)]
pub struct ResponseBody<'h> {
    framing: Framing,
    keep_alive: bool,
    early: &'h mut [u8],
}

impl ResponseBody<'_> {
    /// Reads some of the body into `buffer`, at least one byte; 0 at its end.
    ///
    /// # Errors
    ///
    /// [`HttpError::Truncated`] if the stream ends before the body does; others.
    ///
    /// # Cancellation
    ///
    /// Safe if the stream's `read` is.
    pub async fn read<S: Read>(&mut self, stream: &mut S, buffer: &mut [u8]) -> Result<usize, HttpError> {
        loop {
            if buffer.is_empty() || (self.framing.is_done() && self.early.is_empty()) {
                return Ok(0);
            }
            let read = if self.early.is_empty() {
                match stream.read(buffer).await.map_err(io)? {
                    0 => {
                        return match self.framing {
                            Framing::ToEnd => Ok(0),
                            Framing::Length(_) | Framing::Chunked(_) => Err(HttpError::Truncated),
                        };
                    }
                    read => read,
                }
            } else {
                let len = self.early.len().min(buffer.len());
                let early = core::mem::take(&mut self.early);
                let (now, later) = early.split_at_mut_checked(len).ok_or(HttpError::Malformed)?;
                buffer.get_mut(..len).ok_or(HttpError::Malformed)?.copy_from_slice(now);
                self.early = later;
                len
            };
            let bytes = buffer.get_mut(..read).ok_or(HttpError::Malformed)?;
            let data = self.framing.decode(bytes).map_err(|_| HttpError::Malformed)?;
            if data > 0 {
                return Ok(data);
            }
        }
    }

    /// Reads the whole rest of the body into `buffer` and returns its length.
    ///
    /// # Errors
    ///
    /// [`HttpError::BodyTooLong`] if it does not fit; others.
    pub async fn read_to_end<S: Read>(&mut self, stream: &mut S, buffer: &mut [u8]) -> Result<usize, HttpError> {
        let mut filled = 0;
        loop {
            let free = buffer.get_mut(filled..).unwrap_or(&mut []);
            if free.is_empty() {
                // A body that just fits is complete now; one that has more is not.
                let mut more = [0];
                return match self.read(stream, &mut more).await? {
                    0 => Ok(filled),
                    _ => Err(HttpError::BodyTooLong),
                };
            }
            match self.read(stream, free).await? {
                0 => return Ok(filled),
                read => filled += read,
            }
        }
    }

    /// Whether the connection can take another request: the body has been read, and the server keeps it open.
    pub fn is_reusable(&self) -> bool {
        self.keep_alive && self.framing.is_done() && self.early.is_empty()
    }
}

/// Appends `bytes` to what waits in `buffer`, and writes it out whenever it is full: few packets instead of one for each
/// piece.
async fn collect<S: Write>(
    stream: &mut S,
    buffer: &mut [u8],
    waiting: &mut usize,
    mut bytes: &[u8],
) -> Result<(), HttpError> {
    while !bytes.is_empty() {
        let free = buffer.get_mut(*waiting..).unwrap_or(&mut []);
        let len = free.len().min(bytes.len());
        let (now, later) = bytes.split_at_checked(len).ok_or(HttpError::HeadTooLong)?;
        if let Some(place) = free.get_mut(..len) {
            place.copy_from_slice(now);
        }
        *waiting += len;
        bytes = later;
        if *waiting == buffer.len() {
            if buffer.is_empty() {
                return Err(HttpError::HeadTooLong);
            }
            stream.write_all(buffer).await.map_err(io)?;
            *waiting = 0;
        }
    }
    Ok(())
}

fn io<E: embedded_io_async::Error>(error: E) -> HttpError {
    HttpError::Io(error.kind())
}
