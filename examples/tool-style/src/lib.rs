//! What the command lines of this repository's tools have in common.
//!
//! | rule | by |
//! |---|---|
//! | An error is one line on standard error: the tool's name, the file, what failed, what to do | [`main()`], [`mod@file`] |
//! | Exit status 0: done | [`main()`] |
//! | Exit status 1: a file cannot be read or written, what is in it is no good, or what was asked for fails | [`Wrong::Failed`] |
//! | Exit status 2: what stands on the command line (or in the environment for it) is wrong, whatever the files have | [`Wrong::Usage`] |
//! | `--help` says so, in a section "Exit status" | [`after_help`] |
//! | `--version`; `--completions SHELL` prints what a shell needs to complete the tool's arguments | [`parse`] |
//! | Results go to standard output; one that cannot be written is an error | [`file::print`] |
//!
//! A missing file has status 1: the command line was right, the file is not. `mender-rs` has more statuses, for those who call it with
//! `--once`; these are the same there.
//!
//! [`check`] is what the tools' tests hold to this.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::process::{self, ExitCode};

use clap::{Arg, Command, Parser, value_parser};
use clap_complete::Shell;

pub mod change;
pub mod check;
pub mod file;

/// Why a tool did not do what it was asked for; the text is for people, without the tool's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Status 1: a file, its content, or the work itself.
    Failed(String),
    /// Status 2: the command line.
    Usage(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Failed(text) | Wrong::Usage(text) => f.write_str(text),
        }
    }
}

impl From<String> for Wrong {
    fn from(text: String) -> Wrong {
        Wrong::Failed(text)
    }
}

/// The section of `--help`.
const EXIT_STATUS: &str = "\
Exit status: 0 if all went well; 1 if a file cannot be read or written, if what is in it is no good, or if what was asked
for fails; 2 for wrong usage. Standard error says what failed, of which file, and what to do.";

/// The end of a help text: the exit status, then this.
pub fn after_help(text: &str) -> String {
    match text {
        "" => EXIT_STATUS.to_owned(),
        _ => format!("{EXIT_STATUS}\n\n{text}"),
    }
}

/// The arguments' definition with what all tools have.
pub fn command<A: Parser>() -> Command {
    A::command().arg(completions())
}

fn completions() -> Arg {
    Arg::new("completions")
        .long("completions")
        .value_name("SHELL")
        .value_parser(value_parser!(Shell))
        .exclusive(true)
        .help("Print what this shell needs to complete the arguments of this program, and exit")
}

/// The arguments of this process. Ends it if they are wrong, or ask for help, for the version or for completions.
pub fn parse<A: Parser>() -> A {
    let given: Vec<OsString> = env::args_os().collect();
    let first = given.get(1).and_then(|first| first.to_str()).unwrap_or("");
    // Alone: what is required otherwise is not here.
    if first == "--completions" || first.starts_with("--completions=") {
        complete::<A>(&given);
    }
    let mut command = command::<A>();
    let parsed = command
        .try_get_matches_from_mut(given)
        .and_then(|mut found| A::from_arg_matches_mut(&mut found));
    parsed.unwrap_or_else(|error| error.format(&mut command).exit())
}

fn complete<A: Parser>(given: &[OsString]) -> ! {
    let mut command = command::<A>();
    let name = command.get_name().to_owned();
    let alone = Command::new("completions")
        .bin_name(&name)
        .arg(completions().required(true));
    let mut script = Vec::new();
    if let Some(shell) = alone.get_matches_from(given).get_one::<Shell>("completions") {
        clap_complete::generate(*shell, &mut command, &name, &mut script);
    }
    let printed = file::print(&script);
    if let Err(message) = &printed {
        complain(&name, message);
    }
    process::exit(i32::from(printed.is_err()));
}

/// A tool: takes the arguments, works, and prints the result, if there is one, or the error.
pub fn main<A: Parser>(work: impl FnOnce(A) -> Result<String, Wrong>) -> ExitCode {
    let name = A::command().get_name().to_owned();
    let done = work(parse()).and_then(|text| match text.as_str() {
        "" => Ok(()),
        _ => Ok(file::print(format!("{}\n", text.trim_end_matches('\n')).as_bytes())?),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Wrong::Failed(message)) => {
            complain(&name, &message);
            ExitCode::from(1)
        }
        Err(Wrong::Usage(message)) => {
            complain(&name, &message);
            ExitCode::from(2)
        }
    }
}

/// Says an error.
pub fn complain(name: &str, message: &str) {
    // Nobody reads any more; the status says it.
    let _ = writeln!(io::stderr(), "{name}: {message}");
}
