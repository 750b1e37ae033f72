//! Links to artifacts, and the store that serves them (spec of the device API, section 9).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Server;
use super::artifacts::Artifact;
use super::http::{Request, Response};
use super::ids::{ArtifactId, Random, hex};
use super::time::Time;

/// Links that were handed out, by their path and query.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    issued: BTreeMap<String, Link>,
    serial: u64,
}

#[derive(Clone, Debug)]
struct Link {
    artifact: ArtifactId,
    expires: Time,
}

/// How long an expired link is remembered, to tell "expired" from "never existed".
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

impl Links {
    /// A new link, different from all before: path and query.
    ///
    /// It has what trips clients up: a colon, an encoded slash and a plus sign in the path, encoded slashes in a long
    /// query, ampersands that JSON escapes.
    fn issue(
        &mut self,
        artifact: &ArtifactId,
        lifetime: Duration,
        token_len: usize,
        random: &mut Random,
        now: Time,
    ) -> String {
        self.issued.retain(|_, link| link.expires + REMEMBERED > now);
        self.serial += 1;
        let date = now.compact();
        let day = date.get(..8).unwrap_or_default();
        let mut token = String::new();
        while token.len() < token_len {
            token.push_str(&URL_SAFE_NO_PAD.encode(random.block()));
        }
        token.truncate(token_len);
        let target = format!(
            "/mender-artifacts/v3:{artifact}%2Fstored+as.mender?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=MENDERTESTKEY%2F{day}%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date={date}\
             &X-Amz-Expires={}&X-Amz-Security-Token={token}&X-Amz-SignedHeaders=host\
             &response-content-type=application%2Fvnd.mender-artifact&x-id=GetObject&x-serial={}&X-Amz-Signature={}",
            lifetime.as_secs(),
            self.serial,
            hex(&random.block()),
        );
        self.issued.insert(
            target.clone(),
            Link {
                artifact: artifact.clone(),
                expires: now + lifetime,
            },
        );
        target
    }
}

/// A refusal in the words of an object store.
fn refusal(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Response::bytes(status, "application/xml", body)
}

/// The part of a file that a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// No range, or one that is to be ignored.
    Whole,
    /// From the first to the last byte, both included.
    Part(u64, u64),
    /// A range beyond the end.
    Unsatisfiable,
}

fn wanted(range: Option<&str>, len: u64) -> Wanted {
    let Some(range) = range.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((from, to)) = range.split_once('-') else {
        return Wanted::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(from), number(to)) {
        (Some(from), _) if from >= len => Wanted::Unsatisfiable,
        (Some(from), Some(to)) if from <= to => Wanted::Part(from, to.min(len - 1)),
        (Some(from), None) if to.trim().is_empty() => Wanted::Part(from, len - 1),
        (None, Some(0)) if from.trim().is_empty() => Wanted::Unsatisfiable,
        (None, Some(tail)) if from.trim().is_empty() && len > 0 => Wanted::Part(len.saturating_sub(tail), len - 1),
        // Malformed, or several ranges: the whole file is a correct answer.
        _ => Wanted::Whole,
    }
}

impl Server {
    /// A fresh link to an artifact: the whole address and when it expires.
    pub(super) fn artifact_link(&mut self, artifact: &ArtifactId, lifetime: Duration, now: Time) -> (String, Time) {
        let token_len = self.settings.link_token_len;
        let target = self.links.issue(artifact, lifetime, token_len, &mut self.random, now);
        (format!("{}{target}", self.settings.storage_url), now + lifetime)
    }

    /// Answers a request to the artifact store.
    pub(super) fn handle_storage(&mut self, request: &Request, ignore_range: bool, now: Time) -> Response {
        for (name, _) in &request.headers {
            let lower = name.to_ascii_lowercase();
            if lower == "authorization" || lower.starts_with("x-men") {
                self.violation(
                    request,
                    now,
                    format!("the header {name} was sent to the artifact store"),
                );
            }
        }
        if request.path().starts_with("/api/") {
            self.violation(request, now, "an API request was sent to the artifact store".to_owned());
            return refusal(404, "NoSuchBucket", "The specified bucket does not exist");
        }
        if !matches!(request.method.as_str(), "GET") {
            return refusal(403, "SignatureDoesNotMatch", "The link is signed for another method");
        }
        // The host is a part of what the link's signature covers, port included.
        let is_host = |url: &String| {
            let authority = url.split_once("://").map_or("", |(_, authority)| authority);
            request
                .header_value("Host")
                .is_some_and(|host| host.eq_ignore_ascii_case(authority))
        };
        let url = &self.settings.storage_url;
        if !is_host(url) && !self.settings.more_storage_urls.iter().any(is_host) {
            let what = format!("the Host header is not that of `{url}`");
            self.violation(request, now, what);
            return refusal(403, "SignatureDoesNotMatch", "The link is signed for another host");
        }
        let Some(link) = self.links.issued.get(&request.target) else {
            return refusal(
                403,
                "SignatureDoesNotMatch",
                "The signature does not match; was the link re-encoded?",
            );
        };
        if link.expires <= now {
            return refusal(403, "AccessDenied", "Request has expired");
        }
        match self.artifacts.get(&link.artifact) {
            None => refusal(404, "NoSuchKey", "The specified key does not exist"),
            Some(artifact) => serve(artifact, request, ignore_range),
        }
    }
}

fn serve(artifact: &Artifact, request: &Request, ignore_range: bool) -> Response {
    let len = artifact.info.len;
    let etag = format!("\"{}\"", artifact.id);
    let file = |status: u16, bytes: &[u8]| {
        Response::bytes(status, "application/vnd.mender-artifact", bytes).header("ETag", etag.clone())
    };
    let same_version = request.header_value("If-Range").is_none_or(|wanted| wanted == etag);
    let range = request.header_value("Range").filter(|_| !ignore_range && same_version);
    match wanted(range, len) {
        Wanted::Whole if ignore_range => file(200, &artifact.bytes),
        Wanted::Whole => file(200, &artifact.bytes).header("Accept-Ranges", "bytes"),
        Wanted::Part(from, to) => {
            let part = artifact.bytes.get(from as usize..=to as usize).unwrap_or_default();
            file(206, part)
                .header("Accept-Ranges", "bytes")
                .header("Content-Range", format!("bytes {from}-{to}/{len}"))
        }
        Wanted::Unsatisfiable => refusal(416, "InvalidRange", "The requested range is not satisfiable")
            .header("Content-Range", format!("bytes */{len}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_rfc_9110() {
        let table = [
            (None, 10, Wanted::Whole),
            (Some("bytes=0-"), 10, Wanted::Part(0, 9)),
            (Some("bytes=3-5"), 10, Wanted::Part(3, 5)),
            (Some("bytes=9-9"), 10, Wanted::Part(9, 9)),
            (Some("bytes=3-50"), 10, Wanted::Part(3, 9)),
            (Some("bytes=-4"), 10, Wanted::Part(6, 9)),
            (Some("bytes=-40"), 10, Wanted::Part(0, 9)),
            (Some("bytes=10-"), 10, Wanted::Unsatisfiable),
            (Some("bytes=-0"), 10, Wanted::Unsatisfiable),
            (Some("bytes=5-3"), 10, Wanted::Whole),
            (Some("bytes=1-2,4-5"), 10, Wanted::Whole),
            (Some("bytes=x-"), 10, Wanted::Whole),
            (Some("lines=1-2"), 10, Wanted::Whole),
        ];
        for (range, len, expected) in table {
            assert_eq!(wanted(range, len), expected, "{range:?}");
        }
    }
}
