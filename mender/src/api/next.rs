//! The poll for a deployment (device API, section 4).
//!
//! Ask with `POST` to [`PATH_V2`] first; a server without that route answers 404 ([`NextError::RouteMissing`]) and wants
//! `GET` to [`v1_path`] instead. Both answer alike: [`answer`].
//!
//! While a deployment is active every poll must say the same about the device, otherwise the server fails the
//! deployment (409). And a final status must be delivered before the next poll (device API, 4.4).

use core::fmt;

use serde::Deserialize;
use serde_json_core::str::EscapedStr;

use super::json::{self, Writer};
use super::{Class, EncodeError, Message, path};
use crate::provides::Provides;

/// Path of the poll with a body, sent with `POST`.
pub const PATH_V2: &str = "/api/devices/v2/deployments/device/deployments/next";
/// Path of the poll without a body, sent with `GET` and the query that [`v1_path`] adds.
pub const PATH_V1: &str = "/api/devices/v1/deployments/device/deployments/next";
/// Deployment ids are at most this long. They are UUIDs, 36 bytes; the rest is a margin.
pub const ID_MAX_LEN: usize = 64;

const DEVICE_TYPE: &str = "device_type";

/// Writes the body of a v2 poll: the device type and all provides, the artifact name among them.
///
/// # Errors
///
/// [`EncodeError::Full`].
pub fn v2_body<'b>(out: &'b mut [u8], device_type: &str, provides: Provides<'_>) -> Result<&'b [u8], EncodeError> {
    let mut json = Writer::new(out, Message::NextBody);
    json.raw("{\"device_provides\":{\"device_type\":")?;
    json.string(device_type)?;
    for (key, value) in provides {
        // What an artifact calls `device_type` must not overrule the device's own: of two equal keys the server takes the last.
        if key == DEVICE_TYPE {
            continue;
        }
        json.raw(",")?;
        json.string(key)?;
        json.raw(":")?;
        json.string(value)?;
    }
    json.raw("}}")?;
    Ok(json.finish())
}

/// Writes path and query of a v1 poll.
///
/// # Errors
///
/// [`EncodeError::Full`].
pub fn v1_path<'b>(out: &'b mut [u8], artifact_name: &str, device_type: &str) -> Result<&'b str, EncodeError> {
    let mut text = Writer::new(out, Message::NextPath);
    text.raw(PATH_V1)?;
    text.raw("?artifact_name=")?;
    path::encode(&mut text, artifact_name)?;
    text.raw("&device_type=")?;
    path::encode(&mut text, device_type)?;
    Ok(path::as_text(text.finish()))
}

/// What the server has for the device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next<'b> {
    /// No deployment.
    Nothing,
    /// A deployment, or again the one that this device has not finished.
    ///
    /// The list of compatible device types in the answer is not read: the artifact itself is authoritative.
    Deployment {
        /// The deployment's id: 1 to [`ID_MAX_LEN`] bytes of visible ASCII.
        id: &'b str,
        /// Name of the artifact to install. Not empty.
        artifact_name: &'b str,
        /// Where to download it: an absolute URI of visible ASCII, to be used as it is. Carries a secret in its query.
        uri: &'b str,
    },
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Next::Nothing => f.write_str("Nothing"),
            Next::Deployment { id, artifact_name, uri } => f
                .debug_struct("Deployment")
                .field("id", id)
                .field("artifact_name", artifact_name)
                .field("uri", &uri.split_once('?').map_or(*uri, |(shown, _)| shown))
                .finish(),
        }
    }
}

/// Why the server did not say whether there is a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NextError {
    /// 404 or 405: the server does not have this route. After v2 ask with v1 at once.
    RouteMissing,
    /// 409: what the device says about itself changed during a deployment, which the server has failed therefore. Go idle.
    Conflict,
    /// 401: authenticate and repeat once.
    Unauthorized,
    /// 403: ask again at the normal interval.
    Forbidden,
    /// 429: wait for `Retry-After`.
    RateLimited,
    /// The server refuses the request itself (400, 413, 415), for instance an empty artifact name: do not repeat it
    /// unchanged.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// 5xx, or an answer that the server of this API does not give: repeat with backoff.
    RetryLater {
        /// The HTTP status.
        status: u16,
    },
    /// Success, but the body is no deployment: not JSON, a key missing, or an id, name or link that cannot be right.
    /// Repeat with backoff.
    Malformed,
}

impl fmt::Display for NextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NextError::RouteMissing => f.write_str("the server does not know this way to ask for a deployment"),
            NextError::Conflict => f.write_str(
                "the server failed the deployment: the device's artifact name, type or provides changed during it",
            ),
            NextError::Unauthorized => f.write_str("the server does not take the token"),
            NextError::Forbidden => f.write_str("the server does not allow this device to ask for a deployment"),
            NextError::RateLimited => f.write_str("the server asks to wait before the next poll"),
            NextError::Refused { status } => {
                write!(f, "the server refuses the poll for a deployment (status {status})")
            }
            NextError::RetryLater { status } => {
                write!(f, "polling for a deployment is not possible now (status {status})")
            }
            NextError::Malformed => f.write_str("the server's answer is no deployment"),
        }
    }
}

impl core::error::Error for NextError {}

/// What the server's answer means. The strings are decoded within `body`.
///
/// # Errors
///
/// [`NextError`] for everything but "nothing" and a deployment.
pub fn answer(status: u16, body: &mut [u8]) -> Result<Next<'_>, NextError> {
    match Class::of(status) {
        // 204 by the book; a success without a body cannot mean anything else.
        Class::Success if status == 204 || body.trim_ascii().is_empty() => Ok(Next::Nothing),
        Class::Success => deployment(body).ok_or(NextError::Malformed),
        Class::Reauthenticate => Err(NextError::Unauthorized),
        Class::Forbidden => Err(NextError::Forbidden),
        Class::NotFound => Err(NextError::RouteMissing),
        Class::Conflict => Err(NextError::Conflict),
        Class::RateLimited => Err(NextError::RateLimited),
        Class::RetryLater => Err(NextError::RetryLater { status }),
        Class::GiveUp if status == 405 => Err(NextError::RouteMissing),
        Class::GiveUp => Err(NextError::Refused { status }),
    }
}

#[derive(Deserialize)]
struct Instructions<'a> {
    #[serde(borrow)]
    id: EscapedStr<'a>,
    #[serde(borrow)]
    artifact: Artifact<'a>,
}

#[derive(Deserialize)]
struct Artifact<'a> {
    #[serde(borrow)]
    artifact_name: EscapedStr<'a>,
    #[serde(borrow)]
    source: Source<'a>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    uri: EscapedStr<'a>,
}

fn deployment(body: &mut [u8]) -> Option<Next<'_>> {
    let read: Instructions<'_> = json::read(body).ok()?;
    let id = json::place_of(read.id, body)?;
    let artifact_name = json::place_of(read.artifact.artifact_name, body)?;
    let uri = json::place_of(read.artifact.source.uri, body)?;

    let id = json::decode_in_place(body, id).ok()?;
    let artifact_name = json::decode_in_place(body, artifact_name).ok()?;
    let uri = json::decode_in_place(body, uri).ok()?;

    let body: &[u8] = body;
    let id = json::text_at(body, id)?;
    let artifact_name = json::text_at(body, artifact_name)?;
    let uri = json::text_at(body, uri)?;
    let valid = is_valid_id(id) && !artifact_name.is_empty() && is_visible(uri);
    valid.then_some(Next::Deployment { id, artifact_name, uri })
}

/// Whether a text can be a deployment's id: it becomes a segment of a path and part of a record of bounded length.
pub fn is_valid_id(id: &str) -> bool {
    is_visible(id) && id.len() <= ID_MAX_LEN && id != "." && id != ".."
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
