//! Starts that cannot be: one clear line each, an exit status that says whose fault it is, and nothing changed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use mender_testkit::server::Mode;

use crate::rig::{Rig, Running};

/// A start, and what it must say.
struct Wrong {
    name: &'static str,
    arguments: Vec<String>,
    environment: Option<(&'static str, &'static str)>,
    status: i32,
    parts: Vec<&'static str>,
}

fn wrong(name: &'static str, status: i32, arguments: &[&str], parts: &[&'static str]) -> Wrong {
    Wrong {
        name,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        environment: None,
        status,
        parts: parts.to_vec(),
    }
}

/// Everything in a folder: names, and what is in the files.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return all;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        // Who holds it is written there.
        if path.ends_with("lock") {
            continue;
        }
        all.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
    }
    all.sort();
    all
}

const P384: &str = "-----BEGIN PRIVATE KEY-----\n\
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDnNgx5Qk3FKyYxIhxk\n\
-----END PRIVATE KEY-----\n";

#[test]
fn each_wrong_start_says_one_clear_line_and_changes_nothing() {
    let rig = Rig::new(Mode::Oss);
    rig.register();
    let write = |name: &str, text: &str| {
        let path = rig.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let text = write("text", "no key, no certificate, no JSON");
    let rsa = write(
        "rsa",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    let encrypted = write(
        "encrypted",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let curve = write("curve", &openssl_key("P-384").unwrap_or_else(|| P384.to_owned()));
    let missing = rig.path("missing").to_str().unwrap().to_owned();
    let signed = write("signed.conf", r#"{"ArtifactVerifyKey": "/missing/key.pem"}"#);
    let interval = write("interval.conf", r#"{"UpdatePollIntervalSeconds": "often"}"#);
    let level = write("level.conf", r#"{"DaemonLogLevel": "loud"}"#);
    let tier = write("tier.conf", r#"{"DeviceTier": "heavy"}"#);
    let not_a_folder = format!("{text}/data");
    let data = rig.data().to_str().unwrap().to_owned();
    let mut cases = vec![
        wrong("no option", 2, &["--skip-verify"], &["--skip-verify"]),
        wrong("no interval", 2, &["--poll-interval", "0"], &["at least a second"]),
        wrong("no unit", 2, &["--poll-interval", "5w"], &["such as 30m"]),
        wrong("too long", 2, &["--inventory-interval", "31d"], &["at most 30 days"]),
        wrong(
            "no scheme",
            2,
            &["--server-url", "mender.example.com"],
            &["`mender.example.com`"],
        ),
        wrong("a query", 2, &["--server-url", "https://h/?a=b"], &["https://h/?a=b"]),
        wrong("another scheme", 2, &["--server-url", "ftp://h"], &["ftp://h"]),
        wrong("no device type", 2, &["--device-type", ""], &["device type"]),
        wrong("no pair", 2, &["--identity", "serial"], &["expected KEY=VALUE"]),
        wrong("twice", 2, &["--identity", "mac=1"], &["`mac` twice"]),
        wrong(
            "no such key",
            1,
            &["--private-key", &missing],
            &["missing", "openssl genpkey"],
        ),
        wrong(
            "text for a key",
            1,
            &["--private-key", &text],
            &["no private key in PEM"],
        ),
        wrong("RSA", 1, &["--private-key", &rsa], &["RSA", "openssl genpkey"]),
        wrong(
            "encrypted",
            1,
            &["--private-key", &encrypted],
            &["encrypted", "openssl pkey"],
        ),
        wrong("another curve", 1, &["--private-key", &curve], &["P-256"]),
        wrong("no such roots", 1, &["--ca", &missing], &["missing: cannot be read"]),
        wrong("text for roots", 1, &["--ca", &text], &["no certificate in PEM"]),
        wrong("no such file", 1, &["--config", &missing], &["missing: cannot be read"]),
        wrong("text for a file", 1, &["--config", &text], &["is no JSON"]),
        wrong("no such artifact key", 1, &["--config", &signed], &["/missing/key.pem"]),
        wrong(
            "text for an artifact key",
            1,
            &["--artifact-key", &text],
            &["no public key", "text"],
        ),
        wrong(
            "words for seconds",
            1,
            &["--config", &interval],
            &["interval.conf", "UpdatePollIntervalSeconds"],
        ),
        wrong("no level", 1, &["--config", &level], &["level.conf", "`loud`"]),
        wrong("no tier", 1, &["--config", &tier], &["tier.conf", "`heavy`"]),
        wrong("no directory", 1, &["--data-dir", &not_a_folder], &["text"]),
        wrong(
            "two things",
            2,
            &["--once", "--show-artifact"],
            &["cannot be used with"],
        ),
        wrong("nobody there", 1, &["--check-update"], &["no client is running"]),
    ];
    for (name, value, part) in [
        ("https_proxy", "socks5://h:1", "socks5"),
        ("RUST_LOG", "a=b=c", "RUST_LOG"),
    ] {
        let mut case = wrong(name, 2, &[], &[part]);
        case.environment = Some((name, value));
        cases.push(case);
    }
    assert!(cases.len() >= 20);
    let before = contents(&rig.data());
    let requests = rig.server().requests().len();
    for case in cases {
        let arguments: Vec<&str> = case.arguments.iter().map(String::as_str).collect();
        let mut command = rig.command(&arguments);
        if let Some((name, value)) = case.environment {
            command.env(name, value);
        }
        let mut running = Running::start(command, &rig.path("log"));
        let status = running.wait();
        let said = running.said();
        assert_eq!(status.code(), Some(case.status), "{}: {said}", case.name);
        for part in case.parts {
            assert!(said.contains(part), "{}: `{part}` is not in: {said}", case.name);
        }
        // Arguments are clap's to refuse, with usage below; all else is one line.
        if !said.starts_with("error: ") {
            assert!(said.starts_with("mender-rs: "), "{}: {said}", case.name);
            assert_eq!(said.lines().count(), 1, "{}: {said}", case.name);
        }
        assert!(!said.contains("panicked"), "{}: {said}", case.name);
    }
    assert_eq!(contents(&rig.data()), before);
    assert_eq!(rig.server().requests().len(), requests, "nothing was sent");
    assert_eq!(contents(Path::new(&data)), before);
    assert_eq!(rig.run(&["--once"]).0, 0, "and a right start works");
}

/// A key as openssl makes it; `None` where that is not installed, which CI is not.
fn openssl_key(curve: &str) -> Option<String> {
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            &format!("ec_paramgen_curve:{curve}"),
        ])
        .output();
    match made {
        Ok(made) if made.status.success() => Some(String::from_utf8(made.stdout).unwrap()),
        Ok(made) => panic!("openssl: {made:?}"),
        Err(error) => {
            let required = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!required, "openssl: {error}, but this is a CI run");
            None
        }
    }
}

/// PKCS#8, and SEC1 with and without its parameters in front; the server is told the key that openssl says it is.
#[test]
fn keys_of_openssl_are_taken() {
    let Some(pkcs8) = openssl_key("P-256") else { return };
    let rig = Rig::new(Mode::Oss);
    let convert = |arguments: &[&str]| {
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(pkcs8.as_bytes()).unwrap();
        let made = child.wait_with_output().unwrap();
        assert!(made.status.success(), "{arguments:?}");
        String::from_utf8(made.stdout).unwrap()
    };
    let sec1 = convert(&["ec"]);
    assert!(sec1.contains("BEGIN EC PRIVATE KEY"), "{sec1}");
    let public = convert(&["pkey", "-pubout"]);
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for (name, pem) in [
        ("pkcs8", pkcs8.clone()),
        ("sec1", sec1.clone()),
        ("both", format!("{parameters}{sec1}")),
    ] {
        let path = rig.path(name);
        fs::write(&path, pem).unwrap();
        let data = rig.path(&format!("data-{name}"));
        let (status, said) = rig.run(&[
            "--once",
            "--private-key",
            path.to_str().unwrap(),
            "--data-dir",
            data.to_str().unwrap(),
        ]);
        assert_eq!(status, 0, "{name}: {said}");
        assert!(!data.join("record-1").exists(), "no other key is made");
    }
    // One device with one key: all three were the same.
    let server = rig.server();
    assert_eq!(server.devices().count(), 1);
    assert_eq!(server.devices().next().unwrap().auth_set_count(), 1);
    assert!(public.contains("BEGIN PUBLIC KEY"));
}

/// The key that the client makes itself is for its owner alone.
#[test]
fn the_key_is_kept_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::new(Mode::Oss);
    rig.register();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&rig.data()), 0o700);
    assert_eq!(mode(&rig.data().join("record-1")), 0o600);
}

/// A disk without room: the client says so, and goes on when there is room again. Needs to mount a file system.
#[test]
fn a_full_disk_loses_nothing() {
    let rig = Rig::new(Mode::Oss);
    let data = rig.data();
    fs::create_dir(&data).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&data)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: a file system cannot be mounted here");
        return;
    }
    let _mount = Mount(data.clone());
    let fill = || {
        let mut file = fs::File::create(data.join("ballast")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    };
    fill();
    let (status, said) = rig.run(&["--once"]);
    assert_eq!(status, 1, "{said}");
    assert!(said.lines().last().unwrap().contains("No space left"), "{said}");

    fs::remove_file(data.join("ballast")).unwrap();
    rig.register();
    let deployment = rig.deploy("release-2", &rig.single_file("release-2", "settings", b"two"));
    fill();
    let (status, said) = rig.run(&["--once"]);
    assert_ne!(status, 3, "{said}");
    assert!(said.contains("No space left"), "{said}");
    assert_eq!(rig.read("settings"), None);
    fs::remove_file(data.join("ballast")).unwrap();
    // Failed for good, or taken up again: record and disk agree.
    let _client = rig.start(&[]);
    let status = rig.wait_for_end(&deployment);
    let is_there = rig.read("settings").is_some();
    assert_eq!(status == mender_testkit::server::Status::Success, is_there);
}

struct Mount(std::path::PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a client may still be at its end.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn the_command_line_is_that_of_all_tools() {
    let tool = tool_style::check::Tool {
        name: "mender-rs",
        program: env!("CARGO_BIN_EXE_mender-rs"),
    };
    tool.has_the_style();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    tool.cannot_print(&["--data-dir", data, "--show-artifact"]);
    let artifact = folder.path().join("missing.mender");
    let artifact = artifact.to_str().unwrap();
    let install = ["--data-dir", data, "--device-type", "t", "--install", artifact];
    tool.fails(1, &install, &[artifact, ": cannot be read: ", "is its path right?"]);
}
