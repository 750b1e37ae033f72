//! Looks into the MCUboot slots of a flash dump and writes what an application would write, with the code of the update module
//! `zephyr-image`: what this program says of a dump, the device would say.

mod commands;
mod dump;
mod layout;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tool_style::after_help;
use tool_style::change::Change;

/// Read and repair the MCUboot slots in a flash dump
#[derive(Parser)]
#[command(
    version,
    arg_required_else_help = true,
    long_about = "Reads the two MCUboot slots in a dump of a device's flash and prints as JSON what is in them and what the \
                  bootloader will do next; or changes the dump as the device's own update module would change the flash, \
                  ready to be programmed back.\n\n\
                  MCUboot does not store how it was built, so the layout must be given: as a JSON file (--layout), as flags, or \
                  both, where flags win. Numbers may be written as 0x8000, 32768 or 32K.\n\n\
                  The dump is replaced as a whole after everything went well, and left alone otherwise, also if this program \
                  is interrupted; --output writes to another file instead, --dry-run to none. Signatures are not checked: the \
                  bootloader may refuse an image that is called intact here.",
    after_help = "A worked example, the layout file and what the output means: --help",
    after_long_help = after_help(include_str!("help.txt"))
)]
struct Arguments {
    #[command(flatten)]
    layout: layout::Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the trailers and images of both slots, and what the bootloader will do next
    State {
        /// The flash dump
        dump: PathBuf,
    },
    /// Write an image into slot 1 and verify it; nothing is requested
    Install {
        /// A signed image, as imgtool writes it without --pad
        image: PathBuf,
        #[command(flatten)]
        change: Change,
    },
    /// Ask the bootloader to run the image in slot 1
    Request {
        /// How long it is to run
        #[arg(value_enum)]
        kind: Kind,
        #[command(flatten)]
        change: Change,
    },
    /// Confirm the image that runs, so that it is not reverted
    Confirm {
        #[command(flatten)]
        change: Change,
    },
    /// Go back from the last update: withdraw its request, or see to it that the next boot brings the old image back
    Revert {
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Until the boot after next, unless it confirms itself
    Test,
    /// For good
    Permanent,
}

fn main() -> ExitCode {
    tool_style::main(|Arguments { layout, command }| {
        let report = commands::run(&layout.read()?, &command)?;
        Ok(format!("{report:#}"))
    })
}
