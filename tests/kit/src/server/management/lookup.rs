//! What lists of deployments are asked for: the query parameters, and which of them are wrong (spec of the management
//! API, section 5).

use crate::server::deployments::{Deployment, DeviceDeployment, Kind, Progress};
use crate::server::error::ApiError;
use crate::server::http::Request;
use crate::server::status::Status;

/// Version of the API, which decides how names are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `search`: a part of a name.
    V1,
    /// `id` and `name`: exact, any of several.
    V2,
}

/// Which deployments a list has, and in which order.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    status: Option<Wanted>,
    kind: Option<&'static str>,
    created_after: Option<i64>,
    created_before: Option<i64>,
    search: Option<String>,
    ids: Vec<String>,
    names: Vec<String>,
    pub(super) oldest_first: bool,
}

/// The status of a deployment in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Pending,
    InProgress,
    Finished,
    /// No progress of its own: aborted ones are finished too.
    Aborted,
}

fn bad(why: String) -> ApiError {
    ApiError::new(400, why)
}

impl Lookup {
    pub(super) fn of(request: &Request, version: Version) -> Result<Self, ApiError> {
        // An empty parameter is as good as none.
        let value = |name: &str| request.query_value(name).filter(|value| !value.is_empty());
        let secs = |name: &str| match value(name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                bad(format!(
                    "timestamp parsing failed for {name} parameter: invalid timestamp: {text}"
                ))
            }),
        };
        Ok(Self {
            created_before: secs("created_before")?,
            created_after: secs("created_after")?,
            oldest_first: match value("sort").map(|word| word.to_ascii_lowercase()).as_deref() {
                Some("asc") => true,
                Some("desc") | None => false,
                Some(_) => return Err(bad("invalid sort direction".to_owned())),
            },
            status: match value("status").as_deref() {
                None => None,
                Some("pending") => Some(Wanted::Pending),
                Some("inprogress") => Some(Wanted::InProgress),
                Some("finished") => Some(Wanted::Finished),
                Some("aborted") => Some(Wanted::Aborted),
                Some(other) => return Err(bad(format!("unknown status {other}"))),
            },
            kind: match value("type").as_deref() {
                None => None,
                Some("software") => Some("software"),
                Some("configuration") => Some("configuration"),
                Some(other) => return Err(bad(format!("unknown deployment type {other}"))),
            },
            search: value("search").filter(|_| version == Version::V1),
            ids: match version {
                Version::V1 => Vec::new(),
                Version::V2 => request.query_values("id"),
            },
            names: match version {
                Version::V1 => Vec::new(),
                Version::V2 => request.query_values("name"),
            },
        })
    }

    pub(super) fn fits(&self, known: &Deployment) -> bool {
        let created = known.created.unix_secs() as i64;
        let has_status = match self.status {
            None => true,
            Some(Wanted::Aborted) => known.aborted.is_some(),
            Some(Wanted::Pending) => known.progress() == Progress::Pending,
            Some(Wanted::InProgress) => known.progress() == Progress::InProgress,
            Some(Wanted::Finished) => known.progress() == Progress::Finished,
        };
        let is_one_of = |list: &[String], text: &str| list.is_empty() || list.iter().any(|one| one == text);
        let contains = |word: &String| known.name.contains(word) || known.artifact_name.contains(word);
        has_status
            && self.kind.is_none_or(|kind| kind == kind_word(&known.kind))
            && self.created_after.is_none_or(|secs| created >= secs)
            && self.created_before.is_none_or(|secs| created <= secs)
            && self.search.as_ref().is_none_or(contains)
            && is_one_of(&self.ids, known.id.as_str())
            && is_one_of(&self.names, &known.name)
    }
}

fn kind_word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Software => "software",
        Kind::Configuration(_) => "configuration",
    }
}

/// Which devices a list of a deployment has, or which deployments a list of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceStatus {
    Any,
    Active,
    Finished,
    /// Stopped before a step by update control.
    Paused,
    Is(Status),
}

impl DeviceStatus {
    pub(super) fn of(request: &Request) -> Result<Self, ApiError> {
        match request.query_value("status").as_deref() {
            None | Some("") => Ok(Self::Any),
            Some("active") => Ok(Self::Active),
            Some("finished") => Ok(Self::Finished),
            Some("pause") => Ok(Self::Paused),
            Some(word) => Status::from_word(word)
                .map(Self::Is)
                .ok_or_else(|| bad("invalid status value".to_owned())),
        }
    }

    pub(super) fn fits(self, on_device: &DeviceDeployment) -> bool {
        match self {
            Self::Any => true,
            Self::Active => !on_device.status.is_final(),
            Self::Finished => on_device.status.is_final(),
            Self::Paused => match on_device.status {
                Status::PauseBeforeInstalling | Status::PauseBeforeRebooting | Status::PauseBeforeCommitting => true,
                Status::Pending
                | Status::Downloading
                | Status::Installing
                | Status::Rebooting
                | Status::Success
                | Status::Failure
                | Status::AlreadyInstalled
                | Status::NoArtifact
                | Status::Aborted
                | Status::Decommissioned => false,
            },
            Self::Is(status) => on_device.status == status,
        }
    }
}
