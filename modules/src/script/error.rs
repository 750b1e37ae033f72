//! Why a module's call failed.

use core::fmt;
use core::time::Duration;
use std::boxed::Box;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::string::String;

use mender::update_module::{Failure, PayloadError};

/// Why a call of a program failed, without the call's name.
#[derive(Debug)]
pub(super) enum Error {
    /// The payload ended early.
    Payload(PayloadError),
    /// The program could not be started.
    Start(io::Error),
    /// The operating system does not say how the program ended.
    Wait(io::Error),
    /// It ended otherwise than with the status 0.
    Status(ExitStatus),
    /// It took longer than it may.
    Timeout(Duration),
    /// The answer to a query is none that the protocol knows.
    Answer(String),
    /// The program began to read the payload from its pipes and ended before it had read all of it.
    Unread,
    /// Writing to a pipe failed, other than by its reader's end.
    Pipe(io::Error),
    /// A file of the payload has a name that is no plain file name.
    FileName,
    /// The file tree could not be written or removed: what, and why.
    Tree(&'static str, io::Error),
    /// There is no file tree for this call.
    NoTree,
    /// No reboot was asked for by the module.
    NoReboot,
    /// The command that restarts the device failed.
    Reboot(Box<Error>),
}

impl Error {
    /// For `map_err`.
    pub(super) fn tree(what: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |error| Error::Tree(what, error)
    }

    /// With the names of the call. What went wrong comes first: the text is cut at its end.
    pub(super) fn of(&self, state: &str, module: &str) -> Failure {
        Failure::new(format_args!("{state}: {self} (update module {module})"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Payload(error) => error.fmt(f),
            Error::Start(error) => write!(f, "cannot be started: {error}"),
            Error::Wait(error) => write!(f, "cannot be waited for: {error}"),
            Error::Status(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exit status {code}"),
                (None, Some(signal)) => write!(f, "killed by signal {signal}"),
                (None, None) => f.write_str("ended in an unknown way"),
            },
            Error::Timeout(limit) => write!(f, "killed after {} s", limit.as_secs_f32()),
            Error::Answer(answer) => write!(f, "answered {answer:?}"),
            Error::Unread => f.write_str("ended before it had read the payload"),
            Error::Pipe(error) => write!(f, "pipe: {error}"),
            Error::FileName => f.write_str("the payload has a file without a plain name"),
            Error::Tree(what, error) => write!(f, "{what}: {error}"),
            Error::NoTree => f.write_str("the file tree is gone"),
            Error::Reboot(error) => write!(f, "the command to restart the device {error}"),
            Error::NoReboot => f.write_str("the module asked for no reboot"),
        }
    }
}

impl From<PayloadError> for Error {
    fn from(error: PayloadError) -> Error {
        Error::Payload(error)
    }
}
