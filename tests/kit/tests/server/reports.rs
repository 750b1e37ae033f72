//! Spec of the device API, sections 5 and 6: status reports and logs.

use mender_testkit::server::{Progress, Settings, Status};
use serde_json::json;

use crate::bench::*;

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

#[test]
fn reports_are_recorded_in_their_order_with_time_and_substate() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    let mut expected = Vec::new();
    for (status, substate) in [("downloading", ""), ("installing", "writing slot 1"), ("success", "")] {
        bench.wait_secs(1);
        let target = format!("{DEPLOYMENTS}/{deployment}/status");
        let body = json!({"status": status, "substate": substate}).to_string();
        assert_eq!(bench.send(device.request("PUT", &target).json(body)).status, 204);
        expected.push((bench.now, Status::from_word(status).unwrap(), substate.to_owned()));
    }
    let on_device = bench.server.device_deployment(&deployment, &device.id).unwrap();
    let seen: Vec<_> = on_device
        .reports
        .iter()
        .map(|r| (r.time, r.status, r.substate.clone()))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(
        (on_device.started, on_device.finished),
        (Some(expected[0].0), Some(expected[2].0))
    );
    assert!(bench.server.violations().is_empty());
}

#[test]
fn every_status_word_is_taken_or_refused_as_specified() {
    let table = [
        ("downloading", 204),
        ("installing", 204),
        ("rebooting", 204),
        ("success", 204),
        ("failure", 204),
        ("already-installed", 204),
        ("pause_before_installing", 204),
        ("pause_before_rebooting", 204),
        ("pause_before_committing", 204),
        ("pending", 400),
        ("aborted", 400),
        ("noartifact", 400),
        ("decommissioned", 400),
        ("Success", 400),
        ("", 400),
    ];
    for (status, expected) in table {
        let (mut bench, device, deployment) = Bench::with_deployment();
        bench.poll(&device, "release-1");
        assert_eq!(bench.report(&device, &deployment, status).status, expected, "{status}");
        let after = if expected == 204 {
            Status::from_word(status)
        } else {
            Some(Status::Pending)
        };
        assert_eq!(bench.status(&device, &deployment), after, "{status}");
    }
}

#[test]
fn malformed_reports() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    let target = format!("{DEPLOYMENTS}/{deployment}/status");
    let long = "x".repeat(201);
    let table = [
        ("{", 400),
        ("[]", 400),
        (r#"{"status":1}"#, 400),
        (r#"{"substate":"x"}"#, 500),
        (r#"{"status":null}"#, 500),
        (&format!(r#"{{"status":"installing","substate":"{long}"}}"#), 400),
        (
            &format!(r#"{{"status":"installing","substate":"{}"}}"#, &long[1..]),
            204,
        ),
        (r#"{"STATUS":"downloading","other":[1]}"#, 204),
    ];
    for (body, status) in table {
        assert_eq!(
            bench.send(device.request("PUT", &target).json(body)).status,
            status,
            "{body}"
        );
    }
    let plain = device
        .request("PUT", &target)
        .header("Content-Type", "text/plain")
        .body(r#"{"status":"success"}"#);
    assert_eq!(bench.send(plain).status, 415);
}

#[test]
fn internal_errors_are_masked() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    let request = device
        .request("PUT", &format!("{DEPLOYMENTS}/{deployment}/status"))
        .json("{}");
    assert_error(&bench.send(request), 500, "internal error");
}

#[test]
fn deployments_that_the_device_does_not_have_are_404() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    assert_error(
        &bench.report(&device, &deployment, "downloading"),
        404,
        "Resource not found",
    );
    assert_error(
        &bench.report(&device, &UNKNOWN.into(), "downloading"),
        404,
        "Resource not found",
    );
    assert_error(
        &bench.report(&device, &"not-a-uuid".into(), "downloading"),
        404,
        "Resource not found",
    );
    let other = bench.login("bbb");
    bench.poll(&device, "release-1");
    assert_eq!(bench.report(&other, &deployment, "downloading").status, 404);
}

#[test]
fn the_same_status_again_changes_nothing_not_even_the_substate() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    let target = format!("{DEPLOYMENTS}/{deployment}/status");
    for substate in ["first", "second"] {
        let body = json!({"status": "installing", "substate": substate}).to_string();
        assert_eq!(bench.send(device.request("PUT", &target).json(body)).status, 204);
    }
    let on_device = bench.server.device_deployment(&deployment, &device.id).unwrap();
    assert_eq!(on_device.substate, "first");
    assert_eq!(
        (on_device.reports.len(), on_device.statuses()),
        (2, vec![Status::Installing])
    );
}

#[test]
fn a_new_status_without_substate_leaves_the_old_one() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    let target = format!("{DEPLOYMENTS}/{deployment}/status");
    let table = [
        (json!({"status": "downloading", "substate": "first"}), "first"),
        (json!({"status": "installing"}), "first"),
        (json!({"status": "rebooting", "substate": ""}), "first"),
        (json!({"status": "installing", "substate": "second"}), "second"),
        (json!({"status": "success", "substate": null}), "second"),
    ];
    for (body, expected) in table {
        let response = bench.send(device.request("PUT", &target).json(body.to_string()));
        assert_eq!(response.status, 204);
        let on_device = bench.server.device_deployment(&deployment, &device.id).unwrap();
        assert_eq!(on_device.substate, expected, "{body}");
    }
}

#[test]
fn a_report_without_status_is_found_wrong_last() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    let put = |bench: &mut Bench, id: &str, body: &str| {
        let request = device.request("PUT", &format!("{DEPLOYMENTS}/{id}/status"));
        bench.send(request.json(body))
    };
    for body in ["{}", r#"{"status":null}"#, r#"{"substate":"x"}"#] {
        assert_error(&put(&mut bench, UNKNOWN, body), 404, "Resource not found");
        assert_error(&put(&mut bench, "not-a-uuid", body), 404, "Resource not found");
    }
    let long = format!(r#"{{"substate":"{}"}}"#, "x".repeat(201));
    assert_error(&put(&mut bench, UNKNOWN, &long), 400, "substate");
    bench.poll(&device, "release-1");
    assert_error(&put(&mut bench, deployment.as_str(), "{}"), 500, "internal error");
    bench.server.abort(&deployment, bench.now);
    assert_error(&put(&mut bench, deployment.as_str(), "{}"), 409, "Deployment aborted");
}

#[test]
fn any_order_is_taken_but_noted() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    for status in ["rebooting", "installing", "success"] {
        bench.report(&device, &deployment, status);
    }
    assert!(
        bench.server.violations().is_empty(),
        "installing may come again for the commit"
    );
    assert_eq!(
        bench.server.deployment(&deployment).unwrap().progress(),
        Progress::Finished
    );
    assert_eq!(bench.report(&device, &deployment, "downloading").status, 204);
    assert_eq!(
        bench.server.deployment(&deployment).unwrap().progress(),
        Progress::InProgress
    );
    assert_eq!(bench.server.violations().len(), 1);
    assert!(
        bench.server.violations()[0]
            .what
            .contains("`downloading` was reported after `success`")
    );

    let mut bench = Bench::with(Settings {
        watch_status_order: false,
        auto_accept: true,
        ..Settings::default()
    });
    let device = bench.login("aa");
    bench.artifact("release-2", "board-a", 100);
    let deployment = bench.deploy("release-2", &device);
    bench.poll(&device, "release-1");
    bench.report(&device, &deployment, "success");
    bench.report(&device, &deployment, "failure");
    assert!(bench.server.violations().is_empty());
}

#[test]
fn aborted_deployments_answer_409() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    bench.report(&device, &deployment, "downloading");
    assert!(bench.server.abort(&deployment, bench.now));
    assert!(!bench.server.abort(&deployment, bench.now), "once only");
    assert_error(
        &bench.report(&device, &deployment, "installing"),
        409,
        "Deployment aborted",
    );
    assert_eq!(bench.status(&device, &deployment), Some(Status::Aborted));
    assert_eq!(bench.offered(&device, "release-1"), None);
}

#[test]
fn a_deployment_aborted_before_the_first_poll_is_just_gone() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    assert!(bench.server.abort(&deployment, bench.now));
    assert_eq!(bench.offered(&device, "release-1"), None);
    assert_eq!(bench.status(&device, &deployment), None);
}

#[test]
fn finished_deployments_cannot_be_aborted() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    bench.report(&device, &deployment, "success");
    assert!(!bench.server.abort(&deployment, bench.now));
    assert_eq!(bench.status(&device, &deployment), Some(Status::Success));
}

#[test]
fn decommissioning_ends_the_deployments_of_the_device() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    assert!(bench.server.decommission(&device.id, bench.now));
    assert_eq!(bench.status(&device, &deployment), Some(Status::Decommissioned));
    assert_eq!(bench.report(&device, &deployment, "installing").status, 401);
}

fn log(messages: &str) -> String {
    format!(r#"{{"messages":[{messages}]}}"#)
}

const GOOD: &str = r#"{"timestamp":"2026-08-22T10:05:58.012Z","level":"error","message":"slot write failed"}"#;

#[test]
fn logs_are_stored_and_replaced_whatever_the_status() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    let target = format!("{DEPLOYMENTS}/{deployment}/log");
    assert_eq!(
        bench
            .send(device.request("PUT", &target).json(log(&format!("{GOOD},{GOOD}"))))
            .status,
        204
    );
    bench.server.abort(&deployment, bench.now);
    assert_eq!(bench.send(device.request("PUT", &target).json(log(GOOD))).status, 204);
    let stored = bench
        .server
        .device_deployment(&deployment, &device.id)
        .unwrap()
        .log
        .clone()
        .unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(
        (stored[0].level.as_str(), stored[0].message.as_str()),
        ("error", "slot write failed")
    );
    assert_eq!(
        (stored[0].timestamp.unix_secs, stored[0].timestamp.nanos),
        (1_787_393_158, 12_000_000)
    );
}

#[test]
fn one_bad_message_spoils_the_whole_log() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.poll(&device, "release-1");
    let target = format!("{DEPLOYMENTS}/{deployment}/log");
    let message = |timestamp: &str, level: &str, message: &str| {
        format!(r#"{{"timestamp":{timestamp},"level":{level},"message":{message}}}"#)
    };
    let time = "\"2026-08-22T10:05:58Z\"";
    let table = [
        (message(time, "\"x\"", "\"m\""), 204),
        (message("\"1970-01-01T00:00:00.5Z\"", "\"error\"", "\"m\""), 204),
        (message("\"2026-08-22T10:05:58,012+02:00\"", "\"error\"", "\"m\""), 204),
        (message("\"00:39:06.746\"", "\"error\"", "\"m\""), 400),
        (message("\"0001-01-01T00:00:00Z\"", "\"error\"", "\"m\""), 400),
        (message("null", "\"error\"", "\"m\""), 400),
        (message("1", "\"error\"", "\"m\""), 400),
        (message(time, "\"\"", "\"m\""), 400),
        (message(time, "null", "\"m\""), 400),
        (message(time, "\"error\"", "\"\""), 400),
        (message(time, "\"error\"", "null"), 400),
        (r#"{"level":"error","message":"m"}"#.to_owned(), 400),
        ("1".to_owned(), 400),
    ];
    for (text, status) in table {
        for body in [log(&text), log(&format!("{GOOD},{text}"))] {
            assert_eq!(
                bench.send(device.request("PUT", &target).json(body.clone())).status,
                status,
                "{body}"
            );
        }
    }
    for body in ["{}", r#"{"messages":[]}"#, r#"{"messages":null}"#, "[]", "{"] {
        assert_eq!(
            bench.send(device.request("PUT", &target).json(body)).status,
            400,
            "{body}"
        );
    }
}

#[test]
fn logs_for_unknown_deployments() {
    let (mut bench, device, _) = Bench::with_deployment();
    let put = |id: &str| {
        device
            .request("PUT", &format!("{DEPLOYMENTS}/{id}/log"))
            .json(log(GOOD))
    };
    assert_error(&bench.send(put(UNKNOWN)), 404, "Deployment not found");
    assert_eq!(bench.send(put("not-a-uuid")).status, 500);
}
