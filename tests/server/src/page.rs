//! The page at `/`: what a developer wants to see of the server. One file, which calls the management API as other clients do.

use mender_testkit::server::{Endpoint, Request, Response};

const PAGE: &str = include_str!("page.html");

/// Nothing is loaded from elsewhere, and nothing is asked but this server.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The page, if it is what was asked for.
pub(crate) fn answer(request: &Request) -> Option<Response> {
    let asked = request.endpoint == Endpoint::Api && request.method == "GET" && request.path() == "/";
    asked.then(|| {
        Response::bytes(200, "text/html; charset=utf-8", PAGE)
            .header("Content-Security-Policy", POLICY)
            .header("Cache-Control", "no-store")
    })
}
