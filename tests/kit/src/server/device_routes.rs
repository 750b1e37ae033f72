//! Routes of the device API: polls, status reports, logs (spec of the device API, sections 4 to 6).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::deployments::{Kind, LogMessage, Next, PollData, ReportError};
use super::error::ApiError;
use super::http::{Request, Response};
use super::ids::{DeploymentId, DeviceId, is_uuid};
use super::json;
use super::settings::Mode;
use super::status::Status;
use super::time::{Time, Timestamp};
use super::{Server, check_json_body};
use crate::artifact::ArtifactWriter;

/// Longest text of a poll, in bytes.
const POLL_TEXT_MAX: usize = 4096;
/// Longest sub-state, in bytes.
const SUBSTATE_MAX: usize = 200;
/// How long the link of a configuration is valid.
const CONFIGURATION_LINK_LIFETIME: Duration = Duration::from_secs(900);

const AUTH_REQUESTS: &str = "/api/devices/v1/authentication/auth_requests";
const DEPLOYMENTS: &str = "/api/devices/v1/deployments/device/deployments/";
const NEXT_V2: &str = "/api/devices/v2/deployments/device/deployments/next";
const CONFIGURATION_FILES: &str = "/api/devices/v1/deployments/download/configuration/";

impl Server {
    /// Everything below `/api/devices/`. Returns the device whose token was good beside the answer.
    pub(super) fn handle_device(
        &mut self,
        request: &Request,
        now: Time,
    ) -> (Option<DeviceId>, Result<Response, ApiError>) {
        let path = request.path();
        if path == AUTH_REQUESTS {
            let answer = match request.method.as_str() {
                "POST" => self.post_auth_request(request, now),
                _ => Err(ApiError::wrong_method()),
            };
            return (None, answer);
        }
        if let Some(rest) = path.strip_prefix(CONFIGURATION_FILES) {
            return (None, self.get_configuration_file(request, rest, now));
        }
        match self.device_of(request, now) {
            Ok(device) => {
                let answer = self.route_device(request, &device, now);
                (Some(device), answer)
            }
            Err(error) => (None, Err(error)),
        }
    }

    fn route_device(&mut self, request: &Request, device: &DeviceId, now: Time) -> Result<Response, ApiError> {
        let method = request.method.as_str();
        let fallback = |error: ApiError| Err(error.without_request_id());
        match request.path() {
            "/api/devices/v1/inventory/device/attributes" => match method {
                "PUT" | "PATCH" => self.write_inventory(request, device, now),
                _ => Err(ApiError::wrong_method()),
            },
            "/api/devices/v1/deviceconfig/configuration" => match method {
                "GET" => self.get_configuration(device),
                "PUT" => self.put_reported_configuration(request, device, now),
                _ => Err(ApiError::wrong_method()),
            },
            NEXT_V2 => match (self.settings.mode, method) {
                (Mode::Oss, _) => fallback(ApiError::no_route()),
                (Mode::Enterprise, "POST") => {
                    check_json_body(request)?;
                    let poll = read_poll_v2(&request.body)?;
                    self.answer_poll(device, poll, true, now)
                }
                (Mode::Enterprise, _) => fallback(ApiError::wrong_method()),
            },
            path => {
                let Some(rest) = path.strip_prefix(DEPLOYMENTS) else {
                    return fallback(ApiError::no_route());
                };
                match (rest.split('/').collect::<Vec<_>>().as_slice(), method) {
                    (["next"], "GET") => {
                        let value = |name: &str| request.query_value(name).unwrap_or_default();
                        let poll = PollData {
                            artifact_name: value("artifact_name"),
                            device_type: value("device_type"),
                            provides: None,
                        };
                        check_poll(&poll)?;
                        self.answer_poll(device, poll, false, now)
                    }
                    (["next"], "POST") => {
                        check_json_body(request)?;
                        let poll = read_poll_v1(&request.body)?;
                        self.answer_poll(device, poll, false, now)
                    }
                    ([id, "status"], "PUT") => self.put_status(request, device, id, now),
                    ([id, "log"], "PUT") => self.put_log(request, device, id),
                    (["next"] | [_, "status" | "log"], _) => fallback(ApiError::wrong_method()),
                    _ => fallback(ApiError::no_route()),
                }
            }
        }
    }

    fn answer_poll(
        &mut self,
        device: &DeviceId,
        poll: PollData,
        match_depends: bool,
        now: Time,
    ) -> Result<Response, ApiError> {
        let device_type = poll.device_type.clone();
        let (deployment, artifact) = match self.deployments.next(device, poll, &self.artifacts, match_depends, now) {
            Next::Nothing => return Ok(Response::empty(204)),
            Next::Conflict => return Err(ApiError::new(409, "Device provided conflicting request data")),
            Next::Install(deployment, artifact) => (deployment, artifact),
        };
        let Some(artifact) = artifact else {
            return Ok(self.configuration_instructions(device, &deployment, &device_type, now));
        };
        let (uri, expires) = self.artifact_link(&artifact, self.settings.link_lifetime, now);
        // The real server answers 500 as well when an artifact has vanished from its store.
        let artifact = self.artifacts.get(&artifact).ok_or_else(|| ApiError::new(500, ""))?;
        Ok(Response::json(
            200,
            &json!({
                "id": deployment.as_str(),
                "artifact": {
                    "id": artifact.id.as_str(),
                    "artifact_name": artifact.info.name,
                    "source": {"uri": uri, "expire": expires.to_string(), "method": "GET"},
                    "device_types_compatible": artifact.info.device_types,
                },
            }),
        ))
    }

    fn configuration_instructions(
        &self,
        device: &DeviceId,
        deployment: &DeploymentId,
        device_type: &str,
        now: Time,
    ) -> Response {
        let expires = now + CONFIGURATION_LINK_LIFETIME;
        let encode = |text: &str| {
            form_urlencoded::byte_serialize(text.as_bytes())
                .collect::<String>()
                .replace('+', "%20")
        };
        let path = format!("{CONFIGURATION_FILES}{deployment}/{}/{device}", encode(device_type));
        let signature = URL_SAFE_NO_PAD.encode(self.signer.code(&format!("{path}\n{}", expires.unix_secs())));
        let uri = format!(
            "{}{path}?x-men-expire={}&x-men-signature={signature}",
            self.settings.api_url,
            encode(&Time::from_unix_secs(expires.unix_secs()).to_string()),
        );
        Response::json(
            200,
            &json!({
                "id": deployment.as_str(),
                "artifact": {
                    "id": format!("{deployment}{device}"),
                    "artifact_name": format!("configuration-{deployment}"),
                    "source": {"uri": uri, "expire": expires.to_string()},
                    "device_types_compatible": [device_type],
                },
            }),
        )
    }

    fn get_configuration_file(&mut self, request: &Request, rest: &str, now: Time) -> Result<Response, ApiError> {
        if request.method != "GET" {
            return Err(ApiError::wrong_method().without_request_id());
        }
        let parts: Vec<_> = rest.split('/').collect();
        let [deployment, device_type, device] = parts.as_slice() else {
            return Err(ApiError::no_route().without_request_id());
        };
        let (Some(expires), Some(signature)) = (
            request.query_value("x-men-expire"),
            request.query_value("x-men-signature"),
        ) else {
            return Err(ApiError::new(400, "missing signature parameters"));
        };
        let expires = Timestamp::parse(&expires).ok_or_else(|| ApiError::new(400, "invalid x-men-expire"))?;
        let code = self.signer.code(&format!("{}\n{}", request.path(), expires.unix_secs));
        if URL_SAFE_NO_PAD.encode(code) != signature || expires.unix_secs <= now.unix_secs() as i64 {
            return Err(ApiError::new(403, "signature invalid or expired"));
        }
        let known = self.deployments.get(deployment);
        let Some((id, Kind::Configuration(configuration))) = known.map(|known| (&known.id, &known.kind)) else {
            return Err(ApiError::new(404, "Deployment not found"));
        };
        let name = format!("configuration-{id}");
        let device_type = form_urlencoded::parse(format!("t={device_type}").as_bytes())
            .next()
            .map_or_else(String::new, |(_, value)| value.into_owned());
        let artifact = ArtifactWriter::new(&name, &device_type)
            .payload_type("mender-configure")
            .software_filesystem("data-partition")
            .meta_data(configuration.clone())
            .write();
        let file_name = format!("attachment; filename=\"{name}-{device}.mender\"");
        Ok(Response::bytes(200, "application/vnd.mender-artifact", artifact).header("Content-Disposition", file_name))
    }

    fn put_status(&mut self, request: &Request, device: &DeviceId, id: &str, now: Time) -> Result<Response, ApiError> {
        check_json_body(request)?;
        let object = read_object(&request.body)?;
        let bad = |what: &str| ApiError::new(400, what);
        // A missing status passes the real server's validation as its zero value.
        let status = match json::get(&object, "status").filter(|value| !value.is_null()) {
            None => None,
            Some(word) => Some(
                word.as_str()
                    .and_then(Status::from_word)
                    .ok_or_else(|| bad("invalid status value"))?,
            ),
        };
        if status.is_some_and(|status| !status.is_reportable()) {
            return Err(bad("status: must be a valid value."));
        }
        let substate = json::string(&object, "substate").map_err(|why| bad(&why))?;
        if substate.len() > SUBSTATE_MAX {
            return Err(bad("substate: the length must be no more than 200."));
        }
        match self.deployments.report(device, id, status, substate, now) {
            Ok(before) => {
                if let Some(status) = status
                    && self.settings.watch_status_order
                    && !before.may_be_followed_by(status)
                {
                    self.violation(request, now, format!("status `{status}` was reported after `{before}`"));
                }
                Ok(Response::empty(204))
            }
            Err(ReportError::NoStatus) => Err(ApiError::new(500, "")),
            Err(ReportError::NotFound) => Err(ApiError::new(404, "Resource not found")),
            Err(ReportError::Aborted) => Err(ApiError::new(409, "Deployment aborted")),
            Err(ReportError::Decommissioned) => Err(ApiError::new(409, "Device decommissioned")),
        }
    }

    fn put_log(&mut self, request: &Request, device: &DeviceId, id: &str) -> Result<Response, ApiError> {
        check_json_body(request)?;
        let messages = read_log(&request.body).map_err(|why| ApiError::new(400, why))?;
        if !is_uuid(id) {
            return Err(ApiError::new(500, ""));
        }
        let Some(on_device) = self.deployments.device_mut(device, id) else {
            return Err(ApiError::new(404, "Deployment not found"));
        };
        on_device.log = Some(messages);
        Ok(Response::empty(204))
    }
}

fn read_object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match json::read(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::new(
            400,
            "invalid schema: json: cannot unmarshal into an object",
        )),
        Err(why) => Err(ApiError::new(400, format!("invalid schema: {why}"))),
    }
}

fn check_poll(poll: &PollData) -> Result<(), ApiError> {
    let check = |name: &str, value: &str, required: bool| {
        if required && value.is_empty() {
            Err(ApiError::new(400, format!("{name}: cannot be blank.")))
        } else if value.len() > POLL_TEXT_MAX {
            Err(ApiError::new(
                400,
                format!("{name}: the length must be between 1 and {POLL_TEXT_MAX}."),
            ))
        } else {
            Ok(())
        }
    };
    check("artifact_name", &poll.artifact_name, true)?;
    check("device_type", &poll.device_type, true)?;
    for (key, value) in poll.provides.iter().flatten() {
        check(key, value, false)?;
    }
    Ok(())
}

/// An optional map of strings.
fn read_provides(value: Option<&Value>) -> Result<BTreeMap<String, String>, ApiError> {
    let bad = || ApiError::new(400, "invalid schema: provides must be an object of strings");
    match value {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(object)) => {
            let pairs = object
                .iter()
                .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            pairs.collect::<Option<_>>().ok_or_else(bad)
        }
        Some(_) => Err(bad()),
    }
}

/// `{"artifact_name":..,"device_type":..,"artifact_provides":{..}}`.
fn read_poll_v1(body: &[u8]) -> Result<PollData, ApiError> {
    let object = read_object(body)?;
    let text =
        |key: &str| json::string(&object, key).map_err(|why| ApiError::new(400, format!("invalid schema: {why}")));
    let provides = read_provides(json::get(&object, "artifact_provides"))?;
    let poll = PollData {
        artifact_name: text("artifact_name")?,
        device_type: text("device_type")?,
        provides: (!provides.is_empty()).then_some(provides),
    };
    check_poll(&poll)?;
    Ok(poll)
}

/// `{"device_provides":{"device_type":..,"artifact_name":..,..},"update_control_map":false}`.
fn read_poll_v2(body: &[u8]) -> Result<PollData, ApiError> {
    let object = read_object(body)?;
    let mut provides = read_provides(json::get(&object, "device_provides"))?;
    let poll = PollData {
        device_type: provides.remove("device_type").unwrap_or_default(),
        // Stays among the provides, since an artifact may depend on it.
        artifact_name: provides.get("artifact_name").cloned().unwrap_or_default(),
        provides: Some(provides),
    };
    check_poll(&poll)?;
    Ok(poll)
}

/// Every message needs all three members; one bad message spoils the whole log.
fn read_log(body: &[u8]) -> Result<Vec<LogMessage>, String> {
    let object = match json::read(body)? {
        Value::Object(object) => object,
        _ => return Err("json: cannot unmarshal into a log".to_owned()),
    };
    let list = match json::get(&object, "messages") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(Value::Array(_) | Value::Null) | None => return Err("messages: cannot be blank.".to_owned()),
        Some(_) => return Err("json: messages is not a list".to_owned()),
    };
    list.iter()
        .enumerate()
        .map(|(at, message)| read_message(message).map_err(|why| format!("messages: ({at}: {why})")))
        .collect()
}

fn read_message(value: &Value) -> Result<LogMessage, String> {
    let object = value.as_object().ok_or_else(|| "not an object".to_owned())?;
    let filled = |key: &str| match json::string(object, key)? {
        text if text.is_empty() => Err(format!("{key}: cannot be blank.")),
        text => Ok(text),
    };
    let text = filled("timestamp")?;
    let timestamp = Timestamp::parse(&text).ok_or_else(|| format!("timestamp: cannot parse \"{text}\" as RFC 3339"))?;
    if timestamp.is_zero() {
        return Err("timestamp: cannot be blank.".to_owned());
    }
    Ok(LogMessage {
        timestamp,
        level: filled("level")?,
        message: filled("message")?,
    })
}
