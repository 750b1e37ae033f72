//! Downloads (device API, section 9; what an artifact must be before anything is written: design of the client).

use std::time::Duration;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::network::lock;
use mender_testkit::server::{DeploymentId, Effect, Ending, Fault, Mode, Status};

use crate::support::{Bench, Board, DAY, DEVICE_TYPE, Ended, HOUR, SLOT1, Site, app, artifact, once, small_file};

fn deployed() -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(app());
    (bench, deployment)
}

fn assert_installed(bench: &Bench, deployment: &DeploymentId, what: &str) {
    assert_eq!(bench.status(deployment), Some(Status::Success), "{what}");
    let files = bench.script().files.clone();
    assert_eq!(files.len(), 1, "{what}");
    assert!(
        files[0] == ("app.bin".to_owned(), small_file(3000)),
        "{what}: another file"
    );
    bench.assert_clean();
}

#[test]
fn a_broken_connection_is_resumed_where_it_broke() {
    let len = app().len();
    for ending in [Ending::Close, Ending::Reset] {
        for cut in [0, 1, 511, 512, 513, 1024, 4000, len - 1024, len - 1] {
            for framing in [None, Some(Effect::Chunked { chunk_len: 300 })] {
                let what = format!("{ending:?} after {cut} of {len}, {framing:?}");
                let (mut bench, deployment) = deployed();
                bench.inject(Fault::new(Effect::CutBody { len: cut, ending }).on_downloads());
                if let Some(framing) = framing {
                    bench.inject(Fault::new(framing).on_downloads().times(2));
                }
                bench.run_to_end();
                assert_installed(&bench, &deployment, &what);
                let ranges: Vec<_> = bench.downloads().into_iter().map(|request| request.range).collect();
                let rest = (cut > 0).then(|| format!("bytes={cut}-"));
                assert_eq!(ranges, [None, rest], "{what}");
            }
        }
    }
}

#[test]
fn a_connection_that_breaks_all_the_time_gets_there() {
    let (mut bench, deployment) = deployed();
    let cut = Effect::CutBody {
        len: 700,
        ending: Ending::Reset,
    };
    bench.inject(Fault::new(cut).on_downloads().always());
    assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
    assert_installed(&bench, &deployment, "700 bytes each");
    assert_eq!(bench.downloads().len(), app().len() / 700 + 1);
}

#[test]
fn a_host_that_ignores_ranges_sends_everything_again() {
    let (mut bench, deployment) = deployed();
    for (at, cut) in [(0, 1000), (1, 3000), (2, 2000)] {
        let effect = Effect::CutBody {
            len: cut,
            ending: Ending::Reset,
        };
        bench.inject(Fault::new(effect).on_downloads().after(at));
    }
    bench.inject(Fault::new(Effect::IgnoreRange).on_downloads().always());
    bench.run_to_end();
    assert_installed(&bench, &deployment, "ranges ignored");
    assert_eq!(bench.downloads().len(), 4);
}

#[test]
fn any_framing_will_do() {
    for effect in [
        Effect::Chunked { chunk_len: 1 },
        Effect::Chunked { chunk_len: 7 },
        Effect::Chunked { chunk_len: 1000 },
        Effect::NoContentLength,
    ] {
        for packet_len in [1, 13, 1460] {
            let (mut bench, deployment) = deployed();
            bench.network.set_packet_len(packet_len);
            bench.inject(Fault::new(effect.clone()).on_downloads());
            bench.run_to_end();
            assert_installed(&bench, &deployment, &format!("{effect:?}, {packet_len}"));
            assert_eq!(bench.downloads().len(), 1);
        }
    }
}

#[test]
fn a_body_without_a_length_that_ends_early_is_resumed() {
    for packet_len in [13, 256, 1460] {
        for len in [0, 1, 600, 2000, 4000, app().len() - 1] {
            let what = format!("{len} bytes in packets of {packet_len}");
            let (mut bench, deployment) = deployed();
            bench.network.set_packet_len(packet_len);
            bench.inject(Fault::new(Effect::NoContentLength).on_downloads().times(2));
            let ending = Ending::Close;
            bench.inject(Fault::new(Effect::CutBody { len, ending }).on_downloads());
            bench.run_to_end();
            assert_installed(&bench, &deployment, &what);
            let ranges: Vec<_> = bench.downloads().into_iter().map(|request| request.range).collect();
            let rest = (len > 0).then(|| format!("bytes={len}-"));
            assert_eq!(ranges, [None, rest], "{what}");
        }
    }
}

/// A host that says no length and resets the connection behind the last byte: all has arrived, but that is known only
/// after the next request.
#[test]
fn a_connection_that_breaks_behind_the_last_byte_is_no_failure() {
    let (mut bench, deployment) = deployed();
    let cut = Effect::CutBody {
        len: app().len(),
        ending: Ending::Reset,
    };
    bench.inject(Fault::new(Effect::NoContentLength).on_downloads());
    bench.inject(Fault::new(cut).on_downloads());
    bench.run_to_end();
    assert_installed(&bench, &deployment, "all but the end");
}

#[test]
fn a_host_that_has_no_time_is_asked_again() {
    for (effect, least) in [
        (Effect::Status(503), 45),
        (Effect::BareStatus(500), 45),
        (Effect::TooManyRequests { retry_after_secs: 400 }, 400),
    ] {
        let (mut bench, deployment) = deployed();
        bench.inject(Fault::new(effect.clone()).on_downloads());
        bench.run_to_end();
        assert_installed(&bench, &deployment, &format!("{effect:?}"));
        let gaps = Site::gaps(&bench.downloads());
        assert!(gaps.len() == 1 && gaps[0] >= least, "{effect:?}: {gaps:?}");
    }
}

#[test]
fn a_link_that_is_refused_is_a_failure_with_a_reason() {
    for status in [403, 404, 400] {
        let (mut bench, deployment) = deployed();
        bench.inject(Fault::new(Effect::Status(status)).on_downloads().always());
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Failure));
        let reason = format!("error the artifact's host answered with status {status}");
        assert_eq!(bench.log(&deployment), [reason]);
        // A link that has expired is renewed, once.
        assert_eq!(bench.downloads().len(), if status == 403 { 2 } else { 1 });
        assert!(bench.calls().is_empty(), "the module is not called");
    }
}

/// A link that lives for 30 seconds, and a connection that breaks after every 2000 bytes: the pause before the next request is
/// longer than that.
fn short_lived_links(mode: Mode) -> (Bench, DeploymentId) {
    let bench = Bench::accepted(mode);
    let deployment = bench.deploy(app());
    lock(&bench.server).settings_mut().link_lifetime = Duration::from_secs(30);
    let cut = Effect::CutBody {
        len: 2000,
        ending: Ending::Reset,
    };
    bench.inject(Fault::new(cut).on_downloads().always());
    (bench, deployment)
}

#[test]
fn a_link_that_expires_within_the_download_is_renewed() {
    for mode in [Mode::Oss, Mode::Enterprise] {
        let (mut bench, deployment) = short_lived_links(mode);
        bench.run_to_end();
        assert_installed(&bench, &deployment, "renewed links");
        let downloads = bench.downloads();
        let len = app().len();
        let froms: Vec<_> = downloads.iter().map(|request| request.range.clone()).collect();
        let mut expected = vec![None];
        for from in (2000..len).step_by(2000) {
            // Refused with the old link, then served with the new one.
            expected.extend([Some(format!("bytes={from}-")), Some(format!("bytes={from}-"))]);
        }
        assert_eq!(froms, expected);
        assert_eq!(bench.statuses(&deployment).last(), Some(&Status::Success));
    }
}

#[test]
fn no_new_link_for_a_deployment_that_the_server_has_ended() {
    let (mut bench, deployment) = short_lived_links(Mode::Oss);
    let begun = |site: &Site| !site.downloads().is_empty();
    let abort = |site: &Site| site.abort(&deployment);
    assert_eq!(bench.run(DAY, once(begun, abort, Site::idle)), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Aborted));
    assert!(!bench.script().runs_new);
    assert_eq!(
        bench.downloads().len(),
        2,
        "the old link is refused, and there is no other"
    );
}

#[test]
fn a_server_that_is_away_when_a_link_expires_is_asked_again() {
    let (mut bench, deployment) = short_lived_links(Mode::Oss);
    let next = Fault::new(Effect::Status(503)).on_path(crate::support::NEXT_V1);
    bench.inject(next.after(1).times(3));
    bench.run_to_end();
    assert_installed(&bench, &deployment, "in the end");
}

#[test]
fn a_download_without_progress_is_given_up() {
    let (mut bench, deployment) = deployed();
    bench.config.download_retries = 3;
    let cut = |len| Effect::CutBody {
        len,
        ending: Ending::Reset,
    };
    bench.inject(Fault::new(cut(1000)).on_downloads());
    bench.inject(Fault::new(cut(0)).on_downloads().always());
    // The second fault strikes the first request too: nothing of it arrives.
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
    assert_eq!(bench.downloads().len(), 4);
    let log = bench.log(&deployment);
    assert!(
        log.len() == 1 && log[0].starts_with("error the download was given up: "),
        "{log:?}"
    );
}

#[test]
fn a_flipped_bit_is_never_installed() {
    let artifact = app();
    let (mut failures, mut harmless) = (0, 0);
    for offset in (0..artifact.len()).step_by(61) {
        let (mut bench, deployment) = deployed();
        bench.inject(Fault::new(Effect::FlipBit { offset }).on_downloads());
        bench.run_to_end();
        match bench.status(&deployment) {
            // Padding, or who packed it when.
            Some(Status::Success) => {
                assert_installed(&bench, &deployment, &format!("bit at {offset}"));
                harmless += 1;
            }
            Some(Status::Failure) => {
                assert!(!bench.script().runs_new, "{offset}");
                assert!(!bench.calls().contains(&"install".to_owned()), "{offset}");
                let log = bench.log(&deployment);
                assert!(log.len() == 1 && log[0].starts_with("error "), "{offset}: {log:?}");
                failures += 1;
            }
            other => panic!("{offset}: {other:?}"),
        }
    }
    println!("{failures} flipped bits were found, {harmless} are in bytes that mean nothing");
    assert!(failures > harmless);
}

/// Whatever comes instead of the artifact: the board's second slot is not even erased for it.
#[test]
fn what_does_not_fit_costs_no_flash() {
    let mut image = vec![0; 200];
    image[..4].copy_from_slice(&0x96f3_b83d_u32.to_le_bytes());
    let base = |device_type: &str| ArtifactWriter::new("release-2", device_type).file("zephyr.signed.bin", &image);
    let gzip: &[u8] = include_bytes!("../../../vectors/artifacts/ok/gzip.mender");
    let good = artifact(2);
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("another device type", base("other-board").write(), "device type"),
        (
            "a missing provide",
            base(DEVICE_TYPE).depends("sensor.version", "7").write(),
            "sensor.version",
        ),
        (
            "another release before",
            base(DEVICE_TYPE).depends_name("release-0").write(),
            "artifact_name",
        ),
        (
            "another group",
            base(DEVICE_TYPE).depends_group("beta").write(),
            "artifact_group",
        ),
        (
            "an unknown payload type",
            base(DEVICE_TYPE).payload_type("rootfs-image").write(),
            "no update module for the payload type \"rootfs-image\"",
        ),
        ("a compressed artifact", gzip.to_vec(), "compress"),
        ("a web page", b"<html><body>log in</body></html>".to_vec(), ""),
        ("half an artifact's header", good[..2000].to_vec(), ""),
    ];
    for (what, sent, reason) in cases {
        let mut board = Board::accepted(Mode::Oss);
        let deployment = board.deploy(good.clone());
        let written = board.flash.counters();
        board.inject(Fault::new(Effect::Body(sent)).on_downloads());
        board.device.clear_events();
        assert_eq!(board.run(HOUR, Site::over), Ended::Reached, "{what}");
        assert_eq!(board.status(&deployment), Some(Status::Failure), "{what}");
        assert!(board.flash.is_blank(SLOT1), "{what}");
        assert!(
            board.flash.counters().bytes_written - written.bytes_written < 1000,
            "{what}"
        );
        assert!(board.calls().iter().all(|call| *call != "download"), "{what}");
        let log = board.log(&deployment);
        assert!(log.len() == 1 && log[0].contains(reason), "{what}: {log:?}");
        println!("{what}: {}", log[0]);
    }
}

#[test]
fn an_image_that_is_too_large_is_refused_with_a_reason() {
    let mut board = Board::accepted(Mode::Oss);
    let mut image = vec![0; 200_000];
    image[..4].copy_from_slice(&0x96f3_b83d_u32.to_le_bytes());
    let artifact = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .file("zephyr.signed.bin", &image)
        .write();
    let deployment = board.deploy(artifact);
    board.device.clear_events();
    assert_eq!(board.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(board.status(&deployment), Some(Status::Failure));
    let log = board.log(&deployment);
    assert!(log.len() == 1 && log[0].starts_with("error download: "), "{log:?}");
    println!("{}", log[0]);
    assert_eq!(board.version_that_runs(), 1);
}

#[test]
fn several_files_and_device_types() {
    let mut bench = Bench::accepted(Mode::Oss);
    let long_name = "n".repeat(100);
    let artifact = ArtifactWriter::new("release-2", "other-board")
        .device_type(DEVICE_TYPE)
        .device_type("third-board")
        .payload_type("app")
        .file("a.bin", &small_file(1000))
        .file("empty", b"")
        .file(&long_name, &small_file(513))
        .write();
    let deployment = bench.deploy(artifact);
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    let files = bench.script().files.clone();
    let expected = [
        ("a.bin".to_owned(), small_file(1000)),
        ("empty".to_owned(), Vec::new()),
        (long_name, small_file(513)),
    ];
    assert!(
        files == expected,
        "{:?}",
        files.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
}

#[test]
fn an_artifact_without_payload_commits_its_provides() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    let artifact = ArtifactWriter::bootstrap("release-2", DEVICE_TYPE)
        .provides("rootfs-image.checksum", "c0ffee")
        .write();
    let deployment = bench.deploy(artifact);
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
    assert!(bench.calls().is_empty());
    bench.settle();
    assert_eq!(bench.inventory("artifact_name").as_deref(), Some("release-2"));
    assert_eq!(bench.inventory("rootfs-image.checksum").as_deref(), Some("c0ffee"));
}

#[test]
fn provides_are_added_and_cleared_as_the_artifact_says() {
    let mut bench = Bench::accepted(Mode::Enterprise);
    let release = |name: &str| {
        ArtifactWriter::new(name, DEVICE_TYPE)
            .no_default_software_version()
            .payload_type("app")
            .file("f", name.as_bytes())
    };
    bench.deploy(
        release("release-2")
            .group("beta")
            .provides("app.a.version", "1")
            .provides("app.b.version", "1")
            .provides("data.version", "1")
            .write(),
    );
    bench.run_to_end();
    bench.deploy(
        release("release-3")
            .clears("app.*")
            .provides("app.b.version", "2")
            .depends_name("release-2")
            .depends_group("beta")
            .depends_any("data.version", &["0", "1"])
            .write(),
    );
    bench.run_to_end();
    bench.settle();
    for (name, value) in [
        ("artifact_name", Some("release-3")),
        ("app.a.version", None),
        ("app.b.version", Some("2")),
        ("data.version", Some("1")),
    ] {
        assert_eq!(bench.inventory(name).as_deref(), value, "{name}");
    }
}

#[test]
fn a_failed_deployment_leaves_name_and_provides_alone() {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.script().failing.insert("commit");
    let artifact = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("firmware")
        .provides("x", "new")
        .file("f", b"2")
        .write();
    let deployment = bench.deploy(artifact);
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
    bench.settle();
    assert_eq!(bench.inventory("artifact_name").as_deref(), Some("release-1"));
    assert_eq!(bench.inventory("x"), None);
}

#[test]
fn a_restart_within_the_download_starts_it_anew() {
    let mut bench = Bench::accepted(Mode::Oss);
    let begun = once(
        Site::idle,
        |site| _ = site.deploy(app()),
        |site| !site.downloads().is_empty(),
    );
    assert_eq!(bench.run(HOUR, begun), Ended::Reached);
    assert!(bench.written().is_empty());
    bench.run_to_end();
    assert!(bench.has_event("Finished(Success)"));
    assert_eq!(bench.inventory("artifact_name").as_deref(), Some("release-2"));
}

#[test]
fn a_module_slower_than_the_network_timeout_gets_its_data() {
    let (mut bench, deployment) = deployed();
    bench.script().slow = Some((bench.clock.clone(), Duration::from_secs(90)));
    bench.run_to_end();
    assert_installed(&bench, &deployment, "a slow module");
    assert_eq!(bench.downloads().len(), 1);
}
