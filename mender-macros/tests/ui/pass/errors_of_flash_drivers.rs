//! `?` takes the errors of flash drivers in a method that returns `Failure`, those of generic drivers too; and a method may return
//! what describes itself and has no `Display`.
use mender::embedded_storage_async::nor_flash::NorFlash;
use mender::text::{Describe, Text};
use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "a", on(download = write, install = apply, commit = confirm))]
struct Module<F: NorFlash>(F);

struct NotNow;

impl Describe for NotNow {
    fn describe(&self, out: &mut Text<'_>) {
        out.push("not now");
    }
}

impl<F: NorFlash> Module<F> {
    async fn write(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        self.0.erase(0, 4096).await?;
        payload.finish().await?;
        Ok(())
    }

    async fn apply(&mut self) -> Result<(), Failure> {
        Ok(self.0.write(0, &[0; 4]).await?)
    }

    async fn confirm(&mut self) -> Result<(), NotNow> {
        Err(NotNow)
    }
}

fn main() {}
