//! The calls of the device API, composed and understood; [`Session::call`] sends them.

use core::time::Duration;

use heapless::String;
use rand_core::CryptoRng;

use super::device::{Clock, Device, Event, Inventory};
use super::session::{CallError, Reply, Request, Session, Text};
use crate::api::inventory::{self, InventoryWriter};
use crate::api::next::{self, Next, NextError};
use crate::api::status::{self, DeploymentStatus, ReportAnswer};
use crate::api::{Class, EncodeError, log};
use crate::fmt::{info, warning};
use crate::net::Connector;
use crate::net::http::head::Method;

/// What the client calls itself in the inventory.
const CLIENT_NAME: &str = "mender-rs";

/// The server's deployment id.
pub(super) type DeploymentId = String<{ next::ID_MAX_LEN }>;

/// Which of the two ways to ask for a deployment the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// POST with all provides.
    V2,
    /// GET with artifact name and device type: the open-source server.
    V1,
}

/// The outcome of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Nothing,
    /// The download link stands at the front of the link buffer.
    Offer {
        id: DeploymentId,
        link_len: usize,
    },
}

/// Why a poll gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PollError {
    Call(CallError),
    Answer {
        error: NextError,
        retry_after: Option<Duration>,
    },
}

impl core::fmt::Display for PollError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            PollError::Call(error) => error.fmt(f),
            PollError::Answer { error, .. } => error.fmt(f),
        }
    }
}

impl PollError {
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            PollError::Call(error) => error.retry_after(),
            PollError::Answer { retry_after, .. } => *retry_after,
        }
    }
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    Stored,
    /// The deployment was aborted, or the server does not know it.
    Unwanted,
    /// The server will never take this report.
    Refused,
    /// Not now.
    Later {
        retry_after: Option<Duration>,
    },
}

impl<'c, D: Device, C: Connector, K: Clock, R: CryptoRng> Session<'c, D, C, K, R> {
    /// Asks for a deployment. `link` takes the answer, then only the download link. `announce`: an offer is
    /// news, not a fresh link for a deployment under way.
    pub(super) async fn poll(&mut self, route: Route, link: &mut [u8], announce: bool) -> Result<Polled, PollError> {
        let encoded = |error| PollError::Call(CallError::Encode(error));
        let request = match route {
            Route::V2 => {
                let provides =
                    crate::provides::Provides::from_bytes(self.installed.get(..self.installed_len).unwrap_or(&[]))
                        .unwrap_or_default();
                let body = next::v2_body(self.body, self.config.device_type, provides).map_err(encoded)?;
                Request {
                    method: Method::Post,
                    path: Text::Elsewhere(next::PATH_V2.as_bytes()),
                    body: Some(Text::Buffer {
                        start: 0,
                        len: body.len(),
                    }),
                }
            }
            Route::V1 => {
                let name = self.installed.get(..self.installed_len).unwrap_or(&[]);
                let provides = crate::provides::Provides::from_bytes(name).unwrap_or_default();
                let name = provides.artifact_name().unwrap_or(self.config.artifact_name);
                let path = next::v1_path(self.body, name, self.config.device_type).map_err(encoded)?;
                Request {
                    method: Method::Get,
                    path: Text::Buffer {
                        start: 0,
                        len: path.len(),
                    },
                    body: None,
                }
            }
        };
        let reply = self.call(request, link).await.map_err(PollError::Call)?;
        let start_of_link = link.as_ptr() as usize;
        let answer = link.get_mut(..reply.len).unwrap_or(&mut []);
        match next::answer(reply.status, answer) {
            Ok(Next::Nothing) => Ok(Polled::Nothing),
            Ok(Next::Deployment { id, artifact_name, uri }) => {
                if announce {
                    self.device.observe(Event::Offered { id, artifact_name });
                    info!("deployment {id}: {artifact_name}");
                }
                let id = DeploymentId::try_from(id).map_err(|_| PollError::Answer {
                    error: NextError::Malformed,
                    retry_after: None,
                })?;
                // The link is a piece of the buffer: move it to the front.
                let (start, link_len) = (uri.as_ptr() as usize - start_of_link, uri.len());
                link.copy_within(start..start + link_len, 0);
                Ok(Polled::Offer { id, link_len })
            }
            Err(error) => Err(PollError::Answer {
                error,
                retry_after: reply.retry_after,
            }),
        }
    }

    /// Reports a status.
    pub(super) async fn report(&mut self, id: &str, status: DeploymentStatus) -> Reported {
        let result = match self.compose_report(id, status) {
            Ok(request) => self.call(request, &mut [0; ERROR_LEN]).await,
            Err(error) => Err(CallError::Encode(error)),
        };
        let reported = self.reported(result, status::answer, status.as_str());
        self.device.observe(Event::Status {
            status,
            stored: reported == Reported::Stored,
        });
        reported
    }

    fn compose_report(&mut self, id: &str, status: DeploymentStatus) -> Result<Request<'static>, EncodeError> {
        let path_len = status::path(self.body, id)?.len();
        let rest = self.body.get_mut(path_len..).unwrap_or(&mut []);
        let body_len = status::body(rest, status, None)?.len();
        Ok(Request {
            method: Method::Put,
            path: Text::Buffer {
                start: 0,
                len: path_len,
            },
            body: Some(Text::Buffer {
                start: path_len,
                len: body_len,
            }),
        })
    }

    /// Uploads a deployment log that has been written.
    pub(super) async fn upload_log(&mut self, id: &str, body: &[u8]) -> Reported {
        let result = match log::path(self.body, id).map(str::len) {
            Ok(path_len) => {
                let request = Request {
                    method: Method::Put,
                    path: Text::Buffer {
                        start: 0,
                        len: path_len,
                    },
                    body: Some(Text::Elsewhere(body)),
                };
                self.call(request, &mut [0; ERROR_LEN]).await
            }
            Err(error) => Err(CallError::Encode(error)),
        };
        self.reported(result, log::answer, "log")
    }

    fn reported(
        &self,
        result: Result<Reply, CallError>,
        answer: impl FnOnce(u16) -> ReportAnswer,
        what: &str,
    ) -> Reported {
        let reply = match result {
            Ok(reply) => reply,
            Err(error) => {
                warning!("{what} could not be reported: {error}");
                return match error {
                    // A buffer that is too short stays so.
                    CallError::Encode(_) => Reported::Refused,
                    CallError::Connect
                    | CallError::Timeout
                    | CallError::Http(_)
                    | CallError::Refused { .. }
                    | CallError::Key(_) => Reported::Later {
                        retry_after: error.retry_after(),
                    },
                };
            }
        };
        match answer(reply.status) {
            ReportAnswer::Stored => Reported::Stored,
            ReportAnswer::Aborted | ReportAnswer::Unknown => {
                warning!(
                    "{what}: the server answered {}: deployment aborted or unknown",
                    reply.status
                );
                Reported::Unwanted
            }
            ReportAnswer::Refused { status } => {
                warning!("{what}: the server refuses it for good (status {status})");
                Reported::Refused
            }
            ReportAnswer::Unauthorized
            | ReportAnswer::Forbidden
            | ReportAnswer::RateLimited
            | ReportAnswer::RetryLater { .. } => {
                warning!("{what}: the server answered {}", reply.status);
                Reported::Later {
                    retry_after: reply.retry_after,
                }
            }
        }
    }

    /// Sends the inventory.
    pub(super) async fn send_inventory(&mut self, method: inventory::Method) -> Result<InventorySent, CallError> {
        let mut writer = InventoryWriter::new(self.body).map_err(CallError::Encode)?;
        let mut report = Inventory::new(&mut writer);
        if method == inventory::Method::Put {
            let bytes = self.installed.get(..self.installed_len).unwrap_or(&[]);
            let provides = crate::provides::Provides::from_bytes(bytes).unwrap_or_default();
            if provides.artifact_name().is_none() {
                report.text(crate::provides::ARTIFACT_NAME, self.config.artifact_name);
            }
            for (key, value) in provides {
                report.text(key, value);
            }
            report.text("device_type", self.config.device_type);
            report.text("mender_client", CLIENT_NAME);
            report.text("mender_client_version", env!("CARGO_PKG_VERSION"));
            self.device.static_inventory(&mut report);
        }
        self.device.dynamic_inventory(&mut report);
        if let Some(error) = report.into_error() {
            warning!("the inventory is not complete: {error}");
        }
        let attributes = writer.len();
        if attributes == 0 {
            return Ok(InventorySent::Nothing);
        }
        let body_len = writer.finish().len();
        let request = Request {
            method: match method {
                inventory::Method::Put => Method::Put,
                inventory::Method::Patch => Method::Patch,
            },
            path: Text::Elsewhere(inventory::PATH.as_bytes()),
            body: Some(Text::Buffer {
                start: 0,
                len: body_len,
            }),
        };
        let reply = self.call(request, &mut [0; ERROR_LEN]).await?;
        if (200..300).contains(&reply.status) {
            info!("inventory sent: {attributes} attributes");
            self.device.observe(Event::InventorySent { attributes });
            return Ok(InventorySent::Taken);
        }
        warning!("the server does not take the inventory (status {})", reply.status);
        Ok(match Class::of(reply.status) {
            Class::GiveUp | Class::Forbidden => InventorySent::Refused,
            Class::Success
            | Class::Reauthenticate
            | Class::NotFound
            | Class::Conflict
            | Class::RateLimited
            | Class::RetryLater => InventorySent::Later {
                retry_after: reply.retry_after,
            },
        })
    }
}

/// What became of an inventory report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InventorySent {
    Taken,
    /// There was nothing to send.
    Nothing,
    /// The server will never take this report.
    Refused,
    /// Not now.
    Later {
        retry_after: Option<Duration>,
    },
}

/// Enough of an error's body to keep the connection usable.
const ERROR_LEN: usize = 192;
