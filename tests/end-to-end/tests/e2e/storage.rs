//! Storage that fails: what is committed stays committed, what is told is true, and no device restarts for ever.

use mender::storage::{FlashRange, FlashStorage, RecordKey, Storage};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{DeploymentId, Effect, Fault, Mode, Status};

use crate::support::{
    Bench, Board, Crash, DAY, DEVICE_TYPE, Ended, Failing, HOUR, MINUTE, Op, Site, app, artifact, firmware, once,
    status_path,
};

/// More than are tried at once.
const STREAK: usize = 3;

fn of_kind(kind: &str, release: u8) -> Vec<u8> {
    ArtifactWriter::new(&format!("release-{release}"), DEVICE_TYPE)
        .payload_type(kind)
        .file("f", &[release])
        .write()
}

fn deployed(artifact: Vec<u8>) -> (Bench, DeploymentId) {
    let bench = Bench::accepted(Mode::Oss);
    let deployment = bench.deploy(artifact);
    (bench, deployment)
}

/// A device that has `release-2` from a deployment that is long over.
fn updated(kind: &str) -> (Bench, DeploymentId) {
    let (mut bench, deployment) = deployed(of_kind(kind, 2));
    bench.run_to_end();
    bench.settle();
    assert_eq!(bench.status(&deployment), Some(Status::Success), "{kind}");
    bench.faults().reads.clear();
    (bench, deployment)
}

/// What the server was told, what runs, and the name that the server has of it.
fn found(bench: &Bench, deployment: &DeploymentId) -> (Option<Status>, bool, Option<String>) {
    let runs_new = bench.script().runs_new;
    (bench.status(deployment), runs_new, bench.inventory("artifact_name"))
}

fn assert_stays(bench: &Bench, deployment: &DeploymentId, what: &str) {
    let expected = (Some(Status::Success), true, Some("release-2".to_owned()));
    assert_eq!(
        found(bench, deployment),
        expected,
        "{what}: {:?}",
        bench.device.events()
    );
}

/// Reported success ⇔ the new software runs by its name; reported failure ⇔ the old one by the old name, or the name is marked.
fn is_true(found: &(Option<Status>, bool, Option<String>)) -> bool {
    match (found.0, found.2.as_deref()) {
        (Some(Status::Success), Some("release-2")) => found.1,
        (Some(Status::Failure), Some("release-1")) => !found.1,
        (Some(Status::Failure), Some("release-2_INCONSISTENT")) => true,
        (Some(_) | None, _) => false,
    }
}

#[test]
fn an_update_of_long_ago_stays_whichever_reads_fail_at_a_start() {
    for kind in ["firmware", "firmware-forward", "app-back", "app"] {
        for count in [1, STREAK, 3 * STREAK] {
            for first in 0..6 {
                for damaged in [false, true] {
                    let (mut bench, deployment) = updated(kind);
                    {
                        let mut faults = bench.faults();
                        faults.failing_reads = Failing::Some(first, count);
                        faults.damaged = damaged;
                    }
                    // The key comes first, and without one there is no run; a damaged installed record is no longer there.
                    let is_key = first < STREAK && first + count >= STREAK;
                    if is_key || (damaged && count >= STREAK && first + count > STREAK) {
                        continue;
                    }
                    bench.run(DAY, |_| false);
                    assert_stays(
                        &bench,
                        &deployment,
                        &format!("{kind}, reads {first} + {count}, {damaged}"),
                    );
                }
            }
        }
    }
}

#[test]
fn an_update_of_long_ago_stays_on_a_board() {
    for count in [1, STREAK] {
        let mut board = Board::accepted(Mode::Oss);
        let deployment = board.deploy(artifact(2));
        board.device.clear_events();
        assert_eq!(board.run(HOUR, Site::over), Ended::Reached);
        board.device.clear_events();
        board.run(DAY, Site::idle);
        {
            let mut faults = board.faults();
            faults.reads.clear();
            // Device key, installed, state.
            faults.failing_reads = Failing::Some(2, count);
        }
        board.run(DAY, |_| false);
        let found = (board.status(&deployment), board.runs, board.inventory("artifact_name"));
        let expected = (Some(Status::Success), 2, Some("release-2".to_owned()));
        assert_eq!(found, expected, "{:?}", board.calls());
    }
}

/// Changes the stored state record.
fn patch_state(bench: &Bench, change: impl Fn(&mut [u8])) {
    let range = const { FlashRange::new(0..8192) };
    let mut storage = FlashStorage::new(bench.flash.partition(0..8192), range).unwrap();
    let mut record = [0; 16];
    let len = embassy_futures::block_on(storage.read(RecordKey::State, &mut record));
    let record = &mut record[..len.unwrap().unwrap()];
    change(record);
    embassy_futures::block_on(storage.write(RecordKey::State, record)).unwrap();
}

/// Another firmware, with a newer version of this crate, has run on this device meanwhile.
#[test]
fn an_update_of_long_ago_stays_with_a_state_record_that_cannot_be_understood() {
    for kind in ["firmware", "firmware-forward", "app-back", "app"] {
        for byte in [0, 5] {
            let (mut bench, deployment) = updated(kind);
            patch_state(&bench, |record| record[byte] = 200);
            bench.run(DAY, |_| false);
            assert_stays(&bench, &deployment, kind);
        }
    }
}

/// The later deployment fails in its download, the failure cannot be told at once, its record cannot be written, and the device
/// restarts.
#[test]
fn an_earlier_success_stays_a_success() {
    for first in 0..4 {
        let (mut bench, earlier) = updated("app");
        let later = bench.deploy(of_kind("app", 3));
        bench.script().failing.insert("download");
        let refused = Fault::new(Effect::Status(503));
        bench.inject(refused.on_path(&status_path(&later)).after(1).always());
        bench.written().clear();
        bench.failing = Failing::Some(first, 20);
        bench.device.clear_events();
        bench.run(3 * HOUR, |_| false);
        bench.failing = Failing::None;
        bench.clear_faults();
        bench.script().failing.clear();
        bench.run(3 * HOUR, |_| false);
        assert_eq!(bench.status(&earlier), Some(Status::Success), "{first}");
        assert!(bench.status(&later).is_some_and(Status::is_final), "{first}");
    }
}

#[test]
fn new_software_that_cannot_read_a_record_for_a_while_is_committed() {
    for count in [1, STREAK, 3 * STREAK] {
        let mut cases = 0;
        for first in 0.. {
            let mut board = Board::accepted(Mode::Oss);
            let deployment = board.deploy(artifact(2));
            board.device.clear_events();
            {
                let mut faults = board.faults();
                faults.reads.clear();
                faults.failing_reads = Failing::Some(first, count);
            }
            let ended = board.run(DAY, |site| site.status(&deployment).is_some_and(Status::is_final));
            if ended == Ended::GaveUp {
                // Without the device key there is no client, and the board's program decides what to do.
                assert_ne!(count, 1);
                continue;
            }
            assert_eq!(ended, Ended::Reached);
            if board.faults().reads.len() <= first {
                break;
            }
            let found = (board.status(&deployment), board.runs);
            assert_eq!(
                found,
                (Some(Status::Success), 2),
                "reads {first} + {count}: {:?}",
                board.calls()
            );
            cases += 1;
        }
        assert!(cases > 10, "{cases}");
    }
}

#[test]
fn the_name_is_not_forgotten_when_its_record_cannot_be_read_for_a_while() {
    for count in [1, STREAK, 4 * STREAK] {
        let (mut bench, deployment) = updated("firmware");
        bench.faults().failing_reads = Failing::Some(1, count);
        bench.run(DAY, |_| false);
        assert_stays(&bench, &deployment, "the installed record");
        let polls = bench.requests(crate::support::NEXT_V1);
        assert!(polls.iter().all(|poll| poll.target.contains("artifact_name=release-2")));
    }
}

/// Storage that gives nothing: nobody knows what runs, so nothing is done and nothing is told.
#[test]
fn storage_that_cannot_be_read_is_tried_again_with_backoff_and_nothing_is_told() {
    for key in [RecordKey::Installed, RecordKey::State, RecordKey::Deployment] {
        let (mut bench, deployment) = updated("firmware");
        bench.faults().lost = Some(key);
        bench.clear_records();
        bench.run(DAY, |_| false);
        let reads = bench.faults().reads.iter().filter(|read| **read == key).count();
        assert!((100..600).contains(&reads), "{key:?}: {reads} reads in a day");
        assert_eq!(bench.requests("/").len(), 0, "{key:?}");
        assert!(bench.has_event("StorageFails"), "{key:?}");
        // It stops when it is asked to, and goes on when storage does.
        bench.handle.stop();
        assert_eq!(bench.run(MINUTE, |_| false), Ended::Stopped);
        bench.faults().lost = None;
        bench.run(HOUR, |_| false);
        assert_stays(&bench, &deployment, "again");
    }
}

/// New software that cannot read what it is to do tells no failure.
#[test]
fn nothing_is_told_of_new_software_that_can_read_nothing() {
    for key in [RecordKey::Installed, RecordKey::State, RecordKey::Deployment] {
        let (mut bench, deployment) = deployed(firmware());
        let faults = std::sync::Arc::clone(&bench.faults);
        let lost = once(
            |site| site.has_event("Entered(Reboot)"),
            move |_| faults.lock().unwrap().lost = Some(key),
            |_| false,
        );
        bench.run(DAY, lost);
        let status = bench.status(&deployment);
        assert!(!status.is_some_and(Status::is_final), "{key:?}: {status:?}");
        bench.faults().lost = None;
        bench.run(DAY, |_| false);
        let found = found(&bench, &deployment);
        assert!(is_true(&found), "{key:?}: {found:?}");
    }
}

/// The deployment record is damaged for good while its module has begun to act.
#[test]
fn a_deployment_whose_record_is_damaged_leaves_the_name_marked() {
    let (mut bench, deployment) = deployed(firmware());
    let faults = std::sync::Arc::clone(&bench.faults);
    let lost = once(
        |site| site.has_event("Entered(Reboot)"),
        move |_| {
            let mut faults = faults.lock().unwrap();
            (faults.lost, faults.damaged) = (Some(RecordKey::Deployment), true);
        },
        |site| site.inventory("artifact_name").as_deref() == Some("release-1_INCONSISTENT"),
    );
    assert_eq!(bench.run(DAY, lost), Ended::Reached);
    assert_ne!(bench.status(&deployment), Some(Status::Success));
}

/// Runs a deployment of each kind with each callback failing, and with a run of writes that fail; what is told is true.
fn each_failing_write(count: usize) -> usize {
    let mut cases = 0;
    for kind in ["app", "app-back", "firmware-forward", "firmware"] {
        for failing in ["", "download", "install", "verify_reboot", "commit", "rollback"] {
            for first in 0.. {
                let mut bench = Bench::accepted(Mode::Oss);
                bench.script().failing.insert(failing);
                if failing == "rollback" {
                    bench.script().failing.insert("commit");
                }
                let deployment = bench.deploy(of_kind(kind, 2));
                bench.written().clear();
                bench.failing = Failing::Some(first, count);
                bench.device.clear_events();
                bench.run(DAY, Site::over);
                if bench.written().len() <= first {
                    break;
                }
                let key = bench.written()[first].key;
                bench.failing = Failing::None;
                bench.script().failing.clear();
                bench.settle();
                let found = found(&bench, &deployment);
                let what = format!("{kind}, {failing} fails, writes {first} + {count} ({key:?}): {found:?}");
                assert!(is_true(&found), "{what}");
                // One write that fails fails nothing.
                if count == 1 && failing.is_empty() {
                    assert_eq!(found.0, Some(Status::Success), "{what}");
                }
                cases += 1;
            }
        }
    }
    println!("{cases} cases with {count} writes that fail");
    cases
}

#[test]
fn one_write_that_fails_fails_no_deployment_and_what_is_told_is_true() {
    assert!(each_failing_write(1) > 100);
}

#[test]
fn what_is_told_is_true_when_writes_fail_for_a_while() {
    assert!(each_failing_write(STREAK) > 100);
    assert!(each_failing_write(4 * STREAK) > 100);
}

/// The mark is told although it cannot be stored, and is stored when storage works again.
#[test]
fn a_mark_that_cannot_be_stored_stays_due() {
    let (mut bench, deployment) = deployed(of_kind("app", 2));
    bench.script().failing.insert("commit");
    let written = std::sync::Arc::clone(&bench.written);
    // From the mark on nothing can be written: the state records of a failure, log, deployment and so on come before it.
    bench.run(DAY, |site| site.has_event("Entered(Failure)"));
    let before = written.lock().unwrap().len();
    bench.failing = Failing::From(before);
    bench.device.clear_events();
    bench.run(DAY, Site::over);
    bench.run(2 * HOUR, |_| false);
    let told = found(&bench, &deployment);
    assert!(is_true(&told), "{told:?}");
    bench.failing = Failing::None;
    bench.script().failing.clear();
    bench.run(2 * HOUR, |_| false);
    let told = found(&bench, &deployment);
    assert_eq!(told.2.as_deref(), Some("release-2_INCONSISTENT"), "{told:?}");
    bench.faults().reads.clear();
    bench.run(2 * HOUR, |_| false);
    assert_eq!(
        bench.inventory("artifact_name").as_deref(),
        Some("release-2_INCONSISTENT")
    );
}

#[test]
fn a_download_that_restarts_the_device_each_time_comes_to_an_end() {
    for failing in [Failing::None, Failing::From(0)] {
        let (mut bench, deployment) = deployed(app());
        bench.script().resetting.insert("download");
        bench.failing = failing;
        bench.written().clear();
        bench.device.clear_events();
        assert_eq!(bench.run(DAY, Site::over), Ended::Reached, "{failing:?}");
        assert_eq!(bench.status(&deployment), Some(Status::Failure), "{failing:?}");
        assert!(bench.boots < 32, "{failing:?}: {} boots", bench.boots);
        let boots = bench.boots;
        bench.run(DAY, |_| false);
        assert!(bench.boots <= boots + 1, "{failing:?}");
        if failing == Failing::None {
            let log = bench.log(&deployment);
            assert!(
                log.iter().any(|line| line.contains("each download has restarted")),
                "{log:?}"
            );
            // The next one starts from none.
            bench.script().resetting.clear();
            let next = bench.deploy(of_kind("app", 3));
            bench.run_to_end();
            assert_eq!(bench.status(&next), Some(Status::Success));
        }
    }
}

/// A power cut now and then is no reason to give a download up.
#[test]
fn downloads_that_are_cut_now_and_then_succeed() {
    let (mut bench, deployment) = deployed(app());
    for _ in 0..20 {
        bench.script().crash = Some(("download", Crash::After));
        bench.device.clear_events();
        let cut = |site: &Site| !site.downloads().is_empty();
        bench.run(HOUR, cut);
        bench.clear_records();
    }
    bench.script().crash = None;
    bench.run_to_end();
    assert_eq!(bench.status(&deployment), Some(Status::Success));
}

/// Callbacks that restart the device, with storage that takes no writes: a few restarts in an hour at most.
#[test]
fn no_device_restarts_for_ever_when_nothing_can_be_stored() {
    for culprit in [
        "verify_reboot",
        "commit",
        "rollback",
        "failure",
        "cleanup",
        "rollback_verify_reboot",
    ] {
        let (mut bench, _) = deployed(firmware());
        bench.script().failing.insert("verify_reboot");
        if culprit == "commit" || culprit == "verify_reboot" {
            bench.script().failing.clear();
        }
        bench.script().resetting.insert(culprit);
        // The first restart is recorded.
        bench.device.clear_events();
        bench.run(HOUR, |site| site.has_event("Entered(Reboot)"));
        let before = bench.written().len();
        bench.failing = Failing::From(before);
        let boots = bench.boots;
        bench.run(6 * HOUR, |_| false);
        let boots = bench.boots - boots;
        assert!(boots <= 6 * 6, "{culprit}: {boots} boots in six hours");
    }
}

#[test]
fn an_artifact_without_payload_leaves_no_doubt() {
    let artifact = ArtifactWriter::bootstrap("release-2", DEVICE_TYPE)
        .provides("a.b", "new")
        .write();
    let (mut bench, deployment) = deployed(artifact);
    let refused = Fault::new(Effect::Status(500));
    bench.inject(refused.on_path(&status_path(&deployment)).after(2).times(12));
    bench.device.clear_events();
    assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
    bench.settle();
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
    assert_eq!(bench.inventory("artifact_name").as_deref(), Some("release-1"));
}

/// Each operation of the flash below the records fails once, for a while, or for ever, over a whole deployment.
#[test]
fn what_is_told_is_true_whichever_operation_of_the_flash_fails() {
    let mut cases = 0;
    for kind in ["app", "firmware"] {
        for op in [Op::Read, Op::Write, Op::Erase] {
            for count in [1, STREAK, 40] {
                for first in (0..).step_by(if op == Op::Read { 41 } else { 1 }) {
                    let (mut bench, deployment) = deployed(of_kind(kind, 2));
                    {
                        let mut faults = bench.faults();
                        faults.flash.clear();
                        faults.failing_flash = Some((op, Failing::Some(first, count)));
                    }
                    bench.device.clear_events();
                    let ended = bench.run(DAY, Site::over);
                    let done = bench.faults().flash.get(&op).copied().unwrap_or(0);
                    if ended == Ended::GaveUp {
                        // No key, no client: the device's program decides.
                        continue;
                    }
                    assert_eq!(ended, Ended::Reached, "{kind}, {op:?} {first} + {count}");
                    if done <= first {
                        println!("{kind}: {done} {op:?} operations");
                        break;
                    }
                    bench.faults().failing_flash = None;
                    bench.settle();
                    let found = found(&bench, &deployment);
                    assert!(is_true(&found), "{kind}, {op:?} {first} + {count}: {found:?}");
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} cases");
    assert!(cases > 100);
}

/// New firmware that was built without the module: nobody can look at what runs, or go back.
#[test]
fn new_firmware_without_the_module_is_marked() {
    for kind in ["firmware", "firmware-forward"] {
        for state in [
            "Entered(Install)",
            "Entered(Reboot)",
            "Entered(Commit)",
            "Entered(Failure)",
        ] {
            let (mut bench, deployment) = deployed(of_kind(kind, 2));
            if state == "Entered(Failure)" {
                bench.script().failing.insert("install");
            }
            bench.device.clear_events();
            assert_eq!(bench.run(HOUR, |site| site.has_event(state)), Ended::Reached);
            bench.script().bare = true;
            bench.device.clear_events();
            assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
            bench.settle();
            let found = found(&bench, &deployment);
            assert!(is_true(&found), "{kind} {state}: {found:?}");
            let begun = bench.calls().iter().any(|call| call == "install");
            let marked = found.2.as_deref() == Some("release-2_INCONSISTENT");
            assert_eq!(marked, begun, "{kind} {state}: {found:?} {:?}", bench.calls());
            let log = bench.log(&deployment);
            assert!(
                !marked || log.iter().any(|line| line.contains("has no update module")),
                "{log:?}"
            );
        }
    }
}

/// An installed record with an empty name, of a program that wrote it so.
#[test]
fn an_empty_name_is_none() {
    let (mut bench, _) = updated("app");
    let range = const { FlashRange::new(0..8192) };
    let mut storage = FlashStorage::new(bench.flash.partition(0..8192), range).unwrap();
    let record = [&[1, 0, 0, 0, 0, 13, 0, 0][..], b"artifact_name"].concat();
    embassy_futures::block_on(storage.write(RecordKey::Installed, &record)).unwrap();
    bench.clear_records();
    bench.device.clear_events();
    bench.run(HOUR, Site::idle);
    let polls = bench.requests(crate::support::NEXT_V1);
    assert!(
        polls
            .iter()
            .all(|poll| poll.target.contains("artifact_name=release-1&")),
        "{polls:?}"
    );
    assert_eq!(bench.inventory("artifact_name").as_deref(), Some("release-1"));
}

/// Provides that grow when they are written into a poll, one update after the other.
#[test]
fn no_provides_silence_the_device() {
    for mode in [Mode::Oss, Mode::Enterprise] {
        let mut bench = Bench::accepted(mode);
        for release in 2..=9 {
            let text = if release % 2 == 0 { "\u{1}" } else { "\"" }.repeat(40);
            let artifact = ArtifactWriter::new(&format!("release-{release}"), DEVICE_TYPE)
                .payload_type("app")
                .file("f", &[release])
                .provides(&format!("key.{release}"), &text)
                .write();
            let deployment = bench.deploy(artifact);
            bench.device.clear_events();
            assert_eq!(bench.run(DAY, Site::over), Ended::Reached, "{release}");
            let status = bench.status(&deployment);
            assert!(status.is_some_and(Status::is_final), "{release}: {status:?}");
            bench.device.clear_events();
            assert_eq!(bench.run(DAY, Site::idle), Ended::Reached, "{release}: polls go on");
        }
    }
}
