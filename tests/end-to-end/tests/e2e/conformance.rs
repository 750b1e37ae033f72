//! The tables of the behaviour of clients, row by row (sections 5, 6, 7 and 10): for each kind of module what follows when a
//! callback fails, when the module has none, when power is lost in it, and when the operator aborts. `tests/CONFORMANCE.md` says
//! which other tests hold which rule.

use std::sync::Arc;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::network::lock;
use mender_testkit::server::{DeploymentId, Mode, RequestRecord, Status};

use crate::support::{AUTH, Bench, Crash, DEVICE_TYPE, Ended, HOUR, Site, once, run_lacking, small_file, status_path};

const OLD: &str = "release-1";
const NEW: &str = "release-2";
const INCONSISTENT: &str = "release-2_INCONSISTENT";

/// What the words in capitals stand for.
const SHORT: [(&str, &str); 7] = [
    // Callbacks: up to the first one of software that is started by a reboot; and three ends.
    ("START", "download install reboot verify_reboot"),
    (
        "BACK",
        "rollback rollback_reboot rollback_verify_reboot failure cleanup",
    ),
    ("UNDONE", "rollback failure cleanup"),
    ("LOST", "failure cleanup"),
    // Statuses: up to the commit gate without a reboot and with one, and before that one.
    ("GATE", "downloading installing installing"),
    ("GATE2", "downloading installing rebooting installing"),
    ("REBOOTED", "downloading installing rebooting"),
];

fn release(payload_type: &str) -> Vec<u8> {
    ArtifactWriter::new(NEW, DEVICE_TYPE)
        .payload_type(payload_type)
        .file("file", &small_file(700))
        .write()
}

/// The rows of a table of so many columns.
fn rows<const COLUMNS: usize>(table: &'static str) -> Vec<[&'static str; COLUMNS]> {
    let rows = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        columns.try_into().unwrap_or_else(|_| panic!("wrong columns: {row}"))
    })
    .collect()
}

/// Words, in full.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace()
        .flat_map(|word| {
            let long = SHORT.iter().find(|(short, _)| *short == word);
            long.map_or(word, |(_, long)| *long).split(' ')
        })
        .collect()
}

/// Callbacks that fail.
fn callbacks(text: &'static str) -> std::collections::BTreeSet<&'static str> {
    text.split_whitespace().filter(|word| *word != "-").collect()
}

fn name_of(word: &str) -> &'static str {
    match word {
        "old" => OLD,
        "new" => NEW,
        "inconsistent" => INCONSISTENT,
        other => panic!("{other}"),
    }
}

/// Every status that the server took, immediate repetitions too.
fn reports(bench: &Bench, deployment: &DeploymentId) -> Vec<String> {
    let id = bench.id();
    let server = lock(&bench.server);
    let on_device = server.device_deployment(deployment, &id).expect("it was offered");
    let status = |report: &mender_testkit::server::StatusReport| report.status.as_str().to_owned();
    on_device.reports.iter().map(status).collect()
}

/// The name that the device has after one more start.
fn name(bench: &mut Bench) -> String {
    bench.settle();
    bench.inventory("artifact_name").expect("it is always sent")
}

/// Kind of module, callbacks that fail; the callbacks made, the statuses, and whose name the device has in the end.
const FAILING: &str = "
# Neither reboot nor rollback.
app              | -                      | download install commit cleanup | GATE success                   | new
app              | download               | download cleanup                | downloading failure            | old
app              | install                | download install LOST           | downloading installing failure | inconsistent
app              | commit                 | download install commit LOST    | GATE failure                   | inconsistent
app              | commit failure         | download install commit LOST    | GATE failure                   | inconsistent
app              | commit cleanup         | download install commit LOST    | GATE failure                   | inconsistent
app              | cleanup                | download install commit cleanup | GATE success                   | new
# Rollback, but no reboot.
app-back         | -                      | download install commit cleanup | GATE success                   | new
app-back         | download               | download cleanup                | downloading failure            | old
app-back         | install                | download install UNDONE         | downloading installing failure | old
app-back         | install rollback       | download install UNDONE         | downloading installing failure | inconsistent
app-back         | commit                 | download install commit UNDONE  | GATE failure                   | old
app-back         | commit rollback        | download install commit UNDONE  | GATE failure                   | inconsistent
app-back         | commit failure         | download install commit UNDONE  | GATE failure                   | old
app-back         | commit cleanup         | download install commit UNDONE  | GATE failure                   | old
app-back         | cleanup                | download install commit cleanup | GATE success                   | new
# Reboot, but no rollback.
firmware-forward | -                      | START commit cleanup            | GATE2 success                  | new
firmware-forward | download               | download cleanup                | downloading failure            | old
firmware-forward | install                | download install LOST           | downloading installing failure | old
firmware-forward | reboot                 | download install reboot LOST    | REBOOTED failure               | inconsistent
firmware-forward | verify_reboot          | START LOST                      | REBOOTED failure               | inconsistent
firmware-forward | commit                 | START commit LOST               | GATE2 failure                  | inconsistent
firmware-forward | commit failure         | START commit LOST               | GATE2 failure                  | inconsistent
firmware-forward | commit cleanup         | START commit LOST               | GATE2 failure                  | inconsistent
firmware-forward | cleanup                | START commit cleanup            | GATE2 success                  | new
# Both.
firmware         | -                      | START commit cleanup            | GATE2 success                  | new
firmware         | download               | download cleanup                | downloading failure            | old
firmware         | install                | download install LOST           | downloading installing failure | old
firmware         | install failure        | download install LOST           | downloading installing failure | old
firmware         | reboot                 | download install reboot BACK    | REBOOTED failure               | old
firmware         | verify_reboot          | START BACK                      | REBOOTED failure               | old
firmware         | verify_reboot rollback | START rollback LOST             | REBOOTED failure               | inconsistent
firmware         | commit                 | START commit BACK               | GATE2 failure                  | old
firmware         | commit rollback        | START commit rollback LOST      | GATE2 failure                  | inconsistent
firmware         | commit failure         | START commit BACK               | GATE2 failure                  | old
firmware         | commit cleanup         | START commit BACK               | GATE2 failure                  | old
firmware         | cleanup                | START commit cleanup            | GATE2 success                  | new
";

/// The transition table. (A rebooting module's failed `install` is not rolled back, as in mender-mcu; where there is no reboot
/// between the old software and the new, it is, as in the Linux client.)
#[test]
fn a_callback_that_fails() {
    for [kind, failing, calls, statuses, expected] in rows(FAILING) {
        let what = format!("{kind}, failing {failing}");
        let mut bench = Bench::accepted(Mode::Oss);
        bench.script().failing = callbacks(failing);
        let deployment = bench.deploy(release(kind));
        bench.run_to_end();
        assert_eq!(bench.calls(), words(calls), "{what}");
        assert_eq!(reports(&bench, &deployment), words(statuses), "{what}");
        assert_eq!(name(&mut bench), name_of(expected), "{what}");
        bench.assert_clean();
    }
}

/// The restart back, or the look at what runs after it, fails each time: both are tried again until there were too many transitions.
#[test]
fn a_way_back_that_fails_is_tried_again_until_the_limit() {
    for failing in ["rollback_reboot", "rollback_verify_reboot"] {
        let mut bench = Bench::accepted(Mode::Oss);
        bench.script().failing = ["commit", failing].into();
        let deployment = bench.deploy(release("firmware"));
        bench.run_to_end();
        let calls = bench.calls();
        let begin = words("START commit rollback");
        let (first, rest) = calls.split_at(begin.len());
        assert_eq!(first, begin, "{failing}");
        let (tries, end) = rest.split_at(rest.len() - 2);
        assert_eq!(end, words("LOST"), "{failing}");
        let one = words("rollback_reboot rollback_verify_reboot");
        assert!(tries.chunks(2).all(|pair| pair == one), "{failing}: {tries:?}");
        // Each try is two transitions, and a third where the device restarts.
        let count = tries.len() / 2;
        let limit = usize::from(bench.config.transition_limit);
        assert!((limit / 4..=limit / 2).contains(&count), "{failing}: {count}");
        assert_eq!(reports(&bench, &deployment), words("GATE2 failure"), "{failing}");
        assert_eq!(name(&mut bench), INCONSISTENT, "{failing}");
    }
}

/// Kind of module, the callback that it lacks, one that fails; the callbacks made, the statuses, how often the client restarts the
/// device itself, and whose name the device has in the end.
const MISSING: &str = "
app              | install                | -      | download commit cleanup                                              | GATE success     | 0 | new
app              | commit                 | -      | download install cleanup                                             | GATE success     | 0 | new
app              | cleanup                | -      | download install commit                                              | GATE success     | 0 | new
app              | failure                | commit | download install commit cleanup                                      | GATE failure     | 0 | inconsistent
app-back         | install                | -      | download commit cleanup                                              | GATE success     | 0 | new
app-back         | commit                 | -      | download install cleanup                                             | GATE success     | 0 | new
app-back         | cleanup                | -      | download install commit                                              | GATE success     | 0 | new
app-back         | rollback               | commit | download install commit LOST                                         | GATE failure     | 0 | old
app-back         | failure                | commit | download install commit rollback cleanup                             | GATE failure     | 0 | old
# Nothing asks for the swap, so the old software is found.
firmware-forward | install                | -      | download reboot verify_reboot LOST                                   | REBOOTED failure | 0 | inconsistent
firmware-forward | reboot                 | -      | download install verify_reboot commit cleanup                        | GATE2 success    | 1 | new
firmware-forward | verify_reboot          | -      | download install reboot commit cleanup                               | GATE2 success    | 0 | new
firmware-forward | commit                 | -      | START cleanup                                                        | GATE2 success    | 0 | new
firmware-forward | cleanup                | -      | START commit                                                         | GATE2 success    | 0 | new
firmware-forward | failure                | commit | START commit cleanup                                                 | GATE2 failure    | 0 | inconsistent
firmware         | install                | -      | download reboot verify_reboot BACK                                   | REBOOTED failure | 0 | old
firmware         | reboot                 | -      | download install verify_reboot commit cleanup                        | GATE2 success    | 1 | new
firmware         | verify_reboot          | -      | download install reboot commit cleanup                               | GATE2 success    | 0 | new
firmware         | commit                 | -      | START cleanup                                                        | GATE2 success    | 0 | new
firmware         | cleanup                | -      | START commit                                                         | GATE2 success    | 0 | new
firmware         | rollback               | commit | START commit rollback_reboot rollback_verify_reboot LOST             | GATE2 failure    | 0 | old
firmware         | rollback_reboot        | commit | START commit rollback rollback_verify_reboot LOST                    | GATE2 failure    | 1 | old
firmware         | rollback_verify_reboot | commit | START commit rollback rollback_reboot LOST                           | GATE2 failure    | 0 | old
firmware         | failure                | commit | START commit rollback rollback_reboot rollback_verify_reboot cleanup | GATE2 failure    | 0 | old
";

/// A missing callback counts as success, without exception: where a restart is missing, the client restarts the device. (Weakness
/// 15 of mender-mcu is a crash there.)
#[test]
fn a_callback_that_is_missing() {
    for [kind, lacks, failing, calls, statuses, restarts, expected] in rows(MISSING) {
        let what = format!("{kind} without {lacks}, failing {failing}");
        let mut bench = Bench::accepted(Mode::Oss);
        bench.script().failing = callbacks(failing);
        let deployment = bench.deploy(release(&format!("{kind}-without-{lacks}")));
        bench.device.clear_events();
        assert_eq!(run_lacking(&mut bench, kind, lacks), Ended::Reached, "{what}");
        assert_eq!(bench.calls(), words(calls), "{what}");
        assert_eq!(reports(&bench, &deployment), words(statuses), "{what}");
        assert_eq!(bench.device.restarts().to_string(), restarts, "{what}");
        assert_eq!(name(&mut bench), name_of(expected), "{what}");
        bench.assert_clean();
    }
}

/// Kind of module, callback that fails, callback in which power is lost, and when: before it did anything, after it did all, or
/// either; the callbacks after the start, the verdict, and whose name the device has in the end.
///
/// - A loss in the download leaves nothing: the server offers the deployment again.
/// - A bootloader reverts what was not confirmed, so after a loss in `verify_reboot` or `commit` the old software may run already.
/// - Without a way back, a module that may have touched something leaves doubt.
const CUT: &str = "
app              | -       | download               | both   | download install commit cleanup | success | new
app              | -       | install                | both   | LOST                            | failure | inconsistent
app              | -       | commit                 | both   | LOST                            | failure | inconsistent
app              | -       | cleanup                | both   | cleanup                         | success | new
app              | commit  | failure                | both   | LOST                            | failure | inconsistent
app              | commit  | cleanup                | both   | LOST                            | failure | inconsistent
app-back         | -       | download               | both   | download install commit cleanup | success | new
app-back         | -       | install                | both   | UNDONE                          | failure | old
app-back         | -       | commit                 | both   | UNDONE                          | failure | old
app-back         | -       | cleanup                | both   | cleanup                         | success | new
app-back         | commit  | rollback               | both   | UNDONE                          | failure | old
app-back         | commit  | failure                | both   | LOST                            | failure | old
app-back         | commit  | cleanup                | both   | LOST                            | failure | old
firmware-forward | -       | download               | both   | START commit cleanup            | success | new
firmware-forward | -       | install                | before | verify_reboot LOST              | failure | inconsistent
firmware-forward | -       | install                | after  | verify_reboot commit cleanup    | success | new
firmware-forward | -       | reboot                 | both   | verify_reboot commit cleanup    | success | new
firmware-forward | -       | verify_reboot          | both   | verify_reboot LOST              | failure | inconsistent
firmware-forward | -       | commit                 | both   | LOST                            | failure | inconsistent
firmware-forward | -       | cleanup                | both   | cleanup                         | success | new
firmware-forward | commit  | failure                | both   | LOST                            | failure | inconsistent
firmware-forward | install | failure                | both   | LOST                            | failure | inconsistent
firmware         | -       | download               | both   | START commit cleanup            | success | new
firmware         | -       | install                | before | verify_reboot BACK              | failure | old
firmware         | -       | install                | after  | verify_reboot commit cleanup    | success | new
firmware         | -       | reboot                 | both   | verify_reboot commit cleanup    | success | new
firmware         | -       | verify_reboot          | both   | verify_reboot BACK              | failure | old
firmware         | -       | commit                 | both   | BACK                            | failure | old
firmware         | -       | cleanup                | both   | cleanup                         | success | new
firmware         | commit  | rollback               | both   | BACK                            | failure | old
firmware         | commit  | rollback_reboot        | both   | rollback_verify_reboot LOST     | failure | old
firmware         | commit  | rollback_verify_reboot | both   | rollback_verify_reboot LOST     | failure | old
firmware         | commit  | failure                | both   | rollback_verify_reboot LOST     | failure | old
firmware         | commit  | cleanup                | both   | rollback_verify_reboot LOST     | failure | old
firmware         | install | failure                | both   | rollback_verify_reboot LOST     | failure | old
";

/// The power-loss table. Where mender-mcu is wrong (a second restart that reverts good software, `failure` for an image that stays)
/// it is not followed.
#[test]
fn power_is_lost_in_a_callback() {
    for [kind, failing, state, when, calls, verdict, expected] in rows(CUT) {
        let crashes: &[Crash] = match when {
            "before" => &[Crash::Before],
            "after" => &[Crash::After],
            _ => &[Crash::Before, Crash::After],
        };
        for crash in crashes {
            let what = format!("{kind}, failing {failing}: {crash:?} {state}");
            let mut bench = Bench::accepted(Mode::Oss);
            bench.script().failing = callbacks(failing);
            bench.script().crash = Some((state, *crash));
            let deployment = bench.deploy(release(kind));
            bench.run_to_end();
            let made = bench.calls();
            let cut = made.iter().position(|call| call == state).expect("it is called");
            assert_eq!(made[cut + 1..], words(calls), "{what}");
            assert_eq!(bench.status(&deployment).map(Status::as_str), Some(verdict), "{what}");
            assert_eq!(name(&mut bench), name_of(expected), "{what}");
            bench.assert_clean();
        }
    }
}

/// No callback of a kind of module is forgotten in the tables.
#[test]
fn each_callback_of_each_kind_has_its_rows() {
    for (kind, states) in [
        ("app", "install commit cleanup failure"),
        ("app-back", "install commit cleanup rollback failure"),
        (
            "firmware-forward",
            "install reboot verify_reboot commit cleanup failure",
        ),
        (
            "firmware",
            "install reboot verify_reboot commit cleanup rollback rollback_reboot rollback_verify_reboot failure",
        ),
    ] {
        for state in states.split(' ') {
            let fails = rows(FAILING)
                .iter()
                .any(|[of, failing, ..]: &[_; 5]| *of == kind && words(failing).contains(&state));
            // Those two go round until the limit: they have a test of their own.
            let goes_round = state == "rollback_reboot" || state == "rollback_verify_reboot";
            assert!(fails || goes_round, "{kind}: {state} never fails");
            let lacks = rows(MISSING)
                .iter()
                .any(|[of, lacks, ..]: &[_; 7]| *of == kind && *lacks == state);
            assert!(lacks, "{kind}: {state} is never missing");
            for when in ["before", "after"] {
                let cut = rows(CUT).iter().any(|[of, _, at, crash, ..]: &[_; 7]| {
                    *of == kind && *at == state && (*crash == when || *crash == "both")
                });
                assert!(cut, "{kind}: no power is lost {when} {state}");
            }
        }
    }
}

/// Kind of module, how many reports the server takes before the abort; the callbacks made, and whose name the device has.
const ABORTED: &str = "
app-back         | 0 |                                 | old
app-back         | 1 | download LOST                   | old
app-back         | 2 | download install UNDONE         | old
app-back         | 3 | download install commit cleanup | new
firmware-forward | 0 |                                 | old
firmware-forward | 1 | download LOST                   | old
firmware-forward | 2 | download install LOST           | inconsistent
firmware-forward | 3 | START LOST                      | inconsistent
firmware-forward | 4 | START commit cleanup            | new
";

/// The abort table of the modules with half a way back. The others: `reports`.
#[test]
fn an_abort_by_kind_of_module() {
    for [kind, heard, calls, expected] in rows(ABORTED) {
        let what = format!("{kind}, aborted after {heard} reports");
        let heard: usize = heard.parse().unwrap();
        let mut bench = Bench::accepted(Mode::Oss);
        let deployment = bench.deploy(release(kind));
        let (id, aborted, counted) = (bench.id(), deployment.clone(), deployment.clone());
        let abort = once(
            move |site| {
                let server = lock(&site.server);
                let on_device = server.device_deployment(&counted, &id);
                on_device.is_some_and(|on_device| on_device.reports.len() == heard)
            },
            move |site| site.abort(&aborted),
            Site::over,
        );
        bench.device.clear_events();
        assert_eq!(bench.run(HOUR, abort), Ended::Reached, "{what}");
        assert_eq!(bench.calls(), words(calls), "{what}");
        assert_eq!(bench.status(&deployment), Some(Status::Aborted), "{what}");
        // What is said after the abort changes nothing.
        assert_eq!(reports(&bench, &deployment).len(), heard, "{what}");
        assert_eq!(name(&mut bench), name_of(expected), "{what}");
    }
}

/// Kind of module, callback that fails, callback; what the server has heard when this one is called.
const HEARD: &str = "
app-back | -      | download               | downloading
app-back | -      | install                | downloading installing
app-back | -      | commit                 | GATE
app-back | -      | cleanup                | GATE success
app-back | commit | rollback               | GATE
app-back | commit | failure                | GATE failure
app-back | commit | cleanup                | GATE failure
firmware | -      | download               | downloading
firmware | -      | install                | downloading installing
firmware | -      | reboot                 | REBOOTED
firmware | -      | verify_reboot          | REBOOTED
firmware | -      | commit                 | GATE2
firmware | -      | cleanup                | GATE2 success
firmware | commit | rollback               | GATE2
firmware | commit | rollback_reboot        | GATE2
firmware | commit | rollback_verify_reboot | GATE2
firmware | commit | failure                | GATE2 failure
firmware | commit | cleanup                | GATE2 failure
";

/// A device whose deployment is stopped in this callback, the first time that it is made.
fn stopped_in(kind: &str, failing: &'static str, state: &'static str) -> (Bench, DeploymentId) {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.script().failing = callbacks(failing);
    let deployment = bench.deploy(release(kind));
    // The device restarts there, and is looked at before it says more.
    bench.script().crash = Some((state, Crash::Before));
    let script = Arc::clone(&bench.script);
    let is_there = move |_: &Site| script.lock().unwrap().crash.is_none();
    assert_eq!(
        bench.run(HOUR, is_there),
        Ended::Reached,
        "{kind}, failing {failing}: {state}"
    );
    (bench, deployment)
}

/// The order of statuses and callbacks: what is about to be done is said before, and so are the verdicts, before the module's last
/// words.
#[test]
fn a_status_comes_before_its_callback() {
    for [kind, failing, state, heard] in rows(HEARD) {
        let (bench, deployment) = stopped_in(kind, failing, state);
        assert_eq!(
            reports(&bench, &deployment),
            words(heard),
            "{kind}, failing {failing}: {state}"
        );
    }
}

/// With and without a reboot: a login of its own, and `installing` once more, before `commit` is called.
#[test]
fn the_gate_is_passed_before_the_commit() {
    for kind in ["app-back", "firmware"] {
        let (bench, deployment) = stopped_in(kind, "-", "commit");
        let logins = bench.requests(AUTH);
        assert_eq!(logins.len(), 2, "{kind}");
        let reports = bench.requests(&status_path(&deployment));
        let [.., before, last] = &reports[..] else {
            panic!("{kind}: too few reports");
        };
        let requests = lock(&bench.server).requests().to_vec();
        let place = |wanted: &RequestRecord| {
            requests
                .iter()
                .position(|request| request == wanted)
                .expect("it was recorded")
        };
        assert!(
            place(before) < place(&logins[1]) && place(&logins[1]) < place(last),
            "{kind}"
        );
    }
}
