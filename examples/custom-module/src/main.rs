//! The smallest update module of one's own: a greeting that is updated over the air, kept in a file.
//!
//! `cargo run -p custom-module` shows a deployment that succeeds, then one that is rolled back. `client.rs` stands in
//! for the client, which a real program gives the tuple of modules to.

mod client;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::PathBuf;
use std::{fs, io};

use mender::update_module;
use mender::update_module::{CallbackState, Payload};

/// Installs artifacts of the type `greeting`: one text file. Each method can run again after a power cut.
#[update_module(
    artifact_type = "greeting",
    supports_rollback,
    on(download = receive, install = swap, rollback | failure = restore, cleanup = tidy)
)]
struct Greeting {
    file: PathBuf,
}

impl Greeting {
    async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut text = Vec::new();
        let mut file = payload.next_file().await?.ok_or("the artifact has no file")?;
        while let Some(chunk) = file.next_chunk().await? {
            text.extend_from_slice(chunk);
        }
        // Beside the current one: nothing becomes active before `install`.
        Ok(fs::write(self.file.with_extension("new"), text)?)
    }

    async fn swap(&mut self) -> io::Result<()> {
        fs::rename(&self.file, self.file.with_extension("old"))?;
        fs::rename(self.file.with_extension("new"), &self.file)
    }

    async fn restore(&mut self) -> io::Result<()> {
        ignore_missing(fs::rename(self.file.with_extension("old"), &self.file))
    }

    async fn tidy(&mut self) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.file.with_extension("old")))?;
        ignore_missing(fs::remove_file(self.file.with_extension("new")))
    }
}

/// A file that is not there has been moved or removed before, perhaps before a power cut.
fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    use CallbackState::{Cleanup, Commit, Failure, Install, Rollback};
    let directory = std::env::temp_dir().join(format!("custom-module-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let file = directory.join("greeting.txt");
    fs::write(&file, "Hello")?;
    let mut modules = (Greeting { file },);
    println!("A deployment that succeeds:");
    client::deploy(&mut modules, "Good morning", &[Install, Commit, Cleanup])?;
    println!("A deployment that the server aborts before the commit:");
    client::deploy(&mut modules, "Go away", &[Install, Rollback, Failure, Cleanup])?;
    Ok(fs::remove_dir_all(directory)?)
}
