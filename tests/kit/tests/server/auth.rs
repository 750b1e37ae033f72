//! Spec of the device API, sections 1 to 3: authentication requests, tokens, the gateway's refusals.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use mender_testkit::server::{Acceptance, Mode, Request, Settings};
use ring::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::bench::*;

fn waiting() -> Bench {
    Bench::with(Settings::default())
}

/// A request with that body text, signed over exactly that text.
fn signed(body: &str) -> Request {
    Request::new("POST", AUTH)
        .json(body)
        .header("X-MEN-Signature", sign(&key(1), body.as_bytes()))
}

fn body_of(id_data: &str, pubkey: &str) -> String {
    json!({"id_data": id_data, "pubkey": pubkey}).to_string()
}

#[test]
fn a_new_device_is_registered_and_refused_until_it_is_accepted() {
    let mut bench = waiting();
    assert_error(&bench.send(auth_request("aa", &key(1))), 401, "dev auth: unauthorized");
    let [id] = bench.server.pending_devices().try_into().unwrap();
    assert_error(&bench.send(auth_request("aa", &key(1))), 401, "dev auth: unauthorized");
    assert_eq!(bench.server.devices().count(), 1);

    assert!(bench.server.accept_device(&id, bench.now));
    let response = bench.send(auth_request("aa", &key(1)));
    assert_eq!(
        (response.status, response.header_value("Content-Type")),
        (200, Some("application/jwt"))
    );
    assert!(bench.server.pending_devices().is_empty());
    assert!(!bench.server.accept_device(&id, bench.now), "nothing is left to accept");
}

#[test]
fn a_rejected_device_cannot_tell_that_from_pending() {
    let mut bench = waiting();
    let pending = bench.send(auth_request("aa", &key(1)));
    let [id] = bench.server.pending_devices().try_into().unwrap();
    assert!(bench.server.reject_device(&id, bench.now));
    let rejected = bench.send(auth_request("aa", &key(1)));
    assert_eq!(
        (pending.status, &pending.body_json()["error"]),
        (rejected.status, &rejected.body_json()["error"])
    );
}

#[test]
fn tokens_have_the_length_that_is_asked_for() {
    for len in [1000, 1024, 2048, 2049, 4096] {
        let mut bench = Bench::with(Settings {
            auto_accept: true,
            token_len: len,
            ..Settings::default()
        });
        let device = bench.login("aa");
        assert_eq!(device.token.len(), len);
        assert_eq!(bench.poll(&device, "release-1").status, 204);
        // Somewhere in what only makes it long.
        let mut other = device.token.clone();
        other.replace_range(950..951, if &other[950..951] == "A" { "B" } else { "A" });
        let path = format!("{DEPLOYMENTS}/next?artifact_name=a&device_type=b");
        assert_eq!(bench.send(Request::new("GET", path).bearer(&other)).status, 401);
    }
}

#[test]
fn the_token_is_a_jwt_of_the_real_size_and_claims() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    assert!((800..1100).contains(&device.token.len()), "{}", device.token.len());
    let parts: Vec<_> = device.token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    assert_eq!(claims["sub"], device.id.as_str());
    assert_eq!(claims["iss"], "Mender");
    assert_eq!(claims["mender.device"], true);
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        604_800
    );
}

#[test]
fn bodies_that_break_a_rule_are_refused_before_the_signature_is_looked_at() {
    let good = pem(&key(1));
    let secp256k1 = include_str!("../data/secp256k1.pub.pem");
    let table = [
        ("", "failed to decode auth request"),
        ("{", "failed to decode auth request"),
        ("[]", "failed to decode auth request"),
        (r#"{"id_data":1,"pubkey":"x"}"#, "failed to decode auth request"),
        ("{}", "invalid auth request: id_data"),
        (&body_of("", &good), "invalid auth request: id_data"),
        (&body_of("[1]", &good), "invalid auth request"),
        (&body_of("\"text\"", &good), "invalid auth request"),
        (&body_of("not json", &good), "invalid auth request"),
        (r#"{"id_data":"{}"}"#, "invalid auth request: pubkey"),
        (&body_of("{}", "no pem"), "invalid auth request"),
        (
            &body_of("{}", &good.replace("PUBLIC KEY", "EC PUBLIC KEY")),
            "invalid auth request: invalid PEM block type",
        ),
        (&body_of("{}", &good.replace('M', "N")), "invalid auth request"),
        (
            &body_of("{}", secp256k1),
            "invalid auth request: unsupported elliptic curve",
        ),
    ];
    for (body, text) in table {
        let mut bench = Bench::new();
        let request = Request::new("POST", AUTH)
            .json(body)
            .header("X-MEN-Signature", "nonsense");
        assert_error(&bench.send(request), 400, text);
        assert_eq!(bench.server.devices().count(), 0);
    }
}

#[test]
fn null_identities_pass_by_accident_as_in_the_real_server() {
    let mut bench = Bench::new();
    assert_eq!(bench.send(signed(&body_of("null", &pem(&key(1))))).status, 200);
}

#[test]
fn the_signature_is_over_the_exact_bytes_of_the_body() {
    let body = body_of(r#"{"mac":"aa"}"#, &pem(&key(1)));
    let spaced = body.replace("\":\"{", "\" : \"{");
    assert_ne!(body, spaced);
    let mut bench = Bench::new();
    assert_eq!(
        bench.send(signed(&spaced)).status,
        200,
        "any JSON spelling is fine when it is what was signed"
    );
    let request = Request::new("POST", AUTH)
        .json(spaced)
        .header("X-MEN-Signature", sign(&key(1), body.as_bytes()));
    assert_error(&bench.send(request), 401, "signature verification failed");
}

/// The server remembers the last good one.
#[test]
fn after_a_good_request_each_change_of_it_is_refused() {
    let (body, other) = (
        body_of(r#"{"mac":"aa"}"#, &pem(&key(1))),
        body_of(r#"{"mac":"aa"}"#, &pem(&key(2))),
    );
    let mut bench = Bench::new();
    for _ in 0..2 {
        assert_eq!(bench.send(signed(&body)).status, 200);
        let changed = [
            (body.replace("aa", "ab"), sign(&key(1), body.as_bytes())),
            (body.clone(), sign(&key(2), body.as_bytes())),
            (other.clone(), sign(&key(1), body.as_bytes())),
            (other.clone(), sign(&key(1), other.as_bytes())),
        ];
        for (body, signature) in changed {
            let request = Request::new("POST", AUTH)
                .json(body)
                .header("X-MEN-Signature", signature);
            assert_error(&bench.send(request), 401, "signature verification failed");
        }
    }
}

#[test]
fn signatures_are_padded_standard_base64_of_der() {
    let body = body_of(r#"{"mac":"aa"}"#, &pem(&key(1)));
    // The text of a signature varies with the body; look for one that shows all differences of the alphabets.
    let (body, der) = (0..)
        .map(|salt| {
            let body = body.replace("aa", &salt.to_string());
            let der = STANDARD.decode(sign(&key(1), body.as_bytes())).unwrap();
            (body, der)
        })
        .find(|(_, der)| {
            let text = STANDARD.encode(der);
            text.ends_with('=') && text.contains('+') && text.contains('/')
        })
        .unwrap();
    let raw = {
        use p256::ecdsa::signature::Signer as _;
        let signature: p256::ecdsa::Signature = key(1).sign(body.as_bytes());
        signature.to_bytes().to_vec()
    };
    let standard = STANDARD.encode(&der);
    let folded = format!("{}\r\n{}", &standard[..64], &standard[64..]);
    let table = [
        (standard.clone(), 200),
        (folded, 200),
        (STANDARD_NO_PAD.encode(&der), 401),
        (URL_SAFE.encode(&der), 401),
        (STANDARD.encode(&raw), 401),
        (standard.replace('A', "B"), 401),
        ("!".to_owned(), 401),
    ];
    for (signature, status) in table {
        let mut bench = Bench::new();
        let request = Request::new("POST", AUTH)
            .json(body.clone())
            .header("X-MEN-Signature", signature.clone());
        assert_eq!(bench.send(request).status, status, "{signature}");
    }
    let mut bench = Bench::new();
    assert_error(
        &bench.send(Request::new("POST", AUTH).json(body)),
        400,
        "missing request signature header",
    );
}

#[test]
fn rsa_and_ed25519_keys_work_too() {
    let mut bench = Bench::new();
    let body = body_of(r#"{"mac":"rsa"}"#, include_str!("../data/rsa-2048.pub.pem"));
    let pair = RsaKeyPair::from_pkcs8(include_bytes!("../data/rsa-2048.pk8")).unwrap();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &ring::rand::SystemRandom::new(),
        body.as_bytes(),
        &mut signature,
    )
    .unwrap();
    let send = |bench: &mut Bench, body: &str, signature: &[u8]| {
        let header = STANDARD.encode(signature);
        bench
            .send(Request::new("POST", AUTH).json(body).header("X-MEN-Signature", header))
            .status
    };
    assert_eq!(send(&mut bench, &body, &signature), 200);
    signature[0] ^= 1;
    assert_eq!(send(&mut bench, &body, &signature), 401);

    let pair = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let spki = [&prefix[..], pair.public_key().as_ref()].concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(spki)
    );
    let body = body_of(r#"{"mac":"ed"}"#, &pem);
    assert_eq!(send(&mut bench, &body, pair.sign(body.as_bytes()).as_ref()), 200);
    assert_eq!(send(&mut bench, &body, pair.sign(b"something else").as_ref()), 401);
}

/// Requests that OpenSSL has signed with SHA-256; the README beside them says how.
#[test]
fn all_nist_curves_work() {
    let table = [
        (
            include_str!("../data/auth-secp224r1.json"),
            include_str!("../data/auth-secp224r1.sig"),
        ),
        (
            include_str!("../data/auth-secp384r1.json"),
            include_str!("../data/auth-secp384r1.sig"),
        ),
        (
            include_str!("../data/auth-secp521r1.json"),
            include_str!("../data/auth-secp521r1.sig"),
        ),
    ];
    for (body, signature) in table {
        let mut bench = Bench::new();
        let mut send = |body: &str, signature: &str| {
            let request = Request::new("POST", AUTH).json(body);
            bench.send(request.header("X-MEN-Signature", signature))
        };
        assert_eq!(send(body, signature).status, 200, "{body}");
        // Another body, and another signature that is well-formed.
        assert_eq!(send(&format!("{body} "), signature).status, 401, "{body}");
        let mut other = STANDARD.decode(signature).unwrap();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(send(body, &STANDARD.encode(other)).status, 401, "{body}");
        assert_eq!(send(body, "MAA=").status, 401, "{body}");
        // Another point, which is not on the curve.
        let at = body.find("\\n-----END").unwrap() - 8;
        let mut off_curve = body.to_owned();
        off_curve.replace_range(at..=at, if &body[at..=at] == "B" { "C" } else { "B" });
        assert_error(
            &send(&off_curve, signature),
            400,
            "invalid auth request: invalid elliptic curve point",
        );
    }
}

#[test]
fn a_key_on_one_line_with_its_dashes_is_no_key() {
    let good = pem(&key(1));
    for bad in [good.replace('\n', ""), good.replacen("\n-----END", "-----END", 1)] {
        let mut bench = Bench::new();
        let response = bench.send(signed(&body_of(r#"{"mac":"aa"}"#, &bad)));
        assert_error(&response, 400, "invalid auth request: cannot decode public key");
    }
}

#[test]
fn the_same_identity_in_another_spelling_is_the_same_device() {
    let mut bench = Bench::new();
    let spellings = [
        r#"{"mac":"aa","sn":1}"#,
        r#"{"sn":1,"mac":"aa"}"#,
        r#" { "sn" : 1.0 , "mac" : "aa" } "#,
        r#"{"sn":1e0,"mac":"\u0061a"}"#,
    ];
    for spelling in spellings {
        assert_eq!(bench.send(signed(&body_of(spelling, &pem(&key(1))))).status, 200);
    }
    assert_eq!(bench.server.devices().count(), 1);
    bench.send(signed(&body_of(r#"{"mac":"aa","sn":2}"#, &pem(&key(1)))));
    assert_eq!(bench.server.devices().count(), 2);
}

#[test]
fn identities_are_shown_sorted_and_with_numbers_as_go_prints_them() {
    let mut bench = Bench::new();
    bench.server.settings_mut().management_token = Some("fixed".to_owned());
    let id_data = r#"{"sn":1.0,"mac":"aa","z":{"b":1e21,"a":1e-7},"big":12345678901234567890,"list":[2.50,1e3]}"#;
    let shown = r#"{"big":12345678901234567000,"list":[2.5,1000],"mac":"aa","sn":1,"z":{"a":1e-7,"b":1e+21}}"#;
    let response = bench.send(signed(&body_of(id_data, &pem(&key(1)))));
    assert_eq!(response.status, 200);
    let mut get = |path: &str| {
        let response = bench.send(Request::new("GET", format!("{MANAGEMENT}{path}")).bearer("fixed"));
        String::from_utf8(response.body).unwrap()
    };
    let devices = get("/v2/devauth/devices");
    let identity = format!("\"identity_data\":{shown}");
    assert_eq!(
        devices.matches(&identity).count(),
        2,
        "the device's and the key's: {devices}"
    );
    let inventory = get("/v1/inventory/devices");
    for attribute in [
        r#"{"name":"sn","value":1,"#,
        r#"{"name":"big","value":12345678901234567000,"#,
    ] {
        assert!(inventory.contains(attribute), "{inventory}");
    }
}

#[test]
fn the_same_key_in_another_spelling_is_the_same_auth_set() {
    let mut bench = Bench::new();
    let good = pem(&key(1));
    let one_line = good
        .replace('\n', "")
        .replace("KEY-----", "KEY-----\n")
        .replacen("-----END", "\n-----END", 1);
    for spelling in [
        good.clone(),
        good.replace('\n', "\r\n"),
        format!("text in front\n{good}text behind"),
        one_line,
    ] {
        assert_eq!(
            bench.send(signed(&body_of(r#"{"mac":"aa"}"#, &spelling))).status,
            200,
            "{spelling}"
        );
    }
    let device = bench.server.find_device("mac", "aa").unwrap();
    assert_eq!(device.auth_set_count(), 1);
}

#[test]
fn a_new_key_of_a_known_device_waits_and_replaces_the_old_one_when_accepted() {
    let mut bench = waiting();
    bench.send(auth_request("aa", &key(1)));
    let [id] = bench.server.pending_devices().try_into().unwrap();
    bench.server.accept_device(&id, bench.now);
    let old = bench.send(auth_request("aa", &key(1)));
    let old_token = String::from_utf8(old.body).unwrap();

    assert_eq!(bench.send(auth_request("aa", &key(2))).status, 401);
    assert_eq!(bench.server.pending_devices(), std::slice::from_ref(&id));
    assert_eq!(
        bench.server.device(&id).unwrap().acceptance(),
        Acceptance::Accepted,
        "the best key decides"
    );
    let poll = format!("{DEPLOYMENTS}/next?artifact_name=a&device_type=b");
    assert_eq!(bench.send(Request::new("GET", &poll).bearer(&old_token)).status, 204);

    assert!(bench.server.accept_device(&id, bench.now));
    assert_eq!(bench.send(auth_request("aa", &key(2))).status, 200);
    assert_eq!(
        bench.send(auth_request("aa", &key(1))).status,
        401,
        "at most one key is accepted"
    );
    assert_eq!(bench.send(Request::new("GET", &poll).bearer(&old_token)).status, 401);
}

#[test]
fn tiers_make_an_auth_set_of_their_own_in_the_commercial_editions_only() {
    let request = |tier: &str| {
        let body = json!({"id_data": r#"{"mac":"aa"}"#, "pubkey": pem(&key(1)), "tier": tier}).to_string();
        signed(&body)
    };
    for (mode, count) in [(Mode::Oss, 1), (Mode::Enterprise, 2)] {
        let mut bench = Bench::with(Settings {
            mode,
            auto_accept: true,
            ..Settings::default()
        });
        assert_eq!(bench.send(request("standard")).status, 200);
        assert_eq!(bench.send(request("micro")).status, 200);
        assert_eq!(
            bench.server.find_device("mac", "aa").unwrap().auth_set_count(),
            count,
            "{mode:?}"
        );
    }
    let mut bench = Bench::enterprise();
    assert_error(&bench.send(request("huge")), 400, "tier");
}

#[test]
fn refusals_of_the_gateway() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let poll = format!("{DEPLOYMENTS}/next?artifact_name=a&device_type=b");
    let with = |header: &str| Request::new("GET", &poll).header("authorization", header);
    let token = &device.token;

    // Malformed: JSON and a hint which scheme is wanted.
    let malformed = [
        Request::new("GET", &poll),
        with(token),
        with(&format!("Basic {token}")),
        with(&format!("Bearer  {token}")),
        with("Bearer a.b"),
        with("Bearer a.b.c"),
    ];
    for request in malformed {
        let response = bench.send(request.clone());
        assert_error(&response, 401, "");
        assert_eq!(
            response.header_value("WWW-Authenticate"),
            Some("Bearer realm=\"ManagementJWT\""),
            "{request:?}"
        );
    }
    assert_eq!(bench.send(with(&format!("bEARER {token}"))).status, 204);

    // Wrong signature: not even a body.
    let changed = format!("{}A", &token[..token.len() - 1]);
    let response = bench.send(with(&format!("Bearer {changed}")));
    assert_eq!((response.status, response.body.len()), (401, 0));
}

#[test]
fn expired_revoked_and_orphaned_tokens_get_401_without_body() {
    let poll = format!("{DEPLOYMENTS}/next?artifact_name=a&device_type=b");
    let expect = |bench: &mut Bench, device: &Caller, status: u16| {
        let response = bench.send(device.request("GET", &poll));
        assert_eq!((response.status, response.body.len()), (status, 0));
    };

    let mut bench = Bench::with(Settings {
        auto_accept: true,
        token_lifetime: Duration::from_secs(60),
        ..Settings::default()
    });
    let device = bench.login("aa");
    bench.wait_secs(59);
    expect(&mut bench, &device, 204);
    bench.wait_secs(1);
    expect(&mut bench, &device, 401);
    let device = bench.login("aa");
    expect(&mut bench, &device, 204);

    bench.server.reject_device(&device.id, bench.now);
    expect(&mut bench, &device, 401);

    let other = bench.login("bbb");
    let id = other.id.clone();
    assert!(bench.server.decommission(&id, bench.now));
    expect(&mut bench, &other, 401);
    let again = bench.login("bbb");
    assert_ne!(again.id, id, "a decommissioned device comes back as a new one");
    bench.server.revoke_all_tokens();
    expect(&mut bench, &again, 401);
}

#[test]
fn an_older_token_stays_valid() {
    let mut bench = Bench::new();
    let first = bench.login("aa");
    bench.wait_secs(10);
    let second = bench.login("aa");
    assert_ne!(first.token, second.token);
    assert_eq!(bench.offered(&first, "a"), None);
    assert_eq!(bench.offered(&second, "a"), None);
}

#[test]
fn content_type_is_checked_unless_the_length_is_unknown() {
    let body = body_of(r#"{"mac":"aa"}"#, &pem(&key(1)));
    let signature = sign(&key(1), body.as_bytes());
    let table = [
        (Some("application/json"), 200),
        (Some("Application/JSON; charset=utf-8"), 200),
        (Some("text/plain"), 415),
        (Some(""), 400),
        (None, 400),
    ];
    for (content_type, status) in table {
        let mut bench = Bench::new();
        let mut request = Request::new("POST", AUTH)
            .body(body.clone())
            .header("X-MEN-Signature", &signature);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        assert_eq!(bench.send(request).status, status, "{content_type:?}");
    }
    let mut request = Request::new("POST", AUTH)
        .header("Transfer-Encoding", "chunked")
        .header("X-MEN-Signature", signature);
    request.body = body.into_bytes();
    assert_eq!(Bench::new().send(request).status, 200);
}

#[test]
fn bodies_above_the_limit_are_refused() {
    let mut bench = Bench::new();
    let limit = bench.server.settings().body_limit as usize;
    let announced = Request::new("POST", AUTH).json(vec![b' '; limit + 1]);
    assert_error(&bench.send(announced), 413, "http: request body too large");
    let mut chunked = Request::new("POST", AUTH).header("Transfer-Encoding", "chunked");
    chunked.body = vec![b' '; limit + 1];
    assert_error(&bench.send(chunked), 400, "http: request body too large");
    assert_error(
        &bench.send(Request::new("POST", AUTH).json(vec![b' '; limit])),
        400,
        "failed to decode",
    );
}

#[test]
fn request_ids_are_kept_or_made() {
    let mut bench = Bench::new();
    let response = bench.send(Request::new("POST", AUTH).header("X-MEN-RequestID", "my-id"));
    assert_eq!(response.header_value("X-Men-Requestid"), Some("my-id"));
    assert_eq!(response.body_json()["request_id"], "my-id");
    let response = bench.send(Request::new("POST", AUTH));
    let made = response.body_json()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(
        (made.len(), response.header_value("X-Men-Requestid")),
        (36, Some(made.as_str()))
    );
}

#[test]
fn unknown_paths_and_wrong_methods() {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let next = format!("{DEPLOYMENTS}/next");
    let table = [
        (Request::new("GET", AUTH), 405, "method not allowed", true),
        (device.request("GET", ATTRIBUTES), 405, "method not allowed", true),
        (device.request("DELETE", &next), 405, "method not allowed", false),
        (
            device.request("GET", "/api/devices/v1/deployments/device/else"),
            404,
            "not found",
            false,
        ),
        (Request::new("GET", "/api/else"), 404, "not found", false),
    ];
    for (request, status, text, has_request_id) in table {
        let response = bench.send(request.clone());
        assert_error(&response, status, text);
        assert_eq!(
            response.body_json()["request_id"].is_string(),
            has_request_id,
            "{request:?}"
        );
    }
    let response = bench.send(Request::new("GET", "/api/devices/v1/else"));
    assert_eq!(response.status, 401, "the gateway asks for a token first");
}
