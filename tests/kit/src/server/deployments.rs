//! Deployments and how they come to a device (spec of the device API, sections 4 to 6).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::artifacts::Artifacts;
use super::ids::{ArtifactId, DeploymentId, DeviceId};
use super::record::StatusReport;
use super::status::Status;
use super::time::{Time, Timestamp};

/// Status of a whole deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// No device has started.
    Pending,
    /// Some device has started, not all are done.
    InProgress,
    /// All devices are done, or it was aborted.
    Finished,
}

impl Progress {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "inprogress",
            Self::Finished => "finished",
        }
    }
}

/// What a device says about itself when it polls. It must stay the same while a deployment is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollData {
    /// The artifact the device runs.
    pub artifact_name: String,
    /// Its device type.
    pub device_type: String,
    /// Further provides; `None` when none were sent.
    pub provides: Option<BTreeMap<String, String>>,
}

/// One line of an uploaded deployment log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogMessage {
    /// When the device wrote it.
    pub timestamp: Timestamp,
    /// `error`, `warning`, ...; the text is free.
    pub level: String,
    /// The message.
    pub message: String,
}

/// A deployment on one device. It exists from the device's first poll on.
#[derive(Clone, Debug)]
pub struct DeviceDeployment {
    /// Present status.
    pub status: Status,
    /// The last sub-state that was sent with a new status.
    pub substate: String,
    /// When the device left `pending`.
    pub started: Option<Time>,
    /// When it came to a final status.
    pub finished: Option<Time>,
    /// What the first poll said.
    pub poll: Option<PollData>,
    /// The artifact chosen for the device.
    pub artifact: Option<ArtifactId>,
    /// The last uploaded log.
    pub log: Option<Vec<LogMessage>>,
    /// All status reports that the server took, in their order; repeated ones too.
    pub reports: Vec<StatusReport>,
    pub(crate) hidden: bool,
}

impl DeviceDeployment {
    fn new() -> Self {
        Self {
            status: Status::Pending,
            substate: String::new(),
            started: None,
            finished: None,
            poll: None,
            artifact: None,
            log: None,
            reports: Vec::new(),
            hidden: false,
        }
    }

    fn set(&mut self, status: Status, now: Time) {
        if self.status == Status::Pending && status != Status::Pending {
            self.started = self.started.or(Some(now));
        }
        self.finished = status.is_final().then_some(now);
        self.status = status;
    }

    /// The reported statuses in their order, immediate repetitions left out.
    pub fn statuses(&self) -> Vec<Status> {
        let mut statuses: Vec<_> = self.reports.iter().map(|report| report.status).collect();
        statuses.dedup();
        statuses
    }
}

/// What a deployment brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// An artifact.
    Software,
    /// A configuration; the server makes the artifact when it is downloaded.
    Configuration(Map<String, Value>),
}

/// How the devices of a deployment were named when it was made. They are a fixed list all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// One by one.
    Devices,
    /// All of a group.
    Group(String),
    /// All that were accepted.
    AllDevices,
}

/// A deployment.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub(crate) id: DeploymentId,
    pub(crate) name: String,
    pub(crate) artifact_name: String,
    pub(crate) target: Vec<DeviceId>,
    pub(crate) force: bool,
    pub(crate) selection: Selection,
    /// The group it was made for, or that of its only device.
    pub(crate) group: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) created: Time,
    pub(crate) aborted: Option<Time>,
    pub(crate) devices: BTreeMap<DeviceId, DeviceDeployment>,
    /// All artifacts of the name, whether or not a device was given them.
    pub(crate) artifacts: Vec<ArtifactId>,
    pub(crate) total_len: u64,
}

impl Deployment {
    /// Its id.
    pub fn id(&self) -> &DeploymentId {
        &self.id
    }

    /// Name of the artifact it brings.
    pub fn artifact_name(&self) -> &str {
        &self.artifact_name
    }

    /// What it brings.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The deployment on one device; `None` before its first poll.
    pub fn device(&self, device: &DeviceId) -> Option<&DeviceDeployment> {
        self.devices.get(device)
    }

    /// The devices that have polled.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &DeviceDeployment)> {
        self.devices.iter()
    }

    /// How many devices have this status. Devices that have not polled yet count as pending.
    pub fn count(&self, status: Status) -> usize {
        let known = self.devices.values().filter(|device| device.status == status).count();
        if status == Status::Pending && self.aborted.is_none() {
            known + self.target.len().saturating_sub(self.devices.len())
        } else {
            known
        }
    }

    /// Status of the whole.
    pub fn progress(&self) -> Progress {
        let done = self.devices.values().filter(|device| device.status.is_final()).count();
        if self.aborted.is_some() || done >= self.target.len() {
            Progress::Finished
        } else if self.devices.values().any(|device| device.status != Status::Pending) {
            Progress::InProgress
        } else {
            Progress::Pending
        }
    }

    /// When it came to its end.
    pub(crate) fn finished(&self) -> Option<Time> {
        match self.progress() {
            Progress::Finished => self
                .aborted
                .or_else(|| self.devices.values().filter_map(|device| device.finished).max()),
            Progress::Pending | Progress::InProgress => None,
        }
    }

    pub(crate) fn statistics(&self) -> Value {
        Value::Object(
            Status::ALL
                .into_iter()
                .map(|s| (s.as_str().to_owned(), json!(self.count(s))))
                .collect(),
        )
    }

    pub(crate) fn to_json(&self) -> Value {
        let ids: Vec<_> = self.target.iter().map(DeviceId::as_str).collect();
        let term = match &self.selection {
            Selection::Devices => json!({"scope": "identity", "attribute": "id", "type": "$in", "value": ids}),
            Selection::Group(name) => json!({"scope": "system", "attribute": "group", "type": "$eq", "value": name}),
            Selection::AllDevices => {
                json!({"scope": "identity", "attribute": "status", "type": "$eq", "value": "accepted"})
            }
        };
        let artifacts: Vec<_> = self.artifacts.iter().map(ArtifactId::as_str).collect();
        let mut object = json!({
            "name": self.name,
            "artifact_name": self.artifact_name,
            "created": self.created.to_string(),
            "id": self.id.as_str(),
            "artifacts": artifacts,
            "statistics": {"status": self.statistics(), "total_size": self.total_len},
            "status": self.progress().as_str(),
            "device_count": self.devices.len(),
            "max_devices": self.target.len(),
            "filter": {"id": "", "name": "", "terms": [term]},
            "type": match self.kind {
                Kind::Software => "software",
                Kind::Configuration(_) => "configuration",
            },
        });
        if let Some(time) = self.finished() {
            object["finished"] = json!(time.to_string());
        }
        if self.force {
            object["force_installation"] = json!(true);
        }
        if let Some(group) = &self.group {
            object["groups"] = json!([group]);
        }
        object
    }

    pub(crate) fn device_json(&self, id: &DeviceId, device: &DeviceDeployment, artifacts: &Artifacts) -> Value {
        let mut object = json!({"created": self.created.to_string()});
        if let Some(time) = device.started {
            object["started"] = json!(time.to_string());
        }
        if let Some(time) = device.finished {
            object["finished"] = json!(time.to_string());
        }
        object["status"] = json!(device.status.as_str());
        object["id"] = json!(id.as_str());
        if let Some(artifact) = device.artifact.as_ref().and_then(|artifact| artifacts.get(artifact)) {
            object["image"] = artifact.to_json();
        }
        object["log"] = json!(device.log.is_some());
        if !device.substate.is_empty() {
            object["substate"] = json!(device.substate);
        }
        object
    }

    fn abort(&mut self, now: Time) {
        for device in self.devices.values_mut().filter(|device| !device.status.is_final()) {
            device.set(Status::Aborted, now);
        }
        self.aborted = Some(now);
    }
}

/// What a poll leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    /// The device said something else than before: the deployment has failed for it.
    Conflict,
    /// Do this one; the artifact is `None` for a configuration.
    Install(DeploymentId, Option<ArtifactId>),
}

/// Why a status report was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportError {
    NotFound,
    Aborted,
    Decommissioned,
    /// There was no status in the report.
    NoStatus,
}

/// All deployments, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deployments(Vec<Deployment>);

impl Deployments {
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Deployment> {
        self.0.iter()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Deployment> {
        self.0.iter().find(|deployment| deployment.id.as_str() == id)
    }

    pub(crate) fn add(&mut self, deployment: Deployment) {
        self.0.push(deployment);
    }

    pub(crate) fn device_mut(&mut self, device: &DeviceId, deployment: &str) -> Option<&mut DeviceDeployment> {
        let deployment = self.0.iter_mut().find(|known| known.id.as_str() == deployment)?;
        deployment.devices.get_mut(device)
    }

    /// The deployment a device is to work on, created on its side if need be. Oldest first; never one that is older than
    /// the last one the device has finished.
    fn current(&mut self, device: &DeviceId) -> Option<&mut Deployment> {
        let is_active = |known: &Deployment| known.devices.get(device).is_some_and(|on_it| !on_it.status.is_final());
        let at = self.0.iter().position(is_active).or_else(|| {
            let is_done = |known: &Deployment| {
                known
                    .devices
                    .get(device)
                    .is_some_and(|on_it| on_it.status.is_final() && !on_it.hidden)
            };
            let from = self.0.iter().rposition(is_done).map_or(0, |last| last + 1);
            let is_waiting = |known: &Deployment| {
                known.progress() != Progress::Finished
                    && known.target.contains(device)
                    && !known.devices.contains_key(device)
            };
            self.0.iter().skip(from).position(is_waiting).map(|at| from + at)
        })?;
        self.0.get_mut(at)
    }

    /// Answers a poll. `match_depends`: artifacts are chosen by their depends too.
    pub(crate) fn next(
        &mut self,
        device: &DeviceId,
        poll: PollData,
        artifacts: &Artifacts,
        match_depends: bool,
        now: Time,
    ) -> Next {
        let Some(deployment) = self.current(device) else {
            return Next::Nothing;
        };
        let on_device = deployment
            .devices
            .entry(device.clone())
            .or_insert_with(DeviceDeployment::new);
        match &on_device.poll {
            Some(before) if *before != poll => {
                on_device.set(Status::Failure, now);
                return Next::Conflict;
            }
            Some(_) => {}
            None => on_device.poll = Some(poll.clone()),
        }
        match deployment.kind {
            Kind::Configuration(_) => return Next::Install(deployment.id.clone(), None),
            Kind::Software => {}
        }
        let chosen = match &on_device.artifact {
            Some(artifact) => artifacts.get(artifact),
            None => {
                let empty = BTreeMap::new();
                let provides = match_depends.then(|| poll.provides.as_ref().unwrap_or(&empty));
                artifacts.choose(&deployment.artifact_name, &poll.device_type, provides)
            }
        };
        let Some(artifact) = chosen else {
            on_device.set(Status::NoArtifact, now);
            return Next::Nothing;
        };
        let is_first = on_device.artifact.replace(artifact.id.clone()).is_none();
        if !deployment.force && poll.artifact_name == artifact.info.name && on_device.status == Status::Pending {
            on_device.set(Status::AlreadyInstalled, now);
            return Next::Nothing;
        }
        if is_first {
            deployment.total_len += artifact.info.len;
        }
        Next::Install(deployment.id.clone(), Some(artifact.id.clone()))
    }

    /// Notes an artifact that came while deployments of its name are active: it is one of theirs from now on.
    pub(crate) fn add_artifact(&mut self, name: &str, artifact: &ArtifactId) {
        let active = self.0.iter_mut().filter(|known| known.progress() != Progress::Finished);
        for deployment in active.filter(|known| known.kind == Kind::Software && known.artifact_name == name) {
            deployment.artifacts.push(artifact.clone());
        }
    }

    /// Takes a status report and returns the status before it. A report without a status is found wrong last, since it
    /// is the real server's database that refuses it.
    pub(crate) fn report(
        &mut self,
        device: &DeviceId,
        deployment: &str,
        status: Option<Status>,
        substate: String,
        now: Time,
    ) -> Result<Status, ReportError> {
        let on_device = self.device_mut(device, deployment).ok_or(ReportError::NotFound)?;
        let before = on_device.status;
        match before {
            Status::Aborted => return Err(ReportError::Aborted),
            Status::Decommissioned => return Err(ReportError::Decommissioned),
            Status::Pending
            | Status::Downloading
            | Status::Installing
            | Status::Rebooting
            | Status::PauseBeforeInstalling
            | Status::PauseBeforeRebooting
            | Status::PauseBeforeCommitting
            | Status::Success
            | Status::Failure
            | Status::AlreadyInstalled
            | Status::NoArtifact => {}
        }
        let status = status.ok_or(ReportError::NoStatus)?;
        on_device.reports.push(StatusReport {
            time: now,
            status,
            substate: substate.clone(),
        });
        if before != status {
            on_device.set(status, now);
            // A report without a sub-state leaves the one before it.
            if !substate.is_empty() {
                on_device.substate = substate;
            }
        }
        Ok(before)
    }

    /// Aborts a deployment; `false` when there is none that is still active.
    pub(crate) fn abort(&mut self, id: &str, now: Time) -> bool {
        let active = |known: &&mut Deployment| known.id.as_str() == id && known.progress() != Progress::Finished;
        self.0
            .iter_mut()
            .find(active)
            .map(|deployment| deployment.abort(now))
            .is_some()
    }

    /// Aborts the active deployment of one device, and the one that would come next.
    pub(crate) fn abort_on_device(&mut self, device: &DeviceId, now: Time) {
        while let Some(deployment) = self.current(device) {
            let was_active = deployment.devices.contains_key(device);
            let on_device = deployment
                .devices
                .entry(device.clone())
                .or_insert_with(DeviceDeployment::new);
            on_device.set(Status::Aborted, now);
            if !was_active {
                break;
            }
        }
    }

    /// Notes how the devices of a deployment were named.
    pub(crate) fn set_selection(&mut self, id: &DeploymentId, selection: Selection) {
        if let Some(deployment) = self.0.iter_mut().find(|known| known.id == *id) {
            deployment.selection = selection;
        }
    }

    /// Hides what a device has finished, so that it no longer keeps older deployments away.
    pub(crate) fn hide_history(&mut self, device: &DeviceId) {
        for on_device in self
            .0
            .iter_mut()
            .filter_map(|deployment| deployment.devices.get_mut(device))
        {
            on_device.hidden |= on_device.status.is_final();
        }
    }

    /// Marks everything that is not finished on a device as decommissioned.
    pub(crate) fn decommission(&mut self, device: &DeviceId, now: Time) {
        let active = self.0.iter_mut().filter(|known| known.target.contains(device));
        for deployment in active.filter(|known| known.progress() != Progress::Finished) {
            let on_device = deployment
                .devices
                .entry(device.clone())
                .or_insert_with(DeviceDeployment::new);
            if !on_device.status.is_final() {
                on_device.set(Status::Decommissioned, now);
            }
        }
    }

    /// Whether an artifact is or was used by a deployment.
    pub(crate) fn was_used(&self, artifact: &ArtifactId) -> bool {
        self.0.iter().any(|known| known.artifacts.contains(artifact))
    }

    /// Whether an artifact is used by a deployment that is still active.
    pub(crate) fn is_in_use(&self, artifact: &super::Artifact) -> bool {
        self.0
            .iter()
            .any(|known| known.progress() != Progress::Finished && known.artifacts.contains(&artifact.id))
    }
}
