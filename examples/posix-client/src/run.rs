//! What the arguments ask for, and what of it is wrong.

use std::fs;
use std::path::Path;

use log::{LevelFilter, warn};
use mender::provides::ARTIFACT_NAME;
use tool_style::file;

use crate::cli::{Arguments, Command};
use crate::conf::{self, Conf};
use crate::installed;
use crate::lock::{self, Ask};
use crate::outcome::Outcome;
use crate::serve::serve;
use crate::settings::Settings;
use crate::standalone::{self, Order};
use crate::terminal::Terminal;

/// Does what the arguments ask for.
pub fn run(arguments: Arguments) -> Outcome {
    match begin(arguments) {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

fn begin(arguments: Arguments) -> Result<Outcome, Outcome> {
    let conf = match &arguments.config {
        Some(path) => read_conf(path).map_err(Outcome::Failed)?,
        None => Conf::default(),
    };
    let rust_log = std::env::var("RUST_LOG").ok();
    let level = match (arguments.quiet, arguments.log_level, &rust_log, &conf.log_level) {
        (true, _, _, _) => Some(LevelFilter::Off),
        (false, Some(level), _, _) => Some(level),
        (false, None, None, Some(name)) => Some(conf_level(name).map_err(|error| {
            let path = arguments.config.as_deref().unwrap_or(Path::new(""));
            Outcome::Failed(format!("the configuration {}: {error}", path.display()))
        })?),
        (false, None, Some(_), _) | (false, None, None, None) => None,
    };
    let terminal = Terminal::start(level, rust_log.as_deref()).map_err(Outcome::Usage)?;
    for line in &conf.ignored {
        warn!(
            "{}: {line}",
            arguments.config.as_deref().unwrap_or(Path::new("")).display()
        );
    }
    let task = Task::of(&arguments);
    let settings = Settings::merge(arguments, conf)?;
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Outcome::Failed(format!("no runtime: {error}")))
    };
    match task {
        Task::Ask(what) => lock::ask(&settings.data_dir, what)
            .map(|()| Outcome::Done)
            .map_err(|error| Outcome::Failed(error.to_string())),
        Task::Show(what) => show(&settings, what).map_err(Outcome::Failed),
        Task::Obey(order) => runtime()?.block_on(standalone::obey(&order, &settings, terminal)),
        Task::Serve => runtime()?.block_on(serve(&settings, terminal)),
    }
}

/// What the arguments ask for.
enum Task {
    Ask(Ask),
    Show(What),
    Obey(Order),
    Serve,
}

/// What is shown.
enum What {
    Name,
    Provides,
}

impl Task {
    /// No two of them are given: they are a group of the arguments.
    fn of(arguments: &Arguments) -> Task {
        match (&arguments.install, arguments.command) {
            (Some(place), _) => Task::Obey(Order::Install(place.clone())),
            (None, Some(Command::Commit)) => Task::Obey(Order::Commit),
            (None, Some(Command::Rollback)) => Task::Obey(Order::Rollback),
            (None, None) if arguments.check_update => Task::Ask(Ask::CheckUpdate),
            (None, None) if arguments.send_inventory => Task::Ask(Ask::SendInventory),
            (None, None) if arguments.show_artifact => Task::Show(What::Name),
            (None, None) if arguments.show_provides => Task::Show(What::Provides),
            (None, None) => Task::Serve,
        }
    }
}

fn read_conf(path: &Path) -> Result<Conf, String> {
    fs::read_to_string(path)
        .map_err(|error| file::unreadable(&error))
        .and_then(|text| conf::parse(&text))
        .map_err(|error| format!("the configuration {}: {error}", path.display()))
}

/// The Linux client's names.
fn conf_level(name: &str) -> Result<LevelFilter, String> {
    match name {
        "fatal" | "error" => Ok(LevelFilter::Error),
        "warning" | "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        other => Err(format!(
            "`DaemonLogLevel`: `{other}` is no level; it must be error, warning, info, debug or trace"
        )),
    }
}

fn show(settings: &Settings, what: What) -> Result<Outcome, String> {
    let provides = installed::provides(&settings.data_dir, &settings.artifact_name)?;
    let mut text = String::new();
    for (key, value) in provides {
        match what {
            What::Name if key == ARTIFACT_NAME => text.push_str(&format!("{value}\n")),
            What::Name => {}
            What::Provides => text.push_str(&format!("{key}={value}\n")),
        }
    }
    file::print(text.as_bytes())?;
    Ok(Outcome::Done)
}
