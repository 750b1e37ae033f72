//! Looks into the OTA slots of a flash dump of an ESP32, and writes what its firmware would write, with the code of the update module
//! `esp-ota-image`: what this program says of a dump, the device would say.

mod device;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use device::Device;
use tool_style::change::Change;
use tool_style::{Wrong, after_help, file};

/// Read and repair ESP-IDF's OTA slots in a flash dump
#[derive(Parser)]
#[command(
    version,
    arg_required_else_help = true,
    long_about = "Reads the partition table, otadata and both OTA slots in a dump of a device's whole flash (espflash read-flash 0 \
                  SIZE), and prints as JSON what is in them and what the bootloader starts next; or changes otadata as the device's \
                  own update module would, ready to be written back.\n\n\
                  Two things are not in the flash: whether the bootloader was built with rollback (--rollback), and which slot runs \
                  (--running; by default the one that the bootloader starts by otadata as it is, if nothing is given up).\n\n\
                  Signatures of secure boot are not checked: the bootloader may refuse an image that is called startable here.",
    after_help = after_help("")
)]
struct Arguments {
    /// The bootloader was built with CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE
    #[arg(long)]
    rollback: bool,
    /// The slot that runs, 0 or 1
    #[arg(long, value_name = "SLOT", value_parser = clap::value_parser!(u8).range(0..=1))]
    running: Option<u8>,
    /// Where the partition table is
    #[arg(long, value_name = "OFFSET", default_value = "0x8000", value_parser = number)]
    table: u32,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the entries of otadata, the images, and what the bootloader starts next, and why
    State {
        /// The flash dump
        dump: PathBuf,
    },
    /// Ask the bootloader to start the image in the slot that does not run, which the module must have received
    Request {
        #[command(flatten)]
        change: Change,
    },
    /// Confirm the image that runs, so that it stays
    Confirm {
        #[command(flatten)]
        change: Change,
    },
    /// Go back from the last update: withdraw its request, or see to it that the next boot starts the old image
    Revert {
        #[command(flatten)]
        change: Change,
    },
}

fn number(text: &str) -> Result<u32, String> {
    let value = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    value.map_err(|_| format!("'{text}' is no number: write 32768 or 0x8000"))
}

fn run(arguments: Arguments) -> Result<String, Wrong> {
    let (dump, change): (&Path, _) = match &arguments.command {
        Command::State { dump } => (dump, None),
        Command::Request { change } | Command::Confirm { change } | Command::Revert { change } => {
            (&change.dump, Some(change))
        }
    };
    let failed = |error: String| file::of(dump, error);
    let flash = file::read(dump)?;
    let device = Device::new(&flash, arguments.table, arguments.rollback, arguments.running).map_err(failed)?;
    match arguments.command {
        Command::State { .. } => Ok(()),
        Command::Request { .. } => device.request(),
        Command::Confirm { .. } => device.confirm(),
        Command::Revert { .. } => device.revert(),
    }
    .map_err(failed)?;
    let mut report = device.report();
    if let Some(change) = change {
        let after = device.to_bytes();
        let changed = after != flash;
        report["changed"] = changed.into();
        change.keep(&after, changed)?;
    }
    Ok(format!("{report:#}"))
}

fn main() -> ExitCode {
    tool_style::main(run)
}
