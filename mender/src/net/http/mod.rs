//! HTTP/1.1, the part that a Mender client needs. Pure: whoever has the connection hands bytes in and out.
//!
//! | file | job |
//! |---|---|
//! | `request.rs` | a request's head, written into a [window](crate::window) |
//! | `response.rs` | a response's head, read byte by byte; what is not needed is passed over |
//! | `body.rs` | where a body ends, and which of its bytes are data |
//! | `retry_after.rs` | the wait that a response asks for |
//!
//! A response's head may have any length up to [`HEAD_MAX_LEN`](response::HEAD_MAX_LEN): no byte of it is kept but what a few
//! headers say. A whole client has to be trusted with every byte of the network; so this is strict about what it uses (status
//! line, framing) and passes over what it does not.

pub(crate) mod body;
pub(crate) mod request;
pub(crate) mod response;
pub mod retry_after;

use core::fmt;

use crate::text::{Coded, Describe, Text, display};

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

const IO: Coded = (1, "the connection failed");
const CLOSED: Coded = (2, "the server closed the connection");
const TRUNCATED: Coded = (3, "the connection ended within a response");
const MALFORMED: Coded = (4, "the response is not valid HTTP");
const CONTRADICTION: Coded = (5, "the response says in two ways how long it is: a broken proxy");
const HEAD_TOO_LONG: Coded = (6, "the response's head is longer than 8 KiB");
const BODY_TOO_LONG: Coded = (16, "the response's body is longer than 4 GiB");
const ENCODED: Coded = (7, "the response has a Content-Encoding, which was not asked for");

/// Their codes.
pub(crate) const CODES: &[Coded] = &[
    IO,
    CLOSED,
    TRUNCATED,
    MALFORMED,
    CONTRADICTION,
    HEAD_TOO_LONG,
    BODY_TOO_LONG,
    ENCODED,
];

impl Describe for HttpError {
    fn describe(&self, out: &mut Text<'_>) {
        out.coded(match self {
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
