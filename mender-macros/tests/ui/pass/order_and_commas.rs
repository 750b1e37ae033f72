use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(on(download = write,), supports_rollback = false, requires_reboot = false, artifact_type = r"a",)]
struct TrailingCommas;

impl TrailingCommas {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

#[update_module[
    artifact_type = concat!("a", "-", 1),
    on(download = write)
]]
struct Brackets;

impl Brackets {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {
    use mender::UpdateModule;
    assert_eq!(Brackets::DESCRIPTOR.artifact_type, "a-1");
    assert_eq!(TrailingCommas::DESCRIPTOR.artifact_type, "a");
}
