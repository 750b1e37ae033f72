//! Bodies of the device API's answers: what is taken from one is what another JSON reader finds in it.

use mender::api::{Class, auth, error_text, next};
use mender::net::http::retry_after;
use serde_json::Value;

/// The first two bytes are the status, the others the body.
pub fn answers(bytes: &[u8]) {
    let Some((&status, body)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let status = u16::from_le_bytes(status) % 1000;
    for status in [status, 200, 401] {
        deployment(status, body);
        token(status, body);
    }
    error(body);
    if let Ok(text) = core::str::from_utf8(body) {
        let (value, date) = text.split_once('\n').unwrap_or((text, ""));
        for date in [None, Some(date)] {
            assert!(retry_after::wait(value, date).is_none_or(|wait| wait <= retry_after::LONGEST));
        }
    }
}

fn deployment(status: u16, body: &[u8]) {
    let mut memory = body.to_vec();
    match next::answer(status, &mut memory) {
        Ok(next::Next::Nothing) => assert!(Class::of(status) == Class::Success),
        Ok(next::Next::Deployment { id, artifact_name, uri }) => {
            assert!(next::is_valid_id(id) && uri.bytes().all(|byte| byte.is_ascii_graphic()));
            // It does not look for UTF-8 in what it does not need; so this one must not, either.
            let json: Value = serde_json::from_str(&String::from_utf8_lossy(body)).expect("it is JSON");
            assert_eq!(json["id"], id);
            assert_eq!(json["artifact"]["artifact_name"], artifact_name);
            assert_eq!(json["artifact"]["source"]["uri"], uri);
        }
        Err(error) => drop(error.to_string()),
    }
}

fn token(status: u16, body: &[u8]) {
    match auth::answer(status, body) {
        Ok(token) => {
            assert!(Class::of(status) == Class::Success && !token.as_str().is_empty());
            assert!(token.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Err(error) => drop(error.to_string()),
    }
}

fn error(body: &[u8]) {
    let mut memory = body.to_vec();
    if let Some(text) = error_text(&mut memory) {
        let json: Value = serde_json::from_str(&String::from_utf8_lossy(body)).expect("it is JSON");
        assert_eq!(json["error"], text);
    }
}
