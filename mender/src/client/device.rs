//! What the user provides beside connector, storage and modules: the device and its clock.

use core::fmt::Debug;
use core::future::{Future, ready};
use core::time::Duration;

use super::signer::{NoSigner, Signer};
use crate::agent::event::Event;
use crate::api::inventory::{InventoryError, InventoryWriter, Value};

/// Time, as far as the client needs it. [`adapters`](crate::adapters) has some.
pub trait Clock {
    /// Time since the device started; never goes back.
    fn uptime(&self) -> Duration;

    /// Ends after `duration`.
    ///
    /// # Cancellation
    ///
    /// Must be safe to drop at any time: the client drops it whenever something else happens first.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;

    /// Time since 1970-01-01T00:00:00Z, if the device knows it. For the times in deployment logs.
    fn unix_time(&self) -> Option<Duration> {
        None
    }
}

/// A clock that others use too.
impl<K: Clock> Clock for &K {
    fn uptime(&self) -> Duration {
        K::uptime(self)
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        K::sleep(self, duration)
    }

    fn unix_time(&self) -> Option<Duration> {
        K::unix_time(self)
    }
}

/// The network is not up (yet); tried again after [`Config::network_retry`](super::Config::network_retry), and then more seldom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NetworkDown;

/// The device: who it is, how it restarts, and whom to tell what happens. All but the first two have defaults.
///
/// Methods take `&self`, because updates and inventory run side by side; keep changing things in a `Cell` or mutex.
pub trait Device {
    /// The attributes that identify the device to the server, e.g. `[("mac", "02:00:5e:10:00:01")]`. At least one; the
    /// same for the device's whole life, or it is another device.
    ///
    /// An array or a slice, of texts that last as long as the device does: constants, or what it has read at boot.
    ///
    /// ```
    /// # use mender::client::{Device, MacText};
    /// struct Board {
    ///     mac: MacText,
    /// }
    ///
    /// impl Device for Board {
    ///     fn identity(&self) -> impl AsRef<[(&str, &str)]> {
    ///         [("mac", self.mac.as_str())]
    ///     }
    /// #   async fn restart(&self) {}
    /// }
    ///
    /// let read_at_boot = [0x02, 0x00, 0x5e, 0x10, 0x00, 0x01];
    /// let board = Board { mac: MacText::new(read_at_boot) };
    /// assert_eq!(board.identity().as_ref(), [("mac", "02:00:5e:10:00:01")]);
    /// ```
    fn identity(&self) -> impl AsRef<[(&str, &str)]>;

    /// Restarts the device. Called only when a module's own restart did not happen within
    /// [`Config::restart_timeout`](super::Config::restart_timeout). If the device still runs as long after that again, the
    /// future is dropped, and the restart has failed.
    fn restart(&self) -> impl Future<Output = ()>;

    /// Called before the client talks to the server: bring the network up, and return when it is. Called again while it
    /// is up, when connections fail or break; bring it up again then if it has gone away, else return at once.
    ///
    /// # Errors
    ///
    /// [`NetworkDown`]: tried again after a short pause, which grows with each failure in a row, not after the whole interval.
    ///
    /// # Cancellation
    ///
    /// Must be safe to drop at any time: that counts as a failure, after
    /// [`Config::network_timeout`](super::Config::network_timeout), and as soon as the client is to stop.
    fn network_up(&self) -> impl Future<Output = Result<(), NetworkDown>> {
        ready(Ok(()))
    }

    /// Called when neither updates nor inventory have anything to say for a while: the network may go down. Dropped after
    /// [`Config::network_timeout`](super::Config::network_timeout), too.
    fn network_down(&self) -> impl Future<Output = ()> {
        ready(())
    }

    /// A key that the device keeps itself, in a secure element for example. Without one, which is the default, the client makes
    /// a key at its first start and stores it.
    fn signer(&self) -> Option<impl Signer> {
        None::<NoSigner>
    }

    /// Inventory that stays the same until the device restarts; sent once, with the first report. The client adds
    /// artifact name, device type, provides and its own version.
    fn static_inventory(&self, _report: &mut Inventory<'_, '_>) {}

    /// Inventory that changes: sent with every report.
    fn dynamic_inventory(&self, _report: &mut Inventory<'_, '_>) {}

    /// Something happened. For displays, logs and tests; must return soon.
    fn observe(&self, _event: Event<'_>) {}
}

/// A device that others use too.
impl<D: Device> Device for &D {
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        D::identity(self)
    }

    fn restart(&self) -> impl Future<Output = ()> {
        D::restart(self)
    }

    fn network_up(&self) -> impl Future<Output = Result<(), NetworkDown>> {
        D::network_up(self)
    }

    fn network_down(&self) -> impl Future<Output = ()> {
        D::network_down(self)
    }

    fn signer(&self) -> Option<impl Signer> {
        D::signer(self)
    }

    fn static_inventory(&self, report: &mut Inventory<'_, '_>) {
        D::static_inventory(self, report);
    }

    fn dynamic_inventory(&self, report: &mut Inventory<'_, '_>) {
        D::dynamic_inventory(self, report);
    }

    fn observe(&self, event: Event<'_>) {
        D::observe(self, event);
    }
}

/// An inventory report being written. What does not fit is left out, and the reason logged.
#[derive(Debug)]
pub struct Inventory<'w, 'b> {
    writer: &'w mut InventoryWriter<'b>,
    error: Option<InventoryError>,
}

impl<'w, 'b> Inventory<'w, 'b> {
    pub(super) fn new(writer: &'w mut InventoryWriter<'b>) -> Inventory<'w, 'b> {
        Inventory { writer, error: None }
    }

    /// Adds an attribute.
    pub fn add(&mut self, name: &str, value: Value<'_>) {
        if let Err(error) = self.writer.push(name, value) {
            self.error.get_or_insert(error);
        }
    }

    /// Adds an attribute that is a text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.add(name, Value::Text(value));
    }

    /// The first attribute that could not be added, if any.
    pub(super) fn into_error(self) -> Option<InventoryError> {
        self.error
    }
}
