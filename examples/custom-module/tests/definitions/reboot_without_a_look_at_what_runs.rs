use mender::update_module;
use mender::update_module::Failure;

/// Restarts, and would call a success what the bootloader has refused.
#[update_module(artifact_type = "greeting", no_payload, requires_reboot, on(reboot = restart))]
struct Greeting;

impl Greeting {
    async fn restart(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
