//! Deployments (spec of the management API, section 5) and configurations (section 7).

use serde_json::{Map, Value, json};

use super::lookup::{DeviceStatus, Lookup, Version};
use super::paging::{Page, TooMany};
use super::read_json_body;
use crate::server::attributes::read_configuration;
use crate::server::deployments::{Deployment, Selection};
use crate::server::devices::Acceptance;
use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::ids::{DeviceId, is_uuid};
use crate::server::json;
use crate::server::status::Status;
use crate::server::time::Time;
use crate::server::{DeployError, NewDeployment, Server};

const DEPLOYMENTS: &str = "/api/management/v1/deployments/deployments";
const PER_PAGE_MAX: usize = 500;
const PER_PAGE_MAX_OF_DEVICE: usize = 20;
const NAME_MAX: usize = 256;
const ARTIFACT_NAME_MAX: usize = 4096;

impl Server {
    pub(super) fn route_deployments(
        &mut self,
        request: &Request,
        rest: &[&str],
        now: Time,
    ) -> Result<Response, ApiError> {
        match (rest, request.method.as_str()) {
            ([], "POST") => self.post_deployment(request, None, now),
            (["group", group], "POST") => self.post_deployment(request, Some(group), now),
            ([], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::Refuse)?;
                let lookup = Lookup::of(request, Version::V1)?;
                Ok(page.answer(request, self.list_deployments(&lookup), true))
            }
            (["statistics", "list"], "POST") => self.list_statistics(request),
            (["devices", device], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX_OF_DEVICE, TooMany::Refuse)?;
                let status = DeviceStatus::of(request)?;
                Ok(page.answer(request, self.list_of_device(&DeviceId::from(*device), status), true))
            }
            (["devices", device], "DELETE") => {
                self.deployments.abort_on_device(&DeviceId::from(*device), now);
                Ok(Response::empty(204))
            }
            (["devices", device, "history"], "DELETE") => {
                self.deployments.hide_history(&DeviceId::from(*device));
                Ok(Response::empty(204))
            }
            ([id], "GET") => Ok(Response::json(200, &self.known_deployment(id)?.to_json())),
            ([id, "statistics"], "GET") => Ok(Response::json(200, &self.known_deployment(id)?.statistics())),
            ([id, "devices"], "GET") => {
                let deployment = self.known_deployment(id)?;
                Ok(Response::json(
                    200,
                    &Value::Array(self.list_devices(deployment, DeviceStatus::Any)),
                ))
            }
            ([id, "devices", "list"], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::Refuse)?;
                let status = DeviceStatus::of(request)?;
                let list = self.list_devices(self.known_deployment(id)?, status);
                Ok(page.answer(request, list, true))
            }
            ([id, "device_list"], "GET") => {
                let ids = self
                    .known_deployment(id)?
                    .target
                    .iter()
                    .map(|device| json!(device.as_str()));
                Ok(Response::json(200, &Value::Array(ids.collect())))
            }
            ([id, "devices", device, "log"], "GET") => self.get_log(id, &DeviceId::from(*device)),
            ([id, "status"], "PUT") => self.put_deployment_status(request, id, now),
            ([] | [_] | [_, "statistics" | "devices" | "device_list" | "status"], _) => {
                Err(ApiError::wrong_method().without_request_id())
            }
            _ => Err(ApiError::no_route().without_request_id()),
        }
    }

    /// Version 2 has only lists: this one, and the releases.
    pub(super) fn route_deployments_v2(&self, request: &Request) -> Result<Response, ApiError> {
        if request.method != "GET" {
            return Err(ApiError::wrong_method().without_request_id());
        }
        let page = Page::of(request, PER_PAGE_MAX, TooMany::Refuse)?;
        let lookup = Lookup::of(request, Version::V2)?;
        Ok(page.answer(request, self.list_deployments(&lookup), true))
    }

    fn known_deployment(&self, id: &str) -> Result<&Deployment, ApiError> {
        if !is_uuid(id) {
            return Err(ApiError::new(400, "ID is not a valid UUID"));
        }
        self.deployments
            .get(id)
            .ok_or_else(|| ApiError::new(404, "Resource not found"))
    }

    fn post_deployment(&mut self, request: &Request, group: Option<&str>, now: Time) -> Result<Response, ApiError> {
        let body = read_json_body(request)?;
        let bad = |why: String| ApiError::new(400, format!("Validating request body: {why}"));
        let text = |key: &str, max: usize| match json::string(&body, key).map_err(bad)? {
            text if text.is_empty() => Err(bad(format!("{key}: cannot be blank."))),
            text if text.len() > max => Err(bad(format!("{key}: the length must be between 1 and {max}."))),
            text => Ok(text),
        };
        let flag = |key: &str| match json::get(&body, key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(bad(format!("{key} is not a boolean"))),
        };
        let (name, artifact_name) = (text("name", NAME_MAX)?, text("artifact_name", ARTIFACT_NAME_MAX)?);
        let (force_installation, all_devices) = (flag("force_installation")?, flag("all_devices")?);
        let listed = match json::get(&body, "devices") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.clone(),
            Some(_) => return Err(bad("devices is not a list".to_owned())),
        };
        let listed: Option<Vec<_>> = listed
            .iter()
            .map(|id| id.as_str().filter(|id| !id.is_empty()).map(DeviceId::from))
            .collect();
        let listed = listed.ok_or_else(|| bad("devices: an id is empty or not a string".to_owned()))?;

        let in_group =
            |id: &DeviceId| group.is_none_or(|group| self.groups.get(id).is_some_and(|known| known == group));
        let accepted = || {
            let devices = self
                .devices
                .iter()
                .filter(|device| device.acceptance() == Acceptance::Accepted);
            devices
                .map(|device| device.id.clone())
                .filter(in_group)
                .collect::<Vec<_>>()
        };
        let devices =
            match (group, all_devices, listed.is_empty()) {
                (None, false, false) => listed,
                (Some(_), false, true) | (None, true, true) => accepted(),
                (Some(_), ..) => return Err(bad(
                    "The deployment for group constructor should have neither list of devices nor all_devices flag set"
                        .to_owned(),
                )),
                (None, false, true) | (None, true, false) => {
                    return Err(bad(
                        "Exactly one of: list of devices or all_devices flag should be provided".to_owned(),
                    ));
                }
            };
        let new = NewDeployment {
            name,
            artifact_name,
            devices,
            force_installation,
            group: group.map(str::to_owned),
        };
        match self.create_deployment(new, now) {
            Ok(id) => {
                if all_devices {
                    self.deployments.set_selection(&id, Selection::AllDevices);
                }
                Ok(Response::empty(201).header("Location", format!("{DEPLOYMENTS}/{id}")))
            }
            Err(error) => {
                let status = match &error {
                    DeployError::NoDevices => 400,
                    DeployError::NoArtifact(_) => 422,
                    DeployError::Exists(_) => 409,
                };
                Err(ApiError::new(status, error.to_string()))
            }
        }
    }

    fn list_deployments(&self, lookup: &Lookup) -> Vec<Value> {
        let mut list: Vec<_> = self.deployments.iter().filter(|known| lookup.fits(known)).collect();
        if !lookup.oldest_first {
            list.reverse();
        }
        list.into_iter().map(Deployment::to_json).collect()
    }

    fn list_statistics(&self, request: &Request) -> Result<Response, ApiError> {
        let body = read_json_body(request)?;
        let ids = json::get(&body, "deployment_ids")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let ids: Option<Vec<_>> = ids.iter().map(|id| id.as_str().filter(|id| is_uuid(id))).collect();
        let ids = ids.ok_or_else(|| ApiError::new(400, "deployment_ids: must be valid UUIDs."))?;
        if ids.is_empty() {
            return Ok(Response::json(200, &json!({})));
        }
        let known = ids.iter().filter_map(|id| self.deployments.get(id));
        let list = known
            .map(|known| json!({"id": known.id.as_str(), "stats": known.statistics()}))
            .collect();
        Ok(Response::json(200, &Value::Array(list)))
    }

    fn list_devices(&self, deployment: &Deployment, status: DeviceStatus) -> Vec<Value> {
        let devices = deployment.devices.iter();
        devices
            .filter(|(_, on_device)| status.fits(on_device))
            .map(|(id, on_device)| deployment.device_json(id, on_device, &self.artifacts))
            .collect()
    }

    fn list_of_device(&self, device: &DeviceId, status: DeviceStatus) -> Vec<Value> {
        let entry = |known: &Deployment| {
            let on_device = known.devices.get(device)?;
            if on_device.hidden || !status.fits(on_device) {
                return None;
            }
            Some(json!({
                "id": device.as_str(),
                "deployment": known.to_json(),
                "device": known.device_json(device, on_device, &self.artifacts),
            }))
        };
        self.deployments.iter().rev().filter_map(entry).collect()
    }

    fn get_log(&self, id: &str, device: &DeviceId) -> Result<Response, ApiError> {
        let log = self
            .deployments
            .get(id)
            .and_then(|known| known.devices.get(device)?.log.as_ref());
        let log = log.ok_or_else(|| ApiError::new(404, "Resource not found"))?;
        let line = |message: &crate::server::LogMessage| {
            format!(
                "{} {}: {}\n",
                message.timestamp.go_text(),
                message.level,
                message.message
            )
        };
        Ok(Response::bytes(
            200,
            "text/plain",
            log.iter().map(line).collect::<String>(),
        ))
    }

    fn put_deployment_status(&mut self, request: &Request, id: &str, now: Time) -> Result<Response, ApiError> {
        if !is_uuid(id) {
            return Err(ApiError::new(400, "ID is not a valid UUID"));
        }
        let body = read_json_body(request)?;
        let word = json::string(&body, "status").map_err(|why| ApiError::new(400, why))?;
        let status = Status::from_word(&word).ok_or_else(|| ApiError::new(400, "invalid status value"))?;
        // The real handler forgets to return after refusing another status, and aborts all the same.
        match (self.deployments.abort(id, now), status == Status::Aborted) {
            (_, false) => Err(ApiError::new(400, "Unexpected deployment status")),
            (true, true) => Ok(Response::empty(204)),
            (false, true) => Err(ApiError::new(422, "Deployment already finished")),
        }
    }

    pub(super) fn route_deviceconfig(
        &mut self,
        request: &Request,
        rest: &[&str],
        now: Time,
    ) -> Result<Response, ApiError> {
        match (rest, request.method.as_str()) {
            ([id], "GET") => {
                let id = DeviceId::from(*id);
                let known = self
                    .configurations
                    .get(&id)
                    .ok_or_else(|| ApiError::new(404, "device does not exist"))?;
                Ok(Response::json(200, &known.to_json(&id)))
            }
            ([id], "PUT") => {
                let configuration: Map<String, Value> = read_configuration(&request.body)?;
                self.set_configuration(&DeviceId::from(*id), configuration, now);
                Ok(Response::empty(204))
            }
            ([id, "deploy"], "POST") => {
                let deployment = self.deploy_configuration(&DeviceId::from(*id), now);
                Ok(Response::json(200, &json!({"deployment_id": deployment.as_str()})))
            }
            ([_] | [_, "deploy"], _) => Err(ApiError::wrong_method()),
            _ => Err(ApiError::no_route()),
        }
    }
}
