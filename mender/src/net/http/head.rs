//! Heads: the request's as bytes, the response's from bytes. Pure.

use core::fmt::Write;
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
    /// What is put in front of the path, without a slash at its end; usually empty.
    pub path_prefix: &'a str,
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

/// Room for the digits of the numbers in a head; see [`RequestHead::parts`].
#[derive(Debug, Default)]
pub struct Digits([heapless::String<20>; 2]);

impl RequestHead<'_> {
    /// The head as a row of texts, some of them empty: token, path and signature are not copied.
    ///
    /// No `Accept-Encoding`: the server may compress only if asked to (device API, section 1).
    pub fn parts<'n>(&'n self, digits: &'n mut Digits) -> [&'n str; 20] {
        let Digits([first, len]) = digits;
        // Twenty digits hold every u64.
        let written =
            write!(first, "{}", self.range_from.unwrap_or(0)).and(write!(len, "{}", self.json_len.unwrap_or(0)));
        debug_assert!(written.is_ok());
        let [token, token_end, signature, signature_end] = [
            self.token.map_or("", |_| "Authorization: Bearer "),
            self.token.map_or("", |_| LINE),
            self.signature.map_or("", |_| "X-MEN-Signature: "),
            self.signature.map_or("", |_| LINE),
        ];
        let (range, first, range_end) = match self.range_from {
            Some(_) => ("Range: bytes=", first.as_str(), "-\r\n"),
            None => ("", "", ""),
        };
        let (json, len, json_end) = match self.json_len {
            Some(_) => ("Content-Type: application/json\r\nContent-Length: ", len.as_str(), LINE),
            None => ("", "", ""),
        };
        [
            self.method.as_str(),
            " ",
            self.path_prefix,
            self.path,
            " HTTP/1.1\r\nHost: ",
            self.authority,
            LINE,
            token,
            self.token.unwrap_or(""),
            token_end,
            signature,
            self.signature.unwrap_or(""),
            signature_end,
            range,
            first,
            range_end,
            json,
            len,
            json_end,
            LINE,
        ]
    }
}

const LINE: &str = "\r\n";

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
    /// What `Retry-After` asks for: see [`retry_after`](super::retry_after).
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
    let (mut retry_after, mut date) = (None, None);
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
            retry_after = value.ok();
        } else if is("date") {
            date = value.ok();
        } else if is("content-range") {
            head.range_from = value.ok().and_then(first_of_range);
        }
    }
    head.retry_after = retry_after.and_then(|value| super::retry_after::wait(value, date));
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
pub(super) fn decimal(text: &str) -> Option<u64> {
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
    extern crate std;

    use std::format;

    use super::*;

    fn head(text: &str) -> ResponseHead {
        parse(Method::Get, text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn a_request_is_what_a_server_expects() {
        let mut digits = Digits::default();
        let request = RequestHead {
            method: Method::Put,
            path_prefix: "/prefix",
            path: "/x?y=%20",
            authority: "h:8080",
            token: Some("a.b.c"),
            signature: None,
            range_from: None,
            json_len: Some(2),
        };
        assert_eq!(
            request.parts(&mut digits).concat(),
            "PUT /prefix/x?y=%20 HTTP/1.1\r\nHost: h:8080\r\nAuthorization: Bearer a.b.c\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        );
        let request = RequestHead {
            method: Method::Get,
            token: None,
            signature: Some("MEU="),
            range_from: Some(u64::MAX),
            json_len: None,
            ..request
        };
        assert_eq!(
            request.parts(&mut Digits::default()).concat(),
            "GET /prefix/x?y=%20 HTTP/1.1\r\nHost: h:8080\r\nX-MEN-Signature: MEU=\r\n\
             Range: bytes=18446744073709551615-\r\n\r\n"
        );
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
        let date = "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n";
        assert_eq!(head(&format!("HTTP/1.1 429 T\r\n{date}\r\n")).retry_after, None);
        let now = "date: Wed, 21 Oct 2026 07:27:00 GMT\r\n";
        assert_eq!(
            head(&format!("HTTP/1.1 429 T\r\n{date}{now}\r\n")).retry_after,
            Some(Duration::from_secs(60))
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
