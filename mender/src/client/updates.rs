//! The update loop: boot, poll, pause. What a deployment does is in [`deployment`](super::deployment).

use core::ops::ControlFlow;
use core::time::Duration;

use embassy_futures::select::{Either3, select3};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::Mutex;
use rand_core::CryptoRng;

use super::backoff::Backoff;
use super::calls::{PollError, Polled, Route};
use super::config::Config;
use super::device::{Clock, Device, Event};
use super::handle::Handle;
use super::inventory::News;
use super::session::{Session, User};
use crate::api::next::NextError;
use crate::deployment::Machine;
use crate::deployment::record::DeploymentNumber;
use crate::fmt::{info, warning};
use crate::net::Connector;
use crate::storage::Storage;
use crate::update_module::ModuleSet;

/// How long the v1 route is used without asking for v2 again.
const ROUTE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Everything that the update loop works with.
pub(super) struct Updates<'u, 'c, D, C: Connector + 'c, S, K, R, M> {
    pub(super) config: &'u Config<'c>,
    pub(super) device: &'u D,
    pub(super) connector: &'u C,
    pub(super) storage: &'u mut S,
    pub(super) clock: &'u K,
    pub(super) modules: &'u mut M,
    pub(super) session: &'u Mutex<CriticalSectionRawMutex, Session<'c, D, C, K, R>>,
    pub(super) news: &'u News,
    pub(super) handle: &'u Handle,
    /// The server's answer to a poll, then the download link; the log before its upload.
    pub(super) link: &'u mut [u8],
    pub(super) download_head: &'u mut [u8],
    pub(super) block_a: &'u mut [u8],
    pub(super) block_b: &'u mut [u8],
    pub(super) artifact: &'u mut [u8],
    /// The provides that become the device's own at the commit.
    pub(super) next: &'u mut [u8],
    /// Records on their way to and from storage.
    pub(super) scratch: &'u mut [u8],
    /// The last deployment's number.
    pub(super) number: DeploymentNumber,
}

/// What a cycle of the loop came to: when the next one is due.
enum Cycle {
    /// Nothing to do.
    Idle,
    /// A deployment is over; another may be waiting.
    Finished,
    /// Again after a pause, at least as long as the server asked for.
    Retry { asked: Option<Duration> },
    /// Again when the network is up.
    NetworkDown,
    /// The handle said stop.
    Stop,
}

impl<'c, D, C, S, K, R, M> Updates<'_, 'c, D, C, S, K, R, M>
where
    D: Device,
    C: Connector + 'c,
    S: Storage,
    K: Clock,
    R: CryptoRng,
    M: ModuleSet,
{
    /// Runs until the handle says stop.
    pub(super) async fn run(&mut self) {
        let handle = self.handle;
        if let Some((machine, running)) = self.resume().await
            && self.drive(machine, running).await.is_break()
        {
            return;
        }
        let mut backoff = Backoff::new(self.config.retry_first, self.config.retry_cap);
        let mut route = (Route::V2, Duration::ZERO);
        loop {
            let cycle = self.cycle(&mut route).await;
            let pause = match cycle {
                Cycle::Idle => {
                    backoff.reset();
                    self.config.update_poll_interval
                }
                Cycle::Finished => {
                    backoff.reset();
                    self.config.retry_first
                }
                Cycle::Retry { asked } => {
                    let random = self.session.lock().await.random();
                    backoff.pause(random).max(asked.unwrap_or_default())
                }
                Cycle::NetworkDown => self.config.network_retry,
                Cycle::Stop => return,
            };
            // The inventory may have been told something meanwhile: it gets its turn before the connection is closed.
            yield_now().await;
            self.session.lock().await.offline(User::Updates).await;
            match select3(self.clock.sleep(pause), handle.update.wait(), handle.stop.wait()).await {
                Either3::First(()) | Either3::Second(()) => {}
                Either3::Third(()) => return,
            }
        }
    }

    async fn cycle(&mut self, route: &mut (Route, Duration)) -> Cycle {
        if self.session.lock().await.online(User::Updates).await.is_err() {
            return Cycle::NetworkDown;
        }
        let polled = match self.poll(route).await {
            Ok(polled) => polled,
            Err(error) => {
                warning!("cannot check for an update: {error}");
                return match error {
                    // The server has ended the deployment that it had for this device.
                    PollError::Answer {
                        error: NextError::Conflict | NextError::Forbidden,
                        ..
                    } => Cycle::Idle,
                    PollError::Answer { .. } | PollError::Call(_) => Cycle::Retry {
                        asked: error.retry_after(),
                    },
                };
            }
        };
        self.news.authorized.signal(());
        match polled {
            Polled::Nothing => {
                info!("no update");
                self.device.observe(Event::NoUpdate);
                Cycle::Idle
            }
            Polled::Offer { id, link_len } => {
                let running = self.begin(id, route.0, link_len).await;
                let machine = Machine::start(running.traits(), self.config.transition_limit);
                match self.drive(machine, running).await {
                    ControlFlow::Continue(()) => Cycle::Finished,
                    ControlFlow::Break(()) => Cycle::Stop,
                }
            }
        }
    }

    /// v2 first; v1 at once if the server does not know v2, and for a day then.
    async fn poll(&mut self, route: &mut (Route, Duration)) -> Result<Polled, PollError> {
        let now = self.clock.uptime();
        if route.0 == Route::V1 && now >= route.1 {
            route.0 = Route::V2;
        }
        let mut session = self.session.lock().await;
        let result = session.poll(route.0, self.link, true).await;
        match (route.0, &result) {
            (
                Route::V2,
                Err(PollError::Answer {
                    error: NextError::RouteMissing,
                    ..
                }),
            ) => {
                *route = (Route::V1, now.saturating_add(ROUTE_KEPT));
                session.poll(Route::V1, self.link, true).await
            }
            (Route::V2 | Route::V1, _) => result,
        }
    }
}
