//! Flash dumps that a tool changes: what the command line says of where the changed one goes.

use std::path::PathBuf;

use clap::Args;

use crate::file;

/// A dump to be changed.
#[derive(Args, Debug)]
pub struct Change {
    /// The flash dump; it is changed, unless an option says otherwise
    pub dump: PathBuf,
    /// Write the changed dump to this file, and leave the given one alone
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write nothing; only print the state that would be
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,
}

impl Change {
    /// Writes what the dump has become to where it is wanted.
    ///
    /// # Errors
    ///
    /// The file's path, what failed, what to do.
    pub fn keep(&self, flash: &[u8], changed: bool) -> Result<(), String> {
        let target = match (&self.output, self.dry_run) {
            (Some(output), _) => output,
            (None, false) if changed => &self.dump,
            (None, _) => return Ok(()),
        };
        file::replace(target, flash).map_err(|message| match &self.output {
            Some(_) => format!("{message}: give --output the name of a file"),
            None => format!("{message}: write to another file with --output"),
        })
    }
}
