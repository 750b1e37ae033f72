//! Looks into the MCUboot slots of a flash dump and writes what an application would write, with the code of the update module
//! `zephyr-image`: what this program says of a dump, the device would say.

mod commands;
mod dump;
mod layout;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

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
                  The dump is replaced as a whole after everything went well, and left alone otherwise. Signatures are not \
                  checked: the bootloader may refuse an image that is called intact here.",
    after_help = "Exit status: 0 for success, 1 if the dump, the layout or the image is no good or cannot be read, 2 for wrong \
                  usage.\n\n\
                  A layout file (mode: move, offset, scratch, overwrite or direct-xip):\n  \
                  {\"mode\": \"move\", \"sector\": 4096, \"align\": 8, \"max_align\": 8, \"max_sectors\": 128,\n   \
                  \"slot0\": {\"offset\": 49152, \"size\": 434176}, \"slot1\": {\"offset\": 483328, \"size\": 434176}}\n\n\
                  A device does not start the new image. What is in its slots?\n  \
                  mcuboot-slot --layout board.json state flash.bin\n\n\
                  Put an image (imgtool sign, without --pad) into slot 1 and have it tried at the next boot:\n  \
                  mcuboot-slot --layout board.json install zephyr.signed.bin flash.bin\n  \
                  mcuboot-slot --layout board.json request test flash.bin\n\n\
                  Keep the image that runs under test:\n  \
                  mcuboot-slot --layout board.json confirm flash.bin\n\n\
                  Without a file, for a dump that starts at address 0x08000000:\n  \
                  mcuboot-slot --mode offset --base 0x08000000 --slot0 0x08010000:192K --slot1 0x08040000:196K \\\n    \
                  --sector 4K --align 8 state flash.bin"
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
        /// The flash dump
        dump: PathBuf,
    },
    /// Ask the bootloader to run the image in slot 1
    Request {
        /// How long it is to run
        #[arg(value_enum)]
        kind: Kind,
        /// The flash dump
        dump: PathBuf,
    },
    /// Confirm the image in slot 0, so that it is not reverted
    Confirm {
        /// The flash dump
        dump: PathBuf,
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
    let Arguments { layout, command } = Arguments::parse();
    match layout.read().and_then(|layout| commands::run(&layout, &command)) {
        Ok(report) => {
            println!("{report:#}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("mcuboot-slot: {message}");
            ExitCode::FAILURE
        }
    }
}
