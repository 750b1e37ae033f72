// A generic module's rules are checked for every mode it is used with.
use core::marker::PhantomData;
use mender::update_module;
use mender::update_module::{Failure, ModuleSet, Payload};

trait Mode {
    const REVERTS: bool;
}

struct Test;

impl Mode for Test {
    const REVERTS: bool = true;
}

#[update_module(artifact_type = "a", supports_rollback = M::REVERTS, on(download = write))]
struct Module<M: Mode>(PhantomData<M>);

impl<M: Mode> Module<M> {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {
    <(Module<Test>,) as ModuleSet>::find("a");
}
