//! Builds a bootloader and firmware for an emulated board, and updates it over the air.
//!
//! | file | job |
//! |---|---|
//! | `main.rs` | arguments, exit status |
//! | `story.rs` | the demo |
//! | `bench.rs` | a board on the network, watched |
//! | `images.rs` | builds the programs |
//! | `factory.rs` | the board's flash, as it leaves the factory |
//! | `emulator.rs` | QEMU |
//! | `site.rs` | Mender server, certificate authority, time server |
//! | `watch.rs` | what the board says |
//! | `terminal.rs` | lines and the progress bar |

mod bench;
mod emulator;
mod factory;
mod images;
#[path = "../../board/src/map.rs"]
#[allow(dead_code, reason = "the linker scripts need the rest")]
mod map;
mod site;
mod story;
mod terminal;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use bench::Setup;

/// An emulated board that updates itself over the air: one update stays, one is rolled back, one needs no restart
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// HTTP without TLS, and firmware that has none
    #[arg(long)]
    plain: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let setup = Setup {
        tls: !arguments.plain,
        measures: false,
        quiet: false,
    };
    match story::tell(setup) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runner: {error}");
            ExitCode::FAILURE
        }
    }
}
