//! The requests to the server, each written as a whole into a window. Pure.

use sha2::{Digest, Sha256};

use super::config::Config;
use super::io::Piece;
use super::memory::Memory;
use crate::api::inventory::{self, Method as Report};
use crate::api::key::DigestSignature;
use crate::api::status::{self, DeploymentStatus};
use crate::api::{auth, next};
use crate::net::Url;
use crate::net::http::{Method, request};
use crate::provides::Provides;
use crate::window::Window;

/// A request of the device API. What it says is in [`Facts`] and in the lent memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// The authentication request; made by the session itself.
    Login,
    /// POST with all provides.
    PollV2,
    /// GET with artifact name and device type: the open-source server.
    PollV1,
    /// A deployment's status.
    Status(DeploymentStatus),
    /// A deployment's log: the first bytes of the spare memory.
    Log { len: u16 },
    /// The inventory: the first bytes of the spare memory.
    Inventory { report: Report, len: u16 },
}

impl Call {
    /// For log lines.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Call::Login => "login",
            Call::PollV2 | Call::PollV1 => "poll",
            Call::Status(status) => status.as_str(),
            Call::Log { .. } => "log",
            Call::Inventory { .. } => "inventory",
        }
    }

    pub(super) const fn is_poll(self) -> bool {
        match self {
            Call::PollV2 | Call::PollV1 => true,
            Call::Login | Call::Status(_) | Call::Log { .. } | Call::Inventory { .. } => false,
        }
    }
}

/// What the session adds to a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'s> {
    pub(super) call: Call,
    pub(super) token_len: usize,
    /// Of the login.
    pub(super) signature: Option<&'s DigestSignature>,
    /// It goes to the URL in the link's memory.
    pub(super) is_redirected: bool,
}

/// What requests are made from, beside the lent memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) config: &'a Config<'a>,
    /// The server's.
    pub(super) url: Url<'a>,
    pub(super) identity: &'a [(&'a str, &'a str)],
    /// The public key.
    pub(super) point: &'a [u8],
    /// The deployment under way.
    pub(super) id: &'a str,
}

impl Facts<'_> {
    /// Writes the piece of a request that begins at `from` into the window.
    pub(super) fn write(&self, envelope: &Envelope<'_>, memory: &mut Memory<'_>, from: usize) -> Piece {
        let window = core::mem::take(&mut memory.window);
        let mut out = Window::new(window, from);
        self.message(&mut out, envelope, memory);
        let piece = Piece::of(&out, from);
        memory.window = out.into_buffer();
        piece
    }

    /// SHA-256 of the login's body, which is signed (device API, section 2).
    pub(super) fn digest(&self, window: &mut [u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut from = 0;
        loop {
            let mut out = Window::new(window, from);
            self.login(&mut out);
            let piece = out.finish();
            if piece.is_empty() {
                return hash.finalize().into();
            }
            hash.update(piece);
            from += piece.len();
        }
    }

    fn login(&self, out: &mut Window<'_>) {
        let Config { tenant_token, tier, .. } = self.config;
        auth::write(out, self.identity, self.point, *tenant_token, Some(*tier));
    }

    fn message(&self, out: &mut Window<'_>, envelope: &Envelope<'_>, memory: &mut Memory<'_>) {
        let Envelope {
            call,
            token_len,
            signature,
            is_redirected: elsewhere,
        } = *envelope;
        let url = memory.url().filter(|_| elsewhere).unwrap_or(self.url);
        // A server's own redirect to another host is followed, but that host must not see the token.
        let trusted = url.authority == self.url.authority && url.security == self.url.security;
        let token = memory
            .token
            .get(..token_len)
            .filter(|_| !matches!(call, Call::Login) && trusted);
        // The prefix is that of the API; a redirect has a whole path.
        let prefix = if elsewhere {
            ""
        } else {
            self.url.path.strip_suffix('/').unwrap_or(self.url.path)
        };
        let name = memory.installed().artifact_name().unwrap_or(self.config.artifact_name);
        let path = |out: &mut Window<'_>| match call {
            _ if elsewhere => out.text(url.path),
            Call::Login => out.text(auth::PATH),
            Call::PollV2 => out.text(next::PATH_V2),
            Call::PollV1 => next::write_v1(out, name, self.config.device_type),
            Call::Status(_) => status::write_path(out, self.id, "/status"),
            Call::Log { .. } => status::write_path(out, self.id, "/log"),
            Call::Inventory { .. } => out.text(inventory::PATH),
        };
        let method = match call {
            Call::Login | Call::PollV2 => Method::Post,
            Call::PollV1 => Method::Get,
            Call::Status(_) | Call::Log { .. } => Method::Put,
            Call::Inventory {
                report: Report::Put, ..
            } => Method::Put,
            Call::Inventory {
                report: Report::Patch, ..
            } => Method::Patch,
        };
        request::line(out, method, prefix, path, url.authority);
        if let Some(token) = token {
            request::token(out, token);
        }
        if let Some(signature) = signature {
            request::signature(out, |out| signature.write(out));
        }
        let (installed, spare) = memory.split();
        let body_len = Window::count(|out| self.body(out, call, installed, spare));
        if method != Method::Get {
            request::json(out, u32::try_from(body_len).unwrap_or(u32::MAX));
        }
        request::end(out);
        self.body(out, call, installed, spare);
    }

    fn body(&self, out: &mut Window<'_>, call: Call, installed: Provides<'_>, spare: &[u8]) {
        match call {
            Call::Login => self.login(out),
            Call::PollV2 => next::write_v2(out, self.config.device_type, installed),
            Call::PollV1 => {}
            Call::Status(status) => status::write_body(out, status, None),
            Call::Log { len } | Call::Inventory { len, .. } => {
                out.bytes(spare.get(..usize::from(len)).unwrap_or(&[]));
            }
        }
    }
}
