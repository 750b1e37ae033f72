//! The artifact's header as JSON: `header-info` and `type-info`, written anew.
//!
//! The client keeps what they say, not their text, and keeps `artifact_depends` of both in one list. Of that `artifact_name` and
//! `artifact_group` are header-info's here, and all others type-info's, as `mender-artifact` writes them.

use std::borrow::ToOwned;
use std::string::{String, ToString};
use std::vec::Vec;

use mender::artifact::{Depend, Header};
use mender::update_module::Artifact;
use serde_json::{Map, Value, json};

/// The two texts.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) header_info: String,
    pub(super) type_info: String,
}

impl Texts {
    /// Without a header only name and type are known.
    pub(super) fn of(artifact: &Artifact<'_>, header: Option<&Header<'_>>) -> Texts {
        let mut own_provides = object([("artifact_name", artifact.name.into())]);
        let mut header_info = object([("payloads", json!([{ "type": artifact.payload_type }]))]);
        let mut type_info = object([("type", artifact.payload_type.into())]);
        if let Some(group) = header.and_then(Header::artifact_group) {
            own_provides.insert("artifact_group".into(), group.into());
        }
        header_info.insert("artifact_provides".into(), own_provides.into());
        if let Some(header) = header {
            let (own, others): (Vec<_>, Vec<_>) = header.depends().partition(is_of_header_info);
            let devices = ("device_type", header.device_types().collect());
            let own = own.iter().map(|depend| (depend.key, depend.values().collect()));
            let own = object([devices].into_iter().chain(own));
            header_info.insert("artifact_depends".into(), own.into());

            let depends = object(others.iter().map(|depend| (depend.key, values(depend))));
            let provides = object(header.provides().map(|(key, value)| (key, value.into())));
            for (key, members) in [("artifact_depends", depends), ("artifact_provides", provides)] {
                if !members.is_empty() {
                    type_info.insert(key.into(), members.into());
                }
            }
            if let Some(patterns) = header.clears_provides() {
                type_info.insert("clears_artifact_provides".into(), patterns.collect());
            }
        }
        Texts {
            header_info: Value::from(header_info).to_string(),
            type_info: Value::from(type_info).to_string(),
        }
    }
}

fn object<'k>(members: impl IntoIterator<Item = (&'k str, Value)>) -> Map<String, Value> {
    let members = members.into_iter();
    members.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn is_of_header_info(depend: &Depend<'_>) -> bool {
    matches!(depend.key, "artifact_name" | "artifact_group")
}

/// One value is a string, as `mender-artifact` writes it; none or several are a list.
fn values(depend: &Depend<'_>) -> Value {
    let mut values = depend.values();
    match (values.next(), values.next()) {
        (Some(value), None) => value.into(),
        (_, _) => depend.values().collect(),
    }
}
