//! The kit's test of update modules: correct modules pass, each flaw is found and named.

mod cell;
mod flaws;
mod slots;
mod values;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use mender::UpdateModule;
use mender_testkit::flash::{FlashError, Operation};
use mender_testkit::module_test::{Broken, ModuleTest, Summary};

#[test]
fn a_module_with_two_slots_passes() {
    let test = slots::test::<4, 1024>(slots::Flaw::None);
    let summary = test.run();
    assert!(summary.scenarios > 60 && summary.deployments > 1000, "{summary}");
    assert!(summary.cuts > 950 && summary.second_cuts > 100, "{summary}");
    assert_eq!(summary.excused, 0);
    assert_eq!(summary.scenarios, test.scenarios().len() as u64);
}

#[test]
fn so_it_does_on_flash_written_by_the_byte() {
    let summary = slots::test::<1, 512>(slots::Flaw::None).seed(7).bound(400).run();
    assert!(summary.cuts >= 380, "{summary}");
}

#[test]
fn a_module_without_reboot_passes() {
    let summary = values::test(values::Flaw::None).run();
    assert!(summary.scenarios > 40 && summary.cuts > 950, "{summary}");
}

#[test]
fn a_module_without_a_way_back_passes() {
    let summary = values::one_way().run();
    assert!(summary.scenarios > 15 && summary.cuts > 500, "{summary}");
}

#[test]
fn equal_seeds_give_equal_runs_and_the_bound_holds() {
    let run = |seed, bound| values::test(values::Flaw::None).seed(seed).bound(bound).run();
    let first: Summary = run(3, 80);
    assert_eq!(first, run(3, 80));
    // Ten of them in the recovery from another.
    assert!((75..=80).contains(&first.cuts) && first.second_cuts >= 5, "{first}");
    assert!(first.left_out > 500, "{first}");
}

/// The bootloader writes nothing but the first two sectors, the firmware writes there too.
#[test]
fn an_excuse_knows_what_was_struck_and_who_was_at_work() {
    let asked: Arc<Mutex<BTreeSet<_>>> = Arc::default();
    let asking = Arc::clone(&asked);
    let test = slots::test::<4, 1024>(slots::Flaw::None).excuse(move |board| {
        let offset = match board.chip().cut_operation().expect("asked after a cut") {
            Operation::Write { offset, .. } | Operation::Erase { offset } => offset,
            Operation::Other => panic!("the module has no files"),
        };
        asking.lock().unwrap().insert((offset < 2048, board.is_booting()));
        false
    });
    let wanted = [(true, true), (true, false), (false, false)];
    test.run();
    assert_eq!(*asked.lock().unwrap(), wanted.into());
    // The same where a case is played from its beginning.
    asked.lock().unwrap().clear();
    let cuts = (1..40).map(|operation| format!("success (new board) / cut {operation} before"));
    for case in cuts {
        test.play_one(&case).unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), wanted.into());
}

#[test]
fn one_deployment_can_be_looked_at() {
    let test = slots::test::<4, 1024>(slots::Flaw::None);
    let events = test.play_one("success").unwrap();
    let has = |text: &str| events.iter().any(|event| event.contains(text));
    for text in [
        "boot 1, what runs: Old",
        "callback install",
        "reported: success",
        "what runs: New",
    ] {
        assert!(has(text), "{text}: {events:#?}");
    }
    assert_eq!(events, test.play_one("success").unwrap());
    let cut = test.play_one("success / cut 2 before / cut 1 after").unwrap();
    assert_eq!(
        cut.iter().filter(|event| event.ends_with("the power is cut")).count(),
        2
    );
}

fn panics<M: UpdateModule, const W: usize, const S: usize>(test: ModuleTest<M, W, S>) -> String {
    let run = std::panic::AssertUnwindSafe(|| test.run());
    let panic = std::panic::catch_unwind(run).expect_err("it panics");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| {
        let text = panic.downcast_ref::<&str>().expect("a text");
        (*text).to_owned()
    })
}

#[test]
fn wrong_use_is_explained() {
    let files = |board: &mender_testkit::module_test::Board| values::OneWay { files: board.files() };
    assert!(panics(ModuleTest::new(files)).starts_with("tell the test how to see which software runs"));
    let unknown = panics(values::one_way().replay("succes"));
    assert!(
        unknown.contains("no scenario `succes`") && unknown.contains("  success\n"),
        "{unknown}"
    );
    let no_cut = panics(values::one_way().replay("success / cut 1"));
    assert!(no_cut.contains("`cut 1` is no power cut"), "{no_cut}");
}

/// Power cuts that are not met again would not be played.
#[test]
fn a_module_that_does_not_do_the_same_again_is_found_out() {
    // The cuts have been counted, and some of them are played.
    let counted = Arc::new(AtomicBool::new(false));
    let counts = Arc::clone(&counted);
    let test = values::test(values::Flaw::None)
        .boot(move |board| {
            if counted.load(Ordering::Relaxed) {
                return Ok(());
            }
            match embassy_futures::poll_once(board.files().write("boots", &board.boots().to_le_bytes())) {
                Poll::Ready(()) => Ok(()),
                Poll::Pending => Err(FlashError::PowerLost),
            }
        })
        .excuse(move |_| {
            counts.store(true, Ordering::Relaxed);
            false
        });
    let text = panics(test);
    assert!(
        text.contains("has other power cuts than when it was played before"),
        "{text}"
    );
}

#[test]
fn what_a_bootloader_gets_along_without_is_not_the_modules() {
    let test = slots::test::<4, 1024>(slots::Flaw::None).boot(|board| {
        slots::boot(board)?;
        assert!(board.chip().write_now(1, &[0; 4]).is_err());
        Ok(())
    });
    let summary = test.bound(50).run();
    assert!(summary.cuts > 40, "{summary}");
}

#[test]
fn a_module_that_does_nothing_changes_nothing() {
    let violation = values::one_way().observe(|_| "the same").try_run().unwrap_err();
    assert!(
        matches!(&violation.broken, Broken::SuccessWithoutNew { expected: None, .. }),
        "{violation}"
    );
}
