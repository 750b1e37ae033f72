//! Unpacks the image and prints what it took, as lines of a name and a number.

use core::hint::black_box;
use core::panic::PanicInfo;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::hprintln;
use mender::unpack::Gunzip;

/// Instructions for each tick: QEMU takes a nanosecond for an instruction (`-icount shift=0`), this board's clock has 25 MHz.
const INSTRUCTIONS_OF_A_TICK: u32 = 40;
/// Ticks from which the timer counts down.
const LAST_TICK: u32 = 0xff_ffff;
/// As long as the client's block: what comes at once.
const PIECE_LEN: usize = 512;

static IMAGE: &[u8] = include_bytes!("../image.gz");

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else {
        panic!("taken already")
    };
    let mut timer = peripherals.SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(LAST_TICK);
    timer.clear_current();
    timer.enable_counter();
    let mut gunzip = Gunzip::<[u8; 4096]>::new();
    timer.clear_current();
    let start = SYST::get_current();
    let len = unpack(black_box(IMAGE), &mut gunzip);
    let ticks = start.wrapping_sub(SYST::get_current()) & LAST_TICK;
    assert!(!timer.has_wrapped(), "more instructions than the timer counts");
    hprintln!("packed {}", IMAGE.len());
    hprintln!("unpacked {}", len);
    hprintln!("instructions {}", ticks * INSTRUCTIONS_OF_A_TICK);
    exit(EXIT_SUCCESS);
    stop()
}

/// How many bytes come out. Checksum and length at the end say whether they are the right ones.
#[inline(never)]
fn unpack(packed: &[u8], gunzip: &mut Gunzip) -> usize {
    let mut len = 0;
    for mut piece in packed.chunks(PIECE_LEN) {
        loop {
            let (used, data) = match gunzip.feed(piece) {
                Ok(fed) => fed,
                Err(fault) => panic!("the image is damaged: {fault:?}"),
            };
            if data.is_empty() {
                break;
            }
            len += black_box(data).len();
            piece = piece.get(used..).unwrap_or(&[]);
        }
    }
    assert!(gunzip.finish().is_ok(), "the image is not complete");
    len
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(EXIT_FAILURE);
    stop()
}

fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
