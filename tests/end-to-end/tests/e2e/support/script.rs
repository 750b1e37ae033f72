//! Update modules that do what a test tells them, on a device that is modelled by two versions of software.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use mender::update_module::{CallbackState, Descriptor, Failure, Payload, States, UpdateModule};
use mender_testkit::device::ResetLine;

/// When within a callback the power is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Before it did anything.
    Before,
    /// After it did everything.
    After,
}

/// What a device with scripted modules is: shared by the test and by the modules of all boots.
#[derive(Debug, Default)]
pub struct Script {
    /// The callbacks made so far, by name.
    pub calls: Vec<String>,
    /// The callbacks that fail, each time.
    pub failing: BTreeSet<&'static str>,
    /// The callback that is cut by a loss of power, once.
    pub crash: Option<(&'static str, Crash)>,
    /// The callbacks that restart the device each time they are called.
    pub resetting: BTreeSet<&'static str>,
    /// The firmware that starts next has the module that neither reboots nor rolls back, and no other.
    pub bare: bool,
    /// The module's restarts do nothing.
    pub broken_restart: bool,
    /// The payload files that arrived.
    pub files: Vec<(String, Vec<u8>)>,
    /// How long the module takes for a piece of a file.
    pub slow: Option<(mender_testkit::time::VirtualClock, std::time::Duration)>,
    /// The download fails after this piece of a file.
    pub fails_at_piece: Option<usize>,
    /// The flash that the module writes files to.
    pub flash: Option<Flash>,
    /// The new software runs.
    pub runs_new: bool,
    confirmed: bool,
    request: Option<Request>,
}

/// A flash that takes its time.
#[derive(Clone, Debug)]
pub struct Flash {
    pub clock: mender_testkit::time::VirtualClock,
    /// For each byte.
    pub write: std::time::Duration,
    /// For each sector of 4 KiB, before its first byte.
    pub erase: std::time::Duration,
    /// Bytes written so far.
    pub written: usize,
}

impl Flash {
    const SECTOR: usize = 4096;

    /// How long these bytes take.
    pub fn time(&mut self, len: usize) -> std::time::Duration {
        let sectors = |len: usize| len.div_ceil(Self::SECTOR) as u32;
        let erased = sectors(self.written);
        self.written += len;
        self.write * len as u32 + self.erase * (sectors(self.written) - erased)
    }
}

/// What the bootloader is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Test,
    Back,
}

pub type SharedScript = Arc<Mutex<Script>>;

impl Script {
    /// A bootloader's work: swap on request, revert what was not confirmed.
    pub fn boot(&mut self) {
        match self.request.take() {
            Some(Request::Test) => (self.runs_new, self.confirmed) = (true, false),
            Some(Request::Back) => (self.runs_new, self.confirmed) = (false, true),
            None if self.runs_new && !self.confirmed => (self.runs_new, self.confirmed) = (false, true),
            None => {}
        }
    }
}

/// A module; its payload type says what it requires and supports.
pub struct Scripted<const REBOOT: bool, const ROLLBACK: bool> {
    pub script: SharedScript,
    pub reset: ResetLine,
}

impl<const REBOOT: bool, const ROLLBACK: bool> Scripted<REBOOT, ROLLBACK> {
    pub fn new(script: &SharedScript, reset: &ResetLine) -> Self {
        Scripted {
            script: Arc::clone(script),
            reset: reset.clone(),
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    async fn crash(&self, name: &str, when: Crash) {
        let crashes = {
            let mut script = self.script();
            let now = script.crash.is_some_and(|(crash, at)| crash == name && at == when);
            if now {
                script.crash = None;
            }
            now || (when == Crash::After && script.resetting.contains(name))
        };
        if crashes {
            self.reset.pull();
            std::future::pending::<()>().await;
        }
    }

    fn act(&self, state: CallbackState) -> Result<(), Failure> {
        let mut script = self.script();
        if script.failing.contains(state.name()) {
            return Err(Failure::new(format_args!("scripted to fail in {}", state.name())));
        }
        match state {
            CallbackState::Install if REBOOT => script.request = Some(Request::Test),
            CallbackState::Install => script.runs_new = true,
            CallbackState::Reboot | CallbackState::RollbackReboot => {
                if !script.broken_restart {
                    self.reset.pull();
                }
            }
            CallbackState::VerifyReboot if !script.runs_new => return Err(Failure::new("the old software runs")),
            CallbackState::RollbackVerifyReboot if script.runs_new => {
                return Err(Failure::new("the new software runs"));
            }
            CallbackState::Commit => script.confirmed = true,
            CallbackState::Rollback if REBOOT => {
                script.request = (script.runs_new && script.confirmed).then_some(Request::Back);
            }
            CallbackState::Rollback => script.runs_new = false,
            CallbackState::Failure if REBOOT => script.request = None,
            CallbackState::Cleanup
            | CallbackState::Failure
            | CallbackState::VerifyReboot
            | CallbackState::RollbackVerifyReboot => {}
        }
        Ok(())
    }
}

impl<const REBOOT: bool, const ROLLBACK: bool> UpdateModule for Scripted<REBOOT, ROLLBACK> {
    const DESCRIPTOR: Descriptor = Descriptor {
        artifact_type: match (REBOOT, ROLLBACK) {
            (true, true) => "firmware",
            (true, false) => "firmware-forward",
            (false, true) => "app-back",
            (false, false) => "app",
        },
        other_types: &[],
        requires_reboot: REBOOT,
        supports_rollback: ROLLBACK,
        states: {
            let mut states = States::NONE;
            let mut index = 0;
            while index < CallbackState::ALL.len() {
                states = states.with(CallbackState::ALL[index]);
                index += 1;
            }
            states
        },
    };

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.script().calls.push("download".to_owned());
        self.crash("download", Crash::Before).await;
        self.script().files.clear();
        let mut pieces = 0;
        while let Some(mut file) = payload.next_file().await? {
            let mut content = Vec::new();
            while let Some(chunk) = file.next_chunk().await? {
                content.extend_from_slice(chunk);
                pieces += 1;
                if self.script().fails_at_piece == Some(pieces) {
                    return Err(Failure::new("scripted to fail in a piece"));
                }
                let slow = self.script().slow.clone();
                if let Some((clock, pause)) = slow {
                    clock.wait(pause).await;
                }
                let work = self.script().flash.as_mut().map(|flash| {
                    let time = flash.time(chunk.len());
                    (flash.clock.clone(), time)
                });
                if let Some((clock, time)) = work {
                    clock.wait(time).await;
                }
            }
            let name = file.name().to_owned();
            self.script().files.push((name, content));
        }
        if self.script().failing.contains("download") {
            return Err(Failure::new("scripted to fail in download"));
        }
        self.crash("download", Crash::After).await;
        Ok(())
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        self.script().calls.push(state.name().to_owned());
        self.crash(state.name(), Crash::Before).await;
        self.act(state)?;
        self.crash(state.name(), Crash::After).await;
        Ok(())
    }
}
