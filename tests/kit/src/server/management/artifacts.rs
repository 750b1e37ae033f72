//! Upload, list, get and delete of artifacts (spec of the management API, section 4).

use std::time::Duration;

use serde_json::{Value, json};

use super::multipart::parts;
use super::paging::{Page, TooMany};
use super::{ARTIFACTS, read_json_body};
use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::ids::{ArtifactId, is_uuid};
use crate::server::json;
use crate::server::time::Time;
use crate::server::{AddArtifactError, Artifact, Server};

const PER_PAGE_MAX: usize = 500;
const DESCRIPTION_MAX: usize = 4096;
const LINK_LIFETIME: Duration = Duration::from_secs(900);

impl Server {
    pub(super) fn route_artifacts(
        &mut self,
        request: &Request,
        rest: &[&str],
        now: Time,
    ) -> Result<Response, ApiError> {
        match (rest, request.method.as_str()) {
            ([], "POST") => self.upload(request, now),
            ([], "GET") => Ok(Response::json(200, &Value::Array(self.list_artifacts(request)))),
            (["list"], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::UseDefault)?;
                Ok(page.answer(request, self.list_artifacts(request), true))
            }
            ([id], "GET") => Ok(Response::json(200, &self.known_artifact(id)?.to_json())),
            ([id], "DELETE") => {
                let artifact = self.known_artifact(id)?;
                if self.deployments.is_in_use(artifact) {
                    return Err(ApiError::new(409, "Artifact is used in active deployment"));
                }
                let id = artifact.id.clone();
                self.remove_artifact(&id, now);
                Ok(Response::empty(204))
            }
            ([id], "PUT") => {
                let id = self.known_artifact(id)?.id.clone();
                let body = read_json_body(request)?;
                let description = json::string(&body, "description").map_err(|why| ApiError::new(400, why))?;
                if self.deployments.was_used(&id) {
                    return Err(ApiError::new(422, "Artifact have been already used in deployment"));
                }
                if description.len() > DESCRIPTION_MAX {
                    return Err(ApiError::new(400, "description: the length must be no more than 4096."));
                }
                self.artifacts.describe(&id, description, now);
                Ok(Response::empty(204))
            }
            ([id, "download"], "GET") => {
                let id = self.known_artifact(id)?.id.clone();
                let (uri, expires) = self.artifact_link(&id, LINK_LIFETIME, now);
                Ok(Response::json(
                    200,
                    &json!({"uri": uri, "expire": expires.to_string(), "method": "GET"}),
                ))
            }
            ([] | ["list"] | [_] | [_, "download"], _) => Err(ApiError::wrong_method().without_request_id()),
            // Direct upload included: off by default in the real server too.
            _ => Err(ApiError::no_route().without_request_id()),
        }
    }

    fn known_artifact(&self, id: &str) -> Result<&Artifact, ApiError> {
        if !is_uuid(id) {
            return Err(ApiError::new(400, "ID is not a valid UUID"));
        }
        self.artifact(&ArtifactId::from(id))
            .ok_or_else(|| ApiError::new(404, "Resource not found"))
    }

    fn list_artifacts(&self, request: &Request) -> Vec<Value> {
        let contains = |text: &str, name: &str| {
            request
                .query_value(name)
                .is_none_or(|wanted| text.to_lowercase().contains(&wanted.to_lowercase()))
        };
        let mut list: Vec<_> = self
            .artifacts()
            .filter(|artifact| contains(&artifact.info.name, "name"))
            .filter(|artifact| contains(&artifact.description, "description"))
            .filter(|artifact| {
                artifact
                    .info
                    .device_types
                    .iter()
                    .any(|known| contains(known, "device_type"))
            })
            .collect();
        list.sort_by_key(|artifact| (artifact.info.name.clone(), artifact.id.clone()));
        list.into_iter().map(Artifact::to_json).collect()
    }

    fn upload(&mut self, request: &Request, now: Time) -> Result<Response, ApiError> {
        let bad = |why: String| ApiError::new(400, why);
        let (mut description, mut len, mut id) = (String::new(), None, None);
        for part in parts(request).map_err(bad)? {
            let text = || String::from_utf8_lossy(part.content).into_owned();
            match part.name.as_str() {
                "description" => description = text(),
                "size" => {
                    len = Some(
                        text()
                            .trim()
                            .parse::<u64>()
                            .map_err(|_| bad("size is not a number".to_owned()))?,
                    )
                }
                "artifact_id" => match text() {
                    text if is_uuid(&text) => id = Some(ArtifactId::from(text)),
                    _ => return Err(bad("artifact_id: must be a valid UUID.".to_owned())),
                },
                "artifact" => {
                    if description.len() > DESCRIPTION_MAX {
                        return Err(bad("description: the length must be no more than 4096.".to_owned()));
                    }
                    if len.is_some_and(|len| len != part.content.len() as u64) {
                        return Err(bad("The size of the artifact is not the given one".to_owned()));
                    }
                    // What follows the artifact is ignored: the real server does not read that far.
                    return self.store_upload(part.content.to_vec(), id, description, now);
                }
                _ => {}
            }
        }
        Err(bad("request does not contain the artifact".to_owned()))
    }

    fn store_upload(
        &mut self,
        bytes: Vec<u8>,
        id: Option<ArtifactId>,
        description: String,
        now: Time,
    ) -> Result<Response, ApiError> {
        match self.store_artifact(bytes, id, description, now) {
            Ok(id) => Ok(Response::empty(201).header("Location", format!("{ARTIFACTS}/{id}"))),
            Err(error) => {
                let text = error.to_string();
                match error {
                    AddArtifactError::Invalid(_) => Err(ApiError::new(400, text)),
                    AddArtifactError::Exists(id) | AddArtifactError::IdTaken(id) => {
                        Err(ApiError::new(409, text).member("metadata", json!({"conflict": {"id": id.as_str()}})))
                    }
                }
            }
        }
    }
}
