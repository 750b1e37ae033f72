//! Tokens of devices and users.
//!
//! They look like the real ones (JWT, about 900 bytes for a device) but are made with an HMAC instead of the server's
//! RSA key: nobody but this server has to check them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use super::ids::{AuthSetId, DeviceId, Random};
use super::time::Time;

/// Length of a token's signature, in Base64.
const SIGNATURE_LEN: usize = 342;

/// Makes and checks tokens, and signs links.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    key: hmac::Key,
}

/// What a valid token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bearer {
    Device { device: DeviceId, auth_set: AuthSetId },
    User,
}

/// Why a token is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// Not `a.b.c` with readable claims.
    Malformed,
    /// Changed, made by somebody else, or expired.
    Invalid,
}

impl Signer {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &random.block()),
        }
    }

    /// An authentication code over some text, 32 bytes.
    pub(crate) fn code(&self, text: &str) -> Vec<u8> {
        hmac::sign(&self.key, text.as_bytes()).as_ref().to_vec()
    }

    /// A token of at least `len` bytes.
    pub(crate) fn device_token(
        &self,
        device: &DeviceId,
        auth_set: &AuthSetId,
        now: Time,
        expires: Time,
        len: usize,
    ) -> String {
        let claims = json!({
            "jti": auth_set.as_str(),
            "sub": device.as_str(),
            "iss": "Mender",
            "exp": expires.unix_secs(),
            "iat": now.unix_secs(),
            // The zero time of the real server's language.
            "nbf": -62_135_596_800_i64,
            "mender.device": true,
            "mender.plan": "enterprise",
            "mender.trial": false,
            "mender.addons": [
                {"name": "configure", "enabled": true},
                {"name": "troubleshoot", "enabled": true},
                {"name": "monitor", "enabled": true},
            ],
        });
        self.token(&claims, len)
    }

    pub(crate) fn user_token(&self, id: &str, user: &str, now: Time, expires: Option<Time>) -> String {
        let mut claims = json!({
            "jti": id,
            "sub": user,
            "iss": "mender.useradm",
            "scp": "mender.*",
            "iat": now.unix_secs(),
            "nbf": now.unix_secs(),
            "mender.user": true,
        });
        if let Some(expires) = expires {
            claims["exp"] = json!(expires.unix_secs());
        }
        self.token(&claims, 0)
    }

    fn token(&self, claims: &Value, len: usize) -> String {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":0,"typ":"JWT"}"#);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.signature(&signed, len.saturating_sub(signed.len() + 1));
        format!("{signed}.{signature}")
    }

    /// As long as a signature of a 2048-bit RSA key, so that tokens have the real length; longer if it is to have `len` bytes.
    fn signature(&self, text: &str, len: usize) -> String {
        let len = len.max(SIGNATURE_LEN);
        let parts = len * 3 / 4 / 32 + 1;
        // The code over the text, and codes over that code: a token is checked at each request.
        let mut bytes = self.code(&format!("token:{text}"));
        for part in 1..parts {
            let tag = hmac::sign(&self.key, &[&bytes[..32], &part.to_le_bytes()].concat());
            bytes.extend_from_slice(tag.as_ref());
        }
        let mut signature = URL_SAFE_NO_PAD.encode(bytes);
        signature.truncate(len);
        signature
    }

    pub(crate) fn check(&self, token: &str, now: Time) -> Result<Bearer, TokenError> {
        let parts: Vec<_> = token.split('.').collect();
        let [head, claims, signature] = parts.as_slice() else {
            return Err(TokenError::Malformed);
        };
        let decoded = URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenError::Malformed)?;
        let claims_value: Value = serde_json::from_slice(&decoded).map_err(|_| TokenError::Malformed)?;
        if self.signature(&format!("{head}.{claims}"), signature.len()) != *signature {
            return Err(TokenError::Invalid);
        }
        if claims_value["exp"]
            .as_u64()
            .is_some_and(|expires| expires <= now.unix_secs())
        {
            return Err(TokenError::Invalid);
        }
        if claims_value["mender.user"] == json!(true) {
            return Ok(Bearer::User);
        }
        let text = |key: &str| claims_value[key].as_str().unwrap_or_default();
        Ok(Bearer::Device {
            device: text("sub").into(),
            auth_set: text("jti").into(),
        })
    }
}
