//! Runs a future on embassy-time's mock clock, which moves only when everybody waits.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use embassy_time::{Duration, Instant, MockDriver};

/// The mock clock is one for the whole process, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// How finely time moves.
const STEP: Duration = Duration::from_millis(1);

/// More than anybody has to do at one time.
const POLLS: u32 = 100_000;

/// The clock, at the beginning of time.
pub struct Clock {
    _turn: MutexGuard<'static, ()>,
}

/// What goes on for ever.
pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Set while somebody wants to be polled.
struct Flag(AtomicBool);

impl Flag {
    fn new() -> Arc<Flag> {
        Arc::new(Flag(AtomicBool::new(true)))
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Clock {
    pub fn new() -> Clock {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        MockDriver::get().reset();
        Clock { _turn: turn }
    }

    /// Runs `future` to its end, beside `tasks`, which have none. Each is woken for itself: a connection that waits wakes its stack at each
    /// poll, and the two in one task would never rest.
    ///
    /// # Panics
    ///
    /// If it does not end within so many seconds of virtual time, or has work without an end.
    #[track_caller]
    pub fn run<T>(&self, seconds: u64, future: impl Future<Output = T>, tasks: Vec<Task>) -> T {
        let mut future = pin!(future);
        let main = Flag::new();
        let mut tasks: Vec<_> = tasks.into_iter().map(|task| (task, Flag::new())).collect();
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut polls = 0;
        loop {
            let mut has_worked = false;
            if main.take() {
                has_worked = true;
                let waker = Waker::from(Arc::clone(&main));
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            }
            for (task, flag) in &mut tasks {
                if flag.take() {
                    has_worked = true;
                    let waker = Waker::from(Arc::clone(flag));
                    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                }
            }
            if has_worked {
                polls += 1;
                assert!(polls < POLLS, "somebody never waits");
            } else {
                polls = 0;
                assert!(Instant::now() < end, "nothing after {seconds} seconds");
                MockDriver::get().advance(STEP);
            }
        }
    }
}
