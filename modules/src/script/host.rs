//! What the user provides: where things are, what the device is, and who listens.

use core::fmt;
use core::time::Duration;
use std::ffi::OsString;
use std::path::PathBuf;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::catalog::NoModule;
use super::output::Stream;

/// Where the modules are, and how they are called.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the programs. Each is named after the payload type that it takes.
    pub modules: PathBuf,
    /// A folder that survives restarts; nothing else may use it. The file tree is `payloads/0000/tree` in it, as the Linux
    /// client has it. An absolute path: the modules get it.
    pub work: PathBuf,
    /// The device's type, the content of `current_device_type`.
    pub device_type: String,
    /// How long one call may take; then its process group is ended.
    pub timeout: Duration,
    /// How long the process group has to end after SIGTERM, before SIGKILL.
    pub grace: Duration,
    /// The command that restarts the device, for modules that answer `Automatic`: a program and its arguments.
    pub reboot: Vec<OsString>,
}

impl Settings {
    /// The Linux client's values: modules in `/usr/share/mender/modules/v3`, four hours for a call, ten seconds to end, `reboot`.
    pub fn new(work: impl Into<PathBuf>, device_type: impl Into<String>) -> Settings {
        Settings {
            modules: "/usr/share/mender/modules/v3".into(),
            work: work.into(),
            device_type: device_type.into(),
            timeout: Duration::from_secs(4 * 60 * 60),
            grace: Duration::from_secs(10),
            reboot: vec!["reboot".into()],
        }
    }
}

/// What the modules are told of the device, and who is told of the modules.
pub trait Host {
    /// The artifact that runs, the content of `current_artifact_name`. Empty if that is not known.
    fn artifact_name(&mut self) -> String;

    /// The group of the artifact that runs, the content of `current_artifact_group`. Empty if it has none.
    fn artifact_group(&mut self) -> String {
        String::new()
    }

    /// Something happened: most of all, a module wrote a line. For a log. Must not block: the client waits.
    fn observe(&mut self, event: Event<'_>) {
        let _ = event;
    }
}

/// What an observer may want to log. Its text is one line, unless a module's name or output has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'e> {
    /// A module wrote a line: at most 1024 bytes of it, with what is not UTF-8 replaced.
    Line {
        /// The module.
        module: &'e str,
        /// What it was called for, e.g. `ArtifactInstall`.
        state: &'e str,
        /// Where it wrote to.
        stream: Stream,
        /// The line, without its end.
        text: &'e str,
    },
    /// Something in the folder of modules is none. Told once.
    NoModule {
        /// Its name.
        name: &'e str,
        /// Why.
        reason: NoModule,
    },
    /// Something went wrong that stops nothing.
    Trouble(&'e str),
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Line {
                module,
                state,
                stream,
                text,
            } => {
                let stream = match stream {
                    Stream::Out => "",
                    Stream::Err => " (stderr)",
                };
                write!(f, "{module} {state}{stream}: {text}")
            }
            Event::NoModule { name, reason } => {
                let reason = match reason {
                    NoModule::Name => "its name is no payload type",
                    NoModule::NotAFile => "it is no file",
                    NoModule::NotExecutable => "it is not executable",
                    NoModule::TooMany => "there are too many",
                };
                write!(f, "{name:?} is left out as an update module: {reason}")
            }
            Event::Trouble(text) => f.write_str(text),
        }
    }
}
