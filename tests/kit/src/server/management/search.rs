//! Search for devices by their attributes (spec of the management API, section 6).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use crate::server::{Server, json};

use super::paging::PER_PAGE_DEFAULT;
use super::read_json_body;

const PER_PAGE_MAX: u64 = 500;
const SCOPES: [&str; 5] = ["system", "identity", "inventory", "monitor", "tags"];

/// A condition on one attribute.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) scope: String,
    pub(super) attribute: String,
    pub(super) is: Is,
}

/// What an attribute must be.
#[derive(Clone, Debug)]
pub(super) enum Is {
    /// One of these; an array is what any of its elements is.
    In(Vec<Value>),
    NotIn(Vec<Value>),
    /// In this order to the value, which must be of the same type.
    Ordered(&'static [Ordering], Value),
    Present(bool),
}

fn bad(why: impl Into<String>) -> ApiError {
    ApiError::new(400, why)
}

/// The value of an attribute of a device, as the inventory shows it. `identity/id` is the id of the device.
fn find<'d>(device: &'d Value, scope: &str, name: &str) -> Option<&'d Value> {
    if (scope, name) == ("identity", "id") {
        return device.get("id");
    }
    let attributes = device["attributes"].as_array()?;
    let found = attributes
        .iter()
        .find(|attribute| attribute["scope"] == scope && attribute["name"] == name)?;
    found.get("value")
}

/// Equality as the database sees it: numbers by value, and an array equals each of its elements too.
fn is_same(stored: &Value, wanted: &Value) -> bool {
    match stored {
        Value::Array(list) if !wanted.is_array() => list.iter().any(|one| is_same(one, wanted)),
        _ => json::normal(stored) == json::normal(wanted),
    }
}

/// Order of two numbers or of two texts.
fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

impl Condition {
    pub(super) fn holds(&self, device: &Value) -> bool {
        let stored = find(device, &self.scope, &self.attribute);
        let is_any = |wanted: &[Value]| stored.is_some_and(|stored| wanted.iter().any(|one| is_same(stored, one)));
        match &self.is {
            Is::In(wanted) => is_any(wanted),
            Is::NotIn(wanted) => !is_any(wanted),
            Is::Ordered(orders, limit) => stored
                .and_then(|stored| order(stored, limit))
                .is_some_and(|order| orders.contains(&order)),
            Is::Present(wanted) => stored.is_some() == *wanted,
        }
    }

    /// A condition in a query: `scope/attribute=value`, the scope `inventory` when there is none. The value may have
    /// `eq:` in front; a number may be one or a text.
    pub(super) fn of_query(key: &str, value: &str) -> Self {
        let (scope, attribute) = key.split_once('/').unwrap_or(("inventory", key));
        let value = value.strip_prefix("eq:").unwrap_or(value);
        let mut wanted = vec![json!(value)];
        wanted.extend(value.parse::<f64>().ok().map(|number| json!(number)));
        Self {
            scope: scope.to_owned(),
            attribute: attribute.to_owned(),
            is: Is::In(wanted),
        }
    }

    fn of_json(value: &Value) -> Result<Self, ApiError> {
        let object = value
            .as_object()
            .ok_or_else(|| bad("failed to decode request body: a filter is not an object"))?;
        let (scope, attribute) = scope_and_name(object)?;
        let kind = text(object, "type")?;
        let value = json::get(object, "value")
            .filter(|value| !value.is_null())
            .ok_or_else(|| bad("value: is required."))?;
        let list = || {
            let list = value.as_array().cloned();
            list.ok_or_else(|| bad(format!("{kind} needs an array")))
        };
        let is = match kind.as_str() {
            "$eq" => Is::In(vec![value.clone()]),
            "$ne" => Is::NotIn(vec![value.clone()]),
            "$in" => Is::In(list()?),
            "$nin" => Is::NotIn(list()?),
            "$gt" => Is::Ordered(&[Ordering::Greater], value.clone()),
            "$gte" => Is::Ordered(&[Ordering::Greater, Ordering::Equal], value.clone()),
            "$lt" => Is::Ordered(&[Ordering::Less], value.clone()),
            "$lte" => Is::Ordered(&[Ordering::Less, Ordering::Equal], value.clone()),
            "$exists" => Is::Present(value.as_bool().ok_or_else(|| bad("$exists needs a boolean"))?),
            // The real server has it.
            "$regex" => return Err(bad("type: this test server does not know $regex")),
            _ => return Err(bad("type: must be a valid value.")),
        };
        Ok(Self { scope, attribute, is })
    }
}

/// A text that must not be empty.
fn text(object: &Map<String, Value>, key: &str) -> Result<String, ApiError> {
    match json::string(object, key).map_err(bad)? {
        text if text.is_empty() => Err(bad(format!("{key}: cannot be blank."))),
        text => Ok(text),
    }
}

fn scope_and_name(object: &Map<String, Value>) -> Result<(String, String), ApiError> {
    let scope = text(object, "scope")?;
    if !SCOPES.contains(&scope.as_str()) {
        return Err(bad(format!("scope: must be one of {}.", SCOPES.join(", "))));
    }
    Ok((scope, text(object, "attribute")?))
}

/// An optional list of objects.
fn list<'v>(object: &'v Map<String, Value>, key: &str) -> Result<Vec<&'v Map<String, Value>>, ApiError> {
    let wrong = || bad(format!("failed to decode request body: {key} is not a list of objects"));
    match json::get(object, key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(|item| item.as_object().ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

/// A page number or length: what is missing or below 1 is the default.
fn number(object: &Map<String, Value>, key: &str, default: u64) -> Result<u64, ApiError> {
    match json::get(object, key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => match value.as_i64() {
            Some(number) if number < 1 => Ok(default),
            Some(number) => Ok(number.unsigned_abs()),
            None => Err(bad(format!("failed to decode request body: {key} is not an integer"))),
        },
    }
}

impl Server {
    /// `POST /api/management/v2/inventory/filters/search`.
    pub(super) fn search_devices(&self, request: &Request) -> Result<Response, ApiError> {
        let body = read_json_body(request)?;
        let page = number(&body, "page", 1)?;
        let per_page = number(&body, "per_page", PER_PAGE_DEFAULT as u64)?;
        if per_page > PER_PAGE_MAX {
            return Err(bad(format!("parameter \"per_page\" above limit (max: {PER_PAGE_MAX})")));
        }
        let conditions: Vec<_> = match json::get(&body, "filters") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.iter().map(Condition::of_json).collect::<Result<_, _>>()?,
            Some(_) => return Err(bad("failed to decode request body: filters is not a list")),
        };
        let mut sorting = Vec::new();
        for criterion in list(&body, "sort")? {
            let (scope, name) = scope_and_name(criterion)?;
            let is_falling = match text(criterion, "order")?.as_str() {
                "asc" => false,
                "desc" => true,
                _ => return Err(bad("order: must be a valid value.")),
            };
            sorting.push((scope, name, is_falling));
        }
        let selected = list(&body, "attributes")?
            .into_iter()
            .map(scope_and_name)
            .collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<String> = match json::get(&body, "device_ids") {
            None | Some(Value::Null) => Vec::new(),
            Some(list) => serde_json::from_value(list.clone())
                .map_err(|_| bad("failed to decode request body: device_ids is not a list of ids"))?,
        };

        let mut found: Vec<Value> = self
            .devices
            .iter()
            .filter(|device| ids.is_empty() || ids.iter().any(|id| id == device.id.as_str()))
            .map(|device| self.inventory_json(device))
            .filter(|device| conditions.iter().all(|condition| condition.holds(device)))
            .collect();
        found.sort_by(|one, other| {
            let by = |(scope, name, is_falling): &(String, String, bool)| {
                // A device without the attribute comes first.
                let order = match (find(one, scope, name), find(other, scope, name)) {
                    (Some(one), Some(other)) => order(one, other).unwrap_or(Ordering::Equal),
                    (one, other) => one.is_some().cmp(&other.is_some()),
                };
                if *is_falling { order.reverse() } else { order }
            };
            sorting
                .iter()
                .map(by)
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        let total = found.len();
        let skipped = (page - 1).saturating_mul(per_page);
        let mut items: Vec<Value> = found
            .into_iter()
            .skip(usize::try_from(skipped).unwrap_or(usize::MAX))
            .take(per_page as usize)
            .collect();
        if !selected.is_empty() {
            for item in &mut items {
                if let Some(attributes) = item["attributes"].as_array_mut() {
                    attributes.retain(|attribute| {
                        let is = |(scope, name): &(String, String)| {
                            attribute["scope"] == *scope && attribute["name"] == *name
                        };
                        selected.iter().any(is)
                    });
                }
            }
        }
        Ok(Response::json(200, &Value::Array(items)).header("X-Total-Count", total.to_string()))
    }

    /// `GET /api/management/v2/inventory/filters/attributes`: which attributes there are and how many devices have them.
    pub(super) fn list_attributes(&self) -> Response {
        let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
        for device in self.devices.iter() {
            let shown = self.inventory_json(device);
            for attribute in shown["attributes"].as_array().into_iter().flatten() {
                let text = |key: &str| attribute[key].as_str().unwrap_or_default().to_owned();
                *counts.entry((text("scope"), text("name"))).or_default() += 1;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        // The sort is stable: what is as frequent stays by scope and name.
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let list = counts
            .into_iter()
            .map(|((scope, name), count)| json!({"name": name, "scope": scope, "count": count}));
        Response::json(200, &Value::Array(list.collect()))
    }
}
