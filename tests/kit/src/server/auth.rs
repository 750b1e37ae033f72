//! Authentication requests of devices (spec of the device API, section 2) and the check of tokens (section 3).

use serde_json::Value;

use super::devices::{Acceptance, Claim};
use super::error::ApiError;
use super::http::{Request, Response};
use super::ids::DeviceId;
use super::json;
use super::keys::PublicKey;
use super::settings::Mode;
use super::time::Time;
use super::token::{Bearer, TokenError};
use super::{Server, check_json_body};

/// The token of an `Authorization` header: scheme without regard to case, exactly one blank.
pub(super) fn bearer_text(request: &Request) -> Result<&str, ApiError> {
    let refused = |text: &str| ApiError::new(401, text).header("WWW-Authenticate", "Bearer realm=\"ManagementJWT\"");
    let header = request
        .header_value("Authorization")
        .ok_or_else(|| refused("missing or malformed Authorization header"))?;
    match header.split(' ').collect::<Vec<_>>().as_slice() {
        [scheme, token] if scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty() => Ok(token),
        _ => Err(refused("missing or malformed Authorization header")),
    }
}

/// The 401 of a token whose claims cannot be read.
pub(super) fn malformed_token() -> ApiError {
    ApiError::new(401, "malformed token").header("WWW-Authenticate", "Bearer realm=\"ManagementJWT\"")
}

impl Server {
    /// The device of a request's token, or the gateway's 401.
    pub(super) fn device_of(&mut self, request: &Request, now: Time) -> Result<DeviceId, ApiError> {
        match self.signer.check(bearer_text(request)?, now) {
            Err(TokenError::Malformed) => Err(malformed_token()),
            // Expired is no case of its own: the real server never reaches its 403 for it.
            Err(TokenError::Invalid) => Err(ApiError::bare(401)),
            Ok(Bearer::User) if request.path().starts_with("/api/devices/v1/deviceconfig/") => {
                Err(ApiError::new(403, "only devices are allowed to access this endpoint"))
            }
            Ok(Bearer::User) => Err(ApiError::new(401, "not a device token")),
            Ok(Bearer::Device { device, auth_set }) => {
                if !self.devices.is_let_in(&device, &auth_set) {
                    return Err(ApiError::bare(401));
                }
                self.devices.check_in(&device, now);
                Ok(device)
            }
        }
    }

    /// The device whose valid token a request carries, whatever becomes of the request.
    pub(super) fn token_of(&self, request: &Request, now: Time) -> Option<DeviceId> {
        match self.signer.check(bearer_text(request).ok()?, now) {
            Ok(Bearer::Device { device, .. }) => Some(device),
            Ok(Bearer::User) | Err(TokenError::Malformed | TokenError::Invalid) => None,
        }
    }

    /// `POST /api/devices/v1/authentication/auth_requests`.
    pub(super) fn post_auth_request(&mut self, request: &Request, now: Time) -> Result<Response, ApiError> {
        check_json_body(request)?;
        let claim = self.read_claim(&request.body)?;
        let Some(signature) = request.header_value("X-MEN-Signature").filter(|text| !text.is_empty()) else {
            return Err(ApiError::new(400, "missing request signature header"));
        };
        if !self.last_good.verify(&claim.key, &request.body, signature) {
            return Err(ApiError::new(401, "signature verification failed"));
        }
        let (device, auth_set) = self.devices.register(claim, &mut self.random, now);
        let comes_in = match self.devices.acceptance_of(&device, &auth_set) {
            Some(Acceptance::Preauthorized) => true,
            Some(Acceptance::Pending) => self.settings.auto_accept,
            Some(Acceptance::Accepted | Acceptance::Rejected | Acceptance::NoAuth) | None => false,
        };
        if comes_in {
            self.set_acceptance(&device, &auth_set, Acceptance::Accepted, now);
        }
        match self.devices.acceptance_of(&device, &auth_set) {
            Some(Acceptance::Accepted) => {
                self.devices.check_in(&device, now);
                self.devices.set_token(&auth_set, true);
                let expires = now + self.settings.token_lifetime;
                let token = self
                    .signer
                    .device_token(&device, &auth_set, now, expires, self.settings.token_len);
                Ok(Response::bytes(200, "application/jwt", token))
            }
            // Pending and rejected look alike to a device.
            Some(Acceptance::Preauthorized | Acceptance::Pending | Acceptance::Rejected | Acceptance::NoAuth)
            | None => Err(ApiError::new(401, "dev auth: unauthorized")),
        }
    }

    fn read_claim(&self, body: &[u8]) -> Result<Claim, ApiError> {
        let undecodable = |why: String| ApiError::new(400, format!("failed to decode auth request: {why}"));
        let invalid = |why: &str| ApiError::new(400, format!("invalid auth request: {why}"));

        let value = json::read(body).map_err(undecodable)?;
        let Value::Object(object) = value else {
            return Err(undecodable("json: cannot unmarshal into an auth request".to_owned()));
        };
        let text = |key: &str| json::string(&object, key).map_err(undecodable);
        let (id_data, pem, tenant_token) = (text("id_data")?, text("pubkey")?, text("tenant_token")?);
        let tier = self.read_tier(&object)?;
        if id_data.is_empty() {
            return Err(invalid("id_data: cannot be blank."));
        }
        if pem.is_empty() {
            return Err(invalid("pubkey: cannot be blank."));
        }
        let identity = match json::read(id_data.as_bytes()) {
            Ok(Value::Object(identity)) => identity,
            // Decodes into an empty map over there.
            Ok(Value::Null) => serde_json::Map::new(),
            Ok(_) | Err(_) => return Err(invalid("id_data must be a JSON object")),
        };
        let key = PublicKey::from_pem(&pem).map_err(|why| invalid(&why))?;
        let identity = json::normal_object(&identity);
        let identity_text = json::to_go_string(&Value::Object(identity.clone()));
        Ok(Claim {
            identity,
            identity_text,
            key,
            tier,
            tenant_token,
        })
    }

    /// The tier of a device, which only the commercial editions know.
    pub(super) fn read_tier(&self, object: &serde_json::Map<String, Value>) -> Result<String, ApiError> {
        match self.settings.mode {
            Mode::Oss => Ok(String::new()),
            Mode::Enterprise => {
                let undecodable = |why: String| ApiError::new(400, format!("failed to decode auth request: {why}"));
                match json::string(object, "tier").map_err(undecodable)?.as_str() {
                    "" => Ok("standard".to_owned()),
                    tier @ ("standard" | "micro" | "system") => Ok(tier.to_owned()),
                    _ => Err(ApiError::new(400, "invalid auth request: tier: must be a valid value.")),
                }
            }
        }
    }
}
