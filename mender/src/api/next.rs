//! The poll for a deployment (device API, section 4).
//!
//! Ask with `POST` to [`PATH_V2`] first; a server without that route answers 404 ([`NextError::RouteMissing`]) and wants
//! `GET` to [`v1_path`] instead. Both answer alike: [`answer`].
//!
//! While a deployment is active every poll must say the same about the device, otherwise the server fails the
//! deployment (409). And a final status must be delivered before the next poll (device API, 4.4).

use core::fmt;

use super::reader::{Field, Reader};
use super::{Class, EncodeError, Message, json, path, whole, whole_text};
use crate::codes::Seldom;
use crate::provides::Provides;
use crate::text::{Describe, Text, display};
use crate::window::Window;

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
    whole(out, Message::NextBody, |out| write_v2(out, device_type, provides))
}

/// See [`v2_body`].
pub(crate) fn write_v2(out: &mut Window<'_>, device_type: &str, provides: Provides<'_>) {
    json::pair(out, "{\"device_provides\":{", DEVICE_TYPE, device_type);
    for (key, value) in provides {
        // What an artifact calls `device_type` must not overrule the device's own: of two equal keys the server takes the last.
        if key != DEVICE_TYPE {
            json::pair(out, ",", key, value);
        }
    }
    out.text("}}");
}

/// Writes path and query of a v1 poll.
///
/// # Errors
///
/// [`EncodeError::Full`].
pub fn v1_path<'b>(out: &'b mut [u8], artifact_name: &str, device_type: &str) -> Result<&'b str, EncodeError> {
    whole_text(out, Message::NextPath, |out| write_v1(out, artifact_name, device_type))
}

/// See [`v1_path`].
pub(crate) fn write_v1(out: &mut Window<'_>, artifact_name: &str, device_type: &str) {
    out.text(PATH_V1);
    out.text("?artifact_name=");
    path::encode(out, artifact_name);
    out.text("&device_type=");
    path::encode(out, device_type);
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
    /// 403: ask again at the normal interval; the client does so with backoff up to it.
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

impl Describe for NextError {
    fn describe(&self, out: &mut Text<'_>) {
        let (code, status) = match self {
            NextError::RouteMissing => (ROUTE_MISSING, None),
            NextError::Conflict => (CONFLICT, None),
            NextError::Unauthorized => (UNAUTHORIZED, None),
            NextError::Forbidden => (FORBIDDEN, None),
            NextError::RateLimited => (RATE_LIMITED, None),
            NextError::Refused { status } => (REFUSED, Some(*status)),
            NextError::RetryLater { status } => (RETRY_LATER, Some(*status)),
            NextError::Malformed => (MALFORMED, None),
        };
        out.seldom(code);
        if let Some(status) = status {
            out.status(status);
        }
    }
}

const ROUTE_MISSING: Seldom = Seldom::new(30);
const CONFLICT: Seldom = Seldom::new(31);
const UNAUTHORIZED: Seldom = Seldom::new(32);
const FORBIDDEN: Seldom = Seldom::new(33);
const RATE_LIMITED: Seldom = Seldom::new(34);
const REFUSED: Seldom = Seldom::new(35);
const RETRY_LATER: Seldom = Seldom::new(36);
const MALFORMED: Seldom = Seldom::new(37);

impl fmt::Display for NextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

impl core::error::Error for NextError {}

/// What the server's answer means. The strings are decoded within `body`.
///
/// The whole body must be one JSON object; but strings that are not UTF-8 and repeated keys go unnoticed in what the device does
/// not want of it.
///
/// # Errors
///
/// [`NextError`] for everything but "nothing" and a deployment.
pub fn answer(status: u16, body: &mut [u8]) -> Result<Next<'_>, NextError> {
    if let Some(error) = refused(status) {
        return Err(error);
    }
    if status == NOTHING {
        return Ok(Next::Nothing);
    }
    let mut reader = Reader::new();
    // The decoded strings move to the front, one behind the other: none is longer than what it is decoded from.
    let mut places = [0..0, 0..0, 0..0];
    let mut kept = 0;
    for at in 0..body.len() {
        let byte = body.get(at).copied().unwrap_or(0);
        let Some(piece) = reader.push(byte).map_err(|_| NextError::Malformed)? else {
            continue;
        };
        if let Some(place) = places.get_mut(piece.field as usize) {
            if place.end == 0 {
                *place = kept..kept;
            }
            for byte in piece.bytes() {
                if let Some(target) = body.get_mut(kept) {
                    *target = *byte;
                }
                kept += 1;
            }
            place.end = kept;
        }
    }
    if reader.is_blank() {
        return Ok(Next::Nothing);
    }
    if !reader.is_complete() {
        return Err(NextError::Malformed);
    }
    let body: &[u8] = body;
    let text = |field: Field| {
        let place = places.get(field as usize).cloned()?;
        core::str::from_utf8(body.get(place)?).ok()
    };
    match (text(Field::Id), text(Field::ArtifactName), text(Field::Uri)) {
        (Some(id), Some(artifact_name), Some(uri)) if is_valid(id, artifact_name, uri) => {
            Ok(Next::Deployment { id, artifact_name, uri })
        }
        _ => Err(NextError::Malformed),
    }
}

/// The status of "nothing". A success without a body cannot mean anything else either.
pub(crate) const NOTHING: u16 = 204;

/// What an answer means by its status alone; `None` for a success.
pub(crate) const fn refused(status: u16) -> Option<NextError> {
    Some(match Class::of(status) {
        Class::Success => return None,
        Class::Reauthenticate => NextError::Unauthorized,
        Class::Forbidden => NextError::Forbidden,
        Class::NotFound => NextError::RouteMissing,
        Class::Conflict => NextError::Conflict,
        Class::RateLimited => NextError::RateLimited,
        Class::RetryLater => NextError::RetryLater { status },
        Class::GiveUp if status == 405 => NextError::RouteMissing,
        Class::GiveUp => NextError::Refused { status },
    })
}

/// Whether these can be a deployment.
pub(crate) fn is_valid(id: &str, artifact_name: &str, uri: &str) -> bool {
    is_valid_id(id) && !artifact_name.is_empty() && is_visible(uri)
}

/// Whether a text can be a deployment's id: it becomes a segment of a path and part of a record of bounded length.
pub fn is_valid_id(id: &str) -> bool {
    is_visible(id) && id.len() <= ID_MAX_LEN && id != "." && id != ".."
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
