//! How a changed dump is written: what the command line says of it, and files that are replaced as a whole. Of `esp-ota-slot` too.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process;

use clap::Args;

/// A dump to be changed.
#[derive(Args)]
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
    pub fn keep(&self, flash: &[u8], changed: bool) -> Result<(), String> {
        let target = match (&self.output, self.dry_run) {
            (Some(output), _) => output,
            (None, false) if changed => &self.dump,
            (None, _) => return Ok(()),
        };
        replace(target, flash).map_err(|message| match &self.output {
            Some(_) => format!("{message}: give --output the name of a file"),
            None => format!("{message}: write to another file with --output"),
        })
    }
}

/// Puts the bytes into a file: into a new one beside it, which then takes its place. Whatever interrupts this, the file has
/// the old content or the new one. A link stays, and what it leads to is replaced; permissions stay too.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let permissions = match fs::metadata(&path) {
        Ok(old) if old.is_file() => Some(old.permissions()),
        // A device, for example: it would be gone, and a file in its place.
        Ok(_) => {
            return Err(format!("{}: not a file that can be replaced", path.display()));
        }
        Err(_) => None,
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", process::id()));
    let new = Path::new(&name);
    let written = File::create(new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            if let Some(permissions) = permissions {
                file.set_permissions(permissions)?;
            }
            file.sync_all()
        })
        .and_then(|()| fs::rename(new, &path));
    written.map_err(|error| {
        // What is left of it is of no use; the first error is the one to tell.
        let _ = fs::remove_file(new);
        format!("{}: cannot be written: {error}", path.display())
    })
}
