//! The commands of the README, run as they stand there: by a shell, with a home of its own. Only the server is another one.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use mender_testkit::server::{Mode, Status, Time};

use crate::rig::{Rig, Running, program, wait_for};

/// The blocks that a shell is to run, in their order.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "```sh" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

#[test]
fn the_five_minutes_work() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = blocks(&text);
    let [install, start, make, ask, look] = &blocks[..] else {
        panic!("the test knows five blocks: {blocks:?}");
    };
    let path = install.trim().strip_prefix("cargo install --path ").unwrap();
    assert!(env!("CARGO_MANIFEST_DIR").ends_with(path), "{path}");

    if let Err(error) = Command::new("mender-artifact")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
    {
        let required = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!required, "mender-artifact: {error}, but this is a CI run");
        println!("skipped: mender-artifact: {error}");
        return;
    }
    let rig = Rig::new(Mode::Enterprise);
    rig.server().settings_mut().auto_accept = false;
    let home = rig.path("home");
    fs::create_dir(&home).unwrap();
    let shell = |block: &str| {
        // What the program is started without, the shell is.
        let clean = program();
        let mut command = Command::new("bash");
        for (name, _) in clean.get_envs() {
            command.env_remove(name);
        }
        let folder = Path::new(env!("CARGO_BIN_EXE_mender-rs")).parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        command
            // The program in the place of the shell at the end, so that it is what is stopped.
            .args([
                "-e",
                "-c",
                &block.replace("\n   mender-rs --device-type", "\n   exec mender-rs --device-type"),
            ])
            .env("HOME", &home)
            .env("PATH", path)
            .env("MENDER_SERVER_URL", &rig.url)
            .stdin(Stdio::null());
        command
    };
    let client = Running::start(shell(start), &rig.path("log"));
    client.wait_for_line("gives no token");
    let device = wait_for("the device", || client.said(), || rig.server().pending_devices().pop());
    let token = rig.server().device(&device).unwrap().tenant_token().to_owned();
    assert_eq!(token, "paste the token here");
    assert!(rig.server().accept_device(&device, Time::now()));
    client.wait_for_line("there is no update");

    let made = shell(make).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let artifact = fs::read(home.join("mender-demo/artifact/hello-1.mender")).unwrap();
    let deployment = {
        let mut server = rig.server();
        server.add_artifact(artifact, Time::now()).unwrap();
        server
            .deploy("hello-1", std::slice::from_ref(&device), Time::now())
            .unwrap()
    };
    let asked = shell(ask).output().unwrap();
    assert!(asked.status.success(), "{asked:?}");
    wait_for(
        "the end",
        || client.said(),
        || {
            let server = rig.server();
            (server.device_deployment(&deployment, &device)?.status == Status::Success).then_some(())
        },
    );
    let seen = shell(look).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&seen.stdout),
        "Hello from the server\nhello-1\n"
    );
}
