//! Spec of the device API, section 9: the artifact store.

use std::collections::BTreeSet;

use mender_testkit::server::Endpoint;

use crate::bench::*;

fn with_link() -> (Bench, Caller, String, Vec<u8>) {
    let mut bench = Bench::new();
    let device = bench.login("aa");
    let bytes = bench.artifact("release-2", "board-a", 5000);
    bench.deploy("release-2", &device);
    let link = bench.link(&device);
    (bench, device, link, bytes)
}

#[test]
fn the_link_gives_the_artifact() {
    let (mut bench, _, link, bytes) = with_link();
    let response = bench.send(bench.download(&link));
    assert_eq!((response.status, response.body), (200, bytes));
    assert!(bench.server.violations().is_empty());
}

#[test]
fn every_poll_makes_a_fresh_link_and_old_ones_stay_valid() {
    let (mut bench, device, first, _) = with_link();
    let mut links = BTreeSet::from([first]);
    for _ in 0..5 {
        bench.wait_secs(60);
        assert!(links.insert(bench.link(&device)));
    }
    for link in &links {
        assert_eq!(bench.send(bench.download(link)).status, 200);
    }
}

#[test]
fn ranges_are_served_with_206() {
    let (mut bench, _, link, bytes) = with_link();
    let len = bytes.len();
    let table = [
        ("bytes=0-".to_owned(), 0, len),
        ("bytes=100-".to_owned(), 100, len),
        ("bytes=100-199".to_owned(), 100, 200),
        (format!("bytes={}-", len - 1), len - 1, len),
        ("bytes=-10".to_owned(), len - 10, len),
    ];
    for (range, from, to) in table {
        let response = bench.send(bench.download(&link).header("Range", range.clone()));
        assert_eq!(
            (response.status, &response.body[..]),
            (206, &bytes[from..to]),
            "{range}"
        );
        let expected = format!("bytes {from}-{}/{len}", to - 1);
        assert_eq!(response.header_value("Content-Range"), Some(expected.as_str()));
    }
    let response = bench.send(bench.download(&link).header("Range", format!("bytes={len}-")));
    assert_eq!(
        (response.status, response.header_value("Content-Range")),
        (416, Some(format!("bytes */{len}").as_str()))
    );
}

#[test]
fn if_range_with_another_version_gives_the_whole_file() {
    let (mut bench, _, link, bytes) = with_link();
    let etag = bench
        .send(bench.download(&link))
        .header_value("ETag")
        .unwrap()
        .to_owned();
    let resume = |bench: &Bench, version: &str| {
        bench
            .download(&link)
            .header("Range", "bytes=10-")
            .header("If-Range", version)
    };
    assert_eq!(bench.send(resume(&bench, &etag)).status, 206);
    let response = bench.send(resume(&bench, "\"other\""));
    assert_eq!((response.status, response.body.len()), (200, bytes.len()));
}

#[test]
fn links_expire_and_a_new_poll_helps() {
    let (mut bench, device, link, _) = with_link();
    bench.wait_secs(24 * 3600 - 1);
    assert_eq!(bench.send(bench.download(&link)).status, 200);
    bench.wait_secs(1);
    let response = bench.send(bench.download(&link));
    assert_eq!(
        (response.status, response.header_value("Content-Type")),
        (403, Some("application/xml"))
    );
    assert!(String::from_utf8_lossy(&response.body).contains("Request has expired"));
    let device = Caller {
        id: device.id,
        token: bench.login("aa").token,
    };
    let link = bench.link(&device);
    assert_eq!(bench.send(bench.download(&link)).status, 200);
}

#[test]
fn a_link_that_was_re_encoded_is_refused() {
    let (mut bench, _, link, _) = with_link();
    let changes = [
        ("%2F", "/"),
        ("%2F", "%2f"),
        ("+", "%2B"),
        ("+", "%20"),
        (":objects", "%3Aobjects"),
        ("v3:", "v3%3A"),
        ("&", "\\u0026"),
    ];
    for (from, to) in changes {
        let base = bench.server.settings().storage_url.clone();
        let target = link.strip_prefix(&base).unwrap().replace(from, to);
        let changed = format!("{base}{target}");
        if changed != link {
            assert_eq!(bench.send(bench.download(&changed)).status, 403, "{from} -> {to}");
        }
    }
}

#[test]
fn the_host_header_is_part_of_the_signature() {
    let (mut bench, _, link, _) = with_link();
    for host in [Some("storage.mender.test"), Some("mender.test:8080"), None] {
        let mut request = bench.download(&link);
        request.headers.retain(|(name, _)| name != "Host");
        if let Some(host) = host {
            request = request.header("Host", host);
        }
        assert_eq!(bench.send(request).status, 403, "{host:?}");
    }
    assert_eq!(bench.server.violations().len(), 3);
    let mut request = bench.download(&link);
    request.headers = vec![("hOST".to_owned(), "STORAGE.mender.test:9000".to_owned())];
    assert_eq!(bench.send(request).status, 200);
}

#[test]
fn logins_and_mender_headers_at_the_store_are_noted() {
    let (mut bench, device, link, _) = with_link();
    let request = bench
        .download(&link)
        .bearer(&device.token)
        .header("X-MEN-Signature", "x");
    assert_eq!(bench.send(request).status, 200);
    let what: Vec<_> = bench
        .server
        .violations()
        .iter()
        .map(|violation| violation.what.clone())
        .collect();
    assert_eq!(what.len(), 2);
    assert!(
        what[0].contains("Authorization") && what[1].contains("X-MEN-Signature"),
        "{what:?}"
    );
}

#[test]
fn the_two_hosts_are_not_the_same() {
    let (mut bench, device, link, _) = with_link();
    let mut request = bench.download(&link);
    request.endpoint = Endpoint::Api;
    assert_eq!(bench.send(request).status, 404);
    let poll = format!("{DEPLOYMENTS}/next?artifact_name=a&device_type=b");
    let request = device.request("GET", &poll).to(Endpoint::Storage);
    assert_eq!(bench.send(request).status, 404);
    assert_eq!(bench.server.violations().len(), 3, "{:?}", bench.server.violations());
}

#[test]
fn links_are_for_get_only() {
    let (mut bench, _, link, _) = with_link();
    for method in ["HEAD", "PUT", "POST"] {
        let mut request = bench.download(&link);
        method.clone_into(&mut request.method);
        let response = bench.send(request);
        assert_eq!(response.status, 403, "{method}");
        assert!(method != "HEAD" || response.body.is_empty());
    }
}

#[test]
fn the_length_of_links_can_be_set() {
    let mut bench = Bench::new();
    bench.server.settings_mut().link_token_len = 1500;
    let device = bench.login("aa");
    bench.artifact("release-2", "board-a", 10);
    bench.deploy("release-2", &device);
    let link = bench.link(&device);
    assert!(link.len() > 1900, "{}", link.len());
    assert_eq!(bench.send(bench.download(&link)).status, 200);
}
