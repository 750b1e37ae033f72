//! A simulated Mender server, **for tests, demos and development only**: it keeps everything in memory, speaks no TLS,
//! signs its tokens with a throw-away key and lets itself be told to fail. It is not for production.
//!
//! One pure function does all of it: [`Server::handle`] takes a [`Request`] and the time and gives a [`Response`]. No
//! socket, no thread, no clock and no randomness inside; ids come from a seeded generator, so that a test sees the same
//! bytes on every run. The crate `mender-test-server` puts the same server on a socket.
//!
//! | file | job |
//! |---|---|
//! | `http` | requests, responses, how a response travels |
//! | `auth`, `token`, `keys`, `pem`, `devices` | who a device is and whether it may come in |
//! | `device_routes`, `deployments` | polls, status reports, logs |
//! | `attributes` | inventory and configuration |
//! | `links`, `artifacts`, `artifact_reader`, `releases` | the artifact store and its signed links |
//! | `management` | the API of operators, mender-cli and scripts |
//! | `fault`, `record` | what goes wrong on purpose, what was seen |
//!
//! It follows the code of the real server where that differs from the published OpenAPI text; the comments name the
//! sections of the protocol's specification ("spec of the device API", "spec of the management API"). May depend on the
//! rest of the kit; knows nothing of the client.
//!
//! ```
//! use mender_testkit::artifact::ArtifactWriter;
//! use mender_testkit::server::{Request, Server, Settings, Time};
//!
//! let now = Time::from_unix_secs(1_790_000_000);
//! let mut server = Server::new(Settings::default());
//! let artifact = ArtifactWriter::new("release-2", "board-a").file("fw.bin", b"new firmware").write();
//! server.add_artifact(artifact, now)?;
//!
//! // Without a token there is nothing to see.
//! let poll = "/api/devices/v1/deployments/device/deployments/next?artifact_name=release-1&device_type=board-a";
//! assert_eq!(server.handle(&Request::new("GET", poll), now).status, 401);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artifact_reader;
mod artifacts;
mod attributes;
mod auth;
mod deployments;
mod device_routes;
mod devices;
mod error;
mod fault;
mod http;
mod ids;
mod json;
mod keys;
mod links;
mod management;
mod operator;
mod pem;
mod record;
mod releases;
mod settings;
mod status;
mod time;
mod token;

use std::collections::BTreeMap;

use self::artifacts::Artifacts;
use self::attributes::{Configuration, Tags};
use self::deployments::Deployments;
use self::devices::Devices;
use self::error::ApiError;
use self::fault::Faults;
use self::ids::Random;
use self::keys::LastGood;
use self::links::Links;
use self::releases::Releases;
use self::token::Signer;

pub use self::artifact_reader::{ArtifactError, ArtifactFile, ArtifactInfo};
pub use self::artifacts::{AddArtifactError, Artifact};
pub use self::attributes::{Attribute, Inventory};
pub use self::deployments::{Deployment, DeviceDeployment, Kind, LogMessage, PollData, Progress};
pub use self::devices::{Acceptance, Device};
pub use self::fault::{Effect, Fault};
pub use self::http::{Cut, Encoded, Ending, Endpoint, Filling, Framing, Parsed, Request, Response, WireError};
pub(crate) use self::ids::hex;
pub(crate) use self::json::to_go_string as go_json;

pub use self::ids::{ArtifactId, AuthSetId, DeploymentId, DeviceId};
pub use self::operator::{DeployError, NewDeployment};
pub use self::record::{RequestRecord, StatusReport, Violation};
pub use self::settings::{Mode, Settings};
pub use self::status::Status;
pub use self::time::{Time, Timestamp};

/// The simulated server. See the [module](self) for what it is and is not.
#[derive(Clone, Debug)]
pub struct Server {
    settings: Settings,
    random: Random,
    signer: Signer,
    last_good: LastGood,
    devices: Devices,
    artifacts: Artifacts,
    deployments: Deployments,
    inventories: BTreeMap<DeviceId, Inventory>,
    configurations: BTreeMap<DeviceId, Configuration>,
    groups: BTreeMap<DeviceId, String>,
    tags: BTreeMap<DeviceId, Tags>,
    releases: Releases,
    revoked_user_tokens: Vec<String>,
    links: Links,
    faults: Faults,
    requests: Vec<RequestRecord>,
    violations: Vec<Violation>,
}

impl Server {
    /// An empty server. Its ids start from a fixed seed; see [`with_seed`](Self::with_seed) for another.
    pub fn new(settings: Settings) -> Self {
        Self::with_seed(settings, 0)
    }

    /// An empty server whose ids, tokens and links follow from `seed`.
    pub fn with_seed(settings: Settings, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let signer = Signer::new(&mut random);
        Self {
            settings,
            random,
            signer,
            last_good: LastGood::default(),
            devices: Devices::default(),
            artifacts: Artifacts::default(),
            deployments: Deployments::default(),
            inventories: BTreeMap::new(),
            configurations: BTreeMap::new(),
            groups: BTreeMap::new(),
            tags: BTreeMap::new(),
            releases: Releases::default(),
            revoked_user_tokens: Vec::new(),
            links: Links::default(),
            faults: Faults::default(),
            requests: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Answers one request at the time `now`, which must not run backwards.
    ///
    /// Faults that wait for such a request strike here; what they do to the transport stands in the response
    /// ([`Response::cut`], [`Response::framing`], [`Response::delay`]) and is up to the driver.
    pub fn handle(&mut self, request: &Request, now: Time) -> Response {
        let effects = self.faults.take(request);
        let mut record = RequestRecord {
            time: now,
            endpoint: request.endpoint,
            host: request.header_value("Host").map(str::to_owned),
            method: request.method.clone(),
            target: request.target.clone(),
            device: None,
            range: request.header_value("Range").map(str::to_owned),
            status: None,
            body_len: 0,
        };
        let mut response = if effects.contains(&Effect::LoseRequest) {
            Response {
                cut: Some(Cut::BeforeHead),
                ..Response::empty(503)
            }
        } else {
            let (device, response) = self.answer(request, &effects, now);
            record.device = device;
            record.status = Some(response.status);
            response
        };
        for effect in &effects {
            fault::spoil(&mut response, effect);
        }
        if request.method == "HEAD" {
            response.body.clear();
        }
        record.body_len = response.body.len();
        self.requests.push(record);
        forget_oldest(&mut self.requests, self.settings.record_limit);
        response
    }

    fn answer(&mut self, request: &Request, effects: &[Effect], now: Time) -> (Option<DeviceId>, Response) {
        let request_id = match request.header_value("X-MEN-RequestID") {
            Some(id) if !id.is_empty() => id.to_owned(),
            Some(_) | None => self.random.uuid(),
        };
        if let Some(response) = effects.iter().find_map(|effect| effect.instead(request)) {
            return (self.token_of(request, now), response);
        }
        let (device, answer) = match effects.iter().find_map(refusal) {
            Some(error) => (None, Err(error)),
            None => match request.endpoint {
                Endpoint::Storage => {
                    let ignore_range = effects.contains(&Effect::IgnoreRange);
                    let response = self.handle_storage(request, ignore_range, now);
                    return (None, response.header("Date", now.http_date()));
                }
                Endpoint::Api => self.handle_api(request, now),
            },
        };
        let response = answer.unwrap_or_else(|error| error.into_response(&request_id));
        let response = response.header("X-Men-Requestid", request_id);
        (device, response.header("Date", now.http_date()))
    }

    fn handle_api(&mut self, request: &Request, now: Time) -> (Option<DeviceId>, Result<Response, ApiError>) {
        let path = request.path();
        if path.starts_with("/api/devices/") {
            if let Err(error) = check_size(request, self.settings.body_limit) {
                return (None, Err(error));
            }
            self.handle_device(request, now)
        } else if path.starts_with("/api/management/") {
            (None, self.handle_management(request, now))
        } else {
            if path.starts_with("/mender-artifacts/") {
                self.violation(
                    request,
                    now,
                    "a link to the artifact store was sent to the API".to_owned(),
                );
            }
            (None, Err(ApiError::no_route().without_request_id()))
        }
    }

    fn violation(&mut self, request: &Request, now: Time, what: String) {
        let request = format!("{} {}", request.method, request.path());
        self.add_violation(Violation {
            time: now,
            request,
            what,
        });
    }
}

/// Keeps a record from growing without end in a server that runs for long.
fn forget_oldest<T>(records: &mut Vec<T>, limit: usize) {
    if records.len() > limit {
        records.drain(..records.len() - limit);
    }
}

/// The error of a fault that keeps a request from being handled.
fn refusal(effect: &Effect) -> Option<ApiError> {
    match effect {
        Effect::Status(status) => Some(ApiError::new(*status, "injected fault")),
        Effect::BareStatus(status) => Some(ApiError::bare(*status)),
        Effect::TooManyRequests { retry_after_secs } => {
            Some(ApiError::new(429, "too many requests").header("Retry-After", retry_after_secs.to_string()))
        }
        Effect::Answer(_)
        | Effect::Redirect { .. }
        | Effect::StatusOfAnswer(_)
        | Effect::Header(..)
        | Effect::LongHead { .. }
        | Effect::Behind(_)
        | Effect::NoBody
        | Effect::Body(_)
        | Effect::Delay(_)
        | Effect::LoseRequest
        | Effect::LoseAnswer
        | Effect::CutBody { .. }
        | Effect::Chunked { .. }
        | Effect::NoContentLength
        | Effect::IgnoreRange
        | Effect::FlipBit { .. } => None,
    }
}

/// The body limit: 413 when the announced length is above it, 400 when a body of unknown length runs over it.
fn check_size(request: &Request, limit: u64) -> Result<(), ApiError> {
    let too_large = |status| Err(ApiError::new(status, "http: request body too large"));
    match request.announced_len() {
        Some(len) if len > limit => too_large(413),
        None if request.body.len() as u64 > limit => too_large(400),
        Some(_) | None => Ok(()),
    }
}

/// The check of `Content-Type`. It is skipped when no length was announced, as in the real server.
fn check_json_body(request: &Request) -> Result<(), ApiError> {
    if request.announced_len().unwrap_or(0) == 0 {
        return Ok(());
    }
    let header = request.header_value("Content-Type").unwrap_or_default();
    let media_type = header.split(';').next().unwrap_or_default().trim();
    if media_type.is_empty() || media_type.contains(char::is_whitespace) {
        Err(ApiError::new(
            400,
            "Invalid value for Content-Type header: mime: no media type",
        ))
    } else if media_type.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ApiError::new(415, "Bad Content-Type, expected 'application/json'"))
    }
}
