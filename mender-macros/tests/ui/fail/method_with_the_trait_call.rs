// Nor is its `call`.
use mender::update_module::{Failure, Payload};
use mender::{UpdateModule, update_module};

#[update_module(artifact_type = "a", on(download = write, install = call))]
struct Module;

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {
    let _ = Module::DESCRIPTOR;
}
