//! Devices and their acceptance (spec of the management API, section 3).

use serde_json::{Value, json};

use super::paging::{Page, TooMany};
use super::read_json_body;
use crate::server::devices::Acceptance;
use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::ids::{AuthSetId, DeviceId};
use crate::server::json;
use crate::server::time::Time;
use crate::server::{Device, Server};

const PER_PAGE_MAX: usize = 500;

/// A status filter: the words must be known.
fn statuses(words: &[String]) -> Result<Vec<Acceptance>, ApiError> {
    let known = |word: &String| match word.as_str() {
        // A word of the API, but no device of this server is ever preauthorized.
        "preauthorized" => Ok(None),
        other => Acceptance::from_word(other).map(Some).ok_or_else(|| {
            ApiError::new(
                400,
                "filter status must be one of: accepted, pending, rejected, preauthorized, noauth",
            )
        }),
    };
    let found: Result<Vec<_>, _> = words.iter().map(known).collect();
    found.map(|list| list.into_iter().flatten().collect())
}

/// A string or a list of strings.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(word)) => vec![word.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) | None => Vec::new(),
    }
}

impl Server {
    pub(super) fn route_devauth(&mut self, request: &Request, rest: &[&str], now: Time) -> Result<Response, ApiError> {
        match (rest, request.method.as_str()) {
            (["devices"], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::Refuse)?;
                let list = self.find_devices(&request.query_values("status"), &request.query_values("id"))?;
                Ok(page.answer(request, list.into_iter().map(Device::to_json).collect(), false))
            }
            (["devices", "search"], "POST") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::Refuse)?;
                let filter = read_json_body(request)?;
                let list = self.find_devices(&words(json::get(&filter, "status")), &words(json::get(&filter, "id")))?;
                Ok(page.answer(request, list.into_iter().map(Device::to_json).collect(), false))
            }
            (["devices", "count"], "GET") => {
                let list = self.find_devices(&request.query_values("status"), &[])?;
                Ok(Response::json(200, &json!({"count": list.len()})))
            }
            (["devices", id], "GET") => match self.device(&DeviceId::from(*id)) {
                Some(device) => Ok(Response::json(200, &device.to_json())),
                None => Err(ApiError::new(404, "device not found")),
            },
            (["devices", id], "DELETE") => {
                let known = self.decommission(&DeviceId::from(*id), now);
                if known {
                    Ok(Response::empty(204))
                } else {
                    Err(ApiError::bare(404))
                }
            }
            (["devices", id, "auth", auth_set, "status"], "GET") => {
                match self
                    .devices
                    .acceptance_of(&DeviceId::from(*id), &AuthSetId::from(*auth_set))
                {
                    Some(acceptance) => Ok(Response::json(200, &json!({"status": acceptance.as_str()}))),
                    None => Err(ApiError::new(404, "authentication set not found")),
                }
            }
            (["devices", id, "auth", auth_set, "status"], "PUT") => {
                self.put_acceptance(request, &DeviceId::from(*id), &AuthSetId::from(*auth_set), now)
            }
            (["devices", id, "auth", auth_set], "DELETE") => {
                let known = self
                    .devices
                    .remove_auth_set(&DeviceId::from(*id), &AuthSetId::from(*auth_set));
                if known {
                    Ok(Response::empty(204))
                } else {
                    Err(ApiError::bare(404))
                }
            }
            (["limits", "max_devices"], "GET") => Ok(Response::json(200, &json!({"limit": 0}))),
            (["devices" | "limits", ..], _) => Err(ApiError::wrong_method()),
            _ => Err(ApiError::no_route()),
        }
    }

    /// The devices of any of the statuses and any of the ids, by status name, then id.
    fn find_devices(&self, status: &[String], ids: &[String]) -> Result<Vec<&Device>, ApiError> {
        let wanted = statuses(status)?;
        let mut list: Vec<_> = self
            .devices()
            .filter(|device| status.is_empty() || wanted.contains(&device.acceptance()))
            .filter(|device| ids.is_empty() || ids.iter().any(|id| id == device.id().as_str()))
            .collect();
        list.sort_by_key(|device| (device.acceptance().as_str(), device.id().clone()));
        Ok(list)
    }

    fn put_acceptance(
        &mut self,
        request: &Request,
        device: &DeviceId,
        auth_set: &AuthSetId,
        now: Time,
    ) -> Result<Response, ApiError> {
        let body = read_json_body(request)?;
        let word = json::string(&body, "status").map_err(|why| ApiError::new(400, why))?;
        let wanted = match Acceptance::from_word(&word) {
            Some(wanted @ (Acceptance::Accepted | Acceptance::Pending | Acceptance::Rejected)) => wanted,
            Some(Acceptance::NoAuth) | None => return Err(ApiError::new(400, "incorrect device status")),
        };
        if self.device(device).is_none() {
            return Err(ApiError::new(404, "device not found"));
        }
        // A move between any two of the three is allowed; the present value is a no-op.
        match self.devices.acceptance_of(device, auth_set) {
            None => Err(ApiError::new(404, "authentication set not found")),
            Some(present) if present == wanted => Ok(Response::empty(204)),
            Some(_) => {
                self.set_acceptance(device, auth_set, wanted, now);
                Ok(Response::empty(204))
            }
        }
    }
}
