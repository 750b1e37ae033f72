//! A folder with modules in it, and what is seen of them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mender::update_module::{CallbackState, Failure, Late, ModuleIndex, ModuleSet, Payload, Traits};
use mender_modules::script::{Event, Host, Scripts, Settings};
use mender_testkit::payload::MemoryPayload;
use tempfile::TempDir;

/// The payload type of most tests.
pub const MODULE: &str = "a-module";

/// What no test comes near, unless it waits for it.
pub const LONG: Duration = Duration::from_secs(60);

/// Puts down what was observed.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[derive(Debug)]
pub struct TestHost {
    notes: Notes,
    group: &'static str,
}

impl Host for TestHost {
    fn artifact_name(&mut self) -> String {
        "release-0".into()
    }

    fn artifact_group(&mut self) -> String {
        self.group.into()
    }

    fn observe(&mut self, event: Event<'_>) {
        self.notes.0.lock().unwrap().push(event.to_string());
    }
}

pub struct Rig {
    _folder: Option<TempDir>,
    at: PathBuf,
    pub notes: Notes,
    pub settings: Settings,
    /// The group of the artifact that runs.
    pub group: &'static str,
}

impl Rig {
    pub fn new() -> Rig {
        let folder = TempDir::new().unwrap();
        let at = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(at.join("modules")).unwrap();
        Rig {
            _folder: Some(folder),
            ..Rig::again(&at)
        }
    }

    /// The same one, in another process. There the client's end is the device's restart.
    pub fn again(at: &Path) -> Rig {
        let mut settings = Settings::new(at.join("work"), "board-a");
        settings.modules = at.join("modules");
        settings.timeout = LONG;
        settings.grace = LONG;
        settings.reboot = ["sh", "-c", "kill -9 $PPID"].map(Into::into).to_vec();
        Rig {
            _folder: None,
            at: at.into(),
            notes: Notes::default(),
            settings,
            group: "beta",
        }
    }

    /// With a module of that body. It notes each call in the file `calls`, then runs the body, which finds state and tree in `$1`
    /// and `$2`, and this folder in `$AT`.
    pub fn with_module(body: &str) -> Rig {
        let rig = Rig::new();
        rig.module(MODULE, body);
        rig
    }

    pub fn at(&self) -> PathBuf {
        self.at.clone()
    }

    pub fn module(&self, name: &str, body: &str) {
        let at = self.at();
        let at = at.to_str().unwrap();
        let text = format!("#!/bin/sh\nset -e\nAT='{at}'\necho \"$1\" >>\"$AT/calls\"\n{body}\n");
        write_program(&self.settings.modules.join(name), &text);
    }

    pub fn tree(&self) -> PathBuf {
        self.settings.work.join("payloads/0000/tree")
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.at().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The states and queries that modules were called with since the last time.
    pub fn calls(&self) -> Vec<String> {
        let path = self.at().join("calls");
        let calls = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        calls.lines().map(String::from).collect()
    }

    /// A client starts.
    pub fn start(&self) -> Device {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let host = TestHost {
            notes: self.notes.clone(),
            group: self.group,
        };
        let mut scripts = runtime.block_on(Scripts::open(self.settings.clone(), host));
        scripts.descriptors();
        Device { runtime, scripts }
    }

    /// A payload with these files, in chunks of a thousand bytes.
    pub fn payload(&self, files: &[(&str, &[u8])]) -> MemoryPayload {
        let empty = MemoryPayload::new(MODULE, 1000);
        files
            .iter()
            .fold(empty, |payload, (name, content)| payload.file(name, *content))
    }
}

/// A client's modules.
pub struct Device {
    pub runtime: tokio::runtime::Runtime,
    pub scripts: Scripts<TestHost>,
}

impl Device {
    #[track_caller]
    pub fn index(&mut self, name: &str) -> ModuleIndex {
        let tables = self.scripts.descriptors();
        let place = tables.iter().position(|table| table.artifact_type == name);
        ModuleIndex::new(place.expect("a module of that name").try_into().unwrap())
    }

    pub fn download(&mut self, payload: &MemoryPayload) -> Result<Traits, Failure> {
        let mut source = payload.clone();
        let mut payload = Payload::new(&mut source);
        let module = self.index(payload.artifact().payload_type.to_owned().as_str());
        let traits = self.runtime.block_on(self.scripts.download(module, &mut payload))?;
        Ok(traits.expect("scripts say it at each download"))
    }

    pub fn call(&mut self, state: CallbackState) -> Result<Option<Late>, Failure> {
        let module = self.index(MODULE);
        self.runtime.block_on(self.scripts.call(module, state))
    }
}

/// A program. Written by another process: one that this process has open for writing while another thread starts a program could
/// not be run.
pub fn write_program(path: &Path, text: &str) {
    let mut child = Command::new("sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Whether a process runs, other than as one that is dead and only not waited for.
pub fn is_running(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}
