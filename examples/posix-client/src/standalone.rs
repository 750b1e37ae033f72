//! `--install`, `commit` and `rollback`: a deployment without a server, as the Linux client has it.

use std::path::Path;
use std::sync::Arc;

use log::info;
use mender::artifact::Limits;
use mender::client::{CommitError, InstallError, Installed, Pending, Standalone, StandaloneConfig};
use mender::storage::{FileError, FileStorage};
use mender::update_module::ModuleSet;

use crate::fetch::Artifact;
use crate::lock::{Lock, Role};
use crate::net::Net;
use crate::outcome::Outcome;
use crate::settings::{HostResources, Settings};
use crate::terminal::Terminal;
use crate::{identity, installed, key, modules};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Install the artifact of this file or URL.
    Install(String),
    /// Make what was installed permanent.
    Commit,
    /// Get back.
    Rollback,
}

/// Where a deployment is kept between two commands: beside the client's own records, which are of the same names.
const FOLDER: &str = "standalone";

/// Whether an update awaits its commit or its rollback: no client may run then.
///
/// # Errors
///
/// The records cannot be read.
pub async fn is_pending(data_dir: &Path) -> Result<bool, String> {
    let folder = data_dir.join(FOLDER);
    if !folder
        .try_exists()
        .map_err(|error| format!("{}: {error}", folder.display()))?
    {
        return Ok(false);
    }
    let config = StandaloneConfig::new("", "");
    let failed = |error: FileError| error.to_string();
    let mut resources: Box<HostResources> = Box::default();
    // Whose module it is does not matter to know that there is one.
    let none = (mender_modules::noop::Noop,);
    let (storage, pending) = storages(data_dir).map_err(failed)?;
    let mut standalone = Standalone::new(config, storage, pending, none, &mut resources);
    let pending = standalone
        .pending()
        .await
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(match pending {
        // What was only downloaded is tidied up by whatever comes next.
        Pending::Nothing | Pending::Downloaded | Pending::RolledBack => false,
        Pending::Cut
        | Pending::Awaits
        | Pending::Committing
        | Pending::RollingBack
        | Pending::Failing
        | Pending::CleaningUp => true,
    })
}

/// What is said where an update is in the way of a client.
pub const PENDING: &str = "an update that was installed by --install awaits `mender-rs commit` or `mender-rs rollback`";

/// What is said where an update of the server's is in the way of another one.
const UNDER_WAY: &str =
    "an update of the server's is under way: start the client, which brings it to its end, before you install";

fn storages(data_dir: &Path) -> Result<(FileStorage, FileStorage), FileError> {
    Ok((FileStorage::new(data_dir)?, FileStorage::new(data_dir.join(FOLDER))?))
}

/// Does it.
///
/// # Errors
///
/// What was wrong, or failed.
pub async fn obey(order: &Order, settings: &Settings, terminal: Arc<Terminal>) -> Result<Outcome, Outcome> {
    let device_type = identity::device_type(&settings.device_type).map_err(Outcome::Failed)?;
    let keys = key::read_public(&settings.artifact_keys).map_err(Outcome::Failed)?;
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    // The keys are looked at here, and the rest with them.
    settings.config(&device_type, &keys)?;
    let failed = |error: &dyn std::fmt::Display| Outcome::Failed(error.to_string());
    let _lock = Lock::take(&settings.data_dir, Role::Command).map_err(|error| failed(&error))?;
    if let Order::Install(_) = order
        && installed::is_under_way(&settings.data_dir).map_err(Outcome::Failed)?
    {
        return Err(Outcome::Failed(UNDER_WAY.to_owned()));
    }
    let (storage, pending) = storages(&settings.data_dir).map_err(|error| failed(&error))?;
    let modules = modules::all(settings, &device_type).await.map_err(Outcome::Failed)?;
    let config = StandaloneConfig {
        artifact_limits: Limits::GENEROUS,
        artifact_keys: &keys,
        ..StandaloneConfig::new(&device_type, &settings.artifact_name)
    };
    let mut resources: Box<HostResources> = Box::default();
    let mut standalone = Standalone::new(config, storage, pending, modules, &mut resources);
    match order {
        Order::Install(place) => install(&mut standalone, place, settings, terminal).await,
        Order::Commit => match standalone.commit().await {
            Ok(()) => {
                info!("committed");
                Ok(Outcome::Done)
            }
            Err(CommitError::RolledBack(failure, back)) if back.needs_reboot => Ok(Outcome::NeedsRestart(format!(
                "rolled back: {}; restart this host to run the old software",
                failure.as_str()
            ))),
            Err(error) => Err(failed(&error)),
        },
        Order::Rollback => match standalone.rollback().await {
            Ok(back) if back.needs_reboot => Ok(Outcome::NeedsRestart(
                "rolled back; restart this host to run the old software".to_owned(),
            )),
            Ok(_) => {
                info!("rolled back");
                Ok(Outcome::Done)
            }
            Err(error) => Err(failed(&error)),
        },
    }
}

async fn install<M: ModuleSet>(
    standalone: &mut Standalone<'_, FileStorage, FileStorage, M>,
    place: &str,
    settings: &Settings,
    terminal: Arc<Terminal>,
) -> Result<Outcome, Outcome> {
    let net = Net::from_env(settings.ca.as_deref())?;
    let mut artifact = Artifact::open(place, &settings.server_url, &net, terminal)
        .await
        .map_err(Outcome::Failed)?;
    match standalone.install(&mut artifact).await {
        Ok(Installed::Committed) => {
            info!("installed and committed: it cannot be rolled back");
            Ok(Outcome::Done)
        }
        Ok(Installed::Awaits { needs_reboot: false }) => {
            info!("installed; if it works: mender-rs commit, if it does not: mender-rs rollback");
            Ok(Outcome::Done)
        }
        Ok(Installed::Awaits { needs_reboot: true }) => Ok(Outcome::NeedsRestart(
            "installed; restart this host, then, if it works: mender-rs commit, if it does not: mender-rs rollback"
                .to_owned(),
        )),
        // A source that breaks explains what the module says of it.
        Err(error @ (InstallError::Source | InstallError::Module(_) | InstallError::Artifact(_))) => {
            Err(Outcome::Failed(match artifact.failure {
                Some(reason) => format!("{}: {reason}", InstallError::Source),
                None => error.to_string(),
            }))
        }
        Err(error) => Err(Outcome::Failed(error.to_string())),
    }
}
