//! Virtual time: a clock that only moves when everybody waits, and an executor for one future on it.
//!
//! A thousand hours pass in as long as the work in them takes, and every run is the same.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::server::Time;

/// 2026-09-01T00:00:00Z: when virtual time begins.
const START_UNIX_SECS: u64 = 1_788_220_800;

/// A clock that all parts of a simulation share. Cloning gives another handle onto it.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    now: Duration,
    last_timer: u64,
    timers: Vec<Timer>,
}

#[derive(Debug)]
struct Timer {
    id: u64,
    due: Duration,
    waker: Waker,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run<T> {
    /// The future is done.
    Done(T),
    /// It would go on, but the given time has passed.
    TimeUp,
    /// It waits for something that no timer will bring.
    Stalled,
}

impl VirtualClock {
    /// A clock at the beginning of time.
    pub fn new() -> VirtualClock {
        VirtualClock::default()
    }

    /// A clock on which so much time has passed already.
    pub fn starting_at(elapsed: Duration) -> VirtualClock {
        let clock = VirtualClock::new();
        clock.shared().now = elapsed;
        clock
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the simulation began.
    pub fn elapsed(&self) -> Duration {
        self.shared().now
    }

    /// Moves time without waking anybody: for a simulation that goes on from another moment.
    pub(crate) fn jump_to(&self, elapsed: Duration) {
        self.shared().now = elapsed;
    }

    /// The same as a date, as the simulated server wants it.
    pub fn date(&self) -> Time {
        Time::from_unix_secs(START_UNIX_SECS) + self.elapsed()
    }

    /// Waits.
    pub async fn wait(&self, duration: Duration) {
        let mut timer = Waiting { clock: self, id: None };
        let due = self.elapsed().saturating_add(duration);
        poll_fn(|cx| timer.poll(due, cx)).await;
    }

    /// Runs a future, moving time on to the next timer whenever it waits, for at most `limit` of virtual time.
    ///
    /// Dropping the future at the end is part of the run: what it held is gone, as after a power cut.
    pub fn run<F: Future>(&self, limit: Duration, future: F) -> Run<F::Output> {
        match self.run_until(limit, future, || false) {
            Run::Done(Some(output)) => Run::Done(output),
            // The condition is never true.
            Run::Done(None) | Run::Stalled => Run::Stalled,
            Run::TimeUp => Run::TimeUp,
        }
    }

    /// Runs a future like [`run`](VirtualClock::run), but only until `reached` is true: `Done(None)` then.
    ///
    /// `reached` is asked whenever something has happened and everybody waits again; so it costs no time of its own.
    pub fn run_until<F: Future>(
        &self,
        limit: Duration,
        future: F,
        reached: impl Fn() -> bool,
    ) -> Run<Option<F::Output>> {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }

        let end = self.elapsed().saturating_add(limit);
        let woken = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            woken.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Run::Done(Some(output));
            }
            if woken.0.load(Ordering::Relaxed) {
                continue;
            }
            if reached() {
                return Run::Done(None);
            }
            // It may have asked somebody for something.
            if woken.0.load(Ordering::Relaxed) {
                continue;
            }
            let due = {
                let mut shared = self.shared();
                let Some(next) = shared.timers.iter().map(|timer| timer.due).min() else {
                    return Run::Stalled;
                };
                if next > end {
                    shared.now = end;
                    return Run::TimeUp;
                }
                shared.now = shared.now.max(next);
                let now = shared.now;
                let (due, later) = shared.timers.drain(..).partition(|timer| timer.due <= now);
                shared.timers = later;
                due
            };
            let due: Vec<Timer> = due;
            for timer in due {
                timer.waker.wake();
            }
        }
    }
}

struct Waiting<'c> {
    clock: &'c VirtualClock,
    id: Option<u64>,
}

impl Waiting<'_> {
    fn poll(&mut self, due: Duration, cx: &Context<'_>) -> Poll<()> {
        let mut shared = self.clock.shared();
        if shared.now >= due {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            shared.last_timer += 1;
            shared.last_timer
        });
        shared.timers.retain(|timer| timer.id != id);
        shared.timers.push(Timer {
            id,
            due,
            waker: cx.waker().clone(),
        });
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.shared().timers.retain(|timer| timer.id != id);
        }
    }
}

impl mender::client::Clock for VirtualClock {
    fn uptime(&self) -> Duration {
        self.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.wait(duration).await;
    }

    fn unix_time(&self) -> Option<Duration> {
        Some(self.date().since_epoch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_to_the_next_timer_only() {
        let clock = VirtualClock::new();
        let seconds = Duration::from_secs;
        let run = clock.run(seconds(1_000_000), async {
            clock.wait(seconds(5)).await;
            let first = clock.elapsed();
            embassy_futures::join::join(clock.wait(seconds(3600)), clock.wait(seconds(7))).await;
            (first, clock.elapsed())
        });
        assert_eq!(run, Run::Done((seconds(5), seconds(3605))));
        assert_eq!(clock.run(seconds(1), clock.wait(seconds(2))), Run::TimeUp);
        assert_eq!(clock.elapsed(), seconds(3606));
        assert_eq!(clock.run(seconds(1), std::future::pending::<()>()), Run::Stalled);
    }

    #[test]
    fn a_run_ends_when_something_is_reached() {
        let clock = VirtualClock::new();
        let steps = std::cell::Cell::new(0);
        let run = clock.run_until(
            Duration::MAX,
            async {
                loop {
                    clock.wait(Duration::from_secs(10)).await;
                    steps.set(steps.get() + 1);
                }
            },
            || steps.get() == 3,
        );
        assert_eq!(run, Run::<Option<()>>::Done(None));
        assert_eq!(clock.elapsed(), Duration::from_secs(30));
    }

    #[test]
    fn who_is_woken_by_the_look_at_what_is_reached_goes_on_at_once() {
        let clock = VirtualClock::new();
        let line = crate::device::ResetLine::new();
        let run = clock.run_until(
            Duration::MAX,
            async {
                embassy_futures::select::select(clock.wait(Duration::from_secs(9)), line.pulled()).await;
                clock.elapsed()
            },
            || {
                line.pull();
                false
            },
        );
        assert_eq!(run, Run::Done(Some(Duration::ZERO)));
    }

    #[test]
    fn a_dropped_wait_is_forgotten() {
        let clock = VirtualClock::new();
        let run = clock.run(Duration::MAX, async {
            let either = embassy_futures::select::select(
                clock.wait(Duration::from_secs(1)),
                clock.wait(Duration::from_secs(100)),
            );
            either.await;
            clock.wait(Duration::from_secs(1)).await;
            clock.elapsed()
        });
        assert_eq!(run, Run::Done(Duration::from_secs(2)));
    }
}
