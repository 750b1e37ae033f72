//! Inventory of devices (spec of the management API, section 6).

use serde_json::{Value, json};

use super::paging::{Page, TooMany};
use super::search::Condition;
use crate::server::Server;
use crate::server::devices::Device;
use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::ids::DeviceId;
use crate::server::time::Time;

const PER_PAGE_MAX: usize = 500;
/// Parameters of the list that name no attribute. `sort` changes nothing, as in the real server.
const RESERVED: [&str; 5] = ["page", "per_page", "sort", "group", "has_group"];

impl Server {
    pub(super) fn route_inventory(
        &mut self,
        request: &Request,
        rest: &[&str],
        now: Time,
    ) -> Result<Response, ApiError> {
        let not_found = || ApiError::new(404, "Device not found");
        match (rest, request.method.as_str()) {
            (["devices"], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::Refuse)?;
                let group = request.query_value("group");
                let has_group = match request.query_value("has_group").as_deref() {
                    None => None,
                    Some("true") => Some(true),
                    Some("false") => Some(false),
                    Some(_) => return Err(ApiError::new(400, "Can't parse param has_group")),
                };
                let conditions: Vec<_> = form_urlencoded::parse(request.query().as_bytes())
                    .filter(|(key, _)| !RESERVED.contains(&key.as_ref()))
                    .map(|(key, value)| Condition::of_query(&key, &value))
                    .collect();
                let in_group = |device: &&Device| {
                    let known = self.groups.get(&device.id);
                    (group.is_none() || known == group.as_ref())
                        && has_group.is_none_or(|wanted| wanted == known.is_some())
                };
                let list = self
                    .devices
                    .iter()
                    .filter(in_group)
                    .map(|device| self.inventory_json(device))
                    .filter(|shown| conditions.iter().all(|condition| condition.holds(shown)))
                    .collect();
                Ok(page.answer(request, list, true))
            }
            (["devices", id], "GET") => {
                let device = self.devices.get(&DeviceId::from(*id)).ok_or_else(not_found)?;
                let response = Response::json(200, &self.inventory_json(device));
                Ok(match self.tags.get(&device.id) {
                    Some(tags) => response.header("ETag", &tags.etag),
                    None => response,
                })
            }
            (["devices", id], "DELETE") => {
                self.inventories.remove(&DeviceId::from(*id));
                Ok(Response::empty(204))
            }
            (["devices", id, "group"], "GET") => {
                let device = self.devices.get(&DeviceId::from(*id)).ok_or_else(not_found)?;
                Ok(Response::json(200, &json!({"group": self.groups.get(&device.id)})))
            }
            (["devices", id, "group"], "PUT") => self.put_group(request, &DeviceId::from(*id)),
            (["devices", id, "group", group], "DELETE") => {
                let id = DeviceId::from(*id);
                if self.groups.get(&id).map(String::as_str) != Some(*group) {
                    return Err(not_found());
                }
                self.groups.remove(&id);
                Ok(Response::empty(204))
            }
            (["devices", id, "tags"], "PUT" | "PATCH") => self.write_tags(request, &DeviceId::from(*id), now),
            (["devices"] | ["devices", _] | ["devices", _, "group" | "tags"] | ["devices", _, "group", _], _) => {
                Err(ApiError::wrong_method())
            }
            _ => Err(ApiError::no_route()),
        }
    }

    pub(super) fn inventory_json(&self, device: &Device) -> Value {
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
        attributes.extend(self.tags_json(&device.id));
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
