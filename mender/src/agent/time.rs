//! Time as the agent counts it: milliseconds in a `u32`, and pauses between retries. Pure.
//!
//! The count wraps after 49.7 days. A [`Deadline`] is therefore kept as when it was set and how long it is, and compared by
//! what has passed since: right as long as it is looked at within 49 days of being set. The longest wait of a
//! [`Config`](crate::client::Config) is 30 days, and whatever is due is looked at each time the agent is asked.

use core::time::Duration;

/// A moment: milliseconds since some moment before the device started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant(u32);

impl Instant {
    /// Any moment.
    pub(crate) const START: Instant = Instant(0);

    /// From the time since the device started.
    #[inline(never)]
    pub(crate) fn of(uptime: Duration) -> Instant {
        // Both truncations are the wrap.
        Instant(
            (uptime.as_secs() as u32)
                .wrapping_mul(1000)
                .wrapping_add(uptime.subsec_millis()),
        )
    }

    /// The time since an earlier moment.
    pub(crate) fn since(self, earlier: Instant) -> Millis {
        Millis(self.0.wrapping_sub(earlier.0))
    }
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(u32);

impl Millis {
    pub(crate) const ZERO: Millis = Millis(0);

    /// Until something else happens: longer than anything else.
    pub(crate) const FOREVER: Millis = Millis(u32::MAX);

    /// The longest time of a `Config`.
    pub(crate) const MONTH: Millis = Millis::from_secs(30 * 24 * 3600);

    /// The longest that a server's `Retry-After` is followed where nothing else waits for it: polls, logins, the inventory.
    pub(crate) const BUSY: Millis = Millis::from_secs(24 * 3600);

    /// The same within a deployment, which keeps the device from all others until it is over: download, verdict, log.
    pub(crate) const BUSY_IN_DEPLOYMENT: Millis = Millis::from_secs(2 * 3600);

    pub(crate) const fn new(millis: u32) -> Millis {
        Millis(millis)
    }

    pub(crate) const fn from_secs(secs: u32) -> Millis {
        Millis(secs.saturating_mul(1000))
    }

    /// What a server asks for; zero if it does not. No longer than what a `Config` may have.
    #[inline(never)]
    pub(crate) fn asked(secs: Option<u32>) -> Millis {
        Millis::from_secs(secs.unwrap_or(0)).min(Millis::MONTH)
    }

    /// From a time of a `Config`: at most 30 days.
    #[inline(never)]
    pub(crate) fn of(duration: Duration) -> Millis {
        let secs = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        Millis(secs.saturating_mul(1000).saturating_add(duration.subsec_millis()))
    }

    pub(crate) fn as_duration(self) -> Duration {
        // In 32 bits: `from_millis` links a division of 64.
        Duration::new(u64::from(self.0 / 1000), self.0 % 1000 * 1_000_000)
    }

    pub(crate) const fn times(self, factor: u8) -> Millis {
        Millis(self.0.saturating_mul(factor as u32))
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Millis {
    /// Less than a quarter of it.
    fn jitter(self, random: u32) -> u32 {
        // random / 2^32 of a quarter.
        ((u64::from(self.0 / 4) * u64::from(random)) >> 32) as u32
    }
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    set: Instant,
    wait: Millis,
}

impl Deadline {
    /// Due at once.
    pub(crate) const NOW: Deadline = Deadline {
        set: Instant(0),
        wait: Millis::ZERO,
    };

    pub(crate) const fn after(now: Instant, wait: Millis) -> Deadline {
        Deadline { set: now, wait }
    }

    /// Time that is left; zero when it is due.
    #[inline(never)]
    pub(crate) fn left(self, now: Instant) -> Millis {
        Millis(self.wait.0.saturating_sub(now.since(self.set).0))
    }

    pub(crate) fn is_due(self, now: Instant) -> bool {
        self.left(now).is_zero()
    }
}

/// A row of failures: pauses that double each time up to a cap, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The next pause; zero: the first.
    next: Millis,
}

impl Backoff {
    pub(crate) const fn new() -> Backoff {
        Backoff { next: Millis::ZERO }
    }

    /// A success: the next failure is the first again.
    pub(crate) const fn reset(&mut self) {
        self.next = Millis::ZERO;
    }

    /// The pause after one more failure. `random` takes up to a quarter off, so that a fleet that lost its server does
    /// not come back as one.
    #[inline(never)]
    pub(crate) fn pause(&mut self, first: Millis, cap: Millis, random: u32) -> Millis {
        let pause = self.next.max(first);
        self.next = pause.times(2).min(cap);
        Millis(pause.0 - pause.jitter(random))
    }

    /// The same, and no shorter than a server asked for. To that `random` adds up to a quarter, `cap` at most: a server asks the same
    /// of all that it has no time for.
    #[inline(never)]
    pub(crate) fn pause_as_asked(&mut self, first: Millis, cap: Millis, asked: Millis, random: u32) -> Millis {
        let later = Millis(asked.0.saturating_add(asked.jitter(random).min(cap.0)));
        self.pause(first, cap, random).max(later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Millis = Millis::from_secs(1);

    #[test]
    fn backoff_doubles_to_the_cap_and_starts_again() {
        let (first, cap) = (Millis::from_secs(60), Millis::from_secs(540));
        let mut backoff = Backoff::new();
        for expected in [60, 120, 240, 480, 540, 540] {
            assert_eq!(backoff.pause(first, cap, 0), Millis::from_secs(expected));
        }
        backoff.reset();
        assert_eq!(backoff.pause(first, cap, 0), first);
    }

    #[test]
    fn jitter_takes_up_to_a_quarter_off() {
        for first in [Millis(1), Millis(3), Millis::from_secs(60), Millis(u32::MAX)] {
            let mut before = None;
            for random in [0, 1, 1 << 16, 1 << 31, u32::MAX] {
                let pause = Backoff::new().pause(first, first, random);
                assert!(pause <= first && pause.0 >= first.0 - first.0 / 4, "{first:?} {random}");
                assert!(before.is_none_or(|before| pause <= before));
                before = Some(pause);
            }
        }
    }

    #[test]
    fn what_a_server_asks_for_is_a_minimum_and_is_spread() {
        let cap = Millis::from_secs(540);
        for (asked, most) in [(0, 0), (100, 125), (2500, 3040), (86_400, 86_940)] {
            let asked = Millis::from_secs(asked);
            let pauses = [0, 1 << 31, u32::MAX].map(|random| Backoff::new().pause_as_asked(SECOND, cap, asked, random));
            assert_eq!(pauses[0], asked.max(SECOND));
            assert!(pauses.is_sorted() || asked.is_zero());
            assert!(pauses[2] <= Millis::from_secs(most).max(SECOND), "{pauses:?}");
            assert!(asked.is_zero() || pauses[2] > asked);
        }
        let longest = Millis(u32::MAX);
        assert_eq!(Backoff::new().pause_as_asked(SECOND, cap, longest, u32::MAX), longest);
    }

    #[test]
    fn deadlines_survive_the_wrap() {
        for set in [0, 5, u32::MAX - 500, u32::MAX] {
            let deadline = Deadline::after(Instant(set), SECOND);
            for (passed, left) in [
                (0, 1000),
                (1, 999),
                (999, 1),
                (1000, 0),
                (1001, 0),
                (40 * 86_400_000, 0),
            ] {
                let now = Instant(set.wrapping_add(passed));
                assert_eq!(deadline.left(now), Millis(left), "{set} {passed}");
                assert_eq!(deadline.is_due(now), left == 0);
            }
        }
        let month = Deadline::after(Instant(u32::MAX), Millis::of(Duration::from_secs(30 * 86_400)));
        assert_eq!(month.left(Instant(u32::MAX)), Millis(2_592_000_000));
        assert!(month.is_due(Instant(2_592_000_000)));
    }

    #[test]
    fn moments_wrap_with_the_uptime() {
        for secs in [0, 1, 4_294_967, 4_294_968, 1 << 33] {
            let uptime = Duration::from_millis(secs * 1000 + 7);
            assert_eq!(Instant::of(uptime).0, uptime.as_millis() as u32);
        }
        assert!(Deadline::NOW.is_due(Instant(12345)));
    }
}
