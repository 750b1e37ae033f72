//! A server with a user who is logged in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mender_testkit::server::{Request, Response, Settings};
use serde_json::Value;

use crate::bench::*;

/// A bench with a user who is logged in.
pub struct Office {
    pub bench: Bench,
    token: String,
}

impl Office {
    pub fn new() -> Self {
        Self::of(Bench::with(Settings::default()))
    }

    pub fn of(mut bench: Bench) -> Self {
        let response = bench.send(login("admin@example.com", "password"));
        assert_eq!(
            (response.status, response.header_value("Content-Type")),
            (200, Some("application/jwt"))
        );
        Self {
            bench,
            token: String::from_utf8(response.body).unwrap(),
        }
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, format!("{MANAGEMENT}{path}")).bearer(&self.token)
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.bench.send(self.request("GET", path))
    }

    pub fn send(&mut self, method: &str, path: &str, body: &Value) -> Response {
        self.bench.send(self.request(method, path).json(body.to_string()))
    }

    pub fn upload(&mut self, parts: &[(&str, &[u8])]) -> Response {
        let mut body = Vec::new();
        for (name, content) in parts {
            body.extend(format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").bytes());
            body.extend_from_slice(content);
            body.extend(b"\r\n");
        }
        body.extend(b"--bound--\r\n");
        let request = self.request("POST", "/v1/deployments/artifacts");
        self.bench.send(
            request
                .header("Content-Type", "multipart/form-data; boundary=bound")
                .body(body),
        )
    }
}

pub fn login(user: &str, password: &str) -> Request {
    let basic = STANDARD.encode(format!("{user}:{password}"));
    Request::new("POST", format!("{MANAGEMENT}/v1/useradm/auth/login"))
        .header("Authorization", format!("Basic {basic}"))
}

/// An office with an accepted device and the artifact `release-2`.
pub fn with_artifact() -> (Office, Caller) {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    bench.artifact("release-2", "board-a", 100);
    (Office::of(bench), device)
}

pub const CREATE: &str = "/v1/deployments/deployments";

pub fn created(response: &Response) -> String {
    assert_eq!((response.status, response.body.len()), (201, 0), "{response:?}");
    response
        .header_value("Location")
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned()
}
