//! The artifact store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::artifact_reader::{ArtifactError, ArtifactInfo};
use super::ids::{ArtifactId, Random};
use super::json;
use super::time::Time;

/// An uploaded artifact.
#[derive(Clone, Debug)]
pub struct Artifact {
    pub(crate) id: ArtifactId,
    pub(crate) info: ArtifactInfo,
    pub(crate) description: String,
    pub(crate) modified: Time,
    pub(crate) bytes: Arc<[u8]>,
}

impl Artifact {
    /// Its id.
    pub fn id(&self) -> &ArtifactId {
        &self.id
    }

    /// What it says about itself.
    pub fn info(&self) -> &ArtifactInfo {
        &self.info
    }

    /// The object of the management API.
    pub(crate) fn to_json(&self) -> Value {
        let info = &self.info;
        let files: Vec<_> = info
            .files
            .iter()
            .map(|file| {
                json!({
                    "name": file.name,
                    "checksum": file.checksum,
                    "size": file.len,
                    "date": Time::from_unix_secs(file.modified_unix_secs).to_string(),
                })
            })
            .collect();
        let mut update = json!({"type_info": {"type": info.payload_type}, "files": files});
        if let Some(meta_data) = &info.meta_data {
            let meta_data = json::normal_object(meta_data);
            update["metadata"] = Value::Object(meta_data.clone());
            // A list because the real server writes an ordered map of its database; mender-cli decodes that.
            let pairs = meta_data.iter().map(|(key, value)| json!({"Key": key, "Value": value}));
            update["meta_data"] = Value::Array(pairs.collect());
        }
        let mut depends = serde_json::Map::new();
        for (key, values) in &info.depends {
            let value = match values.as_slice() {
                [one] if key != "device_type" => json!(one),
                list => json!(list),
            };
            depends.insert(key.clone(), value);
        }
        let mut object = json!({
            "id": self.id.as_str(),
            "name": info.name,
            "device_types_compatible": info.device_types,
            "info": {"format": "mender", "version": info.version},
            "signed": info.signed,
            "updates": [update],
            "artifact_depends": depends,
            "size": info.len,
            "modified": self.modified.to_string(),
        });
        // What is empty is left out.
        if !self.description.is_empty() {
            object["description"] = json!(self.description);
        }
        if !info.provides.is_empty() {
            object["artifact_provides"] = json!(info.provides);
        }
        if !info.clears.is_empty() {
            object["clears_artifact_provides"] = json!(info.clears);
        }
        object
    }
}

/// Why an artifact was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddArtifactError {
    /// It is not an artifact, or one this server cannot read.
    Invalid(ArtifactError),
    /// One of the same name and the same depends, with a device type in common, is there already.
    Exists(ArtifactId),
    /// That id is taken.
    IdTaken(ArtifactId),
}

impl fmt::Display for AddArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::Exists(_) => write!(f, "an artifact with the same name and depends already exists"),
            Self::IdTaken(id) => write!(f, "an artifact with the id {id} already exists"),
        }
    }
}

impl std::error::Error for AddArtifactError {}

/// All artifacts, in the order of their upload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Artifacts(Vec<Artifact>);

impl Artifacts {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Artifact> {
        self.0.iter()
    }

    pub(crate) fn get(&self, id: &ArtifactId) -> Option<&Artifact> {
        self.0.iter().find(|artifact| artifact.id == *id)
    }

    pub(crate) fn add(
        &mut self,
        bytes: Vec<u8>,
        id: Option<ArtifactId>,
        description: String,
        random: &mut Random,
        now: Time,
    ) -> Result<ArtifactId, AddArtifactError> {
        let info = ArtifactInfo::read(&bytes).map_err(AddArtifactError::Invalid)?;
        if let Some(other) = self.0.iter().find(|other| is_same(&other.info, &info)) {
            return Err(AddArtifactError::Exists(other.id.clone()));
        }
        let id = id.unwrap_or_else(|| random.uuid().into());
        if self.get(&id).is_some() {
            return Err(AddArtifactError::IdTaken(id));
        }
        self.0.push(Artifact {
            id: id.clone(),
            info,
            description,
            modified: now,
            bytes: bytes.into(),
        });
        Ok(id)
    }

    pub(crate) fn remove(&mut self, id: &ArtifactId) -> Option<Artifact> {
        let at = self.0.iter().position(|artifact| artifact.id == *id)?;
        Some(self.0.remove(at))
    }

    pub(crate) fn describe(&mut self, id: &ArtifactId, description: String, now: Time) {
        if let Some(artifact) = self.0.iter_mut().find(|artifact| artifact.id == *id) {
            artifact.description = description;
            artifact.modified = now;
        }
    }

    /// The artifact of that release for a device: the smallest of those that fit. `provides` is given when depends are
    /// to be looked at as well.
    pub(crate) fn choose(
        &self,
        name: &str,
        device_type: &str,
        provides: Option<&BTreeMap<String, String>>,
    ) -> Option<&Artifact> {
        let fits = |artifact: &&Artifact| {
            artifact.info.name == name
                && artifact
                    .info
                    .device_types
                    .iter()
                    .any(|compatible| compatible == device_type)
                && provides.is_none_or(|provides| depends_hold(&artifact.info, provides))
        };
        self.0.iter().filter(fits).min_by_key(|artifact| artifact.info.len)
    }
}

fn depends_hold(info: &ArtifactInfo, provides: &BTreeMap<String, String>) -> bool {
    let others = info.depends.iter().filter(|(key, _)| *key != "device_type");
    others
        .into_iter()
        .all(|(key, values)| provides.get(key).is_some_and(|value| values.contains(value)))
}

/// Same name, a device type in common, and the same other depends.
fn is_same(one: &ArtifactInfo, other: &ArtifactInfo) -> bool {
    let rest = |info: &ArtifactInfo| {
        let mut depends = info.depends.clone();
        depends.remove("device_type");
        depends
    };
    one.name == other.name
        && one
            .device_types
            .iter()
            .any(|device_type| other.device_types.contains(device_type))
        && rest(one) == rest(other)
}
