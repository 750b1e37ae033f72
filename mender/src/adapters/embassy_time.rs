//! The time of embassy-time. Feature `embassy-time`.

use core::cell::Cell;
use core::future::Future;
use core::time::Duration;

use ::embassy_time::{Instant, Timer};
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

use crate::client::Clock;

/// A [`Clock`] on embassy-time. Its uptime is that of embassy-time's driver; the time of day is what it was told.
///
/// embassy-time does not know what day it is. Whoever learns it (SNTP, a real-time clock, GNSS) says so by
/// [`set_unix_time`](EmbassyClock::set_unix_time); from then on the clock counts by itself. Where the client and another task
/// share it, it is a `static`, and the client gets a reference:
///
/// ```no_run
/// use core::time::Duration;
/// use mender::adapters::embassy_time::EmbassyClock;
/// use mender::client::Clock;
///
/// static CLOCK: EmbassyClock = EmbassyClock::new();
///
/// fn client_gets(_: impl Clock) {}
///
/// client_gets(&CLOCK);
/// // The task that asks a time server:
/// let answer = 1_795_000_000;
/// CLOCK.set_unix_time(Duration::from_secs(answer));
/// ```
///
/// Certificates are checked by this time (`mender::tls`), so it is only to be set from a source that is trusted as much.
pub struct EmbassyClock {
    /// Unix time at uptime 0, as far as it is known.
    start: Mutex<CriticalSectionRawMutex, Cell<Option<Duration>>>,
}

impl EmbassyClock {
    /// A clock that does not know the time of day.
    pub const fn new() -> EmbassyClock {
        EmbassyClock {
            start: Mutex::new(Cell::new(None)),
        }
    }

    /// Tells what time it is now: how long ago 1970-01-01T00:00:00Z was. May be called again, by any task and by interrupts;
    /// the last one counts.
    ///
    /// A time that is less than the uptime cannot be true and changes nothing.
    pub fn set_unix_time(&self, now: Duration) {
        if let Some(start) = now.checked_sub(uptime()) {
            self.start.lock(|cell| cell.set(Some(start)));
        }
    }
}

impl Default for EmbassyClock {
    fn default() -> EmbassyClock {
        EmbassyClock::new()
    }
}

impl core::fmt::Debug for EmbassyClock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EmbassyClock")
            .field("unix_time", &self.unix_time())
            .finish()
    }
}

fn uptime() -> Duration {
    Duration::from_micros(Instant::now().as_micros())
}

impl Clock for EmbassyClock {
    fn uptime(&self) -> Duration {
        uptime()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        // From now on, not from the first poll. What is beyond the end of the counter is its end: centuries away at least.
        let end = u64::try_from(duration.as_micros())
            .ok()
            .and_then(::embassy_time::Duration::try_from_micros)
            .and_then(|duration| Instant::now().checked_add(duration));
        Timer::at(end.unwrap_or(Instant::MAX))
    }

    fn unix_time(&self) -> Option<Duration> {
        let start = self.start.lock(Cell::get)?;
        start.checked_add(uptime())
    }
}
