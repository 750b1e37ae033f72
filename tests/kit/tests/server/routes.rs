//! Spec of the management API, sections 3 and 6: preauthorized devices, tokens, groups, tags, search.

use mender_testkit::server::Acceptance;
use serde_json::{Value, json};

use crate::bench::*;
use crate::office::*;

const DEVICES: &str = "/v2/devauth/devices";

fn wish(mac: &str, number: u8, force: bool) -> Value {
    json!({"identity_data": {"mac": mac}, "pubkey": pem(&key(number)), "force": force})
}

#[test]
fn a_preauthorized_device_comes_in_when_it_asks() {
    let mut office = Office::new();
    let response = office.send("POST", DEVICES, &wish("aa", 1, false));
    assert_eq!((response.status, response.body.len()), (201, 0), "{response:?}");
    let id = response
        .header_value("Location")
        .and_then(|location| location.strip_prefix("devices/"))
        .unwrap()
        .to_owned();
    let shown = office.get(&format!("{DEVICES}/{id}")).body_json();
    assert_eq!(
        (&shown["status"], &shown["auth_sets"][0]["status"]),
        (&json!("preauthorized"), &json!("preauthorized"))
    );
    let count = |office: &mut Office, status: &str| {
        let counted = office.get(&format!("{DEVICES}/count?status={status}")).body_json();
        (
            list(&office.get(&format!("{DEVICES}?status={status}"))).len(),
            counted["count"].clone(),
        )
    };
    assert_eq!(count(&mut office, "preauthorized"), (1, json!(1)));
    assert_eq!(count(&mut office, "pending"), (0, json!(0)));
    let attributes = office.get(&format!("/v1/inventory/devices/{id}")).body_json()["attributes"].clone();
    assert_eq!(
        attributes[0],
        json!({"name": "status", "value": "preauthorized", "scope": "identity"})
    );

    // Nobody but the device itself moves it on.
    let auth_set = shown["auth_sets"][0]["id"].as_str().unwrap();
    for status in ["accepted", "rejected", "pending"] {
        let path = format!("{DEVICES}/{id}/auth/{auth_set}/status");
        assert_error(&office.send("PUT", &path, &json!({"status": status})), 400, "");
    }
    // Another key of the device waits as ever.
    assert_eq!(office.bench.send(auth_request("aa", &key(2))).status, 401);
    assert_eq!(office.bench.send(auth_request("aa", &key(1))).status, 200);
    let device = office.bench.server.device(&id.as_str().into()).unwrap();
    assert_eq!(
        (device.acceptance(), device.auth_set_count()),
        (Acceptance::Accepted, 2)
    );
    assert_eq!(count(&mut office, "preauthorized"), (0, json!(0)));
}

#[test]
fn a_known_device_is_preauthorized_by_force_only() {
    let mut office = Office::new();
    office.bench.send(auth_request("aa", &key(1)));
    let known = list(&office.get(DEVICES))[0].clone();
    let response = office.send("POST", DEVICES, &wish("aa", 2, false));
    assert_eq!((response.status, response.body_json()), (409, known.clone()));

    assert_eq!(office.send("POST", DEVICES, &wish("aa", 2, true)).status, 201);
    let shown = list(&office.get(DEVICES));
    assert_eq!((shown.len(), &shown[0]["id"]), (1, &known["id"]));
    assert_eq!(shown[0]["status"], "preauthorized");
    assert_eq!(office.bench.send(auth_request("aa", &key(1))).status, 401);
    assert_eq!(office.bench.send(auth_request("aa", &key(2))).status, 200);

    // A key that waited already is preauthorized with force, and rejects the accepted one when it comes in.
    assert_eq!(office.send("POST", DEVICES, &wish("aa", 1, true)).status, 201);
    assert_eq!(office.bench.send(auth_request("aa", &key(1))).status, 200);
    assert_eq!(office.bench.send(auth_request("aa", &key(2))).status, 401);

    // Without its key a device that never asked is gone.
    assert_eq!(office.send("POST", DEVICES, &wish("bb", 3, false)).status, 201);
    let shown = list(&office.get(&format!("{DEVICES}?status=preauthorized")))[0].clone();
    let (id, auth_set) = (
        shown["id"].as_str().unwrap(),
        shown["auth_sets"][0]["id"].as_str().unwrap(),
    );
    let path = format!("{DEVICES}/{id}/auth/{auth_set}");
    assert_eq!(office.bench.send(office.request("DELETE", &path)).status, 204);
    assert_eq!(office.get(&format!("{DEVICES}/{id}")).status, 404);
}

#[test]
fn wrong_wishes_to_preauthorize() {
    let mut office = Office::new();
    let table = [
        (json!([]), "preauth request"),
        (json!({"pubkey": pem(&key(1))}), "identity_data: cannot be blank."),
        (
            json!({"identity_data": {}, "pubkey": pem(&key(1))}),
            "identity_data: cannot be blank.",
        ),
        (json!({"identity_data": "x", "pubkey": pem(&key(1))}), "identity_data"),
        (json!({"identity_data": {"mac": "aa"}}), "pubkey: cannot be blank."),
        (
            json!({"identity_data": {"mac": "aa"}, "pubkey": "x"}),
            "cannot decode public key",
        ),
        (
            json!({"identity_data": {"mac": "aa"}, "pubkey": pem(&key(1)), "force": 1}),
            "force",
        ),
    ];
    for (body, text) in table {
        assert_error(&office.send("POST", DEVICES, &body), 400, text);
    }
    assert_eq!(office.bench.server.devices().count(), 0);
}

#[test]
fn tokens_are_revoked_one_by_one_and_with_the_acceptance() {
    let mut office = Office::of(Bench::new());
    let (device, other) = (office.bench.login("aa"), office.bench.login("bbb"));
    let auth_set = office.get(&format!("{DEVICES}/{}", device.id)).body_json()["auth_sets"][0]["id"].clone();
    let auth_set = auth_set.as_str().unwrap();
    let token = format!("/v2/devauth/tokens/{auth_set}");
    assert_eq!(office.bench.send(office.request("DELETE", &token)).status, 204);
    let again = office.bench.send(office.request("DELETE", &token));
    assert_eq!((again.status, again.body.len()), (404, 0));
    assert_eq!(office.bench.poll(&device, "r").status, 401);
    assert_eq!(office.bench.poll(&other, "r").status, 204);
    let device = office.bench.login("aa");
    assert_eq!(office.bench.poll(&device, "r").status, 204);

    // What was rejected in between has to log in again.
    let path = format!("{DEVICES}/{}/auth/{auth_set}/status", device.id);
    for status in ["rejected", "accepted"] {
        assert_eq!(office.send("PUT", &path, &json!({"status": status})).status, 204);
        assert_eq!(office.bench.poll(&device, "r").status, 401, "{status}");
    }
    let device = office.bench.login("aa");
    assert_eq!(office.bench.poll(&device, "r").status, 204);
}

#[test]
fn groups_are_filled_and_emptied_in_bulk() {
    let mut office = Office::of(Bench::new());
    let mut ids: Vec<String> = ["aa", "bbb", "cccc"]
        .map(|mac| office.bench.login(mac).id.to_string())
        .to_vec();
    ids.sort();
    let members = "/v1/inventory/groups/g1/devices";
    assert_error(&office.get(members), 404, "group not found");
    let counts = |matched: u32, updated: u32| json!({"matched_count": matched, "updated_count": updated});

    let response = office.send("PATCH", members, &json!([ids[0], ids[1], "other", ids[0]]));
    assert_eq!((response.status, response.body_json()), (200, counts(2, 2)));
    let response = office.send("PATCH", members, &json!([ids[1], ids[2]]));
    assert_eq!(response.body_json(), counts(2, 1), "one was in it");
    let response = office.get(&format!("{members}?per_page=2&page=1"));
    assert_eq!(list(&response), [json!(ids[0]), json!(ids[1])]);
    assert_eq!(response.header_value("X-Total-Count"), Some("3"));
    assert_eq!(
        office
            .get(&format!("/v1/inventory/devices/{}/group", ids[2]))
            .body_json(),
        json!({"group": "g1"})
    );

    // A device is in one group only.
    assert_eq!(
        office
            .send("PATCH", "/v1/inventory/groups/g2/devices", &json!([ids[2]]))
            .status,
        200
    );
    assert_eq!(list(&office.get(members)).len(), 2);
    assert_eq!(office.get("/v1/inventory/groups").body_json(), json!(["g1", "g2"]));
    assert_eq!(office.get("/v1/inventory/groups?status=pending").body_json(), json!([]));
    assert_eq!(
        office.get("/v1/inventory/groups?status=accepted").body_json(),
        json!(["g1", "g2"])
    );
    assert_eq!(list(&office.get("/v1/inventory/devices?group=g1")).len(), 2);
    assert_eq!(list(&office.get("/v1/inventory/devices?has_group=false")).len(), 0);

    let response = office.send("DELETE", members, &json!([ids[0], ids[2]]));
    assert_eq!(response.body_json(), counts(1, 1), "the other is in another group");
    assert_eq!(list(&office.get("/v1/inventory/devices?has_group=false")).len(), 1);
    let response = office.bench.send(office.request("DELETE", "/v1/inventory/groups/g2"));
    assert_eq!((response.status, response.body_json()), (200, counts(1, 1)));
    assert_eq!(office.get("/v1/inventory/groups").body_json(), json!(["g1"]));

    for (path, body) in [
        (members, json!([])),
        (members, json!({})),
        (members, json!([1])),
        ("/v1/inventory/groups/a%20b/devices", json!([ids[0]])),
    ] {
        assert_eq!(office.send("PATCH", path, &body).status, 400, "{path} {body}");
    }
    assert_eq!(office.send("PUT", members, &json!([])).status, 405);
    assert_eq!(office.get("/v1/inventory/devices?has_group=maybe").status, 400);
}

#[test]
fn tags_are_written_and_guarded_by_their_version() {
    let mut office = Office::of(Bench::new());
    let device = office.bench.login("aa");
    let shown = format!("/v1/inventory/devices/{}", device.id);
    let path = format!("{shown}/tags");
    let tags = |office: &mut Office| {
        let response = office.get(&shown);
        let etag = response.header_value("ETag").map(str::to_owned);
        let attributes = response.body_json()["attributes"].as_array().unwrap().clone();
        let tags: Vec<String> = attributes
            .iter()
            .filter(|attribute| attribute["scope"] == "tags")
            .map(|tag| format!("{}={}", tag["name"].as_str().unwrap(), tag["value"]))
            .collect();
        (tags.join(" "), etag)
    };
    assert_eq!(tags(&mut office), (String::new(), None));
    let response = office.send(
        "PUT",
        &path,
        &json!([{"name": "room", "value": "12"}, {"name": "n", "value": 1.0}]),
    );
    assert_eq!((response.status, response.body.len()), (200, 0));
    let (text, first) = tags(&mut office);
    assert_eq!(text, r#"n=1 room="12""#);
    office.send("PATCH", &path, &json!([{"name": "room", "value": "13"}]));
    let (text, second) = tags(&mut office);
    assert_eq!(text, r#"n=1 room="13""#);
    assert!(first.is_some() && second.is_some() && first != second);

    let body = json!([{"name": "a", "value": "b", "description": "why"}]).to_string();
    let guarded = |office: &mut Office, etag: &str| {
        let request = office.request("PUT", &path).header("If-Match", etag).json(body.clone());
        office.bench.send(request)
    };
    assert_error(
        &guarded(&mut office, first.as_deref().unwrap()),
        412,
        "ETag does not match",
    );
    assert_eq!(tags(&mut office).0, r#"n=1 room="13""#);
    assert_eq!(guarded(&mut office, second.as_deref().unwrap()).status, 200);
    assert_eq!(tags(&mut office).0, r#"a="b""#);

    let many = |count: u32| {
        Value::Array(
            (0..count)
                .map(|at| json!({"name": format!("t{at}"), "value": at}))
                .collect(),
        )
    };
    assert_error(&office.send("PUT", &path, &many(21)), 400, "above the limit");
    assert_eq!(office.send("PUT", &path, &many(20)).status, 200);
    assert_eq!(
        office.send("PATCH", &path, &json!([{"name": "x", "value": 1}])).status,
        400
    );
    assert_eq!(
        office.send("PUT", &path, &json!([{"name": "x", "value": true}])).status,
        400
    );
    assert_eq!(office.send("POST", &path, &json!([])).status, 405);
    assert_eq!(
        office.send("PUT", "/v1/inventory/devices/other/tags", &many(1)).status,
        200
    );
    // The device's own reports leave them alone.
    let report = json!([{"name": "t0", "value": "mine"}]).to_string();
    office.bench.send(device.request("PUT", ATTRIBUTES).json(report));
    assert_eq!(tags(&mut office).0.split(' ').count(), 20);
}

/// Three devices with some inventory; one more that waits. Their ids by mac.
fn with_inventory() -> (Office, [String; 3]) {
    let mut office = Office::of(Bench::new());
    let ids = [("aa", 1.5, "v2"), ("bbb", 7.0, "v10"), ("cccc", 30.0, "v3")].map(|(mac, load, version)| {
        let device = office.bench.login(mac);
        let attributes = json!([
            {"name": "load", "value": load},
            {"name": "version", "value": version},
            {"name": "ip", "value": [format!("10.0.0.{load}"), "::1"]},
        ]);
        office
            .bench
            .send(device.request("PUT", ATTRIBUTES).json(attributes.to_string()));
        device.id.to_string()
    });
    office.bench.server.settings_mut().auto_accept = false;
    office.bench.send(auth_request("waits", &key(9)));
    (office, ids)
}

#[test]
fn devices_are_searched_by_attributes() {
    let (mut office, ids) = with_inventory();
    let path = "/v2/inventory/filters/search";
    let name = |id: &Value| {
        ids.iter()
            .position(|known| *id == **known)
            .map_or("waits", |at| ["a", "b", "c"][at])
    };
    let mut search = |filters: Value, more: Value| {
        let mut body =
            json!({"filters": filters, "sort": [{"scope": "inventory", "attribute": "load", "order": "asc"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let response = office.send("POST", path, &body);
        let found: Vec<&str> = list(&response).iter().map(|device| name(&device["id"])).collect();
        let total = response.header_value("X-Total-Count").unwrap().to_owned();
        format!("{} of {total}", found.join(" "))
    };
    let one = |scope: &str, attribute: &str, kind: &str, value: Value| json!([{"scope": scope, "attribute": attribute, "type": kind, "value": value}]);
    let table = [
        (json!([]), json!({}), "waits a b c of 4"),
        (
            one("identity", "status", "$eq", json!("accepted")),
            json!({}),
            "a b c of 3",
        ),
        (
            one("identity", "mac", "$in", json!(["bbb", "waits"])),
            json!({}),
            "waits b of 2",
        ),
        (
            one("identity", "mac", "$nin", json!(["bbb", "waits"])),
            json!({}),
            "a c of 2",
        ),
        (one("identity", "id", "$eq", json!(ids[1])), json!({}), "b of 1"),
        (one("inventory", "load", "$eq", json!(7)), json!({}), "b of 1"),
        (one("inventory", "load", "$eq", json!("7")), json!({}), " of 0"),
        (one("inventory", "load", "$ne", json!(7)), json!({}), "waits a c of 3"),
        (one("inventory", "load", "$gt", json!(7)), json!({}), "c of 1"),
        (one("inventory", "load", "$gte", json!(7)), json!({}), "b c of 2"),
        (one("inventory", "load", "$lt", json!(7)), json!({}), "a of 1"),
        (one("inventory", "load", "$lte", json!(7)), json!({}), "a b of 2"),
        (one("inventory", "version", "$lt", json!("v2")), json!({}), "b of 1"),
        (one("inventory", "ip", "$eq", json!("10.0.0.7")), json!({}), "b of 1"),
        (
            one("inventory", "load", "$exists", json!(false)),
            json!({}),
            "waits of 1",
        ),
        (one("system", "load", "$exists", json!(true)), json!({}), " of 0"),
        (json!([]), json!({"page": 2, "per_page": 3}), "c of 4"),
        (json!([]), json!({"page": 0, "per_page": -1}), "waits a b c of 4"),
        (json!([]), json!({"device_ids": [ids[2], ids[0]]}), "a c of 2"),
        (
            json!([]),
            json!({"sort": [{"scope": "identity", "attribute": "status", "order": "desc"},
                {"scope": "inventory", "attribute": "version", "order": "desc"}]}),
            "waits c a b of 4",
        ),
    ];
    for (filters, more, expected) in table {
        assert_eq!(search(filters.clone(), more.clone()), expected, "{filters} {more}");
    }
    let body = json!({"attributes": [{"scope": "inventory", "attribute": "load"}], "device_ids": [ids[0]]});
    let found = list(&office.send("POST", path, &body));
    assert_eq!(
        found[0]["attributes"],
        json!([{"name": "load", "value": 1.5, "scope": "inventory"}])
    );
}

#[test]
fn wrong_searches_are_refused() {
    let (mut office, _) = with_inventory();
    let table = [
        (json!({"filters": {}}), "filters"),
        (json!({"filters": [1]}), "filter"),
        (
            json!({"filters": [{"attribute": "a", "type": "$eq", "value": 1}]}),
            "scope: cannot be blank.",
        ),
        (
            json!({"filters": [{"scope": "x", "attribute": "a", "type": "$eq", "value": 1}]}),
            "scope: must be one of",
        ),
        (
            json!({"filters": [{"scope": "tags", "type": "$eq", "value": 1}]}),
            "attribute: cannot be blank.",
        ),
        (
            json!({"filters": [{"scope": "tags", "attribute": "a", "value": 1}]}),
            "type: cannot be blank.",
        ),
        (
            json!({"filters": [{"scope": "tags", "attribute": "a", "type": "$x", "value": 1}]}),
            "type: must be a valid value.",
        ),
        (
            json!({"filters": [{"scope": "tags", "attribute": "a", "type": "$regex", "value": "a"}]}),
            "$regex",
        ),
        (
            json!({"filters": [{"scope": "tags", "attribute": "a", "type": "$in", "value": "a"}]}),
            "array",
        ),
        (
            json!({"filters": [{"scope": "tags", "attribute": "a", "type": "$exists", "value": "a"}]}),
            "boolean",
        ),
        (
            json!({"filters": [{"scope": "tags", "attribute": "a", "type": "$eq", "value": null}]}),
            "value",
        ),
        (
            json!({"sort": [{"scope": "tags", "attribute": "a", "order": "up"}]}),
            "order: must be a valid value.",
        ),
        (
            json!({"attributes": [{"scope": "tags"}]}),
            "attribute: cannot be blank.",
        ),
        (json!({"per_page": 501}), "above limit (max: 500)"),
        (json!({"page": "1"}), "page"),
        (json!({"device_ids": [1]}), "device_ids"),
        (json!([]), "decode"),
    ];
    for (body, text) in table {
        assert_error(&office.send("POST", "/v2/inventory/filters/search", &body), 400, text);
    }
    assert_eq!(office.get("/v2/inventory/filters/search").status, 405);
}

#[test]
fn the_list_of_devices_is_filtered_by_attributes_too() {
    let (mut office, _) = with_inventory();
    for (query, count) in [
        ("load=7", 1),
        ("inventory/load=eq:7", 1),
        ("version=v2&load=1.5", 1),
        ("version=v2&load=7", 0),
        ("identity/status=accepted", 3),
        ("identity/mac=waits&sort=load:asc", 1),
        ("mac=aa", 0),
        ("", 4),
    ] {
        let response = office.get(&format!("/v1/inventory/devices?{query}"));
        assert_eq!(list(&response).len(), count, "{query}");
    }
}

#[test]
fn attributes_in_use_are_counted() {
    let (mut office, _) = with_inventory();
    let counted = list(&office.get("/v2/inventory/filters/attributes"));
    let count = |scope: &str, name: &str| {
        let mut found = counted
            .iter()
            .filter(|item| item["scope"] == scope && item["name"] == name);
        found.next().map(|item| item["count"].clone())
    };
    assert_eq!(count("identity", "status"), Some(json!(4)));
    assert_eq!(count("inventory", "load"), Some(json!(3)));
    assert_eq!(count("inventory", "other"), None);
    let counts: Vec<_> = counted.iter().map(|item| item["count"].as_u64().unwrap()).collect();
    assert!(counts.is_sorted_by(|one, other| one >= other), "{counts:?}");
    assert_eq!(
        office
            .send("POST", "/v2/inventory/filters/attributes", &json!({}))
            .status,
        405
    );
}
