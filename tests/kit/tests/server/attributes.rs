//! Spec of the device API, sections 7 and 8: inventory and configuration.

use mender_testkit::server::{Request, Settings};
use serde_json::{Value, json};

use crate::bench::*;

fn names(bench: &Bench, device: &Caller) -> Vec<String> {
    bench
        .server
        .inventory(&device.id)
        .unwrap()
        .attributes()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn put_replaces_and_patch_adds() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let mut send = |method: &str, body: Value| {
        let response = bench.send(device.request(method, ATTRIBUTES).json(body.to_string()));
        assert_eq!((response.status, response.body.len()), (200, 0), "{response:?}");
        names(&bench, &device)
    };
    assert_eq!(send("PATCH", json!([{"name": "a", "value": "1"}])), ["a"]);
    assert_eq!(send("PATCH", json!([{"name": "b", "value": 2}])), ["a", "b"]);
    assert_eq!(
        send("PUT", json!([{"name": "c", "value": ["x", "y"], "description": "d"}])),
        ["c"]
    );
    assert_eq!(send("PUT", json!([])), Vec::<String>::new());
}

#[test]
fn values_have_the_allowed_types_only() {
    let table = [
        (json!("text"), 200),
        (json!(""), 200),
        (json!(0.42), 200),
        (json!(-7), 200),
        (json!([]), 200),
        (json!(["a", "b"]), 200),
        (json!([1, 2.5]), 200),
        (json!(true), 400),
        (json!(null), 400),
        (json!({}), 400),
        (json!(["a", 1]), 400),
        (json!([["a"]]), 400),
        (json!([null]), 400),
    ];
    for (value, status) in table {
        let mut bench = Bench::new();
        let device = bench.login("aa");
        let body = json!([{"name": "ok", "value": 1}, {"name": "n", "value": value}]).to_string();
        assert_eq!(
            bench.send(device.request("PUT", ATTRIBUTES).json(body)).status,
            status,
            "{value}"
        );
        let stored = bench
            .server
            .inventory(&device.id)
            .and_then(|inventory| inventory.value("n").cloned());
        assert_eq!(stored, (status == 200).then_some(value), "all or nothing");
    }
}

#[test]
fn numbers_are_shown_as_go_prints_them() {
    let mut bench = Bench::new();
    bench.server.settings_mut().management_token = Some("fixed".to_owned());
    let device = bench.login("aa");
    let body = r#"[{"name":"a","value":[1.0,2.50,1e3,1e21]},{"name":"b","value":12345678901234567890}]"#;
    assert_eq!(bench.send(device.request("PUT", ATTRIBUTES).json(body)).status, 200);
    let path = format!("{MANAGEMENT}/v1/inventory/devices/{}", device.id);
    let shown = String::from_utf8(bench.send(Request::new("GET", path).bearer("fixed")).body).unwrap();
    for value in [r#""value":[1,2.5,1000,1e+21]"#, r#""value":12345678901234567000"#] {
        assert!(shown.contains(value), "{shown}");
    }
}

#[test]
fn names_and_shapes_are_checked() {
    let long = "n".repeat(1025);
    let table = [
        ("{".to_owned(), 400),
        ("{}".to_owned(), 400),
        ("[1]".to_owned(), 400),
        (r#"[{"value":1}]"#.to_owned(), 400),
        (r#"[{"name":"","value":1}]"#.to_owned(), 400),
        (r#"[{"name":"n"}]"#.to_owned(), 400),
        (r#"[{"name":"n","value":1,"description":2}]"#.to_owned(), 400),
        (json!([{"name": long, "value": 1}]).to_string(), 400),
        (json!([{"name": &long[1..], "value": 1}]).to_string(), 200),
        (
            json!([{"name": "a.b$c ü", "value": 1, "scope": "system", "timestamp": "x"}]).to_string(),
            200,
        ),
    ];
    for (body, status) in table {
        let mut bench = Bench::new();
        let device = bench.login("aa");
        assert_eq!(
            bench
                .send(device.request("PATCH", ATTRIBUTES).json(body.clone()))
                .status,
            status,
            "{body:.80}"
        );
    }
}

#[test]
fn a_hundred_attributes_are_the_limit() {
    let attributes = |range: std::ops::Range<u32>| {
        let list: Vec<_> = range.map(|at| json!({"name": format!("n{at}"), "value": at})).collect();
        Value::Array(list).to_string()
    };
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let mut send = |method: &str, body: String| bench.send(device.request(method, ATTRIBUTES).json(body)).status;
    assert_eq!(send("PUT", attributes(0..101)), 400);
    assert_eq!(send("PUT", attributes(0..100)), 200);
    assert_eq!(send("PATCH", attributes(50..100)), 200, "the union counts");
    assert_eq!(send("PATCH", attributes(100..101)), 400);
    assert_eq!(send("PUT", attributes(100..101)), 200);
}

#[test]
fn the_time_of_update_moves_with_changes_and_days_only() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let send = |bench: &mut Bench, value: u32| {
        let body = json!([{"name": "n", "value": value}]).to_string();
        assert_eq!(bench.send(device.request("PUT", ATTRIBUTES).json(body)).status, 200);
        bench.server.inventory(&device.id).unwrap().updated().unwrap()
    };
    let first = send(&mut bench, 1);
    bench.wait_secs(60);
    assert_eq!(send(&mut bench, 1), first);
    assert_eq!(send(&mut bench, 2), bench.now);
    bench.wait_secs(24 * 3600);
    assert_eq!(send(&mut bench, 2), bench.now);
}

#[test]
fn tokens_of_users_are_refused() {
    let mut bench = Bench::new();
    let login = Request::new("POST", format!("{MANAGEMENT}/v1/useradm/auth/login"))
        .header("Authorization", "Basic YWRtaW5AZXhhbXBsZS5jb206cGFzc3dvcmQ=");
    let token = String::from_utf8(bench.send(login).body).unwrap();
    assert_eq!(
        bench
            .send(Request::new("PUT", ATTRIBUTES).bearer(&token).json("[]"))
            .status,
        401
    );
    assert_eq!(
        bench.send(Request::new("GET", CONFIGURATION).bearer(&token)).status,
        403
    );
}

#[test]
fn configurations_are_fetched_and_reported() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    assert_eq!(bench.send(device.request("GET", CONFIGURATION)).body_json(), json!({}));
    let configured = json!({"timezone": "UTC"});
    bench
        .server
        .set_configuration(&device.id, configured.as_object().unwrap().clone(), bench.now);
    assert_eq!(bench.send(device.request("GET", CONFIGURATION)).body_json(), configured);

    // No content type is needed here; each report replaces the whole map.
    for reported in [json!({"a": "1", "b": "2"}), json!({"c": "3"}), json!({})] {
        let response = bench.send(device.request("PUT", CONFIGURATION).body(reported.to_string()));
        assert_eq!(response.status, 204);
        assert_eq!(
            Value::Object(bench.server.reported_configuration(&device.id).unwrap().clone()),
            reported
        );
    }
}

#[test]
fn reported_configurations_are_checked() {
    let entries = |count: u32| {
        let map: serde_json::Map<_, _> = (0..count).map(|at| (format!("k{at}"), json!("v"))).collect();
        Value::Object(map)
    };
    let long = "x".repeat(4097);
    let table = [
        (json!([]), 400),
        (json!({"k": 1}), 400),
        (json!({"k": true}), 400),
        (json!({"k": null}), 400),
        (json!({"": "v"}), 400),
        (json!({"k": long}), 400),
        (json!({"k": &long[1..]}), 204),
        (entries(100), 204),
        (entries(101), 500),
    ];
    let mut bench = Bench::new();
    let device = bench.login("aa");
    for (body, status) in table {
        assert_eq!(
            bench
                .send(device.request("PUT", CONFIGURATION).json(body.to_string()))
                .status,
            status,
            "{body:.60}"
        );
    }
}

#[test]
fn the_configuration_service_can_be_late() {
    let mut bench = Bench::with(Settings {
        provision_at_once: false,
        auto_accept: true,
        ..Settings::default()
    });
    let device = bench.login("aa");
    assert_error(
        &bench.send(device.request("GET", CONFIGURATION)),
        404,
        "device does not exist",
    );
    bench.server.provision(&device.id);
    assert_eq!(bench.send(device.request("GET", CONFIGURATION)).status, 200);
}
