//! The clients that users have, against this server: Debian's `mender-cli` and `mender-client`. They skip themselves where
//! the program is not installed, but not in CI; `.ci/run` installs it.
//!
//! All talk is over the loopback, and every wait has an end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mender_test_server::{Identity, Options, RunningServer, spawn};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{DeploymentId, DeviceId, Endpoint, Mode, Server, Settings, Status, Time};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

/// What one step may take. Generous: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether to go on: `false` is a reason to skip, but in CI a failure.
fn is_ready(what: &str, missing: Option<String>) -> bool {
    let Some(missing) = missing else { return true };
    let required = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!required, "{what}: {missing}, but this is a CI run");
    println!("skipped: {what}: {missing}");
    false
}

fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// An empty directory of that name.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn start(settings: Settings) -> RunningServer {
    spawn(Arc::new(Mutex::new(Server::new(settings))), Options::default()).unwrap()
}

/// Waits until `probe` finds something.
#[track_caller]
fn wait_for<T>(what: &str, hint: &dyn Fn() -> String, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}\n{}", hint());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `mender-cli`, logged in as far as it is.
struct Cli {
    home: PathBuf,
    server: String,
}

impl Cli {
    /// Whether it succeeded, and what it said.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let child = Command::new("mender-cli")
            .args(["--server", &self.server])
            .args(arguments)
            .env("HOME", &self.home)
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = Process(child);
        let status = wait_for("mender-cli", &|| format!("{arguments:?}"), || {
            process.0.try_wait().unwrap()
        });
        // What it says fits the pipes, so that it does not wait for a reader.
        let mut text = String::new();
        if let Some(mut stdout) = process.0.stdout.take() {
            std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
        }
        if let Some(mut stderr) = process.0.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut text).unwrap();
        }
        (status.success(), text)
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> String {
        let (is_ok, text) = self.run(arguments);
        assert!(is_ok, "{arguments:?}: {text}");
        text
    }

    #[track_caller]
    fn fail(&self, arguments: &[&str]) -> String {
        let (is_ok, text) = self.run(arguments);
        assert!(!is_ok, "{arguments:?}: {text}");
        text
    }
}

#[test]
fn mender_cli_logs_in_uploads_lists_and_deletes() {
    let missing = (!is_installed("mender-cli")).then(|| "it is not installed".to_owned());
    if !is_ready("mender-cli", missing) {
        return;
    }
    let running = start(Settings::default());
    let home = directory("mender-cli");
    let cli = Cli {
        home: home.clone(),
        server: format!("http://{}", running.api_address()),
    };
    let file = home.join("release-2.mender");
    let meta_data = json!({"k": {"list": [1, "two"]}, "n": 1.5})
        .as_object()
        .unwrap()
        .clone();
    let artifact = ArtifactWriter::new("release-2", "board-a")
        .device_type("board-b")
        .group("stable")
        .depends_name("release-1")
        .meta_data(meta_data)
        .file("fw.bin", &[7; 100_000])
        .write();
    std::fs::write(&file, &artifact).unwrap();
    let upload = [
        "artifacts",
        "upload",
        "--no-progress",
        "--description",
        "nightly",
        file.to_str().unwrap(),
    ];

    cli.fail(&upload);
    cli.fail(&["login", "--username", "admin@example.com", "--password", "wrong"]);
    let text = cli.succeed(&["login", "--username", "Admin@Example.com", "--password", "password"]);
    assert!(text.contains("login successful"), "{text}");

    let text = cli.succeed(&upload);
    assert!(text.contains("upload successful"), "{text}");
    let text = cli.fail(&upload);
    assert!(text.contains("409"), "the same one again: {text}");
    let junk = home.join("junk.mender");
    std::fs::write(&junk, b"no artifact").unwrap();
    let text = cli.fail(&["artifacts", "upload", "--no-progress", junk.to_str().unwrap()]);
    assert!(text.contains("400"), "{text}");
    let id = {
        let server = running.server();
        let stored: Vec<_> = server.artifacts().collect();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].info().len, artifact.len() as u64);
        stored[0].id().to_string()
    };

    // The longest form of the list decodes every member that the tool knows.
    let text = cli.succeed(&["artifacts", "list", "--detail", "3"]);
    for expected in [
        format!("ID: {id}"),
        "Name: release-2".to_owned(),
        "Description: nightly".to_owned(),
        "board-b".to_owned(),
        "Type: zephyr-image".to_owned(),
        "Name: fw.bin".to_owned(),
        "Size: 100000".to_owned(),
    ] {
        assert!(text.contains(&expected), "`{expected}` is not in {text}");
    }
    cli.succeed(&["devices", "list"]);

    cli.succeed(&["artifacts", "delete", &id]);
    assert_eq!(running.server().artifacts().count(), 0);
    let text = cli.succeed(&["artifacts", "list"]);
    assert!(!text.contains("release-2"), "{text}");
    cli.fail(&["artifacts", "delete", &id]);
}

/// What the Linux client needs and its package leaves to the maker of the device.
const IDENTITY_SCRIPT: &str = "/usr/share/mender/identity/mender-device-identity";
const ARTIFACT_INFO: &str = "/etc/mender/artifact_info";

fn missing_for_the_client() -> Option<String> {
    if !is_installed("mender") {
        return Some("it is not installed".to_owned());
    }
    for file in [
        IDENTITY_SCRIPT,
        ARTIFACT_INFO,
        "/usr/share/mender/modules/v3/single-file",
    ] {
        if !Path::new(file).exists() {
            return Some(format!("there is no {file}"));
        }
    }
    None
}

/// The Linux client as a daemon that polls each second.
struct Daemon {
    _process: Process,
    log: PathBuf,
}

impl Daemon {
    fn start(home: &Path, server: &RunningServer) -> Self {
        Self::trusting(home, server, None)
    }

    /// One that trusts the certificate in this file beside the system's.
    fn trusting(home: &Path, server: &RunningServer, root: Option<&Path>) -> Self {
        let url = server.server().settings().api_url.clone();
        let configuration = json!({
            "ServerURL": url,
            "ServerCertificate": root,
            "UpdatePollIntervalSeconds": 1,
            "InventoryPollIntervalSeconds": 1,
            "RetryPollIntervalSeconds": 1,
            "DBus": {"Enabled": false},
        });
        let (file, data, log) = (home.join("mender.conf"), home.join("data"), home.join("log"));
        std::fs::write(&file, configuration.to_string()).unwrap();
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("device_type"), "device_type=board-a\n").unwrap();
        let child = Command::new("mender")
            .arg("--config")
            .arg(&file)
            .arg("--fallback-config")
            .arg(home.join("none.conf"))
            .arg("--data")
            .arg(&data)
            .arg("--log-file")
            .arg(&log)
            .args(["--no-syslog", "daemon"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            _process: Process(child),
            log,
        }
    }

    /// The end of its log, for messages.
    fn last_words(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// An artifact for the stock module `single-file`: a file to write, and where.
fn single_file(name: &str, content: &[u8], to: &Path) -> Vec<u8> {
    ArtifactWriter::new(name, "board-a")
        .payload_type("single-file")
        .file("dest_dir", to.to_str().unwrap().as_bytes())
        .file("filename", b"app")
        .file("permissions", b"644")
        .file("app", content)
        .write()
}

fn deploy(running: &RunningServer, artifact: Vec<u8>, device: &DeviceId) -> DeploymentId {
    let mut server = running.server();
    let id = server.add_artifact(artifact, Time::now()).unwrap();
    let name = server.artifact(&id).unwrap().info().name.clone();
    server.deploy(&name, std::slice::from_ref(device), Time::now()).unwrap()
}

#[test]
fn the_linux_client_polls_the_commercial_editions_by_version_2() {
    if !is_ready("mender-client", missing_for_the_client()) {
        return;
    }
    let running = start(Settings {
        mode: Mode::Enterprise,
        auto_accept: true,
        ..Settings::default()
    });
    let home = directory("mender-client-2");
    let daemon = Daemon::start(&home, &running);
    let hint = || daemon.last_words();
    let device = wait_for("a login", &hint, || {
        let server = running.server();
        let device = server.devices().next()?;
        Some(device.id().clone())
    });
    // The artifact depends on the name that the client has to tell.
    let installed = std::fs::read_to_string(ARTIFACT_INFO).unwrap();
    let installed = installed.trim().strip_prefix("artifact_name=").unwrap();
    let artifact = ArtifactWriter::new("release-2", "board-a")
        .depends_name(installed)
        .payload_type("single-file")
        .file("dest_dir", home.join("target").to_str().unwrap().as_bytes())
        .file("filename", b"app")
        .file("app", b"new\n")
        .write();
    let deployment = deploy(&running, artifact, &device);
    let status = wait_for("the end of the update", &hint, || {
        let server = running.server();
        let status = server.device_deployment(&deployment, &device)?.status;
        status.is_final().then_some(status)
    });
    assert_eq!(status, Status::Success, "{}", hint());
    let server = running.server();
    let polls = server
        .requests()
        .iter()
        .filter(|request| request.path().ends_with("/next"));
    assert!(
        polls
            .into_iter()
            .all(|request| request.path().starts_with("/api/devices/v2/"))
    );
    assert_eq!(server.violations(), []);
}

/// An authority of the test, and a server that it vouches for.
fn authority() -> (String, Identity) {
    let key = || KeyPair::generate().unwrap();
    let mut root = CertificateParams::new([]).unwrap();
    root.distinguished_name.push(DnType::CommonName, "Root of this test");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, key()).unwrap();
    let server = key();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
        .and_then(|params| params.signed_by(&server, &root))
        .unwrap();
    let identity = Identity::new(vec![certificate.der().clone()], server.into()).unwrap();
    (root.pem(), identity)
}

#[test]
fn the_linux_client_updates_over_tls_from_a_server_that_it_trusts() {
    if !is_ready("mender-client", missing_for_the_client()) {
        return;
    }
    let home = directory("mender-client-tls");
    let (root, identity) = authority();
    let (other_root, _) = authority();
    let (right, wrong) = (home.join("root.pem"), home.join("other.pem"));
    std::fs::write(&right, root).unwrap();
    std::fs::write(&wrong, other_root).unwrap();
    let options = Options {
        tls: Some(identity),
        ..Options::default()
    };
    let settings = Settings {
        auto_accept: true,
        ..Settings::default()
    };
    let running = spawn(Arc::new(Mutex::new(Server::new(settings))), options).unwrap();

    // With another authority of the same name it goes away before it says anything.
    let distrustful = home.join("distrustful");
    std::fs::create_dir_all(&distrustful).unwrap();
    let daemon = Daemon::trusting(&distrustful, &running, Some(&wrong));
    wait_for("a refusal", &|| daemon.last_words(), || {
        daemon.last_words().contains("not a valid certificate").then_some(())
    });
    drop(daemon);
    assert_eq!(running.server().requests().len(), 0);

    let daemon = Daemon::trusting(&home, &running, Some(&right));
    let hint = || daemon.last_words();
    let device = wait_for("a login", &hint, || {
        let server = running.server();
        let device = server.devices().next()?;
        Some(device.id().clone())
    });
    let target = home.join("target");
    let deployment = deploy(&running, single_file("release-2", b"over TLS\n", &target), &device);
    let status = wait_for("the end of the update", &hint, || {
        let server = running.server();
        let status = server.device_deployment(&deployment, &device)?.status;
        status.is_final().then_some(status)
    });
    assert_eq!(status, Status::Success, "{}", hint());
    assert_eq!(std::fs::read(target.join("app")).unwrap(), b"over TLS\n");
    assert!(running.connection_count(Endpoint::Storage) > 0);
    assert_eq!(running.server().violations(), []);
}

#[test]
fn the_linux_client_registers_reports_installs_and_fails_with_a_log() {
    if !is_ready("mender-client", missing_for_the_client()) {
        return;
    }
    let running = start(Settings::default());
    let home = directory("mender-client");
    let daemon = Daemon::start(&home, &running);
    let hint = || daemon.last_words();

    // It waits for acceptance.
    let device = wait_for("a device that waits", &hint, || {
        running.server().pending_devices().pop()
    });
    assert!(running.server().device(&device).unwrap().identity().contains_key("mac"));
    assert!(running.server().accept_device(&device, Time::now()));

    let value = |name: &str| {
        let server = running.server();
        let value = server.inventory(&device)?.value(name)?.clone();
        Some(value)
    };
    wait_for("an inventory", &hint, || value("mender_client_version"));
    assert_eq!(value("device_type"), Some(json!("board-a")));
    let first_name = value("artifact_name").unwrap();

    // An update that works.
    let target = home.join("target");
    let deployment = deploy(&running, single_file("release-2", b"new content\n", &target), &device);
    let ended = |deployment: &DeploymentId| {
        let server = running.server();
        let on_device = server.device_deployment(deployment, &device)?;
        on_device.status.is_final().then(|| on_device.clone())
    };
    let done = wait_for("the end of the update", &hint, || ended(&deployment));
    assert_eq!(done.status, Status::Success, "{}", hint());
    assert_eq!(
        done.statuses(),
        [Status::Downloading, Status::Installing, Status::Success]
    );
    assert_eq!(std::fs::read(target.join("app")).unwrap(), b"new content\n");
    wait_for("the new name", &hint, || {
        value("artifact_name").filter(|name| *name == json!("release-2"))
    });
    assert_ne!(first_name, json!("release-2"));

    // One whose module fails: what should be a directory is a file.
    let deployment = deploy(
        &running,
        single_file("release-3", b"more\n", &target.join("app")),
        &device,
    );
    let done = wait_for("the end of the failing update", &hint, || ended(&deployment));
    assert_eq!(done.status, Status::Failure, "{}", hint());
    let log = wait_for("its log", &hint, || ended(&deployment)?.log);
    assert!(log.iter().any(|message| message.level == "error"), "{log:?}");
    assert_eq!(std::fs::read(target.join("app")).unwrap(), b"new content\n");
    assert_eq!(value("artifact_name"), Some(json!("release-2")));

    // And the same one again is not installed a second time.
    let deployment = {
        let mut server = running.server();
        let devices = std::slice::from_ref(&device);
        server.deploy("release-2", devices, Time::now()).unwrap()
    };
    let done = wait_for("the answer to the third", &hint, || ended(&deployment));
    assert_eq!(done.status, Status::AlreadyInstalled);

    // A device that is thrown out comes back as a new one.
    assert!(running.server().decommission(&device, Time::now()));
    let again = wait_for("it to come back", &hint, || running.server().pending_devices().pop());
    assert_ne!(again, device);
    let identity = running
        .server()
        .device(&again)
        .map(|device| Value::Object(device.identity().clone()));
    assert!(identity.is_some_and(|identity| identity["mac"].is_string()));
    assert_eq!(running.server().violations(), []);
}
