//! A restart in the middle of a download: what is in flash is not fetched again (device API, section 9; the module's own marks).

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::flash::{CutAt, PowerCut};
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::server::{DeploymentId, Effect, Fault, Mode, Status};

use crate::support::{Board, DAY, DEVICE_TYPE, Ended, SLOT1, Site, Sizes};

const SECTOR: usize = 4096;

fn image() -> Vec<u8> {
    ImageBuilder::new(Version::new(2, 0, 0)).body_len(90_000).build()
}

fn release() -> ArtifactWriter {
    ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("zephyr-image")
        .file("zephyr.signed.bin", &image())
}

/// A board whose power goes at this flash operation of an update.
fn cut_at(artifact: Vec<u8>, sizes: Sizes, operation: u64) -> (Board, DeploymentId) {
    let mut board = Board::accepted(Mode::Oss);
    board.sizes = sizes;
    let deployment = board.deploy(artifact);
    let at = CutAt::After;
    board.flash.cut_power(PowerCut { operation, at });
    assert_eq!(board.run(DAY, Site::finished(&deployment)), Ended::PowerLost);
    (board, deployment)
}

fn is_installed(board: &mut Board, deployment: &DeploymentId, case: &str) {
    board.flash.restore_power();
    assert_eq!(board.run(DAY, Site::finished(deployment)), Ended::Reached, "{case}");
    assert_eq!(board.status(deployment), Some(Status::Success), "{case}");
    assert_eq!(board.version_that_runs(), 2, "{case}");
    assert_eq!(board.flash.violations(), [], "{case}");
}

/// Bytes of the image that are in slot 1.
fn in_flash(board: &Board) -> usize {
    let slot = &board.flash.to_bytes()[SLOT1.start as usize..SLOT1.end as usize];
    image().iter().zip(slot).take_while(|(a, b)| a == b).count()
}

fn ranges(board: &Board) -> Vec<Option<String>> {
    board.downloads().into_iter().map(|request| request.range).collect()
}

#[test]
fn a_download_goes_on_behind_what_is_in_flash() {
    let artifact = release().write();
    let at = artifact.windows(64).position(|bytes| *bytes == image()[..64]).unwrap();
    let mut asked = 0;
    for operation in (3..260).step_by(17) {
        let (mut board, deployment) = cut_at(artifact.clone(), Sizes::Usual, operation);
        let (before, written) = (ranges(&board).len(), in_flash(&board));
        let case = format!("operation {operation}, {written} bytes in flash");
        is_installed(&mut board, &deployment, &case);
        let again = ranges(&board).split_off(before);
        // The header first. Where little is in flash, it is passed over as it comes.
        let from = match &again[..] {
            [None] => 0,
            [None, Some(range)] => {
                asked += 1;
                range["bytes=".len()..range.len() - 1].parse::<usize>().unwrap() - at
            }
            other => panic!("{case}: {other:?}"),
        };
        assert!(from.is_multiple_of(SECTOR) && from <= written, "{case}: from {from}");
        let near = 4096 + 2 * 2048;
        assert!(from + SECTOR + near > written, "{case}: from {from}");
        assert!(from == 0 || from + SECTOR + 2048 > written, "{case}: from {from}");
    }
    assert!(asked > 10, "{asked}");
}

#[test]
fn a_host_that_ignores_ranges_sends_everything_again() {
    let (mut board, deployment) = cut_at(release().write(), Sizes::Usual, 150);
    assert!(in_flash(&board) > 30_000);
    board.inject(Fault::new(Effect::IgnoreRange).on_downloads().always());
    is_installed(&mut board, &deployment, "ranges ignored");
}

/// The connection breaks again and again, and the device restarts.
#[test]
fn with_broken_connections_and_restarts_it_gets_there() {
    let artifact = release().write();
    let mut board = Board::accepted(Mode::Oss);
    let deployment = board.deploy(artifact);
    let cut = Effect::CutBody {
        len: 10_000,
        ending: mender_testkit::server::Ending::Reset,
    };
    board.inject(Fault::new(cut).on_downloads().always());
    let mut restarts = 0;
    loop {
        let (operation, at) = (101, CutAt::Within { seed: restarts });
        board.flash.cut_power(PowerCut { operation, at });
        match board.run(DAY, Site::finished(&deployment)) {
            Ended::PowerLost => restarts += 1,
            Ended::Reached => break,
            other => panic!("{other:?}"),
        }
        assert!(restarts < 30, "no progress");
        board.flash.restore_power();
    }
    assert!(restarts > 2, "{restarts}");
    assert_eq!(board.status(&deployment), Some(Status::Success));
    assert_eq!(board.flash.violations(), []);
}

/// What comes compressed begins anew: nobody knows where in it a byte of flash came from.
#[test]
fn a_compressed_artifact_begins_anew() {
    let (mut board, deployment) = cut_at(release().gzip().write(), Sizes::Window32768, 100);
    let before = ranges(&board).len();
    assert!(in_flash(&board) > 20_000);
    is_installed(&mut board, &deployment, "gzip");
    assert_eq!(ranges(&board).split_off(before), [None]);
}
