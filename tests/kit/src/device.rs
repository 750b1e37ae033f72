//! A device without hardware: identity, restart, and an observer that keeps what it is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mender::api::key::{DeviceKey, DigestSignature, POINT_LEN};
use mender::client::{Device, Event, Inventory, NetworkDown, Signer};
use rand_core::{Infallible, TryCryptoRng, TryRng};

use crate::network::SimNetwork;

/// A [`Device`] for tests. Cloning gives another handle onto the same device.
#[derive(Clone, Debug)]
pub struct SimDevice {
    mac: &'static str,
    identity: Vec<(&'static str, &'static str)>,
    radio: Option<SimNetwork>,
    reset: Option<ResetLine>,
    element: Option<SecureElement>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    events: Vec<String>,
    network_failures: u32,
    network_hangs: bool,
    restart_hangs: bool,
    network_is_up: bool,
    network_tries: u32,
    restarts: u32,
    dynamic: Vec<(String, String)>,
}

impl SimDevice {
    /// A device with this MAC address as its identity.
    pub fn new(mac: &'static str) -> SimDevice {
        SimDevice {
            mac,
            identity: vec![("mac", mac)],
            radio: None,
            reset: None,
            element: None,
            shared: Arc::default(),
        }
    }

    /// Adds an attribute to the identity.
    #[must_use]
    pub fn with_identity(mut self, name: &'static str, value: &'static str) -> SimDevice {
        self.identity.push((name, value));
        self
    }

    /// Gives the device a radio, off at first: the network is reachable from the end of `network_up` to `network_down`.
    #[must_use]
    pub fn with_radio(mut self, network: SimNetwork) -> SimDevice {
        network.set_radio(false);
        self.radio = Some(network);
        self
    }

    /// Lets the client's own restart pull this line.
    #[must_use]
    pub fn with_reset(mut self, line: ResetLine) -> SimDevice {
        self.reset = Some(line);
        self
    }

    /// Lets this element sign, instead of the client with a key in its storage.
    #[must_use]
    pub fn with_element(mut self, element: SecureElement) -> SimDevice {
        self.element = Some(element);
        self
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The MAC address.
    pub fn mac(&self) -> &'static str {
        self.mac
    }

    /// What the client has told so far, progress of downloads left out; each in `Debug` form.
    pub fn events(&self) -> Vec<String> {
        self.shared().events.clone()
    }

    /// Forgets them.
    pub fn clear_events(&self) {
        self.shared().events.clear();
    }

    /// Lets the network fail to come up this often.
    pub fn fail_network(&self, times: u32) {
        self.shared().network_failures = times;
    }

    /// Lets the network neither come up nor fail, nor go down, from now on; or no longer.
    pub fn hang_network(&self, hangs: bool) {
        self.shared().network_hangs = hangs;
    }

    /// Lets the client's own restart of the device do nothing, and never return.
    pub fn hang_restart(&self) {
        self.shared().restart_hangs = true;
    }

    /// Ends when the network does something.
    async fn network(&self) {
        if self.shared().network_hangs {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the client wants the network now.
    pub fn network_is_up(&self) -> bool {
        self.shared().network_is_up
    }

    /// How often the client wanted the network up.
    pub fn network_tries(&self) -> u32 {
        self.shared().network_tries
    }

    /// How often the client restarted the device itself.
    pub fn restarts(&self) -> u32 {
        self.shared().restarts
    }

    /// Sets an attribute of the dynamic inventory.
    pub fn set_inventory(&self, name: &str, value: &str) {
        let mut shared = self.shared();
        shared.dynamic.retain(|(known, _)| known != name);
        shared.dynamic.push((name.to_owned(), value.to_owned()));
    }
}

impl Device for SimDevice {
    fn identity(&self) -> impl AsRef<[(&str, &str)]> {
        &self.identity
    }

    async fn restart(&self) {
        self.shared().restarts += 1;
        if self.shared().restart_hangs {
            std::future::pending::<()>().await;
        }
        if let Some(line) = &self.reset {
            line.pull();
        }
    }

    async fn network_up(&self) -> Result<(), NetworkDown> {
        self.shared().network_tries += 1;
        self.network().await;
        let mut shared = self.shared();
        match shared.network_failures.checked_sub(1) {
            Some(left) => {
                shared.network_failures = left;
                Err(NetworkDown)
            }
            None => {
                shared.network_is_up = true;
                if let Some(network) = &self.radio {
                    network.set_radio(true);
                }
                Ok(())
            }
        }
    }

    async fn network_down(&self) {
        self.network().await;
        self.shared().network_is_up = false;
        if let Some(network) = &self.radio {
            network.set_radio(false);
        }
    }

    fn signer(&self) -> Option<impl Signer> {
        self.element.as_ref()
    }

    fn dynamic_inventory(&self, report: &mut Inventory<'_, '_>) {
        for (name, value) in &self.shared().dynamic {
            report.text(name, value);
        }
    }

    fn observe(&self, event: Event<'_>) {
        if !matches!(event, Event::Progress { .. }) {
            self.shared().events.push(format!("{event:?}"));
        }
    }
}

/// A secure element: a chip that keeps a key and signs with it. Cloning gives another handle onto the same one.
#[derive(Clone, Debug)]
pub struct SecureElement {
    key: Arc<DeviceKey>,
    work: Arc<Mutex<ElementWork>>,
}

#[derive(Debug, Default)]
struct ElementWork {
    failures: u32,
    signatures: u32,
}

/// A [`SecureElement`] does not answer, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

impl SecureElement {
    /// An element with this private key.
    ///
    /// # Panics
    ///
    /// If the bytes are no private key.
    pub fn new(private: &[u8; 32]) -> SecureElement {
        SecureElement {
            key: Arc::new(DeviceKey::from_bytes(private).expect("a private key")),
            work: Arc::default(),
        }
    }

    fn work(&self) -> MutexGuard<'_, ElementWork> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets it give no signature this often.
    pub fn fail(&self, times: u32) {
        self.work().failures = times;
    }

    /// How often it has signed.
    pub fn signatures(&self) -> u32 {
        self.work().signatures
    }
}

impl Signer for SecureElement {
    type Error = NoAnswer;

    async fn public_point(&self) -> Result<[u8; POINT_LEN], NoAnswer> {
        Ok(self.key.public_point())
    }

    async fn sign_digest(&self, digest: &[u8; 32]) -> Result<DigestSignature, NoAnswer> {
        embassy_futures::yield_now().await;
        let mut work = self.work();
        if let Some(left) = work.failures.checked_sub(1) {
            work.failures = left;
            return Err(NoAnswer);
        }
        work.signatures += 1;
        self.key.sign_digest(digest).map_err(|_| NoAnswer)
    }
}

/// Random numbers that are the same in every run. No cryptography: for tests only.
#[derive(Clone, Debug)]
pub struct SeededRng(u64);

impl SeededRng {
    /// A generator; equal seeds give equal numbers.
    pub fn new(seed: u64) -> SeededRng {
        SeededRng(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    ///
    /// # Panics
    ///
    /// If `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.number() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.number())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let number = self.number().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
        Ok(())
    }
}

/// So that the client takes it; see the type's warning.
impl TryCryptoRng for SeededRng {}

/// The reset line of a simulated board: a module pulls it, the test sees it and boots the board again.
#[derive(Clone, Debug, Default)]
pub struct ResetLine {
    shared: Arc<Mutex<Reset>>,
}

#[derive(Debug, Default)]
struct Reset {
    pulled: bool,
    waker: Option<std::task::Waker>,
}

impl ResetLine {
    /// A line that nobody has pulled.
    pub fn new() -> ResetLine {
        ResetLine::default()
    }

    fn reset(&self) -> MutexGuard<'_, Reset> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Restarts the board, as soon as the test lets it.
    pub fn pull(&self) {
        let mut reset = self.reset();
        reset.pulled = true;
        if let Some(waker) = reset.waker.take() {
            waker.wake();
        }
    }

    /// Whether it is pulled, and the board still running.
    pub fn is_pulled(&self) -> bool {
        self.reset().pulled
    }

    /// Ends when the line is pulled, and releases it.
    pub async fn pulled(&self) {
        std::future::poll_fn(|cx| {
            let mut reset = self.reset();
            if std::mem::take(&mut reset.pulled) {
                std::task::Poll::Ready(())
            } else {
                reset.waker = Some(cx.waker().clone());
                std::task::Poll::Pending
            }
        })
        .await;
    }
}
