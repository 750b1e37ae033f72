//! Whole updates on a simulated board: one that works, one that is rolled back, and what the server sees of them.

use mender::client::ConfigError;
use mender_testkit::network::lock;
use mender_testkit::server::{Mode, Status};

use crate::support::{Board, Ended, HOUR, MAC, Site, artifact};

#[test]
fn a_device_registers_waits_and_is_accepted() {
    let mut board = Board::new(Mode::Oss);
    let ended = board.run(HOUR, |board| lock(&board.server).find_device("mac", MAC).is_some());
    assert_eq!(ended, Ended::Reached);
    assert!(board.device.events().iter().all(|event| event != "Authorized"));
    board.accept();
    let ended = board.run(HOUR, |board| board.inventory("artifact_name").is_some());
    assert_eq!(ended, Ended::Reached);
    assert_eq!(board.inventory("artifact_name").as_deref(), Some("release-1"));
    assert_eq!(board.inventory("device_type").as_deref(), Some("sim-board"));
    assert_eq!(board.inventory("mender_client").as_deref(), Some("mender-rs"));
}

#[test]
fn an_update_is_installed_and_committed() {
    for mode in [Mode::Oss, Mode::Enterprise] {
        let mut board = Board::accepted(mode);
        let deployment = board.deploy(artifact(2));
        board.flash.reset_counters();
        assert_eq!(board.run(HOUR, Site::finished(&deployment)), Ended::Reached);
        assert_eq!(
            board.statuses(&deployment),
            [
                Status::Downloading,
                Status::Installing,
                Status::Rebooting,
                Status::Installing,
                Status::Success
            ]
        );
        // Cleanup and the next poll come after the report.
        board.run(HOUR, Site::idle);
        assert_eq!(
            board.calls(),
            ["download", "install", "restart", "verify_reboot", "commit", "discard"]
        );
        assert_eq!(board.version_that_runs(), 2);
        assert_eq!(board.inventory("artifact_name").as_deref(), Some("release-2"));
        assert_eq!(
            board.inventory("rootfs-image.zephyr-image.version").as_deref(),
            Some("release-2")
        );
        board.assert_clean();
        assert!(board.flash.violations().is_empty());
    }
}

#[test]
fn firmware_that_fails_its_check_is_rolled_back() {
    let mut board = Board::accepted(Mode::Oss);
    board.unhealthy = vec![3];
    let deployment = board.deploy(artifact(3));
    assert_eq!(board.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(
        board.statuses(&deployment),
        [
            Status::Downloading,
            Status::Installing,
            Status::Rebooting,
            Status::Failure
        ]
    );
    assert_eq!(
        board.calls(),
        [
            "download",
            "install",
            "restart",
            "verify_reboot",
            "rollback",
            "restart",
            "rollback_verify_reboot",
            "discard",
            "discard"
        ]
    );
    assert_eq!(board.version_that_runs(), 1);
    assert_eq!(board.inventory("artifact_name").as_deref(), Some("release-1"));
    assert_eq!(
        board.log(&deployment),
        ["error verify_reboot: the sensor does not answer"]
    );
}

#[test]
fn an_artifact_without_a_signature_touches_nothing_if_there_are_keys() {
    const KEY: &[u8] = include_bytes!("../../../vectors/artifacts/keys/test-ecdsa-p256-a.pub.pem");
    let mut board = Board::accepted(Mode::Oss);
    board.config.artifact_keys = &[KEY];
    let deployment = board.deploy(artifact(2));
    board.flash.reset_counters();
    assert_eq!(board.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(board.status(&deployment), Some(Status::Failure));
    assert_eq!(board.calls(), [""; 0]);
    assert_eq!(board.version_that_runs(), 1);
    let log = board.log(&deployment);
    assert!(log.iter().any(|line| line.contains("not signed")), "{log:?}");
    board.config.artifact_keys = &[KEY, b"no key"];
    assert_eq!(board.config.check(), Err(ConfigError::ArtifactKey(1)));
}
