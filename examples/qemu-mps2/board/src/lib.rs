//! QEMU's board `mps2-an386`: a Cortex-M4F with a flash that is a file, and Ethernet.
//!
//! | file | job |
//! |---|---|
//! | `map.rs` | where everything is in flash |
//! | `raw.rs` | the only file with `unsafe` |
//! | `time.rs` | embassy-time's driver |
//! | `console.rs` | text on the terminal |
//! | `flash.rs` | the rules of a NOR flash |
//! | `ethernet.rs` | embassy-net's driver for the LAN9118 |
//! | `random.rs` | random numbers |
//! | `executor.rs` | embassy's executor, and how long it is kept busy |
#![no_std]

pub mod console;
#[cfg(feature = "network")]
pub mod ethernet;
#[cfg(feature = "executor")]
pub mod executor;
pub mod flash;
pub mod map;
#[cfg(feature = "network")]
pub mod random;
mod raw;
pub mod time;

pub use raw::stack_used;

use cortex_m::peripheral::SCB;

use flash::{Flash, User};

/// What there is once.
#[derive(Debug)]
pub struct Board {
    /// The flash.
    pub flash: Flash,
    /// The source of random numbers.
    #[cfg(feature = "network")]
    pub generator: random::Generator,
    /// The processor.
    pub core: Core,
}

/// The processor's own peripherals.
pub struct Core(cortex_m::Peripherals);

impl core::fmt::Debug for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Core")
    }
}

impl Board {
    /// Starts time and console. `None` if it was called before.
    pub fn take(user: User) -> Option<Board> {
        let mut core = cortex_m::Peripherals::take()?;
        time::start(&mut core);
        console::start();
        Some(Board {
            flash: Flash::new(user),
            #[cfg(feature = "network")]
            generator: random::Generator::new(),
            core: Core(core),
        })
    }
}

impl Core {
    /// Starts the image whose vector table is at this offset of the flash, within the area `active`. Returns, without time or interrupts, if
    /// there is none.
    pub fn start_image(mut self, offset: u32) {
        time::stop(&mut self.0);
        raw::start_image(&mut self.0, offset);
    }
}

/// Resets the board.
pub fn restart() -> ! {
    SCB::sys_reset()
}

/// Switches the first LED.
pub fn led(on: bool) {
    raw::FPGA.write(0, u32::from(on));
}
