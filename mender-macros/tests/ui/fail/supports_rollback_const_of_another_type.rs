use mender::update_module;
use mender::update_module::{Failure, Payload};

const REVERTS: u8 = 1;

#[update_module(artifact_type = "a", supports_rollback = REVERTS, on(download = write, rollback = back))]
struct Module;

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn back(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
