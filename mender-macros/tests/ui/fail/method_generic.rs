use mender::update_module;
use mender::update_module::Failure;

#[update_module(artifact_type = "a", no_payload, on(install = apply))]
struct Module;

impl Module {
    async fn apply<T>(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
