//! The client: the async driver, the only place where everything meets.
//!
//! | file | job |
//! |---|---|
//! | `config.rs`, `device.rs`, `signer.rs`, `handle.rs`, `resources.rs` | what the user sees: settings, device and clock, its key, requests from other tasks, memory |
//! | `updates.rs` | the update loop: boot, poll, pause |
//! | `deployment/` | one deployment: the state machine's actions, performed |
//! | `download.rs` | network and module side by side |
//! | `inventory.rs` | the inventory loop |
//! | `session.rs`, `calls.rs` | the shared connection: login, retries; the calls of the device API |
//! | `journal.rs` | the deployment log in storage |
//! | `backoff.rs` | pauses (pure) |
//!
//! May depend on everything else in this crate; nothing else depends on it.

mod backoff;
mod calls;
mod config;
mod deployment;
mod device;
mod download;
mod handle;
mod inventory;
mod journal;
mod resources;
mod session;
mod signer;
mod updates;

use core::fmt;

use embassy_futures::select::{Either, select};
use embassy_sync::mutex::Mutex;
use rand_core::CryptoRng;

pub use config::{Config, ConfigError};
pub use device::{Clock, Device, Event, Inventory, NetworkDown};
pub use handle::Handle;
pub use resources::Resources;
pub use signer::Signer;

use crate::api::key::{DeviceKey, KeyError, PRIVATE_KEY_LEN, PublicKeyPem};
use crate::deployment::record::InstalledRecord;
use crate::fmt::{error, info};
use crate::net::{Connector, Url};
use crate::provides::{ARTIFACT_NAME, ProvidesBuf};
use crate::storage::{ReadError, RecordKey, Storage, WriteError};
use crate::update_module::ModuleSet;
use inventory::News;
use resources::Lent;
use session::{Session, Users};
use updates::Updates;

/// The Mender client of one device.
///
/// Made from what the user provides, then run: `client.run().await` does everything else, for ever. See the
/// [crate's documentation](crate) for a whole program.
pub struct Client<'r, D, C, S, K, R, M> {
    config: Config<'r>,
    device: D,
    connector: C,
    storage: S,
    clock: K,
    rng: R,
    modules: M,
    lent: Lent<'r>,
}

impl<D, C, S, K, R, M> fmt::Debug for Client<'_, D, C, S, K, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server_url", &self.config.server_url)
            .field("device_type", &self.config.device_type)
            .finish_non_exhaustive()
    }
}

/// Why a client cannot run: there is no device key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunError<E> {
    /// The storage cannot be read.
    Read(ReadError<E>),
    /// A new key cannot be stored.
    Write(WriteError<E>),
    /// A key cannot be made, the stored one is damaged, or the device's [`Signer`] does not tell its public key.
    Key(KeyError),
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Read(error) => write!(f, "the device key cannot be read: {error}"),
            RunError::Write(error) => write!(f, "the device key cannot be stored: {error}"),
            RunError::Key(error) => write!(f, "the device key: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for RunError<E> {}

impl<'r, D, C, S, K, R, M> Client<'r, D, C, S, K, R, M>
where
    D: Device,
    C: Connector,
    S: Storage,
    K: Clock,
    R: CryptoRng,
    M: ModuleSet,
{
    /// Puts a client together. Nothing happens before [`run`](Client::run).
    ///
    /// `modules` is a tuple of update modules: `(module,)` for one. `rng` makes the device key at the first start and
    /// spreads retries; the key is only as good as it is.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field of `config` that cannot be used.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one thing that only the user has; a builder would hide which are needed"
    )]
    pub fn new<
        const TOKEN: usize,
        const BODY: usize,
        const LINK: usize,
        const HEAD: usize,
        const BLOCK: usize,
        const ARTIFACT: usize,
        const RECORD: usize,
    >(
        config: Config<'r>,
        device: D,
        connector: C,
        storage: S,
        clock: K,
        rng: R,
        modules: M,
        resources: &'r mut Resources<TOKEN, BODY, LINK, HEAD, BLOCK, ARTIFACT, RECORD>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Client {
            config,
            device,
            connector,
            storage,
            clock,
            rng,
            modules,
            lent: resources.lend(),
        })
    }

    /// Makes a new device key and stores it in the place of the present one (mender-mcu calls it recommissioning). To the
    /// server this device then has to be accepted again. Of no use if the device has a [`Signer`].
    ///
    /// Also the way out if the stored key is damaged.
    ///
    /// # Errors
    ///
    /// [`RunError`]; the present key is kept then.
    ///
    /// # Power loss and cancellation
    ///
    /// Either key is stored, never half of one.
    pub async fn renew_key(&mut self) -> Result<(), RunError<S::Error>> {
        new_key(&mut self.storage, &mut self.rng).await.map(drop)
    }

    /// Runs the client: updates and inventory, for ever.
    ///
    /// # Errors
    ///
    /// [`RunError`] at once if there is no device key and none can be made. Everything else is retried.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is like losing power: a deployment under way goes on from storage when the client runs again.
    pub async fn run(&mut self) -> Result<(), RunError<S::Error>> {
        self.run_with(&Handle::new()).await
    }

    /// Runs the client, and listens to `handle`. Returns `Ok` after [`Handle::stop`].
    ///
    /// # Errors
    ///
    /// As [`run`](Client::run).
    ///
    /// # Cancellation
    ///
    /// As [`run`](Client::run).
    pub async fn run_with(&mut self, handle: &Handle) -> Result<(), RunError<S::Error>> {
        let Lent {
            token,
            body,
            link,
            head,
            download_head,
            block_a,
            block_b,
            artifact,
            installed,
            next,
            scratch,
        } = &mut self.lent;
        let (key, pem) = keys(&self.device, &mut self.storage, &mut self.rng, scratch).await?;
        let committed = load_installed(&mut self.storage, self.config.artifact_name, installed, scratch).await;
        // The configuration was checked.
        let Ok(url) = Url::parse(self.config.server_url) else {
            return Ok(());
        };
        let session = Mutex::new(Session {
            config: &self.config,
            device: &self.device,
            connector: &self.connector,
            clock: &self.clock,
            rng: &mut self.rng,
            url,
            key,
            pem,
            connection: None,
            users: Users::default(),
            token,
            token_len: 0,
            head,
            body,
            installed,
            installed_len: committed.len,
        });
        let news = News::new();
        let mut updates = Updates {
            config: &self.config,
            device: &self.device,
            connector: &self.connector,
            storage: &mut self.storage,
            clock: &self.clock,
            modules: &mut self.modules,
            session: &session,
            news: &news,
            handle,
            link,
            download_head,
            block_a,
            block_b,
            artifact,
            next,
            scratch,
            number: committed.by,
        };
        info!("mender client for {} starts", self.config.device_type);
        let inventory = inventory::run(&self.config, &session, &self.clock, handle, &news);
        match select(updates.run(), inventory).await {
            Either::First(()) | Either::Second(()) => Ok(()),
        }
    }
}

/// The public key, and the private one unless the device has a signer.
async fn keys<D: Device, S: Storage, R: CryptoRng>(
    device: &D,
    storage: &mut S,
    rng: &mut R,
    buffer: &mut [u8],
) -> Result<(Option<DeviceKey>, PublicKeyPem), RunError<S::Error>> {
    match device.signer() {
        Some(signer) => {
            let point = signer.public_point().await.map_err(|error| {
                error!("the device's signer: {error:?}");
                RunError::Key(KeyError::Signer)
            })?;
            Ok((None, PublicKeyPem::from_point(&point).map_err(RunError::Key)?))
        }
        None => {
            let key = device_key(storage, rng, buffer).await?;
            let pem = key.public_key();
            Ok((Some(key), pem))
        }
    }
}

/// The stored key, or a new one.
async fn device_key<S: Storage, R: CryptoRng>(
    storage: &mut S,
    rng: &mut R,
    buffer: &mut [u8],
) -> Result<DeviceKey, RunError<S::Error>> {
    match storage.read(RecordKey::DeviceKey, buffer).await {
        Ok(Some(len)) => {
            let record = buffer.get_mut(..len).unwrap_or(&mut []);
            // A version byte, then the private key.
            let key = match record {
                [KEY_VERSION, key @ ..] => DeviceKey::from_bytes(key).map_err(RunError::Key),
                [] | [..] => Err(RunError::Key(KeyError::Invalid)),
            };
            record.fill(0);
            key
        }
        Ok(None) => {
            info!("no device key yet: making one");
            new_key(storage, rng).await
        }
        Err(error) => Err(RunError::Read(error)),
    }
}

async fn new_key<S: Storage, R: CryptoRng>(storage: &mut S, rng: &mut R) -> Result<DeviceKey, RunError<S::Error>> {
    let key = DeviceKey::generate(rng).map_err(RunError::Key)?;
    let mut record = [KEY_VERSION; 1 + PRIVATE_KEY_LEN];
    if let Some(place) = record.get_mut(1..) {
        place.copy_from_slice(&key.to_bytes());
    }
    let stored = storage.write(RecordKey::DeviceKey, &record).await;
    record.fill(0);
    stored.map_err(RunError::Write)?;
    Ok(key)
}

const KEY_VERSION: u8 = 1;

struct Committed {
    by: crate::deployment::record::DeploymentNumber,
    len: usize,
}

/// Artifact name and provides of what runs, into their buffer.
async fn load_installed<S: Storage>(
    storage: &mut S,
    default_name: &str,
    installed: &mut [u8],
    scratch: &mut [u8],
) -> Committed {
    let record = match storage.read(RecordKey::Installed, scratch).await {
        Ok(Some(len)) => match InstalledRecord::decode(scratch.get(..len).unwrap_or(&[])) {
            Ok(record) => record,
            Err(error) => {
                error!("the installed record cannot be used: {error}");
                InstalledRecord::default()
            }
        },
        Ok(None) => InstalledRecord::default(),
        Err(error) => {
            error!("the installed record cannot be read: {error}");
            InstalledRecord::default()
        }
    };
    let by = record.committed_by;
    let len = ProvidesBuf::copy_of(record.provides, installed).and_then(|mut list| {
        if list.as_provides().artifact_name().is_none() {
            list.set(ARTIFACT_NAME, default_name)?;
        }
        Ok(list.len())
    });
    let len = match len {
        Ok(len) => len,
        Err(error) => {
            error!("{error}");
            0
        }
    };
    Committed { by, len }
}
