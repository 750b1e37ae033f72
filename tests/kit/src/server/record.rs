//! What the server has seen, for tests and demos.

use super::http::Endpoint;
use super::status::Status;
use super::time::Time;

/// One request and the status it was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// When it came.
    pub time: Time,
    /// Where it was sent to.
    pub endpoint: Endpoint,
    /// The `Host` header.
    pub host: Option<String>,
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// The device whose valid token it carried.
    pub device: Option<super::DeviceId>,
    /// The `Range` header.
    pub range: Option<String>,
    /// Status of the answer; `None` when the request was lost before the server saw it.
    pub status: Option<u16>,
    /// Length of the answer's body before any cut, in bytes.
    pub body_len: usize,
}

impl RequestRecord {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }
}

/// One accepted status report of a device, in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// When it came.
    pub time: Time,
    /// The status.
    pub status: Status,
    /// The sub-state; empty when none was sent.
    pub substate: String,
}

/// Something a well-made client does not do, although the server may have answered as if nothing were wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it happened.
    pub time: Time,
    /// Method and path of the request.
    pub request: String,
    /// What is wrong with it.
    pub what: String,
}
