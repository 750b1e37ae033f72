//! Inventory and groups (spec of the management API, section 6).

use serde_json::{Value, json};

use super::paging::{Page, TooMany};
use super::read_json_body;
use crate::server::Server;
use crate::server::devices::Device;
use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::ids::DeviceId;
use crate::server::json;

const PER_PAGE_MAX: usize = 500;
const GROUP_NAME_MAX: usize = 256;

impl Server {
    pub(super) fn route_inventory(&mut self, request: &Request, rest: &[&str]) -> Result<Response, ApiError> {
        let not_found = || ApiError::new(404, "Device not found");
        match (rest, request.method.as_str()) {
            (["devices"], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::Refuse)?;
                let group = request.query_value("group");
                let in_group = |device: &&Device| group.is_none() || self.groups.get(&device.id) == group.as_ref();
                let list = self
                    .devices
                    .iter()
                    .filter(in_group)
                    .map(|device| self.inventory_json(device))
                    .collect();
                Ok(page.answer(request, list, true))
            }
            (["devices", id], "GET") => {
                let device = self.devices.get(&DeviceId::from(*id)).ok_or_else(not_found)?;
                Ok(Response::json(200, &self.inventory_json(device)))
            }
            (["devices", id], "DELETE") => {
                self.inventories.remove(&DeviceId::from(*id));
                Ok(Response::empty(204))
            }
            (["devices", id, "group"], "GET") => {
                let device = self.devices.get(&DeviceId::from(*id)).ok_or_else(not_found)?;
                Ok(Response::json(200, &json!({"group": self.groups.get(&device.id)})))
            }
            (["devices", id, "group"], "PUT") => {
                let body = read_json_body(request)?;
                let group = json::string(&body, "group").map_err(|why| ApiError::new(400, why))?;
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
                if group.is_empty() || group.len() > GROUP_NAME_MAX || !group.bytes().all(allowed) {
                    return Err(ApiError::new(
                        400,
                        "Group name can only contain: upper/lowercase alphanum, -(dash), _(underscore)",
                    ));
                }
                let device = self.devices.get(&DeviceId::from(*id)).ok_or_else(not_found)?;
                self.groups.insert(device.id.clone(), group);
                Ok(Response::empty(204))
            }
            (["devices", id, "group", group], "DELETE") => {
                let id = DeviceId::from(*id);
                if self.groups.get(&id).map(String::as_str) != Some(*group) {
                    return Err(not_found());
                }
                self.groups.remove(&id);
                Ok(Response::empty(204))
            }
            (["groups"], "GET") => {
                let mut names: Vec<_> = self.groups.values().cloned().collect();
                names.sort();
                names.dedup();
                Ok(Response::json(200, &json!(names)))
            }
            (["devices"] | ["devices", _] | ["devices", _, "group"] | ["groups"], _) => Err(ApiError::wrong_method()),
            _ => Err(ApiError::no_route()),
        }
    }

    fn inventory_json(&self, device: &Device) -> Value {
        let attribute = |name: &str, value: Value, scope: &str| json!({"name": name, "value": value, "scope": scope});
        let mut attributes = vec![attribute("status", json!(device.acceptance().as_str()), "identity")];
        // An identity attribute of that name is kept out: it would hide the acceptance.
        let identity = device.identity.iter().filter(|(name, _)| *name != "status");
        attributes.extend(identity.map(|(name, value)| attribute(name, value.clone(), "identity")));
        attributes.push(attribute("created_ts", json!(device.created.to_string()), "system"));
        if let Some(time) = device.checked_in {
            attributes.push(attribute("check_in_time", json!(time.to_string()), "system"));
        }
        if let Some(group) = self.groups.get(&device.id) {
            attributes.push(attribute("group", json!(group), "system"));
        }
        if let Some(inventory) = self.inventories.get(&device.id) {
            for (name, known) in &inventory.attributes {
                let mut object = attribute(name, known.value.clone(), "inventory");
                if let Some(description) = &known.description {
                    object["description"] = json!(description);
                }
                attributes.push(object);
            }
        }
        // Moves with the inventory alone, and is there twice.
        let updated = self.inventories.get(&device.id).and_then(|inventory| inventory.updated);
        let mut object = json!({"id": device.id.as_str()});
        if let Some(time) = updated {
            attributes.push(attribute("updated_ts", json!(time.to_string()), "system"));
            object["updated_ts"] = json!(time.to_string());
        }
        object["attributes"] = Value::Array(attributes);
        object
    }
}
