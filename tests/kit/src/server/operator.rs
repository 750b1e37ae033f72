//! The server from the side of a test: what an operator would do, and what there is to look at.

use std::fmt;

use serde_json::{Map, Value};

use super::attributes::Configuration;
use super::deployments::{Deployment, DeviceDeployment, Kind, Progress, Selection};
use super::devices::{Acceptance, Device};
use super::ids::{ArtifactId, AuthSetId, DeploymentId, DeviceId};
use super::record::{RequestRecord, Violation};
use super::settings::Settings;
use super::time::Time;
use super::token::Signer;
use super::{AddArtifactError, Artifact, Endpoint, Fault, Inventory, Server, forget_oldest};

/// A deployment that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeployment {
    /// Its name, for people.
    pub name: String,
    /// The artifact to install; one of that name must be stored.
    pub artifact_name: String,
    /// The devices. They need not exist yet.
    pub devices: Vec<DeviceId>,
    /// Whether devices that have the artifact already install it again.
    pub force_installation: bool,
    /// The group it was made for.
    pub group: Option<String>,
}

/// Why a deployment was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeployError {
    /// No artifact of that name is stored; upload one first.
    NoArtifact(String),
    /// The list of devices is empty.
    NoDevices,
    /// There is an active deployment that is the same in all points; abort it or wait for its end.
    Exists(DeploymentId),
}

impl fmt::Display for DeployError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoArtifact(_) => write!(f, "No artifact for the deployment"),
            Self::NoDevices => write!(f, "No devices for the deployment"),
            Self::Exists(_) => write!(
                f,
                "Invalid deployment definition: there is already an active deployment with the same parameters"
            ),
        }
    }
}

impl std::error::Error for DeployError {}

impl Server {
    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings, to change them while the server runs.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Which of the server's addresses a host and port are, by the settings' URLs; `None` when there is nobody
    /// at home. For in-process connectors, which are asked to connect to somewhere.
    pub fn endpoint_at(&self, host: &str, port: u16) -> Option<Endpoint> {
        let is = |url: &str| {
            let (scheme, authority) = url.split_once("://").unwrap_or(("http", url));
            let default_port = if scheme == "https" { 443 } else { 80 };
            let (known, known_port) = match authority.rsplit_once(':') {
                Some((known, digits)) if !digits.ends_with(']') => (known, digits.parse().ok()),
                Some(_) | None => (authority, Some(default_port)),
            };
            known.eq_ignore_ascii_case(host) && known_port == Some(port)
        };
        let is_one = |url: &str, more: &[String]| is(url) || more.iter().any(|url| is(url));
        if is_one(&self.settings.api_url, &self.settings.more_api_urls) {
            Some(Endpoint::Api)
        } else if is_one(&self.settings.storage_url, &self.settings.more_storage_urls) {
            Some(Endpoint::Storage)
        } else {
            None
        }
    }

    /// Lets something go wrong. Faults that fit the same request all strike.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Takes back all faults.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// All devices, whatever their status.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter()
    }

    /// A device.
    pub fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.devices.get(id)
    }

    /// The device whose identity has this attribute.
    pub fn find_device(&self, attribute: &str, value: &str) -> Option<&Device> {
        self.devices
            .iter()
            .find(|device| device.identity.get(attribute).and_then(Value::as_str) == Some(value))
    }

    /// The devices that wait for an operator: those with a pending key, also when another key of theirs is accepted.
    pub fn pending_devices(&self) -> Vec<DeviceId> {
        let waits = |device: &&Device| device.auth_sets.iter().any(|set| set.acceptance == Acceptance::Pending);
        self.devices
            .iter()
            .filter(waits)
            .map(|device| device.id.clone())
            .collect()
    }

    /// Accepts a device: its newest pending key, or its newest rejected one when none is accepted. A key accepted before
    /// is rejected. `false` when there is nothing to accept.
    pub fn accept_device(&mut self, device: &DeviceId, now: Time) -> bool {
        match self.devices.to_be_accepted(device) {
            Some(auth_set) => self.set_acceptance(device, &auth_set, Acceptance::Accepted, now),
            None => false,
        }
    }

    /// Rejects all keys of a device; its tokens are refused from now on. `false` when the device is not known.
    pub fn reject_device(&mut self, device: &DeviceId, now: Time) -> bool {
        let Some(known) = self.devices.get(device) else {
            return false;
        };
        let sets: Vec<_> = known.auth_sets.iter().map(|set| set.id.clone()).collect();
        sets.iter()
            .all(|set| self.set_acceptance(device, set, Acceptance::Rejected, now))
    }

    /// Sets the status of one key of a device.
    pub(super) fn set_acceptance(
        &mut self,
        device: &DeviceId,
        auth_set: &AuthSetId,
        acceptance: Acceptance,
        now: Time,
    ) -> bool {
        let known = self.devices.set_acceptance(device, auth_set, acceptance, now);
        if known && acceptance == Acceptance::Accepted && self.settings.provision_at_once {
            self.provision(device);
        }
        known
    }

    /// Makes the configuration service know a device; see [`Settings::provision_at_once`].
    pub fn provision(&mut self, device: &DeviceId) {
        self.configurations.entry(device.clone()).or_default();
    }

    /// Forgets a device. Its tokens are refused, its deployments end as decommissioned, and a later authentication
    /// request makes a new device. `false` when it is not known.
    pub fn decommission(&mut self, device: &DeviceId, now: Time) -> bool {
        self.deployments.decommission(device, now);
        self.inventories.remove(device);
        self.configurations.remove(device);
        self.groups.remove(device);
        self.tags.remove(device);
        self.devices.remove(device).is_some()
    }

    /// Makes all tokens of devices and users, and all links to configurations, invalid.
    pub fn revoke_all_tokens(&mut self) {
        self.signer = Signer::new(&mut self.random);
    }

    /// Stores an artifact.
    ///
    /// # Errors
    /// [`AddArtifactError`] when the bytes are no artifact or the same one is there already.
    pub fn add_artifact(&mut self, bytes: Vec<u8>, now: Time) -> Result<ArtifactId, AddArtifactError> {
        self.store_artifact(bytes, None, String::new(), now)
    }

    /// Stores an artifact under that id, if one is given.
    pub(super) fn store_artifact(
        &mut self,
        bytes: Vec<u8>,
        id: Option<ArtifactId>,
        description: String,
        now: Time,
    ) -> Result<ArtifactId, AddArtifactError> {
        let id = self.artifacts.add(bytes, id, description, &mut self.random, now)?;
        if let Some(artifact) = self.artifacts.get(&id) {
            let name = &artifact.info.name;
            self.deployments.add_artifact(name, &id);
            self.releases.follow(name, &self.artifacts, now);
        }
        Ok(id)
    }

    /// Forgets an artifact, and with the last one of its name the release.
    pub(super) fn remove_artifact(&mut self, id: &ArtifactId, now: Time) {
        if let Some(artifact) = self.artifacts.remove(id) {
            self.releases.follow(&artifact.info.name, &self.artifacts, now);
        }
    }

    /// All artifacts, in the order of their upload.
    pub fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter()
    }

    /// An artifact.
    pub fn artifact(&self, id: &ArtifactId) -> Option<&Artifact> {
        self.artifacts.get(id)
    }

    /// Deploys an artifact to some devices.
    ///
    /// # Errors
    /// [`DeployError`] when there is no such artifact, no device, or the very same deployment is active.
    pub fn deploy(
        &mut self,
        artifact_name: &str,
        devices: &[DeviceId],
        now: Time,
    ) -> Result<DeploymentId, DeployError> {
        let new = NewDeployment {
            name: artifact_name.to_owned(),
            artifact_name: artifact_name.to_owned(),
            devices: devices.to_vec(),
            force_installation: false,
            group: None,
        };
        self.create_deployment(new, now)
    }

    /// Makes a deployment.
    ///
    /// # Errors
    /// [`DeployError`] when there is no such artifact, no device, or the very same deployment is active.
    pub fn create_deployment(&mut self, new: NewDeployment, now: Time) -> Result<DeploymentId, DeployError> {
        if new.devices.is_empty() {
            return Err(DeployError::NoDevices);
        }
        if !self
            .artifacts
            .iter()
            .any(|artifact| artifact.info.name == new.artifact_name)
        {
            return Err(DeployError::NoArtifact(new.artifact_name));
        }
        let same = self.deployments.iter().find(|known| {
            known.progress() != Progress::Finished
                && known.name == new.name
                && known.artifact_name == new.artifact_name
                && known.target == new.devices
                && known.force == new.force_installation
        });
        if let Some(known) = same {
            return Err(DeployError::Exists(known.id.clone()));
        }
        let id = DeploymentId::from(self.random.uuid());
        Ok(self.store_deployment(id, new, Kind::Software, now))
    }

    fn store_deployment(&mut self, id: DeploymentId, new: NewDeployment, kind: Kind, now: Time) -> DeploymentId {
        let mut target = new.devices;
        let mut seen = std::collections::BTreeSet::new();
        target.retain(|device| seen.insert(device.clone()));
        let group_of_one = match target.as_slice() {
            [only] => self.groups.get(only).cloned(),
            _ => None,
        };
        let of_name = self
            .artifacts
            .iter()
            .filter(|artifact| kind == Kind::Software && artifact.info.name == new.artifact_name);
        let artifacts = of_name.map(|artifact| artifact.id.clone()).collect();
        self.deployments.add(Deployment {
            id: id.clone(),
            name: new.name,
            artifact_name: new.artifact_name,
            target,
            force: new.force_installation,
            selection: match &new.group {
                Some(name) => Selection::Group(name.clone()),
                None => Selection::Devices,
            },
            group: new.group.or(group_of_one),
            kind,
            created: now,
            aborted: None,
            devices: std::collections::BTreeMap::new(),
            artifacts,
            total_len: 0,
        });
        id
    }

    /// Sets the configuration a device shall have. It learns of it from a deployment or when it asks.
    pub fn set_configuration(&mut self, device: &DeviceId, configuration: Map<String, Value>, now: Time) {
        let known = self.configurations.entry(device.clone()).or_default();
        known.configured = configuration;
        known.updated = Some(now);
    }

    /// The configuration a device has reported; `None` when the configuration service does not know it.
    pub fn reported_configuration(&self, device: &DeviceId) -> Option<&Map<String, Value>> {
        self.configurations.get(device).map(|known| &known.reported)
    }

    /// Deploys the configuration of a device as an artifact of type `mender-configure`.
    pub fn deploy_configuration(&mut self, device: &DeviceId, now: Time) -> DeploymentId {
        let id = DeploymentId::from(self.random.uuid());
        let known: &mut Configuration = self.configurations.entry(device.clone()).or_default();
        known.deployment = Some(id.clone());
        let kind = Kind::Configuration(known.configured.clone());
        let name = format!("configuration-{id}");
        let new = NewDeployment {
            name: name.clone(),
            artifact_name: name,
            devices: vec![device.clone()],
            force_installation: false,
            group: None,
        };
        self.store_deployment(id, new, kind, now)
    }

    /// Aborts a deployment. `false` when it is not known or finished.
    pub fn abort(&mut self, deployment: &DeploymentId, now: Time) -> bool {
        self.deployments.abort(deployment.as_str(), now)
    }

    /// A deployment.
    pub fn deployment(&self, id: &DeploymentId) -> Option<&Deployment> {
        self.deployments.get(id.as_str())
    }

    /// All deployments, oldest first.
    pub fn deployments(&self) -> impl DoubleEndedIterator<Item = &Deployment> {
        self.deployments.iter()
    }

    /// A deployment on one device; `None` before the device's first poll.
    pub fn device_deployment(&self, deployment: &DeploymentId, device: &DeviceId) -> Option<&DeviceDeployment> {
        self.deployment(deployment)?.device(device)
    }

    /// What a device has reported about itself; `None` before its first report.
    pub fn inventory(&self, device: &DeviceId) -> Option<&Inventory> {
        self.inventories.get(device)
    }

    /// All requests since the start or the last [`clear_records`](Self::clear_records), in their order.
    pub fn requests(&self) -> &[RequestRecord] {
        &self.requests
    }

    /// What clients did that well-made clients do not do.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Notes a violation that only the driver can see.
    pub fn add_violation(&mut self, violation: Violation) {
        self.violations.push(violation);
        forget_oldest(&mut self.violations, self.settings.record_limit);
    }

    /// Forgets the requests and violations seen so far; all else stays.
    pub fn clear_records(&mut self) {
        self.requests.clear();
        self.violations.clear();
    }
}
