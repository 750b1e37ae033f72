//! Releases: what is known of all artifacts of one name (spec of the management API, section 4).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::artifacts::{Artifact, Artifacts};
use super::time::Time;

/// What is kept about a release beside its artifacts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Release {
    pub(crate) tags: Vec<String>,
    pub(crate) notes: String,
    /// When an artifact came or went for the last time.
    modified: Time,
}

/// The releases by name. One is there as long as it has an artifact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Releases(BTreeMap<String, Release>);

impl Releases {
    /// Follows a change of the artifacts of that name.
    pub(crate) fn follow(&mut self, name: &str, artifacts: &Artifacts, now: Time) {
        if artifacts.iter().any(|artifact| artifact.info.name == name) {
            self.0.entry(name.to_owned()).or_default().modified = now;
        } else {
            self.0.remove(name);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Release)> {
        self.0.iter()
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Release> {
        self.0.get_mut(name)
    }

    /// All tags in use, each once.
    pub(crate) fn tags(&self) -> Vec<&str> {
        let mut tags: Vec<_> = self
            .0
            .values()
            .flat_map(|known| &known.tags)
            .map(String::as_str)
            .collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }
}

impl Release {
    /// The object of version 2 of the API.
    pub(crate) fn to_json(&self, name: &str, artifacts: &[&Artifact]) -> Value {
        json!({
            "name": name,
            "modified": self.modified.to_string(),
            "tags": self.tags,
            "notes": self.notes,
            "artifacts": artifacts.iter().map(|artifact| artifact.to_json()).collect::<Vec<_>>(),
            "artifacts_count": artifacts.len(),
        })
    }

    /// The object of version 1, which spells some members with capitals.
    pub(crate) fn to_json_v1(&self, name: &str, artifacts: &[&Artifact]) -> Value {
        json!({
            "Name": name,
            "Modified": self.modified.to_string(),
            "Artifacts": artifacts.iter().map(|artifact| artifact.to_json()).collect::<Vec<_>>(),
            "ArtifactsCount": artifacts.len(),
            "tags": self.tags,
            "notes": self.notes,
        })
    }
}
