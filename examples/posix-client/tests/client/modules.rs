//! Programs as update modules, and restarts of the host, played by a command that ends the client.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Mode, Status};
use rustix::process::Signal;

use crate::rig::{DEVICE_TYPE, Rig, Running, wait_for};

/// What ends the client, as a restart of the host would.
const REBOOT: &str = "--reboot-command=kill -KILL $PPID; sleep 5";

/// A device with a module `app`: it notes its calls, installs the payload's file as `etc/app`, and does in each state what a line of
/// `behaviour` says, such as `ArtifactVerifyReboot) exit 1;;`.
struct Device {
    rig: Rig,
}

impl Device {
    fn new(behaviour: &str) -> Device {
        let rig = Rig::new(Mode::Enterprise);
        let mut device = Device { rig };
        device.module("app", behaviour);
        let modules = device.rig.path("modules");
        device.rig.more = vec![
            "--modules-dir".to_owned(),
            modules.to_str().unwrap().to_owned(),
            REBOOT.to_owned(),
        ];
        fs::write(device.rig.etc().join("app"), "old").unwrap();
        device.rig.register();
        device
    }

    fn module(&mut self, name: &str, behaviour: &str) {
        let path = self.rig.path("modules").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (calls, app) = (self.rig.path("calls"), self.rig.etc().join("app"));
        let text = format!(
            "#!/bin/sh\n\
             case $1 in Supports*|Needs*|Provide*) ;; *) echo $1 >>{calls};; esac\n\
             case $1 in\n\
             {behaviour}\n\
             SupportsRollback) echo Yes;;\n\
             ArtifactInstall) cp {app} tmp/old; cp files/app {app};;\n\
             ArtifactRollback) [ ! -e tmp/old ] || cp tmp/old {app};;\n\
             esac\n",
            calls = calls.display(),
            app = app.display(),
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.rig.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn artifact(&self) -> ArtifactWriter {
        ArtifactWriter::new("release-2", DEVICE_TYPE)
            .payload_type("app")
            .file("app", b"new")
    }

    /// Runs the client, and again after each restart of the host, until it has nothing to do; how often it was ended by a restart.
    fn run(&self) -> usize {
        let mut restarts = 0;
        for _ in 0..6 {
            let mut client = self.rig.start(&["--once"]);
            match client.wait().code() {
                None => restarts += 1,
                Some(0) => return restarts,
                Some(3 | 4) => {}
                Some(other) => panic!("{other}: {}", client.said()),
            }
        }
        panic!("it does not come to an end");
    }
}

#[test]
fn a_program_is_an_update_module() {
    let device = Device::new("");
    let deployment = device.rig.deploy("release-2", &device.artifact());
    assert_eq!(device.run(), 0);
    assert_eq!(device.rig.status(&deployment), Some(Status::Success));
    assert_eq!(
        device.calls(),
        ["Download", "ArtifactInstall", "ArtifactCommit", "Cleanup"]
    );
    assert_eq!(device.rig.read("app").unwrap(), b"new");
    device.rig.assert_no_violation();
}

#[test]
fn the_host_restarts_for_an_update() {
    let device = Device::new("NeedsArtifactReboot) echo Automatic;;");
    let deployment = device.rig.deploy("release-2", &device.artifact());
    assert_eq!(device.run(), 1);
    assert_eq!(device.rig.status(&deployment), Some(Status::Success));
    assert_eq!(
        device.rig.statuses(&deployment),
        [
            Status::Downloading,
            Status::Installing,
            Status::Rebooting,
            Status::Installing,
            Status::Success
        ]
    );
    assert_eq!(
        device.calls(),
        [
            "Download",
            "ArtifactInstall",
            "ArtifactVerifyReboot",
            "ArtifactCommit",
            "Cleanup"
        ]
    );
    assert_eq!(device.rig.run_show(), "release-2");
}

#[test]
fn what_does_not_run_after_the_restart_is_rolled_back() {
    let device = Device::new("NeedsArtifactReboot) echo Automatic;;\nArtifactVerifyReboot) exit 1;;");
    let deployment = device.rig.deploy("release-2", &device.artifact());
    assert_eq!(device.run(), 2, "into the new software, and back");
    assert_eq!(device.rig.status(&deployment), Some(Status::Failure));
    assert_eq!(
        device.calls(),
        [
            "Download",
            "ArtifactInstall",
            "ArtifactVerifyReboot",
            "ArtifactRollback",
            "ArtifactVerifyRollbackReboot",
            "ArtifactFailure",
            "Cleanup"
        ]
    );
    assert_eq!(device.rig.read("app").unwrap(), b"old");
    assert_eq!(device.rig.run_show(), "unknown");
    let server = device.rig.server();
    let id = server.find_device("mac", crate::rig::MAC).unwrap().id().clone();
    let log = format!("{:?}", server.device_deployment(&deployment, &id).unwrap().log);
    assert!(log.contains("verify_reboot"), "{log}");
}

/// `Yes`: the module restarts something else, and the client goes on.
#[test]
fn a_module_may_restart_something_else() {
    let device = Device::new("NeedsArtifactReboot) echo Yes;;");
    let deployment = device.rig.deploy("release-2", &device.artifact());
    assert_eq!(device.run(), 0);
    assert_eq!(device.rig.status(&deployment), Some(Status::Success));
    assert_eq!(
        device.calls(),
        [
            "Download",
            "ArtifactInstall",
            "ArtifactReboot",
            "ArtifactVerifyReboot",
            "ArtifactCommit",
            "Cleanup"
        ]
    );
}

#[test]
fn a_program_wins_over_a_built_in_module() {
    let mut device = Device::new("");
    device.module("single-file", "ArtifactInstall) echo mine >>$PWD/tmp/x;;");
    let artifact = device.rig.single_file("release-2", "settings", b"two");
    let deployment = device.rig.deploy("release-2", &artifact);
    device.run();
    assert_eq!(device.rig.status(&deployment), Some(Status::Success));
    assert!(
        device.calls().contains(&"ArtifactCommit".to_owned()),
        "{:?}",
        device.calls()
    );
    assert_eq!(device.rig.read("settings"), None, "the built-in one was not asked");
}

/// A signal comes while a module installs: the update is brought to its end, and then the client stops.
#[test]
fn an_update_that_installs_is_waited_for() {
    let device = Device::new("ArtifactInstall) sleep 3;;");
    let text = fs::read_to_string(device.rig.path("modules/app")).unwrap();
    fs::write(
        device.rig.path("modules/app"),
        text.replace("sleep 3;;", "sleep 3; cp files/app ../../../../app;;"),
    )
    .unwrap();
    let deployment = device.rig.deploy("release-2", &device.artifact());
    let mut client = device.rig.start(&[]);
    wait_for(
        "the install",
        || client.said(),
        || device.calls().contains(&"ArtifactInstall".to_owned()).then_some(()),
    );
    client.signal(Signal::TERM);
    assert!(client.wait().success(), "{}", client.said());
    assert_eq!(
        device.rig.status(&deployment),
        Some(Status::Success),
        "{}",
        client.said()
    );
    assert_eq!(fs::read(device.rig.data().join("app")).unwrap(), b"new");
}

/// Two signals: it ends at once, and the next start gets over it.
#[test]
fn a_second_signal_ends_it_at_once() {
    let device = Device::new("ArtifactInstall) sleep 30;;");
    let deployment = device.rig.deploy("release-2", &device.artifact());
    let mut client = device.rig.start(&[]);
    wait_for(
        "the install",
        || client.said(),
        || device.calls().contains(&"ArtifactInstall".to_owned()).then_some(()),
    );
    let begin = std::time::Instant::now();
    client.signal(Signal::TERM);
    std::thread::sleep(std::time::Duration::from_millis(300));
    client.signal(Signal::INT);
    client.wait();
    assert!(
        begin.elapsed() < std::time::Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    device.run();
    assert_eq!(device.rig.status(&deployment), Some(Status::Failure));
    assert_eq!(device.rig.read("app").unwrap(), b"old");
    assert_eq!(device.rig.run_show(), "unknown");
}

/// What the server's update left half done would be put back over what was installed meanwhile.
#[test]
fn nothing_is_installed_over_an_update_that_was_cut() {
    let device = Device::new("ArtifactInstall) sleep 30;;");
    let artifact = device.rig.path("release-3.mender");
    fs::write(
        &artifact,
        device.rig.single_file("release-3", "settings", b"three").write(),
    )
    .unwrap();
    let install = ["--install", artifact.to_str().unwrap()];
    let deployment = device.rig.deploy("release-2", &device.artifact());
    let mut client = device.rig.start(&[]);
    wait_for(
        "the install",
        || client.said(),
        || device.calls().contains(&"ArtifactInstall".to_owned()).then_some(()),
    );
    client.child.kill().unwrap();
    client.wait();
    let (status, said) = device.rig.run(&install);
    assert_eq!((status, device.rig.read("settings")), (1, None), "{said}");
    assert!(said.contains("start the client"), "{said}");

    device.run();
    assert_eq!(device.rig.status(&deployment), Some(Status::Failure));
    let (status, said) = device.rig.run(&install);
    assert_eq!(status, 0, "{said}");
    assert_eq!(device.rig.read("settings").unwrap(), b"three");
}

/// Killed while a module works, in each of its states: rolled back, or gone on with; never both halves.
#[test]
fn killed_while_a_module_works() {
    for state in ["Download", "ArtifactInstall", "ArtifactCommit", "Cleanup"] {
        let device = Device::new("");
        let gate = device.rig.path("gate");
        // Only the first time, and before anything is done.
        let first = format!(
            "#!/bin/sh\ncase $1 in\n{state}) if [ ! -e {0} ]; then touch {0}; sleep 30; fi;;\nesac\n",
            gate.display()
        );
        let path = device.rig.path("modules/app");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("#!/bin/sh\n", &first, 1)).unwrap();
        let deployment = device.rig.deploy("release-2", &device.artifact());
        let mut client: Running = device.rig.start(&[]);
        wait_for("the module", || client.said(), || gate.exists().then_some(()));
        client.child.kill().unwrap();
        client.wait();
        device.run();
        let (app, name) = (device.rig.read("app").unwrap(), device.rig.run_show());
        match device.rig.status(&deployment) {
            Some(Status::Success) => assert_eq!(
                (app.as_slice(), name.as_str()),
                (b"new".as_slice(), "release-2"),
                "{state}"
            ),
            Some(Status::Failure) => assert_eq!(
                (app.as_slice(), name.as_str()),
                (b"old".as_slice(), "unknown"),
                "{state}"
            ),
            other => panic!("{state}: {other:?}"),
        }
    }
}
