//! Signals, the lock, inventory and identity scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use mender_testkit::server::{Effect, Fault, Mode, Status};
use rustix::process::Signal;

use crate::rig::{Rig, program, wait_for};

fn script(rig: &Rig, name: &str, text: &str) -> String {
    let path = rig.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn signals_ask_for_updates_and_the_inventory() {
    let rig = Rig::new(Mode::Oss);
    let directory = rig.path("inventory");
    let count = rig.path("count");
    script(
        &rig,
        "inventory/mender-inventory-count",
        &format!(
            "echo x >>{0}\necho runs=$(wc -l <{0})\necho disk=a\necho disk=b",
            count.display()
        ),
    );
    script(&rig, "inventory/other", "echo other=1");
    script(&rig, "inventory/mender-inventory-broken", "echo broken=1\nexit 3");
    fs::write(rig.path("inventory/mender-inventory-text"), "no program").unwrap();
    let client = rig.start(&[
        "--poll-interval=1h",
        "--inventory-dir",
        directory.to_str().unwrap(),
        "--inventory=site=roof",
    ]);
    client.wait_for_line("inventory sent");
    let device = rig.device();
    let value = |name: &str| rig.server().inventory(&device).unwrap().value(name).cloned();
    assert_eq!(value("runs").unwrap(), "1");
    assert_eq!(value("disk").unwrap(), serde_json::json!(["a", "b"]));
    assert_eq!(value("site").unwrap(), "roof");
    assert_eq!((value("other"), value("broken")), (None, None));
    assert!(
        client.said().contains("mender-inventory-broken: failed"),
        "{}",
        client.said()
    );

    let (status, said) = rig.run(&["--send-inventory"]);
    assert_eq!(status, 0, "{said}");
    wait_for(
        "a fresh report",
        || client.said(),
        || (value("runs").unwrap() == "2").then_some(()),
    );

    let deployment = rig.deploy("release-2", &rig.single_file("release-2", "settings", b"two"));
    let (status, said) = rig.run(&["--check-update"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(rig.wait_for_end(&deployment), Status::Success);
}

#[test]
fn one_client_at_a_time() {
    let rig = Rig::new(Mode::Oss);
    let client = rig.start(&[]);
    client.wait_for_line("there is no update");
    let (status, said) = rig.run(&["--once"]);
    assert_eq!(status, 1, "{said}");
    assert!(
        said.contains(&format!("in use by process {}", client.child.id())),
        "{said}"
    );
    // To look is allowed.
    assert_eq!(rig.run(&["--show-artifact"]), (0, "unknown\n".to_owned()));
    drop(client);
    for what in ["--check-update", "--send-inventory"] {
        let (status, said) = rig.run(&[what]);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("no client is running there"), "{said}");
    }
    assert_eq!(rig.run(&["--once"]).0, 0, "the lock went with the process");
}

/// At rest, in a download, and while the server keeps it waiting.
#[test]
fn a_signal_stops_it_within_a_second() {
    let rig = Rig::new(Mode::Oss);
    rig.register();
    let stop = |client: &mut crate::rig::Running, signal: Signal| {
        let begin = Instant::now();
        client.signal(signal);
        let status = client.wait();
        assert!(status.success(), "{status}: {}", client.said());
        // The machine may be busy.
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        begin.elapsed()
    };
    let mut client = rig.start(&["--poll-interval=1h"]);
    client.wait_for_line("inventory sent");
    stop(&mut client, Signal::TERM);

    rig.server()
        .inject(Fault::new(Effect::Delay(Duration::from_secs(50))).on_path("/api/devices/v1/deployments"));
    let mut client = rig.start(&[]);
    client.wait_for_line("the server knows this device");
    stop(&mut client, Signal::INT);

    rig.server().clear_faults();
    rig.server()
        .inject(Fault::new(Effect::Delay(Duration::from_secs(50))).on_downloads());
    let deployment = rig.deploy("release-2", &rig.single_file("release-2", "settings", b"two"));
    let mut client = rig.start(&[]);
    client.wait_for_line("downloads");
    stop(&mut client, Signal::TERM);
    rig.server().clear_faults();
    let (status, said) = rig.run(&["--once"]);
    assert_eq!((status, rig.status(&deployment)), (3, Some(Status::Success)), "{said}");
}

#[test]
fn the_identity_may_come_from_a_script() {
    let rig = Rig::new(Mode::Oss);
    let identity = script(&rig, "identity", "echo serial=4711\necho model=x");
    let mut command = program();
    command
        .args([
            "--once",
            "--server-url",
            &rig.url,
            "--device-type=desk",
            "--identity-script",
            &identity,
        ])
        .arg("--data-dir")
        .arg(rig.data());
    let mut client = crate::rig::Running::start(command, &rig.path("log"));
    assert!(client.wait().success(), "{}", client.said());
    let server = rig.server();
    let device = server.find_device("serial", "4711").unwrap();
    assert_eq!(device.identity()["model"], "x");
}

#[test]
fn quiet_says_nothing() {
    let rig = Rig::new(Mode::Oss);
    assert_eq!(rig.run(&["--once", "--quiet"]), (0, String::new()));
}

/// Between two polls nothing is done: a task that wakes itself takes a whole processor.
#[test]
fn an_idle_client_sleeps() {
    let rig = Rig::new(Mode::Oss);
    let client = rig.start(&[]);
    client.wait_for_line("there is no update");
    // Nanoseconds on a processor, of the thread that does the work.
    let busy = || -> u64 {
        let path = format!("/proc/{}/schedstat", client.child.id());
        let text = fs::read_to_string(path).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    // Two polls by time.
    std::thread::sleep(Duration::from_millis(2500));
    let before = busy();
    std::thread::sleep(Duration::from_secs(2));
    let taken = Duration::from_nanos(busy() - before);
    assert!(taken < Duration::from_millis(500), "{taken:?} in two seconds");
}
