//! A task that must keep its beat, whatever the client does: it blinks. It stands for what a device is there for. Depends on nothing here.

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_time::{Duration, Instant, Timer};

const BEAT: Duration = Duration::from_millis(20);

static WORST_MICROS: AtomicU32 = AtomicU32::new(0);

/// Blinks.
#[embassy_executor::task]
pub async fn beat() {
    let mut on = false;
    let mut due = Instant::now();
    loop {
        due += BEAT;
        Timer::at(due).await;
        let late = Instant::now().saturating_duration_since(due);
        let micros = u32::try_from(late.as_micros()).unwrap_or(u32::MAX);
        WORST_MICROS.fetch_max(micros, Ordering::Relaxed);
        on = !on;
        board::led(on);
        // One beat late is one beat late, not a hurry of all that follow.
        due = due.max(Instant::now() - BEAT);
    }
}

/// The most that a beat came late since the last call, in microseconds.
pub fn worst_micros() -> u32 {
    WORST_MICROS.swap(0, Ordering::Relaxed)
}
