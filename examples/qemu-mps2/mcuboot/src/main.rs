//! A bootloader for MCUboot's images: the test kit's model of MCUboot, with swap using move, on the board's flash.
//!
//! What decides and swaps are the very files that the tests of `zephyr-image` hold against the real MCUboot. They check an image's
//! hash, no signature, and take much memory, as they read whole slots: 3 MiB of RAM, which only this board has. A product takes MCUboot.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "../../../../tests/kit/src/bootloader/mod.rs"]
#[allow(dead_code, unused_imports, reason = "one of its modes is used")]
mod bootloader;
mod flash;
mod heap;
#[path = "../../../../tests/kit/src/image.rs"]
#[allow(dead_code, reason = "it builds images too")]
mod image;

use core::panic::PanicInfo;

use board::flash::User;
use board::map::{IMAGE_HEADER_LEN, MAX_IMG_SECTORS, MCUBOOT_MAP as MAP};
use board::{Board, say};
use bootloader::{Layout, Mcuboot, SwapType};
use cortex_m_rt::entry;
use flash::SimFlash;

/// There is one, in `main`.
#[derive(Debug)]
pub struct Started(());

#[entry]
fn main() -> ! {
    let Some(board) = Board::take(User::Bootloader) else {
        board::restart();
    };
    heap::start(Started(()));
    let started = board::time::now();
    let Board { flash, core, .. } = board;
    let flash = SimFlash::<{ MAP.write_len as usize }, { MAP.erase_len as usize }>::new(flash);
    let mcuboot = Mcuboot::new(Layout {
        slot0: MAP.range("slot0"),
        slot1: MAP.range("slot1"),
        max_img_sectors: MAX_IMG_SECTORS,
    });
    if mcuboot.decision(&flash).is_ok_and(|decided| decided != SwapType::None) {
        say!("@swaps");
    }
    match mcuboot.boot(&flash) {
        Ok(outcome) => {
            let was = match outcome.swapped {
                SwapType::None if outcome.resumed => "resumed",
                SwapType::None => "boot",
                SwapType::Test | SwapType::Permanent | SwapType::Revert => "swap",
            };
            let micros = board::time::now() - started;
            let (stack, _) = board::stack_used();
            say!("@bootloader state={was} micros={micros} stack={stack}");
            if outcome.ran.is_some() {
                core.start_image(const { MAP.range("slot0").start + IMAGE_HEADER_LEN });
            }
        }
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
    say!("@panic bootloader: {}", info.message());
    loop {
        core::hint::spin_loop();
    }
}
