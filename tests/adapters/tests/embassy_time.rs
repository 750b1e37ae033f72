//! `mender::adapters::embassy_time`, on the mock clock.

use core::time::Duration;
use std::pin::pin;
use std::task::{Context, Waker};

use embassy_time::MockDriver;
use mender::adapters::embassy_time::EmbassyClock;
use mender::client::Clock;

static CLOCK: EmbassyClock = EmbassyClock::new();

fn advance(seconds: u64) {
    MockDriver::get().advance(embassy_time::Duration::from_secs(seconds));
}

/// One test, as there is one mock clock for all.
#[test]
fn uptime_sleep_and_the_time_of_day() {
    let clock = &CLOCK;
    let cx = &mut Context::from_waker(Waker::noop());
    assert_eq!(Clock::uptime(&clock), Duration::ZERO);
    advance(5);
    assert_eq!(clock.uptime(), Duration::from_secs(5));

    let mut sleep = pin!(clock.sleep(Duration::from_secs(2)));
    assert!(sleep.as_mut().poll(cx).is_pending());
    advance(1);
    assert!(sleep.as_mut().poll(cx).is_pending());
    advance(1);
    assert!(sleep.as_mut().poll(cx).is_ready());

    // Longer than the counter counts: no panic, no early end.
    let mut sleep = pin!(clock.sleep(Duration::MAX));
    assert!(sleep.as_mut().poll(cx).is_pending());
    advance(1_000_000_000);
    assert!(sleep.as_mut().poll(cx).is_pending());
    let uptime = 1_000_000_007;
    assert_eq!(clock.uptime(), Duration::from_secs(uptime));

    assert_eq!(clock.unix_time(), None);
    // Impossible: the device has been running for longer than that.
    clock.set_unix_time(Duration::from_secs(uptime - 1));
    assert_eq!(clock.unix_time(), None);
    let now = Duration::new(1_795_000_000, 250_000_000);
    clock.set_unix_time(now);
    assert_eq!(clock.unix_time(), Some(now));
    advance(60);
    assert_eq!(clock.unix_time(), Some(now + Duration::from_secs(60)));
    // Corrected, backwards too.
    clock.set_unix_time(now);
    assert_eq!(clock.unix_time(), Some(now));
    assert!(format!("{clock:?}").contains("1795000000.25s"), "{clock:?}");
}
