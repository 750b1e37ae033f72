//! Devices and their acceptance (spec of the management API, section 3).

use serde_json::{Value, json};

use super::paging::{Page, TooMany};
use super::read_json_body;
use crate::server::devices::{Acceptance, Claim, Preauthorized};
use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::ids::{AuthSetId, DeviceId};
use crate::server::keys::PublicKey;
use crate::server::time::Time;
use crate::server::{Device, Server, check_json_body, json};

const PER_PAGE_MAX: usize = 500;

/// A status filter: the words must be known.
fn statuses(words: &[String]) -> Result<Vec<Acceptance>, ApiError> {
    let known = |word: &String| {
        Acceptance::from_word(word).ok_or_else(|| {
            ApiError::new(
                400,
                "filter status must be one of: accepted, pending, rejected, preauthorized, noauth",
            )
        })
    };
    words.iter().map(known).collect()
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
            (["devices"], "POST") => self.preauthorize(request, now),
            (["tokens", token], "DELETE") => {
                if self.devices.set_token(&AuthSetId::from(*token), false) {
                    Ok(Response::empty(204))
                } else {
                    Err(ApiError::bare(404))
                }
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
                let (device, auth_set) = (DeviceId::from(*id), AuthSetId::from(*auth_set));
                match self.devices.acceptance_of(&device, &auth_set) {
                    // With the key the wish is taken back, and with that the device.
                    Some(Acceptance::Preauthorized) => {
                        self.decommission(&device, now);
                    }
                    Some(Acceptance::Accepted | Acceptance::Pending | Acceptance::Rejected | Acceptance::NoAuth) => {
                        self.devices.remove_auth_set(&device, &auth_set);
                    }
                    None => return Err(ApiError::bare(404)),
                }
                Ok(Response::empty(204))
            }
            (["limits", "max_devices"], "GET") => Ok(Response::json(200, &json!({"limit": 0}))),
            (["devices" | "limits", ..] | ["tokens", _], _) => Err(ApiError::wrong_method()),
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

    /// Lets a device in before it asks.
    fn preauthorize(&mut self, request: &Request, now: Time) -> Result<Response, ApiError> {
        check_json_body(request)?;
        let bad = |why: String| ApiError::new(400, format!("failed to decode preauth request: {why}"));
        let body = match json::read(&request.body).map_err(bad)? {
            Value::Object(body) => body,
            _ => return Err(bad("json: cannot unmarshal into a preauth request".to_owned())),
        };
        let identity = match json::get(&body, "identity_data") {
            Some(Value::Object(identity)) if !identity.is_empty() => json::normal_object(identity),
            Some(Value::Object(_) | Value::Null) | None => {
                return Err(bad("identity_data: cannot be blank.".to_owned()));
            }
            Some(_) => return Err(bad("json: identity_data is not an object".to_owned())),
        };
        let force = match json::get(&body, "force") {
            Some(Value::Bool(force)) => *force,
            Some(Value::Null) | None => false,
            Some(_) => return Err(bad("json: force is not a boolean".to_owned())),
        };
        let pem = json::string(&body, "pubkey").map_err(bad)?;
        if pem.is_empty() {
            return Err(bad("pubkey: cannot be blank.".to_owned()));
        }
        let claim = Claim {
            identity_text: json::to_go_string(&Value::Object(identity.clone())),
            identity,
            key: PublicKey::from_pem(&pem).map_err(bad)?,
            tier: self.read_tier(&body)?,
            tenant_token: String::new(),
        };
        // The real server names this id also when the key went to a device that has another.
        let fresh = DeviceId::from(self.random.uuid());
        match self.devices.preauthorize(claim, &fresh, force, &mut self.random, now) {
            Preauthorized::Done => Ok(Response::empty(201).header("Location", format!("devices/{fresh}"))),
            Preauthorized::Exists(id) => {
                let known = self.devices.get(&id).map_or(Value::Null, Device::to_json);
                Ok(Response::json(409, &known))
            }
        }
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
            Some(Acceptance::Preauthorized | Acceptance::NoAuth) | None => {
                return Err(ApiError::new(400, "incorrect device status"));
            }
        };
        if self.device(device).is_none() {
            return Err(ApiError::new(404, "device not found"));
        }
        // A move between any two of the three is allowed; the present value is a no-op. A preauthorized key moves by
        // itself only.
        match self.devices.acceptance_of(device, auth_set) {
            None => Err(ApiError::new(404, "authentication set not found")),
            Some(Acceptance::Preauthorized) => Err(ApiError::new(400, "dev auth: bad request")),
            Some(present) if present == wanted => Ok(Response::empty(204)),
            Some(_) => {
                self.set_acceptance(device, auth_set, wanted, now);
                Ok(Response::empty(204))
            }
        }
    }
}
