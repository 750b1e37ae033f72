//! Time: the FPGA's counter says what it is, SysTick wakes who waits. Depends on `raw`.
//!
//! SysTick interrupts each millisecond. It does not count them: an emulator that was kept waiting loses some. The counter of
//! 32 bits goes up each microsecond and is read at least each millisecond, so none of its turns is missed.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use cortex_m::peripheral::SCB;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::raw::FPGA;

/// Cycles of the processor in a microsecond.
const MEGAHERTZ: u32 = 25;
const COUNTER: u32 = 0x18;
const PRESCALE: u32 = 0x1c;

struct Time {
    /// Microseconds since the start, when it was looked at last.
    now: Mutex<Cell<u64>>,
    /// When the next of those who wait has to be woken.
    next: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

impl Time {
    fn look(&self, cs: CriticalSection<'_>) -> u64 {
        let cell = self.now.borrow(cs);
        let before = cell.get();
        // The lower half is the counter's.
        let passed = FPGA.read(COUNTER).wrapping_sub(before as u32);
        let now = before + u64::from(passed);
        cell.set(now);
        now
    }

    fn wake(&self, cs: CriticalSection<'_>) {
        let now = self.look(cs);
        if now >= self.next.borrow(cs).get() {
            self.look_for_next(cs, now);
        }
    }

    fn look_for_next(&self, cs: CriticalSection<'_>, now: u64) {
        let next = self.queue.borrow_ref_mut(cs).next_expiration(now);
        self.next.borrow(cs).set(next);
    }
}

impl Driver for Time {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.look(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let is_new = self.queue.borrow_ref_mut(cs).schedule_wake(at, waker);
            if is_new {
                let now = self.look(cs);
                self.look_for_next(cs, now);
            }
        });
    }
}

embassy_time_driver::time_driver_impl!(static TIME: Time = Time {
    now: Mutex::new(Cell::new(0)),
    next: Mutex::new(Cell::new(u64::MAX)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Microseconds since the start.
pub fn now() -> u64 {
    TIME.now()
}

/// Keeps the processor busy.
pub(crate) fn wait_micros(micros: u32) {
    let start = now();
    while now() - start < u64::from(micros) {}
}

pub(crate) fn start(core: &mut cortex_m::Peripherals) {
    FPGA.write(PRESCALE, MEGAHERTZ - 1);
    FPGA.write(COUNTER, 0);
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(1000 * MEGAHERTZ - 1);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    core.SYST.enable_interrupt();
}

/// No interrupt comes any more.
pub(crate) fn stop(core: &mut cortex_m::Peripherals) {
    core.SYST.disable_interrupt();
    core.SYST.disable_counter();
    SCB::clear_pendst();
}

#[exception]
fn SysTick() {
    critical_section::with(|cs| TIME.wake(cs));
    #[cfg(feature = "network")]
    crate::ethernet::look();
}
