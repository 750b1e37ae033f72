//! Power cuts through a whole update: storage and image slots on one chip, cut at each flash operation of the application
//! or of the bootloader, then everything again from flash.
//!
//! Whatever happens, it ends with the new firmware committed and success reported, or with the old one running and failure
//! reported.

use mender_testkit::flash::{CutAt, PowerCut};
use mender_testkit::server::{Mode, Status};

use crate::support::{Board, DAY, Ended, Site, artifact};

/// Flash operations of a whole update without a cut.
fn operations(unhealthy: bool) -> u64 {
    let mut board = prepared(unhealthy);
    let before = board.flash.operations();
    let deployment = board.deploy(artifact(2));
    assert_eq!(board.run(DAY, Site::finished(&deployment)), Ended::Reached);
    board.run(DAY, Site::idle);
    board.flash.operations() - before
}

fn prepared(unhealthy: bool) -> Board {
    let mut board = Board::accepted(Mode::Oss);
    if unhealthy {
        board.unhealthy = vec![2];
    }
    board
}

/// One update with one cut; says how it ended.
fn cut(unhealthy: bool, cut: PowerCut) -> Status {
    let mut board = prepared(unhealthy);
    let deployment = board.deploy(artifact(2));
    board.flash.cut_power(cut);
    let mut ended = board.run(DAY, Site::finished(&deployment));
    while ended == Ended::PowerLost {
        board.flash.restore_power();
        ended = board.run(DAY, Site::finished(&deployment));
    }
    assert_eq!(ended, Ended::Reached, "{cut:?}");
    // The rest of the update, then one more boot: what was reported stays true.
    board.device.clear_events();
    while board.run(DAY, Site::idle) == Ended::PowerLost {
        board.flash.restore_power();
    }
    board.device.clear_events();
    while board.run(DAY, Site::idle) == Ended::PowerLost {
        board.flash.restore_power();
    }
    let status = board.status(&deployment).expect("the server knows the deployment");
    let runs = board.version_that_runs();
    let name = board.inventory("artifact_name");
    match status {
        Status::Success => {
            assert_eq!((runs, name.as_deref()), (2, Some("release-2")), "{cut:?}");
            assert!(!unhealthy, "{cut:?}");
        }
        Status::Failure => assert_eq!((runs, name.as_deref()), (1, Some("release-1")), "{cut:?}"),
        other => panic!("{cut:?}: {other:?}"),
    }
    assert_eq!(board.flash.violations(), [], "{cut:?}");
    status
}

/// Cuts at every operation, in the three places of each.
fn sweep(unhealthy: bool) {
    let operations = operations(unhealthy);
    let (mut successes, mut failures) = (0, 0);
    for operation in 1..=operations {
        for at in [CutAt::Before, CutAt::Within { seed: operation }, CutAt::After] {
            match cut(unhealthy, PowerCut { operation, at }) {
                Status::Success => successes += 1,
                _ => failures += 1,
            }
        }
    }
    println!("{operations} operations: {successes} updates succeeded, {failures} failed and were rolled back");
    assert_eq!(successes > 0, !unhealthy);
}

#[test]
fn a_good_update_under_power_cuts() {
    sweep(false);
}

#[test]
fn a_bad_update_under_power_cuts() {
    sweep(true);
}
