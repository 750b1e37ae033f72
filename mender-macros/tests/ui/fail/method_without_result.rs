use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "a", on(download = write, install = apply))]
struct Module;

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn apply(&mut self) {}
}

fn main() {}
