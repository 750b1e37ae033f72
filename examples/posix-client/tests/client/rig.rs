//! A server, a data directory, and the program between them. Every wait has an end.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use mender_test_server::{Identity, Options, RunningServer, spawn};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{DeploymentId, DeviceId, Mode, Server, Settings, Status, Time};
use tempfile::TempDir;

/// What one step may take. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub const DEVICE_TYPE: &str = "desk";
pub const MAC: &str = "02:00:5e:10:00:01";

/// The program, with nothing of this machine's environment that it would obey.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mender-rs"));
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy().to_ascii_lowercase();
        if name_text.starts_with("mender_") || name_text.ends_with("_proxy") || name_text == "rust_log" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Waits until `probe` finds something.
#[track_caller]
pub fn wait_for<T>(what: &str, hint: impl Fn() -> String, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}\n{}", hint());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running program, which does not outlive the test; what it says goes to a file.
pub struct Running {
    pub child: Child,
    log: PathBuf,
    log_begin: usize,
}

impl Running {
    pub fn start(mut command: Command, log: &Path) -> Running {
        let log_begin = fs::read(log).map_or(0, |text| text.len());
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Running {
            child,
            log: log.to_owned(),
            log_begin,
        }
    }

    /// What it has said.
    pub fn said(&self) -> String {
        let all = fs::read(&self.log).unwrap();
        String::from_utf8_lossy(&all[self.log_begin..]).into_owned()
    }

    #[track_caller]
    pub fn wait_for_line(&self, part: &str) {
        wait_for(
            &format!("`{part}`"),
            || self.said(),
            || self.said().contains(part).then_some(()),
        );
    }

    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let (child, log) = (&mut self.child, &self.log);
        wait_for(
            "the program's end",
            || fs::read_to_string(log).unwrap(),
            || child.try_wait().unwrap(),
        )
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server, and a folder with the device's data and what is installed on it.
pub struct Rig {
    pub server: RunningServer,
    pub url: String,
    pub folder: TempDir,
    pub more: Vec<String>,
}

impl Rig {
    /// A server without TLS.
    pub fn new(mode: Mode) -> Rig {
        Rig::with(mode, None)
    }

    pub fn with(mode: Mode, tls: Option<Identity>) -> Rig {
        let settings = Settings {
            mode,
            auto_accept: true,
            ..Settings::default()
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let options = Options {
            tls,
            ..Options::default()
        };
        let server = spawn(Arc::new(Mutex::new(Server::new(settings))), options).unwrap();
        let url = format!("{scheme}://{}", server.api_address());
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        Rig {
            server,
            url,
            folder,
            more: Vec::new(),
        }
    }

    pub fn server(&self) -> MutexGuard<'_, Server> {
        self.server.server()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder that updates write to.
    pub fn etc(&self) -> PathBuf {
        self.path("etc")
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The program on this rig's server and data.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command
            .args([
                "--server-url",
                &self.url,
                "--device-type",
                DEVICE_TYPE,
                "--mac-address",
                MAC,
            ])
            .args(["--poll-interval=1", "--retry-interval=1", "--inventory-interval=1h"])
            // Not those that are installed on this machine.
            .arg("--modules-dir")
            .arg(self.path("no-modules"))
            .arg("--data-dir")
            .arg(self.data())
            .args(&self.more)
            .args(arguments);
        command
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments), &self.path("log"))
    }

    /// Runs to the end: exit status, and what was said.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut running = self.start(arguments);
        let status = running.wait();
        (status.code().unwrap_or(-1), running.said())
    }

    /// The device, once the server knows it.
    #[track_caller]
    pub fn device(&self) -> DeviceId {
        wait_for(
            "the device",
            || fs::read_to_string(self.path("log")).unwrap_or_default(),
            || self.server().find_device("mac", MAC).map(|device| device.id().clone()),
        )
    }

    /// Registers the device, so that something can be deployed to it.
    #[track_caller]
    pub fn register(&self) -> DeviceId {
        let (status, said) = self.run(&["--once"]);
        assert_eq!(status, 0, "{said}");
        self.device()
    }

    /// The installed artifact's name, by the program.
    #[track_caller]
    pub fn run_show(&self) -> String {
        let (status, said) = self.run(&["--show-artifact"]);
        assert_eq!(status, 0, "{said}");
        said.trim().to_owned()
    }

    /// Uploads an artifact and deploys it to the device.
    pub fn deploy(&self, name: &str, artifact: &ArtifactWriter) -> DeploymentId {
        let device = self.device();
        let mut server = self.server();
        server.add_artifact(artifact.write(), Time::now()).unwrap();
        server.deploy(name, &[device], Time::now()).unwrap()
    }

    /// What the device has reported; nothing before it was offered the deployment.
    pub fn statuses(&self, deployment: &DeploymentId) -> Vec<Status> {
        let server = self.server();
        let device = server.find_device("mac", MAC).unwrap().id().clone();
        let of_device = server.device_deployment(deployment, &device);
        of_device.map_or_else(Vec::new, |of_device| of_device.statuses())
    }

    /// What the server's record says; nothing before the device was offered the deployment.
    pub fn status(&self, deployment: &DeploymentId) -> Option<Status> {
        let server = self.server();
        let device = server.find_device("mac", MAC).unwrap().id().clone();
        Some(server.device_deployment(deployment, &device)?.status)
    }

    /// Waits for a deployment's end.
    #[track_caller]
    pub fn wait_for_end(&self, deployment: &DeploymentId) -> Status {
        wait_for(
            "the deployment's end",
            || {
                let log = fs::read_to_string(self.path("log")).unwrap_or_default();
                format!("{:?}\n{log}", self.statuses(deployment))
            },
            || {
                let status = self.status(deployment)?;
                matches!(status, Status::Success | Status::Failure).then_some(status)
            },
        )
    }

    #[track_caller]
    pub fn assert_no_violation(&self) {
        assert_eq!(self.server().violations(), []);
    }

    /// An update of one file.
    pub fn single_file(&self, release: &str, file_name: &str, content: &[u8]) -> ArtifactWriter {
        let etc = self.etc();
        ArtifactWriter::new(release, DEVICE_TYPE)
            .payload_type("single-file")
            .file("dest_dir", etc.to_str().unwrap().as_bytes())
            .file("filename", file_name.as_bytes())
            .file("permissions", b"640")
            .file(file_name, content)
    }

    /// An update of a folder, with these files.
    pub fn directory(&self, release: &str, folder: &str, files: &[(&str, &[u8])]) -> ArtifactWriter {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *content).unwrap();
        }
        let destination = self.etc().join(folder);
        ArtifactWriter::new(release, DEVICE_TYPE)
            .payload_type("directory")
            .file("dest_dir", destination.to_str().unwrap().as_bytes())
            .file("update.tar", &tar.into_inner().unwrap())
    }

    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.etc().join(name)).ok()
    }
}

/// Passes connections on, for as long as the test runs.
pub fn forward(listener: &TcpListener, target: &str) {
    for near in listener.incoming() {
        let (Ok(near), Ok(far)) = (near, TcpStream::connect(target)) else {
            return;
        };
        join(near, far);
    }
}

/// Passes on what either end says to the other one.
pub fn join(near: TcpStream, far: TcpStream) {
    let pump = |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            // Either end may close at any time.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        })
    };
    pump(near.try_clone().unwrap(), far.try_clone().unwrap());
    pump(far, near);
}

/// The head of a request; what there is of it, if the other end breaks off.
pub fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
