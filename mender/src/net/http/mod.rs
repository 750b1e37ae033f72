//! HTTP/1.1, the part that a Mender client needs. Pure: whoever has the connection hands bytes in and out.
//!
//! | file | job |
//! |---|---|
//! | `request.rs` | a request's head, written into a window |
//! | `response.rs` | a response's head, read byte by byte; what is not needed is passed over |
//! | `body.rs` | where a body ends, and which of its bytes are data |
//! | `retry_after.rs` | the wait that a response asks for; numbers |
//!
//! A response's head may have any length up to `HEAD_MAX_LEN`: no byte of it is kept but what a few
//! headers say. A whole client has to be trusted with every byte of the network; so this is strict about what it uses (status
//! line, framing) and passes over what it does not.

pub(crate) mod body;
pub(crate) mod request;
pub(crate) mod response;
pub mod retry_after;

use core::fmt;

use crate::codes::Code;
use crate::text::{Describe, Text, display};

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

/// Why an exchange failed. The connection must not be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HttpError {
    /// The connection failed.
    Io,
    /// The other side closed the connection before the first byte of a response: usual for a connection that was kept
    /// open, and the request can be sent again on a new one.
    Closed,
    /// The other side closed the connection within a response.
    Truncated,
    /// The response is not HTTP.
    Malformed,
    /// The response has a length and is chunked, or has two lengths: an attack or a broken proxy. Another try gives the same.
    Contradiction,
    /// The response's head is longer than 8 KiB. Another try gives the same.
    HeadTooLong,
    /// The response's body is longer than 4 GiB. Another try gives the same.
    BodyTooLong,
    /// The response's body is encoded (`Content-Encoding`), which nobody asked for. Another try gives the same.
    Encoded,
}

const IO: Code = Code::new(1);
const CLOSED: Code = Code::new(2);
const TRUNCATED: Code = Code::new(3);
const MALFORMED: Code = Code::new(4);
const CONTRADICTION: Code = Code::new(5);
const HEAD_TOO_LONG: Code = Code::new(6);
const BODY_TOO_LONG: Code = Code::new(16);
const ENCODED: Code = Code::new(7);

impl Describe for HttpError {
    fn describe(&self, out: &mut Text<'_>) {
        out.code(match self {
            HttpError::Io => IO,
            HttpError::Closed => CLOSED,
            HttpError::Truncated => TRUNCATED,
            HttpError::Malformed => MALFORMED,
            HttpError::Contradiction => CONTRADICTION,
            HttpError::HeadTooLong => HEAD_TOO_LONG,
            HttpError::BodyTooLong => BODY_TOO_LONG,
            HttpError::Encoded => ENCODED,
        });
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

impl core::error::Error for HttpError {}
