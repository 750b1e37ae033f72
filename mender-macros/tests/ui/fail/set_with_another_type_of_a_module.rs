use mender::update_module;
use mender::update_module::{CallbackState, Descriptor, Failure, ModuleSet, Payload, States, UpdateModule};

#[update_module(artifact_type = "patches", on(download = write))]
struct One;

impl One {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

struct Two;

impl UpdateModule for Two {
    const DESCRIPTOR: Descriptor = Descriptor {
        artifact_type: "images",
        other_types: &["something", "patches"],
        requires_reboot: false,
        supports_rollback: false,
        states: States::NONE,
    };

    async fn download(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn call(&mut self, _state: CallbackState) -> Result<(), Failure> {
        Ok(())
    }
}

const _: &[Descriptor] = <(Two, One) as ModuleSet>::DESCRIPTORS;
const _: &[Descriptor] = <(One, Two) as ModuleSet>::DESCRIPTORS;

fn main() {}
