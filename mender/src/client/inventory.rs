//! The inventory loop: a full report after the start, changes at each interval. Shares only the connection with the
//! updates, and goes on while one downloads.

use embassy_futures::select::{Either3, select3};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::Mutex;
use embassy_sync::signal::Signal;
use rand_core::CryptoRng;

use super::backoff::Backoff;
use super::calls::InventorySent;
use super::config::Config;
use super::device::{Clock, Device};
use super::handle::Handle;
use super::session::{Session, User};
use crate::api::inventory::Method;
use crate::fmt::warning;
use crate::net::Connector;

/// What the updates tell the inventory. Each is remembered until it is heard.
pub(super) struct News {
    /// The server talks to this device.
    pub(super) authorized: Signal<CriticalSectionRawMutex, ()>,
    /// Other software is in use: the server has to hear everything again.
    pub(super) software_changed: Signal<CriticalSectionRawMutex, ()>,
}

impl News {
    pub(super) const fn new() -> News {
        News {
            authorized: Signal::new(),
            software_changed: Signal::new(),
        }
    }
}

pub(super) async fn run<'c, D: Device, C: Connector, K: Clock, R: CryptoRng>(
    config: &Config<'_>,
    session: &Mutex<CriticalSectionRawMutex, Session<'c, D, C, K, R>>,
    clock: &K,
    handle: &Handle,
    news: &News,
) {
    // Nothing to send before the server knows the device.
    news.authorized.wait().await;
    // The first report replaces what the server has, later ones only add (device API, section 7). A first one that
    // failed is repeated as such.
    let mut method = Method::Put;
    let mut backoff = Backoff::new(config.retry_first, config.retry_cap);
    loop {
        if news.software_changed.try_take().is_some() {
            method = Method::Put;
        }
        let mut server = session.lock().await;
        let pause = if server.online(User::Inventory).await.is_err() {
            Some(config.network_retry)
        } else {
            let again = match server.send_inventory(method).await {
                Ok(InventorySent::Taken | InventorySent::Nothing) => {
                    method = Method::Patch;
                    None
                }
                // The same again would be refused again.
                Ok(InventorySent::Refused) => None,
                Ok(InventorySent::Later { retry_after }) => Some(retry_after),
                Err(error) => {
                    warning!("the inventory could not be sent: {error}");
                    Some(error.retry_after())
                }
            };
            match again {
                None => {
                    backoff.reset();
                    config.inventory_interval
                }
                Some(asked) => Some(backoff.pause(server.random()).max(asked.unwrap_or_default())),
            }
        };
        server.offline(User::Inventory).await;
        drop(server);
        let interval = async {
            match pause {
                Some(pause) => clock.sleep(pause).await,
                None => core::future::pending().await,
            }
        };
        match select3(interval, handle.inventory.wait(), news.software_changed.wait()).await {
            Either3::First(()) | Either3::Second(()) => {}
            Either3::Third(()) => method = Method::Put,
        }
    }
}
