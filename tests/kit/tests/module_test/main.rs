//! The kit's test of update modules: correct modules pass, each flaw is found and named.

mod cell;
mod slots;
mod values;

use mender_testkit::module_test::Violation;

#[test]
fn a_module_with_two_slots_passes() {
    let summary = slots::test::<4, 1024>(slots::Flaw::None).run();
    println!("{summary}");
}

#[test]
fn a_module_without_reboot_passes() {
    println!("{}", values::test(values::Flaw::None).run());
}

#[test]
fn a_module_without_a_way_back_passes() {
    println!("{}", values::one_way().run());
}

fn slots_violation(flaw: slots::Flaw) -> Violation {
    let result = slots::test::<4, 1024>(flaw).try_run();
    let violation = *result.expect_err("the flaw is found");
    println!("{violation}");
    violation
}

fn values_violation(flaw: values::Flaw) -> Violation {
    let result = values::test(flaw).try_run();
    let violation = *result.expect_err("the flaw is found");
    println!("{violation}");
    violation
}

#[test]
fn flaws() {
    use slots::Flaw::*;
    for flaw in [
        ActivatesInDownload,
        ForgetsErase,
        ErasesOnlyIfTheFirstWordIsWritten,
        CommitsNothing,
        ConfirmsInInstall,
        DropsOldInCommit,
        FailureUndoesNothing,
        RollsBackNothing,
        DoesNotRestart,
    ] {
        println!("=== {flaw:?}");
        let t = std::time::Instant::now();
        slots_violation(flaw);
        println!("{:?}", t.elapsed());
    }
    for flaw in [
        values::Flaw::RollsBackNothing,
        values::Flaw::WritesInPlace,
        values::Flaw::DropsOldInCommit,
    ] {
        println!("=== {flaw:?}");
        values_violation(flaw);
    }
}
