//! Heads: the request's as bytes, the response's from bytes. Pure.

use core::fmt::{self, Write};
use core::time::Duration;

use super::body::Framing;

/// The methods that the device API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
}

impl Method {
    /// The method's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        }
    }
}

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: Method,
    /// Path and query, as they stand in the request line.
    pub path: &'a str,
    /// Value of the `Host` header: host, and the port if the URL has one.
    pub authority: &'a str,
    /// The token for `Authorization: Bearer`.
    pub token: Option<&'a str>,
    /// Value of `X-MEN-Signature`.
    pub signature: Option<&'a str>,
    /// First byte that is wanted: `Range: bytes=N-`.
    pub range_from: Option<u64>,
    /// Length in bytes of a JSON body; `None` for no body.
    pub json_len: Option<usize>,
}

/// The lent buffer is too short for a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeadTooLong;

impl RequestHead<'_> {
    /// Writes the head into `buffer` and returns it.
    ///
    /// No `Accept-Encoding`: the server may compress only if asked to (device API, section 1).
    ///
    /// # Errors
    ///
    /// [`HeadTooLong`].
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], HeadTooLong> {
        let mut out = Cursor { buffer, len: 0 };
        self.write(&mut out).map_err(|_| HeadTooLong)?;
        let Cursor { buffer, len } = out;
        buffer.get(..len).ok_or(HeadTooLong)
    }

    fn write(&self, out: &mut impl Write) -> fmt::Result {
        write!(out, "{} {} HTTP/1.1\r\n", self.method.as_str(), self.path)?;
        write!(out, "Host: {}\r\n", self.authority)?;
        if let Some(token) = self.token {
            write!(out, "Authorization: Bearer {token}\r\n")?;
        }
        if let Some(signature) = self.signature {
            write!(out, "X-MEN-Signature: {signature}\r\n")?;
        }
        if let Some(first) = self.range_from {
            write!(out, "Range: bytes={first}-\r\n")?;
        }
        if let Some(len) = self.json_len {
            write!(out, "Content-Type: application/json\r\nContent-Length: {len}\r\n")?;
        }
        out.write_str("\r\n")
    }
}

struct Cursor<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl Write for Cursor<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let end = self.len.checked_add(s.len()).ok_or(fmt::Error)?;
        self.buffer
            .get_mut(self.len..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// What a client needs of a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Where the body ends.
    pub framing: Framing,
    /// The connection can be used for another request after the body.
    pub keep_alive: bool,
    /// `Retry-After`, if it is a number of seconds. An HTTP date needs a clock and is left out.
    pub retry_after: Option<Duration>,
    /// First byte position of `Content-Range: bytes A-B/C`.
    pub range_from: Option<u64>,
}

/// Why a response's head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HeadError {
    /// It is no HTTP/1 response, or has a header that contradicts another.
    Malformed,
    /// It has more than [`MAX_HEADERS`] header lines.
    TooManyHeaders,
}

/// The most header lines that a response may have. Storage services send about 15, gateways add some.
pub const MAX_HEADERS: usize = 40;

/// Reads a response's head from the first bytes of a stream. `None`: it is not complete yet. Otherwise the head and its
/// length in bytes; the body follows.
///
/// # Errors
///
/// [`HeadError`].
pub fn parse(method: Method, bytes: &[u8]) -> Result<Option<(ResponseHead, usize)>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
        Err(_) => return Err(HeadError::Malformed),
    };
    let status = response.code.ok_or(HeadError::Malformed)?;
    let mut head = ResponseHead {
        status,
        framing: Framing::ToEnd,
        keep_alive: response.version == Some(1),
        retry_after: None,
        range_from: None,
    };
    let (mut content_len, mut chunked) = (None, false);
    for header in response.headers.iter() {
        let value = core::str::from_utf8(header.value).map(str::trim);
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let len = value.ok().and_then(decimal).ok_or(HeadError::Malformed)?;
            if content_len.is_some_and(|earlier| earlier != len) {
                return Err(HeadError::Malformed);
            }
            content_len = Some(len);
        } else if is("transfer-encoding") {
            // Nothing but chunks was offered to the server.
            if !value.is_ok_and(|v| v.eq_ignore_ascii_case("chunked")) {
                return Err(HeadError::Malformed);
            }
            chunked = true;
        } else if is("connection") {
            for option in value.unwrap_or("close").split(',') {
                if option.trim().eq_ignore_ascii_case("close") {
                    head.keep_alive = false;
                } else if option.trim().eq_ignore_ascii_case("keep-alive") {
                    head.keep_alive = true;
                }
            }
        } else if is("retry-after") {
            head.retry_after = value.ok().and_then(decimal).map(Duration::from_secs);
        } else if is("content-range") {
            head.range_from = value.ok().and_then(first_of_range);
        }
    }
    head.framing = match (status, method, chunked, content_len) {
        // RFC 9112, 6.3: these have no body, whatever the headers say.
        (100..=199 | 204 | 304, ..) => Framing::Length(0),
        // Both: an attack or a broken proxy.
        (_, _, true, Some(_)) => return Err(HeadError::Malformed),
        (_, _, true, None) => Framing::chunked(),
        (_, _, false, Some(len)) => Framing::Length(len),
        (_, _, false, None) => {
            head.keep_alive = false;
            Framing::ToEnd
        }
    };
    Ok(Some((head, len)))
}

/// A number of digits only: no sign, no blank.
fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn first_of_range(value: &str) -> Option<u64> {
    let (unit, range) = value.split_once(' ')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    decimal(range.split('-').next()?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> ResponseHead {
        parse(Method::Get, text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn a_request_is_what_a_server_expects() {
        let mut buffer = [0; 256];
        let request = RequestHead {
            method: Method::Put,
            path: "/x?y=%20",
            authority: "h:8080",
            token: Some("a.b.c"),
            signature: None,
            range_from: None,
            json_len: Some(2),
        };
        assert_eq!(
            core::str::from_utf8(request.encode(&mut buffer).unwrap()).unwrap(),
            "PUT /x?y=%20 HTTP/1.1\r\nHost: h:8080\r\nAuthorization: Bearer a.b.c\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        );
        assert_eq!(request.encode(&mut [0; 40]), Err(HeadTooLong));
    }

    #[test]
    fn header_names_have_any_case() {
        let head = head("HTTP/1.1 429 Too Many\r\nRETRY-after:  17 \r\ncontent-LENGTH: 3\r\n\r\n");
        assert_eq!(head.retry_after, Some(Duration::from_secs(17)));
        assert_eq!(head.framing, Framing::Length(3));
        assert!(head.keep_alive);
    }

    #[test]
    fn connections_that_close_are_known() {
        assert!(!head("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keep_alive);
        assert!(head("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n").keep_alive);
        assert!(!head("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n").keep_alive);
        assert!(!head("HTTP/1.1 200 OK\r\n\r\n").keep_alive);
    }

    #[test]
    fn bodies_end_where_the_rfc_says() {
        assert_eq!(
            head("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n").framing,
            Framing::Length(0)
        );
        assert_eq!(
            head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").framing,
            Framing::chunked()
        );
        for bad in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "SSH-2.0-x\r\n\r\n",
        ] {
            assert_eq!(parse(Method::Get, bad.as_bytes()), Err(HeadError::Malformed), "{bad}");
        }
    }

    #[test]
    fn ranges_and_dates() {
        assert_eq!(
            head("HTTP/1.1 206 P\r\nContent-Range: bytes 512-1023/2048\r\n\r\n").range_from,
            Some(512)
        );
        assert_eq!(
            head("HTTP/1.1 206 P\r\nContent-Range: bytes */2048\r\n\r\n").range_from,
            None
        );
        assert_eq!(
            head("HTTP/1.1 429 T\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n").retry_after,
            None
        );
    }

    #[test]
    fn a_head_is_incomplete_until_its_last_byte() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        for cut in 0..text.len() - 1 {
            assert_eq!(parse(Method::Get, &text[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(parse(Method::Get, text).unwrap().unwrap().1, text.len() - 1);
    }
}
