//! What other tasks may ask of a running client.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;

/// The way to a running client from other tasks: a `static`, given to [`Client::run_with`](super::Client::run_with).
///
/// ```
/// static MENDER: mender::client::Handle = mender::client::Handle::new();
///
/// fn on_button() {
///     MENDER.check_for_update();
/// }
/// ```
#[derive(Debug, Default)]
pub struct Handle {
    pub(super) update: Requests,
    pub(super) inventory: Requests,
    pub(super) stop: Requests,
}

/// A request that is remembered until it is served; several are one.
pub(super) struct Requests(Signal<CriticalSectionRawMutex, ()>);

impl Requests {
    const fn new() -> Requests {
        Requests(Signal::new())
    }

    pub(super) fn signal(&self) {
        self.0.signal(());
    }

    pub(super) async fn wait(&self) {
        self.0.wait().await;
    }
}

impl Default for Requests {
    fn default() -> Requests {
        Requests::new()
    }
}

impl core::fmt::Debug for Requests {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Requests").field("waiting", &self.0.signaled()).finish()
    }
}

impl Handle {
    /// A handle that no client has yet.
    pub const fn new() -> Handle {
        Handle {
            update: Requests::new(),
            inventory: Requests::new(),
            stop: Requests::new(),
        }
    }

    /// Ask the server for an update now rather than after the interval. Ends a pause between retries too, also the one
    /// before the outcome of a deployment is delivered again.
    pub fn check_for_update(&self) {
        self.update.signal();
    }

    /// Send the inventory now.
    pub fn send_inventory(&self) {
        self.inventory.signal();
    }

    /// Let [`Client::run_with`](super::Client::run_with) return, between two pieces of work: a deployment under way goes on to its
    /// end first. An outcome that the server could not be told yet stays in storage for the next run.
    pub fn stop(&self) {
        self.stop.signal();
    }
}
