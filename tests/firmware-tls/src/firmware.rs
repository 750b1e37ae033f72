//! Plays the handshakes and prints what they took, as lines of a name and a number.

use core::convert::Infallible;
use core::future::Future;
use core::panic::PanicInfo;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::register::msp;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::hprintln;
use mender::net::Connector as _;
use mender::tls::{Roots, TlsConnector, TlsMemory};
use static_cell::ConstStaticCell;

use crate::case::{CHAINS, ENDPOINT};
use crate::numbers::Numbers;
use crate::replay::Replay;
use crate::stack::Stack;

/// Instructions for each tick: QEMU takes a nanosecond for an instruction (`-icount shift=0`), this board's clock has 25 MHz.
const INSTRUCTIONS_OF_A_TICK: u32 = 40;
/// Ticks from which the timer counts down.
const LAST_TICK: u32 = 0xff_ffff;

/// What is recorded of a chain.
struct Recording {
    root: &'static [u8],
    /// Each message in a record of its own, and all in one.
    layouts: [(&'static str, &'static [u8]); 2],
}

macro_rules! recording {
    ($file:literal) => {
        Recording {
            root: include_bytes!(concat!("../recordings/", $file, ".root")),
            layouts: [
                ("", include_bytes!(concat!("../recordings/", $file, ".records"))),
                (
                    " in one record",
                    include_bytes!(concat!("../recordings/", $file, ".record")),
                ),
            ],
        }
    };
}

/// In the order of [`CHAINS`].
const RECORDINGS: [Recording; CHAINS.len()] = [recording!("p256"), recording!("rsa2048"), recording!("p384")];

/// What a handshake took.
#[derive(Default)]
struct Cost {
    stack: u32,
    instructions: u32,
    /// Instructions without a yield.
    longest: u32,
}

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
    static MEMORY: ConstStaticCell<TlsMemory> = ConstStaticCell::new(TlsMemory::new());
    let memory = MEMORY.take();
    hprintln!("memory {}", size_of::<TlsMemory>());
    for (chain, recording) in CHAINS.iter().zip(&RECORDINGS) {
        for (layout, bytes) in recording.layouts {
            play(&mut timer, memory, chain.name, layout, recording, bytes);
        }
    }
    exit(EXIT_SUCCESS);
    stop()
}

/// The futures are in this function's frame, as they would be in a `static`: what is below is stack.
#[inline(never)]
fn play(
    timer: &mut SYST,
    memory: &mut TlsMemory,
    name: &str,
    layout: &str,
    recording: &Recording,
    bytes: &'static [u8],
) {
    let replay = Replay::new(bytes);
    let roots = [recording.root];
    let made = TlsConnector::new(&replay, memory, Numbers::new(), Roots::same(&roots));
    let Ok(connector) = made else {
        panic!("the root is none")
    };
    let work = pin!(connector.work());
    let connect = pin!(connector.connect(ENDPOINT));
    let (work_len, connect_len) = (size_of_val(&*work), size_of_val(&*connect));
    let cost = handshake(timer, work, connect);
    assert!(replay.is_over(), "the client has not read everything");
    hprintln!("work {}", work_len);
    hprintln!("connect {}", connect_len);
    hprintln!("{}{}: stack {}", name, layout, cost.stack);
    hprintln!("{}{}: instructions {}", name, layout, cost.instructions);
    hprintln!("{}{}: longest {}", name, layout, cost.longest);
}

/// An executor with two tasks. Not inlined, so that the stack of the futures is not in the caller's frame.
#[inline(never)]
fn handshake(
    timer: &mut SYST,
    mut work: Pin<&mut dyn Future<Output = Infallible>>,
    mut connect: Pin<&mut dyn Future<Output = Result<impl Sized, impl core::fmt::Debug>>>,
) -> Cost {
    let stack = Stack::below(msp::read());
    let mut context = Context::from_waker(Waker::noop());
    let mut cost = Cost::default();
    loop {
        timer.clear_current();
        let start = SYST::get_current();
        let _: Poll<Infallible> = work.as_mut().poll(&mut context);
        let polled = connect.as_mut().poll(&mut context);
        let ticks = start.wrapping_sub(SYST::get_current()) & LAST_TICK;
        assert!(!timer.has_wrapped(), "more instructions than the timer counts");
        let instructions = ticks * INSTRUCTIONS_OF_A_TICK;
        cost.instructions += instructions;
        cost.longest = cost.longest.max(instructions);
        cost.stack = cost.stack.max(stack.deepest());
        match polled {
            Poll::Ready(Ok(_)) => return cost,
            Poll::Ready(Err(error)) => panic!("no connection: {error:?}"),
            Poll::Pending => {}
        }
    }
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
