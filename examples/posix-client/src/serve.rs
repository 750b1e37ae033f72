//! The client as a service: signals and intervals around it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use log::info;
use mender::adapters::random::Random;
use mender::adapters::tokio::TokioClock;
use mender::client::{Client, Handle};
use mender::storage::FileStorage;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::device::{Host, Notes};
use crate::lock::{Lock, Role};
use crate::modules::{self, AtWork, Watched};
use crate::net::Net;
use crate::outcome::Outcome;
use crate::settings::{HostResources, Settings};
use crate::terminal::Terminal;
use crate::{identity, inventory, key, standalone};

/// How long the client may take to stop between two steps before it is stopped where it is.
const GRACE: Duration = Duration::from_millis(800);
/// The same while an update is installed, from the end of the last call of a module on. It comes to rest by itself; only a server that
/// keeps it waiting is not waited for any longer.
const INSTALL_GRACE: Duration = Duration::from_secs(10);
/// How often it is looked whether a module is at its end.
const LOOK: Duration = Duration::from_millis(50);

/// Everything that may be wrong is found before anything is changed; then the client runs.
///
/// # Errors
///
/// What was wrong, or failed.
pub async fn serve(settings: &Settings, terminal: Arc<Terminal>) -> Result<Outcome, Outcome> {
    let device_type = identity::device_type(&settings.device_type).map_err(Outcome::Failed)?;
    let keys = key::read_public(&settings.artifact_keys).map_err(Outcome::Failed)?;
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let config = settings.config(&device_type, &keys)?;
    let key = settings
        .private_key
        .as_deref()
        .map(key::read)
        .transpose()
        .map_err(Outcome::Failed)?;
    let net = Net::from_env(settings.ca.as_deref())?;
    let identity = identity::find(&settings.identity).await.map_err(Outcome::Failed)?;
    let random = Random::new(getrandom::SysRng).map_err(|error| Outcome::Failed(error.to_string()))?;
    // Before the lock says that there is a client which obeys them.
    let mut signals = Signals::new().map_err(|error| Outcome::Failed(format!("signals: {error}")))?;
    let _lock = Lock::take(&settings.data_dir, Role::Client).map_err(|error| Outcome::Failed(error.to_string()))?;
    if standalone::is_pending(&settings.data_dir)
        .await
        .map_err(Outcome::Failed)?
    {
        return Err(Outcome::Failed(standalone::PENDING.to_owned()));
    }
    let storage = FileStorage::new(&settings.data_dir).map_err(|error| Outcome::Failed(error.to_string()))?;

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
        &random,
        Watched {
            modules: modules::all(settings, &device_type).await.map_err(Outcome::Failed)?,
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
        () = signals.obey(&handle, &renew, &at_work, &host.notes) => None,
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
    async fn obey(&mut self, handle: &Handle, renew: &Notify, at_work: &AtWork, notes: &Notes) {
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
        // Dropping the client is like a loss of power to it, which it gets over; but an update that is half installed is undone then.
        let patience = async {
            let mut rest = Duration::ZERO;
            while at_work.get() || rest < if notes.is_installing() { INSTALL_GRACE } else { GRACE } {
                tokio::time::sleep(LOOK).await;
                rest = if at_work.get() { Duration::ZERO } else { rest + LOOK };
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = patience => {}
        }
    }
}
