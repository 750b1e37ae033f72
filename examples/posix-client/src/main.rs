//! The program `mender-rs`: see the library beside it.

use std::process::ExitCode;

use mender_posix_client::cli::Arguments;
use mender_posix_client::run::run;
use mender_posix_client::terminal::harmless;

fn main() -> ExitCode {
    let outcome = run(tool_style::parse::<Arguments>());
    if let Some(message) = outcome.message() {
        tool_style::complain("mender-rs", &harmless(message));
    }
    outcome.into()
}
