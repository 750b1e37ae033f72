//! Spec of the management API: what mender-cli, curl and test scripts do.

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Request, Status};
use serde_json::{Value, json};

use crate::bench::*;
use crate::office::*;

#[test]
fn logins() {
    let mut bench = Bench::new();
    assert_eq!(
        bench
            .send(login("Admin@Example.COM", "password").json(r#"{"token2fa":"1"}"#))
            .status,
        200
    );
    assert_error(&bench.send(login("admin@example.com", "Password")), 401, "unauthorized");
    assert_error(&bench.send(login("other@example.com", "password")), 401, "unauthorized");
    assert_error(
        &bench.send(login("admin@example.com", "password").json("{")),
        400,
        "decode",
    );
    let without = Request::new("POST", format!("{MANAGEMENT}/v1/useradm/auth/login"));
    assert_error(&bench.send(without.clone()), 401, "invalid or missing auth header");
    assert_error(
        &bench.send(without.bearer("a.b.c")),
        401,
        "invalid or missing auth header",
    );
}

#[test]
fn only_valid_tokens_of_users_are_let_in() {
    let mut office = Office::of(Bench::new());
    let path = format!("{MANAGEMENT}/v2/devauth/devices");
    let response = office.bench.send(Request::new("GET", &path));
    assert_error(&response, 401, "");
    assert!(response.header_value("WWW-Authenticate").is_some());
    let device = office.bench.login("aa");
    assert_error(&office.bench.send(device.request("GET", &path)), 401, "unauthorized");

    assert_eq!(office.get("/v2/devauth/devices").status, 200);
    assert_eq!(office.send("POST", "/v1/useradm/auth/logout", &json!({})).status, 202);
    assert_error(&office.get("/v2/devauth/devices"), 401, "unauthorized");

    let mut office = Office::new();
    office.bench.wait_secs(7 * 24 * 3600);
    assert_eq!(office.get("/v2/devauth/devices").status, 401, "expired");

    office.bench.server.settings_mut().management_token = Some("fixed".to_owned());
    assert_eq!(
        office.bench.send(Request::new("GET", &path).bearer("fixed")).status,
        200
    );
}

#[test]
fn a_device_is_found_and_accepted_the_way_scripts_do_it() {
    let mut office = Office::new();
    office.bench.send(auth_request("aa", &key(1)));
    let pending = list(&office.get("/v2/devauth/devices?page=1&per_page=64&status=pending"));
    assert_eq!(pending.len(), 1);
    let device = &pending[0];
    assert_eq!(device["identity_data"]["mac"], "aa");
    assert_eq!(
        (&device["status"], &device["auth_sets"][0]["status"]),
        (&json!("pending"), &json!("pending"))
    );
    assert_eq!(device["auth_sets"][0]["pubkey"], pem(&key(1)));
    assert!(device.get("check_in_time").is_none());

    let id = device["id"].as_str().unwrap();
    let status = format!(
        "/v2/devauth/devices/{id}/auth/{}/status",
        device["auth_sets"][0]["id"].as_str().unwrap()
    );
    assert_eq!(office.get(&status).body_json(), json!({"status": "pending"}));
    assert_error(
        &office.send("PUT", &status, &json!({"status": "preauthorized"})),
        400,
        "",
    );
    for _ in 0..2 {
        assert_eq!(office.send("PUT", &status, &json!({"status": "accepted"})).status, 204);
    }
    assert_eq!(office.bench.send(auth_request("aa", &key(1))).status, 200);
    assert_eq!(office.send("PUT", &status, &json!({"status": "rejected"})).status, 204);
    assert_eq!(office.bench.send(auth_request("aa", &key(1))).status, 401);

    assert_eq!(
        office.get("/v2/devauth/devices/count?status=rejected").body_json(),
        json!({"count": 1})
    );
    assert_error(&office.get("/v2/devauth/devices?status=nonsense"), 400, "status");
    assert_error(&office.get("/v2/devauth/devices/other"), 404, "device not found");
    let gone = format!("/v2/devauth/devices/{id}");
    assert_eq!(office.get(&gone).status, 200);
    assert_eq!(office.bench.send(office.request("DELETE", &gone)).status, 204);
    let again = office.bench.send(office.request("DELETE", &gone));
    assert_eq!((again.status, again.body.len()), (404, 0));
}

#[test]
fn lists_come_in_pages_with_links() {
    let mut office = Office::new();
    for number in 1..=5_u8 {
        office.bench.send(auth_request(&format!("mac-{number}"), &key(number)));
    }
    let response = office.get("/v2/devauth/devices?status=pending&per_page=2&page=2");
    assert_eq!(list(&response).len(), 2);
    let links: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| name == "Link")
        .map(|(_, value)| value.as_str())
        .collect();
    let base = "/api/management/v2/devauth/devices?page=";
    assert_eq!(
        links,
        [
            format!("<{base}1&per_page=2&status=pending>; rel=\"first\""),
            format!("<{base}1&per_page=2&status=pending>; rel=\"prev\""),
            format!("<{base}3&per_page=2&status=pending>; rel=\"next\""),
        ]
    );
    assert_eq!(list(&office.get("/v2/devauth/devices?per_page=2&page=3")).len(), 1);
    assert_error(
        &office.get("/v2/devauth/devices?page=x"),
        400,
        "invalid page query: \"x\"",
    );
    assert_error(
        &office.get("/v2/devauth/devices?page=0"),
        400,
        "non-zero positive integer",
    );
    assert_error(
        &office.get("/v2/devauth/devices?per_page=501"),
        400,
        "above limit (max: 500)",
    );
    let found = office.send(
        "POST",
        "/v2/devauth/devices/search",
        &json!({"status": ["pending", "accepted"]}),
    );
    assert_eq!(list(&found).len(), 5);
}

#[test]
fn artifacts_are_uploaded_listed_and_deleted() {
    let mut office = Office::new();
    let meta_data = json!({"k": "v"}).as_object().unwrap().clone();
    let bytes = ArtifactWriter::new("fw-1", "board-a")
        .meta_data(meta_data)
        .file("fw.bin", b"12345")
        .write();
    let size = bytes.len().to_string();
    let parts: [(&str, &[u8]); 4] = [
        ("description", b"nightly"),
        ("size", size.as_bytes()),
        ("artifact", &bytes),
        ("size", b"ignored"),
    ];
    let response = office.upload(&parts);
    assert_eq!((response.status, response.body.len()), (201, 0), "{response:?}");
    let location = response.header_value("Location").unwrap().to_owned();
    let path = location.strip_prefix(MANAGEMENT).unwrap().to_owned();

    let artifact = office.get(&path).body_json();
    assert_eq!(
        (&artifact["name"], &artifact["description"]),
        (&json!("fw-1"), &json!("nightly"))
    );
    assert_eq!(artifact["size"], bytes.len());
    assert_eq!(artifact["artifact_depends"], json!({"device_type": ["board-a"]}));
    let update = &artifact["updates"][0];
    assert_eq!(update["meta_data"], json!([{"Key": "k", "Value": "v"}]));
    assert_eq!(
        (&update["files"][0]["name"], &update["files"][0]["size"]),
        (&json!("fw.bin"), &json!(5))
    );

    let response = office.get("/v1/deployments/artifacts/list?page=1&per_page=1000");
    assert_eq!(
        (list(&response).len(), response.header_value("X-Total-Count")),
        (1, Some("1"))
    );
    assert_eq!(
        list(&office.get("/v1/deployments/artifacts?name=FW&device_type=board")).len(),
        1
    );
    assert_eq!(list(&office.get("/v1/deployments/artifacts?name=other")).len(), 0);

    let again = office.upload(&[("artifact", &bytes)]);
    assert_error(&again, 409, "an artifact with the same name and depends already exists");

    let link = office.get(&format!("{path}/download")).body_json();
    let download = office.bench.download(link["uri"].as_str().unwrap());
    let file = office.bench.send(download);
    assert_eq!(
        (file.header_value("Content-Type"), &file.body),
        (Some("application/vnd.mender-artifact"), &bytes)
    );

    assert_eq!(office.bench.send(office.request("DELETE", &path)).status, 204);
    assert_error(&office.get(&path), 404, "Resource not found");
    assert_error(
        &office.get("/v1/deployments/artifacts/not-a-uuid"),
        400,
        "ID is not a valid UUID",
    );
}

#[test]
fn bad_uploads_are_refused() {
    let mut office = Office::new();
    let bytes = ArtifactWriter::new("fw-1", "board-a").file("fw.bin", b"12345").write();
    assert_error(&office.upload(&[("size", b"5")]), 400, "does not contain the artifact");
    assert_error(&office.upload(&[("artifact", b"junk")]), 400, "tar");
    assert_error(&office.upload(&[("size", b"7"), ("artifact", &bytes)]), 400, "size");
    assert_error(
        &office.upload(&[("artifact_id", b"x"), ("artifact", &bytes)]),
        400,
        "artifact_id",
    );
    let json = office.send("POST", "/v1/deployments/artifacts", &json!({}));
    assert_error(&json, 400, "multipart");
    let id = "5f0f4c7e-0d9c-4c1b-8d52-9c1f3f1f7a10";
    let response = office.upload(&[("artifact_id", id.as_bytes()), ("artifact", &bytes)]);
    assert!(response.header_value("Location").unwrap().ends_with(id));
}

#[test]
fn a_deployment_from_creation_to_its_log() {
    let (mut office, device) = with_artifact();
    let body = json!({"name": "d", "artifact_name": "release-2", "devices": [device.id.as_str()]});
    let id = created(&office.send("POST", CREATE, &body));
    let path = format!("{CREATE}/{id}");
    let seen = office.get(&path).body_json();
    assert_eq!(
        (&seen["status"], &seen["device_count"], &seen["max_devices"]),
        (&json!("pending"), &json!(0), &json!(1))
    );
    assert_eq!(seen["statistics"]["status"]["pending"], 1);
    assert!(
        list(&office.get(&format!("{path}/devices"))).is_empty(),
        "missing until it polls"
    );
    assert_error(&office.send("POST", CREATE, &body), 409, "already an active deployment");

    office.bench.poll(&device, "release-1");
    let deployment = id.as_str().into();
    office.bench.report(&device, &deployment, "installing");
    assert_eq!(office.get(&path).body_json()["status"], "inprogress");
    let in_use = list(&office.get("/v1/deployments/artifacts"))[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let delete = office.request("DELETE", &format!("/v1/deployments/artifacts/{in_use}"));
    assert_error(&office.bench.send(delete), 409, "Artifact is used in active deployment");

    assert_eq!(office.get(&format!("{path}/devices/{}/log", device.id)).status, 404);
    let log =
        r#"{"messages":[{"timestamp":"2026-08-22T10:05:58.012Z","level":"error","message":"slot write failed"}]}"#;
    office
        .bench
        .send(device.request("PUT", &format!("{DEPLOYMENTS}/{id}/log")).json(log));
    office.bench.report(&device, &deployment, "failure");

    let response = office.get(&format!("{path}/devices/{}/log", device.id));
    let text = String::from_utf8(response.body).unwrap();
    assert_eq!(text, "2026-08-22 10:05:58.012 +0000 UTC error: slot write failed\n");
    let on_devices = list(&office.get(&format!("{path}/devices/list?status=finished")));
    assert_eq!(
        (&on_devices[0]["status"], &on_devices[0]["log"]),
        (&json!("failure"), &json!(true))
    );
    assert_eq!(
        (&on_devices[0]["id"], &on_devices[0]["image"]["name"]),
        (&json!(device.id.as_str()), &json!("release-2"))
    );
    assert_eq!(office.get(&format!("{path}/statistics")).body_json()["failure"], 1);
    let seen = office.get(&path).body_json();
    assert_eq!(seen["status"], "finished");
    assert!(seen["finished"].is_string());
    assert!(seen["statistics"]["total_size"].as_u64().unwrap() > 0);
    let of_device = list(&office.get(&format!("{CREATE}/devices/{}", device.id)));
    assert_eq!(of_device[0]["deployment"]["id"], id);
    let finished = office.get(&format!("{CREATE}?status=finished"));
    assert_eq!(finished.header_value("X-Total-Count"), Some("1"));
    let statistics = office.send(
        "POST",
        &format!("{CREATE}/statistics/list"),
        &json!({"deployment_ids": [id]}),
    );
    assert_eq!(list(&statistics)[0]["stats"]["failure"], 1);
}

#[test]
fn deployments_that_break_a_rule_are_refused() {
    let (mut office, device) = with_artifact();
    let id = device.id.as_str();
    let long = "n".repeat(257);
    let table = [
        (
            json!({"name": "d", "artifact_name": "release-2"}),
            400,
            "Validating request body",
        ),
        (
            json!({"artifact_name": "release-2", "devices": [id]}),
            400,
            "name: cannot be blank.",
        ),
        (
            json!({"name": "d", "devices": [id]}),
            400,
            "artifact_name: cannot be blank.",
        ),
        (
            json!({"name": long, "artifact_name": "release-2", "devices": [id]}),
            400,
            "name: the length",
        ),
        (
            json!({"name": "d", "artifact_name": "release-2", "devices": [""]}),
            400,
            "devices",
        ),
        (
            json!({"name": "d", "artifact_name": "release-2", "devices": [id], "all_devices": true}),
            400,
            "Exactly one",
        ),
        (
            json!({"name": "d", "artifact_name": "other", "devices": [id]}),
            422,
            "No artifact for the deployment",
        ),
    ];
    for (body, status, text) in table {
        assert_error(&office.send("POST", CREATE, &body), status, text);
    }
    let in_group = json!({"name": "d", "artifact_name": "release-2"});
    assert_error(
        &office.send("POST", &format!("{CREATE}/group/g1"), &in_group),
        400,
        "No devices for the deployment",
    );
    assert_error(
        &office.get(&format!("{CREATE}/not-a-uuid")),
        400,
        "ID is not a valid UUID",
    );
    assert_error(
        &office.get(&format!("{CREATE}/00000000-0000-4000-8000-000000000000")),
        404,
        "Resource not found",
    );
}

#[test]
fn groups_and_all_devices_become_a_list_at_creation() {
    let (mut office, device) = with_artifact();
    let other = office.bench.login("bbb");
    let group = format!("/v1/inventory/devices/{}/group", other.id);
    assert_error(
        &office.send("PUT", &group, &json!({"group": "not allowed"})),
        400,
        "Group name",
    );
    assert_eq!(office.send("PUT", &group, &json!({"group": "g1"})).status, 204);
    assert_eq!(office.get(&group).body_json(), json!({"group": "g1"}));
    assert_eq!(office.get("/v1/inventory/groups").body_json(), json!(["g1"]));

    let body = json!({"name": "d", "artifact_name": "release-2"});
    let id = created(&office.send("POST", &format!("{CREATE}/group/g1"), &body));
    assert_eq!(
        office.get(&format!("{CREATE}/{id}/device_list")).body_json(),
        json!([other.id.as_str()])
    );

    let body = json!({"name": "all", "artifact_name": "release-2", "all_devices": true, "force_installation": true});
    let id = created(&office.send("POST", CREATE, &body));
    office.bench.login("cccc");
    let seen = office.get(&format!("{CREATE}/{id}")).body_json();
    assert_eq!(
        (&seen["max_devices"], &seen["force_installation"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(office.bench.poll(&device, "release-2").status, 200);
}

#[test]
fn aborts() {
    let (mut office, device) = with_artifact();
    let body = |name: &str| json!({"name": name, "artifact_name": "release-2", "devices": [device.id.as_str()]});
    let id = created(&office.send("POST", CREATE, &body("one")));
    office.bench.poll(&device, "release-1");
    let status = format!("{CREATE}/{id}/status");
    assert_eq!(office.send("PUT", &status, &json!({"status": "aborted"})).status, 204);
    assert_eq!(office.bench.status(&device, &id.as_str().into()), Some(Status::Aborted));
    assert_error(
        &office.send("PUT", &status, &json!({"status": "aborted"})),
        422,
        "Deployment already finished",
    );
    let unknown = format!("{CREATE}/00000000-0000-4000-8000-000000000000/status");
    assert_error(
        &office.send("PUT", &unknown, &json!({"status": "aborted"})),
        422,
        "Deployment already finished",
    );

    // The handler that forgets to return.
    let id = created(&office.send("POST", CREATE, &body("two")));
    let status = format!("{CREATE}/{id}/status");
    assert_error(&office.send("PUT", &status, &json!({"status": "nonsense"})), 400, "");
    assert_eq!(office.get(&format!("{CREATE}/{id}")).body_json()["status"], "pending");
    assert_error(
        &office.send("PUT", &status, &json!({"status": "success"})),
        400,
        "Unexpected deployment status",
    );
    assert_eq!(office.get(&format!("{CREATE}/{id}")).body_json()["status"], "finished");

    let id = created(&office.send("POST", CREATE, &body("three")));
    let of_device = format!("{CREATE}/devices/{}", device.id);
    assert_eq!(office.bench.send(office.request("DELETE", &of_device)).status, 204);
    assert_eq!(office.bench.status(&device, &id.as_str().into()), Some(Status::Aborted));
}

#[test]
fn inventories_are_shown_with_identity_and_times() {
    let (mut office, device) = with_artifact();
    let body = json!([{"name": "artifact_name", "value": "release-1"}, {"name": "load", "value": 0.5}]).to_string();
    office.bench.send(device.request("PUT", ATTRIBUTES).json(body));
    let response = office.get("/v1/inventory/devices?page=1&per_page=10");
    assert_eq!(response.header_value("X-Total-Count"), Some("1"));
    let shown = office.get(&format!("/v1/inventory/devices/{}", device.id)).body_json();
    let attribute = |name: &str| {
        let attributes = shown["attributes"].as_array().unwrap();
        let found = attributes
            .iter()
            .find(|attribute| attribute["name"] == name)
            .unwrap_or(&Value::Null);
        (
            found["value"].clone(),
            found["scope"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(attribute("status"), (json!("accepted"), "identity".to_owned()));
    assert_eq!(attribute("mac"), (json!("aa"), "identity".to_owned()));
    assert_eq!(attribute("load"), (json!(0.5), "inventory".to_owned()));
    assert_eq!(attribute("check_in_time").1, "system");
    assert_error(&office.get("/v1/inventory/devices/other"), 404, "Device not found");
}

#[test]
fn configurations_are_set_and_deployed() {
    let (mut office, device) = with_artifact();
    let path = format!("/v1/deviceconfig/configurations/device/{}", device.id);
    assert_eq!(office.send("PUT", &path, &json!({"timezone": "UTC"})).status, 204);
    let id = office
        .send("POST", &format!("{path}/deploy"), &json!({"retries": 0}))
        .body_json()["deployment_id"]
        .clone();
    assert_eq!(office.bench.poll(&device, "release-1").body_json()["id"], id);
    let shown = office.get(&path).body_json();
    assert_eq!(
        (&shown["configured"], &shown["deployment_id"]),
        (&json!({"timezone": "UTC"}), &id)
    );
}

#[test]
fn the_rest_is_404() {
    let mut office = Office::new();
    assert_error(&office.get("/v1/unknown"), 404, "not found");
    assert_error(
        &office.send("POST", "/v1/deployments/artifacts/directupload", &json!({})),
        405,
        "",
    );
    assert_error(&office.send("PATCH", CREATE, &json!({})), 405, "method not allowed");
    let tenant = office.get("/v1/tenantadm/user/tenant").body_json();
    assert!(tenant["tenant_token"].as_str().is_some_and(|token| !token.is_empty()));
}
