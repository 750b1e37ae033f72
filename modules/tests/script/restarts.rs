//! Clients that are killed at any call, and what the next one makes of it.
//!
//! The client is another process: this program, with the one test that is a client. The module itself kills it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mender::deployment::{Action, Event};
use mender::update_module::CallbackState;

use crate::deploy::{Storage, deploy};
use crate::rig::{Device, LONG, MODULE, Rig, is_running};

/// The folder of a rig, for the client.
const RIG: &str = "MENDER_SCRIPT_RIG";

/// The software is a file. With it are the variables `REBOOT` (an answer) and `POINT`, `HOW` (at which call the client is killed).
const BODY: &str = r#"
. "$AT/settings"
kill_client() {
    test "$STATE" = "$POINT" && test ! -e "$AT/killed" || return 0
    touch "$AT/killed"
    kill -9 $PPID
}
STATE="$1"
case "$HOW" in
before) kill_client ;;
esac
if test "$HOW" = stays && test "$STATE" = "$POINT" && test ! -e "$AT/killed"; then
    # It goes on without its client, and would spoil what comes.
    sleep 1000 &
    echo $$ $! >"$AT/leftover"
    kill_client
    wait || true
    echo spoilt >"$AT/software"
fi
case "$1" in
SupportsRollback) echo Yes ;;
NeedsArtifactReboot) echo "$REBOOT" ;;
ArtifactInstall)
    cp "$AT/software" tmp/old.new
    mv tmp/old.new tmp/old
    echo new >"$AT/software"
    ;;
ArtifactRollback) test ! -e tmp/old || cp tmp/old "$AT/software" ;;
esac
case "$HOW" in
after) kill_client ;;
esac"#;

/// What makes a flow.
#[derive(Clone, Copy, Debug)]
struct Flow {
    reboot: &'static str,
    commits: bool,
}

/// The new software does not reach the server.
fn is_not_committed(action: Action, event: Event) -> Event {
    match action {
        Action::CommitGate => Event::Failed,
        _ => event,
    }
}

/// The client, in a process of its own. Nothing where no other test asks for it.
#[test]
fn client() {
    let Some(at) = std::env::var_os(RIG).map(PathBuf::from) else {
        return;
    };
    let rig = Rig::again(&at);
    let commits = rig.read("settings").contains("COMMITS=true");
    let mut device = rig.start();
    let mut payload = rig.payload(&[("one", b"1")]);
    let storage = Storage::new(&at);
    let verdict = deploy(&mut device, MODULE, &mut payload, &storage, |action, event| {
        if commits {
            event
        } else {
            is_not_committed(action, event)
        }
    });
    if let Some(verdict) = verdict {
        fs::write(at.join("verdict"), format!("{verdict:?}")).unwrap();
    }
}

impl Flow {
    /// Plays it with a kill. Gives the calls, and whether there was one at which the client was killed.
    fn play(self, point: &str, how: &str) -> (Vec<String>, bool) {
        let case = format!("{self:?} {point} {how}");
        let rig = Rig::with_module(BODY);
        let at = rig.at();
        fs::write(at.join("software"), "old\n").unwrap();
        let settings = format!(
            "REBOOT={}\nCOMMITS={}\nPOINT={point}\nHOW={how}\n",
            self.reboot, self.commits
        );
        fs::write(at.join("settings"), settings).unwrap();
        let mut starts = 0;
        while !at.join("verdict").exists() {
            starts += 1;
            assert!(starts < 6, "{case}: {:?}", rig.calls());
            let client = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "restarts::client"])
                .env(RIG, &at)
                .stdout(Stdio::null())
                .status()
                .unwrap();
            // Only what kills it ends it early.
            assert!(client.success() || client.code().is_none(), "{case}: {client}");
        }
        let calls = rig.calls();
        let software = rig.read("software");
        match rig.read("verdict").as_str() {
            "Success" => assert_eq!(software, "new\n", "{case}: {calls:?}"),
            _ => assert_eq!(software, "old\n", "{case}: {calls:?}"),
        }
        assert!(!Storage::new(&at).is_inconsistent(), "{case}: {calls:?}");
        assert!(!rig.tree().exists(), "{case}");
        assert_eq!(calls.last().map(String::as_str), Some("Cleanup"), "{case}");
        let left = fs::read_dir(rig.settings.work.join("payloads/0000")).unwrap();
        assert_eq!(left.count(), 0, "{case}");
        if let Ok(leftover) = fs::read_to_string(at.join("leftover")) {
            assert_eq!(leftover.split_whitespace().find(|id| is_running(id)), None, "{case}");
        }
        (calls, at.join("killed").exists())
    }
}

#[track_caller]
fn every_kill(flow: Flow, expected: &[&str]) {
    let (calls, killed) = flow.play("nowhere", "never");
    assert!(!killed);
    assert_eq!(calls, expected, "{flow:?}");
    for point in calls {
        for how in ["before", "after", "stays"] {
            let (_, killed) = flow.play(&point, how);
            assert!(killed, "{flow:?} {point} {how}");
        }
    }
}

const DOWNLOAD: [&str; 5] = [
    "ProvidePayloadFileSizes",
    "Download",
    "SupportsRollback",
    "ArtifactInstall",
    "NeedsArtifactReboot",
];

fn calls(rest: &[&'static str]) -> Vec<&'static str> {
    [&DOWNLOAD, rest].concat()
}

#[test]
fn of_a_success_without_a_restart() {
    let flow = Flow {
        reboot: "No",
        commits: true,
    };
    every_kill(flow, &calls(&["ArtifactCommit", "Cleanup"]));
}

#[test]
fn of_a_success_with_the_modules_own_restart() {
    let flow = Flow {
        reboot: "Yes",
        commits: true,
    };
    let rest = ["ArtifactReboot", "ArtifactVerifyReboot", "ArtifactCommit", "Cleanup"];
    every_kill(flow, &calls(&rest));
}

#[test]
fn of_a_success_with_the_devices_restart() {
    let flow = Flow {
        reboot: "Automatic",
        commits: true,
    };
    let rest = ["ArtifactVerifyReboot", "ArtifactCommit", "Cleanup"];
    every_kill(flow, &calls(&rest));
}

#[test]
fn of_a_rollback_without_a_restart() {
    let flow = Flow {
        reboot: "No",
        commits: false,
    };
    every_kill(flow, &calls(&["ArtifactRollback", "ArtifactFailure", "Cleanup"]));
}

#[test]
fn of_a_rollback_with_the_modules_own_restart() {
    let flow = Flow {
        reboot: "Yes",
        commits: false,
    };
    let rest = [
        "ArtifactReboot",
        "ArtifactVerifyReboot",
        "ArtifactRollback",
        "ArtifactRollbackReboot",
        "ArtifactVerifyRollbackReboot",
        "ArtifactFailure",
        "Cleanup",
    ];
    every_kill(flow, &calls(&rest));
}

#[test]
fn of_a_rollback_with_the_devices_restart() {
    let flow = Flow {
        reboot: "Automatic",
        commits: false,
    };
    let rest = [
        "ArtifactVerifyReboot",
        "ArtifactRollback",
        "ArtifactVerifyRollbackReboot",
        "ArtifactFailure",
        "Cleanup",
    ];
    every_kill(flow, &calls(&rest));
}

#[test]
fn a_cut_in_the_install_is_rolled_back_with_the_restart_that_the_module_wants() {
    let rest = ["ArtifactFailure", "Cleanup"];
    for (reboot, restart) in [
        ("No", &[][..]),
        ("Yes", &["ArtifactRollbackReboot", "ArtifactVerifyRollbackReboot"]),
        ("Automatic", &["ArtifactVerifyRollbackReboot"]),
    ] {
        let flow = Flow { reboot, commits: true };
        let expected = [&DOWNLOAD, &["ArtifactRollback"][..], restart, &rest].concat();
        assert_eq!(
            flow.play("ArtifactInstall", "before"),
            (owned(&expected), true),
            "{reboot}"
        );
    }
}

fn owned(calls: &[&str]) -> Vec<String> {
    calls.iter().map(|call| String::from(*call)).collect()
}

/// After a download, with these answers.
fn downloaded(rig: &Rig, rollback: &str) -> Device {
    rig.module(
        MODULE,
        &format!("test \"$1\" != SupportsRollback || echo {rollback}\ntest \"$1\" != NeedsArtifactReboot || cat \"$AT/reboot\""),
    );
    fs::write(rig.at().join("reboot"), "Yes\n").unwrap();
    let mut device = rig.start();
    device.download(&rig.payload(&[])).unwrap();
    device
}

/// The flags of the module at a start: requires a reboot, supports a rollback.
fn flags(rig: &Rig) -> (bool, bool) {
    use mender::update_module::ModuleSet;
    let mut device = rig.start();
    let [table] = device.scripts.descriptors() else {
        panic!()
    };
    (table.requires_reboot, table.supports_rollback)
}

#[test]
fn the_next_start_knows_what_the_module_said() {
    for (rollback, supports) in [("Yes", true), ("No", false)] {
        let rig = Rig::new();
        let mut device = downloaded(&rig, rollback);
        assert_eq!(flags(&rig), (false, supports));
        device.call(CallbackState::Install).unwrap();
        rig.calls();
        assert_eq!(flags(&rig), (true, supports));
        // It was not asked again.
        assert!(rig.calls().is_empty());
        device.call(CallbackState::Cleanup).unwrap();
        assert_eq!(flags(&rig), (false, false));
    }
}

/// A device that restarted in the middle of `ArtifactInstall`: nothing was answered, and nothing runs.
fn cut_in_install(rig: &Rig) {
    drop(downloaded(rig, "Yes"));
    let answers = rig.settings.work.join("payloads/0000/answers");
    let text = fs::read_to_string(&answers).unwrap();
    fs::write(answers, text + "install begun\n").unwrap();
    rig.calls();
}

#[test]
fn a_module_that_was_cut_in_its_install_is_asked_then() {
    for (answer, expected) in [("Yes", true), ("Automatic", true), ("No", false), ("", false)] {
        let rig = Rig::new();
        cut_in_install(&rig);
        fs::write(rig.at().join("reboot"), answer).unwrap();
        assert_eq!(flags(&rig), (expected, true), "{answer}");
        assert_eq!(rig.calls(), ["NeedsArtifactReboot"]);
        // Once.
        assert_eq!(flags(&rig), (expected, true));
        assert!(rig.calls().is_empty());
    }
}

#[test]
fn one_that_cannot_say_it_is_taken_to_need_a_restart_of_the_device() {
    let mut rig = Rig::new();
    let mark = rig.at().join("restarts");
    rig.settings.reboot = vec!["touch".into(), mark.clone().into()];
    cut_in_install(&rig);
    fs::write(rig.at().join("reboot"), "Who knows").unwrap();
    assert_eq!(flags(&rig), (true, true));
    let notes = rig.notes.take();
    let text = "the device is taken to need a restart: NeedsArtifactReboot: answered \"Who knows\"";
    assert!(notes.len() == 1 && notes[0].starts_with(text), "{notes:?}");
    rig.start().call(CallbackState::RollbackReboot).unwrap();
    assert!(mark.exists());
}

#[test]
fn damaged_answers_are_told_and_are_none() {
    let rig = Rig::new();
    drop(downloaded(&rig, "Yes"));
    fs::write(rig.settings.work.join("payloads/0000/answers"), "?").unwrap();
    assert_eq!(flags(&rig), (false, false));
    let notes = rig.notes.take();
    assert!(
        notes.len() == 1 && notes[0].starts_with("what an update module answered is lost"),
        "{notes:?}"
    );
    // The next update is not held up by them.
    drop(downloaded(&rig, "Yes"));
    assert_eq!(flags(&rig), (false, true));
}

#[test]
fn a_file_that_no_process_has_open_ends_nothing() {
    let rig = Rig::new();
    let mut device = downloaded(&rig, "Yes");
    let running = rig.settings.work.join("payloads/0000/running");
    fs::write(rig.at().join("input"), "").unwrap();
    let input = fs::File::open(rig.at().join("input")).unwrap();
    let mut other = Command::new("sleep")
        .arg("1000")
        .stdin(input)
        .process_group(0)
        .spawn()
        .unwrap();
    fs::write(&running, "").unwrap();
    device.call(CallbackState::Commit).unwrap();
    assert!(!running.exists());
    assert_eq!(other.try_wait().unwrap(), None);
    assert_eq!(rig.notes.take(), [""; 0]);
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn what_runs_on_is_told_to_end_and_then_made_to() {
    let mut rig = Rig::new();
    rig.settings.grace = Duration::from_secs(2);
    let mut device = downloaded(&rig, "Yes");
    let running = rig.settings.work.join("payloads/0000/running");
    fs::write(&running, "").unwrap();
    let script = "trap 'touch \"$0/asked\"' TERM; touch \"$0/ready\"; while :; do sleep 0.05; done";
    let mut leftover = Command::new("sh")
        .args(["-c", script])
        .arg(rig.at())
        .stdin(fs::File::open(&running).unwrap())
        .process_group(0)
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while !rig.at().join("ready").exists() {
        assert!(begin.elapsed() < LONG);
    }
    device.call(CallbackState::Rollback).unwrap();
    assert_eq!(leftover.wait().unwrap().code(), None);
    assert!(rig.at().join("asked").exists());
    assert_eq!(rig.notes.take(), ["an update module was still running: it was ended"]);
    assert!(!running.exists());
    // One that its module has started and that lives on has another file, which is gone: it is left alone.
    device.call(CallbackState::Rollback).unwrap();
    assert_eq!(rig.notes.take(), [""; 0]);
}
