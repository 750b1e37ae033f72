//! The bootloader: embassy-boot's, which swaps the images if the firmware has asked for it, and swaps them back if nobody has confirmed.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::panic::PanicInfo;

use board::flash::User;
use board::map::MAP;
use board::{Board, say};
use cortex_m_rt::entry;
use embassy_boot::{AlignedBuffer, BootLoader, BootLoaderConfig, State};
use embassy_embedded_hal::flash::partition::BlockingPartition;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;

#[entry]
fn main() -> ! {
    let Some(mut board) = Board::take(User::Bootloader) else {
        board::restart();
    };
    let started = board::time::now();
    let flash = Mutex::<NoopRawMutex, _>::new(RefCell::new(&mut board.flash));
    let part = |range: core::ops::Range<u32>| BlockingPartition::new(&flash, range.start, range.end - range.start);
    let mut loader = BootLoader::new(BootLoaderConfig {
        active: part(const { MAP.range("active") }),
        dfu: part(const { MAP.range("dfu") }),
        state: part(const { MAP.range("state") }),
    });
    let mut buffer = AlignedBuffer([0; 1024]);
    if let Ok(State::Swap) = loader.read_state(&mut buffer.0) {
        say!("@swaps");
    }
    match loader.prepare_boot(&mut buffer.0) {
        Ok(state) => {
            let micros = board::time::now() - started;
            let (stack, _) = board::stack_used();
            let was = match state {
                State::Boot => "boot",
                State::Swap => "swap",
                State::Revert => "revert",
                State::DfuDetach => "detach",
            };
            say!("@bootloader state={was} micros={micros} stack={stack}");
            board.core.start_image(const { MAP.range("active").start });
        }
        // What is in ACTIVE may be half of an image.
        Err(error) => say!("@bootloader failed {error:?}"),
    }
    say!("@bootloader nothing to start");
    // Somebody has to look at the board.
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("@panic bootloader: {info}");
    loop {
        core::hint::spin_loop();
    }
}
