//! The program `mender-rs`: see the library beside it.

use std::process::ExitCode;

use clap::Parser as _;
use mender_posix_client::cli::Arguments;
use mender_posix_client::run::run;
use mender_posix_client::terminal::harmless;

fn main() -> ExitCode {
    let outcome = run(Arguments::parse());
    if let Some(message) = outcome.message() {
        eprintln!("mender-rs: {}", harmless(message));
    }
    outcome.into()
}
