//! The server's answers, read as they come: head, body, and of it only what is needed. Pure.
//!
//! A body that nobody needs is passed over, and how it ends does not matter: the status is the answer. Bytes behind the end of
//! an answer never spoil it; the connection is closed then.
//!
//! 404, 405 and 409 end deployments and give routes up, and gateways answer them too, while the service behind them restarts. They
//! count only as Mender's, whose errors are JSON with `error` (device API, section 1). Anyone else's are taken as [`GATEWAY`].

use heapless::String;

use super::memory::Memory;
use super::message::Call;
use super::time::Millis;
use crate::api::auth::{self, AuthRefused, WrongSignature};
use crate::api::next::{self, ID_MAX_LEN, NextError};
use crate::api::reader::{Field, Reader};
use crate::net::http::HttpError;
use crate::net::http::body::Framing;
use crate::net::http::response::{Head, HeadReader};
use crate::text::utf8_prefix;

/// The server's deployment id.
pub(crate) type DeploymentId = String<ID_MAX_LEN>;

/// More of a body that nobody needs is not read: another connection costs less.
const UNWANTED_MAX_LEN: u32 = 2048;
/// More than this is no token, no deployment.
const WANTED_MAX_LEN: u32 = 64 * 1024;

/// Bad gateway: the same may be asked again.
const GATEWAY: u16 = 502;

/// What is needed of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Token,
    Deployment,
}

/// How an exchange was lost, below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No connection.
    Connect,
    /// It took too long.
    Timeout,
    /// The connection failed.
    Io,
}

/// What a poll came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Nothing,
    /// The id is in [`Answer::id`], the link in its memory, if there is room for all of it.
    Offer {
        link_len: u16,
    },
}

/// One answer. See the [module](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Answer {
    wanted: Wanted,
    head_reader: HeadReader,
    head: Option<Head>,
    body_len: u32,
    reader: Reader,
    wrong_signature: WrongSignature,
    /// The body is not what is wanted.
    spoiled: bool,
    /// The body has the key `error`.
    has_error: bool,
    /// White space came behind the token.
    ended: bool,
    /// Length of token or link, also of what there was no room for.
    len: u16,
    name_len: u16,
    pub(super) id: DeploymentId,
}

impl Answer {
    pub(super) const fn new() -> Answer {
        Answer {
            wanted: Wanted::Nothing,
            head_reader: HeadReader::new(),
            head: None,
            body_len: 0,
            reader: Reader::new(),
            wrong_signature: WrongSignature::new(),
            spoiled: false,
            has_error: false,
            ended: false,
            len: 0,
            name_len: 0,
            id: DeploymentId::new(),
        }
    }

    /// Waits for the answer to this call.
    pub(super) fn begin(&mut self, call: Call) {
        *self = Answer::new();
        self.wanted = match call {
            Call::Login => Wanted::Token,
            Call::PollV2 | Call::PollV1 => Wanted::Deployment,
            Call::Status(_) | Call::Log { .. } | Call::Inventory { .. } => Wanted::Nothing,
        };
    }

    /// The status; [`GATEWAY`] instead of one that is not Mender's.
    pub(super) fn status(&self) -> u16 {
        if self.is_doubtful() { GATEWAY } else { self.code() }
    }

    /// As it came.
    pub(super) fn code(&self) -> u16 {
        self.head.map_or(0, |head| head.status)
    }

    /// It has not been seen (yet) that the answer is Mender's.
    fn is_doubtful(&self) -> bool {
        matches!(self.code(), 404 | 405 | 409) && !(self.has_error && self.reader.is_complete() && !self.spoiled)
    }

    /// How long the server asks to wait; zero if it does not.
    pub(super) fn retry_after(&self) -> Millis {
        Millis::asked(self.head.and_then(|head| head.retry_after))
    }

    /// What is needed of the body; of an error only the status.
    fn wanted(&self) -> Wanted {
        match self.code() {
            200..=203 | 205..=299 => self.wanted,
            _ => Wanted::Nothing,
        }
    }

    /// Whether all that is needed is known.
    pub(super) fn is_enough(&self) -> bool {
        self.head.is_some() && self.wanted() == Wanted::Nothing && (self.spoiled || !self.is_doubtful())
    }

    /// Takes the first `len` bytes of the window; 0: the connection has ended. When the answer is complete: whether the
    /// connection can be used again.
    pub(super) fn push(&mut self, len: usize, memory: &mut Memory<'_>) -> Result<Option<bool>, HttpError> {
        if len == 0 {
            return match self.head {
                None if self.head_reader.is_new() => Err(HttpError::Closed),
                None => Err(HttpError::Truncated),
                Some(head) if self.is_enough() || matches!(head.framing, Framing::ToEnd) => Ok(Some(false)),
                Some(_) => Err(HttpError::Truncated),
            };
        }
        let window = core::mem::take(&mut memory.window);
        let pushed = self.push_bytes(window.get_mut(..len).unwrap_or(&mut []), memory);
        memory.window = window;
        pushed
    }

    fn push_bytes(&mut self, bytes: &mut [u8], memory: &mut Memory<'_>) -> Result<Option<bool>, HttpError> {
        let mut at = 0;
        // A link that was offered before is not overwritten by a redirect that nobody follows.
        let location = match self.wanted {
            Wanted::Deployment => memory.link.get_mut(memory.link_len..).unwrap_or(&mut []),
            Wanted::Nothing | Wanted::Token => &mut [],
        };
        while self.head.is_none() {
            let Some(byte) = bytes.get(at) else { return Ok(None) };
            at += 1;
            self.head = self.head_reader.push(*byte, location)?;
        }
        let wanted = self.wanted();
        let Some(head) = &mut self.head else { return Ok(None) };
        if head.encoded && wanted != Wanted::Nothing {
            return Err(HttpError::Encoded);
        }
        let body = bytes.get_mut(at..).unwrap_or(&mut []);
        let decoded = match head.framing.decode(body) {
            Ok(decoded) => decoded,
            Err(_) if wanted == Wanted::Nothing => return Ok(Some(false)),
            Err(_) => return Err(HttpError::Malformed),
        };
        let (done, behind) = (head.framing.is_done(), decoded.taken < body.len());
        let keep = head.keep_alive && !behind;
        let data = body.get(..decoded.data).unwrap_or(&[]);
        // Far below a `u32`'s end.
        self.body_len += data.len() as u32;
        match wanted {
            Wanted::Nothing => {
                self.wrong_signature.push(data);
                self.push_error(data);
                if self.body_len > UNWANTED_MAX_LEN {
                    return Ok(Some(false));
                }
            }
            Wanted::Token => self.push_token(data, memory.token),
            Wanted::Deployment => self.push_deployment(data, memory),
        }
        if self.body_len > WANTED_MAX_LEN {
            return Err(HttpError::Malformed);
        }
        Ok(done.then_some(keep))
    }

    fn push_error(&mut self, data: &[u8]) {
        for &byte in data {
            // After an error nothing more may be pushed.
            if self.spoiled {
                return;
            }
            match self.reader.push(byte) {
                Ok(piece) => self.has_error |= piece.is_some_and(|piece| piece.field == Field::Error),
                Err(_) => self.spoiled = true,
            }
        }
    }

    fn push_token(&mut self, data: &[u8], token: &mut [u8]) {
        for &byte in data {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.ended = self.len > 0,
                b'!'..=b'~' if !self.ended => {
                    if let Some(place) = token.get_mut(usize::from(self.len)) {
                        *place = byte;
                    }
                    self.len = self.len.saturating_add(1);
                }
                _ => self.spoiled = true,
            }
        }
    }

    fn push_deployment(&mut self, data: &[u8], memory: &mut Memory<'_>) {
        for &byte in data {
            if self.spoiled {
                return;
            }
            let piece = match self.reader.push(byte) {
                Ok(Some(piece)) => piece,
                Ok(None) => continue,
                Err(_) => {
                    self.spoiled = true;
                    return;
                }
            };
            for &byte in piece.bytes() {
                let (target, len) = match piece.field {
                    Field::Id => {
                        self.spoiled |= !byte.is_ascii_graphic() || self.id.push(char::from(byte)).is_err();
                        continue;
                    }
                    Field::Uri => {
                        self.spoiled |= !byte.is_ascii_graphic();
                        (&mut *memory.link, &mut self.len)
                    }
                    Field::ArtifactName => (memory.spare(), &mut self.name_len),
                    Field::Error => continue,
                };
                if let Some(place) = target.get_mut(usize::from(*len)) {
                    *place = byte;
                }
                *len = len.saturating_add(1);
            }
        }
    }

    /// The token's length in its memory.
    pub(super) fn token(&self, room: usize) -> Result<u16, AuthRefused> {
        let has_token = !self.spoiled && self.len > 0;
        match auth::refused(self.status(), has_token, self.wrong_signature.found()) {
            Some(refused) => Err(refused),
            None if usize::from(self.len) > room => Err(AuthRefused::TokenTooLong { needed: self.len }),
            None => Ok(self.len),
        }
    }

    /// What a poll came to.
    pub(super) fn polled(&self) -> Result<Polled, NextError> {
        if let Some(error) = next::refused(self.status()) {
            return Err(error);
        }
        if self.wanted() == Wanted::Nothing || (self.reader.is_blank() && !self.spoiled) {
            return Ok(Polled::Nothing);
        }
        let is_whole = self.reader.is_complete() && !self.spoiled && self.name_len > 0 && self.len > 0;
        if is_whole && next::is_valid_id(&self.id) {
            Ok(Polled::Offer { link_len: self.len })
        } else {
            Err(NextError::Malformed)
        }
    }

    /// The offered artifact's name, as much of it as there was room for.
    pub(super) fn artifact_name<'m>(&self, spare: &'m [u8]) -> &'m str {
        utf8_prefix(spare.get(..usize::from(self.name_len)).unwrap_or(spare))
    }

    /// The length of `Location`, if the answer says that what was asked for is elsewhere.
    pub(super) fn location(&self) -> Option<usize> {
        let head = self.head?;
        is_redirect(head.status).then_some(usize::from(head.location_len))
    }
}

/// Statuses after which the same is asked elsewhere (RFC 9110, 15.4). 303 asks for something else, 300 and 304 for nothing.
pub(super) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 307 | 308)
}
