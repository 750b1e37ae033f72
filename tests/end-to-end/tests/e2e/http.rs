//! HTTP as servers and proxies speak it on bad days: long heads, bytes that nobody has asked for, bodies that nobody needs,
//! answers that contradict themselves.

use std::time::Duration;

use mender_testkit::network::lock;
use mender_testkit::server::{DeploymentId, Effect, Ending, Fault, Filling, Mode, Status};

use crate::support::{
    AUTH, Bench, DAY, Ended, HOUR, INVENTORY, NEXT_V1, Site, app, firmware, log_path, small_file, status_path,
};

const PACKETS: [usize; 4] = [1, 13, 256, 1460];

fn deployed() -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(app());
    (bench, deployment)
}

fn assert_installed(bench: &Bench, deployment: &DeploymentId, what: &str) {
    assert_eq!(bench.status(deployment), Some(Status::Success), "{what}");
    let files = bench.script().files.clone();
    assert!(
        files == [("app.bin".to_owned(), small_file(3000))],
        "{what}: other files"
    );
    bench.assert_clean();
}

#[test]
fn a_head_of_any_length_up_to_eight_kibibytes_will_do() {
    for filling in [Filling::Lines, Filling::Line, Filling::Cookies] {
        for packet_len in PACKETS {
            for len in [600, 1500, 8191, 8192] {
                let what = format!("{filling:?}, {len} bytes in packets of {packet_len}");
                let mut bench = Bench::new(Mode::Oss);
                bench.auto_accept();
                bench.network.set_packet_len(packet_len);
                bench.inject(Fault::new(Effect::LongHead { len, filling }).always());
                bench.settle();
                let deployment = bench.deploy(app());
                bench.run_to_end();
                assert_installed(&bench, &deployment, &what);
                // Nothing was asked twice. The login is, before the commit.
                let asked = [AUTH, NEXT_V1, &status_path(&deployment)].map(|path| bench.requests(path).len());
                assert_eq!(asked, [2, 1, 4], "{what}");
                assert_eq!(bench.downloads().len(), 1, "{what}");
            }
        }
    }
}

/// An answer that another try will not change, to each kind of request: that request is not repeated in place.
fn assert_refused_at_once(effects: &[Effect], reason: &str) {
    let inject = |bench: &Bench, fault: &dyn Fn(Fault) -> Fault| {
        for effect in effects {
            bench.inject(fault(Fault::new(effect.clone())));
        }
    };
    let soon = Duration::from_secs(30);
    // The login.
    let mut bench = Bench::new(Mode::Oss);
    bench.auto_accept();
    inject(&bench, &|fault| fault.on_path(AUTH));
    let repeated_after_a_pause = |bench: &mut Bench, path: &str| {
        bench.run(soon, |_| false);
        assert_eq!(bench.requests(path).len(), 1, "{effects:?}");
        assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached, "{effects:?}");
    };
    repeated_after_a_pause(&mut bench, AUTH);
    // The poll.
    let (mut bench, deployment) = deployed();
    inject(&bench, &|fault| fault.on_path(NEXT_V1));
    repeated_after_a_pause(&mut bench, NEXT_V1);
    assert_eq!(bench.status(&deployment), Some(Status::Success), "{effects:?}");
    // A progress report: the deployment goes on without it.
    let (mut bench, deployment) = deployed();
    let path = status_path(&deployment);
    inject(&bench, &|fault| fault.on_path(&path));
    bench.inject(Fault::new(Effect::StatusOfAnswer(200)).on_path(&path));
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success), "{effects:?}");
    assert_eq!(bench.requests(&path).len(), 4, "{effects:?}");
    // The artifact: the deployment fails, and says why.
    let (mut bench, deployment) = deployed();
    inject(&bench, &|fault| fault.on_downloads().always());
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Failure), "{effects:?}");
    assert_eq!(bench.downloads().len(), 1, "{effects:?}");
    let log = bench.log(&deployment);
    assert!(log.len() == 1 && log[0].contains(reason), "{effects:?}: {log:?}");
    assert!(bench.calls().is_empty(), "{effects:?}: the module is not called");
}

#[test]
fn a_head_longer_than_eight_kibibytes_is_refused_at_once() {
    for filling in [Filling::Lines, Filling::Line, Filling::Cookies] {
        let effect = Effect::LongHead { len: 8193, filling };
        assert_refused_at_once(&[effect], "longer than 8 KiB");
    }
}

#[test]
fn a_length_and_chunks_are_refused_at_once() {
    for len in ["5", "2000"] {
        let effects = [
            Effect::Chunked { chunk_len: 300 },
            Effect::Header("Content-Length", len),
        ];
        assert_refused_at_once(&effects, "in two ways how long it is");
    }
}

#[test]
fn an_encoding_that_was_not_asked_for_is_refused_at_once() {
    for encoding in ["gzip", "br"] {
        assert_refused_at_once(&[Effect::Header("Content-Encoding", encoding)], "Content-Encoding");
    }
}

#[test]
fn no_encoding_by_its_name_is_none() {
    let (mut bench, deployment) = deployed();
    bench.inject(Fault::new(Effect::Header("Content-Encoding", "identity")).always());
    bench.run_to_end();
    assert_installed(&bench, &deployment, "identity");
}

#[test]
fn bytes_behind_an_answer_do_no_harm() {
    for behind in [&b"\r\n"[..], b"x", b"garbage\r\n\r\n", &[0; 3000]] {
        for packet_len in PACKETS {
            for chunk_len in [None, Some(1), Some(100)] {
                let what = format!("{} bytes, chunks {chunk_len:?}, packets of {packet_len}", behind.len());
                let (mut bench, deployment) = deployed();
                bench.network.set_packet_len(packet_len);
                bench.inject(Fault::new(Effect::Behind(behind.to_vec())).always());
                if let Some(chunk_len) = chunk_len {
                    bench.inject(Fault::new(Effect::Chunked { chunk_len }).always());
                }
                let before = bench.network.traffic();
                bench.run_to_end();
                assert_installed(&bench, &deployment, &what);
                assert_eq!(bench.downloads().len(), 1, "{what}");
                let polls = bench.requests(NEXT_V1);
                assert!(polls.iter().all(|poll| poll.status == Some(200)), "{what}");
                // Bytes that come together with the answer's end are seen: the connection is not used again. Where a read ends
                // with the answer they are the next answer's trouble, and that request is repeated.
                if packet_len == 1460 && behind.len() > 256 {
                    let connections = bench.network.traffic().server_connections - before.server_connections;
                    let all = lock(&bench.server).requests().len();
                    let requests = all - bench.downloads().len();
                    assert_eq!(connections, requests, "{what}");
                    assert_eq!(bench.requests(&status_path(&deployment)).len(), 4, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_body_of_an_answer_that_has_none_does_no_harm() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.inject(
        Fault::new(Effect::Header("Content-Length", "4"))
            .on_path(NEXT_V1)
            .always(),
    );
    bench.inject(Fault::new(Effect::Behind(b"none".to_vec())).on_path(NEXT_V1).always());
    bench.run(DAY, |_| false);
    let polls = bench.requests(NEXT_V1);
    assert!(polls.iter().all(|poll| poll.status == Some(204)));
    assert!(
        Site::gaps(&polls).iter().all(|gap| *gap == 1800),
        "{:?}",
        Site::gaps(&polls)
    );
}

#[test]
fn a_body_that_nobody_needs_does_not_matter() {
    let cut = |len, ending| vec![Effect::CutBody { len, ending }];
    let counts = |effects: &[Effect]| {
        let what = format!("{effects:?}");
        let mut bench = Bench::accepted(Mode::Oss);
        bench.script().failing.insert("install");
        let deployment = bench.deploy(firmware());
        let (reports, log) = (status_path(&deployment), log_path(&deployment));
        for path in [&reports, &log, INVENTORY] {
            for effect in effects {
                bench.inject(Fault::new(effect.clone()).on_path(path).always());
            }
        }
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Failure), "{what}");
        assert!(!bench.log(&deployment).is_empty(), "{what}");
        [&reports, &log, INVENTORY].map(|path| bench.requests(path).len())
    };
    let expected = counts(&[]);
    for ending in [
        vec![],
        vec![Effect::NoContentLength],
        vec![Effect::Chunked { chunk_len: 1000 }],
        vec![Effect::Header("Content-Encoding", "gzip")],
        // Chunks that are none.
        vec![Effect::NoContentLength, Effect::Header("Transfer-Encoding", "chunked")],
        cut(0, Ending::KeepAlive),
        cut(100, Ending::KeepAlive),
        cut(100, Ending::Close),
        cut(0, Ending::Reset),
        cut(1500, Ending::Reset),
    ] {
        for status in [200, 201, 202, 299] {
            let mut effects = vec![Effect::StatusOfAnswer(status), Effect::Body(vec![b'x'; 10_000])];
            effects.extend(ending.clone());
            assert_eq!(counts(&effects), expected, "{effects:?}");
        }
    }
}

/// A module that takes 80 s for each piece, a link that has expired by then, and the answer to the poll for a new one on its way when the
/// module gives up: the exchange is dropped in the middle.
fn a_dropped_renewal(piece: usize, cut: usize) -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(app());
    lock(&bench.server).settings_mut().link_lifetime = Duration::from_secs(30);
    bench.script().slow = Some((bench.clock.clone(), Duration::from_secs(80)));
    bench.script().fails_at_piece = Some(piece);
    let broken = Effect::CutBody {
        len: cut,
        ending: Ending::Reset,
    };
    bench.inject(Fault::new(broken).on_downloads());
    let late = Fault::new(Effect::Delay(Duration::from_secs(55)));
    bench.inject(late.on_path(NEXT_V1).after(1));
    bench.device.clear_events();
    (bench, deployment)
}

/// The module gives up at each piece, the host at many bytes; that the poll was dropped is so in some of them.
fn each_dropped_renewal(prepare: impl Fn(&Bench, &DeploymentId), check: impl Fn(&Bench, &DeploymentId, String)) {
    let mut renewals = 0;
    for piece in 1..=7 {
        for cut in [4000, 5000, 5600, 6144, 6656, 7168] {
            let (mut bench, deployment) = a_dropped_renewal(piece, cut);
            prepare(&bench, &deployment);
            // Two answers come one after the other.
            let slowly = |site: &Site| {
                if site.downloads().len() == 2 {
                    site.network.set_packet_len(20);
                }
                Site::over(site)
            };
            assert_eq!(bench.run(DAY, slowly), Ended::Reached);
            renewals += usize::from(bench.requests(NEXT_V1).len() > 1);
            let what = format!("piece {piece}, cut {cut}");
            assert_eq!(bench.status(&deployment), Some(Status::Failure), "{what}");
            check(&bench, &deployment, what);
        }
    }
    assert!(renewals > 3, "{renewals}");
}

#[test]
fn an_exchange_that_was_dropped_leaves_nothing_on_its_connection() {
    let prepare = |bench: &Bench, deployment: &DeploymentId| {
        let busy = Fault::new(Effect::Status(500));
        bench.inject(busy.on_path(&status_path(deployment)).after(1));
    };
    each_dropped_renewal(prepare, |_, _, _| {});
}

/// The answer to the dropped poll is one that would end the deployment, if it were taken for that to the report.
#[test]
fn the_answer_to_a_dropped_poll_is_not_taken_for_that_to_a_report() {
    let prepare = |bench: &Bench, deployment: &DeploymentId| {
        let busy = Fault::new(Effect::Status(500));
        bench.inject(busy.on_path(&status_path(deployment)).after(1));
        bench.inject(Fault::new(Effect::Status(404)).on_path(NEXT_V1).after(1));
    };
    each_dropped_renewal(prepare, |_, _, _| {});
}

#[test]
fn a_report_after_a_dropped_poll_is_made_once() {
    each_dropped_renewal(
        |_, _| {},
        |bench, deployment, what| {
            let reports = bench.requests(&status_path(deployment)).len();
            assert_eq!(reports, 2, "{what}: downloading, failure");
        },
    );
}
