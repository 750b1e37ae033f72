//! Authentication: `POST /api/devices/v1/authentication/auth_requests` (device API, sections 2 and 3).
//!
//! The request needs no token. It is signed with the device key over exactly the bytes of the body:
//! [`DeviceKey::sign`](super::key::DeviceKey::sign), sent in [`SIGNATURE_HEADER`](super::key::SIGNATURE_HEADER).

use core::fmt;

use super::json::Writer;
use super::key::PublicKeyPem;
use super::{Class, EncodeError, Message};

/// Path of the request, sent with `POST`.
pub const PATH: &str = "/api/devices/v1/authentication/auth_requests";

/// The service tier that the device asks for. Servers without tiers ignore it.
///
/// Part of what an operator accepts: a device whose tier changes must be accepted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Tier {
    /// Devices with an operating system; what the server assumes without a tier.
    Standard,
    /// Microcontrollers.
    Micro,
    /// Devices that orchestrate others.
    System,
}

impl Tier {
    /// The tier's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Micro => "micro",
            Tier::System => "system",
        }
    }
}

/// What an authentication request says.
#[derive(Clone, Copy, Debug)]
pub struct AuthRequest<'a> {
    /// Attributes that together identify the device, such as `("mac", "02:00:5e:10:00:01")`. At least one; the same at
    /// every start, in any order. The name `status` is reserved by the server.
    pub identity: &'a [(&'a str, &'a str)],
    /// The public half of the key that signs the request.
    pub public_key: &'a PublicKeyPem,
    /// Selects the tenant on servers with several. Others ignore it.
    pub tenant_token: Option<&'a str>,
    /// The tier to ask for.
    pub tier: Option<Tier>,
}

/// Writes the body of the request.
///
/// Needs about 270 bytes, the tenant token, and the identity with 11 bytes per attribute; more if names or values need
/// escapes.
///
/// # Errors
///
/// [`EncodeError::Full`], [`EncodeError::NoIdentity`].
pub fn request<'b>(out: &'b mut [u8], request: &AuthRequest<'_>) -> Result<&'b [u8], EncodeError> {
    if request.identity.is_empty() {
        return Err(EncodeError::NoIdentity);
    }
    let mut json = Writer::new(out, Message::AuthRequest);
    // The identity is a JSON object as text: every quote is escaped once, every text twice.
    json.raw("{\"id_data\":\"")?;
    let mut before = "{\"";
    for (name, value) in request.identity {
        json.nested(before, 1)?;
        json.nested(name, 2)?;
        json.nested("\":\"", 1)?;
        json.nested(value, 2)?;
        before = "\",\"";
    }
    json.nested("\"}", 1)?;
    json.raw("\",\"pubkey\":")?;
    json.string(request.public_key.as_str())?;
    if let Some(tenant_token) = request.tenant_token {
        json.raw(",\"tenant_token\":")?;
        json.string(tenant_token)?;
    }
    if let Some(tier) = request.tier {
        json.raw(",\"tier\":")?;
        json.string(tier.as_str())?;
    }
    json.raw("}")?;
    Ok(json.finish())
}

/// A token: what the header `Authorization: Bearer <token>` carries. Opaque to the device.
///
/// About 900 bytes with the server's usual key; allow 2 kB. Valid for 7 days unless revoked. Not printed by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token<'b> {
    text: &'b str,
}

impl<'b> Token<'b> {
    /// The token's text: not empty, ASCII, without white space or control characters, so safe in a header.
    pub fn as_str(&self) -> &'b str {
        self.text
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes)", self.text.len())
    }
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AuthRefused {
    /// 401: the device waits to be accepted, or was rejected; the server does not tell which. Ask again after a while.
    NotAccepted,
    /// 401 with the text of a wrong signature: the key and the body do not belong together. Ask again after a while.
    SignatureRefused,
    /// 429: wait for `Retry-After`.
    RateLimited,
    /// 5xx, or an answer that the server of this API does not give: repeat with backoff.
    RetryLater {
        /// The HTTP status.
        status: u16,
    },
    /// The server refuses the request itself (400, 403, 413, 415): the identity, the tenant token or the configuration is
    /// wrong. Repeating it often helps nobody.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// Success, but the body is no token (empty, or with characters that cannot be in one): repeat with backoff.
    BadToken,
}

impl fmt::Display for AuthRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthRefused::NotAccepted => {
                f.write_str("the server has not accepted this device: accept it in the server's list")
            }
            AuthRefused::SignatureRefused => f.write_str("the server could not verify the request's signature"),
            AuthRefused::RateLimited => f.write_str("the server asks to wait before the next authentication"),
            AuthRefused::RetryLater { status } => write!(f, "authentication is not possible now (status {status})"),
            AuthRefused::Refused { status } => write!(
                f,
                "the server refuses the authentication request (status {status}): check identity and tenant token"
            ),
            AuthRefused::BadToken => {
                f.write_str("the server answered the authentication with something that is no token")
            }
        }
    }
}

impl core::error::Error for AuthRefused {}

/// What the server's answer means.
///
/// # Errors
///
/// [`AuthRefused`] for everything but success with a token.
pub fn answer(status: u16, body: &[u8]) -> Result<Token<'_>, AuthRefused> {
    match Class::of(status) {
        Class::Success => token(body).ok_or(AuthRefused::BadToken),
        Class::Reauthenticate => {
            const WRONG_SIGNATURE: &[u8] = b"signature verification failed";
            let wrong = body.windows(WRONG_SIGNATURE.len()).any(|part| part == WRONG_SIGNATURE);
            Err(if wrong {
                AuthRefused::SignatureRefused
            } else {
                AuthRefused::NotAccepted
            })
        }
        Class::RateLimited => Err(AuthRefused::RateLimited),
        // A gateway answers 404 for a service that is being restarted.
        Class::NotFound | Class::Conflict | Class::RetryLater => Err(AuthRefused::RetryLater { status }),
        Class::Forbidden | Class::GiveUp => Err(AuthRefused::Refused { status }),
    }
}

fn token(body: &[u8]) -> Option<Token<'_>> {
    let text = core::str::from_utf8(body.trim_ascii()).ok()?;
    let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then_some(Token { text })
}
