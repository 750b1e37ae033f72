//! The smallest update module of one's own: a greeting that is updated over the air, kept in a file.
//!
//! `cargo run -p custom-module` puts it into the real client, on a simulated board with a simulated server, and shows a
//! deployment that succeeds, one that is rolled back, and one that loses power. `cargo test -p custom-module` plays
//! everything that can go wrong (`tests.rs`).

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
struct Greeting {
    /// The simulated board's; on a real one perhaps littlefs.
    files: Files,
}

impl Greeting {
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
fn on_a_board() -> ModuleTest<Greeting> {
    let greeting = |board: &Board| String::from_utf8(board.files().read("greeting").unwrap_or_default());
    ModuleTest::new(|board| Greeting { files: board.files() })
        .factory(|board| block_on(board.files().write("greeting", b"Hello")))
        .observe(greeting)
        .payload("Good morning")
}

fn main() -> Result<(), Box<dyn Error>> {
    let cut = "success (new board) / cut 5 after";
    for story in ["success", "the server refuses the commit", cut] {
        println!("{story}:\n  {}\n", on_a_board().play_one(story)?.join("\n  "));
    }
    Ok(())
}
