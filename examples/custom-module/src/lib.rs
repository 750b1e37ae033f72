//! The smallest update module of one's own: a greeting that is updated over the air, kept in a file. To be copied: README.md
//! says how.
//!
//! `cargo run` plays three deployments with it, `cargo test` everything that can go wrong.

#[cfg(test)]
mod tests;

use std::error::Error;

use embassy_futures::block_on;
use mender::update_module;
use mender::update_module::Payload;
use mender_testkit::files::{Files, NotFound};
use mender_testkit::module_test::{Board, ModuleTest};

/// Installs artifacts of the type `greeting`: one text file. Each method can run again after a power cut.
#[update_module(
    artifact_type = "greeting",
    supports_rollback,
    on(download = receive, install = swap, rollback = restore, cleanup = tidy)
)]
#[derive(Debug)]
pub struct Greeting {
    /// The simulated board's; on a real one perhaps littlefs.
    files: Files,
}

impl Greeting {
    /// The module on the files where it keeps the greeting.
    pub fn new(files: Files) -> Greeting {
        Greeting { files }
    }

    async fn receive(&mut self, payload: &mut Payload<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        // A `cleanup` that failed may have left it; `restore` must not take it for the present one's.
        self.files.remove("old").await.or_else(ignore_missing)?;
        let mut text = Vec::new();
        let mut file = payload.next_file().await?.ok_or("the artifact has no file")?;
        while let Some(chunk) = file.next_chunk().await? {
            text.extend_from_slice(chunk);
        }
        // Beside the current one: nothing becomes active before `install`.
        self.files.write("new", &text).await;
        Ok(())
    }

    async fn swap(&mut self) -> Result<(), NotFound> {
        self.files.rename("greeting", "old").await?;
        self.files.rename("new", "greeting").await
    }

    async fn restore(&mut self) -> Result<(), NotFound> {
        self.files.rename("old", "greeting").await.or_else(ignore_missing)
    }

    async fn tidy(&mut self) -> Result<(), NotFound> {
        self.files.remove("old").await.or_else(ignore_missing)?;
        self.files.remove("new").await.or_else(ignore_missing)
    }
}

/// A file that is not there has been moved or removed before, perhaps before a power cut.
fn ignore_missing(_: NotFound) -> Result<(), NotFound> {
    Ok(())
}

/// The module on a board that says `Hello`, and an artifact that brings another greeting.
pub fn on_a_board() -> ModuleTest<Greeting> {
    let greeting = |board: &Board| String::from_utf8(board.files().read("greeting").unwrap_or_default());
    ModuleTest::new(|board| Greeting::new(board.files()))
        .factory(|board| block_on(board.files().write("greeting", b"Hello")))
        .observe(greeting)
        .payload("Good morning")
}
