//! Modules with one flaw each: it is found, by the right invariant, and the message says where and how to see it again.

use mender::update_module::CallbackState::{Install, Reboot, VerifyReboot};
use mender_testkit::flash::{CutAt, FlashError, Operation};
use mender_testkit::module_test::{Broken, Callback, Violation};

use crate::slots::Flaw;
use crate::{slots, values};

/// Runs the flawed module, then replays what was found: it must be the same again.
fn found(flaw: Flaw) -> Violation {
    let violation = *slots::test::<4, 1024>(flaw).try_run().expect_err("the flaw is found");
    let again = slots::test::<4, 1024>(flaw)
        .replay(&violation.case.to_string())
        .try_run();
    same(&violation, &again.expect_err("the replay finds it too"));
    violation
}

fn found_in_values(flaw: values::Flaw) -> Violation {
    let violation = *values::test(flaw).try_run().expect_err("the flaw is found");
    let again = values::test(flaw).replay(&violation.case.to_string()).try_run();
    same(&violation, &again.expect_err("the replay finds it too"));
    violation
}

fn same(first: &Violation, again: &Violation) {
    assert_eq!(first.to_string(), again.to_string());
    let replay = format!("  replay with: .replay(\"{}\")\n", first.case);
    assert!(first.to_string().contains(&replay), "{first}");
    assert!(!first.events.is_empty());
}

fn old_gone(violation: &Violation, found: &str) {
    let expected = Broken::FailureWithoutOld {
        runs: found.into(),
        expected: "Old".into(),
    };
    assert_eq!(violation.broken, expected, "{violation}");
}

#[test]
fn activating_in_the_download() {
    let violation = found(Flaw::ActivatesInDownload);
    let expected = Broken::ActiveTooEarly {
        runs: "New".into(),
        expected: "Old".into(),
    };
    assert_eq!(violation.broken, expected, "{violation}");
    assert!(
        violation
            .to_string()
            .starts_with("nothing may be active before `install`")
    );
}

#[test]
fn forgetting_the_erase() {
    let violation = found(Flaw::ForgetsErase);
    let Broken::NotUpdatable(broken) = &violation.broken else {
        panic!("{violation}");
    };
    assert!(
        matches!(**broken, Broken::Flash(FlashError::NotErased { .. })),
        "{violation}"
    );
    assert_eq!(violation.callback, Some(Callback::Download));
    assert!(violation.to_string().contains("erase what you write"), "{violation}");
}

/// What an interrupted erase leaves may read as erased.
#[test]
fn not_finishing_an_interrupted_erase() {
    let violation = found(Flaw::ErasesOnlyIfTheFirstWordIsWritten);
    assert!(
        matches!(violation.broken, Broken::Flash(FlashError::NotErased { .. })),
        "{violation}"
    );
    let [cut] = &violation.cuts[..] else {
        panic!("{violation}")
    };
    assert!(matches!(cut.operation, Some(Operation::Erase { .. })), "{violation}");
    assert_eq!(cut.state, "download");
    assert_eq!(cut.callback, Some(Callback::Download));
    let line = format!("{}, the erase of the sector at 0x", cut.cut);
    assert!(violation.to_string().contains(&line), "{violation}");
    assert!(
        violation
            .to_string()
            .contains("in state download, callback `download` at work")
    );
}

#[test]
fn committing_nothing() {
    let violation = found(Flaw::CommitsNothing);
    let expected = Broken::SuccessWithoutNew {
        runs: "Old".into(),
        expected: Some("New".into()),
    };
    assert_eq!(violation.broken, expected, "{violation}");
    assert_eq!(violation.case.scenario, "success (new board)");
}

#[test]
fn confirming_before_the_new_software_was_seen_to_work() {
    let violation = found(Flaw::ConfirmsInInstall);
    assert_eq!(violation.broken, Broken::Endless, "{violation}");
    assert_eq!(violation.case.scenario, "the new software hangs (new board)");
}

/// The module itself could still go back, but it does not come to that.
#[test]
fn relying_on_firmware_that_does_not_run() {
    let violation = found(Flaw::RequestsForGood);
    assert_eq!(violation.broken, Broken::Endless, "{violation}");
    assert_eq!(violation.case.scenario, "the new software hangs (new board)");
}

#[test]
fn writing_into_the_slot_that_runs_after_the_first_update() {
    let violation = found(Flaw::KnowsOneSlot);
    assert!(violation.case.scenario.ends_with(" (second update)"), "{violation}");
    assert!(matches!(violation.broken, Broken::ActiveTooEarly { .. }), "{violation}");
}

#[test]
fn taking_what_is_there_for_what_comes() {
    let violation = found(Flaw::KeepsWhatItHas);
    let expected = Broken::SuccessWithoutNew {
        runs: "New".into(),
        expected: Some("Next".into()),
    };
    assert_eq!(violation.broken, expected, "{violation}");
    assert_eq!(violation.case.scenario, "success (another one failed)");
}

#[test]
fn dropping_the_old_software_in_commit() {
    let violation = found(Flaw::DropsOldInCommit);
    old_gone(&violation, "Neither");
    assert_eq!(violation.case.scenario, "commit fails at its end");
}

#[test]
fn leaving_a_request_behind_in_failure() {
    let violation = found(Flaw::FailureUndoesNothing);
    old_gone(&violation, "New");
    assert_eq!(violation.case.scenario, "install fails at its end");
}

#[test]
fn a_rollback_that_does_nothing() {
    let violation = found(Flaw::RollsBackNothing);
    assert_eq!(violation.broken, Broken::NoWayBack, "{violation}");
    let violation = found_in_values(values::Flaw::RollsBackNothing);
    assert!(
        matches!(violation.broken, Broken::FailureWithoutOld { .. }),
        "{violation}"
    );
    assert_eq!(violation.case.scenario, "the server refuses the commit (new board)");
}

#[test]
fn a_restart_that_does_not_come() {
    let violation = found(Flaw::DoesNotRestart);
    assert_eq!(violation.broken, Broken::NoRestart, "{violation}");
    assert_eq!(violation.callback, Some(Callback::State(Reboot)));
}

#[test]
fn a_panic() {
    let violation = found(Flaw::Panics);
    assert_eq!(
        violation.broken,
        Broken::Panic("a module that panics".into()),
        "{violation}"
    );
    assert_eq!(violation.callback, Some(Callback::State(VerifyReboot)));
}

/// Only a power cut shows it, and only one within the write.
#[test]
fn writing_in_place() {
    let violation = found_in_values(values::Flaw::WritesInPlace);
    assert!(
        matches!(violation.broken, Broken::FailureWithoutOld { .. }),
        "{violation}"
    );
    let [cut] = &violation.cuts[..] else {
        panic!("{violation}")
    };
    assert!(matches!(cut.cut.at, CutAt::Within { .. }), "{violation}");
    assert_eq!(cut.operation, Some(Operation::Other));
    assert_eq!(cut.callback, Some(Callback::State(Install)));
}

#[test]
fn dropping_the_old_values_in_commit() {
    let violation = found_in_values(values::Flaw::DropsOldInCommit);
    assert!(
        matches!(violation.broken, Broken::FailureWithoutOld { .. }),
        "{violation}"
    );
    assert_eq!(violation.case.scenario, "commit fails at its end");
}

/// A module that looks at what it gets has to be given a second update that it can take.
#[test]
fn a_second_update_that_the_module_cannot_take() {
    let test = || values::test(values::Flaw::TakesOneContentOnly).payload([1; 9]);
    let violation = test().try_run().expect_err("the kit's own second payload is refused");
    assert_eq!(violation.case.scenario, "success (second update)");
    assert!(violation.to_string().contains("say `next_payload`"), "{violation}");
    let summary = test().next_payload([1; 10]).bound(50).run();
    assert!(summary.scenarios > 40, "{summary}");
}
