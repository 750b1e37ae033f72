use mender::update_module;
use mender::update_module::Failure;

/// Says that it has a way back, and has none.
#[update_module(artifact_type = "greeting", no_payload, supports_rollback, on(install = swap))]
struct Greeting;

impl Greeting {
    async fn swap(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
