//! Faults on purpose, what they do to the transport, and the records.

use std::time::Duration;

use mender_testkit::server::{Cut, Effect, Ending, Endpoint, Fault, Framing, Request, Response, Settings, Status};

use crate::bench::*;

#[test]
fn too_many_requests_says_when_to_come_again() {
    let (mut bench, device, _) = Bench::with_deployment();
    bench
        .server
        .inject(Fault::new(Effect::TooManyRequests { retry_after_secs: 30 }));
    let response = bench.poll(&device, "release-1");
    assert_error(&response, 429, "too many requests");
    assert_eq!(response.header_value("Retry-After"), Some("30"));
    assert_eq!(bench.poll(&device, "release-1").status, 200);
}

#[test]
fn the_next_requests_fail_and_then_all_is_well() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    bench.server.inject(Fault::new(Effect::Status(500)).times(2));
    let statuses: Vec<_> = (0..3).map(|_| bench.poll(&device, "release-1").status).collect();
    assert_eq!(statuses, [500, 500, 200]);
    bench.server.inject(Fault::new(Effect::BareStatus(503)));
    let response = bench.report(&device, &deployment, "success");
    assert_eq!((response.status, response.body.len()), (503, 0));
    assert_eq!(
        bench.status(&device, &deployment),
        Some(Status::Pending),
        "it was not handled"
    );
}

#[test]
fn faults_choose_their_requests() {
    let (mut bench, device, deployment) = Bench::with_deployment();
    let fault = Fault::new(Effect::Status(503))
        .on_path(DEPLOYMENTS)
        .on_method("PUT")
        .after(1)
        .always();
    bench.server.inject(fault);
    assert_eq!(bench.poll(&device, "release-1").status, 200);
    assert_eq!(bench.report(&device, &deployment, "downloading").status, 204);
    for _ in 0..3 {
        assert_eq!(bench.report(&device, &deployment, "installing").status, 503);
    }
    assert_eq!(bench.send(device.request("PUT", ATTRIBUTES).json("[]")).status, 200);
    bench.server.clear_faults();
    assert_eq!(bench.report(&device, &deployment, "installing").status, 204);

    bench.server.inject(Fault::new(Effect::Status(500)).on_downloads());
    let link = bench.link(&device);
    assert_eq!(bench.send(bench.download(&link)).status, 500);
    assert_eq!(bench.send(bench.download(&link)).status, 200);
    bench.server.inject(Fault::new(Effect::Status(500)).on_api());
    assert_eq!(bench.send(bench.download(&link)).status, 200);
}

#[test]
fn a_lost_request_is_not_handled_and_a_lost_answer_is() {
    for (effect, status) in [
        (Effect::LoseRequest, Status::Pending),
        (Effect::LoseAnswer, Status::Success),
    ] {
        let (mut bench, device, deployment) = Bench::with_deployment();
        bench.poll(&device, "release-1");
        bench.server.inject(Fault::new(effect.clone()));
        let response = bench.report(&device, &deployment, "success");
        assert_eq!(response.cut, Some(Cut::BeforeHead), "{effect:?}");
        let encoded = response.encode(true);
        assert_eq!((encoded.bytes.len(), encoded.ending), (0, Ending::Reset));
        assert_eq!(bench.status(&device, &deployment), Some(status), "{effect:?}");
        let handled = bench.server.requests().last().unwrap().status;
        assert_eq!(handled, (effect == Effect::LoseAnswer).then_some(204));
    }
}

#[test]
fn bodies_are_dropped_replaced_and_damaged() {
    let (mut bench, device, _) = Bench::with_deployment();
    bench.server.inject(Fault::new(Effect::NoBody));
    let response = bench.poll(&device, "release-1");
    assert_eq!(
        (
            response.status,
            response.body.len(),
            response.header_value("Content-Type")
        ),
        (200, 0, None)
    );
    bench.server.inject(Fault::new(Effect::Body(b"{\"id\":".to_vec())));
    assert_eq!(bench.poll(&device, "release-1").body, b"{\"id\":");

    let link = bench.link(&device);
    let good = bench.send(bench.download(&link)).body;
    bench
        .server
        .inject(Fault::new(Effect::FlipBit { offset: 700 }).on_downloads());
    let bad = bench.send(bench.download(&link)).body;
    let differing: Vec<_> = (0..good.len()).filter(|at| good[*at] != bad[*at]).collect();
    assert_eq!(differing, [700]);
}

#[test]
fn another_answer_takes_the_place_of_the_servers() {
    let (mut bench, device, _) = Bench::with_deployment();
    let to = "http://other.test";
    bench.server.inject(Fault::new(Effect::Redirect { status: 307, to }));
    let response = bench.poll(&device, "release-1");
    assert_eq!(response.status, 307);
    let location = response.header_value("Location").unwrap();
    assert!(location.starts_with("http://other.test/api/devices/v1/"), "{location}");
    // Who asked is known all the same.
    assert!(bench.server.requests().last().unwrap().device.is_some());
    bench
        .server
        .inject(Fault::new(Effect::Answer(Response::empty(418))).on_host("other.test"));
    assert_eq!(bench.poll(&device, "release-1").status, 200);
    let request = Request::new("GET", "/").header("Host", "other.test");
    assert_eq!(bench.send(request).status, 418);
    bench.server.inject(Fault::new(Effect::StatusOfAnswer(299)));
    bench
        .server
        .inject(Fault::new(Effect::Header("Content-Encoding", "br")));
    let response = bench.poll(&device, "release-1");
    assert_eq!(
        (response.status, response.header_value("Content-Encoding")),
        (299, Some("br"))
    );
}

#[test]
fn directives_for_the_transport() {
    let (mut bench, device, _) = Bench::with_deployment();
    let link = bench.link(&device);
    let whole = bench.send(bench.download(&link)).body;
    let mut download = |effect: Effect| {
        bench.server.inject(Fault::new(effect));
        bench.send(bench.download(&link))
    };
    let chunked = download(Effect::Chunked { chunk_len: 1000 });
    assert_eq!(
        (chunked.framing, &chunked.body),
        (Framing::Chunked { chunk_len: 1000 }, &whole)
    );
    assert_eq!(download(Effect::NoContentLength).framing, Framing::UntilClose);
    let late = download(Effect::Delay(Duration::from_secs(7)));
    assert_eq!((late.delay, &late.body), (Duration::from_secs(7), &whole));
    for ending in [Ending::Close, Ending::Reset, Ending::KeepAlive] {
        let cut = download(Effect::CutBody { len: 10, ending });
        let encoded = cut.encode(true);
        assert_eq!(encoded.ending, ending);
        let text = String::from_utf8_lossy(&encoded.bytes).into_owned();
        assert!(text.contains(&format!("Content-Length: {}\r\n", whole.len())), "{text}");
        assert!(encoded.bytes.ends_with(&[b"\r\n\r\n", &whole[..10]].concat()));
    }
}

#[test]
fn a_range_can_be_ignored() {
    let (mut bench, device, _) = Bench::with_deployment();
    let link = bench.link(&device);
    bench.server.inject(Fault::new(Effect::IgnoreRange).on_downloads());
    let ranged = |bench: &Bench| bench.download(&link).header("Range", "bytes=100-");
    assert_eq!(bench.send(ranged(&bench)).status, 200);
    assert_eq!(bench.send(ranged(&bench)).status, 206);
}

#[test]
fn several_faults_strike_the_same_request() {
    let (mut bench, device, _) = Bench::with_deployment();
    bench
        .server
        .inject(Fault::new(Effect::Delay(Duration::from_secs(1))).times(2));
    bench.server.inject(Fault::new(Effect::Status(503)));
    let first = bench.poll(&device, "release-1");
    assert_eq!((first.status, first.delay), (503, Duration::from_secs(1)));
    let second = bench.poll(&device, "release-1");
    assert_eq!((second.status, second.delay), (200, Duration::from_secs(1)));
}

#[test]
fn requests_are_recorded_with_device_range_and_status() {
    let (mut bench, device, _) = Bench::with_deployment();
    bench.server.clear_records();
    let link = bench.link(&device);
    bench.send(bench.download(&link).header("Range", "bytes=0-9"));
    let records = bench.server.requests();
    assert_eq!(records.len(), 2);
    assert_eq!(
        (records[0].endpoint, records[0].method.as_str()),
        (Endpoint::Api, "GET")
    );
    assert_eq!(records[0].path(), format!("{DEPLOYMENTS}/next"));
    assert_eq!(
        (records[0].device.as_ref(), records[0].status),
        (Some(&device.id), Some(200))
    );
    assert_eq!(
        (records[1].endpoint, records[1].range.as_deref()),
        (Endpoint::Storage, Some("bytes=0-9"))
    );
    assert_eq!(
        (records[1].status, records[1].body_len, records[1].device.as_ref()),
        (Some(206), 10, None)
    );
}

#[test]
fn records_do_not_grow_without_end() {
    let mut bench = Bench::with(Settings {
        record_limit: 3,
        auto_accept: true,
        ..Settings::default()
    });
    let device = bench.login("aa");
    for _ in 0..10 {
        bench.poll(&device, "r");
    }
    assert_eq!(bench.server.requests().len(), 3);
}

#[test]
fn the_same_seed_and_requests_give_the_same_bytes() {
    let run = || {
        let (mut bench, device, _) = Bench::with_deployment();
        let response = bench.poll(&device, "release-1");
        (device.token, response.encode(true).bytes)
    };
    assert_eq!(run(), run());
}
