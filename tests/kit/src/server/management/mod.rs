//! The management API, as far as mender-cli, curl and test scripts need it (spec of the management API, section 10).
//!
//! Everything else answers 404. What the real server does through asynchronous workflows happens at once here.

mod artifacts;
mod deployments;
mod devauth;
mod groups;
mod inventory;
mod lookup;
mod multipart;
mod paging;
mod releases;
mod search;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::auth::{bearer_text, malformed_token};
use super::error::ApiError;
use super::http::{Request, Response};
use super::json;
use super::time::Time;
use super::token::{Bearer, TokenError};
use super::{Server, check_json_body, check_size};

const ARTIFACTS: &str = "/api/management/v1/deployments/artifacts";

impl Server {
    /// Everything below `/api/management/`.
    pub(super) fn handle_management(&mut self, request: &Request, now: Time) -> Result<Response, ApiError> {
        let is_upload = request.method == "POST" && request.path() == ARTIFACTS;
        if !is_upload {
            check_size(request, self.settings.body_limit)?;
        }
        if request.path() == "/api/management/v1/useradm/auth/login" {
            return match request.method.as_str() {
                "POST" => self.login(request, now),
                _ => Err(ApiError::wrong_method()),
            };
        }
        let token = self.check_user(request, now)?;
        let decoded: Vec<String> = request.path().split('/').skip(3).map(decode_segment).collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["v1", "useradm", "auth", "logout"] if request.method == "POST" => {
                self.revoked_user_tokens.push(token);
                Ok(Response::empty(202))
            }
            ["v1", "tenantadm", "user", "tenant"] if request.method == "GET" => {
                // Not in the open-source edition; scripts made for the commercial ones ask for it.
                Ok(Response::json(
                    200,
                    &json!({"id": "test", "name": "test", "tenant_token": "test-tenant-token"}),
                ))
            }
            ["v2", "devauth", rest @ ..] => self.route_devauth(request, rest, now),
            ["v1", "deployments", "artifacts", rest @ ..] => self.route_artifacts(request, rest, now),
            ["v1", "deployments", "deployments", "releases", rest @ ..] => self.route_releases_v1(request, rest),
            ["v2", "deployments", "deployments", "releases", rest @ ..] => self.route_releases_v2(request, rest, now),
            ["v2", "deployments", "releases", "all", what] => self.list_of_all_releases(request, what),
            ["v1", "deployments", "deployments", rest @ ..] => self.route_deployments(request, rest, now),
            ["v2", "deployments", "deployments"] => self.route_deployments_v2(request),
            ["v1", "inventory", "groups", rest @ ..] => self.route_groups(request, rest),
            ["v1", "inventory", rest @ ..] => self.route_inventory(request, rest, now),
            ["v2", "inventory", "filters", "search"] if request.method == "POST" => self.search_devices(request),
            ["v2", "inventory", "filters", "attributes"] if request.method == "GET" => Ok(self.list_attributes()),
            ["v2", "inventory", "filters", "search" | "attributes"] => Err(ApiError::wrong_method()),
            ["v1", "deviceconfig", "configurations", "device", rest @ ..] => {
                self.route_deviceconfig(request, rest, now)
            }
            _ => Err(ApiError::no_route()),
        }
    }

    fn login(&mut self, request: &Request, now: Time) -> Result<Response, ApiError> {
        let basic = |text: &str| -> Option<(String, String)> {
            let (scheme, encoded) = text.split_once(' ')?;
            let decoded = STANDARD
                .decode(encoded.trim())
                .ok()
                .filter(|_| scheme.eq_ignore_ascii_case("Basic"))?;
            let decoded = String::from_utf8(decoded).ok()?;
            decoded
                .split_once(':')
                .map(|(user, password)| (user.to_lowercase(), password.to_owned()))
        };
        let credentials = request.header_value("Authorization").and_then(basic);
        let (user, password) = credentials.ok_or_else(|| ApiError::new(401, "invalid or missing auth header"))?;
        let options = if request.body.is_empty() {
            Map::new()
        } else {
            read_body(request)?
        };
        if user != self.settings.user.to_lowercase() || password != self.settings.password {
            return Err(ApiError::new(401, "unauthorized"));
        }
        let forever = json::get(&options, "no_expiry") == Some(&Value::Bool(true));
        let expires = (!forever).then(|| now + std::time::Duration::from_secs(7 * 24 * 3600));
        let id = self.random.uuid();
        let token = self.signer.user_token(&id, &user, now, expires);
        Ok(Response::bytes(200, "application/jwt", token))
    }

    /// The token of a request of a user, or the 401.
    fn check_user(&self, request: &Request, now: Time) -> Result<String, ApiError> {
        let token = bearer_text(request)?;
        if self.settings.management_token.as_deref() == Some(token) {
            return Ok(token.to_owned());
        }
        match self.signer.check(token, now) {
            Err(TokenError::Malformed) => Err(malformed_token()),
            Ok(Bearer::User) if !self.revoked_user_tokens.iter().any(|revoked| revoked == token) => {
                Ok(token.to_owned())
            }
            Ok(Bearer::User | Bearer::Device { .. }) | Err(TokenError::Invalid) => {
                Err(ApiError::new(401, "unauthorized"))
            }
        }
    }
}

/// A path segment without its percent encoding. A plus sign stays one.
fn decode_segment(segment: &str) -> String {
    let text = format!("s={}", segment.replace('+', "%2B"));
    form_urlencoded::parse(text.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// A body that must be a JSON object, with the check of its content type.
fn read_json_body(request: &Request) -> Result<Map<String, Value>, ApiError> {
    check_json_body(request)?;
    read_body(request)
}

fn read_body(request: &Request) -> Result<Map<String, Value>, ApiError> {
    match json::read(&request.body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::new(400, "failed to decode request body: not an object")),
        Err(why) => Err(ApiError::new(400, format!("failed to decode request body: {why}"))),
    }
}
