//! Text on the first serial port, which is the terminal that QEMU runs in. Depends on `raw`, `time`.

use core::fmt::{self, Write};

use log::{LevelFilter, Log, Metadata, Record};

use crate::raw::UART0;
use crate::time;

const DATA: u32 = 0x00;
const STATE: u32 = 0x04;
const CTRL: u32 = 0x08;
const BAUDDIV: u32 = 0x10;

const TX_FULL: u32 = 1 << 0;
const TX_ENABLE: u32 = 1 << 0;

/// The console. Whoever writes waits until all is out.
#[derive(Clone, Copy, Debug)]
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while UART0.read(STATE) & TX_FULL != 0 {}
            UART0.write(DATA, u32::from(byte));
        }
        Ok(())
    }
}

/// A line on the console.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => {
        $crate::console::line(format_args!($($arg)*))
    };
}

/// What [`say!`](crate::say) calls.
pub fn line(text: fmt::Arguments<'_>) {
    // The console takes everything.
    let _ = writeln!(Console, "{text}");
}

impl Log for Console {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let millis = time::now() / 1000;
        line(format_args!(
            "[{:4}.{:03}] {} {}",
            millis / 1000,
            millis % 1000,
            record.level(),
            record.args()
        ));
    }

    fn flush(&self) {}
}

pub(crate) fn start() {
    UART0.write(BAUDDIV, 16);
    UART0.write(CTRL, TX_ENABLE);
}

/// Sends what is logged by the crate `log` there, from `level` on.
pub fn log(level: LevelFilter) {
    static CONSOLE: Console = Console;
    // Only the first call has an effect.
    if log::set_logger(&CONSOLE).is_ok() {
        log::set_max_level(level);
    }
}
