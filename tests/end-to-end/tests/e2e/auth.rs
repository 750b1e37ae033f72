//! Who the device is, and how it gets and loses its token (device API, sections 2 and 3; behaviour of clients, section 3).

use std::time::Duration;

use embassy_futures::block_on;
use mender::client::{Client, Resources};
use mender::storage::{FlashRange, FlashStorage, RecordKey};
use mender_modules::noop::Noop;
use mender_testkit::device::{SecureElement, SeededRng, SimDevice};
use mender_testkit::network::lock;
use mender_testkit::server::{Effect, Fault, Mode, Status};
use serde_json::json;

use crate::support::{AUTH, Bench, Ended, HOUR, MAC, MINUTE, NEXT_V1, NEXT_V2, Site, once};

/// Pauses that double from a minute to nine, each up to a quarter shorter; a request takes less than a second.
fn assert_backoff(gaps: &[u64]) {
    assert!(gaps.len() >= 6, "{gaps:?}");
    for (gap, most) in gaps.iter().zip([60, 120, 240, 480, 540, 540, 540]) {
        assert!((most * 3 / 4..=most + 1).contains(gap), "{gaps:?}");
    }
}

#[test]
fn a_pending_device_keeps_asking_with_backoff() {
    let mut bench = Bench::new(Mode::Oss);
    assert_eq!(bench.run(HOUR, |_| false), Ended::TimeUp);
    let requests = bench.requests(AUTH);
    assert!(requests.iter().all(|request| request.status == Some(401)));
    assert_backoff(&Site::gaps(&requests));
    // Nothing else is asked without a token.
    assert_eq!(lock(&bench.server).requests().len(), requests.len());
    bench.assert_clean();
}

#[test]
fn jitter_spreads_a_fleet() {
    let mut bench = Bench::new(Mode::Oss);
    bench.run(HOUR, |_| false);
    let first = Site::gaps(&bench.requests(AUTH));
    bench.clear_records();
    bench.run(HOUR, |_| false);
    assert_ne!(first, Site::gaps(&bench.requests(AUTH)));
}

#[test]
fn a_device_that_is_accepted_later_needs_no_help() {
    let mut bench = Bench::new(Mode::Oss);
    let accept = once(
        |site| site.requests(AUTH).len() == 4,
        Site::accept,
        |site| site.inventory("device_type").is_some(),
    );
    assert_eq!(bench.run(HOUR, accept), Ended::Reached);
    // The fourth pause is the last: eight minutes.
    assert!(bench.clock.elapsed() < 16 * MINUTE);
    assert!(bench.has_event("Unauthorized(NotAccepted)"));
    assert!(bench.has_event("Authorized"));
}

/// A bench whose device has a secure element.
fn with_element() -> (Bench, SecureElement) {
    let mut bench = Bench::new(Mode::Oss);
    let element = SecureElement::new(&[7; 32]);
    bench.device = bench.device.clone().with_element(element.clone());
    (bench, element)
}

#[test]
fn a_secure_element_signs_and_no_key_is_stored() {
    let (mut bench, element) = with_element();
    bench.auto_accept();
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    // The server has verified it, with the public key that came along.
    assert_eq!(element.signatures(), 1);
    let keys = bench
        .written()
        .iter()
        .filter(|record| record.key == RecordKey::DeviceKey)
        .count();
    assert_eq!(keys, 0);
    // A deployment logs in afresh at the commit gate: signed by the element too.
    let deployment = bench.deploy(crate::support::firmware());
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    assert!(element.signatures() >= 3, "{}", element.signatures());
    let device = lock(&bench.server).find_device("mac", MAC).unwrap().clone();
    assert_eq!(device.auth_set_count(), 1, "one key, restarts included");
}

#[test]
fn an_element_that_does_not_answer_is_asked_again() {
    let (mut bench, element) = with_element();
    bench.auto_accept();
    element.fail(3);
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    assert_eq!(element.signatures(), 1);
    assert_eq!(bench.requests(AUTH).len(), 1, "nothing is sent without a signature");
}

#[test]
fn a_renewed_key_has_to_be_accepted_again() {
    let mut bench = Bench::accepted(Mode::Oss);
    lock(&bench.server).settings_mut().auto_accept = false;
    {
        let flash = bench.flash.partition(0..0x2000);
        let range = const { FlashRange::new(0..0x2000) };
        let storage = FlashStorage::new(flash, range).unwrap();
        let mut resources = Resources::new();
        let mut client = Client::new(
            bench.config,
            bench.device.clone(),
            bench.network.clone(),
            storage,
            bench.clock.clone(),
            SeededRng::new(4711),
            (Noop,),
            &mut resources,
        )
        .unwrap();
        assert_eq!(block_on(client.renew_key()), Ok(()));
    }
    bench.device.clear_events();
    let refused = |site: &Site| site.has_event("Unauthorized(NotAccepted)");
    assert_eq!(bench.run(HOUR, refused), Ended::Reached);
    let device = lock(&bench.server).find_device("mac", MAC).unwrap().clone();
    assert_eq!(device.auth_set_count(), 2);
    bench.accept();
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
}

#[test]
fn a_refused_token_costs_one_login_and_the_request_is_repeated_once() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    let revoke = once(
        Site::idle,
        |site| {
            lock(&site.server).revoke_all_tokens();
            site.clear_records();
        },
        Site::idle,
    );
    assert_eq!(bench.run(HOUR, revoke), Ended::Reached);
    let seen: Vec<_> = lock(&bench.server)
        .requests()
        .iter()
        .filter(|request| request.path() != crate::support::INVENTORY)
        .map(|request| (request.path().to_owned(), request.status.unwrap()))
        .collect();
    let seen: Vec<_> = seen.iter().map(|(path, status)| (path.as_str(), *status)).collect();
    assert_eq!(seen, [(NEXT_V2, 401), (AUTH, 200), (NEXT_V2, 204)]);
}

#[test]
fn a_server_that_refuses_every_token_is_not_asked_in_a_loop() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    bench.inject(Fault::new(Effect::BareStatus(401)).on_path(NEXT_V2).always());
    assert_eq!(bench.run(HOUR, |_| false), Ended::TimeUp);
    let (polls, logins) = (bench.requests(NEXT_V2), bench.requests(AUTH));
    assert_backoff(&Site::gaps(&polls));
    assert_eq!(logins.len(), polls.len());
}

#[test]
fn a_rejected_device_waits_and_comes_back() {
    let mut bench = Bench::accepted(Mode::Oss);
    let reject = once(
        Site::idle,
        |site| {
            site.reject();
            site.clear_records();
        },
        |_| false,
    );
    assert_eq!(bench.run(2 * HOUR, reject), Ended::TimeUp);
    let polls = bench.requests(NEXT_V1);
    assert_eq!(polls.len(), 1, "one poll finds out, then only logins: {polls:?}");
    assert_backoff(&Site::gaps(&bench.requests(AUTH)));
    bench.accept();
    bench.clear_records();
    assert_eq!(bench.run(10 * MINUTE, Site::idle), Ended::Reached);
}

#[test]
fn an_expired_token_is_renewed_without_anybody_noticing() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    lock(&bench.server).settings_mut().token_lifetime = HOUR;
    assert_eq!(bench.run(10 * HOUR, |_| false), Ended::TimeUp);
    let polls = bench.requests(NEXT_V2);
    assert!(bench.requests(AUTH).len() <= 11);
    assert!(polls.iter().filter(|poll| poll.status == Some(204)).count() >= 19);
    assert!(
        bench
            .device
            .events()
            .iter()
            .all(|event| !event.starts_with("Unauthorized"))
    );
}

#[test]
fn retry_after_is_honoured_at_the_login() {
    let mut bench = Bench::new(Mode::Oss);
    bench.auto_accept();
    let busy = Effect::TooManyRequests { retry_after_secs: 2000 };
    bench.inject(Fault::new(busy).on_path(AUTH));
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    let gaps = Site::gaps(&bench.requests(AUTH));
    assert!(matches!(gaps[..], [gap] if Site::is_as_asked(2000, gap)), "{gaps:?}");
}

#[test]
fn an_answer_that_is_no_token_is_not_used() {
    for effect in [
        Effect::NoBody,
        Effect::Body(b"<html>\r\nlog in</html>".to_vec()),
        Effect::Body(vec![b'a'; 4000]),
        Effect::Status(500),
        Effect::BareStatus(503),
        Effect::Status(400),
    ] {
        let mut bench = Bench::new(Mode::Oss);
        bench.auto_accept();
        bench.inject(Fault::new(effect.clone()).on_path(AUTH).times(2));
        assert_eq!(bench.run(10 * MINUTE, Site::idle), Ended::Reached, "{effect:?}");
        assert_eq!(bench.requests(AUTH).len(), 3, "{effect:?}");
    }
}

#[test]
fn identity_and_tenant_token_are_sent_as_they_are() {
    let mut bench = Bench::new(Mode::Oss);
    bench.device = SimDevice::new(MAC)
        .with_identity("serial", "A-\"1\"\\ <ü>")
        .with_radio(bench.network.clone());
    bench.config.tenant_token = Some("eyJ0ZW5hbnQ.x-_y");
    assert_eq!(
        bench.run(MINUTE, |site| !site.requests(AUTH).is_empty()),
        Ended::Reached
    );
    let id = bench.id();
    let server = lock(&bench.server);
    let device = server.device(&id).unwrap();
    assert_eq!(
        serde_json::Value::Object(device.identity().clone()),
        json!({"mac": MAC, "serial": "A-\"1\"\\ <ü>"})
    );
    assert_eq!(device.tenant_token(), "eyJ0ZW5hbnQ.x-_y");
}

#[test]
fn the_key_survives_restarts_and_a_new_one_is_another() {
    let mut bench = Bench::accepted(Mode::Oss);
    let keys = |bench: &Bench| {
        let id = bench.id();
        lock(&bench.server).device(&id).unwrap().auth_set_count()
    };
    for _ in 0..3 {
        bench.settle();
    }
    assert_eq!((bench.boots, keys(&bench)), (4, 1));
    // A device whose flash was erased makes another key, which has to be accepted anew.
    lock(&bench.server).settings_mut().auto_accept = false;
    bench.flash.patch(0, &[0xff; 8192]);
    bench.run(MINUTE, |_| false);
    assert_eq!(keys(&bench), 2);
    assert!(bench.has_event("Unauthorized(NotAccepted)"));
}

#[test]
fn the_key_is_made_once_and_nothing_is_written_by_asking() {
    let mut bench = Bench::new(Mode::Oss);
    bench.auto_accept();
    bench.run(50 * HOUR, |_| false);
    assert_eq!(bench.written().len(), 1, "{:?}", bench.written());
    bench.run(Duration::from_secs(60), |_| false);
    assert_eq!(bench.written().len(), 1);
}
