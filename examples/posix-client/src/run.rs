//! The client, signals and intervals together.

use std::cell::RefCell;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use log::{LevelFilter, info, warn};
use mender::adapters::tokio::TokioClock;
use mender::client::{Client, Handle, Resources};
use mender::rand_core::UnwrapErr;
use mender::storage::FileStorage;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::cli::Arguments;
use crate::conf::{self, Conf};
use crate::device::{Host, Notes};
use crate::lock::{self, Ask, Lock, LockError};
use crate::modules::{AtWork, Watched};
use crate::net::Net;
use crate::outcome::Outcome;
use crate::proxy::Proxies;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::{identity, installed, inventory, key, modules, tls};

/// Room for what hosts have: tokens and links of any server, blocks that keep a disk busy, artifacts of any size.
type HostResources = Resources<16384, 16384, 65536, 262144>;

/// How long the client may take to stop between two steps before it is stopped where it is.
const GRACE: Duration = Duration::from_millis(800);
/// How often it is looked whether a module is at its end.
const LOOK: Duration = Duration::from_millis(50);

/// Does what the arguments ask for.
pub fn run(arguments: Arguments) -> Outcome {
    match begin(arguments) {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

fn begin(arguments: Arguments) -> Result<Outcome, Outcome> {
    let conf = match &arguments.config {
        Some(path) => read_conf(path).map_err(Outcome::Usage)?,
        None => Conf::default(),
    };
    let rust_log = std::env::var("RUST_LOG").ok();
    let level = match (arguments.quiet, arguments.log_level, &rust_log, &conf.log_level) {
        (true, _, _, _) => Some(LevelFilter::Off),
        (false, Some(level), _, _) => Some(level),
        (false, None, None, Some(name)) => Some(conf_level(name).map_err(Outcome::Usage)?),
        (false, None, Some(_), _) | (false, None, None, None) => None,
    };
    let terminal = Terminal::start(level, rust_log.as_deref()).map_err(Outcome::Usage)?;
    for line in &conf.ignored {
        warn!(
            "{}: {line}",
            arguments.config.as_deref().unwrap_or(Path::new("")).display()
        );
    }
    if arguments.check_update || arguments.send_inventory {
        let what = if arguments.check_update {
            Ask::CheckUpdate
        } else {
            Ask::SendInventory
        };
        lock::ask(&arguments.data_dir, what).map_err(|error| Outcome::Failed(error.to_string()))?;
        return Ok(Outcome::Done);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Outcome::Failed(format!("no runtime: {error}")))?;
    let (show_artifact, show_provides) = (arguments.show_artifact, arguments.show_provides);
    let settings = Settings::merge(arguments, conf).map_err(Outcome::Usage)?;
    if show_artifact || show_provides {
        return runtime
            .block_on(show(&settings, show_artifact))
            .map_err(Outcome::Failed);
    }
    runtime.block_on(serve(&settings, terminal))
}

fn read_conf(path: &Path) -> Result<Conf, String> {
    fs::read_to_string(path)
        .map_err(|error| error.to_string())
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
        other => Err(format!("`DaemonLogLevel`: `{other}` is no level")),
    }
}

async fn show(settings: &Settings, only_name: bool) -> Result<Outcome, String> {
    let provides = installed::provides(&settings.data_dir, &settings.artifact_name).await?;
    let mut text = String::new();
    for (key, value) in provides {
        match only_name {
            true if key == mender::provides::ARTIFACT_NAME => text = format!("{value}\n"),
            true => {}
            false => text.push_str(&format!("{key}={value}\n")),
        }
    }
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("standard output: {error}"))?;
    Ok(Outcome::Done)
}

/// Everything that may be wrong is found before anything is changed; then the client runs.
async fn serve(settings: &Settings, terminal: std::sync::Arc<Terminal>) -> Result<Outcome, Outcome> {
    let device_type = identity::device_type(&settings.device_type).map_err(Outcome::Usage)?;
    let config = settings.config(&device_type).map_err(Outcome::Usage)?;
    let proxies = Proxies::from_env(|name| std::env::var(name).ok()).map_err(Outcome::Usage)?;
    let key = settings
        .private_key
        .as_deref()
        .map(key::read)
        .transpose()
        .map_err(Outcome::Usage)?;
    let roots = settings.ca.as_deref().map(tls::read_roots).transpose();
    let net = Net::new(proxies, roots.map_err(Outcome::Usage)?.unwrap_or_default());
    let identity = identity::find(&settings.identity).await.map_err(Outcome::Usage)?;
    // What the client calls a source that never fails has been tried.
    getrandom::fill(&mut [0; 32]).map_err(|error| Outcome::Failed(format!("random numbers: {error}")))?;
    let _lock = Lock::take(&settings.data_dir).map_err(|error| match error {
        LockError::Io(..) | LockError::Held(..) | LockError::NotRunning(..) => Outcome::Failed(error.to_string()),
    })?;
    let storage = FileStorage::new(&settings.data_dir).map_err(|error| Outcome::Failed(error.to_string()))?;
    let mut signals = Signals::new().map_err(|error| Outcome::Failed(format!("signals: {error}")))?;

    let handle = Handle::new();
    let facts = inventory::collect(&settings.inventory, settings.inventory_dir.as_deref()).await;
    let host = Host {
        identity,
        key,
        inventory: RefCell::new(facts),
        reboot_command: settings.reboot_command.clone(),
        terminal,
        once: settings.once.then_some(&handle),
        notes: Notes::default(),
    };
    info!("asks {} for updates of a {device_type}", settings.server_url);
    let at_work = AtWork::default();
    let mut resources: Box<HostResources> = Box::default();
    let mut client = Client::new(
        config,
        &host,
        &net,
        storage,
        TokioClock::start(),
        UnwrapErr(getrandom::SysRng),
        Watched {
            modules: modules::built_in(&settings.data_dir, &settings.root),
            at_work: &at_work,
        },
        &mut resources,
    )
    .map_err(|error| Outcome::Usage(error.to_string()))?;

    let renew = Notify::new();
    let ended = tokio::select! {
        biased;
        result = client.run_with(&handle) => Some(result),
        never = renew_inventory(settings, &host, &handle, &renew) => match never {},
        () = signals.obey(&handle, &renew, &at_work) => None,
    };
    match ended {
        Some(Err(error)) => Err(Outcome::Failed(format!("{error}; nothing was sent"))),
        Some(Ok(())) if settings.once && !signals.were_heard => Ok(host.notes.outcome(net.last_error())),
        Some(Ok(())) | None => {
            info!("stops");
            Ok(Outcome::Done)
        }
    }
}

/// Sends the inventory at each interval, and when it is asked for: the scripts first, then the report.
async fn renew_inventory(
    settings: &Settings,
    host: &Host<'_>,
    handle: &Handle,
    renew: &Notify,
) -> std::convert::Infallible {
    loop {
        tokio::select! {
            () = tokio::time::sleep(settings.inventory_interval) => {}
            () = renew.notified() => {}
        }
        let facts = inventory::collect(&settings.inventory, settings.inventory_dir.as_deref()).await;
        host.inventory.replace(facts);
        handle.send_inventory();
    }
}

/// The signals that the client obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    check_update: Signal,
    send_inventory: Signal,
    were_heard: bool,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            check_update: signal(SignalKind::user_defined1())?,
            send_inventory: signal(SignalKind::user_defined2())?,
            were_heard: false,
        })
    }

    /// Passes on what signals ask for. Ends when the client is to be dropped.
    async fn obey(&mut self, handle: &Handle, renew: &Notify, at_work: &AtWork) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.check_update.recv() => {
                    info!("asked for an update by a signal");
                    handle.check_for_update();
                }
                _ = self.send_inventory.recv() => {
                    info!("asked for the inventory by a signal");
                    renew.notify_one();
                }
            }
        }
        self.were_heard = true;
        handle.stop();
        // Dropping the client is like a loss of power to it, which it gets over; but what a module has half done is undone then.
        let patience = async {
            tokio::time::sleep(GRACE).await;
            while at_work.get() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = patience => {}
        }
    }
}
