//! What devices report about themselves: inventory and configuration (spec of the device API, sections 7 and 8).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::http::{Request, Response};
use super::ids::DeviceId;
use super::json;
use super::time::Time;
use super::{Server, check_json_body};

/// Most inventory attributes of a device.
const ATTRIBUTES_MAX: usize = 100;
/// Longest name of an attribute, in bytes.
const ATTRIBUTE_NAME_MAX: usize = 1024;
/// Most entries of a reported configuration.
const CONFIGURATION_MAX: usize = 100;
/// Longest key and longest value of a reported configuration, in bytes.
const CONFIGURATION_TEXT_MAX: usize = 4096;

/// One inventory attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// A string, a number, or an array of only strings or only numbers.
    pub value: Value,
    /// What it means, when the device said so.
    pub description: Option<String>,
}

/// The inventory of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) updated: Option<Time>,
    pub(crate) reports: usize,
}

impl Inventory {
    /// The attributes by name.
    pub fn attributes(&self) -> &BTreeMap<String, Attribute> {
        &self.attributes
    }

    /// The value of an attribute.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.attributes.get(name).map(|attribute| &attribute.value)
    }

    /// When a value changed for the last time, or when the first report of the last day with reports came.
    pub fn updated(&self) -> Option<Time> {
        self.updated
    }

    /// How many reports were taken.
    pub fn report_count(&self) -> usize {
        self.reports
    }
}

/// What operators have noted about a device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tags {
    pub(crate) attributes: BTreeMap<String, (Attribute, Time)>,
    /// Changes with each write.
    pub(crate) etag: String,
}

/// Configuration of one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    pub(crate) configured: Map<String, Value>,
    pub(crate) reported: Map<String, Value>,
    pub(crate) updated: Option<Time>,
    pub(crate) reported_at: Option<Time>,
    pub(crate) deployment: Option<super::DeploymentId>,
}

fn is_valid_value(value: &Value) -> bool {
    match value {
        Value::String(_) | Value::Number(_) => true,
        Value::Array(list) => list.iter().all(Value::is_string) || list.iter().all(Value::is_number),
        Value::Null | Value::Bool(_) | Value::Object(_) => false,
    }
}

/// A list of attributes.
pub(crate) fn read_attributes(body: &[u8]) -> Result<Vec<(String, Attribute)>, String> {
    let undecodable = |why: String| format!("failed to decode request body: {why}");
    let list = match json::read(body).map_err(undecodable)? {
        Value::Array(list) => list,
        _ => {
            return Err(undecodable(
                "json: cannot unmarshal into a list of attributes".to_owned(),
            ));
        }
    };
    let mut attributes = Vec::new();
    for item in &list {
        let object = item
            .as_object()
            .ok_or_else(|| undecodable("an attribute is not an object".to_owned()))?;
        let name = json::string(object, "name").map_err(undecodable)?;
        if name.is_empty() {
            return Err("name: cannot be blank.".to_owned());
        }
        if name.len() > ATTRIBUTE_NAME_MAX {
            return Err("name: the length must be no more than 1024.".to_owned());
        }
        let value = json::get(object, "value")
            .filter(|value| is_valid_value(value))
            .map(json::normal);
        let value = value.ok_or_else(|| {
            format!("attribute {name}: the value must be a string, a number, or an array of only one of them")
        })?;
        let description = json::string(object, "description").map_err(undecodable)?;
        let description = (!description.is_empty()).then_some(description);
        attributes.push((name, Attribute { value, description }));
    }
    Ok(attributes)
}

impl Server {
    /// `PUT` replaces the attributes, `PATCH` adds to them.
    pub(super) fn write_inventory(
        &mut self,
        request: &Request,
        device: &DeviceId,
        now: Time,
    ) -> Result<Response, ApiError> {
        check_json_body(request)?;
        let sent = read_attributes(&request.body).map_err(|why| ApiError::new(400, why))?;
        let inventory = self.inventories.entry(device.clone()).or_default();
        let replace = request.method == "PUT";
        let count = if replace {
            sent.len()
        } else {
            let known = inventory.attributes.keys().map(String::as_str);
            known
                .chain(sent.iter().map(|(name, _)| name.as_str()))
                .collect::<BTreeSet<_>>()
                .len()
        };
        if count > ATTRIBUTES_MAX {
            return Err(ApiError::new(
                400,
                "the number of attributes in the scope is above the limit",
            ));
        }
        let mut attributes = if replace {
            BTreeMap::new()
        } else {
            inventory.attributes.clone()
        };
        attributes.extend(sent);
        let same_day = inventory
            .updated
            .is_some_and(|before| before.unix_days() == now.unix_days());
        if attributes != inventory.attributes || !same_day {
            inventory.attributes = attributes;
            inventory.updated = Some(now);
        }
        inventory.reports += 1;
        Ok(Response::empty(200))
    }

    /// `GET` of the configuration the device shall have.
    pub(super) fn get_configuration(&self, device: &DeviceId) -> Result<Response, ApiError> {
        match self.configurations.get(device) {
            Some(known) => Ok(Response::json(200, &Value::Object(known.configured.clone()))),
            None => Err(ApiError::new(404, "device does not exist")),
        }
    }

    /// `PUT` of the configuration the device has. No check of the content type here, as in the real server.
    pub(super) fn put_reported_configuration(
        &mut self,
        request: &Request,
        device: &DeviceId,
        now: Time,
    ) -> Result<Response, ApiError> {
        let reported = read_configuration(&request.body)?;
        let known = self.configurations.entry(device.clone()).or_default();
        known.reported = reported;
        known.reported_at = Some(now);
        Ok(Response::empty(204))
    }
}

/// An object of strings.
pub(super) fn read_configuration(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let malformed = |why: &str| ApiError::new(400, format!("malformed request body: {why}"));
    let object = match json::read(body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(malformed("json: cannot unmarshal into a map")),
        Err(why) => return Err(malformed(&why)),
    };
    for (key, value) in &object {
        let text = value
            .as_str()
            .ok_or_else(|| malformed(&format!("the value of {key} is not a string")))?;
        if key.is_empty() || key.len() > CONFIGURATION_TEXT_MAX || text.len() > CONFIGURATION_TEXT_MAX {
            return Err(ApiError::new(
                400,
                format!("{key}: the length must be between 1 and {CONFIGURATION_TEXT_MAX}."),
            ));
        }
    }
    if object.len() > CONFIGURATION_MAX {
        // Noticed only by the database of the real server.
        return Err(ApiError::new(500, ""));
    }
    Ok(object)
}

impl Configuration {
    /// The object of the management API.
    pub(crate) fn to_json(&self, device: &DeviceId) -> Value {
        let mut object = json!({"id": device.as_str(), "configured": self.configured, "reported": self.reported});
        if let Some(time) = self.updated {
            object["updated_ts"] = json!(time.to_string());
        }
        if let Some(time) = self.reported_at {
            object["reported_ts"] = json!(time.to_string());
        }
        if let Some(deployment) = &self.deployment {
            object["deployment_id"] = json!(deployment.as_str());
        }
        object
    }
}
