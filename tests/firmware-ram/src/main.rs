//! The real client on an emulated Cortex-M4F, with a server that follows a script and flash in RAM: `.ci/size` runs it in QEMU
//! and reads how much RAM it took.
//!
//! What is played: the first start, which makes the device's key; login; inventory; a deployment without a reboot; one with a
//! reboot, after which a new client goes on from the records; no further deployment. Tokens, links and artifacts are as long as
//! the open-source server's. Both artifacts are real ones of `tests/vectors`.
//!
//! | file | job |
//! |---|---|
//! | `firmware.rs` | runs the clients one after the other, prints the figures |
//! | `board.rs`, `numbers.rs` | device, clock, flash; random numbers |
//! | `modules.rs` | an update module without a reboot and one with |
//! | `server.rs` | the network: what the server answers |
//! | `stack.rs` | how deep the stack was |
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    println!("built for a host: .ci/size builds it for Cortex-M4F and runs it in QEMU");
}

#[cfg(target_os = "none")]
mod board;
#[cfg(target_os = "none")]
mod firmware;
#[cfg(target_os = "none")]
mod modules;
#[cfg(target_os = "none")]
mod numbers;
#[cfg(target_os = "none")]
mod server;
#[cfg(target_os = "none")]
mod stack;
