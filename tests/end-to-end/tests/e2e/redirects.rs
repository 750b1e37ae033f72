//! Redirects: where they are followed, where they are not, and who sees the token.

use mender_testkit::network::lock;
use mender_testkit::server::{DeploymentId, Effect, Fault, Mode, Response, Status};

use crate::support::{AUTH, Bench, Ended, HOUR, MINUTE, NEXT_V1, NEXT_V2, Site, app, small_file, status_path};

const STATUSES: [u16; 4] = [301, 302, 307, 308];
const STORAGE: &str = "storage.mender.test:9000";
const API: &str = "mender.test:8080";

fn deployed() -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    {
        let mut server = lock(&bench.server);
        let settings = server.settings_mut();
        settings.more_storage_urls = vec!["http://mirror.test:9000".to_owned(), "https://safe.test".to_owned()];
        // `LINK` has room for two: the link and where it leads.
        settings.link_token_len = 500;
    }
    let deployment = bench.deploy(app());
    (bench, deployment)
}

fn hosts(requests: &[mender_testkit::server::RequestRecord]) -> Vec<String> {
    requests.iter().filter_map(|request| request.host.clone()).collect()
}

#[test]
fn an_artifact_that_has_moved_is_followed() {
    for status in STATUSES {
        for (to, host) in [
            ("", STORAGE),
            ("//mirror.test:9000", "mirror.test:9000"),
            ("http://mirror.test:9000", "mirror.test:9000"),
            ("HTTP://mirror.test:9000", "mirror.test:9000"),
            ("https://safe.test", "safe.test"),
        ] {
            let what = format!("{status} to {to:?}");
            let (mut bench, deployment) = deployed();
            bench.inject(Fault::new(Effect::Redirect { status, to }).on_downloads());
            bench.run_to_end();
            assert_eq!(bench.status(&deployment), Some(Status::Success), "{what}");
            assert_eq!(hosts(&bench.downloads()), [STORAGE, host], "{what}");
            assert!(bench.script().files[0].1 == small_file(3000), "{what}");
            bench.assert_clean();
        }
    }
}

#[test]
fn five_redirects_of_an_artifact_are_followed_and_no_more() {
    for times in [5, 6] {
        let (mut bench, deployment) = deployed();
        let to = "http://mirror.test:9000";
        bench.inject(
            Fault::new(Effect::Redirect { status: 302, to })
                .on_downloads()
                .times(times),
        );
        bench.run_to_end();
        let downloads = bench.downloads().len();
        if times == 5 {
            assert_eq!((bench.status(&deployment), downloads), (Some(Status::Success), 6));
        } else {
            assert_eq!((bench.status(&deployment), downloads), (Some(Status::Failure), 6));
            let log = bench.log(&deployment);
            assert!(log.len() == 1 && log[0].contains("redirect"), "{log:?}");
        }
    }
}

#[test]
fn a_download_that_breaks_goes_on_where_it_was_sent_to() {
    let (mut bench, deployment) = deployed();
    let to = "http://mirror.test:9000";
    bench.inject(Fault::new(Effect::Redirect { status: 307, to }).on_downloads());
    let cut = Effect::CutBody {
        len: 2000,
        ending: mender_testkit::server::Ending::Reset,
    };
    bench.inject(Fault::new(cut).on_downloads().on_host("mirror.test:9000"));
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    let downloads = bench.downloads();
    assert_eq!(downloads.last().unwrap().range.as_deref(), Some("bytes=2000-"));
    bench.assert_clean();
}

#[test]
fn a_redirect_without_an_address_is_a_failure_with_a_reason() {
    for response in [
        Response::empty(302),
        Response::empty(301).header("Location", ""),
        Response::empty(307).header("Location", "elsewhere"),
        Response::empty(308).header("Location", "ftp://mirror.test/a"),
        Response::empty(302).header("Location", format!("http://mirror.test:9000/{}", "x".repeat(3000))),
    ] {
        let (mut bench, deployment) = deployed();
        bench.inject(Fault::new(Effect::Answer(response.clone())).on_downloads());
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Failure), "{response:?}");
        assert_eq!(bench.downloads().len(), 1, "{response:?}");
        assert!(bench.log(&deployment)[0].contains("redirect"), "{response:?}");
    }
}

/// A bench whose server and artifacts are reached by `https`.
fn secure() -> Bench {
    let mut bench = Bench::new(Mode::Oss);
    bench.auto_accept();
    bench.config.server_url = "https://mender.test";
    {
        let mut server = lock(&bench.server);
        let settings = server.settings_mut();
        settings.api_url = "https://mender.test".to_owned();
        settings.storage_url = "https://storage.mender.test".to_owned();
        settings.more_api_urls = vec!["http://mender.test".to_owned()];
        settings.more_storage_urls = vec!["http://storage.mender.test".to_owned()];
    }
    bench.settle();
    bench
}

#[test]
fn from_https_to_http_is_never_followed() {
    let mut bench = secure();
    let deployment = bench.deploy(app());
    let to = "http://storage.mender.test";
    bench.inject(Fault::new(Effect::Redirect { status: 302, to }).on_downloads());
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
    assert_eq!(bench.downloads().len(), 1);
    assert!(bench.log(&deployment)[0].contains("redirect"));

    let mut bench = secure();
    let to = "http://mender.test";
    bench.inject(Fault::new(Effect::Redirect { status: 302, to }).on_path(NEXT_V1));
    bench.run(MINUTE / 2, |_| false);
    assert_eq!(bench.requests(NEXT_V1).len(), 1);
    assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached);
    bench.assert_clean();
}

#[test]
fn a_poll_that_has_moved_is_followed() {
    for status in STATUSES {
        for to in ["", "//mender.test:8080", "http://mender.test:8080"] {
            let what = format!("{status} to {to:?}");
            let (mut bench, deployment) = deployed();
            bench.inject(Fault::new(Effect::Redirect { status, to }).on_path(NEXT_V1));
            bench.run_to_end();
            assert_eq!(bench.status(&deployment), Some(Status::Success), "{what}");
            let polls = bench.requests(NEXT_V1);
            assert_eq!(hosts(&polls), [API, API], "{what}");
            // It is the same server: the token is for it.
            assert!(polls.iter().all(|poll| poll.device.is_some()), "{what}");
            assert_eq!(Site::gaps(&polls), [0], "{what}");
            bench.assert_clean();
        }
    }
}

#[test]
fn a_poll_that_has_moved_and_breaks_begins_again_with_the_server() {
    for len in (0..1400).step_by(50) {
        let (mut bench, deployment) = deployed();
        bench.inject(Fault::new(Effect::Redirect { status: 307, to: "" }).on_path(NEXT_V1));
        let ending = mender_testkit::server::Ending::Reset;
        bench.inject(Fault::new(Effect::CutBody { len, ending }).on_path(NEXT_V1).after(1));
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Success), "{len}");
        bench.assert_clean();
    }
}

#[test]
fn five_redirects_of_a_poll_are_followed_and_no_more() {
    for times in [5, 6] {
        let (mut bench, deployment) = deployed();
        bench.inject(
            Fault::new(Effect::Redirect { status: 302, to: "" })
                .on_path(NEXT_V1)
                .times(times),
        );
        bench.run(MINUTE / 2, |_| false);
        assert_eq!(bench.requests(NEXT_V1).len(), 6);
        let polled = bench.status(&deployment) == Some(Status::Success);
        assert_eq!(polled, times == 5);
        assert_eq!(bench.run(HOUR, Site::finished(&deployment)), Ended::Reached);
        assert_eq!(bench.status(&deployment), Some(Status::Success));
    }
}

#[test]
fn another_host_never_sees_the_token() {
    for to in [
        "http://other.test:8080",
        "http://mender.test:8081",
        "https://mender.test:8080",
        "//other.test:8080",
    ] {
        let mut bench = Bench::accepted(Mode::Oss);
        lock(&bench.server).settings_mut().more_api_urls = ["http://other.test:8080", "http://mender.test:8081"]
            .into_iter()
            .chain(["https://mender.test:8080"])
            .map(str::to_owned)
            .collect();
        bench.inject(Fault::new(Effect::Redirect { status: 307, to }).on_path(NEXT_V1));
        bench.inject(
            Fault::new(Effect::Answer(Response::empty(204)))
                .on_path(NEXT_V1)
                .after(1),
        );
        let ended = bench.run(HOUR, |site| site.has_event("NoUpdate") && !site.device.network_is_up());
        assert_eq!(ended, Ended::Reached, "{to}");
        let polls = bench.requests(NEXT_V1);
        let tokens: Vec<_> = polls.iter().map(|poll| poll.device.is_some()).collect();
        assert_eq!(tokens, [true, false], "{to}");
        // What comes after it goes to the server again.
        bench.assert_clean();
    }
}

#[test]
fn another_host_that_wants_a_token_gets_none() {
    let mut bench = Bench::accepted(Mode::Oss);
    let to = "http://other.test:8080";
    lock(&bench.server).settings_mut().more_api_urls = vec![to.to_owned()];
    bench.inject(Fault::new(Effect::Redirect { status: 302, to }).on_path(NEXT_V1));
    bench.inject(
        Fault::new(Effect::BareStatus(401))
            .on_path(NEXT_V1)
            .on_host("other.test:8080"),
    );
    assert_eq!(bench.run(MINUTE / 2, Site::idle), Ended::Reached);
    // After the login it begins with the server again.
    let polls = bench.requests(NEXT_V1);
    assert_eq!(hosts(&polls), [API, "other.test:8080", API]);
    assert!(polls[1].device.is_none());
    assert_eq!(bench.requests(AUTH).len(), 2);
    bench.assert_clean();
}

#[test]
fn what_changes_something_is_not_sent_elsewhere() {
    for status in STATUSES {
        // A progress report, which is passed over.
        let (mut bench, deployment) = deployed();
        let path = status_path(&deployment);
        bench.inject(Fault::new(Effect::Redirect { status, to: "" }).on_path(&path));
        bench.run_to_end();
        assert_eq!(bench.requests(&path).len(), 4, "{status}");
        assert_eq!(bench.status(&deployment), Some(Status::Success), "{status}");
        // Login and poll, which are made again after a pause.
        for path in [AUTH, NEXT_V2] {
            let mut bench = Bench::new(Mode::Enterprise);
            bench.auto_accept();
            bench.inject(Fault::new(Effect::Redirect { status, to: "" }).on_path(path));
            bench.run(MINUTE / 2, |_| false);
            assert_eq!(bench.requests(path).len(), 1, "{status} {path}");
            assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached, "{status} {path}");
        }
    }
}
