//! One simulated board, one Mender server, two updates: the first succeeds, the second is rolled back.
//!
//! Everything but the board's hardware is real: the client is the one that runs on microcontrollers, and it talks HTTP over
//! TCP to a server on this machine.
//!
//! | file | job |
//! |---|---|
//! | `main.rs` | arguments, exit status |
//! | `story.rs` | what happens, in order; plays the operator of the server |
//! | `board.rs` | the board: power on, bootloader, client, reset, again |
//! | `firmware.rs` | the board's update module: the bundled one for MCUboot and a self-test |
//! | `device.rs` | the board as the client sees it, and its clock |
//! | `link.rs` | makes this machine's network as slow as a board's |
//! | `authority.rs` | certificates for `--tls` |
//! | `chip.rs` | the board's flash in a file |
//! | `release.rs` | artifacts: made here, or read from a file |
//! | `report.rs` | the table and the checks at the end |
//! | `terminal.rs` | lines and the progress bar |

mod authority;
mod board;
mod chip;
mod device;
mod firmware;
mod link;
mod release;
mod report;
mod story;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Parser;
use mender_testkit::image::Version;
use tool_style::{Wrong, after_help, complain, file};

use chip::Chip;
use release::Release;
use story::Plan;
use terminal::Terminal;

/// One simulated board, one Mender server, two updates: the first succeeds, the second is rolled back
#[derive(Debug, Parser)]
#[command(version, long_about = LONG_ABOUT, after_long_help = after_help(LESSONS))]
struct Arguments {
    /// Deploy this artifact instead of the 2.0.0 that the demo makes
    ///
    /// It must be made for the board's device type, without compression, with payload type
    /// zephyr-image and one file, a signed MCUboot image.
    #[arg(long, value_name = "FILE")]
    artifact: Option<PathBuf>,

    /// The board's device type; an artifact must be made for it
    #[arg(long, value_name = "TYPE", default_value = "demo-board")]
    device_type: String,

    /// Where to keep the board's flash; made anew by each run
    ///
    /// Unless given: ota-demo.flash beside this program, for example target/debug/ota-demo.flash.
    #[arg(long, value_name = "FILE")]
    flash: Option<PathBuf>,

    /// Deploy 2.0.0 as a patch of 1.0.0
    ///
    /// The artifact has what differs between the two images, and the board makes the new one of the one that runs.
    #[arg(long, conflicts_with = "artifact")]
    delta: bool,

    /// Talk TLS 1.3, with a certificate authority made on the spot
    ///
    /// By the device's own TLS, as on a microcontroller. A board with another authority's root is shown first: it refuses the server.
    #[arg(long)]
    tls: bool,
}

const LONG_ABOUT: &str = "\
Starts a Mender server for tests on two free ports of 127.0.0.1 (API and artifact store) and a simulated board: a NOR flash
in a file, with the rules of a real one, a model of the MCUboot bootloader, and firmware 1.0.0 in slot 0. The firmware runs
the real client over real sockets. The board registers and is accepted, then gets two updates: 2.0.0, which stays, and
3.0.0, whose self-test fails after the restart, so that 2.0.0 comes back. A table at the end shows what the server
recorded and what it cost; everything in it is checked. The board's link is slowed down to 512 KiB/s; all takes about five
seconds.";

const LESSONS: &str = "\
An artifact of your own:
  1. A signed image: build/zephyr/zephyr.signed.bin of a Zephyr build with MCUboot, or from any binary with
       imgtool sign --version 2.1.0 --header-size 0x200 --pad-header --align 4 --slot-size 0xf0000 app.bin app.signed.bin
     (no --pad). The simulated board does not execute it; the bootloader checks its header and SHA-256, no signature.
  2. The artifact, with the tool from https://docs.mender.io/downloads:
       mender-artifact write module-image -T zephyr-image -n my-release -t demo-board -f app.signed.bin \\
           --compression none -o my-release.mender
  3. Deploy it:
       ota-demo --artifact my-release.mender

The flash file (--flash) is the content of the board's flash of 2 MiB, byte for byte, and stays after the run:
  0x000000  64 KiB   the bootloader's own place, not used here
  0x010000  960 KiB  slot 0: the image that runs, and its trailer
  0x100000  960 KiB  slot 1: the image that is tried or was replaced
  0x1f0000  16 KiB   the client's records: key, deployment, log";

fn main() -> ExitCode {
    tool_style::main(run)
}

fn run(arguments: Arguments) -> Result<String, Wrong> {
    let plan = plan(arguments)?;
    let terminal = Rc::new(Terminal::new());
    let told = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(story::tell(&plan, &terminal)));
    let mut failed = told.map_err(|error| error.to_string())?;
    let Some(last) = failed.pop() else {
        return Ok(String::new());
    };
    for check in failed {
        complain("ota-demo", &format!("wrong: {check}"));
    }
    Err(Wrong::Failed(format!("wrong: {last}")))
}

/// Everything that can be wrong with the arguments is found here, before anything starts.
fn plan(arguments: Arguments) -> Result<Plan, Wrong> {
    let device_type = arguments.device_type;
    if !(1..=256).contains(&device_type.len()) {
        return Err(Wrong::Usage("--device-type: must have 1 to 256 bytes".to_owned()));
    }
    let first = Release::build("release-1", Version::new(1, 0, 0), &device_type);
    let good = match &arguments.artifact {
        Some(path) => {
            let artifact = file::read(path)?;
            Release::open(artifact, &device_type, &first.name).map_err(|error| file::of(path, error))?
        }
        None if arguments.delta => Release::patch("release-2", Version::new(2, 0, 0), &device_type, &first),
        None => Release::build("release-2", Version::new(2, 0, 0), &device_type),
    };
    let next_major = good.version().major.saturating_add(1).max(3);
    let mut faulty_name = format!("release-{next_major}");
    if faulty_name == good.name {
        faulty_name.push_str("-faulty");
    }
    let faulty = Release::build(&faulty_name, Version::new(next_major, 0, 0), &device_type);
    let flash = match arguments.flash {
        Some(file) => file,
        None => std::env::current_exe()
            .map_err(|error| {
                Wrong::Failed(format!(
                    "where this program is: {error}; say with --flash where to keep it"
                ))
            })?
            .with_file_name("ota-demo.flash"),
    };
    let chip = Chip::program(flash, &first.image)?;
    Ok(Plan {
        device_type,
        first,
        good,
        faulty,
        chip: Rc::new(chip),
        tls: arguments.tls,
    })
}
