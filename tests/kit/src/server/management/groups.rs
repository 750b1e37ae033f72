//! Groups and tags of devices (spec of the management API, section 6).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::paging::{Page, TooMany};
use super::read_json_body;
use crate::server::attributes::{Tags, read_attributes};
use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::ids::DeviceId;
use crate::server::time::Time;
use crate::server::{Server, check_json_body, json};

const PER_PAGE_MAX: usize = 500;
const GROUP_NAME_MAX: usize = 256;
/// Most tags of a device.
const TAGS_MAX: usize = 20;

fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > GROUP_NAME_MAX || !name.bytes().all(allowed) {
        return Err(ApiError::new(
            400,
            "Group name can only contain: upper/lowercase alphanum, -(dash), _(underscore)",
        ));
    }
    Ok(())
}

/// A body that is a list of ids of devices.
fn read_ids(request: &Request) -> Result<Vec<DeviceId>, ApiError> {
    let wrong = |why: &str| ApiError::new(400, format!("invalid payload schema: {why}"));
    let list: Vec<String> = match json::read(&request.body) {
        Ok(list) => serde_json::from_value(list).map_err(|_| wrong("not a list of ids"))?,
        Err(why) => return Err(wrong(&why)),
    };
    if list.is_empty() {
        return Err(ApiError::new(400, "no device IDs present in payload"));
    }
    let mut ids: Vec<_> = list.into_iter().map(DeviceId::from).collect();
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn counted(matched: usize, updated: usize) -> Response {
    Response::json(200, &json!({"matched_count": matched, "updated_count": updated}))
}

impl Server {
    /// Below `.../inventory/groups`.
    pub(super) fn route_groups(&mut self, request: &Request, rest: &[&str]) -> Result<Response, ApiError> {
        match (rest, request.method.as_str()) {
            ([], "GET") => {
                let status = request.query_value("status").filter(|word| !word.is_empty());
                let fits = |id: &DeviceId| {
                    let acceptance = self.devices.get(id).map(|device| device.acceptance().as_str());
                    status.is_none() || acceptance == status.as_deref()
                };
                let mut names: Vec<_> = self
                    .groups
                    .iter()
                    .filter(|(id, _)| fits(id))
                    .map(|(_, name)| name.clone())
                    .collect();
                names.sort();
                names.dedup();
                Ok(Response::json(200, &json!(names)))
            }
            ([name, "devices"], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::Refuse)?;
                let ids: Vec<_> = self.members(name).iter().map(|id| json!(id.as_str())).collect();
                if ids.is_empty() {
                    return Err(ApiError::new(404, "group not found"));
                }
                Ok(page.answer(request, ids, true))
            }
            ([name, "devices"], "PATCH") => {
                check_json_body(request)?;
                check_name(name)?;
                let ids = read_ids(request)?;
                let known: Vec<_> = ids.into_iter().filter(|id| self.devices.get(id).is_some()).collect();
                let (matched, mut updated) = (known.len(), 0);
                for id in known {
                    let before = self.groups.insert(id, (*name).to_owned());
                    updated += usize::from(before.as_deref() != Some(*name));
                }
                Ok(counted(matched, updated))
            }
            ([name, "devices"], "DELETE") => {
                check_name(name)?;
                let ids = read_ids(request)?;
                let before = self.groups.len();
                self.groups.retain(|id, group| group != name || !ids.contains(id));
                let gone = before - self.groups.len();
                Ok(counted(gone, gone))
            }
            ([name], "DELETE") => {
                check_name(name)?;
                let gone = self.members(name).len();
                self.groups.retain(|_, group| group != name);
                Ok(counted(gone, gone))
            }
            ([] | [_] | [_, "devices"], _) => Err(ApiError::wrong_method()),
            _ => Err(ApiError::no_route()),
        }
    }

    fn members(&self, name: &str) -> Vec<&DeviceId> {
        let members = self.groups.iter().filter(|(_, group)| *group == name);
        members.map(|(id, _)| id).collect()
    }

    /// `PUT` of a device's group.
    pub(super) fn put_group(&mut self, request: &Request, id: &DeviceId) -> Result<Response, ApiError> {
        let body = read_json_body(request)?;
        let group = json::string(&body, "group").map_err(|why| ApiError::new(400, why))?;
        check_name(&group)?;
        if self.devices.get(id).is_none() {
            return Err(ApiError::new(404, "Device not found"));
        }
        self.groups.insert(id.clone(), group);
        Ok(Response::empty(204))
    }

    /// `PUT` replaces a device's tags, `PATCH` adds to them. The answer is 200 for a device that is not known, too.
    pub(super) fn write_tags(&mut self, request: &Request, id: &DeviceId, now: Time) -> Result<Response, ApiError> {
        check_json_body(request)?;
        let sent = read_attributes(&request.body).map_err(|why| ApiError::new(400, why))?;
        let known = self.tags.get(id).cloned().unwrap_or_default();
        let mut attributes = match request.method.as_str() {
            "PUT" => BTreeMap::new(),
            _ => known.attributes,
        };
        attributes.extend(sent.into_iter().map(|(name, attribute)| (name, (attribute, now))));
        if attributes.len() > TAGS_MAX {
            return Err(ApiError::new(
                400,
                "the number of attributes in the scope is above the limit",
            ));
        }
        if let Some(wanted) = request.header_value("If-Match").filter(|etag| !etag.is_empty())
            && wanted != known.etag
        {
            return Err(ApiError::new(412, "ETag does not match"));
        }
        if self.devices.get(id).is_some() {
            let etag = self.random.uuid();
            self.tags.insert(id.clone(), Tags { attributes, etag });
        }
        Ok(Response::empty(200))
    }

    /// The tags of a device, as its inventory shows them.
    pub(super) fn tags_json(&self, id: &DeviceId) -> Vec<Value> {
        let tags = self.tags.get(id).into_iter().flat_map(|tags| &tags.attributes);
        tags.map(|(name, (attribute, time))| {
            let mut object = json!({"name": name, "value": attribute.value, "scope": "tags"});
            if let Some(description) = &attribute.description {
                object["description"] = json!(description);
            }
            object["timestamp"] = json!(time.to_string());
            object
        })
        .collect()
    }
}
