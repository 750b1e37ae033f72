//! The device API: the bytes of its requests, and the meaning of its answers.
//!
//! Pure: nothing here awaits, opens a connection or knows a clock. Encoders write into a slice that the caller lends
//! and return the part they wrote; decoders take the HTTP status and the body. Whatever a server sends, a decoder
//! returns a value: it never panics, loops or needs more stack for a longer body.
//!
//! | module | request | answer |
//! |---|---|---|
//! | [`key`] | the device key: public key as PEM, `X-MEN-Signature` | |
//! | [`auth`] | `POST .../auth_requests` | the token |
//! | [`next`] | the poll for a deployment, v2 and v1 | [`next::Next`] |
//! | [`status`] | `PUT .../{id}/status` | [`status::ReportAnswer`] |
//! | [`log`] | `PUT .../{id}/log` | [`status::ReportAnswer`] |
//! | [`inventory`] | `PUT` or `PATCH .../attributes` | [`Class`] |
//!
//! What every answer has in common is decided in one place: [`Class::of`].
//!
//! Every message is written by one function into a window, whole or piece by piece; every answer that is JSON is
//! read by one reader, byte by byte, which keeps nothing but what is wanted.
//!
//! Depends on [`provides`](crate::provides), `json`, `window` and [`text`](crate::text), and on sha2 and p256; on nothing else in this crate.
//! Rules: spec of the device API (the sections are named where they apply).

pub mod auth;
pub mod inventory;
mod json;
pub mod key;
pub mod log;
pub mod next;
mod path;
pub(crate) mod reader;
pub mod status;

use core::fmt;

use crate::codes::Seldom;
use crate::text::{Describe, Text, display};
use crate::window::Window;
use reader::{Field, Reader};

/// Media type of every request body. Anything else is answered with 400 or 415 (device API, section 1).
pub const CONTENT_TYPE: &str = "application/json";

/// What an HTTP status means for a request of the device API, whatever the request was.
///
/// The one place that decides between going on, logging in again, waiting and giving up (device API, section 10). Each
/// endpoint adds what 403, 404 and 409 mean there.
///
/// Gateways answer 404, 405 and 409 too. The client takes those for Mender's only with Mender's error body, in which [`error_text`] finds a
/// text, and else for a gateway's 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Class {
    /// 2xx: the server took the request.
    Success,
    /// 401: the token is not (or no longer) good. Drop it, authenticate once, repeat the request once; if that fails
    /// too, back off.
    Reauthenticate,
    /// 403: the server does not offer this to this device. Ask again at the normal interval (device API, section 10); or, where that
    /// is long, with backoff up to it, as the client does.
    Forbidden,
    /// 404: there is no such route, or no such deployment for this device.
    NotFound,
    /// 409: the request contradicts what the server knows; the endpoint says what follows.
    Conflict,
    /// 429: wait as long as `Retry-After` says (see [`retry_after`](crate::net::http::retry_after)), else back off.
    RateLimited,
    /// 5xx, 408, 425 and every status that the device API does not use: repeat with backoff and jitter.
    RetryLater,
    /// 400, 405, 413, 415 and their like: the request itself is at fault. Do not repeat it unchanged.
    GiveUp,
}

impl Class {
    /// Classifies a status. Total: every number has a class, also those that are no HTTP status.
    pub const fn of(status: u16) -> Class {
        match status {
            200..=299 => Class::Success,
            401 => Class::Reauthenticate,
            403 => Class::Forbidden,
            404 => Class::NotFound,
            409 => Class::Conflict,
            429 => Class::RateLimited,
            400 | 405 | 406 | 411 | 413..=415 | 422 | 431 => Class::GiveUp,
            _ => Class::RetryLater,
        }
    }
}

/// The text of an error answer, `{"error":"<text>","request_id":"<uuid>"}`, for a log line.
///
/// `None` for a body that is empty or anything else: some error answers have no body at all (device API, section 1).
/// The text is decoded in place; `body` holds nothing useful afterwards.
pub fn error_text(body: &mut [u8]) -> Option<&str> {
    let mut reader = Reader::new();
    let mut len = 0;
    for at in 0..body.len() {
        let byte = body.get(at).copied()?;
        if let Some(piece) = reader.push(byte).ok()?
            && piece.field == Field::Error
        {
            for byte in piece.bytes() {
                *body.get_mut(len)? = *byte;
                len += 1;
            }
        }
    }
    let text = core::str::from_utf8(body.get(..len)?).ok()?;
    (reader.is_complete() && !text.is_empty()).then_some(text)
}

/// The bytes that an encoder could not finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message {
    /// The body of an authentication request.
    AuthRequest,
    /// The body of a poll for a deployment (v2).
    NextBody,
    /// Path and query of a poll for a deployment (v1).
    NextPath,
    /// The path of a status report or a log upload.
    DeploymentPath,
    /// The body of a status report.
    Status,
    /// The body of a log upload.
    Log,
    /// The body of an inventory report.
    Inventory,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Message {
    const fn name(self) -> &'static str {
        match self {
            Message::AuthRequest => "authentication request",
            Message::NextBody => "poll for a deployment",
            Message::NextPath => "path of the poll for a deployment",
            Message::DeploymentPath => "path of a deployment's status or log",
            Message::Status => "status report",
            Message::Log => "log upload",
            Message::Inventory => "inventory report",
        }
    }
}

/// Why a request could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EncodeError {
    /// The lent buffer is too short. Lend a longer one.
    Full {
        /// What was being written.
        message: Message,
        /// Length of the buffer that did not suffice.
        buffer_len: usize,
    },
    /// The identity has no attribute: all such devices would be one and the same to the server.
    NoIdentity,
}

impl Describe for EncodeError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            EncodeError::Full { message, buffer_len } => {
                out.seldom(FULL);
                out.push(" (");
                out.push(message.name());
                out.push(", ");
                out.number(u32::try_from(*buffer_len).unwrap_or(u32::MAX));
                out.push(" bytes)");
            }
            EncodeError::NoIdentity => out.seldom(NO_IDENTITY),
        }
    }
}

const FULL: Seldom = Seldom::new(40);
const NO_IDENTITY: Seldom = Seldom::new(41);

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

impl core::error::Error for EncodeError {}

/// A whole message in a lent slice.
fn whole(out: &mut [u8], message: Message, write: impl FnOnce(&mut Window<'_>)) -> Result<&[u8], EncodeError> {
    let buffer_len = out.len();
    let mut window = Window::new(out, 0);
    write(&mut window);
    if window.total() > buffer_len {
        return Err(full(buffer_len, message));
    }
    Ok(window.finish())
}

/// As [`whole`], of a message that is ASCII.
fn whole_text(out: &mut [u8], message: Message, write: impl FnOnce(&mut Window<'_>)) -> Result<&str, EncodeError> {
    whole(out, message, write).map(|bytes| core::str::from_utf8(bytes).unwrap_or(""))
}

const fn full(buffer_len: usize, message: Message) -> EncodeError {
    EncodeError::Full { message, buffer_len }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_device_api_has_its_class() {
        for (statuses, class) in [
            (&[200, 201, 204, 206][..], Class::Success),
            (&[401], Class::Reauthenticate),
            (&[403], Class::Forbidden),
            (&[404], Class::NotFound),
            (&[409], Class::Conflict),
            (&[429], Class::RateLimited),
            (&[400, 405, 413, 415], Class::GiveUp),
            (
                &[0, 100, 301, 302, 304, 408, 425, 500, 502, 503, 504, 599, 999, u16::MAX],
                Class::RetryLater,
            ),
        ] {
            for &status in statuses {
                assert_eq!(Class::of(status), class, "{status}");
            }
        }
    }

    #[test]
    fn error_text_is_decoded_and_never_required() {
        let mut body = *br#"{"error":"a \u003c b \ud83d\ude00","request_id":"x"}"#;
        assert_eq!(error_text(&mut body), Some("a < b \u{1f600}"));
        for other in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"error":null}"#,
            r#"{"error":""}"#,
            "<html>",
            r#"{"error":"\ud83d"}"#,
        ] {
            let mut body = [0; 32];
            body[..other.len()].copy_from_slice(other.as_bytes());
            assert_eq!(error_text(&mut body[..other.len()]), None, "{other}");
        }
    }
}
