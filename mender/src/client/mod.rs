//! The client: what the user sees, and the driver, which does what the agent decides.
//!
//! | file | job |
//! |---|---|
//! | `device.rs`, `signer.rs`, `handle.rs`, `resources.rs` | what the user brings and gets: device and clock, its key, requests from other tasks, memory |
//! | `keys.rs` | the device's key |
//! | `mac.rs` | a hardware address as text, for the device's identity |
//! | `driver.rs` | does what the agent asks for: the only place that awaits network, storage and time |
//! | `artifact.rs`, `source.rs`, `blocks.rs` | the download: the driver fills one block while a module writes the other |
//! | `standalone` | artifacts that come another way than from the server |
//!
//! May depend on everything else in this crate; nothing else depends on it.

mod artifact;
mod blocks;
mod device;
mod driver;
mod handle;
mod keys;
mod mac;
mod resources;
mod signer;
mod source;
mod standalone;

use core::fmt;
use core::ops::ControlFlow;

use embassy_futures::select::{Either, select};

pub use crate::agent::config::{Config, ConfigError};
pub use crate::agent::event::Event;
pub use crate::rng::SecureRng;
pub use device::{Clock, Device, Inventory, NetworkDown};
pub use handle::Handle;
pub use keys::RunError;
pub use mac::MacText;
pub use resources::Resources;
pub use signer::Signer;
pub use standalone::{
    CommitError, InstallError, Installed, Pending, RollbackError, RolledBack, Standalone, StandaloneConfig,
};

use crate::agent::{Agent, Done, Memory, Setup};
use crate::fmt::info;
use crate::net::{Connector, Url};
use crate::storage::Storage;
use crate::update_module::ModuleSet;
use driver::{Beside, Driver, Turn};
use keys::Keys;
use resources::Lent;

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

impl<'r, D, C, S, K, R, M> Client<'r, D, C, S, K, R, M>
where
    D: Device,
    C: Connector,
    S: Storage,
    K: Clock,
    R: SecureRng,
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
        const LINK: usize,
        const BLOCK: usize,
        const ARTIFACT: usize,
        const WINDOW: usize,
    >(
        config: Config<'r>,
        device: D,
        connector: C,
        storage: S,
        clock: K,
        rng: R,
        modules: M,
        resources: &'r mut Resources<TOKEN, LINK, BLOCK, ARTIFACT, WINDOW>,
    ) -> Result<Self, ConfigError> {
        // Evaluated here first, so that the compiler says of a tuple that cannot be at the user's call.
        const { M::DESCRIPTORS };
        config.check()?;
        if device.identity().as_ref().is_empty() {
            return Err(ConfigError::NoIdentity);
        }
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
    #[cfg(feature = "key")]
    pub async fn renew_key(&mut self) -> Result<(), RunError<S::Error>> {
        keys::new_key(&mut self.storage, &mut self.rng).await.map(drop)
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
        // Two futures that are polled one after the other: what the connections need, and everything else.
        let connector = &self.connector;
        let client = async {
            let Lent {
                token,
                link,
                window,
                block,
                other_block,
                artifact,
                #[cfg(feature = "gzip")]
                unpacker,
            } = &mut self.lent;
            let keys = Keys::load(&self.device, &mut self.storage, &mut self.rng, block).await?;
            // The configuration was checked.
            let Ok(url) = Url::parse(self.config.server_url) else {
                return Ok(());
            };
            let identity = self.device.identity();
            let mut agent = Agent::new(Setup {
                config: &self.config,
                url,
                identity: identity.as_ref(),
                point: &keys.point,
                modules: self.modules.descriptors(),
                seed: self.rng.next_u32(),
                report_len: u16::try_from(artifact.len() / 2).unwrap_or(u16::MAX),
            });
            let mut memory = Memory {
                token,
                link,
                link_len: 0,
                window,
                front: artifact,
                installed_len: 0,
                spare: &mut [],
                block,
            };
            let mut driver = Driver {
                config: &self.config,
                device: &self.device,
                connector,
                storage: &mut self.storage,
                clock: &self.clock,
                handle,
                keys: &keys,
                server: None,
                artifact_host: None,
            };
            info!("mender client for {} starts", self.config.device_type);
            loop {
                match driver.run(&mut agent, &mut memory, Beside::Nothing).await {
                    Turn::Stop => return Ok(()),
                    Turn::Call(module, state) => {
                        let result = match self.modules.call(module, state).await {
                            Ok(Some(late)) => {
                                agent.answered(late);
                                continue;
                            }
                            Ok(None) => Ok(()),
                            Err(failure) => Err(failure),
                        };
                        agent.done(driver.now(), &mut memory, Done::Called(result));
                    }
                    Turn::Download => {
                        let download = driver.download(
                            &mut agent,
                            &mut memory,
                            other_block,
                            #[cfg(feature = "gzip")]
                            unpacker,
                            &mut self.modules,
                        );
                        if let ControlFlow::Break(()) = download.await {
                            return Ok(());
                        }
                    }
                    // Only while an artifact comes.
                    Turn::Block => {}
                }
            }
        };
        match select(client, connector.work()).await {
            Either::First(result) => result,
            Either::Second(never) => match never {},
        }
    }
}
