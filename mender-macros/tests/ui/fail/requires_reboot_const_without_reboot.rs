use mender::update_module;
use mender::update_module::{Failure, Payload};

const REBOOTS: bool = true;

#[update_module(artifact_type = "a", requires_reboot = REBOOTS, on(download = write))]
struct Module;

impl Module {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
