//! The executor: embassy's, with a loop of our own around it. Depends on `raw`, `time`.
//!
//! On a chip that is `#[embassy_executor::main]`, which sleeps by WFE. QEMU takes that for nothing, and would keep one of the host's processors
//! busy. And here is the place where it shows how long tasks keep the processor to themselves.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use embassy_executor::Spawner;
use embassy_executor::raw::Executor;
use static_cell::StaticCell;

use crate::{raw, time};

static WOKEN: AtomicBool = AtomicBool::new(false);
static LONGEST_MICROS: AtomicU32 = AtomicU32::new(0);

pub(crate) fn woken() {
    WOKEN.store(true, Ordering::Release);
}

/// Runs tasks for ever, `init`'s first.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor: &'static Executor = EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    init(executor.spawner());
    loop {
        let start = time::now();
        WOKEN.store(false, Ordering::Release);
        raw::poll(executor);
        let micros = u32::try_from(time::now() - start).unwrap_or(u32::MAX);
        LONGEST_MICROS.fetch_max(micros, Ordering::Relaxed);
        // An interrupt between the question and the sleep ends it: masked ones do too.
        cortex_m::interrupt::free(|_| {
            if !WOKEN.load(Ordering::Acquire) {
                cortex_m::asm::wfi();
            }
        });
    }
}

/// The longest time since the last call in which one round of all tasks that were ready kept the processor, in microseconds.
pub fn longest_round_micros() -> u32 {
    LONGEST_MICROS.swap(0, Ordering::Relaxed)
}
