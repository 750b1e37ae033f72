//! Releases (spec of the management API, section 4, and the routes of the real server beside it).

use serde_json::{Value, json};

use super::paging::{Page, TooMany};
use crate::server::deployments::Progress;
use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::releases::Release;
use crate::server::time::Time;
use crate::server::{Artifact, Server, check_json_body, json};

const PER_PAGE_MAX: usize = 500;
const TAG_LEN_MAX: usize = 256;
const TAGS_MAX: usize = 20;
const DIFFERENT_TAGS_MAX: usize = 100;
const NOTES_LEN_MAX: usize = 1024;

fn not_found() -> ApiError {
    ApiError::new(404, "release not found")
}

/// The body of a request, whatever JSON it is.
fn read_value(request: &Request) -> Result<Value, ApiError> {
    check_json_body(request)?;
    json::read(&request.body).map_err(|why| ApiError::new(400, format!("malformed JSON in request body: {why}")))
}

impl Server {
    /// Version 1 has lists only: `releases` and, in pages, `releases/list`.
    pub(super) fn route_releases_v1(&self, request: &Request, rest: &[&str]) -> Result<Response, ApiError> {
        match (rest, request.method.as_str()) {
            ([], "GET") => Ok(Response::json(
                200,
                &Value::Array(self.list_releases(request, Release::to_json_v1)),
            )),
            (["list"], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::UseDefault)?;
                Ok(page.answer(request, self.list_releases(request, Release::to_json_v1), true))
            }
            ([] | ["list"], _) => Err(ApiError::wrong_method().without_request_id()),
            _ => Err(ApiError::no_route().without_request_id()),
        }
    }

    /// Version 2: below `.../deployments/deployments/releases`.
    pub(super) fn route_releases_v2(
        &mut self,
        request: &Request,
        rest: &[&str],
        now: Time,
    ) -> Result<Response, ApiError> {
        match (rest, request.method.as_str()) {
            ([], "GET") => {
                let page = Page::of(request, PER_PAGE_MAX, TooMany::UseDefault)?;
                Ok(page.answer(request, self.list_releases(request, Release::to_json), true))
            }
            ([], "DELETE") => self.delete_releases(&request.query_values("name"), now),
            ([name], "GET") => {
                let (_, release) = self
                    .releases
                    .iter()
                    .find(|(known, _)| known == name)
                    .ok_or_else(not_found)?;
                Ok(Response::json(200, &release.to_json(name, &self.artifacts_of(name))))
            }
            ([name], "PATCH") => {
                let body = read_value(request)?;
                let object = body
                    .as_object()
                    .ok_or_else(|| ApiError::new(400, "malformed JSON in request body"))?;
                let notes = json::string(object, "notes").map_err(|why| ApiError::new(400, why))?;
                if notes.len() > NOTES_LEN_MAX {
                    return Err(ApiError::new(400, "invalid request body: release notes too long"));
                }
                self.releases.get_mut(name).ok_or_else(not_found)?.notes = notes;
                Ok(Response::empty(204))
            }
            ([name, "tags"], "PUT") => self.put_release_tags(request, name),
            ([] | [_] | [_, "tags"], _) => Err(ApiError::wrong_method().without_request_id()),
            _ => Err(ApiError::no_route().without_request_id()),
        }
    }

    /// `all/tags` and `all/types`: what the releases have, each once.
    pub(super) fn list_of_all_releases(&self, request: &Request, what: &str) -> Result<Response, ApiError> {
        let list = match (what, request.method.as_str()) {
            ("tags", "GET") => json!(self.releases.tags()),
            ("types", "GET") => {
                let mut types: Vec<_> = self
                    .artifacts()
                    .filter_map(|artifact| artifact.info.payload_type.as_deref())
                    .collect();
                types.sort_unstable();
                types.dedup();
                json!(types)
            }
            ("tags" | "types", _) => return Err(ApiError::wrong_method().without_request_id()),
            _ => return Err(ApiError::no_route().without_request_id()),
        };
        Ok(Response::json(200, &list))
    }

    fn artifacts_of(&self, name: &str) -> Vec<&Artifact> {
        self.artifacts().filter(|artifact| artifact.info.name == name).collect()
    }

    /// By name, each as `show` shows it. The filters of texts are parts without regard to case, `tag` is exact.
    fn list_releases(&self, request: &Request, show: fn(&Release, &str, &[&Artifact]) -> Value) -> Vec<Value> {
        let part = |name: &str| request.query_value(name).map(|text| text.to_lowercase());
        let contains =
            |text: &str, part: &Option<String>| part.as_ref().is_none_or(|part| text.to_lowercase().contains(part));
        let (name, description, device_type) = (part("name"), part("description"), part("device_type"));
        let update_type = request.query_value("update_type").filter(|text| !text.is_empty());
        let tags = request.query_values("tag");
        let has_artifact = |artifacts: &[&Artifact]| {
            artifacts.iter().any(|artifact| {
                let info = &artifact.info;
                contains(&artifact.description, &description)
                    && info.device_types.iter().any(|known| contains(known, &device_type))
                    && (update_type.is_none() || info.payload_type == update_type)
            })
        };
        let fits = |(known, release): &(&String, &Release)| {
            contains(known, &name)
                && (tags.is_empty() || tags.iter().any(|tag| release.tags.contains(&tag.to_lowercase())))
        };
        self.releases
            .iter()
            .filter(fits)
            .map(|(name, release)| (name, release, self.artifacts_of(name)))
            .filter(|(_, _, artifacts)| has_artifact(artifacts))
            .map(|(name, release, artifacts)| show(release, name, &artifacts))
            .collect()
    }

    /// Deletes all artifacts of those names, unless one of them is in use.
    fn delete_releases(&mut self, names: &[String], now: Time) -> Result<Response, ApiError> {
        if names.is_empty() {
            return Err(ApiError::new(400, "at least one release name has to be provided"));
        }
        let in_use: Vec<_> = self
            .deployments
            .iter()
            .filter(|known| known.progress() != Progress::Finished && names.contains(&known.artifact_name))
            .map(|known| known.id.as_str())
            .collect();
        if !in_use.is_empty() {
            return Err(
                ApiError::new(409, "release(s) used in active deployment").member("active_deployments", json!(in_use))
            );
        }
        let gone: Vec<_> = self
            .artifacts()
            .filter(|artifact| names.contains(&artifact.info.name))
            .map(|artifact| artifact.id.clone())
            .collect();
        for id in gone {
            self.remove_artifact(&id, now);
        }
        Ok(Response::empty(204))
    }

    fn put_release_tags(&mut self, request: &Request, name: &str) -> Result<Response, ApiError> {
        let wrong = |why: String| ApiError::new(400, format!("invalid request body: {why}"));
        let list: Vec<String> = serde_json::from_value(read_value(request)?)
            .map_err(|_| ApiError::new(400, "malformed JSON in request body: not a list of tags"))?;
        let mut tags: Vec<String> = Vec::new();
        for tag in list.iter().map(|tag| tag.to_lowercase()) {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if tag.is_empty() || tag.len() > TAG_LEN_MAX || !tag.bytes().all(allowed) {
                return Err(wrong(format!("`{tag}` is no tag")));
            }
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if tags.len() > TAGS_MAX {
            return Err(wrong(format!("more than {TAGS_MAX} tags")));
        }
        let others = self
            .releases
            .tags()
            .into_iter()
            .filter(|known| !tags.iter().any(|tag| tag == known));
        if others.count() + tags.len() > DIFFERENT_TAGS_MAX {
            return Err(ApiError::new(
                409,
                format!("the total number of unique tags ({DIFFERENT_TAGS_MAX}) has been exceeded"),
            ));
        }
        self.releases.get_mut(name).ok_or_else(not_found)?.tags = tags;
        Ok(Response::empty(204))
    }
}
