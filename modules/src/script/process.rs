//! One run of a program, in a process group of its own.

use core::time::Duration;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::string::String;

use embassy_futures::select::{Either3, select3};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout_at};

use super::error::Error;
use super::leftover::Running;
use super::output::{Output, Source, Stream};

/// How often is looked whether a program that is to end has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long a program may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// After this it is told to end (SIGTERM).
    pub(super) timeout: Duration,
    /// So much later it is ended (SIGKILL).
    pub(super) grace: Duration,
}

impl Limit {
    /// When a program's time is over that starts now. `None`: never.
    pub(super) fn deadline(self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout)
    }
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Process<'r> {
    child: Child,
    out: Source<ChildStdout>,
    err: Source<ChildStderr>,
    /// By which it is known if the client ends before it. `None`: nothing ends it, not even the client's end.
    running: Option<&'r Running>,
}

impl<'r> Process<'r> {
    /// Starts it in `folder`, with this process's environment and nothing to read.
    pub(super) fn start(
        program: &OsStr,
        arguments: &[&OsStr],
        folder: &Path,
        running: Option<&'r Running>,
    ) -> Result<Process<'r>, Error> {
        // Without that file nothing else goes wrong than that a killed client's program is not found.
        let input = running.and_then(|running| running.begin().ok());
        let input = input.map_or_else(Stdio::null, Stdio::from);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder)
            // Whoever looks at its environment is not to see another folder than the one it is in.
            .env("PWD", folder)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(Error::Start)?;
        Ok(Process {
            out: Source::new(Stream::Out, child.stdout.take()),
            err: Source::new(Stream::Err, child.stderr.take()),
            child,
            running,
        })
    }

    /// Comes back when it has ended, and what it wrote has been taken. A dropped call loses nothing.
    pub(super) async fn ended(&mut self, output: &mut Output<'_>) -> Result<ExitStatus, Error> {
        loop {
            let event = select3(self.child.wait(), self.out.next(), self.err.next());
            match event.await {
                Either3::First(status) => {
                    self.forget();
                    self.out.drain(output);
                    self.err.drain(output);
                    return status.map_err(Error::Wait);
                }
                Either3::Second(bytes) => output.take(Stream::Out, bytes),
                Either3::Third(bytes) => output.take(Stream::Err, bytes),
            }
        }
    }

    /// As [`ended`](Process::ended), and fails unless it ended well. What takes longer than the deadline is killed.
    pub(super) async fn succeeded(
        mut self,
        output: &mut Output<'_>,
        deadline: Option<Instant>,
        limit: Limit,
    ) -> Result<(), Error> {
        match within(deadline, self.ended(output)).await {
            Some(status) => well(status?),
            None => {
                self.kill(output, limit.grace).await;
                Err(Error::Timeout(limit.timeout))
            }
        }
    }

    /// Ends the whole group: by SIGTERM, and by SIGKILL what is left of it when its leader has ended or the time is over.
    pub(super) async fn kill(mut self, output: &mut Output<'_>, grace: Duration) {
        let Some(group) = self.group() else { return };
        // A group that is gone needs no signal; and there is nothing else that can go wrong with one's own children.
        let _ = kill_process_group(group, Signal::TERM);
        let end = Instant::now().checked_add(grace);
        // The leader is looked at, not waited for: so long its number is nobody else's.
        while !has_ended(group) && end.is_none_or(|end| Instant::now() < end) {
            match select3(self.out.next(), self.err.next(), sleep(LOOK)).await {
                Either3::First(bytes) => output.take(Stream::Out, bytes),
                Either3::Second(bytes) => output.take(Stream::Err, bytes),
                Either3::Third(()) => {}
            }
        }
        let _ = kill_process_group(group, Signal::KILL);
        // After SIGKILL only a program that hangs in the kernel does not end; nobody could wait for that.
        let _ = within(Instant::now().checked_add(grace), self.ended(output)).await;
    }

    fn forget(&self) {
        if let Some(running) = self.running {
            running.forget();
        }
    }

    fn group(&self) -> Option<Pid> {
        self.child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
    }
}

/// Whoever drops the client ends what it began.
impl Drop for Process<'_> {
    fn drop(&mut self) {
        if let (Some(_), Some(group)) = (self.running, self.group()) {
            let _ = kill_process_group(group, Signal::KILL);
            self.forget();
        }
    }
}

/// A program that is run to its end, and its answer if the output is a query's.
pub(super) async fn run(
    program: &OsStr,
    arguments: &[&OsStr],
    folder: &Path,
    running: &Running,
    limit: Limit,
    mut output: Output<'_>,
) -> Result<Option<String>, Error> {
    let process = Process::start(program, arguments, folder, Some(running))?;
    let result = process.succeeded(&mut output, limit.deadline(), limit).await;
    let answer = output.finish();
    result.map(|()| answer)
}

pub(super) fn well(status: ExitStatus) -> Result<(), Error> {
    if status.success() {
        Ok(())
    } else {
        Err(Error::Status(status))
    }
}

/// `None` if the deadline came first.
pub(super) async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.ok(),
        None => Some(work.await),
    }
}

/// Whether a child has ended; it stays to be waited for.
fn has_ended(child: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(child), look), Ok(None))
}
