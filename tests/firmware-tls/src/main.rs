//! TLS handshakes on an emulated Cortex-M4F: `.ci/size` runs them in QEMU and reads what they took.
//!
//! The servers are recordings in `recordings/`: what the server of `tests/tls` sends to a client whose random numbers are always
//! the same. Such a client sends the same each time, so a recording is a right answer to it. The program for hosts makes them:
//!
//! ```text
//! cargo run -p firmware-tls
//! ```
//!
//! A client that offers other things, or draws its random numbers in another order, needs new ones; a test says so.
//!
//! | file | job |
//! |---|---|
//! | `case.rs` | which handshakes there are |
//! | `firmware.rs` | plays them, prints the figures |
//! | `replay.rs` | a network on which a recording comes |
//! | `record.rs` | makes the recordings, on a host |
//! | `numbers.rs` (of `firmware-ram`) | random numbers that are none |
//! | `stack.rs` | how deep the stack was; the same as in `tests/firmware-ram` |
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

mod case;
#[cfg(target_os = "none")]
mod firmware;
#[path = "../../firmware-ram/src/numbers.rs"]
mod numbers;
#[cfg(not(target_os = "none"))]
mod record;
#[cfg(target_os = "none")]
mod replay;
#[cfg(target_os = "none")]
#[path = "../../firmware-ram/src/stack.rs"]
mod stack;

#[cfg(not(target_os = "none"))]
fn main() {
    record::all();
}
