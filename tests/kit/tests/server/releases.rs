//! Spec of the management API, section 4: the artifacts of a name, and what is noted about them.

use mender_testkit::artifact::ArtifactWriter;
use serde_json::{Value, json};

use crate::bench::*;
use crate::office::*;

const RELEASES_V1: &str = "/v1/deployments/deployments/releases";
const RELEASES_V2: &str = "/v2/deployments/deployments/releases";

/// Three artifacts of two releases.
fn with_releases() -> Office {
    let mut office = Office::of(Bench::new());
    let artifacts = [
        ArtifactWriter::new("release-1", "board-a").file("f", b"1"),
        ArtifactWriter::new("release-1", "board-b").file("f", b"2"),
        ArtifactWriter::new("Release-2", "board-a")
            .payload_type("file")
            .file("f", b"3"),
    ];
    for artifact in artifacts {
        office.bench.wait_secs(10);
        office.upload(&[("description", b"a Nightly build"), ("artifact", &artifact.write())]);
    }
    office
}

#[test]
fn releases_gather_the_artifacts_of_a_name() {
    let mut office = with_releases();
    let first = list(&office.get(RELEASES_V1));
    assert_eq!(first.len(), 2);
    assert_eq!(
        (&first[0]["Name"], &first[0]["ArtifactsCount"]),
        (&json!("Release-2"), &json!(1))
    );
    assert_eq!(
        (&first[1]["Name"], &first[1]["Artifacts"][1]["device_types_compatible"]),
        (&json!("release-1"), &json!(["board-b"]))
    );
    assert_eq!((&first[0]["tags"], &first[0]["notes"]), (&json!([]), &json!("")));
    let response = office.get(&format!("{RELEASES_V1}/list?per_page=1&page=2"));
    assert_eq!(list(&response), [first[1].clone()]);
    assert_eq!(response.header_value("X-Total-Count"), Some("2"));

    let second = list(&office.get(RELEASES_V2));
    assert_eq!(
        (
            &second[1]["name"],
            &second[1]["artifacts_count"],
            &second[1]["artifacts"]
        ),
        (&json!("release-1"), &json!(2), &first[1]["Artifacts"])
    );
    assert_eq!(
        second[1]["modified"], "2026-09-21T14:13:40.005Z",
        "with its second artifact"
    );
    assert_eq!(office.get(&format!("{RELEASES_V2}/release-1")).body_json(), second[1]);
    assert_error(&office.get(&format!("{RELEASES_V2}/other")), 404, "release not found");
    for (query, count) in [
        ("name=RELEASE", 2),
        ("name=2", 1),
        ("description=nightly", 2),
        ("description=other", 0),
        ("device_type=board-b", 1),
        ("update_type=file", 1),
        ("update_type=fil", 0),
        ("tag=x", 0),
    ] {
        assert_eq!(
            list(&office.get(&format!("{RELEASES_V2}?{query}"))).len(),
            count,
            "{query}"
        );
    }
    assert_eq!(
        office.get("/v2/deployments/releases/all/types").body_json(),
        json!(["file", "zephyr-image"])
    );

    // The last artifact takes its release along.
    let id = second[0]["artifacts"][0]["id"].as_str().unwrap().to_owned();
    let delete = office.request("DELETE", &format!("/v1/deployments/artifacts/{id}"));
    assert_eq!(office.bench.send(delete).status, 204);
    assert_eq!(list(&office.get(RELEASES_V2)).len(), 1);
}

#[test]
fn releases_have_tags_and_notes() {
    let mut office = with_releases();
    let tags = format!("{RELEASES_V2}/release-1/tags");
    assert_eq!(office.send("PUT", &tags, &json!(["Beta", "x_1", "beta"])).status, 204);
    let notes = "more of everything";
    let release = format!("{RELEASES_V2}/release-1");
    assert_eq!(office.send("PATCH", &release, &json!({"notes": notes})).status, 204);
    let shown = office.get(&release).body_json();
    assert_eq!(
        (&shown["tags"], &shown["notes"]),
        (&json!(["beta", "x_1"]), &json!(notes))
    );
    assert_eq!(list(&office.get(&format!("{RELEASES_V2}?tag=Beta"))).len(), 1);
    assert_eq!(
        office.get("/v2/deployments/releases/all/tags").body_json(),
        json!(["beta", "x_1"])
    );

    let many = |from: u32, to: u32| Value::Array((from..to).map(|at| json!(format!("t{at}"))).collect());
    for (body, status) in [
        (json!({}), 400),
        (json!([1]), 400),
        (json!([""]), 400),
        (json!(["a b"]), 400),
        (json!(["x".repeat(257)]), 400),
        (many(0, 21), 400),
        (many(0, 20), 204),
    ] {
        assert_eq!(office.send("PUT", &tags, &body).status, status, "{body:.60}");
    }
    assert_eq!(
        office
            .send("PUT", &format!("{RELEASES_V2}/other/tags"), &many(0, 1))
            .status,
        404
    );
    assert_eq!(
        office
            .send("PATCH", &release, &json!({"notes": "n".repeat(1025)}))
            .status,
        400
    );
    assert_eq!(
        office
            .send("PATCH", &format!("{RELEASES_V2}/other"), &json!({"notes": ""}))
            .status,
        404
    );
    assert_eq!(office.send("POST", &release, &json!({})).status, 405);
}

#[test]
fn releases_are_deleted_unless_in_use() {
    let mut office = with_releases();
    let device = office.bench.login("aa");
    let deployment = office.bench.deploy("release-1", &device);
    let delete = |office: &mut Office, query: &str| {
        let request = office.request("DELETE", &format!("{RELEASES_V2}{query}"));
        office.bench.send(request)
    };
    assert_error(&delete(&mut office, ""), 400, "at least one release name");
    let response = delete(&mut office, "?name=release-1&name=Release-2");
    assert_error(&response, 409, "release(s) used in active deployment");
    assert_eq!(response.body_json()["active_deployments"], json!([deployment.as_str()]));
    assert!(response.body_json()["request_id"].is_string());
    office.bench.server.abort(&deployment, office.bench.now);
    assert_eq!(delete(&mut office, "?name=release-1&name=other").status, 204);
    let left = list(&office.get(RELEASES_V2));
    assert_eq!((left.len(), &left[0]["name"]), (1, &json!("Release-2")));
    assert_eq!(office.bench.server.artifacts().count(), 1);
}
