//! Writes the pictures. `demo` runs the demo and draws what it prints.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tool_style::{Wrong, after_help, file};

/// Draw the pictures of the documentation
#[derive(Parser)]
#[command(version, after_help = after_help(""))]
struct Arguments {
    /// What to draw, in the place of all that can be drawn without running anything
    what: Option<What>,
    /// Where to write them
    #[arg(long, value_name = "DIR", default_value_os_t = mender_pictures::folder())]
    folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The demo: runs it, and draws what it prints
    Demo,
}

fn main() -> ExitCode {
    tool_style::main(|arguments: Arguments| {
        let pictures = match arguments.what {
            None => mender_pictures::pictures(),
            Some(What::Demo) => vec![("demo.svg", mender_pictures::demo()?)],
        };
        let mut names = Vec::new();
        for (name, text) in pictures {
            file::write(&arguments.folder.join(name), text.as_bytes())?;
            names.push(name);
        }
        Ok::<String, Wrong>(names.join("\n"))
    })
}
