//! `kill -9`: at every status report, and at random moments of whole deployments. Whatever the moment, the server's record and what
//! is installed agree in the end.
//!
//! `MENDER_KILLS=200` plays so many random ones instead of a few; `MENDER_KILLS_SEED=n` plays others.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{DeploymentId, Effect, Fault, Mode, Status};

use crate::rig::{DEVICE_TYPE, PATIENCE, Rig};

/// What must hold: which release's content is where.
struct Truth {
    release: String,
    file: Option<Vec<u8>>,
    folder: Option<Vec<u8>>,
    app: Option<Vec<u8>>,
}

impl Truth {
    fn of(rig: &Rig) -> Truth {
        Truth {
            release: rig.run_show(),
            file: rig.read("settings"),
            folder: rig.read("folder/content"),
            app: rig.read("app"),
        }
    }
}

/// An update module that restarts the host (which ends the client). Each of its steps can be cut, and done again.
const APP: &str = r#"#!/bin/sh
app=APP
case $1 in
    SupportsRollback) echo Yes;;
    NeedsArtifactReboot) echo Automatic;;
    ArtifactInstall)
        [ -e tmp/old ] || { cp $app tmp/old.new && mv tmp/old.new tmp/old; }
        cp files/app $app.new && mv $app.new $app;;
    ArtifactVerifyReboot) cmp -s files/app $app;;
    ArtifactRollback) [ ! -e tmp/old ] || { cp tmp/old $app.new && mv $app.new $app; };;
    Cleanup) rm -f $app.new;;
esac
"#;

/// Updates of four kinds, in turn: a file, a folder, a file that cannot be (a folder is in the way), and one by a program that wants
/// a restart.
fn artifact(rig: &Rig, number: u32) -> (String, ArtifactWriter) {
    let release = format!("release-{number}");
    let content = release.as_bytes();
    let artifact = match number % 4 {
        0 => rig.single_file(&release, "settings", content),
        1 => rig.directory(&release, "folder", &[("content", content)]),
        2 => rig.single_file(&release, "in-the-way", content),
        _ => ArtifactWriter::new(&release, DEVICE_TYPE)
            .payload_type("app")
            .file("app", content),
    };
    (release, artifact)
}

fn prepared() -> Rig {
    let mut rig = Rig::new(Mode::Enterprise);
    let (modules, app) = (rig.path("modules"), rig.etc().join("app"));
    fs::create_dir(&modules).unwrap();
    fs::write(modules.join("app"), APP.replace("APP", app.to_str().unwrap())).unwrap();
    fs::set_permissions(modules.join("app"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(app, "release-0").unwrap();
    fs::create_dir(rig.etc().join("in-the-way")).unwrap();
    rig.more = vec![
        "--modules-dir".to_owned(),
        modules.to_str().unwrap().to_owned(),
        "--reboot-command=kill -KILL $PPID; sleep 5".to_owned(),
    ];
    rig.register();
    rig
}

/// Lets the device come to the deployment's end, and looks.
#[track_caller]
fn check_end(rig: &Rig, number: u32, deployment: &DeploymentId, before: &Truth, when: &str) {
    let mut said = String::new();
    // Until there is nothing to do: what a deployment leaves to be done after its report is done in the next run.
    for _ in 0..9 {
        // -1: ended by a restart of the host.
        let (status, text) = rig.run(&["--once"]);
        said.push_str(&text);
        if status == 0 {
            break;
        }
        assert!(matches!(status, -1 | 3 | 4), "{when}: {status}: {said}");
    }
    let after = Truth::of(rig);
    let release = format!("release-{number}");
    let new = Some(release.clone().into_bytes());
    let expected = match rig.status(deployment) {
        Some(Status::Success) => match number % 4 {
            0 => (release, new, before.folder.clone(), before.app.clone()),
            1 => (release, before.file.clone(), new, before.app.clone()),
            2 => panic!("{when}: what cannot be was a success: {said}"),
            _ => (release, before.file.clone(), before.folder.clone(), new),
        },
        Some(Status::Failure) => (
            before.release.clone(),
            before.file.clone(),
            before.folder.clone(),
            before.app.clone(),
        ),
        other => panic!("{when}: {other:?}: {said}"),
    };
    assert_eq!(
        (after.release, after.file, after.folder, after.app),
        expected,
        "{when}: {said}"
    );
    let leftovers: Vec<_> = fs::read_dir(rig.etc())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".mender") || name.ends_with(".new"))
        .collect();
    assert_eq!(leftovers, Vec::<String>::new(), "{when}");
    let server = rig.server();
    let device = server.find_device("mac", crate::rig::MAC).unwrap().id().clone();
    let reported = server.inventory(&device).unwrap().value("artifact_name").cloned();
    assert_eq!(reported.unwrap(), rig.run_show(), "{when}: {said}");
}

#[test]
fn killed_at_each_status_report() {
    let rig = prepared();
    let mut number = 0;
    for nth in 0..5 {
        for _ in 0..4 {
            number += 1;
            let before = Truth::of(&rig);
            let (release, artifact) = artifact(&rig, number);
            let deployment = rig.deploy(&release, &artifact);
            let path = format!("/api/devices/v1/deployments/device/deployments/{deployment}/status");
            // The report is taken, and the answer is late.
            let late = Effect::Delay(Duration::from_secs(30));
            rig.server().inject(Fault::new(late).on_path(&path).after(nth));
            let mut client = rig.start(&[]);
            let reports = || {
                let server = rig.server();
                server
                    .requests()
                    .iter()
                    .filter(|request| request.path() == path)
                    .count()
            };
            let begin = Instant::now();
            // Failing ones make fewer reports.
            while reports() <= nth as usize && !client.said().contains("there is no update") {
                assert!(begin.elapsed() < PATIENCE, "waited in vain: {}", client.said());
                std::thread::sleep(Duration::from_millis(10));
                // Ended by a restart of the host.
                if client.child.try_wait().unwrap().is_some() {
                    client = rig.start(&[]);
                }
            }
            // It may be gone already.
            let _ = client.child.kill();
            client.wait();
            rig.server().clear_faults();
            check_end(
                &rig,
                number,
                &deployment,
                &before,
                &format!("report {nth} of {release}"),
            );
        }
    }
}

#[test]
fn killed_at_random_moments() {
    let count: u32 = std::env::var("MENDER_KILLS").map_or(40, |text| text.parse().unwrap());
    let seed: u64 = std::env::var("MENDER_KILLS_SEED").map_or(1, |text| text.parse().unwrap());
    let rig = prepared();
    // How long one takes here.
    let begin = Instant::now();
    let (release, first) = artifact(&rig, 0);
    let deployment = rig.deploy(&release, &first);
    assert_eq!(rig.run(&["--once"]).0, 3);
    assert_eq!(rig.status(&deployment), Some(Status::Success));
    let whole = begin.elapsed();
    let mut random = seed;
    let mut fraction = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut cut_short = 0;
    for number in 1..=count {
        let before = Truth::of(&rig);
        let (release, artifact) = artifact(&rig, number);
        let deployment = rig.deploy(&release, &artifact);
        // A kill, and sometimes another one of the process that gets over it.
        let kills = if number % 3 == 0 { 2 } else { 1 };
        for _ in 0..kills {
            let moment = whole.mul_f64(fraction() * 1.2);
            let mut client = rig.start(&["--once"]);
            std::thread::sleep(moment);
            client.child.kill().unwrap();
            cut_short += u32::from(client.wait().code().is_none());
        }
        check_end(&rig, number, &deployment, &before, &format!("seed {seed}, {release}"));
    }
    println!("{cut_short} processes were killed in {count} deployments of {whole:?}");
    assert!(cut_short > count / 3, "most came to their end: {cut_short} of {count}");
}
