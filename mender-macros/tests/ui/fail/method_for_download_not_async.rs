use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "a", on(download = write))]
struct Module;

impl Module {
    fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
