use mender::update_module;
use mender::update_module::{Failure, Payload};

const TYPE: &str = "";

#[update_module(artifact_type = TYPE, on(download = write))]
struct Module;

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
