//! Builds a bootloader and firmware for an emulated board, and updates it over the air.
//!
//! | file | job |
//! |---|---|
//! | `main.rs` | arguments, exit status |
//! | `story.rs` | the demo |
//! | `rounds.rs` | updates that lose their power |
//! | `measure.rs` | the demo, measured |
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
mod measure;
mod rounds;
mod site;
mod story;
mod terminal;
mod watch;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tool_style::{Wrong, after_help};

use bench::Setup;
use images::Bootloader;

/// An emulated board that updates itself over the air: one update stays, one is rolled back, one needs no restart
#[derive(Debug, Parser)]
#[command(version, after_help = after_help(""))]
struct Arguments {
    /// HTTP without TLS, and firmware that has none
    #[arg(long)]
    plain: bool,

    /// With a bootloader for MCUboot's images instead of embassy-boot
    #[arg(long)]
    mcuboot: bool,

    /// The images are signed by this program: imgtool
    #[arg(long, value_name = "PROGRAM", requires = "mcuboot")]
    imgtool: Option<PathBuf>,

    /// Instead of the demo, updates during which QEMU is killed at moments by chance: so many
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,

    /// Which moments
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Instead of it, measure: flash, RAM, stack, times, with TLS and without
    #[arg(long, conflicts_with_all = ["plain", "rounds", "mcuboot"])]
    measure: bool,
}

fn main() -> ExitCode {
    tool_style::main(|arguments| match run(&arguments) {
        Ok(()) => Ok(String::new()),
        Err(error) => Err(Wrong::Failed(error.to_string())),
    })
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.measure {
        return measure::run();
    }
    let bootloader = if arguments.mcuboot {
        Bootloader::Mcuboot {
            imgtool: arguments.imgtool.clone(),
        }
    } else {
        Bootloader::EmbassyBoot
    };
    let setup = Setup {
        bootloader,
        tls: !arguments.plain,
        measures: false,
        counts: false,
        quiet: arguments.rounds.is_some(),
    };
    match arguments.rounds {
        Some(rounds) => rounds::play(&setup, rounds, arguments.seed),
        None => story::tell(&setup).map(drop),
    }
}
