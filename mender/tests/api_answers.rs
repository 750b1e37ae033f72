//! The meaning of the device API's answers: every status, every trap of the description, and arbitrary bytes.

use mender::api::auth::{self, AuthRefused};
use mender::api::next::{self, Next, NextError};
use mender::api::status::{self, ReportAnswer};
use mender::api::{Class, error_text, log};
use proptest::prelude::*;
use serde_json::json;

const ID: &str = "0d1f6a52-7a0e-4b8e-9a54-3f3a3c0c9a11";

/// As the server writes it: `&` escaped, keys that the client does not know, a list.
const DEPLOYMENT: &str = r#"{"id":"0d1f6a52-7a0e-4b8e-9a54-3f3a3c0c9a11",
 "artifact":{"id":"5f0f","artifact_name":"fw-1.4.0 \u003cx\u003e",
  "source":{"uri":"https://s3.example.com:9000/mender/5f0f?X-Amz-Algorithm=AWS4-HMAC-SHA256\u0026X-Amz-Expires=86400\u0026s=a%2Fb+c",
            "expire":"2026-09-01T10:00:00.123456789Z","method":"GET"},
  "device_types_compatible":["board-a","board-b"]},"later":{"a":[1,{"b":null}]}}
"#;

fn answer(status: u16, body: &str) -> Result<OwnedNext, NextError> {
    let mut body = body.as_bytes().to_vec();
    next::answer(status, &mut body).map(|next| match next {
        Next::Nothing => None,
        Next::Deployment { id, artifact_name, uri } => Some([id.to_owned(), artifact_name.to_owned(), uri.to_owned()]),
    })
}

/// Id, artifact name, URI.
type OwnedNext = Option<[String; 3]>;

fn instructions(id: &str, artifact_name: &str, uri: &str) -> String {
    json!({ "id": id, "artifact": { "artifact_name": artifact_name, "source": { "uri": uri } } }).to_string()
}

#[test]
fn a_deployment_with_escaped_link() {
    assert_eq!(
        answer(200, DEPLOYMENT),
        Ok(Some([
            ID.into(),
            "fw-1.4.0 <x>".into(),
            "https://s3.example.com:9000/mender/5f0f?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=86400&s=a%2Fb+c"
                .into(),
        ]))
    );
}

#[test]
fn no_deployment() {
    assert_eq!(answer(204, ""), Ok(None));
    assert_eq!(answer(204, "whatever"), Ok(None));
    assert_eq!(answer(200, " \r\n"), Ok(None));
}

#[test]
fn the_link_s_secret_is_not_printed() {
    let mut body = DEPLOYMENT.as_bytes().to_vec();
    let printed = format!("{:?}", next::answer(200, &mut body).unwrap());
    assert!(printed.contains("https://s3.example.com:9000/mender/5f0f"), "{printed}");
    assert!(!printed.contains("X-Amz"), "{printed}");
}

#[test]
fn every_cut_of_a_deployment_is_malformed() {
    let end = DEPLOYMENT.trim_end().len();
    for cut in 1..end {
        assert_eq!(answer(200, &DEPLOYMENT[..cut]), Err(NextError::Malformed), "{cut}");
    }
    assert!(answer(200, &DEPLOYMENT[..end]).is_ok());
}

#[test]
fn what_cannot_be_a_deployment_is_malformed() {
    let link = "https://a/b";
    let long = "x".repeat(65);
    for (id, name, uri) in [
        ("", "n", link),
        (long.as_str(), "n", link),
        ("a b", "n", link),
        ("a\r\nX: y", "n", link),
        ("\u{e9}", "n", link),
        (".", "n", link),
        ("..", "n", link),
        ("i", "", link),
        ("i", "n", ""),
        ("i", "n", "https://a/b c"),
        ("i", "n", "https://a/\r\nHost: evil"),
        ("i", "n", "https://a/\u{e9}"),
    ] {
        assert_eq!(
            answer(200, &instructions(id, name, uri)),
            Err(NextError::Malformed),
            "{id} {name} {uri}"
        );
    }
    assert!(answer(200, &instructions(&long[1..], "n", link)).unwrap().is_some());
    for body in [
        "{}",
        "null",
        "[]",
        "<html>502</html>",
        "\"text\"",
        r#"{"id":null,"artifact":{"artifact_name":"n","source":{"uri":"https://a/b"}}}"#,
        r#"{"id":1,"artifact":{"artifact_name":"n","source":{"uri":"https://a/b"}}}"#,
        r#"{"id":"i","artifact":null}"#,
        r#"{"id":"i","artifact":{"artifact_name":"n","source":null}}"#,
        r#"{"id":"i","artifact":{"artifact_name":"n"}}"#,
        r#"{"id":"i","artifact":{"artifact_name":"\ud83d","source":{"uri":"https://a/b"}}}"#,
        r#"{"id":"i","artifact":{"artifact_name":"\ude00\ud83d","source":{"uri":"https://a/b"}}}"#,
        r#"{"id":"i","artifact":{"artifact_name":"\ud83d\u0041","source":{"uri":"https://a/b"}}}"#,
        r#"{"id":"i","artifact":{"artifact_name":"\u+041","source":{"uri":"https://a/b"}}}"#,
        r#"{"id":"i","artifact":{"artifact_name":"\x","source":{"uri":"https://a/b"}}}"#,
        r#"{"id":"i","artifact":{"artifact_name":"n","source":{"uri":"https://a/b"}}} trailing"#,
    ] {
        assert_eq!(answer(200, body), Err(NextError::Malformed), "{body}");
    }
    // In what is passed over.
    for (value, good) in [
        ("1.5e-3", true),
        ("[null,false]", true),
        ("01", false),
        ("1.", false),
        ("tru", false),
        ("nulll", false),
        ("1x", false),
        ("[1,]", false),
        (r#""\q""#, false),
    ] {
        let body = format!(
            r#"{{"later":{value},"id":"i","artifact":{{"artifact_name":"n","source":{{"uri":"https://a/b"}}}}}}"#
        );
        let expected = if good { Ok(true) } else { Err(NextError::Malformed) };
        assert_eq!(answer(200, &body).map(|next| next.is_some()), expected, "{value}");
    }
}

#[test]
fn surrogate_pairs_are_decoded() {
    let body = r#"{"id":"i","artifact":{"artifact_name":"\ud83d\ude00\u00e9\"\\\/\b\f\n\r\t","source":{"uri":"https://a/b"}}}"#;
    let [_, name, _] = answer(200, body).unwrap().unwrap();
    assert_eq!(name, "\u{1f600}\u{e9}\"\\/\u{8}\u{c}\n\r\t");
}

#[test]
fn deep_nesting_does_not_cost_the_stack() {
    for opening in ["[", "{\"a\":"] {
        let deep = opening.repeat(1_000_000);
        let body = format!(r#"{{"later":{deep}"#);
        assert_eq!(answer(200, &body), Err(NextError::Malformed));
    }
    // Brackets in a string nest nothing.
    let body = instructions("i", &"[{\"".repeat(100), "https://a/b");
    assert!(answer(200, &body).unwrap().is_some());
}

#[test]
fn poll_answers_by_status() {
    let error = r#"{"error":"x","request_id":"y"}"#;
    for body in ["", error] {
        for (status, expected) in [
            (400, NextError::Refused { status: 400 }),
            (401, NextError::Unauthorized),
            (403, NextError::Forbidden),
            (404, NextError::RouteMissing),
            (405, NextError::RouteMissing),
            (409, NextError::Conflict),
            (413, NextError::Refused { status: 413 }),
            (415, NextError::Refused { status: 415 }),
            (429, NextError::RateLimited),
            (302, NextError::RetryLater { status: 302 }),
            (500, NextError::RetryLater { status: 500 }),
            (503, NextError::RetryLater { status: 503 }),
        ] {
            assert_eq!(answer(status, body), Err(expected));
        }
    }
}

#[test]
fn report_answers_by_status() {
    for (code, expected) in [
        (204, ReportAnswer::Stored),
        (200, ReportAnswer::Stored),
        (400, ReportAnswer::Refused { status: 400 }),
        (401, ReportAnswer::Unauthorized),
        (403, ReportAnswer::Forbidden),
        (404, ReportAnswer::Unknown),
        (409, ReportAnswer::Aborted),
        (413, ReportAnswer::Refused { status: 413 }),
        (429, ReportAnswer::RateLimited),
        (500, ReportAnswer::RetryLater { status: 500 }),
    ] {
        assert_eq!(status::answer(code), expected);
        if code != 409 {
            assert_eq!(log::answer(code), expected);
        }
    }
    assert_eq!(log::answer(409), ReportAnswer::RetryLater { status: 409 });
}

#[test]
fn tokens() {
    assert_eq!(
        auth::answer(200, b"eyJhbGciOi.J9-_.a").unwrap().as_str(),
        "eyJhbGciOi.J9-_.a"
    );
    assert_eq!(auth::answer(200, b"\r\n a.b.c \n").unwrap().as_str(), "a.b.c");
    for body in ["", " \n", "a b", "a\nb", "a\u{0}", "a\u{7f}", "t\u{f6}ken"] {
        assert_eq!(
            auth::answer(200, body.as_bytes()),
            Err(AuthRefused::BadToken),
            "{body:?}"
        );
    }
    assert_eq!(auth::answer(200, &[0xff]), Err(AuthRefused::BadToken));
    let printed = format!("{:?}", auth::answer(200, b"secret"));
    assert!(!printed.contains("secret"), "{printed}");
}

#[test]
fn authentication_answers_by_status() {
    for (status, body, expected) in [
        (401, "", AuthRefused::NotAccepted),
        (401, r#"{"error":"dev auth: unauthorized"}"#, AuthRefused::NotAccepted),
        (
            401,
            r#"{"error":"signature verification failed"}"#,
            AuthRefused::SignatureRefused,
        ),
        (400, "", AuthRefused::Refused { status: 400 }),
        (403, "", AuthRefused::Refused { status: 403 }),
        (404, "404 page not found", AuthRefused::RetryLater { status: 404 }),
        (429, "", AuthRefused::RateLimited),
        (500, "", AuthRefused::RetryLater { status: 500 }),
        (503, "", AuthRefused::RetryLater { status: 503 }),
    ] {
        assert_eq!(auth::answer(status, body.as_bytes()), Err(expected));
    }
}

#[test]
fn an_expired_or_revoked_token_is_answered_with_an_empty_body() {
    assert_eq!(Class::of(401), Class::Reauthenticate);
    assert_eq!(error_text(&mut []), None);
}

fn json_like() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        proptest::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"id\"",
            "\"artifact\"",
            "\"artifact_name\"",
            "\"source\"",
            "\"uri\"",
            "\"",
            "\\",
            "\\u00",
            "\\ud83d",
            "\"x\"",
            "null",
            "1e9",
            " ",
            "\u{e9}",
            "\"error\"",
        ]),
        0..40,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_answer_panics(status in any::<u16>(), mut body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = auth::answer(status, &body);
        let _ = next::answer(status, &mut body.clone());
        let _ = next::answer(200, &mut body.clone());
        let _ = status::answer(status);
        let _ = log::answer(status);
        let _ = error_text(&mut body);
    }

    #[test]
    fn nothing_that_looks_like_json_panics(body in json_like()) {
        let _ = next::answer(200, &mut body.clone().into_bytes());
        let _ = error_text(&mut body.into_bytes());
    }

    #[test]
    fn a_damaged_deployment_never_panics_and_never_gives_an_unsafe_text(
        place in 0..DEPLOYMENT.len(), byte in any::<u8>(), second in 0..DEPLOYMENT.len(), other in any::<u8>(),
    ) {
        let mut body = DEPLOYMENT.as_bytes().to_vec();
        body[place] = byte;
        body[second] = other;
        if let Ok(Next::Deployment { id, uri, .. }) = next::answer(200, &mut body) {
            prop_assert!(id.bytes().chain(uri.bytes()).all(|byte| byte.is_ascii_graphic()));
        }
    }

    /// Every string is decoded as another JSON library does it, whichever of its characters are escaped.
    #[test]
    fn strings_are_decoded_like_elsewhere(name in "\\PC{1,30}|[\\x00-\\x7f]{1,20}", escaped in any::<u64>()) {
        let mut text = String::new();
        for (index, character) in name.chars().enumerate() {
            if escaped >> (index % 64) & 1 == 1 || character < ' ' || character == '"' || character == '\\' {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                text.push(character);
            }
        }
        let body = format!(r#"{{"id":"i","artifact":{{"artifact_name":"{text}","source":{{"uri":"https://a/b"}}}}}}"#);
        let elsewhere: serde_json::Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(elsewhere["artifact"]["artifact_name"].as_str(), Some(name.as_str()));
        let [_, decoded, _] = answer(200, &body).unwrap().unwrap();
        prop_assert_eq!(decoded, name);
    }
}
