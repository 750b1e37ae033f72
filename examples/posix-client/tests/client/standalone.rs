//! `--install`, `commit`, `rollback`: without a server.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Mode, Time};

use crate::rig::{DEVICE_TYPE, Rig, read_head, wait_for};

/// An artifact in a file.
fn stored(rig: &Rig, name: &str, artifact: &ArtifactWriter) -> String {
    let path = rig.path(name);
    fs::write(&path, artifact.write()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A server of files that answers each request so, and keeps the connection open or not.
fn site_that(keeps_open: bool, answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            read_head(&mut stream);
            // Whoever has heard enough may be gone.
            let _ = stream.write_all(&answer);
            if keeps_open {
                open.push(stream);
            }
        }
    });
    format!("http://{address}/releases/2?secret=4711")
}

fn site(answer: Vec<u8>) -> String {
    site_that(false, answer)
}

#[test]
fn what_is_installed_awaits_its_commit() {
    let rig = Rig::new(Mode::Oss);
    fs::write(rig.etc().join("settings"), "one").unwrap();
    let file = stored(&rig, "2.mender", &rig.single_file("release-2", "settings", b"two"));
    let (status, said) = rig.run(&["--install", &file]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("mender-rs commit"), "{said}");
    assert_eq!(rig.read("settings").unwrap(), b"two");
    assert_eq!(rig.run_show(), "unknown");
    for arguments in [&["--once"][..], &["--install", &file]] {
        let (status, said) = rig.run(arguments);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("commit"), "{said}");
    }
    assert_eq!(rig.server().requests().len(), 0, "no client runs meanwhile");

    let (status, said) = rig.run(&["commit"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(rig.run_show(), "release-2");
    for command in ["commit", "rollback"] {
        let (status, said) = rig.run(&[command]);
        assert_eq!(status, 1, "{said}");
        assert!(said.starts_with("mender-rs: "), "{said}");
    }
    // The server hears of it.
    let device = rig.register();
    let server = rig.server();
    assert_eq!(
        server.inventory(&device).unwrap().value("artifact_name").unwrap(),
        "release-2"
    );
}

#[test]
fn what_is_installed_can_be_taken_back() {
    let rig = Rig::new(Mode::Oss);
    fs::write(rig.etc().join("settings"), "one").unwrap();
    let file = stored(&rig, "2.mender", &rig.single_file("release-2", "settings", b"two"));
    assert_eq!(rig.run(&["--install", &file]).0, 0);
    let (status, said) = rig.run(&["rollback"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(rig.read("settings").unwrap(), b"one");
    assert_eq!(rig.run_show(), "unknown");
    rig.register();
}

#[test]
fn an_artifact_may_come_from_a_url() {
    let rig = Rig::new(Mode::Oss);
    let artifact = rig.single_file("release-2", "settings", &[5; 300_000]).write();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", artifact.len());
    let whole = [head.as_bytes(), &artifact].concat();
    let (status, said) = rig.run(&["--install", &site(whole.clone())]);
    assert_eq!(status, 0, "{said}");
    assert!(!said.contains("4711"), "{said}");
    assert_eq!(rig.read("settings").unwrap(), [5; 300_000]);
    assert_eq!(rig.run(&["rollback"]).0, 0);

    // Its end is known from its length, not from the connection's.
    let (status, said) = rig.run(&["--install", &site_that(true, whole.clone())]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(rig.run(&["rollback"]).0, 0);

    let cut = whole[..200_000].to_vec();
    for (answer, part) in [
        (cut, "broke off"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), "status 404"),
    ] {
        let (status, said) = rig.run(&["--install", &site(answer)]);
        assert_eq!(status, 1, "{said}");
        assert!(
            said.lines().last().unwrap().contains(part) && !said.contains("4711"),
            "{said}"
        );
        assert_eq!(rig.read("settings"), None);
    }
    rig.register();
}

/// What a server says is quoted, and cannot move the cursor: U+009B begins a command for a terminal.
/// What is there of a file whose command was killed is used by the next one, wherever the artifact comes from then: if it is not the file's,
/// that is found by its checksum, once.
#[test]
fn a_command_that_was_killed_goes_on() {
    const MIB: usize = 1 << 20;
    for damaged in [false, true] {
        let rig = Rig::new(Mode::Oss);
        let content: Vec<u8> = (0..4 * MIB).map(|at| (at / 5 * 77) as u8).collect();
        let artifact = rig.single_file("release-2", "settings", &content);
        let file = stored(&rig, "2.mender", &artifact);
        let artifact = artifact.write();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", artifact.len());
        let url = site_that(true, [head.as_bytes(), &artifact[..2 * MIB + 500_000]].concat());
        let mut command = rig.start(&["--install", &url]);
        let partial = rig.data().join("single-file/incoming/content");
        let is_written = || fs::metadata(&partial).is_ok_and(|there| there.len() > 2 * MIB as u64);
        wait_for("the download", || command.said(), || is_written().then_some(()));
        command.child.kill().unwrap();
        command.wait();
        if damaged {
            let mut there = fs::read(&partial).unwrap();
            there[0] ^= 1;
            fs::write(&partial, there).unwrap();
            let (status, said) = rig.run(&["--install", &file]);
            assert_eq!(status, 1, "{said}");
            assert!(!partial.exists(), "{said}");
        }
        let (status, said) = rig.run(&["--install", &file]);
        assert_eq!(status, 0, "{said}");
        assert!(rig.read("settings").unwrap() == content);
        assert_eq!(rig.run(&["commit"]).0, 0);
    }
}

#[test]
fn what_a_server_says_does_nothing_to_the_terminal() {
    let rig = Rig::new(Mode::Oss);
    let answer = "HTTP/1.1 302 Found\r\nLocation: https://h/\u{9b}2J\r\n\r\n";
    let (status, said) = rig.run(&["--install", &site(answer.into())]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("https://h/\\u{9b}2J"), "{said:?}");
}

/// The signals of `--check-update` are a client's. A command does not know them, and they would kill it.
#[test]
fn a_command_is_not_asked_for_what_a_client_does() {
    let rig = Rig::new(Mode::Oss);
    // Says nothing at all.
    let mut installs = rig.start(&["--install", &site_that(true, Vec::new())]);
    let lock = rig.data().join("lock");
    wait_for(
        "the lock",
        || installs.said(),
        || (!fs::read_to_string(&lock).ok()?.is_empty()).then_some(()),
    );
    for what in ["--check-update", "--send-inventory"] {
        let (status, said) = rig.run(&[what]);
        assert_eq!(status, 1, "{said}");
        assert!(
            said.contains(&format!("process {}, which is no client", installs.child.id())),
            "{said}"
        );
    }
    assert!(installs.child.try_wait().unwrap().is_none(), "{}", installs.said());
}

#[test]
fn what_cannot_be_installed_is_named_and_changes_nothing() {
    let rig = Rig::new(Mode::Oss);
    let good = rig.single_file("release-2", "settings", b"two").write();
    let half = rig.path("half.mender");
    fs::write(&half, &good[..good.len() / 2]).unwrap();
    let other = ArtifactWriter::new("release-2", "other-board")
        .payload_type("single-file")
        .file("x", b"x");
    let other = stored(&rig, "other.mender", &other);
    let unknown = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("rootfs")
        .file("x", b"x");
    let unknown = stored(&rig, "unknown.mender", &unknown);
    fs::write(rig.path("text"), "no artifact").unwrap();
    for (file, part) in [
        (rig.path("missing").to_str().unwrap(), "missing"),
        (half.to_str().unwrap(), ""),
        (&other, "device"),
        (&unknown, "\"rootfs\""),
        (rig.path("text").to_str().unwrap(), ""),
        (rig.path("etc").to_str().unwrap(), ""),
    ] {
        let (status, said) = rig.run(&["--install", file]);
        assert_eq!(status, 1, "{file}: {said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("mender-rs: ") && last.contains(part), "{file}: {said}");
        assert_eq!((rig.read("settings"), rig.run_show().as_str()), (None, "unknown"));
    }
    rig.register();
}

/// A program that wants a restart, and one that is killed while it installs.
#[test]
fn programs_are_asked_likewise() {
    let mut rig = Rig::new(Mode::Oss);
    let module = rig.path("modules/app");
    fs::create_dir_all(rig.path("modules")).unwrap();
    let (app, gate) = (rig.etc().join("app"), rig.path("gate"));
    let text = format!(
        "#!/bin/sh\ncase $1 in\n\
         SupportsRollback) echo Yes;;\n\
         NeedsArtifactReboot) echo Automatic;;\n\
         ArtifactInstall) cp {app} tmp/old; if [ -e {gate} ]; then rm {gate}; sleep 30; fi; cp files/app {app};;\n\
         ArtifactRollback) [ ! -e tmp/old ] || cp tmp/old {app};;\n\
         esac\n",
        app = app.display(),
        gate = gate.display()
    );
    fs::write(&module, text).unwrap();
    fs::set_permissions(&module, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&app, "old").unwrap();
    let modules = rig.path("modules").to_str().unwrap().to_owned();
    rig.more = vec!["--modules-dir".to_owned(), modules, "--reboot-command=false".to_owned()];
    let artifact = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("app")
        .file("app", b"new");
    let file = stored(&rig, "2.mender", &artifact);

    let (status, said) = rig.run(&["--install", &file]);
    assert_eq!(status, 7, "{said}");
    assert!(said.contains("restart this host"), "{said}");
    assert_eq!(rig.run(&["rollback"]).0, 7);
    assert_eq!(rig.read("app").unwrap(), b"old");

    fs::write(&gate, "").unwrap();
    let mut killed = rig.start(&["--install", &file]);
    wait_for("the install", || killed.said(), || (!gate.exists()).then_some(()));
    killed.child.kill().unwrap();
    killed.wait();
    let (status, said) = rig.run(&["--install", &file]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("roll it back first"), "{said}");
    let (status, said) = rig.run(&["rollback"]);
    assert!(matches!(status, 0 | 7), "{status}: {said}");
    assert_eq!(rig.read("app").unwrap(), b"old");

    assert_eq!(rig.run(&["--install", &file]).0, 7);
    assert_eq!(rig.run(&["commit"]).0, 0);
    assert_eq!(
        (rig.read("app").unwrap().as_slice(), rig.run_show().as_str()),
        (b"new".as_slice(), "release-2")
    );
}

/// Signed as `mender-artifact` signs, with keys of openssl: taken with the right key alone, from a file as from the server.
#[test]
fn an_artifact_must_be_signed_where_a_key_is_given() {
    let rig = Rig::new(Mode::Oss);
    let run = |program: &str, arguments: &[&str]| {
        let made = std::process::Command::new(program)
            .args(arguments)
            .current_dir(rig.folder.path())
            .output();
        match made {
            Ok(made) => {
                assert!(made.status.success(), "{program} {arguments:?}: {made:?}");
                true
            }
            Err(error) => {
                let required = std::env::var("CI").is_ok_and(|value| value == "true");
                assert!(!required, "{program}: {error}, but this is a CI run");
                println!("skipped: {program}: {error}");
                false
            }
        }
    };
    // In the forms that every version of `mender-artifact` reads.
    let kinds = [
        ("ec", &["ecparam", "-name", "prime256v1", "-genkey", "-noout"][..]),
        ("rsa", &["genrsa", "-traditional"]),
    ];
    for (kind, arguments) in kinds {
        let (private, public) = (format!("{kind}.key"), format!("{kind}.pub"));
        let bits: &[&str] = if kind == "rsa" { &["3072"] } else { &[] };
        let made = run("openssl", &[arguments, &["-out", &private], bits].concat())
            && run("openssl", &["pkey", "-in", &private, "-pubout", "-out", &public])
            && run("mender-artifact", &["--version"]);
        if !made {
            return;
        }
    }
    rig.register();
    let plain = stored(&rig, "plain.mender", &rig.single_file("release-2", "settings", b"two"));
    let (status, said) = rig.run(&[
        "--install",
        &plain,
        "--artifact-key",
        rig.path("ec.pub").to_str().unwrap(),
    ]);
    assert_eq!((status, rig.read("settings")), (1, None), "{said}");
    assert!(said.contains("sign"), "{said}");
    for (kind, other) in [("ec", "rsa"), ("rsa", "ec")] {
        let signed = rig.path(&format!("{kind}.mender")).to_str().unwrap().to_owned();
        fs::copy(&plain, &signed).unwrap();
        run("mender-artifact", &["sign", "-k", &format!("{kind}.key"), &signed]);
        let key = |kind: &str| rig.path(&format!("{kind}.pub")).to_str().unwrap().to_owned();
        let (status, said) = rig.run(&["--install", &signed, "--artifact-key", &key(other)]);
        assert_eq!((status, rig.read("settings")), (1, None), "{kind}: {said}");
        let (status, said) = rig.run(&[
            "--install",
            &signed,
            "--artifact-key",
            &key(other),
            "--artifact-key",
            &key(kind),
        ]);
        assert_eq!(status, 0, "{kind}: {said}");
        assert_eq!(rig.read("settings").unwrap(), b"two");
        assert_eq!(rig.run(&["rollback"]).0, 0);
    }
    // The same for what the server offers, by the file of the configuration.
    let conf = rig.path("mender.conf");
    fs::write(
        &conf,
        format!(r#"{{"ArtifactVerifyKeys": ["{}"]}}"#, rig.path("ec.pub").display()),
    )
    .unwrap();
    let arguments = ["--once", "--config", conf.to_str().unwrap()];
    for (file, expected) in [("plain.mender", 4), ("ec.mender", 3)] {
        let other = Rig::new(Mode::Oss);
        let device = other.register();
        {
            let mut server = other.server();
            server
                .add_artifact(fs::read(rig.path(file)).unwrap(), Time::now())
                .unwrap();
            server.deploy("release-2", &[device], Time::now()).unwrap();
        }
        let (status, said) = other.run(&arguments);
        assert_eq!(status, expected, "{file}: {said}");
        assert_eq!(rig.read("settings").is_some(), expected == 3, "{file}: {said}");
    }
}
