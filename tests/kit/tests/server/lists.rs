//! Spec of the management API, sections 5 and 8: what lists have, and which questions are refused.

use mender_testkit::server::{NewDeployment, Response, Status};
use serde_json::{Value, json};

use crate::bench::*;
use crate::office::*;

fn relations(response: &Response) -> Vec<String> {
    let links = response.headers.iter().filter(|(name, _)| name == "Link");
    links
        .map(|(_, value)| value.split("rel=").nth(1).unwrap_or_default().replace('"', ""))
        .collect()
}

#[test]
fn an_empty_list_has_no_last_page() {
    let mut office = Office::new();
    let lists = [
        CREATE,
        "/v1/deployments/artifacts/list",
        "/v1/inventory/devices",
        "/v1/deployments/deployments/devices/other",
    ];
    for path in lists {
        let response = office.get(path);
        assert_eq!(list(&response), Vec::<Value>::new());
        assert_eq!(relations(&response), ["first"], "{path}");
        assert_eq!(response.header_value("X-Total-Count"), Some("0"));
    }
    // Beyond the end of a list that is not empty there is a last page again.
    office.bench.artifact("release-2", "board-a", 10);
    let response = office.get("/v1/deployments/artifacts/list?page=3&per_page=1");
    assert_eq!(relations(&response), ["first", "prev", "last"]);
}

/// Three deployments, a minute apart: a finished one, an aborted one and one that waits; and a configuration.
fn with_deployments() -> (Office, Caller) {
    let (mut office, device) = with_artifact();
    let bench = &mut office.bench;
    for (name, status) in [("one", Some("success")), ("two", None), ("three", None)] {
        let new = NewDeployment {
            name: name.to_owned(),
            artifact_name: "release-2".to_owned(),
            devices: vec![device.id.clone()],
            force_installation: true,
            group: None,
        };
        let id = bench.server.create_deployment(new, bench.now).unwrap();
        if let Some(status) = status {
            bench.poll(&device, "release-1");
            bench.report(&device, &id, status);
        }
        if name == "two" {
            bench.server.abort(&id, bench.now);
        }
        bench.wait_secs(60);
    }
    bench.server.deploy_configuration(&device.id, bench.now);
    (office, device)
}

#[test]
fn deployments_are_listed_as_asked_for() {
    let (mut office, _) = with_deployments();
    let start = START.unix_secs();
    let mut names = |version: &str, query: &str| {
        let list = list(&office.get(&format!("/{version}/deployments/deployments?{query}")));
        let name = |deployment: &Value| {
            deployment["name"]
                .as_str()
                .unwrap()
                .split('-')
                .next()
                .unwrap()
                .to_owned()
        };
        list.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    let table = [
        ("v1", "".to_owned(), "configuration three two one"),
        ("v1", "sort=asc".to_owned(), "one two three configuration"),
        ("v1", "sort=DESC&status=".to_owned(), "configuration three two one"),
        ("v1", "status=pending".to_owned(), "configuration three"),
        ("v1", "status=finished".to_owned(), "two one"),
        ("v1", "status=aborted".to_owned(), "two"),
        ("v1", "status=inprogress".to_owned(), ""),
        ("v1", "type=software".to_owned(), "three two one"),
        ("v1", "type=configuration".to_owned(), "configuration"),
        ("v1", format!("created_after={}", start + 60), "configuration three two"),
        ("v1", format!("created_before={}", start + 60), "two one"),
        (
            "v1",
            format!("created_after={}&created_before={}", start + 1, start + 60),
            "two",
        ),
        ("v1", "search=t".to_owned(), "configuration three two"),
        ("v1", "search=release".to_owned(), "three two one"),
        // Each version has parameters of its own.
        ("v1", "name=two&id=x".to_owned(), "configuration three two one"),
        ("v2", "search=t".to_owned(), "configuration three two one"),
        ("v2", "name=two&name=one".to_owned(), "two one"),
        ("v2", "name=tw".to_owned(), ""),
        ("v2", "id=x".to_owned(), ""),
    ];
    for (version, query, expected) in table {
        assert_eq!(names(version, &query), expected, "{version} {query}");
    }
}

#[test]
fn wrong_questions_about_deployments_are_refused() {
    let (mut office, device) = with_deployments();
    let id = list(&office.get(CREATE))[0]["id"].as_str().unwrap().to_owned();
    let table = [
        (format!("{CREATE}?status=foo"), "unknown status foo"),
        (format!("{CREATE}?status=Pending"), "unknown status"),
        ("/v2/deployments/deployments?status=foo".to_owned(), "unknown status"),
        (format!("{CREATE}?type=foo"), "unknown deployment type foo"),
        (format!("{CREATE}?sort=foo"), "sort"),
        (format!("{CREATE}?created_before=x"), "created_before"),
        (format!("{CREATE}?created_after=1.5"), "created_after"),
        (format!("{CREATE}/{id}/devices/list?status=foo"), "status"),
        (format!("{CREATE}/devices/{}?status=foo", device.id), "status"),
    ];
    for (path, text) in table {
        assert_error(&office.get(&path), 400, text);
    }
    assert_eq!(
        office.send("POST", "/v2/deployments/deployments", &json!({})).status,
        405
    );
}

#[test]
fn what_a_device_did_is_listed_by_status() {
    let (mut office, device) = with_deployments();
    let count = |office: &mut Office, status: &str| {
        list(&office.get(&format!("{CREATE}/devices/{}?status={status}", device.id))).len()
    };
    office.bench.poll(&device, "release-1");
    for (status, expected) in [("", 2), ("active", 1), ("finished", 1), ("success", 1), ("pause", 0)] {
        assert_eq!(count(&mut office, status), expected, "{status}");
    }
    let id = list(&office.get(&format!("{CREATE}/devices/{}?status=active", device.id)))[0]["deployment"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    office
        .bench
        .report(&device, &id.as_str().into(), "pause_before_installing");
    assert_eq!(count(&mut office, "pause"), 1);
    assert_eq!(
        list(&office.get(&format!("{CREATE}/{id}/devices/list?status=pause"))).len(),
        1
    );
    assert_eq!(
        list(&office.get(&format!("{CREATE}/{id}/devices/list?status=success"))).len(),
        0
    );
}

#[test]
fn a_deployment_names_all_artifacts_of_its_release() {
    let (mut office, device) = with_artifact();
    let ids = |office: &mut Office| -> Vec<String> {
        let list = list(&office.get("/v1/deployments/artifacts"));
        list.iter()
            .map(|artifact| artifact["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let of_release = ids(&mut office);
    office.bench.artifact("release-3", "board-a", 10);
    let deployment = office.bench.deploy("release-2", &device);
    let path = format!("{CREATE}/{deployment}");
    let shown = |office: &mut Office| -> Vec<String> {
        let artifacts = office.get(&path).body_json()["artifacts"].clone();
        let mut artifacts: Vec<String> = serde_json::from_value(artifacts).unwrap();
        artifacts.sort();
        artifacts
    };
    assert_eq!(shown(&mut office), of_release, "before any poll");

    // One that comes later is part of it as long as it runs.
    office.bench.artifact("release-2", "board-b", 10);
    assert_eq!(shown(&mut office).len(), 2);
    assert_eq!(office.bench.offered(&device, "release-1"), Some(deployment.clone()));
    office.bench.report(&device, &deployment, "success");
    office.bench.artifact("release-2", "board-c", 10);
    assert_eq!(shown(&mut office).len(), 2);
}

#[test]
fn a_deployment_says_how_its_devices_were_named() {
    let (mut office, device) = with_artifact();
    let other = office.bench.login("bbb");
    let group = format!("/v1/inventory/devices/{}/group", other.id);
    assert_eq!(office.send("PUT", &group, &json!({"group": "g1"})).status, 204);
    let both = json!([device.id.as_str(), other.id.as_str()]);
    let named = |name: &str, more: Value| {
        let mut body = json!({"name": name, "artifact_name": "release-2"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let term = |scope: &str, attribute: &str, kind: &str, value: Value| json!({"scope": scope, "attribute": attribute, "type": kind, "value": value});
    let table = [
        (
            CREATE.to_owned(),
            named("both", json!({"devices": both})),
            term("identity", "id", "$in", both.clone()),
            Value::Null,
        ),
        (
            CREATE.to_owned(),
            named("one", json!({"devices": [other.id.as_str()]})),
            term("identity", "id", "$in", json!([other.id.as_str()])),
            json!(["g1"]),
        ),
        (
            CREATE.to_owned(),
            named("all", json!({"all_devices": true})),
            term("identity", "status", "$eq", json!("accepted")),
            Value::Null,
        ),
        (
            format!("{CREATE}/group/g1"),
            named("group", json!({})),
            term("system", "group", "$eq", json!("g1")),
            json!(["g1"]),
        ),
    ];
    for (path, body, term, groups) in table {
        let id = created(&office.send("POST", &path, &body));
        let shown = office.get(&format!("{CREATE}/{id}")).body_json();
        assert_eq!(
            shown["filter"],
            json!({"id": "", "name": "", "terms": [term]}),
            "{body}"
        );
        assert_eq!(shown["groups"], groups, "{body}");
    }
}

#[test]
fn aborting_on_a_device_takes_the_next_one_along() {
    let (mut office, device) = with_artifact();
    let path = format!("{CREATE}/devices/{}", device.id);
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        let body = json!({"name": name, "artifact_name": "release-2", "devices": [device.id.as_str()]});
        ids.push(created(&office.send("POST", CREATE, &body)));
    }
    office.bench.poll(&device, "release-1");
    assert_eq!(office.bench.send(office.request("DELETE", &path)).status, 204);
    let status = |office: &Office, at: usize| office.bench.status(&device, &ids[at].as_str().into());
    assert_eq!(
        [0, 1, 2].map(|at| status(&office, at)),
        [Some(Status::Aborted), Some(Status::Aborted), None]
    );
    // Nothing is active now: only the one that waits.
    assert_eq!(office.bench.send(office.request("DELETE", &path)).status, 204);
    assert_eq!(status(&office, 2), Some(Status::Aborted));
    assert_eq!(
        office.bench.send(office.request("DELETE", &path)).status,
        204,
        "nor is this an error"
    );
}

#[test]
fn artifacts_are_described_until_they_are_used() {
    let (mut office, device) = with_artifact();
    let id = list(&office.get("/v1/deployments/artifacts"))[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/deployments/artifacts/{id}");
    assert_eq!(office.send("PUT", &path, &json!({"description": "new"})).status, 204);
    assert_eq!(office.get(&path).body_json()["description"], "new");
    let long = json!({"description": "x".repeat(4097)});
    assert_error(&office.send("PUT", &path, &long), 400, "description");
    let deployment = office.bench.deploy("release-2", &device);
    office.bench.server.abort(&deployment, office.bench.now);
    assert_error(
        &office.send("PUT", &path, &json!({"description": "newer"})),
        422,
        "used in deployment",
    );
    assert_eq!(office.get(&path).body_json()["description"], "new");
}

#[test]
fn check_in_and_update_times() {
    let mut office = Office::of(Bench::new());
    let device = office.bench.login("aa");
    let login = office.bench.now;
    let devauth = format!("/v2/devauth/devices/{}", device.id);
    let inventory = format!("/v1/inventory/devices/{}", device.id);
    let system = |office: &mut Office, name: &str| {
        let shown = office.get(&inventory).body_json();
        let attributes = shown["attributes"].as_array().unwrap().clone();
        let mut found = attributes
            .iter()
            .filter(|attribute| attribute["name"] == name && attribute["scope"] == "system");
        found.next().map(|attribute| attribute["value"].clone())
    };
    assert_eq!(
        office.get(&devauth).body_json()["check_in_time"],
        login.to_string(),
        "the login counts"
    );
    assert_eq!(system(&mut office, "check_in_time"), Some(json!(login.to_string())));
    assert_eq!(system(&mut office, "updated_ts"), None, "nothing was reported");
    assert!(office.get(&inventory).body_json().get("updated_ts").is_none());

    office.bench.wait_secs(5);
    let report = office.bench.now;
    let body = json!([{"name": "n", "value": 1}]).to_string();
    office.bench.send(device.request("PUT", ATTRIBUTES).json(body));
    assert_eq!(office.get(&devauth).body_json()["check_in_time"], report.to_string());
    assert_eq!(system(&mut office, "updated_ts"), Some(json!(report.to_string())));
    assert_eq!(office.get(&inventory).body_json()["updated_ts"], report.to_string());
    office.bench.wait_secs(5);
    office.bench.poll(&device, "release-1");
    assert_eq!(system(&mut office, "updated_ts"), Some(json!(report.to_string())));
}
