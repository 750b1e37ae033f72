//! Pauses between retries: doubled each time up to a cap, with jitter. Pure.

use core::time::Duration;

/// A row of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    first: Duration,
    cap: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration, cap: Duration) -> Backoff {
        Backoff {
            first,
            cap,
            next: first,
        }
    }

    /// A success: the next failure is the first again.
    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// The pause after one more failure. `random` takes up to a quarter off, so that a fleet that lost its server does
    /// not come back as one.
    pub(super) fn pause(&mut self, random: u32) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.cap);
        let quarter = pause / 4;
        // random / 2^32 of a quarter, in whole microseconds.
        let micros = u64::try_from(quarter.as_micros()).unwrap_or(u64::MAX);
        let off =
            (micros >> 16).saturating_mul(u64::from(random >> 16)) + (((micros & 0xffff) * u64::from(random)) >> 32);
        pause.saturating_sub(Duration::from_micros(off))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_cap_and_starts_again() {
        let secs = Duration::from_secs;
        let mut backoff = Backoff::new(secs(60), secs(540));
        for expected in [60, 120, 240, 480, 540, 540] {
            assert_eq!(backoff.pause(0), secs(expected));
        }
        backoff.reset();
        assert_eq!(backoff.pause(0), secs(60));
    }

    #[test]
    fn jitter_takes_up_to_a_quarter_off() {
        for first in [
            Duration::from_millis(1),
            Duration::from_secs(60),
            Duration::from_secs(1 << 40),
        ] {
            let (mut least, mut before) = (Backoff::new(first, first), None);
            for random in [0, 1, 1 << 16, 1 << 31, u32::MAX] {
                let pause = least.pause(random);
                assert!(pause <= first && pause >= first / 4 * 3, "{first:?} {random}");
                assert!(before.is_none_or(|before| pause <= before));
                before = Some(pause);
            }
        }
    }
}
