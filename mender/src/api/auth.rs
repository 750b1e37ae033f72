//! Authentication: `POST /api/devices/v1/authentication/auth_requests` (device API, sections 2 and 3).
//!
//! The request needs no token. It is signed with the device key over exactly the bytes of the body:
//! [`DeviceKey::sign`](super::key::DeviceKey::sign), sent in [`SIGNATURE_HEADER`](super::key::SIGNATURE_HEADER).

use core::fmt;

use super::key::{PublicKeyPem, pem};
use super::{Class, EncodeError, Message, json, whole};
use crate::codes::Code;
use crate::text::{Describe, Text, display};
use crate::window::Window;

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
    whole(out, Message::AuthRequest, |out| {
        write(
            out,
            request.identity,
            request.public_key.point(),
            request.tenant_token,
            request.tier,
        );
    })
}

/// The body of the request, see [`AuthRequest`]. `point` is the public key, [`POINT_LEN`](super::key::POINT_LEN) bytes.
pub(crate) fn write(
    out: &mut Window<'_>,
    identity: &[(&str, &str)],
    point: &[u8],
    tenant_token: Option<&str>,
    tier: Option<Tier>,
) {
    // The identity is a JSON object as text: every quote is escaped once, every text twice.
    out.text("{\"id_data\":\"");
    let mut before = "{\"";
    for (name, value) in identity {
        json::nested(out, before, 1);
        json::nested(out, name, 2);
        json::nested(out, "\":\"", 1);
        json::nested(out, value, 2);
        before = "\",\"";
    }
    json::nested(out, "\"}", 1);
    out.text("\",\"pubkey\":\"");
    // Nothing in it but the ends of lines has to be escaped.
    pem(point, |byte| match byte {
        b'\n' => out.text("\\n"),
        _ => out.byte(byte),
    });
    out.byte(b'"');
    if let Some(tenant_token) = tenant_token {
        json::pair(out, ",", "tenant_token", tenant_token);
    }
    if let Some(tier) = tier {
        json::pair(out, ",", "tier", tier.as_str());
    }
    out.byte(b'}');
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
    /// Success, but the token is longer than the memory for it: raise `TOKEN` of the client's
    /// [`Resources`](crate::client::Resources).
    TokenTooLong {
        /// Its length in bytes.
        needed: u16,
    },
}

impl Describe for AuthRefused {
    fn describe(&self, out: &mut Text<'_>) {
        let (code, status) = match self {
            AuthRefused::NotAccepted => (NOT_ACCEPTED, None),
            AuthRefused::SignatureRefused => (SIGNATURE_REFUSED, None),
            AuthRefused::RateLimited => (RATE_LIMITED, None),
            AuthRefused::RetryLater { status } => (RETRY_LATER, Some(*status)),
            AuthRefused::Refused { status } => (REFUSED, Some(*status)),
            AuthRefused::BadToken => (BAD_TOKEN, None),
            AuthRefused::TokenTooLong { needed } => {
                out.code(TOKEN_TOO_LONG);
                out.push(": ");
                return out.number(u32::from(*needed));
            }
        };
        out.code(code);
        if let Some(status) = status {
            out.status(status);
        }
    }
}

const NOT_ACCEPTED: Code = Code::new(20);
const SIGNATURE_REFUSED: Code = Code::new(21);
const RATE_LIMITED: Code = Code::new(22);
const RETRY_LATER: Code = Code::new(23);
const REFUSED: Code = Code::new(24);
const BAD_TOKEN: Code = Code::new(25);

const TOKEN_TOO_LONG: Code = Code::new(29);

impl fmt::Display for AuthRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

impl core::error::Error for AuthRefused {}

/// What the server's answer means.
///
/// # Errors
///
/// [`AuthRefused`] for everything but success with a token.
pub fn answer(status: u16, body: &[u8]) -> Result<Token<'_>, AuthRefused> {
    let mut wrong = WrongSignature::new();
    wrong.push(body);
    let token = token(body);
    match refused(status, token.is_some(), wrong.found()) {
        Some(refused) => Err(refused),
        None => token.ok_or(AuthRefused::BadToken),
    }
}

/// Why an answer gives no token; `None` if it does. `has_token` says whether the body is one, `wrong_signature` whether it
/// speaks of one.
pub(crate) const fn refused(status: u16, has_token: bool, wrong_signature: bool) -> Option<AuthRefused> {
    Some(match Class::of(status) {
        Class::Success if has_token => return None,
        Class::Success => AuthRefused::BadToken,
        Class::Reauthenticate if wrong_signature => AuthRefused::SignatureRefused,
        Class::Reauthenticate => AuthRefused::NotAccepted,
        Class::RateLimited => AuthRefused::RateLimited,
        // A gateway answers 404 for a service that is being restarted.
        Class::NotFound | Class::Conflict | Class::RetryLater => AuthRefused::RetryLater { status },
        Class::Forbidden | Class::GiveUp => AuthRefused::Refused { status },
    })
}

/// Looks in a body, piece by piece, for the server's text about a wrong signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongSignature {
    matched: u8,
}

impl WrongSignature {
    const TEXT: &[u8] = b"signature verification failed";

    pub(crate) const fn new() -> WrongSignature {
        WrongSignature { matched: 0 }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        for byte in piece {
            let next = Self::TEXT.get(usize::from(self.matched));
            if next == Some(byte) {
                self.matched += 1;
            } else if next.is_some() {
                // The first letter comes once in the text, so nothing else of it can have begun.
                self.matched = u8::from(Self::TEXT.first() == Some(byte));
            }
        }
    }

    pub(crate) fn found(&self) -> bool {
        usize::from(self.matched) == Self::TEXT.len()
    }
}

fn token(body: &[u8]) -> Option<Token<'_>> {
    let text = core::str::from_utf8(body.trim_ascii()).ok()?;
    let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then_some(Token { text })
}
