//! Links and tokens of the longest kind, and what the device says when they do not fit.

use mender::api::auth::AuthRefused;
use mender_testkit::network::lock;
use mender_testkit::server::{DeploymentId, Mode, Status};

use crate::support::{AUTH, Bench, Ended, HOUR, MINUTE, NEXT_V1, Site, Sizes, app};

/// A deployment whose link has so many bytes.
fn with_link(sizes: Sizes, len: usize) -> (Bench, DeploymentId) {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.sizes = sizes;
    // One whose length is known by its download.
    bench.deploy(app());
    bench.run_to_end();
    let short = "http://storage.mender.test:9000".len() + bench.downloads()[0].target.len();
    lock(&bench.server).settings_mut().link_token_len += len - short;
    bench.clear_records();
    let again = mender_testkit::artifact::ArtifactWriter::new("release-3", crate::support::DEVICE_TYPE)
        .payload_type("app")
        .file("app.bin", b"3")
        .write();
    let deployment = bench.deploy(again);
    (bench, deployment)
}

#[test]
fn a_link_may_be_as_long_as_its_memory() {
    for (sizes, len) in [(Sizes::Usual, 2048), (Sizes::Long, 2049), (Sizes::Long, 4096)] {
        let (mut bench, deployment) = with_link(sizes, len);
        bench.run_to_end();
        assert_eq!(bench.status(&deployment), Some(Status::Success), "{len}");
        let link = &bench.downloads()[0].target;
        assert_eq!(link.len() + "http://storage.mender.test:9000".len(), len);
        bench.assert_clean();
    }
}

#[test]
fn a_link_that_is_too_long_ends_the_deployment_with_the_name_of_its_memory() {
    for (sizes, len) in [(Sizes::Usual, 2049), (Sizes::Usual, 4096), (Sizes::Long, 4097)] {
        let (mut bench, deployment) = with_link(sizes, len);
        bench.device.clear_events();
        assert_eq!(bench.run(MINUTE / 2, Site::over), Ended::Reached, "{len}");
        assert_eq!(bench.status(&deployment), Some(Status::Failure), "{len}");
        let log = bench.log(&deployment);
        assert!(log.len() == 1 && log[0].contains("LINK"), "{len}: {log:?}");
        assert!(log[0].ends_with(&format!(": {len}")), "{len}: {log:?}");
        assert_eq!(
            (bench.requests(NEXT_V1).len(), bench.downloads().len()),
            (1, 0),
            "{len}"
        );
        assert!(bench.calls().iter().filter(|call| *call == "download").count() == 1);
    }
}

fn with_token(sizes: Sizes, len: usize) -> Bench {
    let mut bench = Bench::new(Mode::Oss);
    bench.auto_accept();
    bench.sizes = sizes;
    lock(&bench.server).settings_mut().token_len = len;
    bench
}

#[test]
fn a_token_may_be_as_long_as_its_memory() {
    for (sizes, len) in [
        (Sizes::Usual, 1024),
        (Sizes::Long, 2048),
        (Sizes::Longer, 2049),
        (Sizes::Longer, 4096),
    ] {
        for packet_len in [1, 1460] {
            let mut bench = with_token(sizes, len);
            bench.network.set_packet_len(packet_len);
            bench.settle();
            let deployment = bench.deploy(app());
            bench.run_to_end();
            assert_eq!(bench.status(&deployment), Some(Status::Success), "{len}");
            // At the start and before the commit.
            assert_eq!(bench.requests(AUTH).len(), 2, "{len}");
            bench.assert_clean();
        }
    }
}

#[test]
fn a_token_that_is_too_long_is_told_at_once_with_the_name_of_its_memory() {
    for (sizes, len) in [(Sizes::Usual, 1025), (Sizes::Usual, 4096), (Sizes::Long, 2049)] {
        let mut bench = with_token(sizes, len);
        let told = format!("Unauthorized(TokenTooLong {{ needed: {len} }})");
        let ended = bench.run(MINUTE / 2, |site| site.has_event(&told));
        assert_eq!(ended, Ended::Reached, "{len}: {:?}", bench.device.events());
        assert_eq!(bench.requests(AUTH).len(), 1, "{len}");
        // The server may give shorter ones later.
        lock(&bench.server).settings_mut().token_len = 0;
        assert_eq!(bench.run(HOUR, Site::idle), Ended::Reached, "{len}");
    }
    let text = AuthRefused::TokenTooLong { needed: 1025 }.to_string();
    assert!(text.contains("TOKEN") && text.contains("1025"), "{text}");
}
