//! The programs as a set of update modules: which call is which run of a program.

use core::fmt::{self, Debug, Display};
use core::time::Duration;
use std::boxed::Box;
use std::ffi::OsStr;
use std::format;
use std::io;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use embassy_futures::select::{Either, select};
use mender::update_module::{CallbackState, Descriptor, Failure, Late, ModuleIndex, ModuleSet, Payload, Traits};
use tokio::time::Instant;

use super::answers::{Answers, Install, Kept, Reboot, parse_yes};
use super::catalog::Catalog;
use super::error::Error;
use super::host::{Event, Host, Settings};
use super::leftover::Running;
use super::output::{Output, Stream};
use super::pipes::{Pipes, Reading, write_files};
use super::process::{Limit, Process, run, well, within};
use super::tree::{self, Current, Tree};

/// What a module is called for.
#[derive(Clone, Copy)]
enum What {
    State,
    /// Its answer is on standard output.
    Query,
}

/// How long the command that restarts the device may take.
const REBOOT_PATIENCE: Duration = Duration::from_secs(600);

/// All update modules of a folder: see the [module documentation](super).
pub struct Scripts<H> {
    settings: Settings,
    host: H,
    catalog: Catalog,
    /// Where all that is kept is.
    folder: PathBuf,
    tree: Tree,
    running: Running,
    kept: Kept,
    /// Of the deployment that is under way.
    answers: Option<Answers>,
}

impl<H: Host> Scripts<H> {
    /// The modules of that folder, in the state in which an earlier client left them.
    ///
    /// If a restart came in the middle of `ArtifactInstall`, the module is asked now whether it needs one.
    ///
    /// # Panics
    ///
    /// As all futures here, outside of a Tokio runtime with IO and time enabled.
    pub async fn open(mut settings: Settings, host: H) -> Scripts<H> {
        for folder in [&mut settings.modules, &mut settings.work] {
            // Programs run elsewhere. Only an empty path has no absolute one.
            if let Ok(absolute) = std::path::absolute(&*folder) {
                *folder = absolute;
            }
        }
        let folder = settings.work.join("payloads").join("0000");
        let mut scripts = Scripts {
            catalog: Catalog::new(settings.modules.clone()),
            tree: Tree::new(&folder),
            running: Running::new(folder.join("running")),
            kept: Kept::new(&folder),
            answers: None,
            settings,
            host,
            folder,
        };
        match scripts.kept.read() {
            Ok(answers) => scripts.answers = answers,
            Err(error) => scripts.trouble("what an update module answered is lost", &error),
        }
        scripts.ask_again().await;
        scripts
    }

    /// What the user gave.
    pub fn host(&mut self) -> &mut H {
        &mut self.host
    }

    /// The device may have restarted into the new software before the module could say that it would need that.
    async fn ask_again(&mut self) {
        let Some(mut answers) = self.answers.clone() else {
            return;
        };
        let module = answers.module.clone();
        // Whether there is a tree is for the call to say, if that cannot be read.
        if answers.install != Install::Begun || matches!(self.is_tree_of(&module), Ok(false)) {
            return;
        }
        let reboot = match self.ask_for_reboot(&module).await {
            Ok(reboot) => reboot,
            Err(error) => {
                self.trouble("the device is taken to need a restart", &error);
                Reboot::Automatic
            }
        };
        answers.install = Install::Answered(reboot);
        if let Err(error) = self.keep(answers) {
            self.trouble("an answer is not kept", &error);
        }
    }

    /// Also if it cannot be written: then it is known as long as this client runs.
    fn keep(&mut self, answers: Answers) -> Result<(), Error> {
        let written = self.kept.write(&answers);
        self.answers = Some(answers);
        written
    }

    fn trouble(&mut self, what: &str, error: &dyn Display) {
        self.host.observe(Event::Trouble(&format!("{what}: {error}")));
    }

    fn is_tree_of(&self, module: &str) -> Result<bool, Error> {
        let owner = self.tree.module().map_err(Error::tree("file tree"))?;
        Ok(owner.is_some_and(|owner| owner == module))
    }

    fn limit(&self) -> Limit {
        Limit {
            timeout: self.settings.timeout,
            grace: self.settings.grace,
        }
    }

    /// Runs a module.
    async fn run(&mut self, module: &str, state: &'static str) -> Result<(), Failure> {
        self.run_as(module, state, What::State).await.map(|_| ())
    }

    /// Asks a module.
    async fn ask<T>(
        &mut self,
        module: &str,
        query: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let answer = self.run_as(module, query, What::Query).await?.unwrap_or_default();
        parse(&answer).ok_or_else(|| Error::Answer(answer).of(query, module))
    }

    async fn ask_for_reboot(&mut self, module: &str) -> Result<Reboot, Failure> {
        self.ask(module, "NeedsArtifactReboot", Reboot::parse).await
    }

    async fn run_as(&mut self, module: &str, state: &'static str, what: What) -> Result<Option<String>, Failure> {
        match self.is_tree_of(module) {
            Ok(true) => {}
            Ok(false) => return Err(Error::NoTree.of(state, module)),
            Err(error) => return Err(error.of(state, module)),
        }
        self.end_leftover().await;
        let limit = self.limit();
        let tree = self.tree.path();
        let program = self.catalog.program(module);
        let arguments = [OsStr::new(state), tree.as_os_str()];
        let mut forward = forward(&mut self.host, module, state);
        let output = match what {
            What::State => Output::lines(&mut forward),
            What::Query => Output::query(&mut forward),
        };
        run(program.as_os_str(), &arguments, tree, &self.running, limit, output)
            .await
            .map_err(|error| error.of(state, module))
    }

    async fn end_leftover(&mut self) {
        if self.running.end(self.settings.grace).await {
            self.trouble("an update module was still running", &"it was ended");
        }
    }

    async fn take(&mut self, module: &str, payload: &mut Payload<'_>) -> Result<Traits, Failure> {
        self.end_leftover().await;
        // An update that was cut in its download is over: the server offers it anew.
        match self.tree.module() {
            Ok(Some(owner)) => {
                if let Err(error) = self.clean(&owner).await {
                    self.trouble("an update that was cut", &error);
                }
            }
            Ok(None) => {}
            Err(error) => self.trouble("an update that was cut", &error),
        }
        self.forget("Download", module).await?;
        self.make_tree(payload)
            .await
            .map_err(|error| Error::Tree("file tree", error).of("Download", module))?;
        let with_sizes = self.ask(module, "ProvidePayloadFileSizes", parse_yes).await?;
        let state = if with_sizes {
            "DownloadWithFileSizes"
        } else {
            "Download"
        };
        let received = self.receive(module, state, with_sizes, payload).await;
        received.map_err(|error| error.of(state, module))?;
        // All checksums are known to be right then.
        payload.finish().await?;
        let supports_rollback = self.ask(module, "SupportsRollback", parse_yes).await?;
        tree::sync(self.tree.path())
            .await
            .map_err(Error::tree("sync"))
            .and_then(|()| self.keep(Answers::new(module, supports_rollback)))
            .map_err(|error| error.of(state, module))?;
        Ok(Traits {
            // Only asked when it is installed.
            requires_reboot: false,
            supports_rollback,
        })
    }

    async fn make_tree(&mut self, payload: &Payload<'_>) -> io::Result<()> {
        let current = Current {
            artifact_name: &self.host.artifact_name(),
            artifact_group: &self.host.artifact_group(),
            device_type: &self.settings.device_type,
        };
        self.tree.make(&current, payload).await
    }

    async fn receive(
        &mut self,
        module: &str,
        state: &'static str,
        with_sizes: bool,
        payload: &mut Payload<'_>,
    ) -> Result<(), Error> {
        let limit = self.limit();
        let tree = self.tree.path();
        let mut pipes = Pipes::make(tree, with_sizes)?;
        let program = self.catalog.program(module);
        let arguments = [OsStr::new(state), tree.as_os_str()];
        let process = Process::start(program.as_os_str(), &arguments, tree, Some(&self.running))?;
        let deadline = limit.deadline();
        let mut forward = forward(&mut self.host, module, state);
        let mut output = Output::lines(&mut forward);
        let ended = stream(process, &mut pipes, payload, &mut output, deadline, limit).await;
        output.finish();
        ended?;
        match pipes.reading {
            Reading::Finished => pipes.remove(),
            Reading::Begun => Err(Error::Unread),
            Reading::Nothing => {
                pipes.remove()?;
                write_files(tree, payload).await
            }
        }
    }

    async fn install(&mut self, module: &str) -> Result<Option<Late>, Failure> {
        let state = "ArtifactInstall";
        let answers = self.answers.clone().filter(|answers| answers.module == module);
        let mut answers = answers.ok_or_else(|| Error::NoTree.of(state, module))?;
        answers.install = Install::Begun;
        self.keep(answers.clone()).map_err(|error| error.of(state, module))?;
        self.run(module, state).await?;
        let reboot = self.ask_for_reboot(module).await?;
        answers.install = Install::Answered(reboot);
        self.keep(answers).map_err(|error| error.of(state, module))?;
        Ok(match reboot {
            Reboot::No => None,
            Reboot::Yes | Reboot::Automatic => Some(Late::NeedsReboot),
        })
    }

    async fn reboot(&mut self, module: &str, state: &'static str) -> Result<Option<Late>, Failure> {
        match self.answers.as_ref().map(|answers| answers.install) {
            Some(Install::Answered(Reboot::Yes)) => self.run(module, state).await.map(|()| Some(Late::Restarted)),
            Some(Install::Answered(Reboot::Automatic)) => self.restart_device(module, state).await.map(|()| None),
            Some(Install::Answered(Reboot::No) | Install::NotBegun | Install::Begun) | None => {
                Err(Error::NoReboot.of(state, module))
            }
        }
    }

    /// Whatever becomes of the command: the device may be about to restart, so the client waits for that.
    async fn restart_device(&mut self, module: &str, state: &'static str) -> Result<(), Failure> {
        let (program, arguments) = match self.settings.reboot.split_first() {
            Some((program, arguments)) => (program.as_os_str(), arguments),
            None => (OsStr::new(""), &[][..]),
        };
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_os_str()).collect();
        let mut process = Process::start(program, &arguments, Path::new("/"), None)
            .map_err(|error| Error::Reboot(Box::new(error)).of(state, module))?;
        let mut forward = forward(&mut self.host, module, state);
        let mut output = Output::lines(&mut forward);
        let deadline = Instant::now().checked_add(REBOOT_PATIENCE);
        let ended = within(deadline, process.ended(&mut output)).await;
        output.finish();
        drop(forward);
        let ended = ended.unwrap_or(Err(Error::Timeout(REBOOT_PATIENCE)));
        if let Err(error) = ended.and_then(well) {
            self.trouble("the command to restart the device", &error);
        }
        Ok(())
    }

    /// Always the last one, with any outcome.
    async fn clean(&mut self, module: &str) -> Result<(), Failure> {
        let cleaned = match self.is_tree_of(module) {
            Ok(true) => self.run(module, "Cleanup").await,
            Ok(false) => Ok(()),
            Err(error) => Err(error.of("Cleanup", module)),
        };
        cleaned.and(self.forget("Cleanup", module).await)
    }

    /// Removes what is kept of a deployment.
    async fn forget(&mut self, state: &'static str, module: &str) -> Result<(), Failure> {
        self.answers = None;
        let removed = async {
            tree::make_folder(&self.folder)?;
            self.tree.remove().await?;
            self.kept.remove()
        };
        removed
            .await
            .map_err(|error| Error::Tree("file tree", error).of(state, module))
    }
}

/// Lines of a module's call, for the host.
fn forward<H: Host>(host: &mut H, module: &str, state: &str) -> impl FnMut(Stream, &str) {
    move |stream, text| {
        host.observe(Event::Line {
            module,
            state,
            stream,
            text,
        });
    }
}

/// A module takes the payload, as far as it reads its pipes. Comes back when it has ended well.
async fn stream(
    mut process: Process<'_>,
    pipes: &mut Pipes,
    payload: &mut Payload<'_>,
    output: &mut Output<'_>,
    deadline: Option<Instant>,
    limit: Limit,
) -> Result<(), Error> {
    let both = select(process.ended(output), pipes.feed(payload));
    match within(deadline, both).await {
        Some(Either::First(status)) => well(status?),
        Some(Either::Second(Ok(()))) => process.succeeded(output, deadline, limit).await,
        Some(Either::Second(Err(Error::Unread))) => {
            // Why, it says by how it ends, if it does.
            let soon = Instant::now().checked_add(limit.grace);
            process.succeeded(output, soon, limit).await.and(Err(Error::Unread))
        }
        Some(Either::Second(Err(error))) => {
            process.kill(output, limit.grace).await;
            Err(error)
        }
        None => {
            process.kill(output, limit.grace).await;
            Err(Error::Timeout(limit.timeout))
        }
    }
}

impl<H: Host> ModuleSet for Scripts<H> {
    fn descriptors(&mut self) -> &'static [Descriptor] {
        let Scripts {
            catalog, host, answers, ..
        } = self;
        let read = catalog.read(answers.as_ref(), &mut |name, reason| {
            host.observe(Event::NoModule { name, reason });
        });
        match read {
            Ok(()) => {}
            Err(error) => self.trouble("the folder of update modules cannot be read", &error),
        }
        self.catalog.table()
    }

    async fn download(&mut self, module: ModuleIndex, payload: &mut Payload<'_>) -> Result<Option<Traits>, Failure> {
        let module = self.catalog.name(module)?;
        self.take(module, payload).await.map(Some)
    }

    async fn call(&mut self, module: ModuleIndex, state: CallbackState) -> Result<Option<Late>, Failure> {
        let module = self.catalog.name(module)?;
        let state = match state {
            CallbackState::Install => return self.install(module).await,
            CallbackState::Reboot => return self.reboot(module, "ArtifactReboot").await,
            CallbackState::RollbackReboot => return self.reboot(module, "ArtifactRollbackReboot").await,
            CallbackState::VerifyReboot => "ArtifactVerifyReboot",
            CallbackState::Commit => "ArtifactCommit",
            CallbackState::Rollback => "ArtifactRollback",
            CallbackState::RollbackVerifyReboot => "ArtifactVerifyRollbackReboot",
            CallbackState::Failure => "ArtifactFailure",
            CallbackState::Cleanup => return self.clean(module).await.map(|()| None),
        };
        self.run(module, state).await.map(|()| None)
    }
}

impl<H: Debug> Debug for Scripts<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripts")
            .field("settings", &self.settings)
            .field("host", &self.host)
            .field("answers", &self.answers)
            .finish_non_exhaustive()
    }
}
