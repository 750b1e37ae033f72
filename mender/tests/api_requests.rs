//! The bytes of the device API's requests: golden bodies, the traps of the API's description, and properties checked
//! with a JSON library of another origin.

use std::time::Duration;

use mender::api::auth::{self, AuthRequest, Tier};
use mender::api::inventory::{InventoryError, InventoryWriter, MAX_ATTRIBUTES, Method, Value};
use mender::api::key::{DeviceKey, PublicKeyPem};
use mender::api::log::{Level, LogTime, LogWriter};
use mender::api::status::{self, DeploymentStatus};
use mender::api::{EncodeError, Message, log, next};
use mender::provides::{Provides, ProvidesBuf};
use proptest::prelude::*;
use serde_json::json;

fn key() -> DeviceKey {
    DeviceKey::from_bytes(&[7; 32]).unwrap()
}

fn parse(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

fn provides<'b>(buffer: &'b mut [u8], pairs: &[(&str, &str)]) -> Provides<'b> {
    let mut list = ProvidesBuf::new(buffer);
    for (key, value) in pairs {
        list.set(key, value).unwrap();
    }
    let len = list.len();
    Provides::from_bytes(&buffer[..len]).unwrap()
}

fn auth_body(identity: &[(&str, &str)], tenant_token: Option<&str>, tier: Option<Tier>) -> Vec<u8> {
    let mut out = vec![0; 16 * 1024];
    let public_key = key().public_key();
    let request = AuthRequest {
        identity,
        public_key: &public_key,
        tenant_token,
        tier,
    };
    auth::request(&mut out, &request).unwrap().to_vec()
}

/// Encodes into ever longer buffers: too short ones must say so, the first that suffices must not be longer than needed.
fn shortest(message: Message, mut encode: impl FnMut(&mut [u8]) -> Result<Vec<u8>, EncodeError>) -> Vec<u8> {
    for buffer_len in 0..4096 {
        match encode(&mut vec![0; buffer_len]) {
            Ok(bytes) => {
                assert_eq!(bytes.len(), buffer_len);
                return bytes;
            }
            Err(error) => assert_eq!(error, EncodeError::Full { message, buffer_len }),
        }
    }
    panic!("needs more than 4096 bytes");
}

#[test]
fn auth_request_golden() {
    let pem = key().public_key().as_str().replace('\n', "\\n");
    let body = auth_body(
        &[("mac", "02:00:5e:10:00:01"), ("serial \"no\"", "a\\b\n\u{1}\u{e9}")],
        Some("eyJ.t"),
        Some(Tier::Micro),
    );
    let expected = format!(
        concat!(
            r#"{{"id_data":"{{\"mac\":\"02:00:5e:10:00:01\",\"serial \\\"no\\\"\":\"a\\\\b\\n\\u0001{}\"}}","#,
            r#""pubkey":"{}","tenant_token":"eyJ.t","tier":"micro"}}"#
        ),
        "\u{e9}", pem
    );
    assert_eq!(String::from_utf8(body).unwrap(), expected);
}

#[test]
fn auth_request_leaves_out_what_is_not_set_and_needs_an_identity() {
    let body = parse(&auth_body(&[("a", "b")], None, None));
    let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["id_data", "pubkey"]);
    let public_key = key().public_key();
    let request = AuthRequest {
        identity: &[],
        public_key: &public_key,
        tenant_token: None,
        tier: None,
    };
    assert_eq!(auth::request(&mut [0; 1024], &request), Err(EncodeError::NoIdentity));
}

#[test]
fn poll_v2_golden() {
    let mut buffer = [0; 256];
    let list = provides(
        &mut buffer,
        &[
            ("artifact_name", "fw-1.4.0"),
            ("device_type", "another"),
            ("rootfs-image.version", "1 & \"2\""),
        ],
    );
    let body = shortest(Message::NextBody, |out| {
        next::v2_body(out, "board-a", list).map(<[u8]>::to_vec)
    });
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"device_provides":{"device_type":"board-a","artifact_name":"fw-1.4.0","rootfs-image.version":"1 & \"2\""}}"#
    );
}

#[test]
fn poll_v1_query_is_percent_encoded() {
    let path = shortest(Message::NextPath, |out| {
        next::v1_path(out, "fw 1.4+a&b=c/d%?#", "bo\u{e4}rd~_-.").map(|path| path.as_bytes().to_vec())
    });
    assert_eq!(
        String::from_utf8(path).unwrap(),
        "/api/devices/v1/deployments/device/deployments/next\
         ?artifact_name=fw%201.4%2Ba%26b%3Dc%2Fd%25%3F%23&device_type=bo%C3%A4rd~_-."
    );
}

#[test]
fn status_report_golden() {
    let id = "0d1f6a52-7a0e-4b8e-9a54-3f3a3c0c9a11";
    let path = shortest(Message::DeploymentPath, |out| {
        status::path(out, id).map(|path| path.as_bytes().to_vec())
    });
    assert_eq!(
        String::from_utf8(path).unwrap(),
        format!("/api/devices/v1/deployments/device/deployments/{id}/status")
    );
    assert_eq!(
        status::path(&mut [0; 128], "a/../b?").unwrap(),
        "/api/devices/v1/deployments/device/deployments/a%2F..%2Fb%3F/status"
    );
    let body = shortest(Message::Status, |out| {
        status::body(out, DeploymentStatus::Installing, Some("slot \"1\"")).map(<[u8]>::to_vec)
    });
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"status":"installing","substate":"slot \"1\""}"#
    );
    assert_eq!(
        status::body(&mut [0; 64], DeploymentStatus::Success, None).unwrap(),
        br#"{"status":"success"}"#
    );
    assert_eq!(
        status::body(&mut [0; 64], DeploymentStatus::Success, Some("")).unwrap(),
        br#"{"status":"success"}"#
    );
}

#[test]
fn every_status_has_the_name_that_the_server_takes_from_a_device() {
    let names: Vec<_> = DeploymentStatus::ALL.map(DeploymentStatus::as_str).into();
    assert_eq!(
        names,
        [
            "downloading",
            "installing",
            "rebooting",
            "success",
            "failure",
            "already-installed",
            "pause_before_installing",
            "pause_before_rebooting",
            "pause_before_committing"
        ]
    );
    let finals: Vec<_> = DeploymentStatus::ALL
        .into_iter()
        .filter(|status| status.is_final())
        .collect();
    assert_eq!(
        finals,
        [
            DeploymentStatus::Success,
            DeploymentStatus::Failure,
            DeploymentStatus::AlreadyInstalled
        ]
    );
}

#[test]
fn long_substates_are_cut_between_characters() {
    for (substate, expected_len) in [
        ("x".repeat(200), 200),
        ("x".repeat(201), 200),
        ("\u{20ac}".repeat(80), 198),
    ] {
        let mut out = [0; 512];
        let body = parse(status::body(&mut out, DeploymentStatus::Installing, Some(&substate)).unwrap());
        let sent = body["substate"].as_str().unwrap();
        assert_eq!(sent.len(), expected_len);
        assert!(substate.starts_with(sent));
    }
}

#[test]
fn log_golden() {
    let mut out = [0; 1024];
    let mut writer = LogWriter::new(&mut out).unwrap();
    let time = LogTime::Unix {
        millis: 1_787_393_158_012,
    };
    assert!(writer.push(time, Level::Error, "slot write failed"));
    assert!(writer.push(LogTime::Uptime(Duration::from_millis(2_346_746)), Level::Warning, ""));
    assert!(writer.push(LogTime::Uptime(Duration::ZERO), Level::Info, "\u{1b}[31m\"x\"\u{0}\n"));
    assert_eq!(writer.counts(), (3, 0));
    assert_eq!(
        std::str::from_utf8(writer.finish().unwrap()).unwrap(),
        concat!(
            r#"{"messages":[{"timestamp":"2026-08-22T10:05:58.012Z","level":"error","message":"slot write failed"},"#,
            r#"{"timestamp":"1970-01-01T00:39:06.746Z","level":"warning","message":"(no text)"},"#,
            r#"{"timestamp":"1970-01-01T00:00:00.000Z","level":"info","message":"\u001b[31m\"x\"\u0000\n"}]}"#
        )
    );
    assert_eq!(
        log::path(&mut [0; 128], "id").unwrap(),
        "/api/devices/v1/deployments/device/deployments/id/log"
    );
}

#[test]
fn a_log_without_entries_is_not_sent() {
    assert_eq!(LogWriter::new(&mut [0; 1024]).unwrap().finish(), None);
}

#[test]
fn times_of_the_log_are_right_at_the_edges_of_the_calendar() {
    for (millis, expected) in [
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_800_000, "2000-03-01T00:00:00.000Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (u64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(LogTime::Unix { millis }.to_string(), expected);
    }
    assert_eq!(LogTime::Uptime(Duration::MAX).to_string(), "9999-12-31T23:59:59.999Z");
}

#[test]
fn dates_of_the_log_follow_each_other() {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for days in 0..200 * 366 {
        let millis = days * 86_400_000;
        assert_eq!(
            LogTime::Unix { millis }.to_string(),
            format!("{year:04}-{month:02}-{day:02}T00:00:00.000Z")
        );
        let month_len = match month {
            2 if is_leap(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        day += 1;
        if day > month_len {
            (day, month) = (1, month + 1);
        }
        if month > 12 {
            (month, year) = (1, year + 1);
        }
    }
}

#[test]
fn a_full_log_says_how_many_entries_are_missing() {
    for buffer_len in 192..1500 {
        let mut out = vec![0; buffer_len];
        let mut writer = LogWriter::new(&mut out).unwrap();
        let mut written = 0;
        for index in 0..20 {
            // The short one would still fit after a long one did not: it must stay out too.
            let message = if index % 2 == 0 { "x".repeat(60) } else { "y".into() };
            written += usize::from(writer.push(LogTime::Uptime(Duration::from_secs(index)), Level::Error, &message));
        }
        let (count, left_out) = writer.counts();
        assert_eq!((count, left_out), (written, 20 - written));
        let body = writer.finish().unwrap();
        assert!(body.len() <= buffer_len);
        let body = parse(body);
        let messages = body["messages"].as_array().unwrap();
        assert_eq!(messages.len(), written + usize::from(left_out > 0));
        for (index, message) in messages.iter().take(written).enumerate() {
            assert_eq!(
                message["message"].as_str().unwrap().len(),
                if index % 2 == 0 { 60 } else { 1 }
            );
        }
        if left_out > 0 {
            assert_eq!(
                messages[written],
                json!({
                    "timestamp": "1970-01-01T00:00:19.000Z",
                    "level": "warning",
                    "message": format!("{left_out} later entries left out: the log is full"),
                })
            );
        }
    }
    for buffer_len in 0..192 {
        let error = LogWriter::new(&mut vec![0; buffer_len]).err();
        let message = Message::Log;
        assert_eq!(error, Some(EncodeError::Full { message, buffer_len }));
    }
}

#[test]
fn a_log_stays_below_what_the_server_takes() {
    let mut out = vec![0; 1_200_000];
    let mut writer = LogWriter::new(&mut out).unwrap();
    let message = "x".repeat(1000);
    while writer.push(LogTime::Uptime(Duration::ZERO), Level::Error, &message) {}
    let len = writer.finish().unwrap().len();
    assert!((990_000..=1_000_000).contains(&len), "{len}");
}

#[test]
fn inventory_golden() {
    let mut out = [0; 512];
    let mut writer = InventoryWriter::new(&mut out).unwrap();
    writer.push("device_type", Value::Text("board-a")).unwrap();
    writer
        .push("IPv4[eth0]", Value::Texts(&["192.0.2.7/24", "a\"b"]))
        .unwrap();
    writer.push("none", Value::Texts(&[])).unwrap();
    writer.push("uptime", Value::Number(-12)).unwrap();
    writer.push("load", Value::rounded(0.42, 2).unwrap()).unwrap();
    writer.push("ports", Value::Numbers(&[80, 443])).unwrap();
    assert_eq!(writer.len(), 6);
    assert_eq!(
        std::str::from_utf8(writer.finish()).unwrap(),
        concat!(
            r#"[{"name":"device_type","value":"board-a"},{"name":"IPv4[eth0]","value":["192.0.2.7/24","a\"b"]},"#,
            r#"{"name":"none","value":[]},{"name":"uptime","value":-12},{"name":"load","value":42e-2},"#,
            r#"{"name":"ports","value":[80,443]}]"#
        )
    );
    assert_eq!([Method::Put.as_str(), Method::Patch.as_str()], ["PUT", "PATCH"]);
}

#[test]
fn the_inventory_has_limits_and_survives_what_does_not_fit() {
    let mut out = vec![0; 64 * 1024];
    let mut writer = InventoryWriter::new(&mut out).unwrap();
    assert_eq!(writer.push("", Value::Number(1)), Err(InventoryError::Name));
    assert_eq!(
        writer.push(&"n".repeat(1025), Value::Number(1)),
        Err(InventoryError::Name)
    );
    assert_eq!(writer.push(&"n".repeat(1024), Value::Number(1)), Ok(()));
    for index in 1..MAX_ATTRIBUTES {
        writer.push(&index.to_string(), Value::Number(1)).unwrap();
    }
    assert_eq!(
        writer.push("one too many", Value::Number(1)),
        Err(InventoryError::TooMany)
    );
    assert_eq!(parse(writer.finish()).as_array().unwrap().len(), 100);

    for buffer_len in 2..80 {
        let mut out = vec![0; buffer_len];
        let mut writer = InventoryWriter::new(&mut out).unwrap();
        let mut fitted = Vec::new();
        for name in ["a", "a longer name than that", "b"] {
            match writer.push(name, Value::Text("v")) {
                Ok(()) => fitted.push(name),
                Err(error) => assert_eq!(error, InventoryError::Full { buffer_len }),
            }
        }
        let body = parse(writer.finish());
        let names: Vec<_> = body
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, fitted);
    }
    for buffer_len in 0..2 {
        let message = Message::Inventory;
        let error = InventoryWriter::new(&mut vec![0; buffer_len]).err();
        assert_eq!(error, Some(EncodeError::Full { message, buffer_len }));
    }
}

#[test]
fn floats_become_decimals() {
    for (number, decimals, expected) in [
        (0.42, 2, 0.42),
        (-0.425, 2, -0.43),
        (1e14, 3, 1e14),
        (-0.0, 0, 0.0),
        (12.0, 0, 12.0),
        (21.5, 1, 21.5),
    ] {
        let mut out = [0; 128];
        let mut writer = InventoryWriter::new(&mut out).unwrap();
        writer.push("n", Value::rounded(number, decimals).unwrap()).unwrap();
        assert_eq!(parse(writer.finish())[0]["value"].as_f64(), Some(expected), "{number}");
    }
    for (number, decimals) in [
        (f64::NAN, 0),
        (f64::INFINITY, 1),
        (f64::NEG_INFINITY, 1),
        (1e18, 0),
        (1.0, 18),
        (1.0, 255),
    ] {
        assert_eq!(Value::rounded(number, decimals), None, "{number}");
    }
}

proptest! {
    #[test]
    fn any_identity_token_and_type_survive_encoding(
        pairs in proptest::collection::btree_map(".{0,12}", ".{0,40}", 1..5),
        control in "[\\x00-\\x7f]{0,20}",
        tenant_token in proptest::option::of(".*"),
    ) {
        let mut identity: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        identity.push(("control\u{0}", &control));
        let body = auth_body(&identity, tenant_token.as_deref(), None);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let inner: serde_json::Value = serde_json::from_str(body["id_data"].as_str().unwrap()).unwrap();
        let inner = inner.as_object().unwrap();
        prop_assert_eq!(inner.len(), identity.len());
        for (name, value) in identity {
            prop_assert_eq!(inner[name].as_str(), Some(value));
        }
        prop_assert_eq!(body.get("tenant_token").and_then(|token| token.as_str()), tenant_token.as_deref());
        let public_key = key().public_key();
        prop_assert_eq!(body["pubkey"].as_str(), Some(public_key.as_str()));
    }

    #[test]
    fn any_provides_survive_encoding(
        device_type in ".{0,30}",
        pairs in proptest::collection::btree_map("[\\x00-\\x7f]{1,8}|\\PC{1,8}", ".{0,40}", 0..6),
    ) {
        let mut buffer = [0; 4096];
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let list = provides(&mut buffer, &pairs);
        let mut out = vec![0; 16 * 1024];
        let body = parse(next::v2_body(&mut out, &device_type, list).unwrap());
        let sent = body["device_provides"].as_object().unwrap();
        prop_assert_eq!(sent["device_type"].as_str(), Some(device_type.as_str()));
        prop_assert_eq!(sent.len(), pairs.len() + 1);
        for (key, value) in pairs {
            prop_assert_eq!(sent[key].as_str(), Some(value));
        }
    }

    #[test]
    fn any_query_value_survives_encoding(name in ".*", device_type in "[\\x00-\\x7f]{0,20}") {
        let mut out = vec![0; 16 * 1024];
        let path = next::v1_path(&mut out, &name, &device_type).unwrap();
        prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
        let query = path.strip_prefix(next::PATH_V1).unwrap().strip_prefix("?artifact_name=").unwrap();
        let (first, second) = query.split_once("&device_type=").unwrap();
        for (encoded, original) in [(first, &name), (second, &device_type)] {
            prop_assert!(!encoded.contains(['/', '&', '=', '+', '?', '#']));
            prop_assert_eq!(percent_decoded(encoded), original.as_bytes());
        }
    }

    #[test]
    fn any_log_and_inventory_text_survives_encoding(text in "[\\x00-\\x7f]{0,30}|.{0,60}", name in ".{1,20}") {
        let mut out = vec![0; 4096];
        let mut writer = LogWriter::new(&mut out).unwrap();
        let time = LogTime::Unix { millis: 5 };
        prop_assert!(writer.push(time, Level::Debug, &text));
        let body = parse(writer.finish().unwrap());
        let expected = if text.is_empty() { "(no text)" } else { &text };
        prop_assert_eq!(body["messages"][0]["message"].as_str(), Some(expected));

        let mut writer = InventoryWriter::new(&mut out).unwrap();
        writer.push(&name, Value::Text(&text)).unwrap();
        prop_assert_eq!(parse(writer.finish()), json!([{ "name": name, "value": text }]));
    }

    #[test]
    fn a_rounded_float_is_near(number in -1e9..1e9, decimals in 0_u8..7) {
        let mut out = [0; 128];
        let mut writer = InventoryWriter::new(&mut out).unwrap();
        writer.push("n", Value::rounded(number, decimals).unwrap()).unwrap();
        let sent = parse(writer.finish())[0]["value"].as_f64().unwrap();
        let tolerance = 0.5000001 * 10_f64.powi(-i32::from(decimals)) + number.abs() * 1e-12;
        prop_assert!((sent - number).abs() <= tolerance, "{} {}", sent, number);
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = after.split_at(2);
            decoded.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
            rest = after;
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    decoded
}

#[test]
fn public_key_types_are_checked() {
    let pem = key().public_key();
    assert!(PublicKeyPem::from_point(&[4; 65]).is_err());
    assert!(PublicKeyPem::from_point(&[]).is_err());
    assert_eq!(pem.to_string(), pem.as_str());
}
