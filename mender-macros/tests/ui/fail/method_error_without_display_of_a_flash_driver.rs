use mender::embedded_storage_async::nor_flash::NorFlash;
use mender::update_module;

#[update_module(artifact_type = "a", no_payload, on(install = apply))]
struct Module<F: NorFlash>(F);

impl<F: NorFlash> Module<F> {
    async fn apply(&mut self) -> Result<(), F::Error> {
        self.0.erase(0, 4096).await
    }
}

fn main() {}
