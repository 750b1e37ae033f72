//! Spec of the device API, section 4: what a poll is answered with.

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{ArtifactInfo, NewDeployment, Request, Status};
use serde_json::json;

use crate::bench::*;

#[test]
fn nothing_to_do_is_204_without_body() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let response = bench.poll(&device, "release-1");
    assert_eq!((response.status, response.body.len()), (204, 0));
}

#[test]
fn instructions_have_the_real_servers_members() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    let response = bench.poll(&device, "release-1");
    assert_eq!(
        response.header_value("Content-Type"),
        Some("application/json; charset=utf-8")
    );
    let text = String::from_utf8(response.body.clone()).unwrap();
    assert!(text.contains("\\u0026X-Amz-") && !text.contains('&'), "{text}");
    let body = response.body_json();
    assert_eq!(body["id"], deployment.as_str());
    let artifact = &body["artifact"];
    assert_eq!(artifact["artifact_name"], "release-2");
    assert_eq!(artifact["device_types_compatible"], json!(["board-a"]));
    assert_eq!(artifact["source"]["method"], "GET");
    assert_eq!(artifact["source"]["expire"], "2026-09-22T14:13:20.005Z");
    let uri = artifact["source"]["uri"].as_str().unwrap();
    assert!(
        uri.starts_with("http://storage.mender.test:9000/mender-artifacts/"),
        "{uri}"
    );
    assert!((1000..2000).contains(&uri.len()), "{}", uri.len());
    let path = uri.split('?').next().unwrap();
    assert!(
        path.contains("v3:") && path.contains("%2F") && path.contains('+'),
        "{path}"
    );
    assert!(body.get("type").is_none());
}

#[test]
fn missing_or_long_parameters_are_refused() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let next = |query: &str| device.request("GET", &format!("{DEPLOYMENTS}/next{query}"));
    assert_error(&bench.send(next("")), 400, "artifact_name: cannot be blank.");
    assert_error(
        &bench.send(next("?artifact_name=a")),
        400,
        "device_type: cannot be blank.",
    );
    let long = "x".repeat(4097);
    assert_error(
        &bench.send(next(&format!("?artifact_name={long}&device_type=b"))),
        400,
        "artifact_name",
    );
    assert_eq!(
        bench
            .send(next(&format!("?artifact_name={}&device_type=b", &long[1..])))
            .status,
        204
    );

    let post = |body: &str| device.request("POST", &format!("{DEPLOYMENTS}/next")).json(body);
    assert_error(&bench.send(post("[]")), 400, "invalid schema");
    assert_error(
        &bench.send(post(
            r#"{"artifact_name":"a","device_type":"b","artifact_provides":{"k":1}}"#,
        )),
        400,
        "invalid schema",
    );
    let long_provides = json!({"artifact_name": "a", "device_type": "b", "artifact_provides": {"k": long}});
    assert_error(&bench.send(post(&long_provides.to_string())), 400, "k: the length");
    let v2_shape = r#"{"device_provides":{"artifact_name":"a","device_type":"b"}}"#;
    assert_error(&bench.send(post(v2_shape)), 400, "cannot be blank");
}

#[test]
fn query_values_are_percent_decoded() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    bench.artifact("release 2&+", "board <ü>", 10);
    let deployment = bench
        .server
        .deploy("release 2&+", std::slice::from_ref(&device.id), bench.now)
        .unwrap();
    let target = format!("{DEPLOYMENTS}/next?artifact_name=old+one&device_type=board%20%3C%C3%BC%3E");
    assert_eq!(bench.send(device.request("GET", &target)).status, 200);
    let poll = bench
        .server
        .device_deployment(&deployment, &device.id)
        .unwrap()
        .poll
        .clone()
        .unwrap();
    assert_eq!(
        (poll.artifact_name.as_str(), poll.device_type.as_str()),
        ("old one", "board <ü>")
    );
}

#[test]
fn version_2_exists_in_the_commercial_editions_only() {
    let body = json!({"device_provides": {"artifact_name": "release-1", "device_type": "board-a", "k": "v"},
        "update_control_map": false})
    .to_string();
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let response = bench.send(device.request("POST", NEXT_V2).json(body.clone()));
    assert_error(&response, 404, "not found");

    let mut bench = Bench::enterprise();
    let device = bench.login("aa");
    assert_eq!(
        bench.send(device.request("POST", NEXT_V2).json(body.clone())).status,
        204
    );
    bench.artifact("release-2", "board-a", 100);
    let deployment = bench.deploy("release-2", &device);
    let response = bench.send(device.request("POST", NEXT_V2).json(body));
    assert_eq!(response.body_json()["id"], deployment.as_str());
    assert_eq!(bench.send(device.request("GET", NEXT_V2)).status, 405);
    let no_type = json!({"device_provides": {"artifact_name": "release-1"}}).to_string();
    assert_error(
        &bench.send(device.request("POST", NEXT_V2).json(no_type)),
        400,
        "device_type: cannot be blank.",
    );
}

#[test]
fn commercial_editions_choose_by_depends() {
    let mut bench = Bench::enterprise();
    let device = bench.login("aa");
    let add = |bench: &mut Bench, radio: &[&str], len: usize| {
        let writer = ArtifactWriter::new("release-2", "board-a")
            .depends_any("radio", radio)
            .file("fw", &vec![0; len]);
        bench.server.add_artifact(writer.write(), bench.now).unwrap()
    };
    let _small = add(&mut bench, &["1"], 10);
    let fitting = add(&mut bench, &["2", "3"], 5000);
    bench.deploy("release-2", &device);
    let body = json!({"device_provides": {"artifact_name": "release-1", "device_type": "board-a", "radio": "3"}});
    let response = bench.send(device.request("POST", NEXT_V2).json(body.to_string()));
    assert_eq!(response.body_json()["artifact"]["id"], fitting.as_str());
}

#[test]
fn an_active_deployment_is_offered_again_and_again() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    for status in ["downloading", "installing", "rebooting", "pause_before_committing"] {
        assert_eq!(bench.offered(&device, "release-1"), Some(deployment.clone()));
        assert_eq!(bench.report(&device, &deployment, status).status, 204);
    }
    assert_eq!(bench.offered(&device, "release-1"), Some(deployment.clone()));
    bench.report(&device, &deployment, "success");
    assert_eq!(bench.offered(&device, "release-2"), None);
}

#[test]
fn changed_poll_data_fail_the_deployment() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    bench.report(&device, &deployment, "installing");
    // The trap: the final report was lost, and the device polls with its new name.
    assert_error(
        &bench.poll(&device, "release-2"),
        409,
        "Device provided conflicting request data",
    );
    assert_eq!(bench.status(&device, &deployment), Some(Status::Failure));
    assert_eq!(bench.poll(&device, "release-2").status, 204);
}

#[test]
fn the_other_method_with_provides_conflicts_as_well() {
    let provides = |value: &str| {
        json!({"artifact_name": "release-1", "device_type": "board-a", "artifact_provides": {"k": value}}).to_string()
    };
    let next = format!("{DEPLOYMENTS}/next");
    let (mut bench, device, _) = Bench::with_deployment();
    assert_eq!(
        bench.send(device.request("POST", &next).json(provides("1"))).status,
        200
    );
    assert_eq!(
        bench.send(device.request("POST", &next).json(provides("1"))).status,
        200
    );
    assert_eq!(
        bench.send(device.request("POST", &next).json(provides("2"))).status,
        409
    );

    let (mut bench, device, _) = Bench::with_deployment();
    assert_eq!(bench.poll(&device, "release-1").status, 200);
    assert_eq!(
        bench.send(device.request("POST", &next).json(provides("1"))).status,
        409
    );

    let (mut bench, device, _) = Bench::with_deployment();
    let empty = r#"{"artifact_name":"release-1","device_type":"board-a","artifact_provides":{}}"#;
    assert_eq!(bench.poll(&device, "release-1").status, 200);
    assert_eq!(
        bench.send(device.request("POST", &next).json(empty)).status,
        200,
        "no provides are no provides"
    );
}

#[test]
fn a_device_that_has_the_artifact_is_done() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.wait_secs(5);
    assert_eq!(bench.poll(&device, "release-2").status, 204);
    assert_eq!(bench.status(&device, &deployment), Some(Status::AlreadyInstalled));
    let on_device = bench.server.device_deployment(&deployment, &device.id).unwrap();
    assert_eq!(on_device.finished, Some(bench.now));
}

#[test]
fn what_is_already_installed_is_named_and_not_counted() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.server.settings_mut().management_token = Some("fixed".to_owned());
    bench.poll(&device, "release-2");
    let path = format!("{MANAGEMENT}/v1/deployments/deployments/{deployment}");
    let mut get = |path: &str| bench.send(Request::new("GET", path).bearer("fixed")).body_json();
    let on_device = &get(&format!("{path}/devices"))[0];
    assert_eq!(on_device["status"], "already-installed");
    assert_eq!(on_device["image"]["name"], "release-2");
    assert_eq!(get(&path)["statistics"]["total_size"], 0, "it was never given");
}

#[test]
fn already_installed_is_looked_at_only_while_pending_and_not_when_forced() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    bench.report(&device, &deployment, "downloading");
    assert_eq!(bench.poll(&device, "release-1").status, 200);

    let mut bench = Bench::new();
    let device = bench.login("aa");
    bench.artifact("release-2", "board-a", 100);
    let new = NewDeployment {
        name: "again".to_owned(),
        artifact_name: "release-2".to_owned(),
        devices: vec![device.id.clone()],
        force_installation: true,
        group: None,
    };
    bench.server.create_deployment(new, bench.now).unwrap();
    assert_eq!(bench.poll(&device, "release-2").status, 200);
}

#[test]
fn no_artifact_for_the_device_type_ends_the_deployment() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    bench.artifact("release-2", "board-b", 100);
    let deployment = bench.deploy("release-2", &device);
    assert_eq!(bench.poll(&device, "release-1").status, 204);
    assert_eq!(bench.status(&device, &deployment), Some(Status::NoArtifact));
}

#[test]
fn the_smallest_fitting_artifact_is_chosen_and_kept() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let add = |bench: &mut Bench, depends: &str, board: &str, len: usize| {
        let writer = ArtifactWriter::new("release-2", board)
            .depends("k", depends)
            .file("fw", &vec![0; len]);
        bench.server.add_artifact(writer.write(), bench.now).unwrap()
    };
    add(&mut bench, "1", "board-a", 9000);
    let small = add(&mut bench, "2", "board-a", 600);
    add(&mut bench, "3", "board-b", 10);
    bench.deploy("release-2", &device);
    assert_eq!(
        bench.poll(&device, "release-1").body_json()["artifact"]["id"],
        small.as_str()
    );
    add(&mut bench, "4", "board-a", 10);
    assert_eq!(
        bench.poll(&device, "release-1").body_json()["artifact"]["id"],
        small.as_str()
    );
}

#[test]
fn deployments_come_oldest_first_and_never_go_back() {
    let mut bench = Bench::new();
    let (device, other) = (bench.login("aa"), bench.login("bbb"));
    for name in ["r1", "r2", "r3", "r4"] {
        bench.artifact(name, "board-a", 100);
    }
    let first = bench.deploy("r1", &device);
    let for_other = bench.deploy("r2", &other);
    let second = bench.deploy("r3", &device);

    assert_eq!(bench.offered(&device, "r0"), Some(first.clone()));
    bench.report(&device, &first, "success");
    assert_eq!(bench.offered(&device, "r1"), Some(second.clone()));
    bench.report(&device, &second, "failure");
    assert_eq!(bench.offered(&device, "r1"), None);
    assert_eq!(bench.offered(&other, "r0"), Some(for_other));

    // Finished ones hide older ones; hiding the history brings those back.
    let mut bench = Bench::new();
    let device = bench.login("aa");
    bench.artifact("r1", "board-a", 100);
    bench.artifact("r2", "board-a", 100);
    let older = bench.deploy("r1", &device);
    let newer = bench.deploy("r2", &device);
    bench.offered(&device, "r0");
    bench.report(&device, &older, "success");
    assert_eq!(bench.offered(&device, "r1"), Some(newer.clone()));
    bench.report(&device, &newer, "success");
    bench.report(&device, &older, "downloading");
    assert_eq!(
        bench.poll(&device, "r0").body_json()["id"],
        older.as_str(),
        "an active one comes first, however old"
    );
}

#[test]
fn already_installed_gives_way_at_the_next_poll() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    bench.artifact("r1", "board-a", 100);
    bench.artifact("r2", "board-a", 100);
    bench.deploy("r1", &device);
    let second = bench.deploy("r2", &device);
    assert_eq!(bench.offered(&device, "r1"), None);
    assert_eq!(bench.offered(&device, "r1"), Some(second));
}

#[test]
fn a_configuration_is_deployed_as_an_artifact_made_by_the_server() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let configuration = json!({"timezone": "UTC", "b": "<2>"}).as_object().unwrap().clone();
    bench
        .server
        .set_configuration(&device.id, configuration.clone(), bench.now);
    let deployment = bench.server.deploy_configuration(&device.id, bench.now);
    let name = format!("configuration-{deployment}");

    let target = format!("{DEPLOYMENTS}/next?artifact_name={name}&device_type=board%20%2Fa%2Bb");
    let response = bench.send(device.request("GET", &target));
    let artifact = &response.body_json()["artifact"];
    assert_eq!(
        artifact["artifact_name"], name,
        "offered although the name is the reported one"
    );
    assert_eq!(artifact["id"], format!("{deployment}{}", device.id));
    assert_eq!(artifact["device_types_compatible"], json!(["board /a+b"]));
    assert!(artifact["source"].get("method").is_none());

    let uri = artifact["source"]["uri"].as_str().unwrap().to_owned();
    let target = uri.strip_prefix(&bench.server.settings().api_url).unwrap().to_owned();
    let file = bench.send(Request::new("GET", &target).header("Range", "bytes=5-"));
    assert_eq!(
        (file.status, file.header_value("Content-Type")),
        (200, Some("application/vnd.mender-artifact"))
    );
    let info = ArtifactInfo::read(&file.body).unwrap();
    assert_eq!(info.name, name);
    assert_eq!(info.payload_type.as_deref(), Some("mender-configure"));
    assert_eq!(info.device_types, ["board /a+b"]);
    assert_eq!(info.provides["data-partition.mender-configure.version"], name);
    assert_eq!(info.clears, ["data-partition.mender-configure.*"]);
    assert_eq!(
        serde_json::Value::Object(info.meta_data.unwrap()),
        serde_json::Value::Object(configuration)
    );
    assert!(info.files.is_empty());

    assert_eq!(
        bench
            .send(Request::new("GET", target.replace("signature=", "signature=x")))
            .status,
        403
    );
    assert_eq!(
        bench
            .send(Request::new("GET", target.split('?').next().unwrap()))
            .status,
        400
    );
    bench.wait_secs(900);
    assert_eq!(bench.send(Request::new("GET", &target)).status, 403, "expired");
}
